"""Pictures of learning: distance to the exact optimum, and both objectives of deep agents."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["deep_curves", "q_learning_curves"]

Rows = Sequence[dict[str, Any]]

_FLOOR = 1e-4  # where excess steps of 0 are drawn on the logarithmic axis
_NAMES = {
    "lexicographic-ppo": "lexicographic PPO",
    "lexicographic-dqn": "lexicographic DQN",
    "upright-ppo": "PPO, upright only",
}


def q_learning_curves(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show how many steps too many the greedy policy takes, by steps of learning.

    Args:
        rows: of `decisions.q-learning`.
        folders: not used.

    Returns:
        The figure: a dot a seed and checkpoint, a line through the medians; at the bottom the
        policies that are exactly optimal.
    """
    from matplotlib.figure import Figure

    table = [row for row in rows if row["kind"] == "policy" and row["expected_steps"] is not None]
    points = sorted({row["num_steps"] for row in table})
    with style():
        figure = Figure(figsize=(5.0, 4.2))
        axes = figure.subplots()
        excess = {
            n: [
                max(row["expected_steps"] - row["optimal_steps"], _FLOOR)
                for row in table
                if row["num_steps"] == n
            ]
            for n in points
        }
        for n, values in excess.items():
            label = "one seed" if n == points[0] else None
            axes.plot(
                [n] * len(values), values, "o", color=COLORS[0], alpha=0.35, ms=6, label=label
            )
        medians = [statistics.median(values) for values in excess.values()]
        axes.plot(points, medians, "-s", color=COLORS[1], label="median")
        axes.axhline(_FLOOR, color=INK, linewidth=1, linestyle=":")
        axes.annotate(
            "exactly optimal",
            (0.02, _FLOOR),
            (0, 4),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=INK,
            fontsize=11,
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("steps of learning")
        axes.set_ylabel("steps above the optimum")
        axes.set_title("Lexicographic Q-learning on the cliff")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def deep_curves(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show length and safety of training episodes, and how the agents ended.

    Args:
        rows: of `decisions.deep`.
        folders: not used.

    Returns:
        The figure: above, the length of training episodes by steps, a thin line a seed; below, one
        bar an agent: the share of its evaluated episodes that were unsafe, with its mean length.
    """
    from matplotlib.figure import Figure

    outcomes = [row for row in rows if row["kind"] == "outcome"]
    methods = [name for name in _NAMES if any(row["method"] == name for row in outcomes)]
    with style():
        heights = (3.0, 0.36 * len(outcomes))
        figure = Figure(figsize=(5.0, 2.0 + sum(heights)))
        upper, lower = figure.subplots(2, 1, height_ratios=heights)
        for place, method in enumerate(methods):
            _curves(upper, [row for row in rows if row["method"] == method], place)
        upper.set_xlabel("thousand steps of the environment")
        upper.set_ylabel("steps an episode")
        upper.set_title("CartPole: |x| < 1 first, then upright")
        upper.set_ylim(bottom=0)
        _bars(lower, outcomes, methods)
        figure.legend(*upper.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _curves(axes: Axes, rows: Rows, place: int) -> None:
    name = _NAMES[rows[0]["method"]]
    for index, seed in enumerate(sorted({row["seed"] for row in rows})):
        own = [r for r in rows if r["kind"] == "progress" and r["seed"] == seed and r["length"]]
        axes.plot(
            [row["step"] / 1000 for row in own],
            [row["length"] for row in own],
            color=COLORS[place],
            linestyle=("-", "--", ":")[place],
            marker="",
            linewidth=1.5,
            label=name if index == 0 else None,
        )


def _bars(axes: Axes, outcomes: Rows, methods: Sequence[str]) -> None:
    ordered = sorted(outcomes, key=lambda row: (methods.index(row["method"]), row["seed"]))
    for line, row in enumerate(ordered):
        color = COLORS[methods.index(row["method"])]
        share = row["unsafe_share"]
        axes.barh(line, share, color=color, alpha=0.45, height=0.7)
        name = f"{_NAMES[row['method']]}, seed {row['seed']}"
        text = f"{name}: {share:.0%} unsafe, {row['mean_length']:.0f} steps"
        axes.text(0.01, line, text, va="center", fontsize=11)
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1)
    axes.set_xlabel("unsafe share of evaluated episodes")
