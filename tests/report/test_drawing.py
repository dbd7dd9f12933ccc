from __future__ import annotations

import matplotlib
import pytest

from coset.report.drawing import draw_figures
from coset.report.runs import view_experiments
from report.synthetic import FIGURES, experiment, run


def _draw(folder, function, runs=None):
    runs = [run([{"test_accuracy": 0.5}])] if runs is None else runs
    views = view_experiments([experiment(figures=(function,))], runs)
    return draw_figures(views, folder)


def test_a_figure_is_drawn_from_rows(tmp_path):
    (figure,) = _draw(tmp_path, f"{FIGURES}:draw_accuracy")
    assert figure.error == ""
    assert figure.caption == "Accuracy by method, shuffled or not."
    assert "1 rows of 1 runs" in (tmp_path / figure.file).read_text()


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (f"{FIGURES}:draw_badly", "KeyError"),
        (f"{FIGURES}:nowhere", "AttributeError"),
        ("no.such.module:draw", "ModuleNotFoundError"),
        (f"{FIGURES}:HOSTILE", "TypeError"),
        ("report.synthetic:claim", "TypeError"),
        ("malformed", "ValueError"),
        ("", "ValueError"),
    ],
)
def test_a_figure_that_fails_keeps_its_error(tmp_path, function, error):
    (figure,) = _draw(tmp_path, function)
    assert figure.file == ""
    assert figure.error.startswith((error, "ModuleNotFoundError"))


def test_each_preset_has_its_own_figure_and_settings_of_no_preset_have_none(tmp_path):
    runs = [run([{}], {"seed": i}, preset=p) for i, p in enumerate(["smoke", "cpu", ""])]
    figures = _draw(tmp_path, f"{FIGURES}:draw_accuracy", runs)
    assert [figure.preset for figure in figures] == ["smoke", "cpu"]
    assert len({figure.file for figure in figures}) == 2
    assert len({figure.anchor for figure in figures}) == 2


def test_without_rows_nothing_is_drawn(tmp_path):
    assert _draw(tmp_path, f"{FIGURES}:draw_accuracy", [run([], status="failed")]) == []


def test_drawing_leaves_no_open_figure_and_no_setting(tmp_path):
    before = dict(matplotlib.rcParams)
    _draw(tmp_path, f"{FIGURES}:draw_accuracy")
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == before
