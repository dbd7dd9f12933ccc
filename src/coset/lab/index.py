"""The SQLite index of a store: a cache of what the run folders say, never the truth itself.

It can be deleted, damaged or locked by somebody else at any moment. Each look-up compares every run
folder's files (inode, size, modification time) with the stored signature and each entry with its
checksum, and reads again what differs. Where the file cannot be used at all, the index lives in
memory. For people: the view ``rows`` has one line a row, ``SELECT row ->> 'seed' FROM rows``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from coset.lab.records import RunRecord, read_record

__all__ = ["INDEX_NAME", "RunIndex"]

INDEX_NAME = "index.sqlite"

_FORMAT = 1
_WATCHED = ("config.json", "status.json", "rows.jsonl")
_BUSY = ("locked", "busy", "readonly", "unable to open", "full", "disk I/O")
_SCHEMA = f"""
BEGIN;
CREATE TABLE IF NOT EXISTS runs (
    folder TEXT PRIMARY KEY, signature TEXT NOT NULL, checksum TEXT NOT NULL,
    experiment TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL);
CREATE VIEW IF NOT EXISTS rows AS
    SELECT experiment, version, folder, item.value AS row
    FROM runs, json_each(runs.record, '$.rows') AS item;
PRAGMA user_version = {_FORMAT};
COMMIT;
"""


class RunIndex:
    """The index of the run folders below `root`.

    Args:
        root: the store's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / INDEX_NAME

    def records(self, experiment: str | None = None) -> list[RunRecord]:
        """Return the runs as the folders say, using and refreshing the index.

        Args:
            experiment: only this experiment's runs.

        Returns:
            The records, sorted by experiment, start and digest. A state "running" is what was
            written last; whether the process lives is the store's business.
        """
        folders = dict(self._folders(experiment))
        if not folders:
            return []
        found = self._refreshed(folders)
        return sorted(
            found, key=lambda r: (r.experiment, str(r.status.get("started", "")), r.digest)
        )

    def rebuild(self) -> int:
        """Delete the index and make it again from the folders.

        Returns:
            The number of runs.
        """
        self._discard()
        return len(self.records())

    def _folders(self, experiment: str | None) -> Iterator[tuple[str, str]]:
        try:
            parents = [self.root / experiment] if experiment else sorted(self.root.iterdir())
        except OSError:
            return
        for parent in parents:
            try:
                children = sorted(entry.name for entry in os.scandir(parent) if entry.is_dir())
            except OSError:
                continue
            for name in children:
                yield f"{parent.name}/{name}", _signature(parent / name)

    def _refreshed(self, folders: dict[str, str]) -> list[RunRecord]:
        for _ in range(2):
            try:
                with self._database(str(self.path)) as database:
                    return self._update(database, folders)
            except sqlite3.DatabaseError as error:
                if any(word in str(error) for word in _BUSY):
                    break
                self._discard()
        with self._database(":memory:") as database:
            return self._update(database, folders)

    @contextmanager
    def _database(self, name: str) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(name, timeout=0.5, isolation_level=None)) as database:
            # A cache need not outlive a power cut: a damaged one is made again.
            database.execute("PRAGMA synchronous = OFF")
            stored = database.execute("PRAGMA user_version").fetchone()[0]
            if stored not in (0, _FORMAT):
                raise sqlite3.DatabaseError(f"the index has format {stored}, not {_FORMAT}")
            if stored == 0:
                database.executescript(_SCHEMA)
            yield database

    def _update(self, database: sqlite3.Connection, folders: dict[str, str]) -> list[RunRecord]:
        stored = {
            folder: (signature, checksum, record)
            for folder, signature, checksum, record in database.execute(
                "SELECT folder, signature, checksum, record FROM runs"
            )
        }
        found: list[RunRecord] = []
        changed: list[tuple[str | int, ...]] = []
        for folder, signature in folders.items():
            entry = stored.get(folder)
            if entry and entry[0] == signature and entry[1] == _checksum(folder, *entry[::2]):
                found.append(RunRecord.from_json(json.loads(entry[2]), self.root / folder))
            elif (record := read_record(self.root / folder)) is not None:
                found.append(record)
                changed.append(_entry(folder, signature, record))
        gone = [(f,) for f in stored if f not in folders and not (self.root / str(f)).is_dir()]
        if changed or gone:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("DELETE FROM runs WHERE folder = ?", gone)
            statement = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)"
            database.executemany(statement, changed)
            database.execute("COMMIT")
        return found

    def _discard(self) -> None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            try:
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            except OSError:
                return


def _signature(folder: Path) -> str:
    parts = []
    for name in _WATCHED:
        try:
            stat = (folder / name).stat()
        except OSError:
            parts.append("-")
        else:
            parts.append(f"{stat.st_ino}.{stat.st_size}.{stat.st_mtime_ns}")
    return " ".join(parts)


def _checksum(folder: str, signature: str, record: str) -> str:
    return hashlib.sha256(f"{folder}\n{signature}\n{record}".encode()).hexdigest()


def _entry(folder: str, signature: str, record: RunRecord) -> tuple[str | int, ...]:
    text = json.dumps({**record.to_json(), "folder": folder}, ensure_ascii=False)
    checksum = _checksum(folder, signature, text)
    return folder, signature, checksum, record.experiment, record.version, record.state, text
