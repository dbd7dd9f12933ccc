"""The pictures of sharing: they show the rows, need no missing piece, and render on any page."""

from __future__ import annotations

import re

import pytest
from matplotlib.figure import Figure
from safetensors.numpy import load_file

from coset.core.errors import UnavailableError
from coset.lab.experiments import find_experiment
from coset.lab.figure_style import save_svg
from coset.lab.runner import run_preset
from coset.lab.store import RunStore
from coset.sharing import figures
from coset.sharing.figures.histograms import torus_histograms

SMALL = [
    "num_train=60",
    "num_validation=30",
    "channels=[2]",
    "kernel_size=3",
    "num_epochs=2",
    "batch_size=20",
]


@pytest.fixture(scope="module")
def torus(tmp_path_factory):
    """Return rows and folders of a small sweep."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    records = run_preset("sharing.torus-digits", "smoke", SMALL, store=store)
    assert [record.error for record in records] == [None] * 6
    return [dict(row) for record in records for row in record.rows], [r.folder for r in records]


@pytest.fixture(scope="module")
def particle_rows(tmp_path_factory):
    store = RunStore(tmp_path_factory.mktemp("runs"))
    small = ["num_weights=2000", "num_particles=8", "num_strengths=6"]
    records = run_preset("sharing.particles", "smoke", small, store=store)
    return [dict(row) for record in records for row in record.rows]


def texts(figure):
    legends = [axes.get_legend() for axes in figure.axes] + figure.legends
    labels = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
    for axes in figure.axes:
        ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
        labels += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        labels += [text.get_text() for text in [*axes.texts, *ticks]]
    return labels


def test_every_registered_figure_renders_and_reads_well(torus, particle_rows, tmp_path):
    for item, given in (
        (find_experiment("sharing.torus-digits"), torus),
        (find_experiment("sharing.particles"), (particle_rows, [])),
    ):
        for name in item.figures:
            module, _, function = name.partition(":")
            assert module == "coset.sharing.figures"
            draw = getattr(figures, function)
            figure = draw(*given)
            assert isinstance(figure, Figure)
            first = save_svg(figure, tmp_path / f"{function}.svg").read_bytes()
            assert save_svg(draw(*given), tmp_path / "again.svg").read_bytes() == first
            sizes = [float(size) for size in re.findall(rb"font(?:-size)?: ([\d.]+)px", first)]
            # 11 of 360 points wide is 11.6 of 380 pixels.
            assert sizes
            assert min(sizes) >= 11
            assert figure.get_figwidth() == 5.0


def test_every_axis_has_a_label(torus, particle_rows):
    drawn = [figures.torus_distinct(*torus), figures.particle_lines(particle_rows, [])]
    for figure in [*drawn, figures.distinct_values(particle_rows, [])]:
        for axes in figure.axes:
            assert axes.get_title()
            assert axes.get_xlabel()
            assert axes.get_ylabel()


def test_bars_are_as_long_as_the_mean_accuracy(torus):
    rows = [{**row, "test_accuracy": 0.3} for row in torus[0]]
    rows += [{**row, "seed": 1, "test_accuracy": 0.5} for row in rows]
    figure = figures.torus_accuracy(rows, [])
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert widths == pytest.approx([0.4] * 6)
    assert texts(figure).count("0.40") == 6
    larger = [{**row, "side": 14, "test_accuracy": 0.7} for row in rows]
    figure = figures.torus_accuracy(rows + larger, [])
    assert [axes.get_title() for axes in figure.axes] == ["7×7 pixels", "14×14 pixels"]
    for axes, width in zip(figure.axes, (0.4, 0.7), strict=True):
        assert [patch.get_width() for patch in axes.patches] == pytest.approx([width] * 6)


def test_markers_stand_at_distinct_weights_and_accuracy(torus):
    figure = figures.torus_distinct(*torus)
    wanted = {
        (row["num_distinct"], row["test_accuracy"]) for row in torus[0] if not row["shuffled"]
    }
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert {tuple(line.get_xydata()[0]) for line in lines} == wanted
    paths = [line for line in figure.axes[0].lines if line.get_linestyle() != "None"]
    # Cuts of the two dense networks, and k-means of the plain one.
    assert [line.get_linestyle() for line in paths] == ["-", "--", "-"]
    (stored,) = (
        load_file(record_folder / "arrays.safetensors")
        for row, record_folder in zip(*torus, strict=True)
        if (row["method"], row["shuffled"]) == ("fc", False)
    )
    for line, kind in zip(paths, ("cut", "kmeans"), strict=False):
        assert line.get_xdata().tolist() == stored[f"{kind}_num_distinct"].tolist()
        assert line.get_ydata().tolist() == stored[f"{kind}_test_accuracy"].tolist()


def test_curves_show_each_epoch_of_the_runs_in_place(torus):
    figure = figures.torus_curves(*torus)
    for axes in figure.axes:
        assert [line.get_xdata().tolist() for line in axes.lines] == [[1, 2]] * 3
    final = [line.get_ydata()[-1] for line in figure.axes[0].lines]
    wanted = [row["validation_accuracy"] for row in torus[0] if not row["shuffled"]]
    assert final == pytest.approx(wanted)


def test_filters_show_a_line_for_each_method_and_pixel_order(torus):
    figure = figures.torus_filters(*torus)
    assert len(figure.axes) == 6 * 4  # four filters of the only size
    names = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert names[0] == "dense\nin place"
    assert names[-1] == "CNN\nshuffled"
    # The aligned filters of a convolution are one picture.
    pictures = [axes.images[0].get_array() for axes in figure.axes[16:20]]
    assert all(abs(picture - pictures[0]).max() < 1e-6 for picture in pictures)


def test_histograms_show_the_stored_counts(torus):
    figure = torus_histograms(*torus)
    assert len(figure.axes) == 3 * 2  # the start and two epochs, two dense networks
    stored = {
        row["method"]: load_file(folder / "arrays.safetensors")["histogram_counts"]
        for row, folder in zip(*torus, strict=True)
        if not row["shuffled"]
    }
    for column, method in enumerate(("fc", "fc+sharing")):
        for line, epoch in ((0, 0), (1, 1), (2, 2)):
            (steps,) = figure.axes[2 * line + column].patches
            drawn = steps.get_data().values
            assert (drawn == stored[method][epoch].clip(0.5)).all()
    labels = [axes.get_ylabel() for axes in figure.axes[::2]]
    assert labels == ["epoch 0", "epoch 1", "epoch 2"]


def test_pictures_without_stored_arrays_say_what_to_do(torus, tmp_path):
    for draw in (figures.torus_filters, torus_histograms):
        with pytest.raises(UnavailableError, match="run the experiment again"):
            draw(torus[0], [tmp_path])


def test_world_lines_end_in_one_heavy_line(particle_rows):
    figure = figures.particle_lines(particle_rows, [])
    (collection,) = figure.axes[0].collections
    segments = collection.get_segments()
    last = max(segment[:, 0].max() for segment in segments)
    final = [i for i, segment in enumerate(segments) if segment[:, 0].max() == last]
    assert len(final) == 1
    assert collection.get_linewidths()[final[0]] == max(collection.get_linewidths())
    assert len([segment for segment in segments if segment[:, 0].min() == 0]) == 8


def test_the_law_and_both_critical_strengths_are_marked(particle_rows):
    figure = figures.distinct_values(particle_rows, [])
    styles = [line.get_linestyle() for line in figure.axes[0].lines if len(line.get_xdata())]
    assert styles.count("--") == 2
    assert styles.count(":") == 2
    assert "law (C16)" in texts(figure)
