"""Pictures of local resolution: what is attended against the whole, and how far beliefs go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.lab.figure_style import COLORS, INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["parameter_paths", "resolution_trace"]

Rows = Sequence[dict[str, Any]]

_FLOOR = 1e-7  # bits: where smaller values are drawn on the logarithmic axis


def resolution_trace(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show one graph under each focus: attended inconsistency step by step, and that of the whole.

    Args:
        rows: of `beliefs.attention-study`.
        folders: not used.

    Returns:
        The figure: a panel a focus, of the largest structure there is. A band a step, colored by
        what is attended; in it a bar from the attended inconsistency before to that after; a line
        through the inconsistency of the whole graph.
    """
    from matplotlib.figure import Figure

    table = [row for row in rows if row["kind"] == "step"]
    structure = max((row["structure"] for row in table), default="")
    foci = sorted({row["focus"] for row in table}, reverse=True)
    with style():
        figure = Figure(figsize=(5.0, 2.3 * max(len(foci), 1)))
        panels = figure.subplots(max(len(foci), 1), 1, sharex=True, squeeze=False)[:, 0]
        for axes, focus in zip(panels, foci, strict=False):
            own = [r for r in table if r["focus"] == focus and r["structure"] == structure]
            _trace(axes, sorted(own, key=lambda row: row["step"]))
            axes.set_title(f"{focus} focus, {structure}")
            axes.set_ylabel("bits")
        panels[-1].set_xlabel("step")
        if foci:
            handles = panels[0].get_legend_handles_labels()
            figure.legend(*handles, loc="outside lower center", ncols=2)
    return figure


def _trace(axes: Axes, rows: Rows) -> None:
    attended = list(dict.fromkeys(row["attended_arcs"] for row in rows if row["attended_arcs"]))
    for row in rows:
        if not row["attended_arcs"]:
            continue
        place = attended.index(row["attended_arcs"]) % len(COLORS)
        axes.axvspan(row["step"] - 1, row["step"], color=COLORS[place], alpha=0.12, linewidth=0)
        ends = [max(row[name] or 0.0, _FLOOR) for name in ("attended_before", "attended_after")]
        axes.plot(
            [row["step"] - 1, row["step"]],
            ends,
            color=COLORS[1],
            linestyle="-",
            marker="",
            label="attended" if row["step"] == 1 else None,
        )
    axes.plot(
        [row["step"] for row in rows],
        [max(row["overall"] or 0.0, _FLOOR) for row in rows],
        color=COLORS[0],
        linestyle="--",
        marker="",
        label="whole graph",
    )
    axes.set_yscale("log")


def parameter_paths(rows: Rows, folders: Sequence[Path]) -> Figure:
    """Show how far tables have moved from where they began, with exact joints and by the recipe.

    Args:
        rows: of `beliefs.attention-study`.
        folders: not used.

    Returns:
        The figure: a panel a structure, a line a focus and solver.
    """
    from matplotlib.figure import Figure

    table = [row for row in rows if row["kind"] == "path"]
    structures = sorted({row["structure"] for row in table})
    foci = sorted({row["focus"] for row in table}, reverse=True)
    with style():
        num_rows = max((len(structures) + 1) // 2, 1)
        figure = Figure(figsize=(5.0, 0.8 + 2.2 * num_rows))
        panels = figure.subplots(num_rows, 2, sharex=True, squeeze=False).flatten()
        for axes, structure in zip(panels, structures, strict=False):
            for place, focus in enumerate(foci):
                for solver, line in (("exact", "-"), ("adam", ":")):
                    own = [
                        r
                        for r in table
                        if (r["structure"], r["focus"], r["solver"]) == (structure, focus, solver)
                    ]
                    own.sort(key=lambda row: row["step"])
                    axes.plot(
                        [row["step"] for row in own],
                        [row["mean_movement"] for row in own],
                        color=COLORS[place],
                        linestyle=line,
                        marker="",
                        label=f"{focus}, {'exact' if solver == 'exact' else 'recipe'}",
                    )
            axes.set_title(structure)
            axes.set_ylim(bottom=0)
        for axes in panels[len(structures) :]:
            axes.set_visible(False)
        for axes in panels[-2:]:
            axes.set_xlabel("step")
        figure.supylabel("total variation of tables", fontsize=12, color=INK)
        if structures:
            handles = panels[0].get_legend_handles_labels()
            figure.legend(*handles, loc="outside lower center", ncols=2)
    return figure
