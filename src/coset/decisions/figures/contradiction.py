"""Preferences in the triangle of lotteries: a contradiction, and a utility's parallel lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import UnavailableError
from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["contradiction_triangle"]

Rows = Sequence[dict[str, Any]]

_TITLES = {"usual": "What most people answer", "consistent": "What a utility allows"}
_NUM_LINES = 9


def contradiction_triangle(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show two patterns of answers in the triangle of lotteries over three prizes.

    Args:
        rows: of `decisions.contradiction`; the first example among them is drawn.
        folders: not used.

    Returns:
        The figure: above, the usual answers as arrows to the preferred lottery; the mixture of the
        two preferred ones and that of the two others lie on dashed lines and are one point. Below,
        answers that have a utility, whose lines of indifference are parallel.

    Raises:
        UnavailableError: if there are no rows.
    """
    from matplotlib.figure import Figure

    if not rows:
        raise UnavailableError("the triangle shows rows of decisions.contradiction; given none")
    example = rows[0]["example"]
    own = [row for row in rows if row["example"] == example]
    with style():
        figure = Figure(figsize=(5.0, 8.6))
        panels = figure.subplots(2, 1)
        for axes, answers in zip(panels, _TITLES, strict=True):
            part = [row for row in own if row["answers"] == answers]
            _triangle(axes, part)
            verdict = next(row["name"] for row in part if row["kind"] == "verdict")
            axes.set_title(f"{_TITLES[answers]}: {verdict}", fontsize=12)
        figure.suptitle(f"The {example} questions", color=INK, fontsize=13)
        handles = {
            label: handle
            for axes in panels
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    return figure


def _kind(rows: Rows, kind: str) -> Rows:
    return [row for row in rows if row["kind"] == kind]


def _triangle(axes: Axes, rows: Rows) -> None:
    for utility in _kind(rows, "utility"):
        _indifference(axes, utility)
    axes.plot([0, 1, 0, 0], [0, 0, 1, 0], color=INK, marker="", linestyle="-", linewidth=1)
    for compound in _kind(rows, "compound"):
        _compound(axes, _kind(rows, "preference"), compound)
    for number, row in enumerate(_kind(rows, "preference")):
        _arrow(axes, row, number)
    for row in _kind(rows, "lottery"):
        axes.annotate(
            row["name"],
            (row["worst"], row["best"]),
            textcoords="offset points",
            # Lotteries on the lower edge are named below it, where no arrow is.
            xytext=(7, 5) if row["best"] else (5, -15),
            color=INK,
            fontsize=12,
            fontweight="bold",
        )
    axes.set(xlim=(-0.06, 1.1), ylim=(-0.12, 1.1), aspect="equal")
    axes.set_xlabel("probability of the worst prize")
    axes.set_ylabel("probability of the best prize")
    axes.grid(False)


def _arrow(axes: Axes, row: dict[str, Any], number: int) -> None:
    color = COLORS[number]
    axes.annotate(
        "",
        (row["worst"], row["best"]),
        (row["other_worst"], row["other_best"]),
        arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 2.2, "mutation_scale": 16},
        zorder=3,
    )
    weight = f", weight {row['weight']:g}" if row["weight"] else ""
    axes.plot([], [], color=color, marker=">", linestyle="-", label=f"{row['name']}{weight}")


def _compound(axes: Axes, preferences: Rows, compound: dict[str, Any]) -> None:
    """Draw the segments on which both mixtures lie, and the point where they meet."""
    sides = (("worst", "best"), ("other_worst", "other_best"))
    for place, (x, y) in enumerate(sides):
        axes.plot(
            [row[x] for row in preferences],
            [row[y] for row in preferences],
            color=COLORS[2 + place],
            linestyle="--" if place == 0 else ":",
            marker="",
            label="mixtures of the preferred" if place == 0 else "mixtures of the others",
        )
    axes.plot(
        [compound["worst"]],
        [compound["best"]],
        color=INK,
        marker="*",
        markersize=15,
        linestyle="",
        label="P = Q: preferred to itself",
        zorder=4,
    )


def _indifference(axes: Axes, utility: dict[str, Any]) -> None:
    """Draw lines of equal expected utility; in the triangle they are straight and parallel."""
    corners = [utility["middle"], utility["worst"], utility["best"]]
    low, high = min(corners), max(corners)
    levels = [low + (high - low) * (k + 0.5) / _NUM_LINES for k in range(_NUM_LINES)]
    axes.tricontour(
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0],
        corners,
        levels,
        colors=COLORS[4],
        linewidths=1.0,
        linestyles="solid",
    )
    axes.plot([], [], color=COLORS[4], marker="", linewidth=1.0, label="indifference")
