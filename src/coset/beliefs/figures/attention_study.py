"""Pictures of the study of attention: what each focus resolves, and what it distorts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["resolution_heatmap", "resolution_scatter"]

Rows = Sequence[dict[str, Any]]

_TITLES = {"exact": "exact joints", "adam": "the recipe of the paper"}


def _names(rows: Rows, column: str) -> list[str]:
    return sorted({row[column] for row in rows})


def _replicates(rows: Rows) -> list[dict[str, Any]]:
    return [row for row in rows if row["kind"] == "replicate"]


def resolution_heatmap(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the mean share of inconsistency that is resolved, by focus and structure.

    Args:
        rows: of `beliefs.attention-study`.
        folders: not used.

    Returns:
        The figure: a map for exact joints above one for the recipe, the percentage in each cell.
    """
    from matplotlib.figure import Figure

    table = _replicates(rows)
    foci, structures = _names(table, "focus")[::-1], _names(table, "structure")
    with style():
        figure = Figure(figsize=(5.0, 4.6))
        if not table:
            return figure
        for axes, solver in zip(figure.subplots(2, 1, sharex=True), _TITLES, strict=True):
            values = [
                [_mean(table, focus, structure, solver) for structure in structures]
                for focus in foci
            ]
            axes.imshow(values, vmin=0, vmax=100, aspect="auto")
            for i, line in enumerate(values):
                for j, value in enumerate(line):
                    color = "white" if value < 60 else "black"
                    axes.text(
                        j,
                        i,
                        f"{round(value, 1) + 0.0:.1f} %",
                        ha="center",
                        va="center",
                        color=color,
                    )
            axes.set_xticks(range(len(structures)), structures)
            axes.set_yticks(range(len(foci)), foci)
            axes.grid(visible=False)
            axes.set_title(f"Resolved, {_TITLES[solver]}")
    return figure


def _mean(rows: Rows, focus: str, structure: str, solver: str) -> float:
    own = [
        row["resolution_percent"]
        for row in rows
        if (row["focus"], row["structure"], row["solver"]) == (focus, structure, solver)
    ]
    return statistics.fmean(own) if own else float("nan")


def resolution_scatter(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show what is resolved against how far the best joint moves.

    Args:
        rows: of `beliefs.attention-study`.
        folders: not used.

    Returns:
        The figure: a faint dot a replicate, a large one for the mean of each structure; exact
        joints above, the recipe below.
    """
    from matplotlib.figure import Figure

    table = _replicates(rows)
    foci = _names(table, "focus")[::-1]
    with style():
        figure = Figure(figsize=(5.0, 6.4))
        panels = figure.subplots(2, 1, sharex=True, sharey=True)
        for axes, solver in zip(panels, _TITLES, strict=True):
            for place, focus in enumerate(foci):
                own = [r for r in table if (r["focus"], r["solver"]) == (focus, solver)]
                points = [(r["distortion"], r["resolution_percent"]) for r in own]
                means = [
                    [statistics.fmean(values) for values in zip(*pairs, strict=True)]
                    for pairs in (
                        [p for p, r in zip(points, own, strict=True) if r["structure"] == name]
                        for name in _names(own, "structure")
                    )
                ]
                marker = "os^"[place % 3]
                color = COLORS[place]
                axes.plot(
                    *zip(*points, strict=True), marker, color=color, alpha=0.2, ms=4, linestyle=""
                )
                axes.plot(
                    *zip(*means, strict=True), marker, color=color, ms=9, linestyle="", label=focus
                )
            axes.set_title(_TITLES[solver][0].upper() + _TITLES[solver][1:])
            axes.set_ylabel("% resolved")
        panels[-1].set_xlabel("movement of the best joint (total variation)")
        panels[0].set_ylim(-5, 105)
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=3)
    return figure
