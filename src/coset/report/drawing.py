"""Figures: the subjects' own functions, called on stored rows; one that fails shows its error."""

from __future__ import annotations

import importlib
import inspect
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coset.report.formats import slug
from coset.report.runs import ExperimentView, RunGroup

__all__ = ["FigureView", "draw_figures"]


@dataclass(frozen=True)
class FigureView:
    """One figure of one experiment at one preset.

    Attributes:
        experiment: the experiment's id.
        preset: the preset whose rows it shows.
        function: what drew it, "module:function".
        caption: the first sentence of the function's docstring, without a leading "Show".
        num_rows: how many rows it was drawn from.
        file: its file below the report, "" if it failed.
        error: why it failed, "" if it did not.
    """

    experiment: str
    preset: str
    function: str
    caption: str
    num_rows: int
    file: str
    error: str

    @property
    def anchor(self) -> str:
        """The name of its place on the experiment's page."""
        return "figure-" + slug(f"{self.preset or 'other'}-{self.function.rpartition(':')[2]}")


def draw_figures(views: Sequence[ExperimentView], folder: Path) -> list[FigureView]:
    """Draw every figure of every experiment that has rows, one for each preset.

    Args:
        views: the experiments with their runs.
        folder: the report's folder; figures go to ``figures`` below it.

    Returns:
        The figures, failed ones included.
    """
    return [
        _draw(view, group, function, folder)
        for view in views
        for group in view.groups
        if group.num_rows and group.preset
        for function in view.figures
    ]


def _draw(view: ExperimentView, group: RunGroup, function: str, folder: Path) -> FigureView:
    name = slug(f"{view.id}-{group.preset}-{function.rpartition(':')[2]}")
    file, error, caption = f"figures/{name}.svg", "", function
    try:
        draw = _function(function)
        caption = _first_sentence(draw) or function
        (folder / "figures").mkdir(exist_ok=True)
        rows = [dict(row) for run in group.finished for row in run.rows]
        _save(draw(rows, [run.folder for run in group.finished]), folder / file)
    except Exception as problem:  # a figure's failure is shown in its place, and nothing else fails
        last = traceback.extract_tb(problem.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        file, error = "", f"{type(problem).__name__}: {problem} ({where})"
    return FigureView(view.id, group.preset, function, caption, group.num_rows, file, error)


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not callable(found):
        raise TypeError(f"{name} must be a function; it is {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _first_sentence(draw: Callable[..., Any]) -> str:
    """Return the docstring's first sentence as a caption: what is shown, not the order to show."""
    paragraph = " ".join((inspect.getdoc(draw) or "").split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraph)[0].removeprefix("Show ")
    return sentence[:1].upper() + sentence[1:]


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    from coset.lab.figure_style import save_svg

    if not isinstance(figure, Figure):
        raise TypeError(f"a figure function must return a Figure; it returned {type(figure)}")
    try:
        save_svg(figure, path)
    finally:
        pyplot.close(figure)
