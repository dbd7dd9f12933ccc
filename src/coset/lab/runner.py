"""Run a preset: its grid points, through an engine, into a store, in the order of the grid."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from coset.core.errors import RunLockedError, StorageError
from coset.lab.configs import to_json
from coset.lab.experiments import find_experiment, points
from coset.lab.point import Outcome, Task, run_point
from coset.lab.records import RunRecord, rows_of
from coset.lab.store import RunStore
from coset.lab.sweeps import Engine, LocalEngine

__all__ = ["rows_of", "run_point", "run_preset"]

Show = Callable[[float, float, str], None]


def run_preset(
    experiment_id: str,
    preset: str,
    overrides: Sequence[str] = (),
    grid: Mapping[str, Sequence[Any]] | None = None,
    seeds: Sequence[int] | None = None,
    *,
    engine: Engine | None = None,
    store: RunStore | None = None,
    fresh: bool = False,
    progress: Show | None = None,
    module: str | None = None,
) -> list[RunRecord]:
    """Run every grid point of a preset; stored rows are used, unfinished runs continue.

    A point that fails, or whose process dies, is recorded as failed and the others go on; the same
    command tries it again.

    Args:
        experiment_id: the experiment's id.
        preset: the preset's name.
        overrides: ``field=value`` texts.
        grid: field to values, in place of or beside the preset's grid.
        seeds: values of the field ``seed``.
        engine: what runs the points; this process, one thread, if ``None``.
        store: where runs are kept; the default store if ``None``.
        fresh: run even what is stored.
        progress: receives (done, total, note), as `Progress.update` does; counted in runs.
        module: where the experiment is defined, if it is not in a subject.

    Returns:
        One record a point, in the order of the grid, finished or failed.

    Raises:
        UnknownNameError: if experiment or preset are unknown.
        ConfigError: if an override or the grid does not fit; nothing is run then.
        StorageError: if the store cannot be written; the sweep stops and can be resumed.
        RunLockedError: if another process runs some of the points; raised after the others ended.
        KeyboardInterrupt: if interrupted; the running points are stored as interrupted.
    """
    item = find_experiment(experiment_id, module)
    store = store or RunStore()
    configs = points(item, preset, overrides, grid, seeds)
    tasks = [
        Task(
            index=index,
            experiment=item.id,
            module=item.module,
            config=to_json(config),
            preset=preset,
            root=str(store.root),
            fresh=fresh,
        )
        for index, config in enumerate(configs)
    ]
    sweep = _Sweep(store, configs, tasks, progress)
    return sweep.run(engine or LocalEngine())


class _Sweep:
    def __init__(
        self, store: RunStore, configs: list[Any], tasks: list[Task], show: Show | None
    ) -> None:
        self.store = store
        self.configs = configs
        self.tasks = tasks
        self.show = show
        self.records: dict[int, RunRecord] = {}
        self.locked: list[str] = []
        self.fractions: dict[int, float] = {}

    def run(self, engine: Engine) -> list[RunRecord]:
        waiting = [task for task in self.tasks if task.fresh or not self._is_stored(task)]
        self._show("")
        outcomes = engine.run(waiting, self._report)
        closing = contextlib.closing(outcomes) if isinstance(outcomes, Generator) else None
        with closing or contextlib.nullcontext():
            for outcome in outcomes:
                self._take(outcome)
        if self.locked:
            raise RunLockedError(
                f"{len(self.locked)} of {len(self.tasks)} runs must be left to another process, "
                f"the others ended: {self.locked[0]}"
            )
        return [self.records[task.index] for task in self.tasks]

    def _is_stored(self, task: Task) -> bool:
        # Asked here, so that a sweep of which all is stored starts no process and loads no torch.
        item = find_experiment(task.experiment)
        record = self.store.find(item, self.configs[task.index])
        if record is None or record.state != "finished":
            return False
        self.records[task.index] = record.as_stored()
        return True

    def _take(self, outcome: Outcome) -> None:
        self.fractions.pop(outcome.index, None)
        if outcome.kind == "storage":
            raise StorageError(outcome.message)
        if outcome.kind == "locked":
            self.locked.append(outcome.message)
        elif outcome.record is not None:
            self.records[outcome.index] = outcome.record
        else:
            self._record_death(outcome)
        self._show("")

    def _record_death(self, outcome: Outcome) -> None:
        config, task = self.configs[outcome.index], self.tasks[outcome.index]
        item = find_experiment(task.experiment)
        try:
            with self.store.locked(item, config) as folder:
                folder.mark_dead(item, config, task.preset, outcome.message)
                record = self.store.find(item, config)
        except RunLockedError as error:
            self.locked.append(str(error))
            return
        if record is None:
            raise StorageError(f"{self.store.folder(item, config)} was removed during the sweep")
        self.records[outcome.index] = record

    def _report(self, index: int, done: float, total: float, note: str) -> None:
        self.fractions[index] = min(1.0, done / total) if total > 0 else 0.0
        self._show(note)

    def _show(self, note: str) -> None:
        if self.show:
            ended = len(self.records) + len(self.locked)
            self.show(ended + sum(self.fractions.values()), len(self.tasks), note)
