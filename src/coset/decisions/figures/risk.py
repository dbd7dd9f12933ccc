"""Picture of what an agent gives up for a surer result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["risk_frontier"]

Rows = Sequence[dict[str, Any]]


def risk_frontier(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show mean and spread of the total reward for each attitude, and the chance of the goal.

    Args:
        rows: of `decisions.risk`.
        folders: not used.

    Returns:
        The figure: on top mean against standard deviation, a line an environment and penalty, with
        the first β of some policies; below the chance of the goal against β.
    """
    from matplotlib.figure import Figure

    runs = list(dict.fromkeys((r["env"], r["penalty"]) for r in rows))
    with style():
        figure = Figure(figsize=(5.0, 6.2))
        plane, chances = figure.subplots(2, 1)
        for number, (env, penalty) in enumerate(runs):
            own = [r for r in rows if (r["env"], r["penalty"]) == (env, penalty)]
            own = sorted((r for r in own if r["solved"]), key=lambda r: r["beta"])
            color = COLORS[number % len(COLORS)]
            label = f"{env}, penalty {penalty:g}"
            _frontier(plane, [r for r in own if r["mean"] is not None], color, label)
            betas = [r["beta"] for r in own]
            goal = [r["goal_chance"] for r in own]
            chances.plot(betas, goal, color=color, drawstyle="steps-mid")
        plane.set(xlabel="standard deviation of the total reward", ylabel="mean")
        plane.set_title("What surer results cost")
        chances.axvline(0, color=INK, linestyle=":", marker="", linewidth=1)
        chances.set(xlabel="β (> 0: averse to risk)", ylabel="P(goal)", ylim=(-0.05, 1.05))
        chances.set_xscale("symlog", linthresh=0.01)
        handles, names = plane.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center")
    return figure


def _frontier(axes: Any, rows: Rows, color: str, label: str) -> None:
    spread, mean = [r["deviation"] for r in rows], [r["mean"] for r in rows]
    axes.plot(spread, mean, color=color, linestyle="-", marker="o", markersize=4, label=label)
    wide = max(1e-9, max(spread) - min(spread)) if rows else 1.0
    high = max(1e-9, max(mean) - min(mean)) if rows else 1.0
    written: list[tuple[float, float]] = []
    for row in rows:
        place = (row["deviation"] / wide, row["mean"] / high)
        if all(math.dist(place, other) > 0.12 for other in written):
            written.append(place)
            axes.annotate(
                f"{row['beta']:g}",
                (row["deviation"], row["mean"]),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=9,
            )
