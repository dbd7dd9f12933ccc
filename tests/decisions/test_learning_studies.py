"""The studies of learning: rows, judges with their mutants, pictures, impossible settings."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from coset.core.claims import find_claim
from coset.core.errors import ConfigError
from coset.core.judging import judge
from coset.decisions.claims import learning
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.experiments.deep import DeepConfig, deep
from coset.decisions.experiments.q_learning import QLearningConfig, q_learning
from coset.decisions.figures.learning import deep_curves, q_learning_curves
from coset.decisions.processes.objectives import objectives
from coset.lab.context import RunContext
from coset.lab.figure_style import save_svg

assert learning.C13  # importing the module registers its claims
SHORT = QLearningConfig(checkpoints=(50_000, 100_000))


def rows_of(module, config, folder):
    run = {"deep": deep, "q_learning": q_learning}[module]
    return list(run(config, RunContext(f"decisions.{module.replace('_', '-')}", config, folder)))


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Return the rows of three seeds of the smoke preset."""
    folder = tmp_path_factory.mktemp("runs")
    config = QLearningConfig()
    return [
        row
        for seed in (0, 1, 2)
        for row in rows_of("q_learning", replace(config, seed=seed), folder / str(seed))
    ]


@pytest.mark.experiment
def test_the_optimum_is_the_published_one_and_is_reached(learned):
    assert len(learned) == 9
    for row in learned:
        assert row["optimal_steps"] == pytest.approx(64.70918, abs=5e-6)
        assert row["danger_chance"] == pytest.approx(0.0, abs=1e-12)
        assert row["expected_steps"] >= row["optimal_steps"] - 1e-9
        assert row["is_optimal"] == (abs(row["expected_steps"] - row["optimal_steps"]) < 1e-6)
    last = [row for row in learned if row["num_steps"] == 4_000_000]
    assert sum(row["is_optimal"] for row in last) >= 2


@pytest.mark.claim
def test_C13_and_its_mutants(learned):
    judged = judge(find_claim("decisions.C13"), rows=learned)
    assert judged.as_expected, (judged.problem, judged.result, judged.mutants)
    assert "64.7092" in judged.result.detail
    few = [row for row in learned if row["seed"] < 2]
    assert judge(find_claim("decisions.C13"), rows=few, mutants=False).seen == "refuted"


@pytest.mark.experiment
def test_rows_depend_on_the_configuration_only(tmp_path):
    once, twice = (rows_of("q_learning", SHORT, tmp_path / name) for name in "ab")
    assert once == twice
    other = rows_of("q_learning", replace(SHORT, seed=1), tmp_path / "c")
    assert other != once


def test_the_model_is_the_safety_first_recursion():
    mdp = objectives(cliff_walk(10), "safety,steps", gamma=0.99, unsafe_earns_nothing=True)
    toy = cliff_walk(10)
    goes_on = ~toy.ended & (toy.probability > 0)
    for i, j, value in ((0, 0, 1.0), (1, 0, -1.0), (1, 1, 0.99), (0, 1, 0.0)):
        entry = mdp.entry(i, j).expand_as(toy.probability)[goes_on]
        torch.testing.assert_close(entry, torch.full_like(entry, value))


@pytest.mark.parametrize("points", [(), (0, 5), (5, 5), (7, 5)])
def test_checkpoints_that_are_refused(points, tmp_path):
    with pytest.raises(ConfigError, match="checkpoints"):
        rows_of("q_learning", replace(SHORT, checkpoints=points), tmp_path)


TINY = DeepConfig(num_steps=1, num_evaluation=2, num_episodes=4)


