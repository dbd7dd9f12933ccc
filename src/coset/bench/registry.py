"""The benchmarks by id, each subject's loaded when asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from coset.bench.case import Case
from coset.core.errors import ConfigError, UnknownNameError
from coset.core.provenance import source_place
from coset.core.registry import SUBJECTS, built_subjects, load

__all__ = ["Benchmark", "all_benchmarks", "benchmark", "find_benchmark"]

SMALL_SIZES = (0, 1, 2, 3, 63, 64, 65, 1000)

_ID = re.compile(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*")
_BENCHMARKS: dict[str, Benchmark] = {}


@dataclass(frozen=True)
class Benchmark:
    """A registered case with the sizes and variants at which it is measured.

    Attributes:
        id: "subject.name".
        title: what is measured, as a user would say it.
        sizes: problem sizes, ascending.
        variants: values for ``Case.prepare`` by the variant's name.
        make: builds the case.
        small_sizes: sizes at which every contestant is compared with the reference.
        module: the module that registers it; a worker process imports it.
        file: where the factory is written.
        line: its line.
    """

    id: str
    title: str
    sizes: tuple[int, ...]
    variants: Mapping[str, Any]
    make: Callable[[], Case]
    small_sizes: tuple[int, ...] = SMALL_SIZES
    module: str = ""
    file: str = ""
    line: int = 0


def benchmark(
    id: str,
    *,
    title: str,
    sizes: tuple[int, ...],
    variants: Mapping[str, Any],
    small_sizes: tuple[int, ...] = SMALL_SIZES,
) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Register the decorated factory of a `Case`.

    Args:
        id: "subject.name", lower case.
        title: what is measured, as a user would say it.
        sizes: problem sizes, positive and ascending.
        variants: values for ``Case.prepare`` by the variant's name, at least one.
        small_sizes: sizes at which every contestant is compared with the reference.

    Returns:
        A decorator that returns the factory unchanged.

    Raises:
        ConfigError: if the id, the sizes or the variants are not as above, or if another module
            has registered that id.
    """
    if not _ID.fullmatch(id):
        raise ConfigError(f"a benchmark's id must look like 'sharing.prox'; got {id!r}")
    if not sizes or min(sizes) < 1 or list(sizes) != sorted(set(sizes)):
        raise ConfigError(f"sizes of {id} must be positive and ascending; got {sizes}")
    if not variants:
        raise ConfigError(f"{id} needs at least one variant; got none")

    def register(make: Callable[[], Case]) -> Callable[[], Case]:
        known = _BENCHMARKS.get(id)
        if known is not None and known.module != make.__module__:
            raise ConfigError(
                f"benchmark ids must differ; {id!r} is registered by {known.module} and by "
                f"{make.__module__}; rename one"
            )
        file, line = source_place(make)
        _BENCHMARKS[id] = Benchmark(
            id, title, tuple(sizes), dict(variants), make, small_sizes, make.__module__, file, line
        )
        return make

    return register


def find_benchmark(id: str) -> Benchmark:
    """Return the benchmark of that id, loading its subject if need be.

    Args:
        id: for instance "sharing.prox".

    Returns:
        The benchmark.

    Raises:
        UnknownNameError: if there is none, with the nearest id.
    """
    if id not in _BENCHMARKS:
        subject = id.partition(".")[0]
        if subject in {known.name for known in SUBJECTS}:
            load(subject, "benchmarks")
    if id not in _BENCHMARKS:
        raise UnknownNameError.of("benchmark", id, [known.id for known in all_benchmarks()])
    return _BENCHMARKS[id]


def all_benchmarks() -> list[Benchmark]:
    """Load the benchmarks of every subject that is built.

    Returns:
        All registered benchmarks, sorted by id.
    """
    for subject in built_subjects():
        load(subject.name, "benchmarks")
    return [_BENCHMARKS[id] for id in sorted(_BENCHMARKS)]
