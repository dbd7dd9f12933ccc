"""The pictures of learned linear maps show the rows and the stored ties."""

from __future__ import annotations

import re

import pytest
from safetensors.numpy import load_file

import coset.sharing.experiments.hidden_convolution
import coset.sharing.experiments.linear_filters  # noqa: F401  (registers)
from coset.core.errors import UnavailableError
from coset.lab.experiments import find_experiment
from coset.lab.figure_style import save_svg
from coset.lab.runner import run_preset
from coset.lab.store import RunStore
from coset.sharing.figures import regression

SMALL = ["num_strengths=3", "max_iter=100"]


def _ran(tmp_path_factory, name, grid):
    store = RunStore(tmp_path_factory.mktemp("runs"))
    records = run_preset(name, "smoke", SMALL, grid, store=store)
    assert {record.error for record in records} == {None}
    return [dict(row) for record in records for row in record.rows], [r.folder for r in records]


@pytest.fixture(scope="module")
def hidden(tmp_path_factory):
    return _ran(tmp_path_factory, "sharing.hidden-convolution", {"num_samples": (12, 14)})


@pytest.fixture(scope="module")
def filters(tmp_path_factory):
    return _ran(tmp_path_factory, "sharing.linear-filters", {"seed": (0, 1)})


def test_every_figure_renders_and_reads_well(hidden, filters, tmp_path):
    for name, given in (("hidden-convolution", hidden), ("linear-filters", filters)):
        for place in find_experiment(f"sharing.{name}").figures:
            module, _, function = place.partition(":")
            assert module == "coset.sharing.figures"
            draw = getattr(regression, function)
            figure = draw(*given)
            first = save_svg(figure, tmp_path / f"{function}.svg").read_bytes()
            assert save_svg(draw(*given), tmp_path / "again.svg").read_bytes() == first
            sizes = [float(size) for size in re.findall(rb"font(?:-size)?: ([\d.]+)px", first)]
            assert min(sizes) >= 11
            assert figure.get_figwidth() == 5.0


def test_errors_of_hidden_convolutions_are_means_over_seeds(hidden):
    rows = [{**row, "test_error": 0.2} for row in hidden[0]]
    rows += [{**row, "seed": 1, "test_error": 0.4} for row in rows]
    figure = regression.hidden_convolution_errors(rows, [])
    assert [axes.get_title() for axes in figure.axes] == [
        "dense filter, positions in place",
        "sparse filter, positions in place",
    ]
    for axes in figure.axes:
        means = [line for line in axes.lines if line.get_linestyle() == "-"]
        assert len(means) == 5
        for line in means:
            assert line.get_xdata().tolist() == [12, 14]
            assert line.get_ydata() == pytest.approx([0.3, 0.3])


def test_shuffled_rows_alone_are_named_so(hidden):
    rows = [{**row, "shuffled": True} for row in hidden[0]]
    figure = regression.hidden_convolution_errors(rows, [])
    assert "shuffled" in figure.axes[0].get_title()


def test_errors_of_filters_stand_in_their_line(filters):
    rows = filters[0]
    figure = regression.linear_filter_errors(rows, [])
    assert [axes.get_title() for axes in figure.axes] == ["box", "sobel"]
    axes = figure.axes[1]
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels[:2] == ["ridge", "ridge + refit"]
    wanted = {
        row["test_error"]
        for row in rows
        if (row["filter"], row["method"], row["stage"], row["shuffled"])
        == ("sobel", "sharing", "refitted", False)
    }
    line = labels.index("sharing + refit") - 0.17
    drawn = [dots for dots in axes.lines if dots.get_ydata()[0] == line]
    assert {x for dots in drawn for x in dots.get_xdata()} >= wanted
    assert len(wanted) == 2


def test_matrices_show_the_stored_ties(hidden, filters):
    figure = regression.hidden_convolution_matrices(*hidden)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "truth: 3 values"
    assert titles[3] == "convolution: 16 values"
    assert "14 samples, positions in place" in figure.get_suptitle()
    figure = regression.linear_filter_matrices(*filters)
    assert figure.axes[0].get_title() == "truth: 5 values"
    assert "sobel, 80 pairs, positions shuffled" in figure.get_suptitle()
    stored = [load_file(folder / "arrays.safetensors") for folder in filters[1]]
    shown = figure.axes[2].images[0].get_array()
    assert any((shown == arrays["sharing, refitted"]).all() for arrays in stored)


def test_matrices_without_stored_arrays_say_what_to_do(hidden, tmp_path):
    for draw in (regression.hidden_convolution_matrices, regression.linear_filter_matrices):
        with pytest.raises(UnavailableError, match="run the experiment again"):
            draw(hidden[0], [tmp_path])
