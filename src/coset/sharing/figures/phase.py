"""Pictures of the phase diagram: the largest cluster and the distinct values by strength."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["phase_diagram", "phase_distinct"]

Rows = Sequence[dict[str, Any]]


def phase_diagram(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show which share of the weights the largest cluster holds at each strength.

    Args:
        rows: of `sharing.phase-diagram`.
        folders: not used.

    Returns:
        The figure: measured as markers, the laws as lines, the critical strengths dotted.
    """
    return _draw(rows, "largest", "A macroscopic cluster appears", "largest cluster ÷ weights")


def phase_distinct(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show which share of the weights stays distinct at each strength, beyond g_c too.

    Args:
        rows: of `sharing.phase-diagram`.
        folders: not used.

    Returns:
        The figure: measured as markers, the laws as lines, the critical strengths dotted.
    """
    return _draw(rows, "distinct", "Distinct values that remain", "distinct values ÷ weights")


def _draw(rows: Rows, what: str, title: str, label: str) -> Figure:
    from matplotlib.figure import Figure

    densities = list(dict.fromkeys(row["density"] for row in rows))
    with style():
        figure = Figure(figsize=(5.0, 4.4))
        axes = figure.subplots()
        for color, marker, density in zip(COLORS, "os^D", densities, strict=False):
            own = [row for row in rows if row["density"] == density]
            first = [row for row in own if row["seed"] == own[0]["seed"]]
            axes.plot(
                [row["strength"] for row in own],
                [row[f"{what}_fraction"] for row in own],
                color=color,
                marker=marker,
                markersize=4,
                linestyle="",
                label=density,
            )
            axes.plot(
                [row["strength"] for row in first],
                [row[f"predicted_{what}_fraction"] for row in first],
                color=color,
                marker="",
                linestyle="-",
                linewidth=1.2,
            )
            critical = own[0]["critical_strength"]
            axes.axvline(critical, color=color, linestyle=":", marker="", linewidth=1.5)
        axes.plot([], [], color=INK, linestyle="-", lw=1.2, marker="", label="law (C16, C17)")
        axes.plot([], [], color=INK, linestyle=":", marker="", label="critical strength")
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlim(left=0)
        axes.set_title(title)
        axes.set_xlabel("strength g ÷ standard deviation")
        axes.set_ylabel(label)
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.18), ncols=2)
    return figure
