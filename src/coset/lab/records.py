"""What a run folder says: a record read from its files, believed only where the files agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from coset.core.errors import CosetError, FileFormatError
from coset.core.files import dump_json, read_json

__all__ = [
    "NUM_DIGITS",
    "STATES",
    "RunFailedError",
    "RunRecord",
    "digest_of",
    "read_object",
    "read_record",
    "rows_of",
]

# How many digits of a digest name a run folder.
NUM_DIGITS = 12

STATES = ("finished", "failed", "interrupted", "running", "damaged")


class RunFailedError(CosetError, RuntimeError):
    """Rows were asked of a run that did not finish."""


@dataclass(frozen=True)
class RunRecord:
    """One run: what was asked, how it ended, what it found.

    Attributes:
        experiment: the experiment's id.
        version: the experiment's version.
        digest: the full digest of experiment, version and configuration.
        folder: the run folder.
        config: the configuration as JSON values.
        preset: the preset that the run was first started from, if any.
        command: the command that runs exactly this configuration.
        state: "finished", "failed", "interrupted" (also after a kill), "running", or "damaged"
            (said to be finished, but the rows are not those that were written).
        rows: the rows of a finished run, each with the configuration's fields as columns.
        status: the content of ``status.json``: times, duration, attempts, error.
        was_stored: whether the rows were there already and nothing was run.
    """

    experiment: str
    version: int
    digest: str
    folder: Path
    config: Mapping[str, Any]
    preset: str | None
    command: str
    state: str
    rows: tuple[dict[str, Any], ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    was_stored: bool = False

    @property
    def error(self) -> str | None:
        """What went wrong, as "Type: message", or ``None``."""
        error = self.status.get("error")
        return f"{error.get('type')}: {error.get('message')}" if error else None

    @property
    def duration_s(self) -> float:
        """Seconds of all attempts that ended by themselves; a killed attempt is not counted."""
        return float(self.status.get("duration_s", 0.0))

    @property
    def environment(self) -> dict[str, Any]:
        """The content of ``env.json``, or an empty dictionary."""
        return read_object(self.folder / "env.json") or {}

    def is_current(self) -> bool:
        """Tell whether the rows come from the code that is installed now.

        Returns:
            Whether the digest of the experiment's source code is the stored one; the experiment's
            module must be imported.
        """
        from coset.lab.sources import source_digest

        module = (read_object(self.folder / "config.json") or {}).get("module", "")
        return self.environment.get("source_sha256") == source_digest(module)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values, the folder as text."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {"folder": str(self.folder), "rows": [dict(r) for r in self.rows]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> Self:
        """Rebuild a record.

        Args:
            value: what `to_json` returned.
            folder: where the run folder is now.

        Returns:
            The record.
        """
        return cls(**{**value, "folder": folder, "rows": tuple(value["rows"])})

    def as_stored(self) -> RunRecord:
        """Return a copy marked as found in the store rather than run."""
        return replace(self, was_stored=True)

    def with_state(self, state: str) -> RunRecord:
        """Return a copy in another state.

        Args:
            state: one of `STATES`.

        Returns:
            The copy.
        """
        return replace(self, state=state)


def read_record(folder: Path) -> RunRecord | None:
    """Read a run folder; a file that is missing, torn or altered never gives rows.

    Args:
        folder: the run folder.

    Returns:
        The record, "running" if that is what was written last, or ``None`` if the folder does not
        say which run it is.
    """
    asked = read_object(folder / "config.json")
    if asked is None or not _is_of(folder, asked):
        return None
    status = read_object(folder / "status.json") or {}
    state = status.get("state", "interrupted")
    rows: list[dict[str, Any]] | None = []
    if state == "finished":
        rows = _read_rows(folder / "rows.jsonl", status)
        state = "damaged" if rows is None else state
    return RunRecord(
        experiment=asked["experiment"],
        version=asked["version"],
        digest=asked["digest"],
        folder=folder,
        config=asked["config"],
        preset=asked.get("preset"),
        command=asked.get("command", ""),
        state=state if state in STATES else "interrupted",
        rows=tuple(rows or ()),
        status=status,
    )


_REQUIRED = {"experiment": str, "version": int, "digest": str, "config": dict}


def _is_of(folder: Path, asked: Mapping[str, Any]) -> bool:
    # An edited configuration, or a copy of a folder under another name, is no run of this store.
    if not all(isinstance(asked.get(name), kind) for name, kind in _REQUIRED.items()):
        return False
    digest = digest_of(asked["experiment"], asked["version"], asked["config"])
    place = (asked["experiment"], digest[:NUM_DIGITS])
    return asked["digest"] == digest and (folder.parent.name, folder.name) == place


def digest_of(experiment: str, version: int, config: Mapping[str, Any]) -> str:
    """Return the SHA-256 digest that identifies a run.

    Args:
        experiment: the experiment's id.
        version: its version.
        config: the configuration as JSON values.

    Returns:
        64 hexadecimal digits; the run folder's name is the first `NUM_DIGITS`.
    """
    key = {"experiment": experiment, "version": version, "config": config}
    return hashlib.sha256(dump_json(key, indent=None).encode()).hexdigest()


def rows_of(records: Iterable[RunRecord]) -> list[dict[str, Any]]:
    """Return the rows of all runs, in order.

    Args:
        records: finished runs.

    Returns:
        The rows.

    Raises:
        RunFailedError: if a run did not finish; names it, the reason and the command.
    """
    rows: list[dict[str, Any]] = []
    for record in records:
        if record.state != "finished":
            raise RunFailedError(
                f"every run must be finished to use its rows; {record.folder.name} of "
                f"{record.experiment} is {record.state} ({record.error or 'no error recorded'}); "
                f"run it again with: {record.command}"
            )
        rows += [dict(row) for row in record.rows]
    return rows


def read_object(path: Path) -> dict[str, Any] | None:
    """Read a JSON object that may be missing or damaged.

    Args:
        path: the file.

    Returns:
        The object, or ``None``.
    """
    try:
        value = read_json(path)
    except (OSError, FileFormatError):
        return None
    return value if isinstance(value, dict) else None


def _read_rows(path: Path, status: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != status.get("rows_sha256"):
        return None
    return [json.loads(line) for line in content.splitlines()]
