"""Pictures of the hypergrid: target, learned and difference; distance by trajectories."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hypergrid_curves", "hypergrid_maps"]

Rows = Sequence[dict[str, Any]]

_LOSSES = ("TB", "TB/T", "VarGrad", "VarGrad/T")


def hypergrid_maps(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the target, what each loss has learned at the largest rate, and where the two differ.

    Args:
        rows: of `beliefs.hypergrid`; of the studies with maps the largest grid is shown.
        folders: not used.

    Returns:
        The figure: a line of three maps for each loss: target, learned (on the target's colors)
        and |difference| (on colors that all losses share), with its sum.
    """
    from matplotlib.figure import Figure

    cells = [row for row in rows if row["kind"] == "map"]
    with style():
        if not cells:
            return _empty(Figure(), "no grid of two dimensions")
        size = max(row["x"] for row in cells)
        study = next(row["study"] for row in cells if row["x"] == size)
        rate = max(row["rate"] for row in cells if row["study"] == study)
        shown = [row for row in cells if row["study"] == study and row["rate"] == rate]
        losses = [loss for loss in _LOSSES if any(row["loss"] == loss for row in shown)]
        figure = Figure(figsize=(6.4, 2.3 * len(losses) + 0.6))
        axes = figure.subplots(len(losses), 3, squeeze=False)
        top = max(row["target"] for row in shown)
        wrong = max(abs(row["learned"] - row["target"]) for row in shown)
        for line, loss in zip(axes, losses, strict=True):
            _triptych(line, [row for row in shown if row["loss"] == loss], (top, wrong))
            line[0].set_ylabel(loss)
        figure.suptitle(f"Hypergrid {study}, rate {rate:g}, first seed", color=INK)
    return figure


def _triptych(line: Sequence[Axes], cells: Rows, tops: tuple[float, float]) -> None:
    size = max(row["x"] for row in cells) + 1
    maps = [[[0.0] * size for _ in range(size)] for _ in range(3)]
    for row in cells:
        values = row["target"], row["learned"], abs(row["learned"] - row["target"])
        for place, value in enumerate(values):
            maps[place][row["y"]][row["x"]] = value
    total = sum(map(sum, maps[2]))
    titles = ("target", "learned", f"|difference|, sum {total:.3f}")
    for axes, grid, title, top in zip(line, maps, titles, (tops[0], tops[0], tops[1]), strict=True):
        axes.imshow(grid, origin="lower", vmin=0.0, vmax=top, interpolation="nearest")
        axes.set_title(title, fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)


def hypergrid_curves(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show the exact L1 distance by trajectories, beside the noise floor of a sampled distance.

    Args:
        rows: of `beliefs.hypergrid`.
        folders: not used.

    Returns:
        The figure: a panel a study, reward and rate; for each loss the median over seeds and all
        seeds as a band; a dotted line at the floor, below which sampling sees nothing.
    """
    from matplotlib.figure import Figure

    curves = [row for row in rows if row["kind"] == "curve" and not row["rank"]]
    with style():
        if not curves:
            return _empty(Figure(), "no curves")
        # A search ends at a rate of its own for each loss: one panel for all of them.
        searched = any(row["kind"] == "trial" for row in rows)
        keys = sorted({_panel(row, searched) for row in curves})
        figure = Figure(figsize=(5.0, 0.8 + 2.7 * len(keys)))
        panels = figure.subplots(len(keys), 1, squeeze=False)[:, 0]
        for axes, key in zip(panels, keys, strict=True):
            floor = next(
                row for row in rows if row["kind"] == "floor" and _panel(row, True)[:2] == key[:2]
            )
            _curves(axes, [row for row in curves if _panel(row, searched) == key])
            axes.axhline(floor["noise_floor"], color=INK, linestyle=":", linewidth=1.5)
            axes.annotate(
                f"floor of {floor['num_samples']:,} draws".replace(",", " "),
                (0.02, floor["noise_floor"]),
                (0, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=INK,
                fontsize=10,
            )
            axes.set_yscale("log")
            name = f"{key[0]}, {key[1]}" + ("" if searched else f", rate {key[2]:g}")
            axes.set_title(name, fontsize=12)
            axes.set_ylabel("exact L1")
        panels[-1].set_xlabel("trajectories")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _panel(row: dict[str, Any], searched: bool) -> tuple[str, str, float]:
    return row["study"], row["reward"], 0.0 if searched else row["rate"]


def _curves(axes: Axes, curves: Rows) -> None:
    for place, loss in enumerate(_LOSSES):
        own: dict[int, list[float]] = {}
        for row in curves:
            if row["loss"] == loss:
                own.setdefault(row["trajectories"], []).append(row["l1"])
        if not own:
            continue
        points = sorted(own)
        style_of = ("-", "--", "-.", ":")[place]
        medians = [statistics.median(own[n]) for n in points]
        axes.plot(points, medians, style_of, color=COLORS[place], marker="", label=loss)
        low, high = [min(own[n]) for n in points], [max(own[n]) for n in points]
        axes.fill_between(points, low, high, color=COLORS[place], alpha=0.12, linewidth=0)


def _empty(figure: Figure, text: str) -> Figure:
    figure.text(0.5, 0.5, text, ha="center", va="center", color=INK)
    return figure
