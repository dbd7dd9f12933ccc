"""Accuracy against length: beyond the training length, what is possible parts from what is not."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["accuracy_by_length", "near_solution_lengths"]

Rows = Sequence[dict[str, Any]]
Panels = Mapping[str, tuple[Rows, str]]

_MARKERS = "os^DvPX*"
_LINES = ("-", "--", "-.", ":")
# The verdict of the theory behind the lines.
_CAN, _CANNOT = COLORS[2], COLORS[4]


def accuracy_by_length(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show accuracy against length, above what theory allows, below what it forbids.

    Args:
        rows: of `ssm.parity` or `ssm.typed-stacks`.
        folders: not used.

    Returns:
        The figure: a panel for stacks that can track the group, on green, and one for those that
        cannot, on red; a line a stack, the median over seeds, with a band from the worst to the
        best; the training length dashed, chance dotted; a star where the hardened model is right,
        with the number of seeds that are certified.
    """
    trained = [r for r in rows if r["stage"] == "trained" and r["kind"] in ("accuracy", "outcome")]
    panels = {
        title: ([r for r in trained if bool(r["is_trackable"]) == verdict], color)
        for title, verdict, color in (
            ("theory: some weights track it", True, _CAN),
            ("theory: no weights track it", False, _CANNOT),
        )
    }
    return _draw({t: p for t, p in panels.items() if p[0]}, lambda row: str(row["model"]))


def near_solution_lengths(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show accuracy against length before and after training, by the noise of the start.

    Args:
        rows: of `ssm.near-solution`.
        folders: not used.

    Returns:
        The figure: a panel for the start and one for the trained models, else as
        `accuracy_by_length`.
    """
    panels = {
        title: ([r for r in rows if r["kind"] != "multiplier" and r["stage"] == stage], _CAN)
        for title, stage in (("before training", "start"), ("after training", "trained"))
    }
    return _draw({t: p for t, p in panels.items() if p[0]}, lambda row: str(row["model"]))


def _draw(panels: Panels, name_of: Callable[[dict[str, Any]], str]) -> Figure:
    from matplotlib.figure import Figure

    every = [row for rows, _ in panels.values() for row in rows]
    names = list(dict.fromkeys(name_of(row) for row in every))
    with style():
        figure = Figure(figsize=(5.0, 1.5 + 2.6 * len(panels) + 0.14 * len(names)))
        column = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, (rows, color)) in zip(column, panels.items(), strict=True):
            axes.set_facecolor((*_rgb(color), 0.07))
            for name in names:
                own = [row for row in rows if name_of(row) == name]
                _line(axes, own, names.index(name), name)
                _star(axes, own, names.index(name))
            _marks(axes, rows)
            axes.set_title(title)
            axes.set_ylabel("accuracy")
        column[-1].set_xlabel("length of the words")
        _add_legend(figure, list(column))
    return figure


def _rgb(color: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(color)


def _line(axes: Any, rows: Rows, place: int, name: str) -> None:
    points = [row for row in rows if row["kind"] == "accuracy" and row["accuracy"] is not None]
    if not points:
        return
    lengths = sorted({row["length"] for row in points})
    found = [[row["accuracy"] for row in points if row["length"] == t] for t in lengths]
    color = COLORS[place % len(COLORS)]
    axes.plot(
        lengths,
        [statistics.median(values) for values in found],
        color=color,
        marker=_MARKERS[place % len(_MARKERS)],
        linestyle=_LINES[place // 2 % len(_LINES)],
        markersize=4,
        linewidth=1.6,
        label=name,
    )
    low, high = [min(values) for values in found], [max(values) for values in found]
    axes.fill_between(lengths, low, high, color=color, alpha=0.08, linewidth=0)


def _star(axes: Any, rows: Rows, place: int) -> None:
    outcomes = [row for row in rows if row["kind"] == "outcome"]
    certified = [row for row in outcomes if row["is_certified"]]
    if not certified:
        return
    x, y = certified[0]["hardened_length"], min(row["hardened_accuracy"] for row in certified)
    axes.plot([x], [y], color=COLORS[place % len(COLORS)], marker="*", markersize=11, linestyle="")
    # One below the other: the stars of exact models lie upon each other.
    line = sum(text.get_gid() == "certified" for text in axes.texts)
    axes.annotate(
        f"{len(certified)}/{len(outcomes)}",
        (x, y),
        xytext=(0, -16 - 13 * line),
        textcoords="offset points",
        ha="center",
        color=COLORS[place % len(COLORS)],
        fontsize=11,
        gid="certified",
    )


def _marks(axes: Any, rows: Rows) -> None:
    if not rows:
        return
    for length in sorted({row["trained_length"] for row in rows}):
        axes.axvline(length, color=INK, linestyle="--", marker="", linewidth=1)
    axes.axhline(rows[0]["chance"], color=INK, linestyle=":", marker="", linewidth=1.2)
    axes.set(xscale="log", ylim=(0, 1.06))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")


def _add_legend(figure: Any, panels: Sequence[Any]) -> None:
    from matplotlib.lines import Line2D

    found: dict[str, Any] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    extra = {
        "trained up to": Line2D([], [], color=INK, linestyle="--", marker="", linewidth=1),
        "chance": Line2D([], [], color=INK, linestyle=":", marker="", linewidth=1.2),
        "hardened, certified": Line2D([], [], color=INK, linestyle="", marker="*", markersize=10),
    }
    found |= extra
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=2)
