"""Formulas beside the solver, and the divergence of two beliefs over their confidences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["divergence_map", "identity_errors"]

Rows = Sequence[dict[str, Any]]

_LEAST = 1e-17  # where differences of 0 are drawn
_TOLERANCE = 1e-8  # what the claims accept


def identity_errors(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show how far the solver is from each formula.

    Args:
        rows: of `beliefs.identities`.
        folders: not used.

    Returns:
        The figure: one line of points for each identity, its formula beside it.
    """
    from matplotlib.figure import Figure

    found = [row for row in rows if row["kind"] == "identity"]
    names = list(dict.fromkeys(row["name"] for row in found))
    claims = {row["name"]: row["claim"].split(".")[1] for row in found}
    with style():
        figure = Figure(figsize=(6.4, 0.36 * len(names) + 1.4))
        axes = figure.subplots()
        for place, name in enumerate(names):
            errors = [max(row["difference"], _LEAST) for row in found if row["name"] == name]
            # Spread over the height of the line, so that equal ones stay visible
            heights = [place + 0.5 * ((i * 0.618) % 1 - 0.5) for i in range(len(errors))]
            axes.plot(
                errors, heights, color=COLORS[0], linestyle="", marker="o", markersize=3, alpha=0.5
            )
        axes.axvline(_TOLERANCE, color=COLORS[1], linestyle="--", linewidth=1.4)
        axes.annotate(
            "accepted",
            (_TOLERANCE, -0.7),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=COLORS[1],
        )
        axes.set_xscale("log")
        axes.set_xlim(_LEAST / 2, 1e-7)
        axes.set_ylim(len(names) - 0.4, -1.1)
        axes.set_yticks(range(len(names)), [f"{name}  {claims[name]}" for name in names])
        axes.set_xlabel("|inconsistency by the solver − formula|, nats (0 at the left)")
        axes.set_title("Familiar quantities are inconsistencies")
    return figure


def divergence_map(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the inconsistency of two beliefs over both confidences.

    Args:
        rows: of `beliefs.identities`.
        folders: not used.

    Returns:
        The figure: the value divided by the smaller confidence over r and s, with the known
        divergences where they lie: KL at both ends, Bhattacharyya's on the diagonal, Chernoff's on
        r + s = 1.
    """
    from matplotlib.figure import Figure

    found = [row for row in rows if row["kind"] == "map"]
    side = sorted({row["r"] for row in found})
    value = {(row["r"], row["s"]): row["inconsistency"] / min(row["r"], row["s"]) for row in found}
    with style():
        figure = Figure(figsize=(5.6, 4.6))
        axes = figure.subplots()
        table = [[value[r, s] for r in side] for s in side]
        image = axes.pcolormesh(side, side, table, shading="nearest", rasterized=True)
        axes.plot(side, side, color="white", linestyle="-", linewidth=1.2, marker="")
        weights = [w / 200 for w in range(1, 200) if side[0] < min(w / 200, 1 - w / 200)]
        axes.plot(
            weights,
            [1 - w for w in weights],
            color="white",
            linestyle="--",
            linewidth=1.2,
            marker="",
        )
        _label(axes, 0.22, 0.88, "→ r KL(q‖p)", "black")
        _label(axes, 0.78, 0.1, "→ s KL(p‖q)", "black")
        _label(axes, 0.76, 0.71, "Bhattacharyya, r = s", "white", angle=45)
        _label(axes, 0.22, 0.54, "Chernoff, r + s = 1", "white")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(visible=False)
        axes.set_xlabel("confidence r in p")
        axes.set_ylabel("confidence s in q")
        axes.set_title("Two beliefs: inconsistency / min(r, s)")
        figure.colorbar(image, ax=axes, label="nats")
    return figure


def _label(axes: Axes, x: float, y: float, text: str, color: str, angle: float = 0.0) -> None:
    axes.text(
        x,
        y,
        text,
        transform=axes.transAxes,
        color=color,
        ha="center",
        va="center",
        rotation=angle,
        rotation_mode="anchor",
        fontsize=11,
    )
