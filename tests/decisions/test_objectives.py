"""Objectives by name become the rewards and multipliers that the theorems ask for."""

from __future__ import annotations

import math

import gymnasium
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, UnknownNameError
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.envs.toy_text import from_toy_text
from coset.decisions.processes.objectives import (
    OBJECTIVES,
    objectives,
    parse_objectives,
    weighted_sum,
)


@pytest.fixture(scope="module")
def lake():
    return from_toy_text(gymnasium.make("FrozenLake-v1"))


def test_names_and_discounts_are_read():
    found = parse_objectives(" safety, goal@0.9 ,steps", 0.5)
    assert [(o.name, o.discount) for o in found] == [("safety", 1), ("goal", 0.9), ("steps", 0.5)]
    assert parse_objectives(["reward"])[0].discount == 1


@pytest.mark.parametrize(
    ("names", "gamma", "error", "words"),
    [
        ("", 1.0, DomainError, "at least one objective"),
        ([], 1.0, DomainError, "at least one objective"),
        ("goal,goal@0.5", 1.0, DomainError, "there twice"),
        ("goals", 1.0, UnknownNameError, "did you mean goal"),
        ("goal@", 1.5, DomainError, r"in \[0, 1\]"),
        ("goal@", 0.5, DomainError, r"in \[0, 1\]"),
        ("goal@x", 1.0, DomainError, r"in \[0, 1\]"),
        ("goal@nan", 1.0, DomainError, r"in \[0, 1\]"),
        ("goal", -0.1, DomainError, r"in \[0, 1\]"),
        ("goal", math.nan, DomainError, r"in \[0, 1\]"),
        ("safety@0.9", 1.0, DomainError, "must not be discounted"),
        ([3], 1.0, DtypeError, "must be names"),
    ],
)
def test_other_objectives_are_refused(names, gamma, error, words):
    with pytest.raises(error, match=words):
        parse_objectives(names, gamma)


def test_each_name_pays_what_it_says(lake):
    mdp = objectives(lake, list(OBJECTIVES), gamma=0.9)
    assert mdp.num_objectives == 4
    place = (14, 2)  # right, beside the goal: stays, goal, up
    assert mdp.reward[place].tolist() == [
        [0.0, 0.0, -1.0, 0.0],
        [0.0, 1.0, -1.0, 1.0],
        [0.0, 0.0, -1.0, 0.0],
    ]
    hole = (lake.successor[4, 2] == 5).nonzero().item()
    assert mdp.reward[4, 2, hole].tolist() == [-1.0, 0.0, -1.0, 0.0]
    assert [float(mdp.entry(k, k)) for k in range(4)] == [1.0, 0.9, 0.9, 0.9]
    assert not mdp.has_matrix


def test_unsafe_trajectories_earn_nothing_by_the_corner_of_the_multiplier():
    cliff = cliff_walk(3)
    mdp = objectives(cliff, "safety,steps", gamma=0.5, unsafe_earns_nothing=True)
    assert mdp.has_matrix
    falls = cliff.unsafe
    real = (cliff.probability > 0) & ~falls
    assert bool((mdp.entry(1, 0)[real] == -1).all())
    assert bool((mdp.reward[..., 1][falls] == 0).all())
    assert bool((mdp.reward[..., 0][falls] == -1).all())
    # u = (u₁, (1 + u₁) r + γ u₂): one step, then a fall, is worth (−1, 0); a goal (0, −1.5).
    for after, worth in (((-1.0, 0.0), (-1.0, 0.0)), ((0.0, -1.0), (0.0, -1.5))):
        state = (real & ~cliff.ended).nonzero()[0]
        reward, gamma = mdp.reward[tuple(state)], mdp.multiplier[tuple(state)]
        assert (reward + gamma @ torch.tensor(after).double()).tolist() == list(worth)


def test_safety_needs_episodes_that_end_in_danger():
    env = gymnasium.make("CliffWalking-v1")
    with pytest.raises(DomainError, match="unsafe_ends=True"):
        objectives(from_toy_text(env), "safety,steps")
    assert objectives(from_toy_text(env, unsafe_ends=True), "safety,steps").num_objectives == 2
    assert objectives(from_toy_text(env), "goal,steps").num_objectives == 2
    with pytest.raises(DomainError, match="safety must be the first"):
        objectives(cliff_walk(2), "goal,safety", unsafe_earns_nothing=True)


def test_a_weighted_sum_is_one_number():
    cliff = cliff_walk(2, slippery=False)
    mdp = weighted_sum(cliff, {"steps": 1.0, "safety": 10.0}, gamma=0.9)
    assert mdp.num_objectives == 1
    start = cliff.start_state
    assert float(mdp.reward[start, 1, 0, 0]) == -11  # right, off the cliff
    assert float(mdp.reward[start, 0, 0, 0]) == -1
    assert float(mdp.entry(0, 0)) == 0.9


@pytest.mark.parametrize(
    ("weights", "gamma", "error"),
    [
        ({}, 1.0, DomainError),
        ({"steps": math.inf}, 1.0, DomainError),
        ({"steps": 1.0}, 1.1, DomainError),
        ({"penalty": 1.0}, 1.0, UnknownNameError),
    ],
)
def test_impossible_sums_are_refused(lake, weights, gamma, error):
    with pytest.raises(error):
        weighted_sum(lake, weights, gamma=gamma)
