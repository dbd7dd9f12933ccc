"""The one place that knows how claims, verdicts, runs and benchmarks are stored.

Everything else in the report works on the plain values that this module returns. What cannot be
read becomes a `Notice`, which the report shows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coset.core.claims import Claim, claims_of
from coset.core.errors import CosetError, FileFormatError
from coset.core.files import output_folder, read_json
from coset.core.registry import SUBJECTS, Subject, is_built, published
from coset.lab.configs import from_json
from coset.lab.experiments import Experiment, experiments_of, reproduce_command
from coset.lab.records import RunRecord, read_record
from coset.lab.store import RunStore
from coset.report.links import checkout_folder
from coset.report.records import Notice, Record, read_records
from coset.report.runs import StoredRun

__all__ = ["Sources", "SubjectSource", "benchmark_folders", "read_sources"]

INDEX_FILES = ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm", "index.sqlite-journal")


@dataclass(frozen=True)
class SubjectSource:
    """One subject as the registries know it.

    Attributes:
        subject: its name, title and papers.
        is_built: whether its package exists.
        claims: its registered claims.
        experiments: its registered experiments.
        published: its decoded ``published.json``.
    """

    subject: Subject
    is_built: bool
    claims: tuple[Claim, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    published: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sources:
    """All that the report is made from.

    Attributes:
        subjects: every subject, the planned ones included.
        records: stored verdicts by claim id.
        runs: stored runs; a run that is a point of two presets appears under both.
        benchmarks: decoded benchmark files by path.
        notices: what could not be read.
    """

    subjects: tuple[SubjectSource, ...]
    records: Mapping[str, Record]
    runs: tuple[StoredRun, ...]
    benchmarks: Mapping[str, Mapping[str, Any]]
    notices: tuple[Notice, ...]

    @property
    def claims(self) -> list[Claim]:
        """All registered claims, subject by subject."""
        return [claim for source in self.subjects for claim in source.claims]

    @property
    def experiments(self) -> list[Experiment]:
        """All registered experiments, subject by subject."""
        return [item for source in self.subjects for item in source.experiments]


def benchmark_folders() -> list[Path]:
    """Return where benchmark results lie: in the checkout, and in the output folder.

    Returns:
        The paths; they need not exist.
    """
    root = checkout_folder()
    kept = [root / "benchmarks" / "results"] if root else []
    return [*kept, output_folder() / "bench"]


def read_sources(store: RunStore, verifications: Path, benchmarks: list[Path]) -> Sources:
    """Read the registries and everything that is stored.

    Args:
        store: the run store.
        verifications: the folder of stored verdicts.
        benchmarks: the folders of benchmark results.

    Returns:
        The sources; nothing raises, what cannot be read is among the notices.
    """
    notices: list[Notice] = []
    subjects = tuple(_subject(subject, notices) for subject in SUBJECTS)
    records, faults = read_records(verifications)
    experiments = [item for source in subjects for item in source.experiments]
    runs = _read_runs(store, experiments, notices)
    results = {k: v for folder in benchmarks for k, v in _read_results(folder, notices).items()}
    known = {claim.id for source in subjects for claim in source.claims}
    for record in records.values():
        if record.claim not in known:
            problem = f"is a verdict of {record.claim!r}, which is not registered; it was not used"
            faults.append(Notice(str(record.path), problem))
    return Sources(subjects, records, tuple(runs), results, (*notices, *faults))


def _subject(subject: Subject, notices: list[Notice]) -> SubjectSource:
    if not is_built(subject):
        return SubjectSource(subject, is_built=False)

    def attempt(what: str, read: Any) -> Any:
        try:
            return read(subject.name)
        except Exception as error:  # a subject that cannot be loaded is shown, the rest goes on
            problem = f"cannot be loaded: {type(error).__name__}: {error}"
            notices.append(Notice(f"{what} of {subject.name}", problem))
            return None

    return SubjectSource(
        subject,
        is_built=True,
        claims=tuple(attempt("claims", claims_of) or ()),
        experiments=tuple(attempt("experiments", experiments_of) or ()),
        published=attempt("published numbers", published) or {},
    )


def _read_runs(
    store: RunStore, experiments: list[Experiment], notices: list[Notice]
) -> list[StoredRun]:
    records = _records(store, notices)
    known = {item.id: item for item in experiments}
    memberships: dict[Path, list[str]] = {}
    for item in experiments:
        for preset in item.presets:
            try:
                members = store.runs(item.id, preset)
            except Exception as error:  # one broken experiment must not hide the others
                notices.append(Notice(f"{item.id}, preset {preset}", f"cannot be listed: {error}"))
                continue
            for record in members:
                memberships.setdefault(record.folder, []).append(preset)
    return [
        run
        for record in records
        for preset in memberships.get(record.folder, [""])
        if (run := _stored_run(record, preset, known.get(str(record.experiment)), notices))
    ]


def _records(store: RunStore, notices: list[Notice]) -> list[RunRecord]:
    """Return all run records; a folder that is none becomes a notice."""
    try:
        records = store.runs()
    except Exception as error:  # fall back to the folders, one by one
        notices.append(Notice(str(store.root), f"cannot be listed at once: {error}"))
        records = [r for path in _run_folders(store.root, []) if (r := _record(path)) is not None]
    found = {record.folder.resolve() for record in records}
    for path in _run_folders(store.root, notices):
        if path.resolve() not in found:
            notices.append(Notice(str(path), "is not a readable run folder and was not used"))
    return records


def _record(path: Path) -> RunRecord | None:
    try:
        return read_record(path)
    except Exception:  # reported by the caller: the folder is missing among the records
        return None


def _run_folders(root: Path, notices: list[Notice]) -> list[Path]:
    if not root.is_dir():
        return []
    folders = []
    for parent in sorted(root.iterdir()):
        if parent.is_dir():
            folders += sorted(path for path in parent.iterdir() if not path.name.startswith("."))
        elif parent.name not in INDEX_FILES and not parent.name.startswith("."):
            notices.append(Notice(str(parent), "does not belong into a run store and was not used"))
    return folders


def _command(record: RunRecord, preset: str, item: Experiment | None) -> str:
    """Return the command that gives exactly this configuration today, "" if none does.

    A preset may have changed since the run, and then the stored command means another run.
    """
    if item is None or record.version != item.version:
        return ""
    try:
        config: Any = from_json(item.config_class, dict(record.config))
        return reproduce_command(item, config, preset or None)
    except CosetError:  # the configuration class has changed
        return ""


def _stored_run(
    record: RunRecord, preset: str, item: Experiment | None, notices: list[Notice]
) -> StoredRun | None:
    try:
        run = StoredRun(
            experiment=str(record.experiment),
            digest=record.folder.name,
            folder=record.folder,
            status=str(record.state),
            config=_flat(record.config),
            rows=[dict(row) for row in record.rows],
            preset=preset,
            command=_command(record, preset, item),
            stored_command=str(record.command),
            error=record.error or "",
            started=str(record.status.get("started") or ""),
            duration_s=record.duration_s,
            environment=record.environment,
            is_current=record.is_current(),
        )
    except Exception as error:  # hostile files inside the folder
        problem = f"is a damaged run folder: {type(error).__name__}: {error}"
        notices.append(Notice(str(record.folder), problem))
        return None
    if record.state == "damaged":
        problem = "says that it finished, but its rows are not those that were written"
        notices.append(Notice(str(record.folder), f"{problem}; run it again: {record.command}"))
    return run


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested configuration with dotted names; lists become texts, as in the rows."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            found[prefix + name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        else:
            found[prefix + name] = value
    return found


def _read_results(folder: Path, notices: list[Notice]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            value = read_json(path)
        except (OSError, ValueError, RecursionError, FileFormatError) as error:
            notices.append(Notice(str(path), f"cannot be read: {error}"))
            continue
        if not isinstance(value, dict) or not isinstance(value.get("points"), list):
            notices.append(Notice(str(path), "is not a benchmark report and was not used"))
            continue
        found[str(path)] = value
    return found
