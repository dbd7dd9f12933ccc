"""Maps of grids: the value of each cell and the arrows of all best actions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["cliff_maps", "lake_maps", "lake_maps_large", "lake_outcomes"]

Rows = Sequence[dict[str, Any]]

_DANGER, _GOAL, _CELL = COLORS[4], COLORS[2], COLORS[0]
_LETTERS = {"H": "hole", "C": "", "G": "goal"}


def lake_maps(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the 4 × 4 lake under both priorities and under a discount.

    Args:
        rows: of `decisions.frozen-lake`.
        folders: not used.

    Returns:
        The figure: in each cell all best actions, darker where it is better to be; for
        priorities what is left after the first, and then after the second.
    """
    panels = [
        ("goal > steps", 1, "goal first:\nchance to arrive"),
        ("goal > steps", 2, "then steps:\nfew of them"),
        ("goal@0.9", 1, "scalar, γ = .9:\ndiscounted goal"),
        ("safety > goal@0.99", 1, "safety first:\nchance to stay dry"),
        ("safety > goal@0.99", 2, "then the goal:\ndiscounted goal"),
        ("goal@0.99", 1, "scalar, γ = .99:\ndiscounted goal"),
    ]
    return _lake(rows, "4x4", panels, columns=3, width=1.9)


def lake_maps_large(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the 8 × 8 lake, where safety and goal can both be had, beside a hasty discount.

    Args:
        rows: of `decisions.frozen-lake`.
        folders: not used.

    Returns:
        The figure, as in `lake_maps`.
    """
    panels = [
        ("goal > steps", 1, "goal first: chance to arrive"),
        ("goal > steps", 2, "then steps: few of them"),
        ("goal@0.9", 1, "scalar, γ = .9: discounted goal"),
    ]
    return _lake(rows, "8x8", panels, columns=1, width=4.6)


def _lake(
    rows: Rows, name: str, panels: Sequence[tuple[str, int, str]], columns: int, width: float
) -> Figure:
    from matplotlib.figure import Figure

    cells = [row for row in rows if row["kind"] == "cell" and row["map"] == name]
    shown = [panel for panel in panels if any(row["agent"] == panel[0] for row in cells)]
    lines = max(1, -(-len(shown) // columns))
    with style():
        figure = Figure(figsize=(columns * width, lines * (width + 0.5)))
        places = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, (agent, level, title) in zip(places, shown, strict=False):
            own = [row for row in cells if row["agent"] == agent]
            _map(axes, own, level, size=14 if width < 3 else 15)
            axes.set_title(title, fontsize=11)
        for axes in places[len(shown) :]:
            axes.set_axis_off()
        figure.supxlabel("darker is better; arrows: all best actions", fontsize=11)
        figure.get_layout_engine().set(h_pad=0.08)  # type: ignore[call-arg, union-attr]
    return figure


def _map(axes: Axes, cells: Rows, level: int, size: float) -> None:
    """Draw one grid: color by value of the level, arrows of what survives it."""
    from matplotlib.patches import Rectangle

    live = [row[f"value_{level}"] for row in cells if row["letter"] in "SF"]
    low, high = (min(live), max(live)) if live else (0.0, 0.0)
    for row in cells:
        place = (row["column"], row["row"])
        if row["letter"] in _LETTERS:
            color, depth = (_GOAL, 0.4) if row["letter"] == "G" else (_DANGER, 0.4)
            text = _LETTERS[row["letter"]]
        else:
            color, text = _CELL, _stacked(row["first_arrows" if level == 1 else "arrows"])
            part = (row[f"value_{level}"] - low) / (high - low) if high > low else 1.0
            depth = 0.04 + 0.36 * part
        corner = (place[0] - 0.5, place[1] - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=(color, depth), edgecolor=(INK, 0.5)))
        axes.text(*place, text, ha="center", va="center", fontsize=_fitting(text, size))
    axes.set_xlim(-0.5, max(row["column"] for row in cells) + 0.5)
    axes.set_ylim(max(row["row"] for row in cells) + 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _stacked(arrows: str) -> str:
    """Return three arrows in two lines, and a word for all four."""
    if len(arrows) < 3:
        return arrows
    return "any" if len(arrows) == 4 else f"{arrows[:2]}\n{arrows[2:]}"


def _fitting(text: str, size: float) -> float:
    """Return a size at which the text fits its cell; words are small."""
    if text.isalpha() and text.isascii():
        return size * 0.6
    return size if len(text) < 3 else size * 0.8


def lake_outcomes(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show for each agent how surely and how quickly it arrives.

    Args:
        rows: of `decisions.frozen-lake`.
        folders: not used.

    Returns:
        The figure: a panel a map; agents that may wait for ever stand at the right edge.
    """
    from matplotlib.figure import Figure

    policies = [row for row in rows if row["kind"] == "policy"]
    maps = list(dict.fromkeys(row["map"] for row in policies))
    with style():
        figure = Figure(figsize=(5.0, 0.9 + 2.7 * len(maps)))
        panels = figure.subplots(max(1, len(maps)), 1, squeeze=False)[:, 0]
        for axes, name in zip(panels, maps, strict=True):
            _outcomes(axes, [row for row in policies if row["map"] == name])
            axes.set_title(f"lake {name.replace('x', ' × ')}")
            axes.set_ylabel("chance to arrive")
        panels[-1].set_xlabel("expected steps")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _outcomes(axes: Axes, policies: Rows) -> None:
    longest = max((row["expected_steps"] or 0.0 for row in policies), default=1.0)
    for number, row in enumerate(policies):
        endless = row["expected_steps"] is None
        x = 1.15 * longest if endless else row["expected_steps"]
        first = row["is_lexicographic"]
        axes.plot(
            [x],
            [row["goal_chance"]],
            linestyle="",
            marker="*" if first else "osDv^"[number % 5],
            markersize=13 if first else 8,
            markerfacecolor="none" if not first else None,
            markeredgewidth=1.8,
            color=COLORS[number % len(COLORS)],
            label=row["agent"].replace("@", ", γ = "),
        )
        if endless:
            axes.annotate(
                "may wait for ever",
                (x, row["goal_chance"]),
                xytext=(-10, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=11,
            )
    axes.set_ylim(-0.08, 1.12)


def cliff_maps(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show what goal-first and punished agents do on a cliff of ten cells.

    Args:
        rows: of `decisions.cliff`.
        folders: not used.

    Returns:
        The figure: a map for each way to act, under the first agent that acts so; darker where
        fewer steps or less loss are ahead.
    """
    from matplotlib.figure import Figure

    cells = [row for row in rows if row["kind"] == "cell"]
    length = max((row["length"] for row in cells), default=0)
    own = [row for row in cells if row["length"] == length]
    told = {r["agent"]: r for r in rows if r["kind"] == "policy" and r["length"] == length}
    # Punished agents that do the same are shown once.
    seen = {told[row["agent"]]["policy"]: row["agent"] for row in reversed(own)}
    agents = [a for a in dict.fromkeys(row["agent"] for row in own) if a in seen.values()]
    with style():
        figure = Figure(figsize=(5.4, 0.3 + 1.95 * max(1, len(agents))))
        panels = figure.subplots(max(1, len(agents)), 1, squeeze=False)[:, 0]
        for axes, agent in zip(panels, agents, strict=False):
            level = 2 if told[agent]["penalty"] is None else 1
            _map(axes, [row for row in own if row["agent"] == agent], level, size=12)
            chance = told[agent]["goal_chance"]
            steps = told[agent]["expected_steps"]
            taken = "no end" if steps is None else f"{steps:.1f} steps"
            axes.set_title(f"{agent}: arrives {chance:.0%}, {taken}", fontsize=11)
    return figure
