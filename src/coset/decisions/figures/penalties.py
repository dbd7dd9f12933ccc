"""Pictures of what one number cannot say: penalties, and constraints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["independence_reversal", "penalty_phases"]

Rows = Sequence[dict[str, Any]]

_PHASES = (
    ("walks as goal-first does", COLORS[2], "o"),
    ("risks a fall", COLORS[1], "s"),
    ("jumps off", COLORS[4], "X"),
)


def _phase(row: dict[str, Any]) -> str:
    if row["agrees"]:
        return "walks as goal-first does"
    return "risks a fall" if row["goal_chance"] > 0 else "jumps off"


def penalty_phases(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show for each cliff and penalty what the optimal scalar agent does.

    Args:
        rows: of `decisions.cliff`.
        folders: not used.

    Returns:
        The figure: a mark a run, the threshold of each cliff as a line, which no penalty stays
        above.
    """
    from matplotlib.figure import Figure

    punished = [r for r in rows if r["kind"] == "policy" and r["penalty"] is not None]
    thresholds = sorted((r["length"], r["penalty"]) for r in rows if r["kind"] == "threshold")
    with style():
        figure = Figure(figsize=(5.0, 4.2))
        axes = figure.subplots()
        for label, color, marker in _PHASES:
            own = [row for row in punished if _phase(row) == label]
            if own:
                axes.plot(
                    [row["length"] for row in own],
                    [row["penalty"] for row in own],
                    linestyle="",
                    marker=marker,
                    color=color,
                    markersize=7,
                    label=label,
                )
        if thresholds:
            lengths, least = zip(*thresholds, strict=True)
            axes.plot(
                lengths,
                least,
                color=INK,
                marker="",
                linestyle="-",
                label="least penalty that works",
            )
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="length of the cliff (cells)",
            ylabel="penalty for a fall",
        )
        axes.set_title("No penalty works on every cliff")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def independence_reversal(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show how a constrained preference turns around when both sides are mixed alike.

    Args:
        rows: of `decisions.constraint`.
        folders: not used.

    Returns:
        The figure: the mixtures in the plane of both expectations, the forbidden half shaded; and
        which side is preferred by the share of the third outcome.
    """
    from matplotlib.figure import Figure

    outcomes = [row for row in rows if row["kind"] == "outcome"]
    mixtures = sorted((r for r in rows if r["kind"] == "mixture"), key=lambda r: r["share"])
    bound = outcomes[0]["bound"] if outcomes else 0
    with style():
        figure = Figure(figsize=(5.0, 5.6))
        plane, signs = figure.subplots(2, 1, height_ratios=(3, 1))
        _plane(plane, outcomes, mixtures, bound)
        shares = [row["share"] for row in mixtures]
        for column, label, color, line in (
            ("constrained", f"E[u₁] subject to E[u₂] ≥ {bound}", COLORS[4], "-"),
            ("lexicographic", "u₂ first, then u₁", COLORS[0], "--"),
        ):
            own = [row[column] for row in mixtures]
            signs.step(shares, own, where="post", color=color, linestyle=line, marker="")
            signs.plot([], [], color=color, linestyle=line, marker="", label=label)
        signs.set_yticks([-1, 1], ["B", "A"])
        signs.set(ylim=(-1.5, 1.5), xlim=(0, 1), xlabel="share of o₃ in both", ylabel="better")
        figure.legend(*signs.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _plane(axes: Axes, outcomes: Rows, mixtures: Rows, bound: float) -> None:
    lowest = min((row["u_2"] for row in outcomes), default=bound)
    axes.axhspan(min(lowest, bound) - 1, bound, color=COLORS[4], alpha=0.15, linewidth=0)
    for side, color, line in (("a", COLORS[1], "-"), ("b", COLORS[0], "--")):
        axes.plot(
            [row[f"{side}_1"] for row in mixtures],
            [row[f"{side}_2"] for row in mixtures],
            color=color,
            linestyle=line,
            marker="",
        )
    for row in outcomes:
        axes.plot([row["u_1"]], [row["u_2"]], marker="o", color=INK, linestyle="")
        axes.annotate(
            row["outcome"], (row["u_1"], row["u_2"]), textcoords="offset points", xytext=(8, 4)
        )
    for share in (0.0, 0.5):
        near = min(mixtures, key=lambda row: abs(row["share"] - share), default=None)
        if near is None:
            continue
        for side, color in (("a", COLORS[1]), ("b", COLORS[0])):
            better = near["constrained"] == (1 if side == "a" else -1)
            axes.plot(
                [near[f"{side}_1"]],
                [near[f"{side}_2"]],
                marker="*" if better else "s",
                markersize=15 if better else 8,
                color=color,
                linestyle="",
            )
            if share:
                place = (near[f"{side}_1"], near[f"{side}_2"])
                axes.annotate(side.upper(), place, textcoords="offset points", xytext=(10, 4))
    axes.set(xlabel="E[u₁]", ylabel="E[u₂]")
    axes.margins(x=0.12)
    axes.set_title("★ preferred: alone, and mixed by halves", fontsize=11)
