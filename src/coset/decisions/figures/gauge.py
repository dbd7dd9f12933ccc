"""Picture of cycles: multipliers that are a discount in disguise, rewards that are a potential."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["gauge_obstruction"]

Rows = Sequence[dict[str, Any]]

_FITS, _AGAINST = COLORS[2], COLORS[4]


def gauge_obstruction(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Draw each graph with its amounts and what scales or potentials make of them.

    Args:
        rows: of `decisions.cycles`.
        folders: not used.

    Returns:
        The figure: a panel a graph. At each arrow the multiplier or reward, and after "→" what the
        scales turn it into, or after "≈" the nearest difference of potentials. Red and dashed: the
        cycles along which it cannot be.
    """
    from matplotlib.figure import Figure

    verdicts = [r for r in rows if r["kind"] == "verdict"]
    with style():
        figure = Figure(figsize=(5.4, 2.9 * math.ceil(len(verdicts) / 2)))
        grid = figure.subplots(math.ceil(len(verdicts) / 2), 2, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, verdict in zip(grid.flat, verdicts, strict=False):
            edges = [r for r in rows if r["kind"] == "edge" and r["panel"] == verdict["panel"]]
            _graph(axes, verdict, edges)
    return figure


def _places(count: int) -> list[tuple[float, float]]:
    """Return places on a circle; two states lie side by side."""
    turn = 0.0 if count == 2 else math.pi / 2
    angles = [turn + math.pi * (count == 2) - 2 * math.pi * k / count for k in range(count)]
    return [(math.cos(a), math.sin(a)) for a in angles]


def _graph(axes: Any, verdict: dict[str, Any], edges: Rows) -> None:
    count = 1 + max(max(r["tail"], r["head"]) for r in edges)
    places = _places(count)
    sign = "→" if verdict["what"] == "multiplier" else "≈"
    both = {(r["tail"], r["head"]) for r in edges}
    for row in edges:
        bend = 0.35 if (row["head"], row["tail"]) in both else 0.12
        _arrow(axes, places[row["tail"]], places[row["head"]], bend, row, sign)
    for number, (x, y) in enumerate(places):
        axes.plot([x], [y], marker="o", markersize=16, color=COLORS[0], linestyle="")
        axes.text(x, y, str(number), ha="center", va="center", color="white", fontsize=11)
    axes.set(xlim=(-1.75, 1.75), ylim=(-1.6, 1.6), aspect="equal")
    axes.set_title(_heading(verdict), fontsize=11)


def _arrow(
    axes: Any,
    tail: tuple[float, float],
    head: tuple[float, float],
    bend: float,
    row: dict[str, Any],
    sign: str,
) -> None:
    color = _AGAINST if row["on_witness"] else _FITS
    axes.annotate(
        "",
        xy=head,
        xytext=tail,
        arrowprops={
            "arrowstyle": "-|>",
            "color": color,
            "linestyle": "--" if row["on_witness"] else "-",
            "linewidth": 1.5,
            "shrinkA": 9,
            "shrinkB": 9,
            "connectionstyle": f"arc3,rad={-bend}",
        },
    )
    # The label stands outside of the bow.
    length = math.dist(tail, head)
    outward = -(head[1] - tail[1]) / length
    side = "center" if abs(outward) < 0.3 else "left" if outward > 0 else "right"
    aside = bend / 2 + (0.2 if side == "center" else 0.1) / length
    x = (tail[0] + head[0]) / 2 - (head[1] - tail[1]) * aside
    y = (tail[1] + head[1]) / 2 + (head[0] - tail[0]) * aside
    text = _number(row["amount"])
    if row["fitted"] is not None:
        text += f" {sign} {_number(row['fitted'])}"
    axes.text(x, y, text, ha=side, va="center", fontsize=10, color=INK)


def _number(amount: float) -> str:
    return f"{amount:.3g}".replace("-", "−")


def _heading(verdict: dict[str, Any]) -> str:
    if verdict["what"] == "reward":
        if verdict["holds"]:
            return f"{verdict['panel']}:\na potential"
        return f"{verdict['panel']}:\n{verdict['number']:.3g} left on a transition"
    if verdict["holds"]:
        return f"{verdict['panel']}:\nthe discount {verdict['number']:.4f}"
    return f"{verdict['panel']}:\nno discount"