@pytest.mark.experiment
@pytest.mark.parametrize("method", ["lexicographic-ppo", "lexicographic-dqn", "upright-ppo"])
def test_rows_of_a_tiny_deep_run(method, tmp_path):
    config = replace(TINY, method=method, num_steps=2)
    rows = rows_of("deep", config, tmp_path)
    # The store refuses a column that is named as a field and says something else.
    for row in rows:
        assert all(row[name] == value for name, value in vars(config).items() if name in row)
    assert {row["kind"] for row in rows} == {"progress", "outcome"}
    outcome = rows[-1]
    assert outcome["evaluated_episodes"] == 4
    assert 8 <= outcome["mean_length"] <= 500
    assert 0.0 <= outcome["unsafe_share"] <= 1.0
    assert 10 <= outcome["random_length"] <= 60
    steps = [row["step"] for row in rows[:-1]]
    assert steps == sorted(steps)
    assert (rows[0]["return_2"] is None) == (method == "upright-ppo")


def test_deep_settings_that_are_refused(tmp_path):
    for name in ("num_steps", "num_evaluation", "num_episodes"):
        with pytest.raises(ConfigError, match=name):
            rows_of("deep", replace(TINY, **{name: 0}), tmp_path)


def made_rows():
    """Return rows of three agents, one of them without the first objective."""
    rows = []
    for place, method in enumerate(("lexicographic-ppo", "lexicographic-dqn", "upright-ppo")):
        own = {"method": method, "seed": 0}
        figures = {"return_1": -0.1, "return_2": 50.0 if place < 2 else None}
        for step, length in ((1000, 20.0), (2000, None), (3000, 200.0)):
            rows.append({"kind": "progress", **own, "step": step, "length": length, **figures})
        rows.append(
            {
                "kind": "outcome",
                **own,
                "environment_steps": 3000,
                "evaluated_episodes": 8,
                "unsafe_share": 0.0 if place < 2 else 0.5,
                "mean_length": 400.0,
                "full_share": 0.96 if place else 0.2,
                "random_unsafe_share": 0.0,
                "random_length": 22.0,
            }
        )
    return rows


@pytest.mark.claim
def test_C15_and_its_mutants():
    judged = judge(find_claim("decisions.C15"), rows=made_rows())
    assert judged.as_expected, (judged.problem, judged.result, judged.mutants)
    assert judged.result.evidence["num_reached"] == 1
    assert "0.50 are unsafe" in judged.result.detail
    alone = [row for row in made_rows() if row["method"] == "upright-ppo"]
    assert judge(find_claim("decisions.C15"), rows=alone, mutants=False).seen == "refuted"


def texts(figure, path):
    content = save_svg(figure, path).read_text()
    return set(re.findall(r"<!-- (.*?) -->", content)) | set(re.findall(r">([^<>]+)</", content))


def test_the_picture_of_q_learning_shows_the_rows(learned, tmp_path):
    figure = q_learning_curves(learned, [])
    found = texts(figure, tmp_path / "q.svg")
    assert {"steps of learning", "steps above the optimum", "median"} <= found
    (axes,) = figure.axes
    median = next(line for line in axes.lines if line.get_label() == "median")
    assert list(median.get_xdata()) == [200_000, 1_000_000, 4_000_000]
    last = sorted(row["expected_steps"] for row in learned if row["num_steps"] == 4_000_000)[1]
    optimum = learned[0]["optimal_steps"]
    assert median.get_ydata()[-1] == max(last - optimum, 1e-4)


def test_the_picture_of_deep_learning_shows_the_rows(tmp_path):
    figure = deep_curves(made_rows(), [])
    found = texts(figure, tmp_path / "deep.svg")
    assert "PPO, upright only, seed 0: 50% unsafe, 400 steps" in found
    upper, lower = figure.axes
    assert upper.lines[0].get_xydata().tolist() == [[1.0, 20.0], [3.0, 200.0]]
    assert upper.get_legend() is None  # it stands below, where no curve is
    assert [bar.get_width() for bar in lower.patches] == [0.0, 0.0, 0.5]
    only = [row for row in made_rows() if row["method"] == "lexicographic-dqn"]
    assert len(deep_curves(only, []).axes[1].patches) == 1
