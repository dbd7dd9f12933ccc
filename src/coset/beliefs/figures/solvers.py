"""Solvers by gap and time, and inconsistency over γ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["gamma_curve", "gap_vs_time"]

Rows = Sequence[dict[str, Any]]

# Less than this is shown as the zero that it is.
_ROUNDING = 1e-6
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def gap_vs_time(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show each solver's distance from the best value over its time, a panel for each γ.

    Args:
        rows: of `beliefs.solvers`.
        folders: not used.

    Returns:
        The figure: a point a graph and solver, both axes logarithmic.
    """
    from matplotlib.figure import Figure

    gammas = sorted({row["gamma"] for row in rows})
    names = list(dict.fromkeys(row["solver"] for row in rows))
    with style():
        figure = Figure(figsize=(5.0, 1.4 + 2.4 * len(gammas)))
        panels = figure.subplots(len(gammas), 1, sharex=True, squeeze=False)[:, 0]
        for axes, gamma in zip(panels, gammas, strict=True):
            for name, color, marker in zip(names, COLORS, _MARKERS, strict=False):
                own = [r for r in rows if r["gamma"] == gamma and r["solver"] == name]
                axes.plot(
                    [r["seconds"] for r in own],
                    [r["gap"] for r in own],
                    color=color,
                    marker=marker,
                    markersize=4,
                    linestyle="",
                    alpha=0.8,
                    label=name,
                )
            axes.set(xscale="log", yscale="log", ylabel="gap (nats)", title=f"γ = {gamma:g}")
        panels[-1].set_xlabel("seconds")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def gamma_curve(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show inconsistency over γ, and with it how much of it the numbers of beliefs make up.

    Args:
        rows: of `beliefs.gamma-curve`.
        folders: not used.

    Returns:
        The figure: a panel a graph; thin: the incompatibility of the minimizer.
    """
    from matplotlib.figure import Figure

    graphs = list(dict.fromkeys(row["graph"] for row in rows))
    columns = min(2, len(graphs))
    with style():
        figure = Figure(figsize=(6.4, 1.0 + 2.3 * math.ceil(len(graphs) / columns)))
        panels = figure.subplots(
            math.ceil(len(graphs) / columns), columns, sharex=True, squeeze=False
        ).flatten()
        for axes, graph in zip(panels, graphs, strict=False):
            own = sorted((r for r in rows if r["graph"] == graph), key=lambda r: r["gamma"])
            gammas = [r["gamma"] for r in own]
            for key, color, width in (
                ("inconsistency", COLORS[0], 1.8),
                ("incompatibility", COLORS[1], 1.0),
            ):
                axes.plot(
                    gammas,
                    [r[key] for r in own],
                    color=color,
                    linewidth=width,
                    linestyle="-" if key == "inconsistency" else "--",
                    marker="",
                    label=key,
                )
            if max(abs(r["inconsistency"]) + abs(r["incompatibility"]) for r in own) < _ROUNDING:
                axes.set_ylim(-0.1, 0.1)
            axes.set_title(graph, fontsize=11)
        for axes in panels[len(graphs) :]:
            axes.set_axis_off()
        for axes in panels[max(0, len(graphs) - columns) : len(graphs)]:
            axes.set_xlabel("γ")
        for axes in panels[::columns]:
            axes.set_ylabel("nats")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure
