"""Pictures of witnesses: how long they are, and how two words become one state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["witness_lengths", "witness_reading"]

Rows = Sequence[dict[str, Any]]
_NAMES = {"A": "shortest", "C": "commutators"}
_LEAST = 1e-4  # smaller distances are not drawn
_LAST = 150  # tokens before the end that are drawn
_MAX_LINES = 7


def witness_lengths(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the lengths of the words that fool random models, by depth.

    Args:
        rows: of `ssm.witnesses`.
        folders: not used.

    Returns:
        The figure: for each group the median length of commutator words, and dotted of the shortest
        words, against unitary models; where no pair exists, nothing is drawn.
    """
    from matplotlib.figure import Figure

    found: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["kind"] == "witness" and row["model"] == "unitary" and row["length"] is not None:
            found[row["group"], row["level"]][row["num_layers"]].append(row["length"])
    groups = list(dict.fromkeys(group for group, _ in found))
    with style():
        figure = Figure(figsize=(5.0, 4.4))
        axes = figure.subplots()
        for (group, level), by_depth in found.items():
            depths = sorted(by_depth)
            axes.plot(
                depths,
                [median(by_depth[d]) for d in depths],
                color=COLORS[groups.index(group) % len(COLORS)],
                linestyle="-" if level == "C" else ":",
                marker="os^DvPX*"[groups.index(group) % 8],
                label=group if level == "C" else None,
            )
        for level, name in _NAMES.items():
            axes.plot([], [], color=INK, linestyle="-" if level == "C" else ":", label=name)
        axes.set(yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.set_xticks(sorted({d for by_depth in found.values() for d in by_depth}))
        axes.set_title("Two words that k layers cannot tell apart")
        axes.set_xlabel("layers k")
        axes.set_ylabel("tokens of each word")
        axes.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return figure


def witness_reading(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the distance of the states while two words are read, up to their common end.

    Args:
        rows: of `ssm.witnesses`.
        folders: not used.

    Returns:
        The figure: the last 150 tokens, one line for each group at its largest depth, against
        contracting models; the resolution 0.001 is dotted.
    """
    from matplotlib.figure import Figure

    found: dict[tuple[str, int], list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        if row["kind"] == "reading" and row["tokens_left"] <= _LAST:
            point = (row["tokens_left"], row["distance"])
            found[row["group"], row["num_layers"]].append(point)
    deepest = {group: (group, depth) for group, depth in sorted(found, key=lambda key: key[1])}
    with style():
        figure = Figure(figsize=(5.0, 4.4))
        axes = figure.subplots()
        for group, depth in list(deepest.values())[:_MAX_LINES]:
            points = [p for p in sorted(found[group, depth], reverse=True) if p[1] >= _LEAST]
            axes.plot(
                [left for left, _ in points],
                [distance for _, distance in points],
                marker="",
                label=f"{group}, {depth} layer{'s' if depth > 1 else ''}",
            )
        axes.axhline(1e-3, color=INK, linestyle=":", marker="", label="resolution")
        axes.set(yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.invert_xaxis()
        axes.set_title("Two words of different value become one state")
        axes.set_xlabel("tokens left to read")
        axes.set_ylabel("distance of the states")
        axes.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return figure
