"""Run one grid point: the same rows in any process, in any order, after any number of kills."""

from __future__ import annotations

import contextlib
import errno
import random
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from coset.core.errors import CosetError, RunLockedError, StorageError
from coset.core.seeds import derive_seed
from coset.lab.configs import canonical, from_json, to_json
from coset.lab.context import Report, RunContext
from coset.lab.experiments import Experiment, find_experiment
from coset.lab.records import RunRecord
from coset.lab.run_folder import RunFolder, checked_rows
from coset.lab.store import RunStore

__all__ = ["Outcome", "Task", "execute", "run_point"]


@dataclass(frozen=True)
class Task:
    """One grid point as plain values, so that it can travel to another process or machine.

    Attributes:
        index: the place of the point in the sweep.
        experiment: the experiment's id.
        module: where the experiment is defined.
        config: the configuration as JSON values.
        preset: the preset it comes from.
        root: the store's folder.
        fresh: whether to run although rows are stored.
        num_threads: threads that it may use.
    """

    index: int
    experiment: str
    module: str
    config: dict[str, Any]
    preset: str | None
    root: str
    fresh: bool = False
    num_threads: int = 1


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        index: the task's place in the sweep.
        kind: "done" (see the record: finished or failed), "locked" (another process runs it),
            "storage" (the store cannot be written) or "died" (its process ended without a word).
        record: the run, if "done".
        message: what happened otherwise.
    """

    index: int
    kind: Literal["done", "locked", "storage", "died"]
    record: RunRecord | None = None
    message: str = ""


def run_point(
    experiment_id: str,
    config: Any,
    store: RunStore | None = None,
    *,
    preset: str | None = None,
    fresh: bool = False,
    report: Report | None = None,
    num_threads: int = 1,
    module: str | None = None,
) -> RunRecord:
    """Run one configuration, or return its rows if they are stored.

    The global random states of Python, NumPy and torch are seeded from experiment and
    configuration, and restored after the run; so is the number of threads, since the order of
    a sum can depend on it. A run that was killed, interrupted or failed continues: what the
    experiment checkpointed is in its folder.

    Args:
        experiment_id: the experiment's id.
        config: its configuration.
        store: where runs are kept; the default store if ``None``.
        preset: the preset it comes from, for the command that reproduces it.
        fresh: empty the folder and run even if rows are stored.
        report: receives (done, total, note).
        num_threads: threads for torch, BLAS and numba.
        module: where the experiment is defined, if it is not in a subject.

    Returns:
        The record: "finished" with rows, or "failed" with the error (the traceback lies in the
        folder's ``traceback.txt``).

    Raises:
        UnknownNameError: if the experiment is unknown.
        ConfigError: if the configuration does not fit.
        RunLockedError: if another process writes to the run folder.
        StorageError: if the folder cannot be written; run again when it can.
        KeyboardInterrupt: if the run is interrupted; run again to continue.
    """
    item = find_experiment(experiment_id, module)
    config = canonical(config)
    store = store or RunStore()
    if not fresh and (stored := _finished(store, item, config)):
        return stored
    with store.locked(item, config) as folder:
        # Another process may have finished it while this one waited for the lock.
        if not fresh and (stored := _finished(store, item, config)):
            return stored
        if fresh or folder.must_clear():
            folder.clear()
        folder.begin(item, config, preset, num_threads)
        _run_inside(folder, item, config, report, num_threads)
        record = store.find(item, config)
    if record is None:
        raise StorageError(f"{folder.path} must stay while a run writes to it; it was removed")
    return record


def execute(task: Task, report: Report | None = None) -> Outcome:
    """Run a task; whatever goes wrong, except an interrupt, becomes part of the outcome.

    Args:
        task: the task.
        report: receives (done, total, note).

    Returns:
        The outcome.
    """
    try:
        item = find_experiment(task.experiment, task.module)
        record = run_point(
            task.experiment,
            from_json(item.config_class, task.config),
            RunStore(Path(task.root)),
            preset=task.preset,
            fresh=task.fresh,
            report=report,
            num_threads=task.num_threads,
            module=task.module,
        )
    except RunLockedError as error:
        return Outcome(task.index, "locked", message=str(error))
    except StorageError as error:
        return Outcome(task.index, "storage", message=str(error))
    except Exception as error:
        return Outcome(task.index, "died", message=f"{type(error).__name__}: {error}")
    return Outcome(task.index, "done", record)


def _finished(store: RunStore, item: Experiment, config: Any) -> RunRecord | None:
    record = store.find(item, config)
    if record is None or record.state != "finished":
        return None
    return record.as_stored()


def _run_inside(
    folder: RunFolder, item: Experiment, config: Any, report: Report | None, num_threads: int
) -> None:
    context = RunContext(item.id, config, folder.path, report)
    seed = derive_seed(item.id, to_json(config), "global")
    try:
        with _fixed_threads(num_threads), _fixed_randomness(seed):
            rows = checked_rows(item, config, item.run(config, context))
        folder.finish(rows)
    except KeyboardInterrupt:
        with contextlib.suppress(StorageError):
            folder.end("interrupted")
        raise
    except (Exception, SystemExit) as error:
        failure = _as_storage_error(error, folder.path)
        with contextlib.suppress(StorageError):
            folder.end("failed", *_described(failure))
        if isinstance(failure, StorageError):
            raise failure from error
    finally:
        context.metrics.close()


def _described(error: BaseException) -> tuple[dict[str, str], str]:
    trace = "".join(traceback.format_exception(error))
    return {"type": type(error).__name__, "message": str(error)}, trace


def _as_storage_error(error: BaseException, path: Path) -> BaseException:
    full = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS)
    if isinstance(error, CosetError) or not isinstance(error, OSError) or error.errno not in full:
        return error
    where = error.filename or path
    return StorageError(
        f"cannot write {where}: {error.strerror}; free some space or set COSET_OUT to a larger "
        f"disk, then run the same command again: it resumes"
    )


@contextlib.contextmanager
def _fixed_randomness(seed: int) -> Iterator[None]:
    import numpy
    import torch

    python_state, numpy_state = random.getstate(), numpy.random.get_state()  # noqa: NPY002
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        random.seed(seed)
        numpy.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python_state)
            numpy.random.set_state(numpy_state)  # noqa: NPY002


@contextlib.contextmanager
def _fixed_threads(num_threads: int) -> Iterator[None]:
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    numba = sys.modules.get("numba")
    numba_before = numba.get_num_threads() if numba else 0
    with threadpool_limits(num_threads):
        torch.set_num_threads(num_threads)
        if numba:
            numba.set_num_threads(min(num_threads, numba.config.NUMBA_NUM_THREADS))
        try:
            yield
        finally:
            torch.set_num_threads(before)
            if numba:
                numba.set_num_threads(numba_before)
