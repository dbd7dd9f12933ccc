"""Pictures of how the parallel algorithms grow with the number of weights."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import CosetError, UnavailableError
from coset.core.files import read_json
from coset.lab.figure_style import COLORS, INK, style
from coset.lab.records import read_record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["costs_by_size", "rounds_by_size", "seconds_by_size"]

Rows = Sequence[Mapping[str, Any]]
Line = dict[int, float]

_INPUTS = {
    "normal-0.5": "normal, g = 0.5 σ",
    "normal-1.0": "normal, g = 1.0 σ",
    "normal-1.5": "normal, g = 1.5 σ",
    "half-zero": "half of them zero",
    "plow": "plow",
}
_METHODS = {
    "pava": "one stack",
    "imminent": "imminent collisions",
    "end": "end collisions",
    "search": "search collisions",
    "bridge": "bridge merges",
}
_MARKERS = ("o", "s", "^", "D", "v")
# One ordinary input and the bad one.
_SHOWN = ("normal-1.5", "plow")
_SECONDS_FILE = "seconds.json"


def _look(names: Mapping[str, str], name: str) -> dict[str, Any]:
    place = list(names).index(name)
    return {
        "color": COLORS[place],
        "marker": _MARKERS[place],
        "linestyle": "-",
        "linewidth": 1.5,
        "label": names[name],
    }


def _lines(rows: Rows, key: str, value: Callable[[Mapping[str, Any]], float]) -> dict[str, Line]:
    """Return for each value of a column the median over seeds by number of weights."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row[key]][row["num_weights"]].append(value(row))
    return {
        name: {size: statistics.median(values) for size, values in sorted(sizes.items())}
        for name, sizes in found.items()
    }


def _log_log(axes: Any) -> None:
    """Make both axes logarithmic with short numbers: exponents are too small on a phone."""
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: _short(value))
        axis.set_minor_formatter("")


def _short(value: float) -> str:
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def rounds_by_size(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the rounds of imminent collisions against the number of weights, by input.

    Args:
        rows: of `sharing.rounds`.
        folders: not used.

    Returns:
        The figure: medians over seeds.
    """
    from matplotlib.figure import Figure

    own = [row for row in rows if row["method"] == "imminent"]
    lines = _lines(own, "input", lambda row: row["rounds"])
    with style():
        figure = Figure(figsize=(5.0, 4.6))
        axes = figure.subplots()
        for name in [name for name in _INPUTS if name in lines]:
            line = {size: count for size, count in lines[name].items() if count > 0}
            axes.plot(list(line), list(line.values()), **_look(_INPUTS, name))
        _log_log(axes)
        axes.set_title("Imminent collisions: rounds that merge")
        axes.set_xlabel("weights d")
        axes.set_ylabel("rounds")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _panels(
    rows: Rows, title: str, costs: Mapping[str, Callable[[Mapping[str, Any]], float]]
) -> Figure:
    """Draw a row of panels for each cost and a column for each input, one line a method."""
    from matplotlib.figure import Figure

    inputs = [name for name in _SHOWN if any(row["input"] == name for row in rows)]
    with style():
        figure = Figure(figsize=(5.0, 1.9 + 2.2 * len(costs)))
        panels = figure.subplots(len(costs), len(inputs), sharex=True, sharey="row", squeeze=False)
        for row_of_panels, (label, cost) in zip(panels, costs.items(), strict=True):
            for axes, name in zip(row_of_panels, inputs, strict=True):
                lines = _lines([row for row in rows if row["input"] == name], "method", cost)
                for method in [method for method in _METHODS if method in lines]:
                    line = lines[method]
                    axes.plot(list(line), list(line.values()), **_look(_METHODS, method))
                _log_log(axes)
            row_of_panels[0].set_ylabel(label)
        for axes, name in zip(panels[0], inputs, strict=True):
            axes.set_title(_INPUTS[name])
        for axes in panels[-1]:
            axes.set_xlabel("weights d")
        figure.suptitle(title, color=INK, fontsize=13)
        # The bad input may lack a method that is too slow there; the other one has them all.
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2)
    return figure


def costs_by_size(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the critical path and the work a weight of each method, on two inputs.

    Args:
        rows: of `sharing.rounds`.
        folders: not used.

    Returns:
        The figure: medians over seeds, as `ClusterInfo` counts depth and work.
    """
    costs: dict[str, Callable[[Mapping[str, Any]], float]] = {
        "critical path": lambda row: row["depth"],
        "work a weight": lambda row: row["work"] / row["num_weights"],
    }
    return _panels(rows, "How long a chain, how much work", costs)


def seconds_by_size(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the seconds that each method took on one core, on two inputs.

    Args:
        rows: not used: rows hold no clock values.
        folders: run folders of `sharing.rounds`, which hold the seconds.

    Returns:
        The figure: medians over seeds, each measured once, whatever else the machine did.

    Raises:
        UnavailableError: if a folder holds no seconds.
    """
    timed: list[dict[str, Any]] = []
    for folder in folders:
        record = read_record(folder)
        if record is None:
            raise UnavailableError(f"{folder} must be a run folder; it is none or damaged")
        try:
            measured = read_json(folder / _SECONDS_FILE)
        except (CosetError, OSError) as error:
            raise UnavailableError(
                f"the picture needs {folder / _SECONDS_FILE}, which is not there or damaged; "
                f"run the experiment again with --fresh"
            ) from error
        timed += [{**row, "input": record.config["input"]} for row in measured]
    return _panels(timed, "Time of each method", {"seconds": lambda row: row["seconds"]})
