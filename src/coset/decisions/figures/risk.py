"""Picture of what an agent gives up for a surer result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["risk_frontier"]

Rows = Sequence[dict[str, Any]]

_LINES = ("-", "--", "-.", ":")


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
        figure = Figure(figsize=(5.0, 7.4))
        plane, chances = figure.subplots(2, 1, height_ratios=(4, 3))
        shown: list[dict[str, Any]] = []
        for number, (env, penalty) in enumerate(runs):
            own = [r for r in rows if (r["env"], r["penalty"]) == (env, penalty)]
            own = sorted((r for r in own if r["solved"]), key=lambda r: r["beta"])
            color = COLORS[number % len(COLORS)]
            look = {"color": color, "linestyle": _LINES[number % len(_LINES)]}
            known = [r for r in own if r["mean"] is not None]
            shown += known
            plane.plot(
                [r["deviation"] for r in known],
                [r["mean"] for r in known],
                **look,
                marker="o",
                markersize=4,
                label=f"{env}, penalty {penalty:g}",
            )
            betas, goal = [r["beta"] for r in own], [r["goal_chance"] for r in own]
            chances.plot(betas, goal, **look, drawstyle="steps-mid", marker="")
        _name_points(plane, shown)
        plane.set(xlabel="standard deviation of the total reward", ylabel="mean")
        plane.set_title("What surer results cost")
        chances.axvline(0, color=INK, linestyle=":", marker="", linewidth=1)
        chances.set(xlabel="β (> 0: averse to risk)", ylabel="P(goal)", ylim=(-0.05, 1.05))
        chances.set_xscale("symlog", linthresh=0.01)
        chances.set_xticks([-1, -0.1, -0.01, 0, 0.01, 0.1], ["−1", "−.1", "−.01", "0", ".01", ".1"])
        handles, names = plane.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center")
    return figure


def _name_points(axes: Any, rows: Rows) -> None:
    """Write β beside points, where there is room: mild attitudes are named first."""
    if not rows:
        return
    wide = max(1e-9, max(r["deviation"] for r in rows) - min(r["deviation"] for r in rows))
    high = max(1e-9, max(r["mean"] for r in rows) - min(r["mean"] for r in rows))
    written: list[tuple[float, float]] = []
    for row in sorted(rows, key=lambda r: abs(r["beta"])):
        x, y = row["deviation"] / wide, row["mean"] / high
        if all(abs(x - other) > 0.16 or abs(y - level) > 0.09 for other, level in written):
            written.append((x, y))
            axes.annotate(
                f"{row['beta']:g}",
                (row["deviation"], row["mean"]),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=10,
            )
    axes.margins(x=0.1, y=0.12)
