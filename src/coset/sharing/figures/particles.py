"""Pictures of weights as particles that stick."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["distinct_values", "particle_lines"]

Rows = Sequence[dict[str, Any]]


def _first_lines(rows: Rows) -> tuple[str, Rows]:
    """Return the density and the lines of the first run among the rows."""
    lines = [row for row in rows if row["kind"] == "line"]
    first = (lines[0]["density"], lines[0]["seed"])
    return first[0], [row for row in lines if (row["density"], row["seed"]) == first]


def particle_lines(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show weights as particles that attract and stick: position against strength.

    Args:
        rows: of `sharing.particles`; the world-lines of the first run are drawn.
        folders: not used.

    Returns:
        The figure; a line is as thick as its cluster is heavy.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    density, lines = _first_lines(rows)
    paths: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
    for row in lines:
        paths[row["particle"]].append((row["strength"], row["position"], row["mass"]))
    segments: dict[tuple[Any, ...], int] = {}
    for path in paths.values():
        for (t, x, mass), (u, y, _) in itertools.pairwise(path):
            segments[(t, x), (u, y)] = mass  # tied particles share their segments
    with style():
        figure = Figure()
        axes = figure.subplots()
        widths = [0.9 + 1.1 * mass**0.5 if mass > 1 else 1.1 for mass in segments.values()]
        colors = [COLORS[0] if mass == 1 else COLORS[1] for mass in segments.values()]
        axes.add_collection(
            LineCollection(list(segments), linewidths=widths, colors=colors, capstyle="round")
        )
        axes.autoscale_view()
        axes.plot([], [], color=COLORS[0], marker="", linestyle="-", label="one weight")
        axes.plot([], [], color=COLORS[1], marker="", linestyle="-", lw=4, label="tied weights")
        axes.set_title(f"{len(paths)} {density} weights attract and stick")
        axes.set_xlabel("strength g (time)")
        axes.set_ylabel("value of the weight")
        axes.legend(loc="upper right")
    return figure


def distinct_values(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show how many weights stay distinct at each strength, beside the law of sharing.C16.

    Args:
        rows: of `sharing.particles`.
        folders: not used.

    Returns:
        The figure: measured as markers, the law dashed up to the critical strength, that dotted.
    """
    from matplotlib.figure import Figure

    densities = list(dict.fromkeys(row["density"] for row in rows))
    with style():
        figure = Figure(figsize=(5.0, 4.4))
        axes = figure.subplots()
        for color, marker, density in zip(COLORS, "os", densities, strict=False):
            own = [row for row in rows if row["density"] == density]
            _draw_counts(axes, own, f"{density}, measured", {"color": color, "marker": marker})
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlim(left=0)
        axes.set_title("Distinct values that remain")
        axes.set_xlabel("strength g")
        axes.set_ylabel("distinct values ÷ weights")
        axes.plot([], [], color=INK, linestyle="--", marker="", label="law (C16)")
        axes.plot([], [], color=INK, linestyle=":", marker="", label="critical strength")
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.18), ncols=2)
    return figure


def _draw_counts(axes: Any, rows: Rows, name: str, look: dict[str, str]) -> None:
    for number, seed in enumerate(dict.fromkeys(row["seed"] for row in rows)):
        counts = [row for row in rows if row["kind"] == "count" and row["seed"] == seed]
        strengths = [row["strength"] for row in counts]
        measured = [row["distinct_fraction"] for row in counts]
        label = name if number == 0 else None
        axes.plot(strengths, measured, linestyle="", label=label, markersize=5, **look)
        law = [(row["strength"], row["predicted_fraction"]) for row in counts]
        known = [(g, value) for g, value in law if value is not None]
        axes.plot(*zip(*known, strict=True), color=INK, linestyle="--", marker="", linewidth=1.5)
    critical = next(row["strength"] for row in rows if row["kind"] == "critical")
    axes.axvline(critical, color=look["color"], linestyle=":", marker="", linewidth=1.5)
