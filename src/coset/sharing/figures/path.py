"""Pictures of the whole path: the dendrogram, how many values are left, the convex minorant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["convex_minorant", "dendrogram"]

Rows = Sequence[dict[str, Any]]


def _first_run(rows: Rows) -> Rows:
    """Return the rows of the first run among them (rows of one run alone have no such marks)."""
    marks = [(row.get("density"), row.get("seed"), row.get("num_weights")) for row in rows]
    return [row for row, mark in zip(rows, marks, strict=True) if mark == marks[0]]


def dendrogram(rows: Rows, folders: Sequence[Path], *, unit: str = "") -> Figure:
    """Show which clusters merge at which strength, and below how many values are left.

    Args:
        rows: of `sharing.dendrogram`; the tree of the first run is drawn.
        folders: not used.
        unit: of the strengths, for the axis.

    Returns:
        The figure: a line is as thick as its cluster is heavy; the law of sharing.C16 is dashed up
        to the critical strength, which is dotted.
    """
    from matplotlib.figure import Figure

    own = _first_run(rows)
    with style():
        figure = Figure(figsize=(5.0, 5.6))
        tree, counts = figure.subplots(2, 1, height_ratios=(3, 2))
        _draw_tree(tree, own)
        _draw_counts(counts, own, unit)
    return figure


def _draw_tree(axes: Any, rows: Rows) -> None:
    from matplotlib.collections import LineCollection

    leaves = [row for row in rows if row["kind"] == "leaf"]
    total = sum(leaf["mass"] for leaf in leaves)
    segments: list[list[tuple[float, float]]] = []
    masses: list[int] = []
    for row in rows:
        if row["kind"] != "join":
            continue
        g = row["strength"]
        for side in ("lower", "upper"):
            line, mass = row[f"{side}_line"], row[f"{side}_mass"]
            segments += [[(row[f"{side}_strength"], line), (g, line)]]
            segments += [[(g, line), (g, row["line"])]]
            masses += [mass, mass]
    widths = [0.9 + 4 * (mass / total) ** 0.5 if mass > 1 else 0.9 for mass in masses]
    colors = [COLORS[0] if mass == 1 else COLORS[1] for mass in masses]
    axes.add_collection(
        LineCollection(segments, linewidths=widths, colors=colors, capstyle="projecting")
    )
    axes.autoscale_view()
    axes.set_title(
        f"{total:,} weights merge one by one"
        if len(leaves) == total
        else f"The last {len(leaves) - 1} merges of {total:,} weights"
    )
    axes.set_ylabel("weights, in order" if len(leaves) == total else "clusters, in order")
    axes.set_yticks([])
    axes.grid(False, axis="y")
    axes.plot([], [], color=COLORS[0], marker="", linestyle="-", lw=1.0, label="one weight")
    axes.plot([], [], color=COLORS[1], marker="", linestyle="-", lw=3.0, label="tied weights")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)


def _draw_counts(axes: Any, rows: Rows, unit: str) -> None:
    counts = [row for row in rows if row["kind"] == "count"]
    strengths = [row["strength"] for row in counts]
    fractions = [row["distinct_fraction"] for row in counts]
    axes.step(strengths, fractions, where="post", color=COLORS[0], marker="", label="measured")
    law = [row for row in counts if row["predicted_fraction"] is not None]
    axes.plot(
        [row["strength"] for row in law],
        [row["predicted_fraction"] for row in law],
        color=COLORS[1],
        linestyle="--",
        marker="",
        label="law (C16)",
    )
    critical = next(row["strength"] for row in rows if row["kind"] == "critical")
    axes.axvline(critical, color=INK, linestyle=":", marker="", label="critical strength")
    axes.set_ylim(-0.03, 1.03)
    axes.set_title("Distinct values that remain")
    axes.set_xlabel(f"strength g{unit and f' ({unit})'}")
    axes.set_ylabel("distinct ÷ weights")
    axes.legend(loc="upper right")


def convex_minorant(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show cumulative sums of free flight and the greatest convex curve below: its slopes are tied.

    Args:
        rows: of `sharing.dendrogram`; those of the first run are drawn.
        folders: not used.

    Returns:
        The figure; markers stand where a cluster ends.
    """
    from matplotlib.figure import Figure

    points = [row for row in _first_run(rows) if row["kind"] == "hull"]
    corners = [row for row in points if row["corner"]]
    with style():
        figure = Figure()
        axes = figure.subplots()
        axes.plot(
            [row["rank"] for row in points],
            [row["cumulative"] for row in points],
            color=COLORS[0],
            marker="o",
            markersize=4,
            linestyle="-",
            linewidth=1.2,
            label="sums of x + g v",
        )
        axes.plot(
            [row["rank"] for row in corners],
            [row["minorant"] for row in corners],
            color=COLORS[1],
            marker="s",
            markersize=6,
            linestyle="-",
            label="convex minorant",
        )
        axes.set_title("Slopes of the minorant are the prox")
        axes.set_xlabel("rank of the weight")
        axes.set_ylabel("sum of the smallest weights")
        axes.legend(loc="upper center")
    return figure
