"""Picture of value iteration where the sup norm does not contract and weighted norms do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["convergence"]

Rows = Sequence[dict[str, Any]]

_NORMS = (
    ("residual_sup", "largest change", "o"),
    ("residual_lifetime", "by the lifetimes w", "s"),
    ("residual_best", "by the best weights", "^"),
)
_TITLES = {"two-states": "multipliers 2 and ¼ in turn", "random": "a random level"}


def convergence(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the change of each sweep in three norms, beside the slope of the spectral radius.

    Args:
        rows: of `decisions.contraction`.
        folders: not used.

    Returns:
        The figure: a panel a model, the first seed of each; dotted: (ρ*)^n.
    """
    from matplotlib.figure import Figure

    models = [m for m in _TITLES if any(r["model"] == m for r in rows)]
    with style():
        figure = Figure(figsize=(5.0, 1.2 + 2.8 * len(models)))
        panels = figure.subplots(len(models), 1, squeeze=False)[:, 0]
        for axes, model in zip(panels, models, strict=True):
            own = [r for r in rows if r["model"] == model]
            _curves(axes, [r for r in own if r["seed"] == own[0]["seed"]], model)
        panels[-1].set_xlabel("sweep")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def _curves(axes: Any, rows: Rows, model: str) -> None:
    sweeps = [r["sweep"] for r in rows]
    for (name, label, marker), color in zip(_NORMS, COLORS, strict=False):
        points = [(n, r[name]) for n, r in zip(sweeps, rows, strict=True) if r[name] > 1e-14]
        axes.plot(
            [n for n, _ in points],
            [y for _, y in points],
            color=color,
            marker=marker,
            markersize=3,
            linestyle="-",
            linewidth=1,
            label=label,
        )
    first, slope = rows[0]["residual_best"], rows[0]["radius"]
    line = [first * slope ** (n - 1) for n in sweeps]
    axes.plot(sweeps, line, color=INK, linestyle=":", marker="", label="slope ρ*")
    axes.set(yscale="log", ylabel="change")
    row_sum = rows[0]["row_sum"]
    axes.set_title(f"{_TITLES[model]}:\nrows sum to {row_sum:.3g}, ρ* = {slope:.4f}", fontsize=11)
