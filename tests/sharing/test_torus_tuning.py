"""The tuning of the torus study: equal trials, a choice by rule, constants that are the choice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from coset.core.errors import ConfigError
from coset.core.files import read_json, write_json
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment
from coset.sharing.experiments.torus_settings import OWN_FIELDS, TUNED
from coset.sharing.experiments.torus_training import METHODS, TorusSettings
from coset.sharing.experiments.torus_tuning import (
    NUM_TRIALS,
    TuningConfig,
    best_trials,
    torus_tuning,
    trials,
)

STORED = Path(__file__).parents[2] / "docs" / "results" / "sharing.torus-tuning.cpu.json"
TINY = TuningConfig(channels=(2,), num_epochs=1, num_train=70, num_validation=20)
BEST = {"learning_rate": 3.0, "momentum": 0.9}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate", [1.0, 30.0])
def test_every_method_has_the_same_number_of_trials_of_its_own_settings(method, rate):
    tried = trials(method, {"learning_rate": rate, "momentum": 0.0})
    assert len(tried) == NUM_TRIALS == len({json.dumps(row) for row in tried})
    names = {"learning_rate", "momentum", *OWN_FIELDS[method]}
    for row in tried:
        assert row.keys() == names
        replace(TorusSettings(method=method), **row)


def test_the_first_step_is_tried_at_the_same_strengths_at_any_learning_rate():
    slow, fast = (
        [row["strength"] * rate for row in trials("fc+sharing", {**BEST, "learning_rate": rate})]
        for rate in (1.0, 30.0)
    )
    assert slow == pytest.approx(fast, rel=0.05)  # two digits are kept


def test_other_methods_need_the_best_of_the_plain_net():
    with pytest.raises(ConfigError, match="best of 'fc'"):
        trials("fc+l1")


def row(trial, accuracy, num_distinct=9, method="fc+sharing", side=7):
    return {
        "side": side,
        "method": method,
        "trial": trial,
        "validation_accuracy": accuracy,
        "num_distinct": num_distinct,
    }


def test_the_highest_accuracy_wins_and_among_equals_the_fewest_values():
    rows = [row(0, 0.5, 1), row(1, 0.7, 8), row(2, 0.7, 7), row(3, 0.6, 2), row(0, 0.1, side=14)]
    chosen = best_trials(rows)
    assert chosen[7, "fc+sharing"]["trial"] == 2
    assert chosen[14, "fc+sharing"]["trial"] == 0


def test_k_means_takes_the_fewest_values_that_cost_little():
    rows = [row(k, a, 2**k, "fc+kmeans") for k, a in ((1, 0.5), (2, 0.69), (3, 0.68), (4, 0.695))]
    assert best_trials(rows)[7, "fc+kmeans"]["num_distinct"] == 4


def tuned(config, folder, kill_at=None):
    run = RunContext("sharing.torus-tuning", config, folder)
    if kill_at is not None:

        def kill(done, total, note):
            if done >= kill_at:
                raise KeyboardInterrupt

        run.progress = kill
    return list(torus_tuning(config, run))


@pytest.mark.experiment
def test_a_killed_tuning_continues_to_the_same_rows(tmp_path):
    whole = tuned(TINY, tmp_path / "whole")
    assert len(whole) == NUM_TRIALS * len(METHODS)
    assert [r["method"] for r in whole if r["is_best"]] == list(METHODS)
    best = json.loads(next(r for r in whole if r["is_best"])["settings"])
    for r in whole:
        start = json.loads(r["settings"])
        assert r["method"] in ("fc", "fc+dual-averaging", "cnn") or best.items() <= start.items()
    with pytest.raises(KeyboardInterrupt):
        tuned(TINY, tmp_path / "killed", kill_at=11)
    finished = read_json(tmp_path / "killed" / "trials.json")
    assert 10 <= len(finished) < len(whole)
    assert tuned(TINY, tmp_path / "killed") == whole
    assert not list((tmp_path / "killed" / "checkpoints").iterdir())


@pytest.mark.experiment
def test_finished_trials_are_not_made_again(tmp_path):
    done = {
        f"{method}/{trial}": {
            "settings": json.dumps(BEST),
            "validation_accuracy": trial / 10,
            "num_distinct": 5,
        }
        for method in METHODS
        for trial in range(NUM_TRIALS)
    }
    write_json(tmp_path / "trials.json", done)
    rows = tuned(replace(TINY, num_epochs=10**6), tmp_path)
    assert [r["trial"] for r in rows if r["is_best"]] == [7] * len(METHODS)
    assert all(r["validation_accuracy"] == r["trial"] / 10 for r in rows)


def test_the_constants_are_what_the_stored_rows_name_as_best():
    stored = read_json(STORED)
    rows = [stored.get("in_every_row", {}) | row for row in stored["rows"]]
    assert (stored["experiment"], stored["preset"]) == ("sharing.torus-tuning", "cpu")
    chosen = best_trials(rows)
    assert chosen.keys() == TUNED.keys() == {(s, m) for s in (7, 14) for m in METHODS}
    for key, best in chosen.items():
        assert json.loads(best["settings"]) == dict(TUNED[key])
        assert best["is_best"]
        group = [r for r in rows if (r["side"], r["method"]) == key]
        assert len(group) == NUM_TRIALS
        assert {r["seed"] for r in group} == {0}
        start = dict(TUNED[key[0], "fc"])
        assert [json.loads(r["settings"]) for r in group] == trials(key[1], start)


def test_the_tuning_and_the_study_use_different_seeds():
    study = find_experiment("sharing.torus-digits").preset("cpu")
    tuning = find_experiment("sharing.torus-tuning").preset("cpu")
    assert tuning.config.seed not in study.grid["seed"]
    assert len(study.grid["seed"]) >= 5
    assert set(study.grid["method"]) == set(METHODS)
    assert set(study.grid["side"]) == set(tuning.grid["side"]) == {7, 14}
