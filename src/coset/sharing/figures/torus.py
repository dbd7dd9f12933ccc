"""Pictures of the torus-digits experiment."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import UnavailableError
from coset.lab.figure_style import COLORS, INK, style
from coset.lab.metrics import read_metrics
from coset.lab.records import read_record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["torus_accuracy", "torus_curves", "torus_distinct", "torus_filters"]

Rows = Sequence[dict[str, Any]]

_METHODS = {
    "fc": "dense",
    "fc+sharing": "dense + sharing",
    "fc+dual-averaging": "dense + dual avg.",
    "fc+l1": "dense + L1",
    "cnn": "CNN",
}
_MARKERS = ("o", "s", "^", "D", "v")
_NUM_FILTERS = 4
_ARRAYS_FILE = "arrays.safetensors"


def _color(method: str) -> str:
    return COLORS[list(_METHODS).index(method)]


def _marker(method: str) -> str:
    return _MARKERS[list(_METHODS).index(method)]


def _present(rows: Rows) -> list[str]:
    return [method for method in _METHODS if any(row["method"] == method for row in rows)]


def _count_scale(axis: Any) -> None:
    """Make an axis logarithmic with plain numbers: exponents are too small to read on a phone."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter("{x:,.0f}")
    axis.set_minor_formatter("")


def torus_accuracy(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show test accuracy by method, with pixels in place and with shuffled pixels.

    Args:
        rows: of `sharing.torus-digits`.
        folders: not used.

    Returns:
        The figure: one bar a method, each seed a dot.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    methods = _present(rows)
    with style():
        figure = Figure(figsize=(5.0, 1.6 + 0.62 * len(methods)))
        axes = figure.subplots()
        for i, method in enumerate(methods):
            for shuffled, shift in ((False, -0.19), (True, 0.19)):
                _draw_bar(axes, rows, method, shuffled, i + shift)
        axes.set_yticks(range(len(methods)), [_METHODS[method] for method in methods])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 1.12)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        axes.set_xlabel("test accuracy")
        axes.set_title("Who minds shuffled pixels?")
        axes.legend(
            handles=[
                Patch(facecolor=INK, label="pixels in place"),
                Patch(facecolor="none", edgecolor=INK, hatch="////", label="pixels shuffled"),
            ],
            loc="upper center",
            bbox_to_anchor=(0.4, -0.22 if len(methods) < 5 else -0.16),
            ncols=2,
        )
    return figure


def _draw_bar(axes: Any, rows: Rows, method: str, shuffled: bool, place: float) -> None:
    values = [
        row["test_accuracy"]
        for row in rows
        if row["method"] == method and row["shuffled"] is shuffled
    ]
    if not values:
        return
    color, mean = _color(method), statistics.fmean(values)
    look = (
        {"facecolor": "none", "edgecolor": color, "hatch": "////"}
        if shuffled
        else {"facecolor": color, "edgecolor": color}
    )
    axes.barh(place, mean, height=0.34, **look)
    if len(values) > 1:
        axes.plot(values, [place] * len(values), "o", color=INK, markersize=3.5)
    axes.text(max(values) + 0.02, place, f"{mean:.2f}", va="center", fontsize=11)


