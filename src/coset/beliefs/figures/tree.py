"""Picture of the work of solutions on junction trees, by number of variables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["tree_scaling"]

Rows = Sequence[dict[str, Any]]

_LINES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D")


def tree_scaling(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show entries of tables times iterations over the number of variables, both as logarithms.

    Args:
        rows: of `beliefs.tree-scaling`.
        folders: not used.

    Returns:
        The figure: a color a width, a line style a γ, and the slope 1.

    Claims: beliefs.C24.
    """
    from matplotlib.figure import Figure

    widths = sorted({row["width"] for row in rows})
    gammas = sorted({row["gamma"] for row in rows})
    with style():
        figure = Figure(figsize=(5.0, 4.2))
        axes = figure.subplots()
        for color, width in zip(COLORS, widths, strict=False):
            for number, gamma in enumerate(gammas):
                own = [r for r in rows if r["width"] == width and r["gamma"] == gamma]
                own.sort(key=lambda row: row["num_variables"])
                axes.plot(
                    [r["num_variables"] for r in own],
                    [r["work"] for r in own],
                    color=color,
                    linestyle=_LINES[number % 4],
                    marker=_MARKERS[number % 4],
                    markersize=4,
                    label=f"width {width}, γ = {gamma:g}",
                )
        _guide(axes, rows)
        axes.set(xscale="log", yscale="log", xlabel="variables", ylabel="entries × iterations")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def _guide(axes: Any, rows: Rows) -> None:
    """Draw the slope 1 below all points."""
    ends = min(r["num_variables"] for r in rows), max(r["num_variables"] for r in rows)
    low = min(r["work"] / r["num_variables"] for r in rows) / 2
    line = [low * n for n in ends]
    axes.plot(ends, line, color=INK, linestyle=":", marker="", label="slope 1")
