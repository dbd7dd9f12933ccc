"""The two-stage task: the same images and choices for all methods, and what the stages give."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment
from coset.lab.metrics import read_metrics
from coset.sharing.experiments.linear_filters import (
    FILTERS,
    LinearFiltersConfig,
    linear_filters,
)
from coset.sharing.experiments.linear_maps import ARRAYS_FILE, Pairs

TINY = LinearFiltersConfig(num_strengths=5, num_values=(2, 3), max_iter=300, tol=1e-4)
KINDS = [
    (method, stage) for method in ("ridge", "lasso", "sharing") for stage in ("alone", "refitted")
] + [("convolution", "alone")]


def rows_of(config, folder):
    rows = list(linear_filters(config, RunContext("sharing.linear-filters", config, folder)))
    assert [(row["method"], row["stage"]) for row in rows] == KINDS
    return {(row["method"], row["stage"]): row for row in rows}


@pytest.mark.experiment
@pytest.mark.parametrize("name", list(FILTERS))
def test_each_method_and_stage_gives_one_sound_row(name, tmp_path):
    rows = rows_of(replace(TINY, filter=name), tmp_path)
    for (method, stage), row in rows.items():
        assert 0 < row["test_error"] < 1
        assert row["num_trials"] == 5 * (2 if stage == "refitted" else 1)
        assert row["true_distinct"] == len({v for line in FILTERS[name] for v in line} | {0})
        assert 0 <= row["circulance"] <= 1 + 1e-12
        if stage == "refitted":
            assert row["num_distinct"] <= row["chosen_values"] in (2, 3)
        else:
            assert row["chosen_values"] is None
            assert row["num_distinct"] > 20 or method == "sharing"
    assert rows["ridge", "alone"]["num_distinct"] == 49 * 49
    assert rows["convolution", "alone"]["circulance"] == pytest.approx(1.0)


@pytest.mark.experiment
def test_what_is_reported_was_chosen_on_validation_data_alone(tmp_path, monkeypatch):
    tested, test = [], Pairs.test_error
    monkeypatch.setattr(Pairs, "test_error", lambda *a: tested.append(1) or test(*a))
    rows = rows_of(TINY, tmp_path)
    assert len(tested) == len(rows)
    for (method, stage), row in rows.items():
        lasso = rows["lasso", stage]["test_error"]
        assert row["error_to_lasso"] == row["test_error"] / lasso, method
    trials = read_metrics(tmp_path / "metrics.jsonl")
    assert "test_error" not in trials[0]
    for (method, stage), row in rows.items():
        own = [t for t in trials if (t["method"], t["stage"]) == (method, stage)]
        best = min(own, key=lambda trial: trial["validation_error"])
        assert len(own) == row["num_trials"]
        assert (best["strength"], best["num_values"]) == (
            row["chosen_strength"],
            row["chosen_values"],
        )
        strengths = [trial["strength"] for trial in own]
        assert row["at_edge"] == (best["strength"] in (max(strengths), min(strengths)))


@pytest.mark.experiment
def test_shuffled_pixels_ruin_the_convolution_alone(tmp_path):
    place = rows_of(TINY, tmp_path / "a")
    mixed = rows_of(replace(TINY, shuffled=True), tmp_path / "b")
    for kind in KINDS[:-1]:
        for name in ("test_error", "validation_error", "circulance"):
            assert mixed[kind][name] == pytest.approx(place[kind][name], rel=2e-2)
    lost = mixed["convolution", "alone"]["test_error"]
    assert lost > 0.1 > 20 * place["convolution", "alone"]["test_error"]


@pytest.mark.experiment
def test_with_many_pairs_the_second_stage_finds_the_filter(tmp_path):
    config = replace(TINY, filter="emboss", num_samples=600, num_values=(3,))
    rows = rows_of(config, tmp_path)
    for method in ("ridge", "lasso", "sharing"):
        assert rows[method, "refitted"]["tie_agreement"] == 1
        assert rows[method, "refitted"]["test_error"] < 1e-3
        assert rows[method, "alone"]["tie_agreement"] < 0.9
    arrays = load_file(tmp_path / ARRAYS_FILE)
    assert torch.equal(arrays["sharing, refitted"], arrays["truth"])
    assert set(arrays) == {"truth", *(f"{method}, {stage}" for method, stage in KINDS)}


@pytest.mark.experiment
def test_filters_share_images_and_runs_repeat(tmp_path):
    first = rows_of(TINY, tmp_path / "a")
    assert rows_of(TINY, tmp_path / "b") == first
    assert rows_of(replace(TINY, seed=5), tmp_path / "c") != first


@pytest.mark.parametrize(
    "change", [{"num_samples": 0}, {"num_strengths": 1}, {"num_values": (0, 2)}, {"num_values": ()}]
)
def test_impossible_settings_are_refused(change, tmp_path):
    with pytest.raises(ConfigError, match=next(iter(change))):
        rows_of(replace(TINY, **change), tmp_path)


def test_the_presets_use_fresh_seeds_and_all_filters():
    item = find_experiment("sharing.linear-filters")
    assert set(item.presets) == {"smoke", "cpu", "paper"}
    grid = item.presets["cpu"].grid
    assert set(grid["filter"]) == set(FILTERS)
    assert set(grid["shuffled"]) == {False, True}
    assert set(grid["seed"]) >= {11, 12, 13, 14, 15}
    assert not {0, 1, 2, 3} & set(grid["seed"])
    assert item.presets["cpu"].config.num_samples == 80
