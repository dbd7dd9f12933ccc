"""Pictures of the torus-digits experiment."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import UnavailableError
from coset.lab.figure_style import COLORS, INK, style
from coset.lab.metrics import read_metrics
from coset.lab.records import read_record
from coset.sharing.figures.stored import ARRAYS_FILE, array_files, log_scale

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

__all__ = [
    "METHOD_NAMES",
    "stored_arrays",
    "torus_accuracy",
    "torus_curves",
    "torus_distinct",
    "torus_filters",
]

Rows = Sequence[dict[str, Any]]

METHOD_NAMES = {
    "fc": "dense",
    "fc+sharing": "dense + sharing",
    "fc+dual-averaging": "dense + dual avg.",
    "fc+l1": "dense + L1",
    "fc+beta-lasso": "dense + β-lasso",
    "fc+kmeans": "dense, k-means",
    "cnn": "CNN",
}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Whose weights are tied after training, to see how few values carry the accuracy.
_CUT = ("fc", "fc+sharing", "fc+dual-averaging")
# Whose filters are shown: the question is what sharing does to them.
_FILTERED = (*_CUT, "cnn")


def _color(method: str) -> str:
    return COLORS[list(METHOD_NAMES).index(method)]


def _marker(method: str) -> str:
    return _MARKERS[list(METHOD_NAMES).index(method)]


def _present(rows: Rows) -> list[str]:
    return [method for method in METHOD_NAMES if any(row["method"] == method for row in rows)]


def _sides(rows: Rows) -> list[int]:
    return sorted({int(row["side"]) for row in rows})


def torus_accuracy(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show test accuracy by method, with pixels in place and with shuffled pixels.

    Args:
        rows: of `sharing.torus-digits`.
        folders: not used.

    Returns:
        The figure: one panel a size, one bar a method, each seed a dot.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    methods, sides = _present(rows), _sides(rows)
    with style():
        figure = Figure(figsize=(5.0, 1.9 + 0.62 * len(methods)))
        panels = figure.subplots(1, len(sides), sharey=True, squeeze=False)[0]
        for axes, side in zip(panels, sides, strict=True):
            here = [row for row in rows if row["side"] == side]
            for i, method in enumerate(methods):
                for shuffled, shift in ((False, -0.19), (True, 0.19)):
                    _draw_bar(axes, here, method, shuffled, i + shift)
            axes.grid(visible=False, axis="y")
            axes.set_xlim(0, 1.12 if len(sides) == 1 else 1.3)
            axes.set_xticks([0, 0.5, 1.0])
            axes.set_xlabel("test accuracy")
            axes.set_title(f"{side}×{side} pixels")
        panels[0].set_yticks(range(len(methods)), [METHOD_NAMES[method] for method in methods])
        panels[0].invert_yaxis()
        figure.suptitle("Who minds shuffled pixels?", color=INK, fontsize=13)
        figure.legend(
            handles=[
                Patch(facecolor=INK, label="pixels in place"),
                Patch(facecolor="none", edgecolor=INK, hatch="////", label="pixels shuffled"),
            ],
            loc="outside lower center",
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
        axes.plot(values, [place] * len(values), "o", color=INK, markersize=2.5)
    axes.text(max(values) + 0.03, place, f"{mean:.2f}", va="center", fontsize=11)


def torus_distinct(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show test accuracy against the number of distinct weights, also after tying them.

    Args:
        rows: of `sharing.torus-digits`; the markers.
        folders: their run folders, which hold what tying costs; the lines, means over seeds: solid
            for cuts by the prox, dashed for k-means of the plain network.

    Returns:
        The figure, for pixels in place; one panel a size.
    """
    from matplotlib.figure import Figure

    shown = [row for row in rows if row["shuffled"] is False]
    sides = _sides(shown)
    with style():
        figure = Figure(figsize=(5.0, 1.8 + 2.7 * len(sides)))
        panels = figure.subplots(len(sides), 1, sharex=True, squeeze=False)[:, 0]
        paths = _mean_paths(folders)
        for axes, side in zip(panels, sides, strict=True):
            for (place, method, kind), path in paths.items():
                if place == side:
                    name = "fc+kmeans" if kind == "kmeans" else method
                    look = {"color": _color(name), "linestyle": "--" if kind == "kmeans" else "-"}
                    axes.plot(*path, linewidth=1.5, marker="", **look)
            for method in _present(shown):
                own = [r for r in shown if r["method"] == method and r["side"] == side]
                axes.plot(
                    [row["num_distinct"] for row in own],
                    [row["test_accuracy"] for row in own],
                    color=_color(method),
                    linestyle="",
                    marker=_marker(method),
                    markersize=7,
                    label=METHOD_NAMES[method],
                )
            log_scale(axes.xaxis, "{x:,.0f}")
            axes.set_ylim(0, 1)
            axes.set_ylabel("test accuracy")
            axes.set_title(f"{side}×{side} pixels")
        panels[-1].set_xlabel("distinct weights")
        figure.suptitle("How few values carry the accuracy", color=INK, fontsize=13)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def _mean_paths(folders: Sequence[Path]) -> dict[tuple[int, str, str], np.ndarray[Any, Any]]:
    """Return (counts, accuracies) by side, method and kind: means over seeds, pixels in place."""
    import numpy as np

    kinds = ("cut", "kmeans")
    names = [f"{kind}_{end}" for kind in kinds for end in ("num_distinct", "test_accuracy")]
    found: dict[tuple[int, str, str], list[Any]] = {}
    for config, arrays in stored_arrays(folders, names):
        if config["shuffled"]:
            continue
        for kind in kinds:
            if config["method"] in (_CUT if kind == "cut" else ("fc",)):
                points = [arrays[f"{kind}_num_distinct"], arrays[f"{kind}_test_accuracy"]]
                key = (config["side"], config["method"], kind)
                found.setdefault(key, []).append(points)
    return {key: np.mean(points, axis=0) for key, points in found.items()}


