"""Pictures of compiled groups: series and layers, phases while a word is read, tables of turns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import CosetError, UnavailableError
from coset.core.files import read_json
from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.figure import Figure

__all__ = ["animate_clock", "increment_maps", "phase_clock", "series_diagram"]

Rows = Sequence[Mapping[str, Any]]

_CLOCK_FILE = "clock.json"
# Frames of the static picture of the clock.
_FRAMES = 4
# Tokens of a heat map that get a name: more would be too small to read.
_MOST_LABELS = 12


def _first_of_each(rows: Rows) -> list[Mapping[str, Any]]:
    """Return one row a group, in the order in which groups first appear."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        found.setdefault(row["group"], row)
    return list(found.values())


def series_diagram(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show each group's series: what is left to know below every layer, and the layer between.

    Args:
        rows: of `ssm.compile`.
        folders: not used.

    Returns:
        The figure: one line a group, boxes with orders, the layer's moduli between them; a group
        that is refused ends at its perfect residual.
    """
    from matplotlib.figure import Figure

    groups = _first_of_each(rows)
    with style():
        figure = Figure(figsize=(7.0, 1.0 + 0.42 * len(groups)))
        axes = figure.subplots()
        for line, row in enumerate(groups):
            _draw_series(axes, -line, row)
        deepest = max(str(row["series"]).count(",") for row in groups)
        axes.set(xlim=(-1.9, max(4, deepest) + 0.75), ylim=(-len(groups) + 0.4, 0.9))
        axes.set_axis_off()
        axes.set_title("Values left open, and the layers that settle them", loc="left")
    return figure


def _draw_series(axes: Any, y: float, row: Mapping[str, Any]) -> None:
    axes.text(-1.85, y, row["group"], va="center", color=INK)
    refused = row["mode"] == "refused"
    stalls = sorted({row["order"], row["residual_order"]}, reverse=True)
    sizes = stalls if refused else [int(n) for n in row["series"].split(",")]
    moduli = [] if refused else [m for m in row["moduli"].split("|") if m]
    for place, size in enumerate(sizes):
        last = COLORS[4] if refused else COLORS[2]
        color = last if place == len(sizes) - 1 else COLORS[0]
        box = {"boxstyle": "round,pad=0.25", "facecolor": "none", "edgecolor": color}
        axes.text(place, y, str(size), ha="center", va="center", color=color, bbox=box, fontsize=10)
    for place in range(len(sizes) - 1):
        axes.annotate(
            "",
            (place + 0.78, y),
            (place + 0.22, y),
            arrowprops={"arrowstyle": "->", "color": INK},
        )
    for place, text in enumerate(moduli):
        name = "×".join(f"Z{m}" for m in text.split(","))
        axes.text(place + 0.5, y + 0.12, name, ha="center", va="bottom", color=INK, fontsize=8)
    if refused:
        x = len(sizes) - 0.55
        axes.text(x, y, "perfect: refused at every depth", va="center", color=COLORS[4])


def _read_clock(folders: Sequence[Path]) -> dict[str, Any]:
    for folder in folders:
        try:
            found: dict[str, Any] = read_json(folder / _CLOCK_FILE)
            return found
        except (CosetError, OSError) as error:
            raise UnavailableError(
                f"the picture needs {folder / _CLOCK_FILE}, which is not there or damaged; run "
                f"the experiment again with --fresh"
            ) from error
    raise UnavailableError("the picture needs a run folder of ssm.compile; none was given")


def _phases_at(clock: Mapping[str, Any], time: int) -> list[int]:
    """Return all phases after so many tokens."""
    start = [0] * sum(len(m) for m in clock["moduli"])
    return list(clock["phases"][time - 1]) if time else start


def _draw_clock(axes: Any, moduli: Sequence[Sequence[int]], phases: Sequence[int]) -> None:
    """Draw one dial for each phase: a dot for every value, a hand at the present one."""
    column = 0
    for layer, tops in enumerate(moduli):
        for m in tops:
            x, y, s = 2.6 * column, 0.0, phases[column]
            for value in range(m):
                angle = math.pi / 2 - 2 * math.pi * value / m
                here = value == s
                axes.plot(
                    x + math.cos(angle),
                    y + math.sin(angle),
                    marker="o",
                    markersize=7 if here else 4,
                    color=COLORS[layer % len(COLORS)] if here else INK,
                    linestyle="none",
                )
            angle = math.pi / 2 - 2 * math.pi * s / m
            hand = ([x, x + 0.8 * math.cos(angle)], [y, y + 0.8 * math.sin(angle)])
            axes.plot(
                *hand, color=COLORS[layer % len(COLORS)], linewidth=2, linestyle="-", marker=""
            )
            axes.text(x, -1.75, f"layer {layer + 1}\nmod {m}", ha="center", va="top", fontsize=9)
            column += 1
    axes.set(xlim=(-1.6, 2.6 * column - 1.0), ylim=(-3.1, 1.5), aspect="equal")
    axes.set_axis_off()


def _caption(clock: Mapping[str, Any], time: int) -> str:
    labels = clock["labels"]
    if not time:
        return "start: e"
    token, product = clock["word"][time - 1], clock["elements"][time - 1]
    return f"token {time}: {labels[token]}   product: {labels[product]}"


def phase_clock(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the phases of all layers at the start and after each of the first tokens of a word.

    Args:
        rows: not used.
        folders: run folders of `ssm.compile`; the first one's word is shown.

    Returns:
        The figure: a line of dials a token, one dial a phase.

    Raises:
        UnavailableError: if there is no folder, or it holds no phases.
    """
    from matplotlib.figure import Figure

    clock = _read_clock(folders)
    frames = range(min(_FRAMES, len(clock["word"])) + 1)
    with style():
        figure = Figure(figsize=(5.0, 0.5 + 1.75 * len(frames)))
        panels = figure.subplots(len(frames), 1, squeeze=False)[:, 0]
        for time, axes in zip(frames, panels, strict=True):
            _draw_clock(axes, clock["moduli"], _phases_at(clock, time))
            axes.set_title(_caption(clock, time), loc="left", fontsize=10)
        figure.suptitle(f"{clock['group']}: phases while a word is read", color=INK, fontsize=13)
    return figure


def animate_clock(folder: Path, *, interval: int = 900) -> FuncAnimation:
    """Animate the phases of all layers while a word is read.

    Args:
        folder: a run folder of `ssm.compile`.
        interval: milliseconds a token.

    Returns:
        The animation; ``animation.save("clock.gif", writer="pillow")`` writes it.

    Raises:
        UnavailableError: if the folder holds no phases.
    """
    from matplotlib.animation import FuncAnimation
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    clock = _read_clock([folder])
    figure = Figure(figsize=(5.0, 2.6), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots()

    def draw(time: int) -> list[Any]:
        axes.clear()
        _draw_clock(axes, clock["moduli"], _phases_at(clock, time))
        axes.set_title(_caption(clock, time), loc="left", fontsize=10)
        return []

    frames = len(clock["word"]) + 1
    return FuncAnimation(figure, draw, frames=frames, interval=interval, blit=False)


def increment_maps(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show Θ of every layer: by how much each token turns each phase in each state below.

    Args:
        rows: not used.
        folders: run folders of `ssm.compile`; the first one's tables are shown.

    Returns:
        The figure: one map a phase, states below downwards, tokens to the right.

    Raises:
        UnavailableError: if there is no folder, or it holds no tables.
    """
    from matplotlib.figure import Figure

    clock = _read_clock(folders)
    maps = [
        (layer, j, m, [[entry[j] for entry in cell] for cell in table])
        for layer, (table, tops) in enumerate(
            zip(clock["increments"], clock["moduli"], strict=True)
        )
        for j, m in enumerate(tops)
    ]
    heights = [0.9 + 0.14 * len(table) for *_, table in maps]
    with style():
        figure = Figure(figsize=(5.0, 0.7 + sum(heights)))
        panels = figure.subplots(len(maps), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (layer, j, m, table) in zip(panels, maps, strict=True):
            image = axes.imshow(table, vmin=0, vmax=m - 1, aspect="auto", interpolation="nearest")
            axes.set_title(f"layer {layer + 1}, phase {j + 1}: Θ mod {m}", loc="left", fontsize=10)
            axes.set_yticks([0, len(table) - 1] if len(table) > 1 else [0])
            axes.set_ylabel("below", fontsize=9)
            axes.grid(visible=False)
            axes.set_xticks([])
            bar = figure.colorbar(image, ax=axes, ticks=sorted({0, m - 1}))
            bar.ax.tick_params(labelsize=8)
        _name_tokens(panels[-1], clock)
        figure.suptitle(f"{clock['group']}: turns by state below and token", color=INK, fontsize=13)
    return figure


def _name_tokens(axes: Any, clock: Mapping[str, Any]) -> None:
    num_tokens = len(clock["increments"][-1][0])
    if num_tokens <= _MOST_LABELS:
        axes.set_xticks(range(num_tokens), clock["labels"][:num_tokens], rotation=90, fontsize=8)
    else:
        axes.set_xticks([0, num_tokens - 1])
        axes.set_xlabel("token")
