"""The hidden convolution: honest choices, paired runs, rows that mean what they say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment
from coset.lab.metrics import read_metrics
from coset.sharing.experiments.hidden_convolution import (
    HiddenConvolutionConfig,
    filter_of,
    hidden_convolution,
)
from coset.sharing.experiments.linear_maps import ARRAYS_FILE, Pairs

TINY = HiddenConvolutionConfig(num_test=200, num_strengths=6, max_iter=400)
METHODS = ["ridge", "lasso", "sharing", "sharing+lasso", "convolution"]


def rows_of(config, folder):
    rows = list(
        hidden_convolution(config, RunContext("sharing.hidden-convolution", config, folder))
    )
    assert [row["method"] for row in rows] == METHODS
    return {row["method"]: row for row in rows}


def test_the_filters_are_those_of_the_study():
    dense, sparse = filter_of("dense"), filter_of("sparse")
    values, counts = dense.unique(return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {-0.5: 10, 1.0: 5, 2.0: 1}
    assert dense[2] == 2
    assert sparse.tolist() == [1.0, -0.6, 0.3] + [0.0] * 13
    with pytest.raises(ConfigError, match="design"):
        filter_of("wide")


@pytest.mark.experiment
@pytest.mark.parametrize("design", ["dense", "sparse"])
def test_each_method_gives_one_sound_row(design, tmp_path):
    rows = rows_of(replace(TINY, design=design), tmp_path)
    for row in rows.values():
        assert 0 < row["test_error"] < 1.5
        assert 0 < row["validation_error"] < 1.5
        assert 1 <= row["num_distinct"] <= row["num_weights"] == 256
        assert row["num_trials"] == TINY.num_strengths
        assert 0 <= row["circulance"] <= 1 + 1e-12
    assert rows["ridge"]["num_distinct"] == 256
    assert rows["convolution"]["circulance"] == pytest.approx(1.0)
    assert rows["convolution"]["test_error"] == min(row["test_error"] for row in rows.values())
    # The design decides who wins; at this seed the gap is wide.
    better, worse = ("sharing", "lasso") if design == "dense" else ("lasso", "ridge")
    assert rows[better]["test_error"] < 0.7 * rows[worse]["test_error"]


@pytest.mark.experiment
def test_what_is_reported_was_chosen_on_validation_data_alone(tmp_path):
    rows = rows_of(TINY, tmp_path)
    trials = read_metrics(tmp_path / "metrics.jsonl")
    for method, row in rows.items():
        own = [trial for trial in trials if trial["method"] == method]
        assert len(own) == row["num_trials"]
        best = min(own, key=lambda trial: trial["validation_error"])
        assert best["strength"] == row["chosen_strength"]
        assert best["validation_error"] == row["validation_error"]
        assert row["at_edge"] == (best in (own[0], own[-1]))
    assert "test_error" not in trials[0]


@pytest.mark.experiment
def test_only_what_is_chosen_is_tested_once(tmp_path, monkeypatch):
    tested, test = [], Pairs.test_error
    monkeypatch.setattr(Pairs, "test_error", lambda *a: tested.append(1) or test(*a))
    rows = rows_of(TINY, tmp_path)
    assert len(tested) == len(rows)
    assert rows["ridge"]["error_to_ridge"] == 1
    wanted = rows["sharing"]["test_error"] / rows["ridge"]["test_error"]
    assert rows["sharing"]["error_to_ridge"] == wanted


@pytest.mark.experiment
def test_shuffling_changes_nothing_but_the_convolution(tmp_path):
    place = rows_of(TINY, tmp_path / "a")
    mixed = rows_of(replace(TINY, shuffled=True), tmp_path / "b")
    for method in ("ridge", "lasso", "sharing", "sharing+lasso"):
        for name in ("test_error", "validation_error", "circulance", "chosen_strength"):
            assert mixed[method][name] == pytest.approx(place[method][name], rel=1e-2)
    assert mixed["convolution"]["test_error"] > 20 * place["convolution"]["test_error"]
    assert mixed["convolution"]["circulance"] < 0.9


@pytest.mark.experiment
def test_ties_are_stored_in_place_and_runs_repeat(tmp_path):
    first = rows_of(replace(TINY, shuffled=True), tmp_path / "a")
    again = rows_of(replace(TINY, shuffled=True), tmp_path / "b")
    assert first == again
    arrays = load_file(tmp_path / "a" / ARRAYS_FILE)
    assert set(arrays) == {"truth", *METHODS}
    truth = arrays["truth"]
    assert all(torch.equal(truth[i], truth[0].roll(i)) for i in range(16))
    for method in METHODS:
        assert int(arrays[method].max()) + 1 == first[method]["num_distinct"]
    assert rows_of(replace(TINY, seed=5), tmp_path / "c") != first


@pytest.mark.parametrize("change", [{"num_samples": 0}, {"num_strengths": 1}, {"num_test": 0}])
def test_impossible_settings_are_refused(change, tmp_path):
    with pytest.raises(ConfigError, match=next(iter(change))):
        rows_of(replace(TINY, **change), tmp_path)


def test_the_presets_hold_both_designs_and_enough_fresh_seeds():
    item = find_experiment("sharing.hidden-convolution")
    assert set(item.presets) == {"smoke", "cpu", "paper"}
    for preset in item.presets.values():
        assert set(preset.grid["design"]) == {"dense", "sparse"}
    for name in ("cpu", "paper"):
        grid = item.presets[name].grid
        assert len(grid["seed"]) >= 10
        assert not {0, 1, 2, 3} & set(grid["seed"])
        assert {10, 12, 14, 20} <= set(grid["num_samples"])
