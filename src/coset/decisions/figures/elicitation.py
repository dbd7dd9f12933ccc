"""Pictures of elicitation: intervals that shrink, and what an error costs in questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["elicitation_curves", "elicitation_intervals"]

Rows = Sequence[dict[str, Any]]

_METHODS = ("bisection", "stern-brocot", "trisection", "adaptive")
_NAMES = {
    "bisection": "bisection, exact answers",
    "stern-brocot": "Stern–Brocot, exact answers",
    "trisection": "trisection, noisy answers",
    "adaptive": "adaptive, noisy answers",
}
_MARKERS = dict(zip(_METHODS, "os^D", strict=True))
_LINES = ("-", "--", ":", "-.")
# On a logarithmic axis an exact answer is drawn at the bottom.
_FLOOR = 1e-7


def _runs(rows: Rows) -> list[tuple[str, float]]:
    """Return (method, slope) of the runs, methods in their order."""
    found = {(row["method"], row["noise"]) for row in rows}
    return sorted(found, key=lambda run: (_METHODS.index(run[0]), run[1]))


def _run(rows: Rows, method: str, slope: float) -> list[dict[str, Any]]:
    """Return the rows of one run, of the first seed, each once.

    Exact answers do not depend on the noise, so that a grid over it repeats their rows.
    """
    own = [r for r in rows if (r["method"], r["noise"]) == (method, slope)]
    seed = min(r["seed"] for r in own)
    once = {(r.get("number"), r["queries"]): r for r in own if r["seed"] == seed}
    return list(once.values())


def elicitation_curves(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the median error of a number against the questions that it took.

    Args:
        rows: of `decisions.elicitation`.
        folders: not used.

    Returns:
        The figure: both axes logarithmic, errors in the coordinate x / (1 + |x|); a line a method
        and a slope of the noise. Errors below 1e-7 are drawn there.
    """
    from matplotlib.figure import Figure

    curves = [row for row in rows if row["kind"] == "curve"]
    with style():
        figure = Figure(figsize=(5.0, 4.6))
        axes = figure.subplots()
        seen: dict[str, int] = {}
        for method, slope in _runs(curves):
            own = _run(curves, method, slope)
            line = _LINES[seen.get(method, 0) % len(_LINES)]
            seen[method] = seen.get(method, 0) + 1
            axes.plot(
                [r["queries"] for r in own],
                [max(_FLOOR, r["median_error"]) for r in own],
                color=COLORS[_METHODS.index(method)],
                marker=_MARKERS[method],
                linestyle=line,
                label=_NAMES[method] + (f", σ = {slope:g}" if slope else ""),
            )
        axes.set(xscale="log", yscale="log", xlabel="questions for one number")
        axes.set_ylabel("median error of x / (1 + |x|)")
        axes.set_title("What a number costs")
        figure.legend(loc="outside lower center")
    return figure


def elicitation_intervals(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the intervals of the cliff walker's numbers as they shrink.

    Args:
        rows: of `decisions.elicitation`.
        folders: not used.

    Returns:
        The figure: a panel a method, the one with most noise of several; a band a number, between
        the ends of its interval in the coordinate x / (1 + |x|), against the questions about it.
    """
    from matplotlib.figure import Figure

    steps = [row for row in rows if row["kind"] == "interval"]
    runs = dict(_runs(steps))  # of several slopes the last
    with style():
        figure = Figure(figsize=(5.0, 1.2 + 2.1 * len(runs)))
        panels = figure.subplots(len(runs), 1, squeeze=False)[:, 0]
        names = sorted({row["number"] for row in steps})
        for axes, (method, slope) in zip(panels, runs.items(), strict=True):
            own = _run(steps, method, slope)
            for place, name in enumerate(names):
                band = [r for r in own if r["number"] == name]
                if band:
                    _band(axes, band, COLORS[place % len(COLORS)], name)
            axes.set(ylim=(-1.05, 1.05), ylabel="x / (1 + |x|)")
            if method in ("trisection", "adaptive"):
                axes.set_xscale("log")
            axes.set_title(_NAMES[method] + (f", σ = {slope:g}" if slope else ""))
        panels[-1].set_xlabel("questions about the number")
        handles = {}
        for axes in panels:
            handles.update(dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True)))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    return figure


def _band(axes: Any, band: Rows, color: str, name: str) -> None:
    # Before the first answer nothing is known.
    queries = [0.5, *(r["queries"] for r in band)]
    low, high = [-1.0, *(r["low"] for r in band)], [1.0, *(r["high"] for r in band)]
    axes.fill_between(queries, low, high, step="post", color=color, alpha=0.2, linewidth=0)
    for end in (low, high):
        axes.step(queries, end, where="post", color=color, linestyle="-", marker="", linewidth=1.2)
    middle = (low[-1] + high[-1]) / 2
    axes.plot(queries[-1:], [middle], color=color, marker="o", linestyle="", label=name)
    axes.axhline(middle, color=INK, linestyle=":", marker="", linewidth=0.6)
