"""The gate and the clock of one benchmark in one process."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import hashlib
import time
from collections.abc import Iterator
from typing import Any

from coset.bench.case import BenchmarkRefusedError, Case, Contestant
from coset.bench.machine import process_facts
from coset.bench.probes import Probe, make_probe
from coset.bench.registry import Benchmark
from coset.core.seeds import generator_for

__all__ = ["Session", "digest_inputs", "limited_threads"]


@contextlib.contextmanager
def limited_threads(num_threads: int) -> Iterator[None]:
    """Set the threads of torch and numba inside a ``with`` block and restore them after it.

    Args:
        num_threads: at least 1; numba's own maximum is not exceeded.

    Yields:
        Nothing.
    """
    import numba
    import torch

    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(num_threads)
    numba.set_num_threads(min(num_threads, vars(numba.config)["NUMBA_NUM_THREADS"]))
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])


def digest_inputs(inputs: Any) -> str:
    """Return a digest of inputs, equal in two processes exactly when the inputs are.

    Args:
        inputs: a tensor, an array, a scalar, a string, or a dataclass, list, tuple or dictionary of
            them.

    Returns:
        Sixteen hexadecimal digits.
    """
    state = hashlib.blake2b(digest_size=8)
    _feed(state, inputs)
    return state.hexdigest()


def _feed(state: Any, value: Any) -> None:
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous().numpy()
    if isinstance(value, np.ndarray):
        state.update(f"{value.dtype}{value.shape}".encode())
        state.update(np.ascontiguousarray(value).data)
    elif dataclasses.is_dataclass(value):
        for part in dataclasses.fields(value):
            _feed(state, getattr(value, part.name))
    elif isinstance(value, dict):
        for key in sorted(value):
            state.update(repr(key).encode())
            _feed(state, value[key])
    elif isinstance(value, (list, tuple)):
        for part in value:
            _feed(state, part)
    else:
        state.update(repr(value).encode())


class Session:
    """Prepares inputs, judges contestants and times them, all in the calling process.

    The same methods exist on ``RemoteSession``, which does it in another process.
    """

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self.case: Case = benchmark.make()
        self._inputs: Any = None
        self._variant = ""
        self._states: dict[str, Any] = {}
        self._probes: dict[str, Probe] = {}

    def check_small(self, variant: str, names: list[str]) -> int:
        """Compare contestants with the reference at every small size.

        Args:
            variant: a variant's name.
            names: contestants' names.

        Returns:
            How many comparisons were made.

        Raises:
            BenchmarkRefusedError: at the first wrong answer.
        """
        comparisons = 0
        for size in self.benchmark.small_sizes:
            inputs = self._make_inputs(size, variant)
            expected = self.case.reference(inputs)
            for name in names:
                contestant = self.case.contestants[name]
                where = f"{variant}, size {size}, against the reference"
                self._judge(name, contestant, inputs, expected, where)
                comparisons += 1
        return comparisons

    def prepare(self, size: int, variant: str) -> str:
        """Make the inputs of one point and drop those of the last.

        Args:
            size: the problem size.
            variant: a variant's name.

        Returns:
            The digest of the inputs.
        """
        self._states.clear()
        self._probes.clear()
        self._inputs = None
        self._inputs = self._make_inputs(size, variant)
        self._variant = f"{variant}, size {size}"
        return digest_inputs(self._inputs)

    def check_full(self, names: list[str]) -> list[str]:
        """Compare contestants with each other on the prepared inputs.

        A peer that does the whole work is the anchor; what is ours is always among the compared.

        Args:
            names: contestants' names.

        Returns:
            The names that were compared with the anchor, the anchor last; empty if no peer does the
            whole work.

        Raises:
            BenchmarkRefusedError: at the first wrong answer.
        """
        peers = [name for name, peer in self.case.peers.items() if not peer.partial]
        anchor = peers[0] if peers else None
        expected = self._output(anchor) if anchor else None
        compared = []
        for name in dict.fromkeys([next(iter(self.case.ours)), *names]):
            contestant = self.case.contestants[name]
            if name == anchor or (anchor is None and not contestant.partial):
                continue
            where = f"{self._variant}, against {anchor}"
            self._judge(name, contestant, self._inputs, expected, where)
            compared.append(name)
        return [*compared, anchor] if anchor else compared

    def _judge(
        self, name: str, contestant: Contestant, inputs: Any, expected: Any, where: str
    ) -> None:
        fault: str | None
        try:
            state = contestant.setup(inputs) if contestant.setup else inputs
            output = contestant.run(state)
            if contestant.partial and contestant.verify is not None:
                fault = contestant.verify(inputs, output)
            else:
                fault = self.case.compare(inputs, output, expected)
        except Exception as error:
            raise BenchmarkRefusedError(_refusal(self.benchmark.id, name, where, error)) from error
        if fault:
            raise BenchmarkRefusedError(_refusal(self.benchmark.id, name, where, fault))

    def _make_inputs(self, size: int, variant: str) -> Any:
        generator = generator_for("bench", self.benchmark.id, variant, size)
        return self.case.prepare(size, self.benchmark.variants[variant], generator)

    def _output(self, name: str) -> Any:
        contestant = self.case.contestants[name]
        return contestant.run(contestant.setup(self._inputs) if contestant.setup else self._inputs)

    def time(self, name: str, num_calls: int) -> tuple[float, float]:
        """Time a contestant, or the probe of a limit, on the prepared inputs.

        With more than one call, one untimed call goes before: the contestant finds its own data in
        the caches, as it would in a loop, not those of whoever ran before it.

        Args:
            name: a contestant's or a limit's name.
            num_calls: timed calls, back to back.

        Returns:
            Seconds a call by the wall clock, and of processor time of this process; for a limit,
            seconds that the needed amount takes at the measured rate.
        """
        if name in self.case.limits:
            probe = self._probe(name)
            wall, cpu = _clock(lambda _: probe.run(), None, num_calls)
            return _rounded(probe.seconds(wall)), _rounded(probe.seconds(cpu))
        contestant = self.case.contestants[name]
        if name not in self._states:
            inputs = self._inputs
            self._states[name] = contestant.setup(inputs) if contestant.setup else inputs
        return _clock(contestant.run, self._states[name], num_calls)

    def _probe(self, name: str) -> Probe:
        if name not in self._probes:
            self._probes[name] = make_probe(self.case.limits[name], self._inputs)
            self._probes[name].run()
        return self._probes[name]

    def describe_limit(self, name: str, seconds: float) -> dict[str, Any]:
        """Say what a limit stands for.

        Args:
            name: a limit's name.
            seconds: its time by the wall clock, as `time` returns it.

        Returns:
            Statement, method, needed amount, rate and unit.
        """
        probe = self._probe(name)
        return {
            "statement": self.case.limits[name].statement,
            "method": probe.method,
            "needed": probe.needed,
            "rate": probe.needed / seconds,
            "unit": probe.unit,
        }

    def facts(self) -> dict[str, Any]:
        """Return the facts of this process: SIMD in use, threads, versions."""
        return process_facts()

    def close(self) -> None:
        """Release the inputs."""
        self._inputs = None
        self._states.clear()
        self._probes.clear()


def _clock(run: Any, state: Any, num_calls: int) -> tuple[float, float]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        if num_calls > 1:
            run(state)
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        for _ in range(num_calls):
            run(state)
        wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
        return _rounded(wall * 1e-9 / num_calls), _rounded(cpu * 1e-9 / num_calls)
    finally:
        if was_enabled:
            gc.enable()


def _rounded(seconds: float) -> float:
    """Keep five digits: no clock of this kind is good to more."""
    return float(f"{seconds:.5g}")


def _refusal(id: str, name: str, where: str, fault: object) -> str:
    what = f"{type(fault).__name__}: {fault}" if isinstance(fault, Exception) else str(fault)
    return (
        f"every contestant of {id} must give the right answer before anything is timed; {name!r} "
        f"({where}) does not: {what}; repair it, then run the benchmark again"
    )
