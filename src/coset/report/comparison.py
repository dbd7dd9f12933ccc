"""Published numbers beside ours: value, interval, budgets, difference; the farthest first."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coset.report.formats import as_text, number, plural, signed
from coset.report.records import Notice
from coset.report.runs import ExperimentView, RunGroup, StoredRun

__all__ = ["NumberRow", "Ours", "compare_numbers"]

PREFERRED_PRESETS = ("paper", "cpu", "smoke")
CONFIDENCE = 0.95
BUDGET_FIELDS = ("dataset", "side")


@dataclass(frozen=True)
class Ours:
    """What our stored rows say about a published number.

    Attributes:
        values: one value a seed, scaled to the published unit.
        seeds: the seeds, as texts.
        preset: the preset that was used.
        data: the data that was read.
        page: the page and anchor of the first run.
        commands: the commands that reproduce the runs.
        budget: data set, sizes, counts and number of seeds, as their configurations say.
        remark: what the reader must know, "" if nothing.
    """

    values: tuple[float, ...]
    seeds: tuple[str, ...]
    preset: str
    data: str
    page: str
    commands: tuple[str, ...]
    budget: str
    remark: str = ""

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(self.values)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % t-interval of the mean, ``None`` for a single seed."""
        n = len(self.values)
        if n < 2:
            return None
        from scipy.special import stdtrit

        quantile = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2))
        half = quantile * statistics.stdev(self.values) / math.sqrt(n)
        return self.value - half, self.value + half


@dataclass(frozen=True)
class NumberRow:
    """One published number beside ours.

    Attributes:
        subject: the subject's name.
        paper: the paper.
        id: the number's id.
        what: what it is.
        value: the published value, ``None`` if it was not found.
        unit: its unit.
        source: its source mark.
        budget: the training budget behind it.
        note: further words.
        ours: what our rows say, ``None`` if there are none.
        why_not: why there is nothing of ours.
    """

    subject: str
    paper: str
    id: str
    what: str
    value: float | None
    unit: str
    source: str
    budget: str
    note: str
    ours: Ours | None
    why_not: str

    @property
    def difference(self) -> float | None:
        """Ours less the published value, in its unit."""
        if self.value is None or self.ours is None:
            return None
        return self.ours.value - self.value

    @property
    def distance(self) -> float | None:
        """The difference relative to the published value, by which the table is sorted."""
        if self.difference is None or self.value is None:
            return None
        return abs(self.difference) / (abs(self.value) or 1.0)

    @property
    def is_compared(self) -> bool:
        """Whether both values are there."""
        return self.distance is not None

    @property
    def published_text(self) -> str:
        """The published value with its unit, or "not found"."""
        return "not found" if self.value is None else self.with_unit(number(self.value))

    @property
    def ours_text(self) -> str:
        """Our value with its unit and, from two seeds on, its interval."""
        if self.ours is None:
            return "–"
        text = self.with_unit(number(self.ours.value))
        if self.ours.interval is None:
            return text
        low, high = self.ours.interval
        return f"{text} [{number(low)}, {number(high)}]"

    @property
    def difference_text(self) -> str:
        """The difference with its unit and relative size."""
        if self.difference is None or self.distance is None:
            return "–"
        unit = "points" if self.unit == "%" else self.unit
        share = number(100 * self.distance, 3)
        return f"{signed(self.difference, 3)} {unit} ({share} % of it)"

    def with_unit(self, text: str) -> str:
        """Return a figure with the unit behind it."""
        return f"{text} {self.unit}".strip()


def compare_numbers(
    published: Mapping[str, Mapping[str, Any]], experiments: Sequence[ExperimentView]
) -> tuple[list[NumberRow], list[Notice]]:
    """Put every published number beside what the stored rows say.

    Args:
        published: subject to its decoded ``published.json``.
        experiments: the experiments with their runs.

    Returns:
        The rows, the one farthest from ours first, then those with nothing to compare; and a
        notice for each entry that is malformed.
    """
    rows: list[NumberRow] = []
    notices: list[Notice] = []
    for subject, content in published.items():
        for position, entry in enumerate(content.get("numbers", ())):
            where = f"published.json of {subject}, number {position + 1}"
            fault = _fault(entry)
            if fault:
                notices.append(Notice(where, fault))
                continue
            ours, why_not, fault = _ours(entry.get("ours"), experiments)
            if fault:
                notices.append(Notice(where, fault))
            rows.append(_row(subject, content, entry, ours, why_not))
    return sorted(rows, key=_rank), notices


