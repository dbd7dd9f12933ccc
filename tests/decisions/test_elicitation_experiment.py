"""The experiment of elicitation: its rows, the policy at the end, the pictures, what it refuses."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from coset.core.errors import ConfigError
from coset.decisions.experiments.elicitation import ElicitationConfig, elicitation
from coset.decisions.figures.elicitation import elicitation_curves, elicitation_intervals
from coset.lab.context import RunContext
from coset.lab.experiments import find_experiment, points

SMALL = ElicitationConfig(num_people=2, tol=0.2, num_samples=4)


def rows_of(tmp_path, **change):
    config = replace(SMALL, **change)
    return list(elicitation(config, RunContext("decisions.elicitation", config, tmp_path)))


def one(rows, kind):
    (row,) = (r for r in rows if r["kind"] == kind)
    return row


@pytest.mark.parametrize("method", ["bisection", "stern-brocot"])
def test_exact_answers_give_the_right_policy(tmp_path, method):
    rows = rows_of(tmp_path, method=method)
    people = one(rows, "people")
    assert people["num_held"] == people["num_numbers"] == 10  # the unit is not asked about
    assert (people["num_exact"] == 10) == (method == "stern-brocot")
    cliff = one(rows, "cliff")
    assert cliff["person"] == "safety-first"
    assert cliff["agrees"] == cliff["num_states"] == 37
    assert round(cliff["expected_steps"], 4) == 64.7092
    assert abs(cliff["goal_chance"] - 1) < 1e-12
    assert cliff["num_queries"] < 100
    assert cliff["num_unsure"] is None


@pytest.mark.parametrize("method", ["trisection", "adaptive"])
def test_noisy_answers_say_where_they_leave_the_policy_open(tmp_path, method):
    rows = rows_of(tmp_path, method=method, slope=0.05, num_samples=40)
    people = one(rows, "people")
    assert people["num_held"] >= people["num_numbers"] - (method == "adaptive")
    cliff = one(rows, "cliff")
    assert cliff["person"] == "penalty"
    assert 30 <= cliff["agrees"] <= cliff["num_states"]
    # Where the policy taken is not the right one, the intervals must not have been sure of it.
    assert cliff["num_states"] - cliff["agrees"] <= cliff["num_unsure"]
    assert 0 < cliff["least_chance"] <= 1
    assert cliff["num_failed"] < 40  # a multiplier drawn above 1 may leave no finite value


def test_curves_fall_and_intervals_nest(tmp_path):
    rows = rows_of(tmp_path, method="bisection", tol=1e-3)
    curve = [r for r in rows if r["kind"] == "curve"]
    widths = [r["median_width"] for r in curve]
    assert widths == sorted(widths, reverse=True)
    assert all(r["median_error"] <= r["worst_error"] for r in curve)
    assert curve[-1]["worst_error"] < 1e-3
    steps = [r for r in rows if r["kind"] == "interval" and r["number"] == "m(step)"]
    for before, after in itertools.pairwise(steps):
        assert before["low"] <= after["low"] <= after["high"] <= before["high"]
        assert before["queries"] < after["queries"]
    assert steps[-1]["low"] <= 0.9 / 1.9 <= steps[-1]["high"]


def test_the_same_people_for_every_method_and_the_same_rows_again(tmp_path):
    assert rows_of(tmp_path / "a") == rows_of(tmp_path / "b")
    one_seed, other = (one(rows_of(tmp_path / str(s), seed=s), "people") for s in (0, 1))
    assert one_seed["seed"] != other["seed"]


def test_pictures_are_drawn_from_rows(tmp_path):
    rows = rows_of(tmp_path / "a") + rows_of(tmp_path / "b", method="trisection", slope=0.05)
    curves = elicitation_curves(rows, [])
    (axes,) = curves.axes
    assert len(axes.lines) == 2
    assert axes.get_xscale() == axes.get_yscale() == "log"
    twice = elicitation_curves(rows + rows, [])  # a grid over the noise repeats exact answers
    for line, again in zip(axes.lines, twice.axes[0].lines, strict=True):
        assert line.get_xydata().tolist() == again.get_xydata().tolist()
    intervals = elicitation_intervals(rows, [])
    assert isinstance(intervals, Figure)
    assert [a.get_title().split(",")[0] for a in intervals.axes] == ["bisection", "trisection"]


@pytest.mark.parametrize(
    "change",
    [
        {"num_people": 0},
        {"num_samples": 0},
        {"discount": 1.0},
        {"penalty": -1.0},
        {"method": "trisection", "slope": 0.0},
    ],
)
def test_impossible_settings_are_refused(tmp_path, change):
    with pytest.raises(ConfigError):
        rows_of(tmp_path, **change)


def test_presets_grow():
    item = find_experiment("decisions.elicitation", "coset.decisions.experiments.elicitation")
    sizes = [len(points(item, preset)) for preset in ("smoke", "cpu", "paper")]
    assert sizes == [4, 12, 36]
