"""Pictures of classical algorithms as foci: EM, belief propagation, adversarial training, GANs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["adversarial_bars", "bp_residuals", "em_staircase", "gan_ring_samples"]

Rows = Sequence[dict[str, Any]]

_FLOOR = 1e-17  # where exact zeros are drawn on logarithmic axes
_SIDE = 8  # of a digit
_SHADES = "gray_r"


def em_staircase(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the inconsistency after each focus: a step down for E, one for M.

    Args:
        rows: of `beliefs.em`.
        folders: not used.

    Returns:
        The figure: a panel a model, for the first seed: stairs above the least value that the run
        reaches, with E and M in colors of their own; the largest difference from closed-form EM in
        the title.
    """
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(row["model"] for row in rows))
    with style():
        figure = Figure(figsize=(5.0, 2.8 * max(len(models), 1)))
        panels = figure.subplots(max(len(models), 1), 1, squeeze=False)[:, 0]
        for axes, model in zip(panels, models, strict=False):
            table = [row for row in rows if row["model"] == model]
            _stairs(axes, [row for row in table if row["seed"] == table[0]["seed"]])
            worst = max(r["difference"] for r in table if r["difference"] is not None)
            axes.set_title(f"{model}: off closed-form EM by at most {worst:.1g}")
            axes.set_ylabel("nats above the end")
        panels[-1].set_xlabel("iteration of EM (two foci)")
        if models:
            handles = panels[0].get_legend_handles_labels()
            figure.legend(*handles, loc="outside lower center", ncols=2)
    return figure


def _stairs(axes: Axes, rows: Rows) -> None:
    end = rows[-1]["inconsistency"]
    excess = [row["inconsistency"] - end for row in rows]
    for place, row in enumerate(rows[1:-1], 1):
        now = (row["iteration"] - 1) + (0.5 if row["focus"] == "M" else 0.0)
        color = COLORS[0] if row["focus"] == "E" else COLORS[1]
        label = f"{row['focus']} focus" if place <= 2 else None
        axes.plot([now, now], [excess[place - 1], excess[place]], "-", color=color, label=label)
        axes.plot([now, now + 0.5], [excess[place]] * 2, "-", color=INK, linewidth=1)
    axes.set_yscale("log")


