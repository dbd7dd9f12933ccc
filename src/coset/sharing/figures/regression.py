"""Pictures of learning linear maps: errors by method, and matrices colored by their ties."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import UnavailableError
from coset.lab.figure_style import COLORS, INK, style
from coset.sharing.figures.stored import ARRAYS_FILE, array_files, log_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "hidden_convolution_errors",
    "hidden_convolution_matrices",
    "linear_filter_errors",
    "linear_filter_matrices",
]

Rows = Sequence[dict[str, Any]]

_METHODS = ("sharing", "sharing+lasso", "lasso", "ridge", "convolution")
_MARKERS = ("o", "v", "s", "^", "D")
_STAGES = {"alone": "", "refitted": " + refit"}


def _look(method: str) -> dict[str, Any]:
    i = _METHODS.index(method)
    return {"color": COLORS[i], "marker": _MARKERS[i]}


def hidden_convolution_errors(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the test error against the number of samples, one panel a design.

    Args:
        rows: of `sharing.hidden-convolution`; positions in place are drawn, or shuffled ones if
            there are no others.
        folders: not used.

    Returns:
        The figure: lines join the means, small dots are seeds. For all methods but the convolution
        shuffled positions give the same errors.
    """
    from matplotlib.figure import Figure

    place = min(row["shuffled"] for row in rows)
    shown = [row for row in rows if row["shuffled"] is place]
    designs = sorted({row["design"] for row in shown})
    with style():
        figure = Figure(figsize=(5.0, 0.8 + 2.7 * len(designs)))
        panels = figure.subplots(len(designs), 1, squeeze=False)[:, 0]
        for axes, design in zip(panels, designs, strict=True):
            own = [row for row in shown if row["design"] == design]
            for method in _METHODS:
                _draw_errors(axes, [row for row in own if row["method"] == method], method)
            log_scale(axes.yaxis, "{x:g}")
            axes.set_xticks(sorted({row["num_samples"] for row in own}))
            axes.set_title(f"{design} filter, positions {'shuffled' if place else 'in place'}")
            axes.set_xlabel("samples")
            axes.set_ylabel("relative test error")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _draw_errors(axes: Any, rows: Rows, method: str) -> None:
    if not rows:
        return
    by_count: dict[int, list[float]] = {}
    for row in rows:
        by_count.setdefault(row["num_samples"], []).append(row["test_error"])
    counts = sorted(by_count)
    look = _look(method)
    means = [statistics.fmean(by_count[n]) for n in counts]
    axes.plot(counts, means, linestyle="-", label=method, **look)
    dots = [(n, value) for n in counts for value in by_count[n]]
    axes.plot(*zip(*dots, strict=True), linestyle="", **look | {"markersize": 2.5, "alpha": 0.6})


def linear_filter_errors(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the test error of each method and stage, one panel a filter.

    Args:
        rows: of `sharing.linear-filters`.
        folders: not used.

    Returns:
        The figure: each seed a dot, the mean a bar; hollow dots are shuffled pixels.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    filters = list(dict.fromkeys(row["filter"] for row in rows))
    kinds = list(dict.fromkeys((row["method"], row["stage"]) for row in rows))
    with style():
        figure = Figure(figsize=(5.0, 1.2 + (0.55 + 0.3 * len(kinds)) * len(filters)))
        panels = figure.subplots(len(filters), 1, sharex=True, squeeze=False)[:, 0]
        for axes, name in zip(panels, filters, strict=True):
            own = [row for row in rows if row["filter"] == name]
            for place, (method, stage) in enumerate(kinds):
                kind = [r for r in own if (r["method"], r["stage"]) == (method, stage)]
                _draw_kind(axes, kind, method, place)
            axes.set_yticks(range(len(kinds)), [m + _STAGES[stage] for m, stage in kinds])
            axes.invert_yaxis()
            axes.grid(visible=False, axis="y")
            log_scale(axes.xaxis, "{x:g}")
            axes.set_title(name)
        panels[-1].set_xlabel("relative test error")
        dot: dict[str, Any] = {"color": INK, "linestyle": "", "marker": "o"}
        handles = [
            Line2D([], [], label="pixels in place", **dot),
            Line2D([], [], label="shuffled", markerfacecolor="none", **dot),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _draw_kind(axes: Any, rows: Rows, method: str, place: int) -> None:
    look = _look(method) | {"linestyle": "", "markersize": 4}
    for shuffled, shift, face in ((False, -0.17, look["color"]), (True, 0.17, "none")):
        errors = [row["test_error"] for row in rows if row["shuffled"] is shuffled]
        if errors:
            axes.plot(errors, [place + shift] * len(errors), markerfacecolor=face, **look)
            mean = statistics.fmean(errors)
            axes.plot([mean] * 2, [place + shift - 0.16, place + shift + 0.16], "-", color=INK)


def hidden_convolution_matrices(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the 16×16 map of a dense design colored by cluster: the truth and what was found.

    Args:
        rows: not used.
        folders: run folders of `sharing.hidden-convolution`, which hold the ties.

    Returns:
        The figure; equal colors are equal weights, and stripes are a convolution.

    Raises:
        UnavailableError: if no folder holds them.
    """
    wanted = {"design": "dense", "shuffled": False}
    title, arrays = _first_arrays(folders, wanted, "num_samples", "{num_samples} samples")
    shown = ("truth", "sharing", "lasso", "convolution")
    return _draw_matrices({name: arrays[name] for name in shown}, title)


def linear_filter_matrices(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the 49×49 map of a filter colored by cluster: the truth and what was found.

    Args:
        rows: not used.
        folders: run folders of `sharing.linear-filters`, which hold the ties.

    Returns:
        The figure, of the filter that comes last by name, with pixels shuffled if that was run;
        they are put back in place. Equal colors are equal weights, and stripes are a convolution.

    Raises:
        UnavailableError: if no folder holds them.
    """
    title, arrays = _first_arrays(folders, {}, "shuffled", "{filter}, {num_samples} pairs")
    shown = {
        "truth": "truth",
        "sharing, alone": "sharing",
        "sharing, refitted": "sharing + refit",
        "ridge, refitted": "ridge + refit",
    }
    return _draw_matrices({label: arrays[name] for name, label in shown.items()}, title)


def _first_arrays(
    folders: Sequence[Path], wanted: dict[str, Any], key: str, title: str
) -> tuple[str, dict[str, Any]]:
    """Return title and ties of the run with the largest `key`, then filter, then least seed."""
    from safetensors.numpy import load_file

    found = []
    for config, path in array_files(folders):
        if all(config.get(name) == value for name, value in wanted.items()):
            order = (config[key], config.get("filter", ""), -config["seed"])
            found.append((order, config, path))
    if not found:
        raise UnavailableError(f"no run folder holds {ARRAYS_FILE}; run the experiment again")
    _, config, path = max(found, key=lambda item: item[0])
    where = "positions shuffled" if config["shuffled"] else "positions in place"
    return f"{title.format(**config)}, {where}", load_file(path)


def _draw_matrices(arrays: dict[str, Any], title: str) -> Figure:
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(5.0, 5.9))
        grid = figure.subplots(2, 2)
        for axes, (name, ids) in zip(grid.flat, arrays.items(), strict=True):
            num = int(ids.max()) + 1
            axes.imshow(ids, cmap="viridis", vmin=0, vmax=max(1, num - 1), interpolation="nearest")
            axes.set_title(f"{name}: {num:,} values", fontsize=12)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
        figure.suptitle(f"Tied weights ({title})", color=INK, fontsize=13)
    return figure
