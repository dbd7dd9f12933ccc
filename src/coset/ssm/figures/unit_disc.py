"""The multipliers of a trained model on the unit disc, before and after they are snapped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import UnavailableError
from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["unit_disc"]

Rows = Sequence[dict[str, Any]]

_STAGES = {"start": "start", "trained": "trained", "hardened": "hardened"}
_MARKERS = "os^DvPX*"


def unit_disc(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the multipliers of one hardened model, by layer and stage, a color a token.

    Args:
        rows: of `ssm.parity` or `ssm.near-solution`.
        folders: not used.

    Returns:
        The figure: a line of panels a layer, a column a stage; the model is the last one of the
        rows that hardening made exact, with its first seed.

    Raises:
        UnavailableError: if no model of the rows was hardened.
    """
    from matplotlib.figure import Figure

    points = _chosen(rows)
    layers = sorted({row["layer"] for row in points})
    stages = [stage for stage in _STAGES if any(row["stage"] == stage for row in points)]
    tokens = sorted({row["token"] for row in points})
    with style():
        figure = Figure(figsize=(5.0, 1.1 + 5.0 / len(stages) * len(layers)))
        panels = figure.subplots(len(layers), len(stages), squeeze=False)
        for line, layer in zip(panels, layers, strict=True):
            for axes, stage in zip(line, stages, strict=True):
                own = [r for r in points if (r["layer"], r["stage"]) == (layer, stage)]
                _disc(axes, own, tokens)
            line[0].set_ylabel(f"layer {layer + 1}", fontsize=12)
        for axes, stage in zip(panels[0], stages, strict=True):
            axes.set_title(_STAGES[stage])
        first = points[0]
        figure.suptitle(f"{first['group']}, {first['model']}: a by token", color=INK, fontsize=13)
        figure.legend(
            *panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4
        )
    return figure


def _chosen(rows: Rows) -> Rows:
    certified = [r for r in rows if r["kind"] == "outcome" and r["is_certified"]]
    if not certified:
        raise UnavailableError(
            "the unit disc shows a hardened model, and none of these runs was hardened to an exact "
            "one; train longer or with other seeds"
        )
    model = certified[-1]["model"]
    seed = min(r["seed"] for r in certified if r["model"] == model)
    return [
        r for r in rows if r["kind"] == "multiplier" and (r["model"], r["seed"]) == (model, seed)
    ]


def _disc(axes: Any, points: Rows, tokens: Sequence[int]) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=INK, linewidth=1))
    for place, token in enumerate(tokens):
        own = [r for r in points if r["token"] == token]
        axes.plot(
            [r["real"] for r in own],
            [r["imag"] for r in own],
            color=COLORS[place % len(COLORS)],
            marker=_MARKERS[place % len(_MARKERS)],
            markersize=6,
            alpha=0.7,
            linestyle="",
            label=f"token {token}",
        )
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
