"""The distribution of a layer's weights while it trains: where ties appear."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import UnavailableError
from coset.lab.figure_style import COLORS, INK, style
from coset.sharing.figures.torus import METHOD_NAMES, stored_arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["torus_histograms"]

Rows = Sequence[dict[str, Any]]

_METHODS = ("fc", "fc+sharing", "fc+dual-averaging")
_STEPS = 3
# The histograms' reach in standard deviations, as the experiment stores them.
_REACH = 4.0
_ARRAYS = ("histogram_epochs", "histogram_counts")


def torus_histograms(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show histograms of the first layer's weights, from the start to the end of training.

    Args:
        rows: of `sharing.torus-digits`.
        folders: their run folders, which hold the histograms.

    Returns:
        The figure: a column a method, a line an epoch, counts on a logarithmic scale; a cluster of
        equal weights is a spike. First seed, smallest side, pixels in place.

    Raises:
        UnavailableError: if no folder holds histograms.
    """
    from matplotlib.figure import Figure

    chosen = _chosen(folders)
    if not chosen:
        raise UnavailableError("no run folder holds histograms; run the experiment again")
    epochs = _epochs(next(iter(chosen.values())))
    with style():
        figure = Figure(figsize=(5.0, 1.2 + 1.25 * len(epochs)))
        grid = figure.subplots(len(epochs), len(chosen), sharex=True, sharey=True, squeeze=False)
        for column, (method, arrays) in zip(grid.T, chosen.items(), strict=True):
            column[0].set_title(METHOD_NAMES[method].replace(" + ", "\n+ "), fontsize=12)
            _draw_column(column, epochs, arrays, COLORS[list(METHOD_NAMES).index(method)])
        for line, epoch in zip(grid, epochs, strict=True):
            line[0].set_ylabel(f"epoch {epoch}")
        figure.supxlabel("weight in standard deviations", color=INK, fontsize=12)
        figure.suptitle("Weights during training (number in a bin)", color=INK, fontsize=13)
    return figure


def _chosen(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the arrays by method, of the smallest side and first seed, pixels in place."""
    found: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}
    for config, arrays in stored_arrays(folders, _ARRAYS):
        key, method = (int(config["side"]), int(config["seed"])), config["method"]
        if config["shuffled"] or method not in _METHODS:
            continue
        if method not in found or key < found[method][0]:
            found[method] = (key, arrays)
    return {method: found[method][1] for method in _METHODS if method in found}


def _epochs(arrays: dict[str, Any]) -> list[int]:
    """Return a few epochs evenly from the first to the last."""
    stored = [int(epoch) for epoch in arrays["histogram_epochs"]]
    last = len(stored) - 1
    return [stored[i] for i in sorted({round(j * last / _STEPS) for j in range(_STEPS + 1)})]


def _draw_column(column: Any, epochs: Sequence[int], arrays: dict[str, Any], color: str) -> None:
    import numpy as np

    stored = [int(epoch) for epoch in arrays["histogram_epochs"]]
    counts = arrays["histogram_counts"]
    edges = np.linspace(-_REACH, _REACH, counts.shape[1] + 1)
    for axes, epoch in zip(column, epochs, strict=True):
        values = counts[stored.index(epoch)]
        # Bins without a weight are drawn at the bottom: zero has no place on the scale.
        heights = np.maximum(values, 0.5)
        # The outline keeps a spike of one bin wider than nothing on a small screen.
        look = {"facecolor": color, "edgecolor": color, "linewidth": 1.2}
        axes.stairs(heights, edges, baseline=0.5, fill=True, **look)
        axes.set_axisbelow(True)
        axes.set_yscale("log")
        axes.set_xlim(-_REACH, _REACH)
        axes.set_xticks([-3, 0, 3])
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_minor_formatter("")
