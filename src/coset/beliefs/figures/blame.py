"""Where it hurts: beliefs as a graph, each drawn the stronger the more it disagrees."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import INK, style

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    from coset.beliefs.blame import Blame
    from coset.beliefs.pdg.graph import PDG

__all__ = ["blame_hypergraph", "hypergraph_of"]

Rows = Sequence[dict[str, Any]]
Point = tuple[float, float]
Places = Mapping[tuple[str, str], Point]

_MOST_ARCS = 24
# From the gray of all figures to a red of equal luminance in the middle of the scale.
_COLD, _WARM, _HOT = "#9a9a9a", "#d08a3c", "#c2253f"


def hypergraph_of(pdg: PDG, found: Blame) -> Figure:
    """Show beliefs as boxes between the variables that they are about; see `blame_hypergraph`.

    Args:
        pdg: the beliefs.
        found: their blame; if it is infinite, the beliefs that contradict each other are red.

    Returns:
        The figure.
    """
    rows = found.rows()
    if found.conflicts:
        rows = [
            {
                "arc": arc.name,
                "sources": json.dumps(arc.sources),
                "targets": json.dumps(arc.targets),
                "beta": None if arc.is_hard else arc.beta,
                "conflict": math.inf if arc.name in found.conflicts else 0.0,
                "units": found.units,
            }
            for arc in pdg.arcs.values()
        ]
    return blame_hypergraph(rows, [])


def blame_hypergraph(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show beliefs as boxes between the variables that they are about.

    Args:
        rows: of `Blame.rows`, or of `beliefs.planted-conflict`.
        folders: not used.

    Returns:
        The figure: variables are dark; a light box is a belief, with lines from its sources and
        arrows to its targets, the redder the greater its conflict and the wider the greater β;
        certain beliefs have double lines. Of more than 24 beliefs those in greatest conflict.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure

    # Runs of a grid repeat the same beliefs.
    arcs = list({row["arc"]: row for row in rows if row.get("kind", "arc") == "arc"}.values())
    shown = sorted(arcs, key=lambda row: -row["conflict"])[:_MOST_ARCS]
    with style():
        if not shown:
            figure = Figure(figsize=(4.0, 1.5))
            figure.text(0.5, 0.5, "no beliefs to show", ha="center", va="center")
            return figure
        graph = _graph(shown)
        size = 3.4 + 0.6 * math.sqrt(graph.number_of_nodes())
        figure = Figure(figsize=(size + 1.0, size))
        axes = figure.subplots()
        colors = LinearSegmentedColormap.from_list("blame", [_COLD, _WARM, _HOT])
        finite = [row["conflict"] for row in shown if row["conflict"] < math.inf]
        scale = ScalarMappable(Normalize(0.0, max([*finite, 0.0]) or 1.0), colors)
        _draw(axes, graph, shown, scale)
        total = sum(row["conflict"] for row in arcs)
        units = shown[0]["units"]
        title = f"Conflict of beliefs: {_amount(total)} {units}"
        if len(arcs) > len(shown):
            title += f"; the worst {len(shown)} of {len(arcs)}"
        axes.set_title(title)
        if total < math.inf:
            figure.colorbar(scale, ax=axes, label=f"conflict, {units}", shrink=0.7)
    return figure


def _amount(number: float) -> str:
    return "∞" if number == math.inf else f"{number:.3g}"


def _graph(rows: Rows) -> networkx.Graph[tuple[str, str]]:
    import networkx

    graph: networkx.Graph[tuple[str, str]] = networkx.Graph()
    for row in rows:
        for role in ("sources", "targets"):
            for name in json.loads(row[role]):
                graph.add_edge(("arc", row["arc"]), ("variable", name))
    return graph


def _places(graph: networkx.Graph[tuple[str, str]]) -> Places:
    """Lay each part out by its distances, and put the parts side by side."""
    import networkx

    places: dict[tuple[str, str], Point] = {}
    left = 0.0
    parts = sorted(networkx.connected_components(graph), key=lambda part: (-len(part), min(part)))
    for part in parts:
        piece = graph.subgraph(sorted(part))
        found = networkx.kamada_kawai_layout(piece)
        reach = 0.5 + 0.4 * math.sqrt(len(part))
        for node, (x, y) in found.items():
            places[node] = (left + reach + reach * float(x), reach * float(y))
        left += 2 * reach + 0.6
    return places


def _draw(
    axes: Axes,
    graph: networkx.Graph[tuple[str, str]],
    rows: Rows,
    scale: ScalarMappable,
) -> None:
    places = _places(graph)
    for row in rows:
        box = places["arc", row["arc"]]
        color = scale.to_rgba(row["conflict"])
        for role in ("sources", "targets"):
            for name in json.loads(row[role]):
                _connect(axes, row, box, places["variable", name], color, role == "targets")
    for row in rows:
        amount = _amount(row["conflict"])
        if row["beta"] is None:
            amount = "certain"
        axes.annotate(
            f"{_short(row['arc'])}\n{amount}",
            places["arc", row["arc"]],
            ha="center",
            va="center",
            fontsize=9,
            color="black",
            bbox={
                "boxstyle": "round,pad=0.25",
                "facecolor": "white",
                "edgecolor": scale.to_rgba(row["conflict"]),
                "linewidth": 1.6,
            },
        )
    for kind, name in graph.nodes:
        if kind == "variable":
            axes.annotate(
                _short(name),
                places[kind, name],
                ha="center",
                va="center",
                fontsize=11,
                color="white",
                bbox={
                    "boxstyle": "round,pad=0.4,rounding_size=0.8",
                    "facecolor": "#4a5a6a",
                    "edgecolor": INK,
                },
            )
    axes.set_xlim(*_around(x for x, _ in places.values()))
    axes.set_ylim(*_around(y for _, y in places.values()))
    axes.set_axis_off()


def _around(numbers: Any) -> tuple[float, float]:
    listed = list(numbers)
    room = 0.12 * (max(listed) - min(listed)) + 0.1
    return min(listed) - room, max(listed) + room


def _short(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:13]}…"


def _connect(
    axes: Axes,
    row: dict[str, Any],
    box: Point,
    circle: Point,
    color: Any,
    is_target: bool,
) -> None:
    certain = row["beta"] is None
    width = 3.0 if certain else min(1.0 + 1.2 * math.log1p(abs(row["beta"])), 6.0)
    start, end = (box, circle) if is_target else (circle, box)
    arrow = {
        "arrowstyle": "-|>" if is_target else "-",
        "mutation_scale": 9 + 2 * width,
        "color": color,
        "shrinkA": 14,
        "shrinkB": 13 if is_target else 8,
    }
    axes.annotate("", end, start, arrowprops={**arrow, "linewidth": width})
    if certain:  # a double line
        arrow["arrowstyle"] = "-"
        axes.annotate("", end, start, arrowprops={**arrow, "linewidth": 1.0, "color": "white"})
