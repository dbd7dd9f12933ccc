"""Safety first as a triangle: the chance of safety to the right, what is earned above."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hausner_triangle"]

Rows = Sequence[dict[str, Any]]


def hausner_triangle(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show lotteries in the plane of their two-level utilities.

    Args:
        rows: of `decisions.safety-triangle`.
        folders: not used.

    Returns:
        The figure: the triangle, its apex the unsafe outcome, its base the safe ones; lotteries as
        points, the darker the better; the example with the line from the apex through it to the
        base, where its safe part lies.
    """
    from matplotlib.figure import Figure

    corners = [row for row in rows if row["kind"] == "corner"]
    lotteries = [row for row in rows if row["kind"] == "lottery"]
    with style():
        figure = Figure(figsize=(5.0, 5.0))
        axes = figure.subplots()
        points = axes.scatter(
            [row["first"] for row in lotteries],
            [row["second"] for row in lotteries],
            c=[row["rank"] for row in lotteries],
            cmap="viridis",
            s=26,
            edgecolors=INK,
            linewidths=0.5,
            label="lottery",
        )
        _outline(axes, corners)
        if lotteries:
            _example(axes, lotteries[0])
            bar = figure.colorbar(points, ax=axes, label="rank, 1 is best")
            bar.ax.invert_yaxis()
        axes.set_title("Safety first, then what is earned")
        axes.set_xlabel("u₁ = chance of safety − 1")
        axes.set_ylabel("u₂ = chance of safety × u' if safe")
        axes.set_xlim(-1.2, 0.14)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return figure


def _outline(axes: Axes, corners: Rows) -> None:
    apex = min(corners, key=lambda row: row["first"])
    base = sorted((row for row in corners if row is not apex), key=lambda row: row["second"])
    ring = [apex, base[0], base[-1], apex]
    axes.plot(
        [row["first"] for row in ring],
        [row["second"] for row in ring],
        color=INK,
        marker="",
        linestyle="-",
        linewidth=1.5,
    )
    for row in corners:
        left = row is apex
        axes.plot([row["first"]], [row["second"]], color=INK, marker="o", linestyle="")
        axes.annotate(
            row["name"],
            (row["first"], row["second"]),
            xytext=(-8 if left else 8, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            color=INK,
        )


def _example(axes: Axes, row: dict[str, Any]) -> None:
    # From the apex (−1, 0) through the example to (0, u') on the base.
    axes.plot(
        [-1, 0],
        [0, row["safe_value"]],
        color=COLORS[1],
        marker="",
        linestyle="--",
        linewidth=1.4,
        label=f"same lottery if safe, u' = {row['safe_value']:g}",
    )
    axes.plot(
        [row["first"]],
        [row["second"]],
        color=COLORS[1],
        marker="s",
        markersize=8,
        linestyle="",
        label=row["name"],
    )