def torus_distinct(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show test accuracy against the share of weights that are distinct, also after cutting.

    Args:
        rows: of `sharing.torus-digits`; the large markers.
        folders: their run folders, which hold the cut paths; the lines.

    Returns:
        The figure, for pixels in place.
    """
    from matplotlib.figure import Figure

    shown = [row for row in rows if row["shuffled"] is False]
    with style():
        figure = Figure(figsize=(5.0, 4.4))
        axes = figure.subplots()
        for config, arrays in _stored(folders):
            if not config["shuffled"]:
                axes.plot(
                    arrays["cut_num_distinct"],
                    arrays["cut_test_accuracy"],
                    color=_color(config["method"]),
                    linestyle="-",
                    linewidth=1.2,
                    marker="",
                    alpha=0.8,
                )
        for method in _present(shown):
            own = [row for row in shown if row["method"] == method]
            axes.plot(
                [row["num_distinct"] for row in own],
                [row["test_accuracy"] for row in own],
                color=_color(method),
                linestyle="",
                marker=_marker(method),
                markersize=8,
                label=_METHODS[method],
            )
        _count_scale(axes.xaxis)
        axes.set_ylim(0, 1)
        axes.set_xlabel("distinct weights")
        axes.set_ylabel("test accuracy")
        axes.set_title("How few values carry the accuracy")
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=2)
    return figure


def torus_curves(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show validation accuracy and distinct weights by epoch, pixels in place.

    Args:
        rows: of `sharing.torus-digits`.
        folders: their run folders, which hold the metrics.

    Returns:
        The figure; seeds are separate lines.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(5.0, 5.4))
        top, bottom = figure.subplots(2, 1, sharex=True)
        seen = set()
        for folder in folders:
            record = read_record(folder)
            if record is None or record.config["shuffled"]:
                continue
            method = record.config["method"]
            metrics = read_metrics(folder / "metrics.jsonl")
            epochs = [line["step"] for line in metrics]
            look = {"color": _color(method), "linestyle": "-", "linewidth": 1.5, "marker": ""}
            label = None if method in seen else _METHODS[method]
            seen.add(method)
            top.plot(epochs, [m["validation_accuracy"] for m in metrics], label=label, **look)
            bottom.plot(epochs, [m["num_distinct"] for m in metrics], **look)
        top.set_title("Training, pixels in place")
        top.set_ylabel("validation accuracy")
        top.set_ylim(0, 1)
        _count_scale(bottom.yaxis)
        bottom.set_ylabel("distinct weights")
        bottom.set_xlabel("epoch")
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def torus_filters(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show first-layer filters, aligned by cyclic shifts and with their pixels put back in place.

    Args:
        rows: of `sharing.torus-digits`.
        folders: their run folders, which hold the filters.

    Returns:
        The figure: a row of filters of one channel for each method and pixel order. Equal pictures
        in a row are a convolution.
    """
    from matplotlib.figure import Figure

    stored = sorted(_stored(folders), key=lambda item: item[0]["seed"])
    panels: dict[tuple[str, bool], Any] = {}
    for method in _METHODS:
        for shuffled in (False, True):
            for config, arrays in stored:
                if (config["method"], config["shuffled"]) == (method, shuffled):
                    panels.setdefault((method, shuffled), arrays["filters"])
    if not panels:
        raise UnavailableError(f"no run folder holds {_ARRAYS_FILE}; run the experiment again")
    with style():
        figure = Figure(figsize=(5.0, 0.8 + 0.92 * len(panels)))
        grid = figure.subplots(len(panels), _NUM_FILTERS, squeeze=False)
        for line, ((method, shuffled), filters) in zip(grid, panels.items(), strict=True):
            name = _METHODS[method] + ("\nshuffled" if shuffled else "\nin place")
            _draw_filters(line, filters, name)
        figure.suptitle("Filters of one channel, aligned", color=INK, fontsize=13)
    return figure


def _draw_filters(line: Any, filters: Any, name: str) -> None:
    """Draw the strongest channel's filters of largest norm."""
    energy = (filters**2).sum(axis=(2, 3))
    channel = energy.sum(axis=1).argmax()
    units = energy[channel].argsort()[::-1][:_NUM_FILTERS]
    limit = abs(filters[channel, units]).max() or 1.0
    for axes, unit in zip(line, units, strict=True):
        axes.imshow(filters[channel, unit], cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
    line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)


def _stored(folders: Sequence[Path]) -> list[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Return configuration and arrays of the run folders that have them."""
    from safetensors.numpy import load_file

    found = []
    for folder in folders:
        record, path = read_record(folder), folder / _ARRAYS_FILE
        if record is not None and path.is_file():
            found.append((record.config, load_file(path)))
    return found
