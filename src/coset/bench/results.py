"""What a benchmark run found, as data that survives a round trip through JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coset.bench.machine import checkout_folder
from coset.core.errors import FileFormatError, UnknownNameError
from coset.core.files import output_folder, read_json, write_json

__all__ = [
    "BenchReport",
    "Measurement",
    "Point",
    "Ratio",
    "Spread",
    "load_report",
    "load_reports",
    "results_folder",
    "save_report",
]

FORMAT = 1


@dataclass(frozen=True)
class Spread:
    """Minimum, quartiles and maximum of a sample."""

    min: float
    q1: float
    median: float
    q3: float
    max: float

    @classmethod
    def of(cls, sample: tuple[float, ...]) -> Spread:
        """Summarize a sample of at least one number (quartiles by linear interpolation)."""
        if len(sample) == 1:
            return cls(*(sample * 5))
        q1, median, q3 = statistics.quantiles(sample, n=4, method="inclusive")
        return cls(min(sample), q1, median, q3, max(sample))


@dataclass(frozen=True)
class Ratio:
    """How many times longer ours takes than another, with quartiles over paired rounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Measurement:
    """The times of one contestant or limit at one point.

    Attributes:
        name: the contestant's or limit's name.
        role: "ours", "peer" or "limit".
        seconds: seconds a call by the wall clock, one number a round.
        cpu_seconds: seconds a call of processor time, one number a round; much below `seconds`
            means that other programs held the processor.
        num_calls: calls averaged in one number.
        partial: which part of the work it does; empty when all.
        allocation: "fresh" or "preallocated".
        environment: variables of its process beyond the runner's.
        limit: for a limit, its statement, method, needed amount, rate and unit.
    """

    name: str
    role: str
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    num_calls: int = 1
    partial: str = ""
    allocation: str = "fresh"
    environment: Mapping[str, str] = field(default_factory=dict)
    limit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spread(self) -> Spread:
        """The spread of `seconds`."""
        return Spread.of(self.seconds)

    @property
    def median(self) -> float:
        """The median of `seconds`."""
        return statistics.median(self.seconds)

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as JSON values, the spread included for readers."""
        times = {"seconds": list(self.seconds), "cpu_seconds": list(self.cpu_seconds)}
        return {**vars(self), **times, "spread": vars(self.spread)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measurement:
        """Rebuild a measurement; the spread is computed anew."""
        known = {key: entry for key, entry in value.items() if key != "spread"}
        for name in ("seconds", "cpu_seconds"):
            known[name] = tuple(float(number) for number in value[name])
        return cls(**known)


@dataclass(frozen=True)
class Point:
    """All measurements at one size of one variant, interleaved.

    Attributes:
        size: the problem size.
        variant: the variant's name.
        digest: digest of the inputs, the same in all processes.
        order_seed: seed of the orders of the rounds.
        measurements: ours first, then peers, then limits.
        load_before: load averages before the first round.
        load_after: load averages after the last.
    """

    size: int
    variant: str
    digest: str
    order_seed: int
    measurements: tuple[Measurement, ...]
    load_before: tuple[float, ...] = ()
    load_after: tuple[float, ...] = ()

    def find(self, name: str) -> Measurement:
        """Return the measurement of that name.

        Args:
            name: a contestant's or limit's name.

        Returns:
            The measurement.

        Raises:
            UnknownNameError: if there is none.
        """
        for measurement in self.measurements:
            if measurement.name == name:
                return measurement
        known = [measurement.name for measurement in self.measurements]
        raise UnknownNameError.of("measurement", name, known)

    def of_role(self, role: str) -> list[Measurement]:
        """Return the measurements of a role, in order."""
        return [measurement for measurement in self.measurements if measurement.role == role]

    @property
    def ours(self) -> Measurement:
        """The measurement of what users get by default."""
        return self.of_role("ours")[0]

    def ratio(self, ours: str, other: str) -> Ratio:
        """Return how many times longer `ours` takes than `other`: below 1, ours is faster.

        Args:
            ours: a contestant's name.
            other: a contestant's or limit's name.

        Returns:
            The ratio of the medians, and the quartiles of the ratios within rounds.
        """
        mine, theirs = self.find(ours), self.find(other)
        paired = [a / b for a, b in zip(mine.seconds, theirs.seconds, strict=True)]
        spread = Spread.of(tuple(paired))
        return Ratio(mine.median / theirs.median, spread.q1, spread.q3)

    def to_json(self) -> dict[str, Any]:
        """Return the point as JSON values, all ratios of ours included for readers."""
        others = [m.name for m in self.measurements if m.role != "ours"]
        ratios = [
            {"ours": mine.name, "against": other, **vars(self.ratio(mine.name, other))}
            for mine in self.of_role("ours")
            for other in others
        ]
        listed = [measurement.to_json() for measurement in self.measurements]
        loads = {"load_before": list(self.load_before), "load_after": list(self.load_after)}
        return {**vars(self), **loads, "measurements": listed, "ratios": ratios}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Point:
        """Rebuild a point; the ratios are computed anew."""
        known = {key: entry for key, entry in value.items() if key != "ratios"}
        known["measurements"] = tuple(Measurement.from_json(m) for m in value["measurements"])
        for name in ("load_before", "load_after"):
            known[name] = tuple(value[name])
        return cls(**known)


@dataclass(frozen=True)
class BenchReport:
    """One run of one benchmark.

    Attributes:
        id: the benchmark.
        title: its title.
        when: start of the run, ISO 8601 with time zone.
        complete: whether all registered sizes and variants were measured.
        settings: sizes, repeats, time a point, threads, device, load averages at the start.
        gate: what was checked before anything was timed.
        machine: as `coset.bench.machine.machine_facts`, and the slug.
        source: commit and changed files.
        processes: facts of each process, by its extra environment ("" is the runner's own).
        points: the measurements.
    """

    id: str
    title: str
    when: str
    complete: bool
    settings: Mapping[str, Any]
    gate: Mapping[str, Any]
    machine: Mapping[str, Any]
    source: Mapping[str, Any]
    processes: Mapping[str, Any]
    points: tuple[Point, ...]

    @property
    def cpu_share(self) -> float:
        """Processor time over wall time of all turns: near 1 for one undisturbed thread."""
        rows = [measurement for point in self.points for measurement in point.measurements]
        return sum(sum(row.cpu_seconds) for row in rows) / sum(sum(row.seconds) for row in rows)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**vars(self), "format": FORMAT, "points": [p.to_json() for p in self.points]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str = "the report") -> BenchReport:
        """Rebuild a report.

        Args:
            value: as `to_json` returns it.
            where: the file's name, for messages.

        Returns:
            The report.

        Raises:
            FileFormatError: if `value` is not such a report.
        """
        try:
            known = dict(value)
            if known.pop("format") != FORMAT:
                raise ValueError(f"format {value['format']!r} is not {FORMAT}")
            known["points"] = tuple(Point.from_json(point) for point in value["points"])
            return cls(**known)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FileFormatError(
                f"{where} must be a benchmark report of format {FORMAT}; {type(error).__name__}: "
                f"{error}; run `coset bench` again to rewrite it"
            ) from error


def results_folder() -> Path:
    """Return ``benchmarks/results`` of the checkout, or ``bench`` in the output folder.

    Returns:
        The path; the folder need not exist.
    """
    root = checkout_folder()
    return root / "benchmarks" / "results" if root else output_folder() / "bench"


def save_report(report: BenchReport, folder: Path | None = None) -> Path:
    """Store a report as ``<id>-<machine>.json``, replacing that machine's last one.

    A report that does not cover all sizes and variants never replaces one that does: without a
    `folder` it goes to the output folder.

    Args:
        report: the report.
        folder: where; by default `results_folder`.

    Returns:
        The file.

    Raises:
        StorageError: if it cannot be written.
    """
    if folder is None:
        folder = results_folder() if report.complete else output_folder() / "bench"
    path = folder / f"{report.id}-{report.machine['slug']}.json"
    write_json(path, report.to_json())
    return path


def load_report(path: Path) -> BenchReport:
    """Read a stored report.

    Args:
        path: the file.

    Returns:
        The report.

    Raises:
        FileFormatError: if the file is not a report.
    """
    value = read_json(path)
    return BenchReport.from_json(value, where=str(path))


def load_reports(folder: Path) -> list[BenchReport]:
    """Read all reports of a folder.

    Args:
        folder: with ``*.json`` files; may be absent.

    Returns:
        The reports, by file name.

    Raises:
        FileFormatError: if a file is not a report.
    """
    return [load_report(path) for path in sorted(folder.glob("*.json"))]
