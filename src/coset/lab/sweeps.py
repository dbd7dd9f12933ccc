"""Engines that run the tasks of a sweep: in this process, or in a pool of processes.

An engine only moves tasks and outcomes; rows, order and randomness do not depend on it. The pool
spawns its workers (a fork of a process with threads can hang), gives each one thread unless told
otherwise, survives the death of any of them, and dies with its parent.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection as channels
from multiprocessing import resource_tracker
from typing import Any, Protocol

from coset.core.errors import ConfigError, UnavailableError
from coset.lab.point import Outcome, Task, execute

__all__ = ["Engine", "LocalEngine", "TaskReport"]

TaskReport = Callable[[int, float, float, str], None]

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
_MAX_FAILED_STARTS = 3
_GRACE_S = 30.0


class Engine(Protocol):
    """What runs tasks."""

    def run(self, tasks: Sequence[Task], report: TaskReport | None = None) -> Iterator[Outcome]:
        """Run the tasks and yield one outcome for each, in any order.

        Args:
            tasks: the tasks.
            report: receives (index, done, total, note) of running tasks.

        Yields:
            An outcome as soon as its task has ended.
        """
        ...


@dataclass(frozen=True)
class LocalEngine:
    """Run tasks on this machine.

    Attributes:
        num_workers: how many at a time. One runs in this process; more run in a pool, and a
            script that starts a pool needs the usual ``if __name__ == "__main__":``.
        num_threads: threads of each; rows are only promised to be equal for equal `num_threads`.
        isolate: use a worker process even for one, so that its death does not end the sweep.
    """

    num_workers: int = 1
    num_threads: int = 1
    isolate: bool = False

    def __post_init__(self) -> None:
        if self.num_workers < 1 or self.num_threads < 1:
            raise ConfigError(
                f"num_workers and num_threads must be at least 1; given {self.num_workers} and "
                f"{self.num_threads}"
            )

    def run(self, tasks: Sequence[Task], report: TaskReport | None = None) -> Iterator[Outcome]:
        """Run the tasks.

        Args:
            tasks: the tasks.
            report: receives (index, done, total, note) of running tasks.

        Yields:
            An outcome as soon as its task has ended. Closing the iterator interrupts the running
            tasks, which continue at the next run.

        Raises:
            UnavailableError: if worker processes cannot start.
        """
        prepared = [replace(task, num_threads=self.num_threads) for task in tasks]
        if self.num_workers == 1 and not self.isolate:
            for task in prepared:
                yield execute(task, _bound(report, task.index))
        elif prepared:
            yield from _Pool(self, prepared, report).outcomes()


def _bound(report: TaskReport | None, index: int) -> Callable[[float, float, str], None] | None:
    if report is None:
        return None
    return lambda done, total, note: report(index, done, total, note)


@dataclass
class _Worker:
    process: Any
    channel: channels.Connection
    is_ready: bool = False
    task: Task | None = None


class _Pool:
    def __init__(
        self, engine: LocalEngine, tasks: Sequence[Task], report: TaskReport | None
    ) -> None:
        self.engine = engine
        self.pending = deque(tasks)
        self.report = report
        self.workers: list[_Worker] = []
        self.num_failed_starts = 0

    def outcomes(self) -> Iterator[Outcome]:
        try:
            while self.pending or any(w.task for w in self.workers):
                self._fill()
                for worker in self._wait():
                    yield from self._attend(worker)
        except BaseException:
            self._stop(signal.SIGINT)
            raise
        self._stop(None)

    def _fill(self) -> None:
        busy = sum(worker.task is not None for worker in self.workers)
        wanted = min(self.engine.num_workers, busy + len(self.pending))
        while len(self.workers) < wanted:
            self.workers.append(_start_worker(self.engine.num_threads))

    def _wait(self) -> list[_Worker]:
        ends = [w.channel for w in self.workers] + [w.process.sentinel for w in self.workers]
        ready = channels.wait(ends)
        return [w for w in self.workers if w.channel in ready or w.process.sentinel in ready]

    def _attend(self, worker: _Worker) -> Iterator[Outcome]:
        messages, is_alive = _received(worker)
        for word, *values in messages:
            if word == "progress" and self.report:
                self.report(*values)
            if word == "done":
                worker.task = None
                yield values[0]
            if word in ("ready", "done"):
                worker.is_ready = True
                if is_alive:
                    self._assign(worker)
        if not is_alive:
            yield from self._bury(worker)

    def _assign(self, worker: _Worker) -> None:
        if self.pending:
            # If it is dead already, the look at its sentinel says so.
            with contextlib.suppress(OSError):
                worker.channel.send(self.pending[0])
                worker.task = self.pending.popleft()

    def _bury(self, worker: _Worker) -> Iterator[Outcome]:
        worker.process.join()
        worker.channel.close()
        self.workers.remove(worker)
        code = worker.process.exitcode
        if worker.task is not None:
            name = f" ({signal.Signals(-code).name})" if code < 0 else ""
            yield Outcome(worker.task.index, "died", message=f"worker died, exit code {code}{name}")
        elif not worker.is_ready:
            self.num_failed_starts += 1
            if self.num_failed_starts >= _MAX_FAILED_STARTS:
                raise UnavailableError(
                    f"worker processes must be able to start; {self.num_failed_starts} ended with "
                    f"exit code {code} before their first task; guard the script with "
                    f'`if __name__ == "__main__":`, or use one worker'
                )

    def _stop(self, number: signal.Signals | None) -> None:
        for worker in self.workers:
            with contextlib.suppress(OSError):
                if number is not None and worker.process.exitcode is None:
                    os.kill(worker.process.pid, number)
                worker.channel.send(None)
        give_up = time.monotonic() + _GRACE_S
        try:
            for worker in self.workers:
                self._drain_until_end(worker, give_up)
        finally:
            for worker in self.workers:
                worker.process.kill()
                worker.process.join()
                worker.channel.close()

    @staticmethod
    def _drain_until_end(worker: _Worker, give_up: float) -> None:
        # A worker that cannot send its last words would never end.
        with contextlib.suppress(EOFError, OSError):
            while time.monotonic() < give_up and worker.channel.poll(give_up - time.monotonic()):
                worker.channel.recv()
        worker.process.join(max(0.0, give_up - time.monotonic()))


def _received(worker: _Worker) -> tuple[list[tuple[Any, ...]], bool]:
    # What a worker said before it died still counts.
    messages: list[tuple[Any, ...]] = []
    is_alive = worker.process.exitcode is None
    try:
        while worker.channel.poll():
            messages.append(worker.channel.recv())
    except (EOFError, OSError):
        is_alive = False
    return messages, is_alive


def _start_worker(num_threads: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    # Started now, since starting it lets signals through again.
    resource_tracker.ensure_running()
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,))
    with _inherited(dict.fromkeys(_THREAD_VARIABLES, str(num_threads))):
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextlib.contextmanager
def _inherited(variables: dict[str, str]) -> Iterator[None]:
    # Thread pools read these when they are loaded; and Ctrl-C in the terminal is the parent's to
    # pass on, once, so a worker is born deaf to it.
    before = {name: os.environ.get(name) for name in variables}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _work(channel: channels.Connection) -> None:
    os.setpgid(0, 0)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        channel.send(("ready",))
        while (task := channel.recv()) is not None:
            index = task.index

            def report(done: float, total: float, note: str, index: int = index) -> None:
                channel.send(("progress", index, done, total, note))

            channel.send(("done", execute(task, report)))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        return


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    channels.wait([parent.sentinel])
    # The lock of a run must not outlive the sweep that started it.
    os._exit(1)
