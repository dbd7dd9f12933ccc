"""Benchmark results as tables: ours, peers and the physical limit at each size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coset.report.formats import as_text, duration, moment, number, plural, slug
from coset.report.records import Notice

__all__ = ["BenchmarkView", "TimingRow", "view_benchmarks"]


@dataclass(frozen=True)
class TimingRow:
    """The time of one contestant or limit at one size.

    Attributes:
        size: the problem size.
        variant: the variant's name.
        name: who was measured, with the part of the work and the environment if special.
        role: "ours", "peer" or "limit".
        median: the median time a call.
        spread: the quartiles.
        ratio: how many times longer ours takes, with quartiles.
    """

    size: str
    variant: str
    name: str
    role: str
    median: str
    spread: str
    ratio: str


@dataclass(frozen=True)
class BenchmarkView:
    """One stored benchmark run.

    Attributes:
        id: the benchmark's id.
        title: its title.
        file: the stored file's name.
        facts: names and texts: machine, threads, commit, time.
        is_complete: whether all sizes and variants were measured.
        rows: the timings.
    """

    id: str
    title: str
    file: str
    facts: tuple[tuple[str, str], ...]
    is_complete: bool
    rows: tuple[TimingRow, ...]

    @property
    def anchor(self) -> str:
        """The name of its place on the page."""
        return slug(self.file)


def view_benchmarks(
    results: Mapping[str, Mapping[str, Any]],
) -> tuple[list[BenchmarkView], list[Notice]]:
    """Turn stored benchmark files into tables.

    Args:
        results: decoded files by path.

    Returns:
        The tables by id, and a notice for each file that lacks what a table needs.
    """
    views: list[BenchmarkView] = []
    notices: list[Notice] = []
    for path, value in results.items():
        try:
            views.append(_view(path, value))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            problem = f"is not a benchmark report: {type(error).__name__}: {error}"
            notices.append(Notice(path, problem))
    return sorted(views, key=lambda view: view.id), notices


def _view(path: str, value: Mapping[str, Any]) -> BenchmarkView:
    rows = [row for point in value["points"] for row in _rows(point)]
    machine, source = value.get("machine") or {}, value.get("source") or {}
    commit = as_text(source.get("commit") or "unknown")[:12]
    changed = len(source.get("changed") or ())
    facts = [
        ("machine", as_text(machine.get("cpu") or "unknown")),
        ("usable CPUs", as_text(machine.get("num_usable_cpus") or "unknown")),
        ("measured", moment(value.get("when"))),
        ("commit", f"{commit}, {plural(changed, 'changed file')}" if changed else commit),
        *((str(k), as_text(v)) for k, v in (value.get("settings") or {}).items()),
    ]
    return BenchmarkView(
        id=str(value["id"]),
        title=as_text(value.get("title") or ""),
        file=Path(path).name,
        facts=tuple(facts),
        is_complete=value.get("complete") is True,
        rows=tuple(rows),
    )


def _rows(point: Mapping[str, Any]) -> list[TimingRow]:
    measurements = point["measurements"]
    ours = next((str(m["name"]) for m in measurements if m["role"] == "ours"), "")
    ratios = {r["against"]: r for r in point.get("ratios") or () if r.get("ours") == ours}
    return [_row(point, m, ratios.get(m["name"])) for m in measurements]


def _row(
    point: Mapping[str, Any], measured: Mapping[str, Any], ratio: Mapping[str, Any] | None
) -> TimingRow:
    spread = measured["spread"]
    text = ""
    if ratio is not None:
        low, high = number(ratio["low"], 3), number(ratio["high"], 3)
        text = f"{number(ratio['value'], 3)} [{low}, {high}]"
    details = [measured.get("partial") or ""]
    details += [f"{k}={v}" for k, v in (measured.get("environment") or {}).items()]
    details += [str((measured.get("limit") or {}).get("statement") or "")]
    extra = "; ".join(detail for detail in details if detail)
    return TimingRow(
        size=number(point["size"]),
        variant=str(point["variant"]),
        name=f"{measured['name']} ({extra})" if extra else str(measured["name"]),
        role=str(measured["role"]),
        median=duration(spread["median"]),
        spread=f"{duration(spread['q1'])} – {duration(spread['q3'])}",
        ratio=text or "–",
    )
