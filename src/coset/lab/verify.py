"""Verification: judge claims and keep each verdict as one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coset import __version__
from coset.core.claims import Claim, all_claims, claims_of, find_claim
from coset.core.errors import UnknownNameError
from coset.core.files import output_folder, write_json
from coset.core.judging import Judged, judge
from coset.core.registry import SUBJECTS, built_subjects
from coset.lab.provenance import checkout_commit
from coset.lab.records import rows_of
from coset.lab.runner import run_preset
from coset.lab.store import RunStore

__all__ = ["record_of", "select_claims", "verify"]


def select_claims(names: Sequence[str]) -> list[Claim]:
    """Return the claims that the names stand for.

    Args:
        names: claim ids ("sharing.C5") and subjects ("sharing"); empty means all claims.

    Returns:
        The claims, each once, in the order of the names.

    Raises:
        UnknownNameError: if a name is neither, or its subject is not built yet.
    """
    if not names:
        return all_claims()
    subjects = {subject.name for subject in SUBJECTS}
    built = [subject.name for subject in built_subjects()]
    found: dict[str, Claim] = {}
    for name in names:
        subject = name.partition(".")[0]
        if subject in subjects and subject not in built:
            raise UnknownNameError(f"{subject} is not built yet; built: {', '.join(built)}")
        for claim in claims_of(name) if name in subjects else [find_claim(name)]:
            found[claim.id] = claim
    return list(found.values())


def verify(
    claims: Sequence[Claim],
    *,
    preset: str = "smoke",
    seed: int = 0,
    mutants: bool = True,
    fresh: bool = False,
    folder: Path | None = None,
    store: RunStore | None = None,
    on_start: Callable[[Claim], None] | None = None,
) -> Iterator[Judged]:
    """Judge claims one after the other and store each verdict as it comes.

    An empirical claim first brings the rows of its experiment: stored ones if that preset has
    finished before with today's code, else the experiment is run.

    Args:
        claims: what to judge.
        preset: "smoke", "cpu" or "paper".
        seed: the stream of random cases.
        mutants: also run the mutants.
        fresh: run experiments again even if their rows are stored.
        folder: where verdicts go; default ``verify`` in the output folder.
        store: where runs lie; default ``runs`` in the output folder.
        on_start: called before each claim.

    Yields:
        One verdict a claim.

    Raises:
        StorageError: if a verdict cannot be written.
    """
    folder = folder or output_folder() / "verify"
    for claim in claims:
        if on_start is not None:
            on_start(claim)
        rows, problem = _rows(claim, preset, fresh, store)
        judged = judge(claim, preset=preset, seed=seed, rows=rows, mutants=mutants and not problem)
        if problem:
            judged = Judged(**{**vars(judged), "seen": "error", "problem": problem})
        write_json(folder / f"{claim.id}.json", record_of(claim, judged))
        yield judged


def _rows(
    claim: Claim, preset: str, fresh: bool, store: RunStore | None
) -> tuple[list[dict[str, Any]], str]:
    """Return the rows that an empirical claim judges, and why they are not all there, or ''."""
    if claim.experiment is None:
        return [], ""
    records = run_preset(claim.experiment, preset, store=store, fresh=fresh)
    if any(record.was_stored and not record.is_current() for record in records):
        # The code that made the stored rows has changed since: they prove nothing about today's.
        records = run_preset(claim.experiment, preset, store=store, fresh=True)
    failed = [record for record in records if record.state != "finished"]
    if failed:
        problem = f"{len(failed)} of {len(records)} runs of {claim.experiment} did not finish: "
        return [], problem + "; ".join(str(record.error or record.state) for record in failed[:3])
    return rows_of(records), ""


def record_of(claim: Claim, judged: Judged) -> dict[str, Any]:
    """Return a verdict with all that a reader of the report needs, as JSON values.

    Args:
        claim: the claim.
        judged: its verdict.

    Returns:
        The record, as it is stored.
    """
    described = {
        "subject": claim.subject,
        "title": claim.title,
        "statement": claim.statement,
        "hypotheses": claim.hypotheses,
        "source": claim.source,
        "kind": claim.kind,
        "file": claim.file,
        "line": claim.line,
        "test": claim.test,
        "experiment": claim.experiment,
        "version": __version__,
        "commit": checkout_commit()[0],
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {**judged.to_json(), **described}