def torus_curves(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show validation accuracy and distinct weights by epoch, pixels in place.

    Args:
        rows: of `sharing.torus-digits`.
        folders: their run folders, which hold the metrics.

    Returns:
        The figure; lines are means over seeds. k-means acts after training: it has no line.
    """
    from matplotlib.figure import Figure

    sides = _sides(rows)
    with style():
        figure = Figure(figsize=(5.0, 5.8))
        panels = figure.subplots(2, len(sides), sharex="col", sharey="row", squeeze=False)
        for (side, method), (epochs, accuracy, distinct) in _mean_curves(folders).items():
            top, bottom = panels[:, sides.index(side)]
            look = {"color": _color(method), "linestyle": "-", "linewidth": 1.5, "marker": ""}
            top.plot(epochs, accuracy, label=METHOD_NAMES[method], **look)
            bottom.plot(epochs, distinct, **look)
        for (top, bottom), side in zip(panels.T, sides, strict=True):
            top.set_title(f"{side}×{side} pixels")
            top.set_ylim(0, 1)
            log_scale(bottom.yaxis, "{x:,.0f}")
            bottom.set_xlabel("epoch")
        panels[0, 0].set_ylabel("validation accuracy")
        panels[1, 0].set_ylabel("distinct weights")
        figure.suptitle("Training, pixels in place", color=INK, fontsize=13)
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def _mean_curves(folders: Sequence[Path]) -> dict[tuple[int, str], list[list[float]]]:
    """Return epochs, accuracies and counts by side and method: means over seeds."""
    found: dict[tuple[int, str], list[list[dict[str, Any]]]] = {}
    for folder in folders:
        record = read_record(folder)
        if record is None or record.config["shuffled"] or record.config["method"] == "fc+kmeans":
            continue
        key = (record.config["side"], record.config["method"])
        found.setdefault(key, []).append(read_metrics(folder / "metrics.jsonl"))
    order = list(METHOD_NAMES)
    columns = ("step", "validation_accuracy", "num_distinct")
    return {
        key: [
            [statistics.fmean(line[name] for line in lines) for lines in zip(*found[key])]  # noqa: B905
            for name in columns
        ]
        for key in sorted(found, key=lambda key: (key[0], order.index(key[1])))
    }


def torus_filters(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show first-layer filters, aligned by cyclic shifts and with their pixels put back in place.

    Args:
        rows: of `sharing.torus-digits`.
        folders: their run folders, which hold the filters.

    Returns:
        The figure: a row of filters of one channel for each method and pixel order, sizes side by
        side. Equal pictures of a size in a row are a convolution.
    """
    from matplotlib.figure import Figure

    panels: dict[tuple[str, bool], dict[int, Any]] = {}
    stored = sorted(stored_arrays(folders, ["filters"]), key=lambda item: int(item[0]["seed"]))
    for method in _FILTERED:
        for shuffled in (False, True):
            for config, arrays in stored:
                if (config["method"], config["shuffled"]) == (method, shuffled):
                    sizes = panels.setdefault((method, shuffled), {})
                    sizes.setdefault(config["side"], arrays["filters"])
    if not panels:
        raise UnavailableError(f"no run folder holds {ARRAYS_FILE}; run the experiment again")
    sides = sorted({side for sizes in panels.values() for side in sizes})
    num = 4 if len(sides) == 1 else 2
    with style():
        figure = Figure(figsize=(5.0, 1.0 + 0.92 * len(panels)))
        grid = figure.subplots(len(panels), num * len(sides), squeeze=False)
        for line, ((method, shuffled), sizes) in zip(grid, panels.items(), strict=True):
            name = METHOD_NAMES[method] + ("\nshuffled" if shuffled else "\nin place")
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)
            for i, side in enumerate(sides):
                _draw_filters(line[i * num : (i + 1) * num], sizes.get(side))
        for i, side in enumerate(sides):
            grid[0, i * num].set_title(f"{side}×{side}", fontsize=11)
        figure.suptitle("Filters of one channel, aligned", color=INK, fontsize=13)
    return figure


def _draw_filters(line: Any, filters: Any) -> None:
    """Draw the strongest channel's filters of largest norm."""
    for axes in line:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
    if filters is None:
        return
    energy = (filters**2).sum(axis=(2, 3))
    channel = energy.sum(axis=1).argmax()
    units = energy[channel].argsort()[::-1][: len(line)]
    shown = _centered(filters[channel, units])
    limit = abs(shown).max() or 1.0
    for axes, image in zip(line, shown, strict=True):
        axes.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)


def _centered(images: Any) -> Any:
    """Shift all images alike, so that the middle of their energy is in the middle."""
    import numpy as np

    side = images.shape[-1]
    energy = (images**2).sum(axis=0)
    turns = np.exp(2j * np.pi * np.arange(side) / side)
    middles = [np.angle(energy.sum(axis=1 - axis) @ turns) * side / (2 * np.pi) for axis in (0, 1)]
    return np.roll(images, [side // 2 - round(m) for m in middles], axis=(1, 2))


def stored_arrays(
    folders: Sequence[Path], names: Sequence[str]
) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Give configuration and arrays of the run folders that have them.

    Args:
        folders: run folders of `sharing.torus-digits`.
        names: the arrays; a folder that lacks one is left out.

    Yields:
        The configuration as JSON values, and the arrays by name.
    """
    from safetensors import safe_open

    for config, path in array_files(folders):
        with safe_open(path, framework="numpy") as content:
            if set(names) <= set(content.keys()):
                yield config, {name: content.get_tensor(name) for name in names}
