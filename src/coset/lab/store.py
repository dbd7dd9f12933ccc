"""The run store: one folder a grid point, ``ROOT/EXPERIMENT/DIGEST``, and look-ups across them.

A folder holds ``config.json`` (what was asked, and the command that asks it again), ``env.json``,
``status.json`` (state, times, attempts, error), ``metrics.jsonl``, ``rows.jsonl``, ``checkpoints/``
and ``figures/``. Clock values live in ``status.json`` only, so that equal runs have equal rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coset.core.errors import UnknownNameError
from coset.core.files import output_folder
from coset.lab.configs import from_json
from coset.lab.experiments import (
    Experiment,
    find_experiment,
    points,
    reproduce_command,
    run_digest,
)
from coset.lab.index import RunIndex
from coset.lab.locks import is_locked, run_lock
from coset.lab.records import NUM_DIGITS, RunRecord, read_record
from coset.lab.run_folder import RunFolder

__all__ = ["RunRecord", "RunStore"]


class RunStore:
    """A folder of runs.

    Args:
        root: the folder; ``runs`` in the output folder if ``None``. It is made at the first run.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = output_folder() / "runs" if root is None else Path(root)

    def folder(self, item: Experiment, config: Any) -> Path:
        """Return the folder of one run.

        Args:
            item: the experiment.
            config: its configuration.

        Returns:
            The path; it need not exist.

        Raises:
            ConfigError: if the configuration does not fit the experiment.
        """
        return self.root / item.id / run_digest(item, config)[:NUM_DIGITS]

    @contextmanager
    def locked(self, item: Experiment, config: Any) -> Iterator[RunFolder]:
        """Open a run folder for writing; made for ``with``.

        Args:
            item: the experiment.
            config: its configuration.

        Yields:
            The folder, whose lock is held inside the block.

        Raises:
            RunLockedError: if another process writes to it.
            StorageError: if it cannot be made.
        """
        path = self.folder(item, config)
        with run_lock(path):
            yield RunFolder(path)

    def find(self, item: Experiment, config: Any) -> RunRecord | None:
        """Return the record of one run, from its folder.

        Args:
            item: the experiment.
            config: its configuration.

        Returns:
            The record, or ``None`` if it was never started.
        """
        record = read_record(self.folder(item, config))
        return None if record is None else _alive(record)

    def runs(
        self, experiment: str | None = None, preset: str | None = None, state: str | None = None
    ) -> list[RunRecord]:
        """Return the stored runs.

        Args:
            experiment: only this experiment's.
            preset: only the grid points of this preset as it is defined now, in its order; needs
                `experiment`.
            state: only runs in this state.

        Returns:
            The records, in order of the preset's grid, or else of experiment and start.

        Raises:
            UnknownNameError: if the experiment (when a preset is given) or the preset is unknown.
        """
        found = [_alive(record) for record in RunIndex(self.root).records(experiment)]
        if preset is not None:
            if experiment is None:
                raise UnknownNameError(f"preset {preset!r} needs an experiment; give one")
            item = find_experiment(experiment)
            by_digest = {record.digest: record for record in found}
            wanted = [run_digest(item, config) for config in points(item, preset)]
            found = [by_digest[digest] for digest in wanted if digest in by_digest]
        return [record for record in found if state in (None, record.state)]

    def rows(
        self, experiment: str, preset: str | None = None, **where: Any
    ) -> list[dict[str, Any]]:
        """Return the rows of an experiment's finished runs, of its newest stored version.

        Args:
            experiment: the experiment's id.
            preset: only the grid points of this preset.
            **where: column to the wanted value, or to a tuple, list or set of values.

        Returns:
            The rows with two more columns: ``run`` (the folder) and ``command`` (reproduces it).

        Raises:
            UnknownNameError: if no row has a column that `where` names.
        """
        finished = self.runs(experiment, preset, state="finished")
        newest = max((record.version for record in finished), default=0)
        rows = [
            {**row, "run": str(record.folder), "command": _command(record, preset)}
            for record in finished
            if record.version == newest
            for row in record.rows
        ]
        columns = {name for row in rows for name in row}
        for name in where:
            if rows and name not in columns:
                raise UnknownNameError.of(f"column of {experiment}", name, columns)
        return [row for row in rows if all(_matches(row, n, w) for n, w in where.items())]

    def rebuild_index(self) -> int:
        """Delete the index and make it again; never needed, since look-ups refresh it.

        Returns:
            The number of runs.
        """
        return RunIndex(self.root).rebuild()


def _alive(record: RunRecord) -> RunRecord:
    if record.state != "running" or is_locked(record.folder):
        return record
    # It may have ended between the reading and the look at its lock.
    again = read_record(record.folder) or record
    return again.with_state("interrupted") if again.state == "running" else again


def _command(record: RunRecord, preset: str | None) -> str:
    if preset is None or preset == record.preset:
        return record.command
    item = find_experiment(record.experiment)
    return reproduce_command(item, from_json(item.config_class, dict(record.config)), preset)


def _matches(row: dict[str, Any], name: str, wanted: Any) -> bool:
    options = wanted if isinstance(wanted, tuple | list | set | frozenset) else (wanted,)
    return name in row and any(_same(row[name], option) for option in options)


def _same(left: Any, right: Any) -> bool:
    # True is 1 in Python, but a column of truth values is not one of counts.
    return left == right and isinstance(left, bool) == isinstance(right, bool)
