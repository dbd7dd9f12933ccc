"""The writer's side of a run folder, under its lock.

Every file but the metrics log is written whole or not at all, and ``status.json`` says "finished"
only after the rows are on the disk, with their digest. A process may die between any two system
calls: the next one finds either a finished run or one to continue.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coset.core.errors import ConfigError, StorageError
from coset.core.files import storage_errors, write_atomic, write_json
from coset.lab.configs import leaves, to_json
from coset.lab.experiments import Experiment, reproduce_command, run_digest
from coset.lab.locks import LOCK_NAME
from coset.lab.metrics import json_scalar
from coset.lab.overrides import format_value
from coset.lab.provenance import environment
from coset.lab.records import read_object, read_record

__all__ = ["RESERVED_COLUMNS", "RunFolder", "checked_rows"]

RESERVED_COLUMNS = ("command", "run")


class RunFolder:
    """A run folder whose lock is held.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._status: dict[str, Any] = {}
        self._began = 0.0

    def must_clear(self) -> bool:
        """Tell whether an earlier process died while it emptied the folder."""
        return (read_object(self.path / "status.json") or {}).get("state") == "clearing"

    def clear(self) -> None:
        """Remove everything that an earlier run left; goes on after a kill.

        Raises:
            StorageError: if the folder cannot be changed.
        """
        write_json(self.path / "status.json", {"state": "clearing"})
        with storage_errors(self.path):
            for entry in sorted(self.path.iterdir()):
                if entry.name in (LOCK_NAME, "status.json"):
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()

    def begin(self, item: Experiment, config: Any, preset: str | None, num_threads: int) -> None:
        """Write what is asked and that it is running.

        Args:
            item: the experiment.
            config: the configuration.
            preset: the preset it comes from, if any.
            num_threads: threads that the run may use.

        Raises:
            StorageError: if the folder cannot be written.
        """
        self._sweep_temporary_files()
        previous = read_object(self.path / "status.json") or {}
        self._ask(item, config, preset)
        write_json(self.path / "env.json", environment(item.module, num_threads))
        self._began = time.monotonic()
        self._status = {
            "state": "running",
            "started": previous.get("started") or _now(),
            "ended": None,
            "duration_s": previous.get("duration_s", 0.0),
            "attempts": previous.get("attempts", 0) + 1,
            "process": os.getpid(),
            "error": None,
        }
        write_json(self.path / "status.json", self._status)

    def finish(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows, then that the run is finished.

        Args:
            rows: from `checked_rows`.

        Raises:
            StorageError: if the folder cannot be written; the run is then not finished.
        """
        lines = [json.dumps(r, allow_nan=False, ensure_ascii=False) + "\n" for r in rows]
        content = "".join(lines).encode()
        write_atomic(self.path / "rows.jsonl", content)
        (self.path / "traceback.txt").unlink(missing_ok=True)
        digest = hashlib.sha256(content).hexdigest()
        self._end("finished", rows_sha256=digest, num_rows=len(rows))

    def end(self, state: str, error: Mapping[str, str] | None = None, trace: str = "") -> None:
        """Write that the run ended without rows.

        Args:
            state: "failed" or "interrupted".
            error: {"type", "message"}, if any.
            trace: the traceback, stored in ``traceback.txt``.

        Raises:
            StorageError: if the folder cannot be written.
        """
        if trace:
            write_atomic(self.path / "traceback.txt", trace)
        kept = {**error, "traceback": "traceback.txt" if trace else None} if error else None
        self._end(state, error=kept)

    def mark_dead(self, item: Experiment, config: Any, preset: str | None, message: str) -> None:
        """Write that the process which ran this died; called by another one.

        Args:
            item: the experiment.
            config: the configuration; the process may have died before it wrote even that.
            preset: the preset it comes from, if any.
            message: how it died.

        Raises:
            StorageError: if the folder cannot be written.
        """
        self._sweep_temporary_files()
        self._ask(item, config, preset)
        self._status = read_object(self.path / "status.json") or {}
        self._began = time.monotonic()
        self.end("failed", {"type": "WorkerDied", "message": message})

    def _ask(self, item: Experiment, config: Any, preset: str | None) -> None:
        digest = run_digest(item, config)
        record = read_record(self.path)
        if record is not None and record.digest == digest:
            return
        if record is not None:
            raise StorageError(
                f"{self.path} must belong to the run {digest}; it belongs to {record.digest}; move "
                f"it away"
            )
        asked = {
            "experiment": item.id,
            "version": item.version,
            "digest": digest,
            "module": item.module,
            "preset": preset,
            "command": reproduce_command(item, config, preset),
            "config": to_json(config),
        }
        write_json(self.path / "config.json", asked)

    def _end(self, state: str, **values: Any) -> None:
        spent = time.monotonic() - self._began
        self._status |= {
            "state": state,
            "ended": _now(),
            "duration_s": round(self._status.get("duration_s", 0.0) + spent, 3),
            **values,
        }
        write_json(self.path / "status.json", self._status)

    def _sweep_temporary_files(self) -> None:
        # A process that was killed inside `write_atomic` leaves its temporary file behind.
        with storage_errors(self.path):
            for path in self.path.rglob(".*.tmp"):
                path.unlink(missing_ok=True)


def checked_rows(
    item: Experiment, config: Any, rows: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows with the configuration's fields as first columns.

    Args:
        item: the experiment.
        config: its configuration; a tuple becomes a column of text.
        rows: what the experiment returned; at least one.

    Returns:
        Flat dictionaries of JSON scalars.

    Raises:
        ConfigError: if there is no row, a value is NaN, infinite or no scalar, or a column has a
            reserved name or contradicts the configuration; names row and column.
    """
    asked = {
        name: format_value(value) if isinstance(value, tuple) else value
        for name, (_, value) in leaves(config).items()
    }
    found = []
    for number, row in enumerate(rows or ()):
        if not isinstance(row, Mapping):
            raise ConfigError(
                f"{item.id}: a row must be a dictionary; row {number} is {type(row).__name__}"
            )
        values = {name: _checked(item, number, name, value, asked) for name, value in row.items()}
        found.append(asked | values)
    if not found:
        raise ConfigError(f"{item.id} must return at least one row; it returned none")
    return found


def _checked(item: Experiment, number: int, name: Any, value: Any, asked: Mapping[str, Any]) -> Any:
    where = f"{item.id}, row {number}, column {name!r}"
    if not isinstance(name, str) or name in RESERVED_COLUMNS:
        raise ConfigError(
            f"{where}: a column must be a text other than {', '.join(RESERVED_COLUMNS)}"
        )
    plain = json_scalar(value, where)
    if isinstance(plain, float) and not math.isfinite(plain):
        raise ConfigError(f"{where} must be finite; given {plain}; use None for 'no value'")
    if name in asked and plain != asked[name]:
        raise ConfigError(
            f"{where} must equal the configuration's field, {asked[name]!r}; given {plain!r}; "
            f"rename the column"
        )
    return plain


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
