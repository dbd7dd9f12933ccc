"""Pictures of the compression experiment."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["compression_accuracy"]

Rows = Sequence[dict[str, Any]]

_LEAST_BITS = 0.03  # below it networks guess

_TRAININGS = {
    "plain": "plain training",
    "sharing": "sharing",
    "dual-averaging": "dual averaging",
    "l1": "L1",
}
_METHODS: dict[str, tuple[Any, str, str]] = {
    "kmeans": ("-", "o", "k-means"),
    "path": ("--", "s", "path cut"),
}


def compression_accuracy(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show test accuracy against distinct weights, and against bits a weight in a file.

    Args:
        rows: of `sharing.compression`.
        folders: not used.

    Returns:
        The figure: a line for each training and method, the mean over seeds, a thin stroke from
        the least to the largest; a star where the network was left as trained. Bits are shown from
        0.03 on, logarithmically.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(5.0, 6.6))
        top, bottom = figure.subplots(2, 1, sharey=True)
        for axes, column in ((top, "num_distinct"), (bottom, "stored_bits_per_weight")):
            for training in _TRAININGS:
                _draw(axes, [row for row in rows if row["training"] == training], column)
            axes.set_ylim(0, 1)
            axes.set_ylabel("test accuracy")
        top.set_title("How few values carry the accuracy")
        for axes, form in ((top, "{x:,.0f}"), (bottom, "{x:g}")):
            axes.set_xscale("log")  # with plain numbers: exponents are too small on a phone
            axes.xaxis.set_major_formatter(form)
        top.set_xlabel("distinct weights of the network")
        bottom.set_title("The same in bits")
        bottom.set_xlim(left=_LEAST_BITS)
        bottom.set_xlabel("bits a weight in the file, values included")
        _add_legend(figure, {row["training"] for row in rows})
    return figure


def _draw(axes: Any, rows: Rows, column: str) -> None:
    if not rows:
        return
    color = COLORS[list(_TRAININGS).index(rows[0]["training"])]
    for method, (line, marker, _) in _METHODS.items():
        points = _points([row for row in rows if row["method"] == method], column)
        if not points:
            continue
        xs, means, lows, highs = zip(*points, strict=True)
        look = {"color": color, "linestyle": line, "marker": marker, "linewidth": 1.6}
        axes.plot(xs, means, markersize=4.5, **look)
        axes.vlines(xs, lows, highs, color=color, linewidth=1.0)
    for x, mean, _, _ in _points([row for row in rows if row["method"] == "none"], column):
        axes.plot([x], [mean], color=color, marker="*", markersize=12, linestyle="")


def _points(rows: Rows, column: str) -> list[tuple[float, float, float, float]]:
    """Return (x, mean, least and largest accuracy) for each number of values, means over seeds."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["num_allowed"]].append(row)
    points = []
    for group in groups.values():
        found = [row["test_accuracy"] for row in group]
        x = statistics.fmean(row[column] for row in group)
        if column == "num_distinct" or x >= _LEAST_BITS:
            points.append((x, statistics.fmean(found), min(found), max(found)))
    return points


def _add_legend(figure: Any, present: set[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLORS[number], linestyle="-", marker="", label=name)
        for number, (training, name) in enumerate(_TRAININGS.items())
        if training in present
    ]
    handles += [
        Line2D([], [], color=INK, linestyle=line, marker=marker, label=name)
        for line, marker, name in _METHODS.values()
    ]
    handles.append(
        Line2D([], [], color=INK, linestyle="", marker="*", markersize=10, label="as trained")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