def bp_residuals(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show flooding on the grid, sweep by sweep.

    Args:
        rows: of `beliefs.belief-propagation`.
        folders: not used.

    Returns:
        The figure: by sweep, the largest change of a message, the error of marginals (which cycles
        leave), and the difference of messages from textbook sum-product; the worst tree in the
        title.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    grid = [row for row in rows if row["graph"] == "grid"]
    trees = [row for row in rows if row["graph"] == "trees"]
    with style():
        figure = Figure(figsize=(5.0, 4.2))
        axes = figure.subplots()
        sweeps = [row["number"] for row in grid]
        for column, label in (
            ("residual", "change of a message"),
            ("error", "error of a marginal"),
            ("difference", "from sum-product"),
        ):
            axes.plot(sweeps, [max(row[column], _FLOOR) for row in grid], label=label)
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("sweep over a grid with cycles")
        axes.set_ylabel("largest difference")
        if trees:
            worst = max(row["error"] for row in trees)
            axes.set_title(f"{len(trees)} trees: marginals exact to {worst:.1g}")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def adversarial_bars(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show accuracies of both trainings, and digits before and after an attack.

    Args:
        rows: of `beliefs.adversarial`.
        folders: not used.

    Returns:
        The figure: bars of the mean over seeds with a dot a seed, for no attack, the attack of the
        training and a settled one; below, digits, what attacks on both networks made of them, and
        what the networks say then.
    """
    from matplotlib.figure import Figure

    trainings = [t for t in ("plain", "adversarial") if any(r["training"] == t for r in rows)]
    with style():
        figure = Figure(figsize=(5.0, 5.4))
        parts: Any = figure.subfigures(2, 1, height_ratios=(3, 2))
        upper, lower = parts
        axes = upper.subplots()
        for place, training in enumerate(trainings):
            own = [r for r in rows if r["kind"] == "outcome" and r["training"] == training]
            _bars(axes, own, place, training)
        axes.set_xticks([0, 1, 2], ["no attack", "attack", "settled attack"])
        axes.set_ylim(0, 1)
        axes.set_ylabel("accuracy on 500 digits")
        axes.set_title("Digits: attack and patch foci")
        upper.legend(loc="outside lower center", ncols=2)
        _attacked_digits(lower, [r for r in rows if r["kind"] == "digit"], trainings)
    return figure


def _bars(axes: Axes, rows: Rows, place: int, training: str) -> None:
    columns = ("clean_accuracy", "robust_accuracy", "settled_accuracy")
    for number, column in enumerate(columns):
        values = [row[column] for row in rows]
        at = number + 0.4 * (place - 0.5)
        label = f"{training} training" if number == 0 else None
        axes.bar(at, statistics.fmean(values), 0.38, color=COLORS[place], alpha=0.6, label=label)
        axes.plot([at] * len(values), values, "o", color=INK, markersize=4)


def _attacked_digits(figure: Any, rows: Rows, trainings: Sequence[str]) -> None:
    seed = min((row["seed"] for row in rows), default=0)
    first = [row for row in rows if row["seed"] == seed]
    digits = [row for row in first if row["training"] == trainings[-1]][:6] if trainings else []
    if not digits:
        return
    panels = figure.subplots(1 + len(trainings), len(digits), squeeze=False)
    for column, digit in enumerate(digits):
        _digit(panels[0, column], digit["pixels"], str(digit["label"]))
        for line, training in enumerate(trainings, 1):
            (row,) = (
                r for r in first if r["training"] == training and r["label"] == digit["label"]
            )
            _digit(panels[line, column], row["moved_pixels"], str(row["seen"]))
    for line, name in enumerate(["as it is", *trainings]):
        panels[line, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)


def _digit(axes: Axes, pixels: str, text: str) -> None:
    numbers = [float(p) for p in pixels.split()]
    image = [numbers[i : i + _SIDE] for i in range(0, _SIDE * _SIDE, _SIDE)]
    axes.imshow(image, cmap=_SHADES, vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.text(1.12, 0.5, text, transform=axes.transAxes, va="center", fontsize=11, color=INK)


def gan_ring_samples(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show what generators made, on the ring of the data.

    Args:
        rows: of `beliefs.gan`.
        folders: not used.

    Returns:
        The figure: a panel a seed (at most four), with the modes as circles and the samples as
        dots, and how many modes were found in the title.
    """
    import math

    from matplotlib.figure import Figure

    outcomes = [row for row in rows if row["kind"] == "outcome"][:4]
    with style():
        figure = Figure(figsize=(2.6 * max(len(outcomes), 1), 3.0))
        panels = figure.subplots(1, max(len(outcomes), 1), squeeze=False)[0]
        for axes, outcome in zip(panels, outcomes, strict=False):
            num = outcome["num_modes"]
            angles = [2 * math.pi * k / num for k in range(num)]
            axes.plot(
                [2 * math.cos(a) for a in angles],
                [2 * math.sin(a) for a in angles],
                "o",
                markerfacecolor="none",
                markersize=14,
                color=INK,
            )
            own = [r for r in rows if r["kind"] == "sample" and r["seed"] == outcome["seed"]]
            points = [row["x"] for row in own], [row["y"] for row in own]
            axes.plot(*points, "o", color=COLORS[0], alpha=0.3, markersize=3)
            axes.set_aspect("equal")
            axes.set_xlim(-3, 3)
            axes.set_ylim(-3, 3)
            axes.set_title(f"seed {outcome['seed']}: {outcome['modes_found']} of {num} modes")
    return figure
