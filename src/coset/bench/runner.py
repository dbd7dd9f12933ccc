"""Run a benchmark: gate first, then everybody interleaved."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Sequence
from typing import Any

from coset.bench.case import BenchmarkRefusedError
from coset.bench.gate import check_tests, pass_small
from coset.bench.interleave import calls_per_turn, measure, schedule
from coset.bench.machine import (
    checkout_folder,
    commit_facts,
    load_average,
    machine_facts,
    machine_slug,
)
from coset.bench.registry import Benchmark, find_benchmark
from coset.bench.remote import RemoteSession
from coset.bench.results import BenchReport, Measurement, Point
from coset.bench.session import Session, limited_threads
from coset.core.errors import ConfigError, UnknownNameError, UnsupportedError
from coset.core.seeds import derive_seed

__all__ = ["run_benchmark"]

Told = Callable[[str], None]
Settings = dict[str, Any]


def run_benchmark(
    id: str,
    *,
    sizes: Sequence[int] | None = None,
    variants: Sequence[str] | None = None,
    repeats: int = 15,
    seconds_per_point: float = 60.0,
    num_threads: int = 1,
    device: str = "cpu",
    run_tests: bool = True,
    told: Told | None = None,
) -> BenchReport:
    """Check every contestant, then time all of them interleaved at each size of each variant.

    Args:
        id: for instance "sharing.prox".
        sizes: problem sizes; by default the registered ones.
        variants: names; by default all.
        repeats: rounds a point.
        seconds_per_point: no new round starts after this time, but five always run.
        num_threads: threads of torch and numba, restored afterward.
        device: "cpu".
        run_tests: whether to run the case's tests first.
        told: progress, one line each.

    Returns:
        The report; `coset.bench.save_report` stores it.

    Raises:
        UnknownNameError: if the benchmark or a variant is unknown.
        BenchmarkRefusedError: if a contestant is wrong or a test is red; nothing is timed.
        WorkerError: if the process of another environment dies.
        ConfigError: if sizes, repeats or threads are below 1.
        UnsupportedError: if the device is not "cpu".
    """
    benchmark = find_benchmark(id)
    chosen = _choose_variants(benchmark, variants)
    settings = _settings(benchmark, sizes, repeats, seconds_per_point, num_threads, device)
    root = checkout_folder()
    tests = check_tests(benchmark.make().tests, root) if run_tests else "not run: not asked for"
    return _run(benchmark, chosen, settings, {"tests": tests}, told or (lambda line: None))


def _run(
    benchmark: Benchmark, variants: list[str], settings: Settings, gate: Settings, say: Told
) -> BenchReport:
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    source = commit_facts(checkout_folder())
    with limited_threads(settings["num_threads"]), contextlib.ExitStack() as stack:
        runs = _Sessions(benchmark, settings["num_threads"], stack)
        counts = pass_small(runs.sessions, runs.names, variants, say)
        points = [
            _measure_point(runs, size, variant, settings, say)
            for variant in variants
            for size in settings["sizes"]
        ]
        processes = {key: session.facts() for key, session in runs.sessions.items()}
    machine = machine_facts()
    return BenchReport(
        id=benchmark.id,
        title=benchmark.title,
        when=when,
        complete=set(variants) == set(benchmark.variants)
        and set(benchmark.sizes) <= set(settings["sizes"]),
        settings=settings,
        gate={**gate, "small_sizes": list(benchmark.small_sizes), "comparisons": counts},
        machine={**machine, "slug": machine_slug(machine)},
        source=source,
        processes=processes,
        points=tuple(points),
    )


def _choose_variants(benchmark: Benchmark, variants: Sequence[str] | None) -> list[str]:
    for name in variants or ():
        if name not in benchmark.variants:
            raise UnknownNameError.of(f"variant of {benchmark.id}", name, benchmark.variants)
    return [name for name in benchmark.variants if variants is None or name in variants]


def _settings(
    benchmark: Benchmark,
    sizes: Sequence[int] | None,
    repeats: int,
    seconds_per_point: float,
    num_threads: int,
    device: str,
) -> Settings:
    if device != "cpu":
        raise UnsupportedError(
            f"benchmarks run on the device 'cpu'; got {device!r}; GPU timing is not built yet"
        )
    chosen = sorted(set(benchmark.sizes if sizes is None else sizes))
    if not chosen or chosen[0] < 1 or repeats < 1 or num_threads < 1:
        raise ConfigError(
            "sizes, repeats and num_threads must be at least 1; got "
            f"sizes={chosen}, repeats={repeats}, num_threads={num_threads}"
        )
    return {
        "sizes": chosen,
        "repeats": repeats,
        "seconds_per_point": seconds_per_point,
        "num_threads": num_threads,
        "device": device,
        "load_at_start": load_average(),
    }


class _Sessions:
    """One session in this process, and one worker for each other environment."""

    def __init__(self, benchmark: Benchmark, num_threads: int, stack: contextlib.ExitStack) -> None:
        self.benchmark = benchmark
        self.local = Session(benchmark)
        stack.callback(self.local.close)
        self.sessions: dict[str, Session | RemoteSession] = {"": self.local}
        for contestant in self.local.case.contestants.values():
            key = _environment_key(contestant.environment)
            if key not in self.sessions:
                remote = RemoteSession(benchmark, contestant.environment, num_threads)
                stack.callback(remote.close)
                self.sessions[key] = remote

    def names(self, key: str, variant: str) -> list[str]:
        """Return the contestants of a variant that run in the environment `key`."""
        found = self.local.case.applicable(self.benchmark.variants[variant])
        return [n for n, c in found.items() if _environment_key(c.environment) == key]

    def session_of(self, name: str) -> Session | RemoteSession:
        """Return the session that times a contestant or a limit."""
        contestant = self.local.case.contestants.get(name)
        return self.sessions[_environment_key(contestant.environment) if contestant else ""]


def _environment_key(environment: Any) -> str:
    return " ".join(f"{name}={environment[name]}" for name in sorted(environment))


def _measure_point(
    runs: _Sessions, size: int, variant: str, settings: Settings, say: Told
) -> Point:
    """Prepare, check and measure one size of one variant."""
    benchmark, case = runs.benchmark, runs.local.case
    say(f"{variant}, size {size}: inputs and full-size check")
    digests = {key: session.prepare(size, variant) for key, session in runs.sessions.items()}
    if len(set(digests.values())) != 1:
        raise BenchmarkRefusedError(
            f"all processes must work on the same inputs; digests at {variant}, size {size} "
            f"differ: {digests}; `prepare` of {benchmark.id} must depend on its arguments only"
        )
    for key, session in runs.sessions.items():
        session.check_full(runs.names(key, variant))
    names = [*case.applicable(benchmark.variants[variant]), *case.limits]
    num_calls = {name: calls_per_turn(runs.session_of(name).time(name, 1)[0]) for name in names}
    timers = {name: _timer(runs.session_of(name), name, num_calls[name]) for name in names}
    seed = derive_seed("bench order", benchmark.id, variant, size)
    orders = schedule(names, settings["repeats"], seed)
    before = tuple(load_average())
    found = measure(
        timers,
        orders,
        settings["seconds_per_point"],
        after_round=lambda done: say(f"{variant}, size {size}: round {done} of {len(orders)}"),
    )
    measurements = [_record(runs.local, name, found[name], num_calls[name]) for name in names]
    after = tuple(load_average())
    return Point(
        size, variant, next(iter(digests.values())), seed, tuple(measurements), before, after
    )


def _timer(
    session: Session | RemoteSession, name: str, num_calls: int
) -> Callable[[], tuple[float, float]]:
    return lambda: session.time(name, num_calls)


def _record(
    session: Session, name: str, turns: list[tuple[float, float]], num_calls: int
) -> Measurement:
    case = session.case
    row = Measurement(
        name=name,
        role="limit" if name in case.limits else "ours" if name in case.ours else "peer",
        seconds=tuple(wall for wall, _ in turns),
        cpu_seconds=tuple(cpu for _, cpu in turns),
        num_calls=num_calls,
    )
    if name in case.limits:
        limit = session.describe_limit(name, row.median)
        return dataclasses.replace(row, allocation="preallocated", limit=limit)
    contestant = case.contestants[name]
    return dataclasses.replace(
        row,
        partial=contestant.partial,
        allocation=contestant.allocation,
        environment=dict(contestant.environment),
    )
