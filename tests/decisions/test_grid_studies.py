"""The lake and the cliff: rows of the experiments, their figures, and the claims on them."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from coset.core.claims import find_claim
from coset.core.errors import ConfigError
from coset.core.judging import judge
from coset.decisions.claims import penalties  # registers the claims
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.experiments.cliff import CliffConfig, cliff, least_penalty
from coset.decisions.experiments.frozen_lake import FrozenLakeConfig, frozen_lake
from coset.decisions.processes.objectives import objectives, weighted_sum
from coset.lab.context import RunContext


def rows_of(function, config, folder):
    run = RunContext(f"decisions.{function.__name__}", config, folder)
    return list(function(config, run))


@pytest.fixture(scope="module")
def lake_rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    maps = ("4x4", "8x8")
    return [r for m in maps for r in rows_of(frozen_lake, FrozenLakeConfig(map=m), folder)]


@pytest.fixture(scope="module")
def cliff_rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cliff")
    config = {"penalties": (3.0, 10.0, 100.0, 1000.0)}
    lengths = (1, 10, 300)
    return [r for n in lengths for r in rows_of(cliff, CliffConfig(length=n, **config), folder)]


def swept(mdp, tolerance=1e-9):
    """Solve objective by objective with plain sweeps from 0: slow, and another way to the same."""
    allowed, values = mdp.allowed, []
    for k in range(mdp.num_objectives):
        level = mdp.level(k, torch.stack(values, -1) if values else None, allowed)
        value = torch.zeros(mdp.num_states, dtype=torch.float64)
        for _ in range(50_000):
            after = level.backup(value)
            done = float((after - value).abs().max()) < 1e-13
            value = after
            if done:
                break
        allowed = allowed & (level.action_values(value) >= value[:, None] - tolerance)
        values.append(value)
    return torch.stack(values, -1), allowed


def test_rows_say_what_plain_sweeps_find(lake_rows, cliff_rows):
    model = cliff_walk(10)
    start = model.start_state
    for names, agent in (("goal,steps", "goal > steps"), ("safety,steps", "safety > steps")):
        value, _ = swept(objectives(model, names))
        row = next(r for r in cliff_rows if (r["length"], r["agent"]) == (10, agent))
        assert [row["value_1"], row["value_2"]] == pytest.approx(value[start].tolist(), abs=1e-7)
    for penalty in (3.0, 10.0, 100.0):
        value, _ = swept(weighted_sum(model, {"steps": 1, "safety": penalty}))
        row = next(r for r in cliff_rows if (r["length"], r["penalty"]) == (10, penalty))
        assert row["value_1"] == pytest.approx(float(value[start, 0]), abs=1e-7)


def test_a_cell_row_tells_values_ties_and_chances(lake_rows):
    cells = {
        (r["row"], r["column"]): r
        for r in lake_rows
        if r["kind"] == "cell" and (r["map"], r["agent"]) == ("4x4", "goal > steps")
    }
    assert len(cells) == 16
    assert [cells[0, c]["arrow"] for c in range(4)] == ["←", "↑", "↑", "↑"]
    hole = cells[1, 1]
    assert (hole["letter"], hole["arrow"], hole["arrows"], hole["value_1"]) == ("H", "", "", 0)
    # Between the two holes both ways around are equally good.
    assert set(cells[1, 2]["arrows"]) == {"←", "→"}
    for cell in cells.values():
        assert set(cell["arrows"]) <= set(cell["first_arrows"])
        assert cell["goal_chance"] == pytest.approx(
            cell["value_1"] if cell["letter"] in "SF" else 0
        )
    assert cells[0, 0]["expected_steps"] == pytest.approx(48.705882, abs=5e-7)


def test_safety_first_may_wait_for_ever(lake_rows):
    row = next(r for r in lake_rows if r["kind"] == "policy" and r["agent"].startswith("safety"))
    assert row["expected_steps"] is None
    assert (row["goal_chance"], row["danger_chance"]) == (0, 0)
    assert row["policy"].split(",")[0] == "3"


def test_a_random_lake_is_the_same_again_and_solvable(tmp_path):
    config = FrozenLakeConfig(map="random", size=6, seed=3, gammas=(0.9,))
    first, second = (rows_of(frozen_lake, config, tmp_path) for _ in range(2))
    assert first == second
    assert len([r for r in first if r["kind"] == "cell"]) == 3 * 36
    best = {r["agent"]: r["goal_chance"] for r in first if r["kind"] == "policy"}
    assert best["goal > steps"] >= best["goal@0.9"] > 0


@pytest.mark.parametrize(
    ("function", "config", "words"),
    [
        (frozen_lake, FrozenLakeConfig(success_rate=0.0), "success_rate"),
        (frozen_lake, FrozenLakeConfig(gammas=(1.0,)), "gammas"),
        (frozen_lake, FrozenLakeConfig(map="random", size=1), "size must be"),
        (frozen_lake, FrozenLakeConfig(map="random", frozen=0.1), "frozen in"),
        (cliff, CliffConfig(penalties=()), "penalties"),
        (cliff, CliffConfig(penalties=(math.inf,)), "penalties"),
    ],
)
def test_impossible_settings_are_refused(function, config, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        rows_of(function, config, tmp_path)


def test_the_least_penalty_is_the_safe_time_itself():
    """At the start a fall and a step that stays are then worth the same."""
    for length in (1, 4):
        model = cliff_walk(length)
        value, _ = swept(objectives(model, "goal,steps"))
        safe = -float(value[model.start_state, 1])
        assert least_penalty(model, safe) == pytest.approx(safe, rel=1e-9)
    # On firm ground the fall itself takes one step: n + 3 − 1.
    firm = cliff_walk(5, slippery=False)
    assert least_penalty(firm, 8.0) == pytest.approx(7.0)


def test_no_penalty_is_needed_where_a_fall_is_no_shortcut():
    model = cliff_walk(1, num_rows=2, slippery=False)
    assert least_penalty(model, 4.0) == pytest.approx(3.0)
    assert least_penalty(model, 1.0) == 0.0


@pytest.mark.parametrize("id", ["decisions.C16", "decisions.C10b", "decisions.C16b"])
def test_the_claims_hold_and_their_mutants_do_not(id, lake_rows, cliff_rows):
    rows = lake_rows if id == "decisions.C16" else cliff_rows
    judged = judge(find_claim(id), rows=copy.deepcopy(rows))
    assert getattr(penalties, id.partition(".")[2]).__name__ in id
    assert judged.as_expected, (judged.problem, judged.result, judged.mutants)
    assert len(judged.mutants) >= 3


def verdict(id, rows):
    return judge(find_claim(id), rows=rows, mutants=False).seen


def test_a_lake_without_an_agent_shows_nothing(lake_rows):
    kept = [r for r in lake_rows if r["agent"] != "goal@0.99"]
    assert verdict("decisions.C16", kept) == "refuted"


def test_one_cliff_shows_nothing_about_all(cliff_rows):
    for kept in ((300,), (1, 10)):  # one threshold; and 1000 works on both short ones
        rows = [r for r in cliff_rows if r["length"] in kept]
        assert verdict("decisions.C10b", rows) == "refuted"
    assert verdict("decisions.C16b", [r for r in cliff_rows if r["length"] != 10]) == "refuted"