def _rank(row: NumberRow) -> tuple[int, float]:
    if row.distance is not None:
        return 0, -row.distance
    return (2, 0.0) if row.value is None else (1, 0.0)


def _fault(entry: Any) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        return "must be an object with an id"
    value = entry.get("value")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        return f"{entry['id']}: value must be a number or null; given {value!r}"
    if value is not None and not math.isfinite(value):
        return f"{entry['id']}: value must be finite; given {value!r}"
    return ""


def _row(
    subject: str, content: Mapping[str, Any], entry: dict[str, Any], ours: Ours | None, why: str
) -> NumberRow:
    def text(name: str) -> str:
        return as_text(entry[name]) if entry.get(name) is not None else ""

    return NumberRow(
        subject=subject,
        paper=as_text(entry.get("paper") or content.get("paper") or ""),
        id=entry["id"],
        what=text("what"),
        value=None if entry.get("value") is None else float(entry["value"]),
        unit=text("unit"),
        source=text("source") or "no source mark",
        budget=text("budget") or "not stated",
        note=text("note"),
        ours=ours,
        why_not=why,
    )


def _ours(query: Any, experiments: Sequence[ExperimentView]) -> tuple[Ours | None, str, str]:
    """Return what is ours, why there is nothing, and what is wrong with the query."""
    if query is None:
        return None, "no experiment of ours measures it", ""
    if not _is_query(query):
        fault = "`ours` must be null, or an object with column, select (object) and scale (number)"
        return None, "its query is malformed", fault
    view = next((e for e in experiments if e.id == query.get("experiment")), None)
    if view is None:
        name = as_text(query.get("experiment"))
        return None, f"experiment {name} is not there", f"`ours` names an unknown experiment {name}"
    for preset in (*PREFERRED_PRESETS, *(g.preset for g in view.groups)):
        group = next((g for g in view.groups if g.preset == preset), None)
        if group and (found := _matches(group, query)):
            return _summary(view, group, found, query), "", ""
    return None, f"no finished run of {view.id} has such a row", ""


def _is_query(query: Any) -> bool:
    if not isinstance(query, dict) or not isinstance(query.get("column"), str):
        return False
    scale = query.get("scale", 1)
    is_number = isinstance(scale, int | float) and not isinstance(scale, bool)
    return is_number and isinstance(query.get("select") or {}, dict)


def _same(left: Any, right: Any) -> bool:
    # True is 1 in Python, but a column of truth values is not one of counts.
    return left == right and isinstance(left, bool) == isinstance(right, bool)


_Match = tuple[StoredRun, Mapping[str, Any], float]


def _matches(group: RunGroup, query: Mapping[str, Any]) -> list[_Match]:
    select = query.get("select") or {}
    found = []
    for run in group.finished:
        for row in run.rows:
            merged = {**run.config, **row}
            value = merged.get(query["column"])
            fits = all(name in merged and _same(merged[name], v) for name, v in select.items())
            if fits and isinstance(value, int | float) and not isinstance(value, bool):
                found.append((run, merged, float(value)))
    return [match for match in found if math.isfinite(match[2])]


def _summary(
    view: ExperimentView, group: RunGroup, found: list[_Match], query: Mapping[str, Any]
) -> Ours:
    scale = float(query.get("scale", 1))
    by_seed: dict[str, list[float]] = defaultdict(list)
    for _, merged, value in found:
        by_seed[as_text(merged.get("seed", "–"))].append(value * scale)
    most = max(len(values) for values in by_seed.values())
    remark = f"{most} rows a seed fit and were averaged" if most > 1 else ""
    runs = list({run.digest: run for run, _, _ in found}.values())
    seeds = plural(len(by_seed), "seed")
    return Ours(
        values=tuple(statistics.fmean(values) for values in by_seed.values()),
        seeds=tuple(by_seed),
        preset=group.preset,
        data=", ".join(dict.fromkeys(group.data_of(run) for run in runs)),
        page=f"{view.page}#{runs[0].anchor}",
        commands=tuple(dict.fromkeys(run.command for run in runs if run.command)),
        budget=", ".join([*_budget(runs), seeds]),
        remark=remark,
    )


def _budget(runs: Sequence[StoredRun]) -> list[str]:
    """Return the configuration fields that tell how much was spent, each with its values."""
    values: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, value in run.config.items():
            field = name.rpartition(".")[2]
            if field in BUDGET_FIELDS or field.startswith("num_"):
                values.setdefault(name, {})[number(value, 8)] = None
    return [f"{name} {' or '.join(texts)}" for name, texts in values.items()]
