"""The compression experiment and its picture."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from matplotlib.colors import to_hex

from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment
from coset.lab.figure_style import COLORS, save_svg
from coset.lab.metrics import read_metrics
from coset.lab.runner import run_preset
from coset.lab.store import RunStore
from coset.sharing.experiments.compression import CompressionConfig, compression
from coset.sharing.figures.compression import compression_accuracy

TINY = CompressionConfig(
    num_train=300,
    num_validation=100,
    width=12,
    num_epochs=3,
    strength=0.05,
    num_values=(1, 2, 16, 400, 9408),
)


TRAININGS = ("plain", "sharing", "dual-averaging", "l1")


def rows_of(config, folder):
    return list(compression(config, RunContext("sharing.compression", config, folder)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return the rows of one run of each training."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        training: rows_of(replace(TINY, training=training), folder / training)
        for training in TRAININGS
    }


@pytest.mark.experiment
def test_each_training_gives_a_row_for_each_cut(tiny):
    for training, rows in tiny.items():
        assert {row["training"] for row in rows} == {training}
        assert rows[0]["method"] == "none"
        assert rows[0]["num_allowed"] is None
        assert rows[0]["relative_error"] == 0
        asked = [(row["num_allowed"], row["method"]) for row in rows[1:]]
        assert asked == [(u, m) for u in TINY.num_values for m in ("kmeans", "path")]
        for row in rows:
            assert row["num_weights"] == 784 * 12 + 120
            assert 0 <= row["test_accuracy"] <= 1
            assert 0 <= row["entropy"] <= row["bits_per_weight"] + 1e-9
            # At most packed, one bit a weight at least, or dense.
            assert 0 < row["stored_bits_per_weight"] <= min(32, max(1.1, row["bits_per_weight"]))
        for row in rows[1:]:
            assert row["num_distinct"] <= min(2 * row["num_allowed"], rows[0]["num_distinct"])


@pytest.mark.experiment
def test_kmeans_has_the_smaller_error_and_all_values_the_accuracy_as_trained(tiny):
    for rows in tiny.values():
        for kmeans, path in zip(rows[1::2], rows[2::2], strict=True):
            assert kmeans["relative_error"] <= path["relative_error"] + 1e-9
        # As many values as weights change nothing; one value a matrix leaves chance.
        for row in rows[-2:]:
            assert row["test_accuracy"] == rows[0]["test_accuracy"]
            assert row["num_distinct"] == rows[0]["num_distinct"]
        assert rows[1]["test_accuracy"] < 0.25
        stored = [row["stored_bits_per_weight"] for row in rows[1::2]]
        assert stored == sorted(stored)
    bits = {training: rows[5]["stored_bits_per_weight"] for training, rows in tiny.items()}
    assert (tiny["plain"][5]["num_allowed"], tiny["plain"][5]["method"]) == (16, "kmeans")
    assert bits["dual-averaging"] < 0.6 * bits["plain"]
    distinct = {training: rows[0]["num_distinct"] for training, rows in tiny.items()}
    assert distinct["plain"] > 0.9 * tiny["plain"][0]["num_weights"]
    assert distinct["dual-averaging"] < 0.2 * distinct["plain"]
    assert distinct["sharing"] < 0.98 * distinct["plain"]


@pytest.mark.experiment
def test_trainings_are_paired(tiny, tmp_path):
    # With no strength the proximal step does nothing: all else must be equal.
    rows = rows_of(replace(TINY, training="sharing", strength=0.0), tmp_path)
    for ours, plain in zip(rows, tiny["plain"], strict=True):
        assert {**ours, "training": "plain"} == plain
    other = rows_of(replace(TINY, seed=1), tmp_path / "other")
    assert other[0]["num_distinct"] != tiny["plain"][0]["num_distinct"]


class Killed(Exception):
    """Stands for a kill in the middle of a run."""


@pytest.mark.experiment
def test_a_killed_run_continues_to_the_same_rows(tiny, tmp_path):
    config = replace(TINY, training="dual-averaging")

    def kill(done, total, note):
        if done == 2:
            raise Killed

    broken = RunContext("sharing.compression", config, tmp_path)
    broken.progress = kill
    with pytest.raises(Killed):
        list(compression(config, broken))
    assert rows_of(config, tmp_path) == tiny["dual-averaging"]
    assert len(read_metrics(tmp_path / "metrics.jsonl")) == TINY.num_epochs


@pytest.mark.experiment
def test_the_store_takes_its_rows(tmp_path):
    store = RunStore(tmp_path)
    small = ["num_train=100", "width=4", "num_epochs=1", "num_values=[2, 30]"]
    records = run_preset("sharing.compression", "smoke", small, store=store)
    assert [record.error for record in records] == [None, None]
    assert [len(record.rows) for record in records] == [5, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_epochs": 0}, "num_epochs must be ≥ 1"),
        ({"num_validation": 0}, "num_validation must be ≥ 1"),
        ({"num_train": 3999}, "at most 4000; given 4099"),
        ({"num_values": ()}, "numbers ≥ 1"),
        ({"num_values": (4, 0)}, "numbers ≥ 1"),
    ],
)
def test_impossible_settings_are_refused(change, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        rows_of(replace(TINY, **change), tmp_path)


def test_the_presets_have_enough_seeds_and_every_training():
    item = find_experiment("sharing.compression", "coset.sharing.experiments.compression")
    for name in ("cpu", "paper"):
        assert set(item.presets[name].grid["training"]) == set(TRAININGS)
        # Settings were chosen on seed 0.
        assert len(set(item.presets[name].grid["seed"]) - {0}) >= 3
        assert 256 in item.presets[name].config.num_values


@pytest.mark.experiment
def test_the_picture_shows_the_rows(tiny, tmp_path):
    rows = [row for group in tiny.values() for row in group]
    rows += [{**row, "seed": 1, "test_accuracy": row["test_accuracy"] / 2} for row in rows]
    figure = compression_accuracy(rows, [])
    assert len(figure.axes) == 2
    for axes, column in zip(figure.axes, ("num_distinct", "stored_bits_per_weight"), strict=True):
        assert axes.get_title()
        assert axes.get_xlabel()
        assert axes.get_ylabel() == "test accuracy"
        shown = {}
        for line in axes.lines:
            key = (to_hex(line.get_color()), line.get_marker())
            shown[key] = line.get_xydata().tolist()
        assert len(shown) == 3 * len(TRAININGS)
        for number, training in enumerate(tiny):
            for method, marker in (("kmeans", "o"), ("path", "s"), ("none", "*")):
                own = [row for row in tiny[training] if row["method"] == method]
                wanted = [[row[column], 0.75 * row["test_accuracy"]] for row in own]
                wanted = [point for point in wanted if point[0] >= axes.get_xlim()[0]]
                assert shown[COLORS[number], marker] == [pytest.approx(p) for p in wanted]
    first = save_svg(figure, tmp_path / "a.svg").read_bytes()
    assert save_svg(compression_accuracy(rows, []), tmp_path / "b.svg").read_bytes() == first
    sizes = [float(size) for size in re.findall(rb"font(?:-size)?: ([\d.]+)px", first)]
    assert sizes
    assert min(sizes) >= 11
    assert figure.get_figwidth() == 5.0


def test_the_picture_needs_no_missing_training(tiny):
    figure = compression_accuracy(tiny["sharing"], [])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["sharing", "k-means", "path cut", "as trained"]
