"""Chances and times of policies, against hand-made chains and a simulation by matrix powers."""

from __future__ import annotations

import math

import gymnasium
import pytest
import torch

from coset.core.errors import DomainError, ShapeError
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.envs.toy_text import from_toy_text
from coset.decisions.processes.policy_outcome import policy_outcome

# Safest, then quickest, on the slippery 4 × 4 lake.
BEST_4X4 = [0, 3, 3, 3, 0, -1, 0, -1, 3, 1, 0, -1, -1, 2, 1, -1]


@pytest.fixture(scope="module")
def lake():
    return from_toy_text(gymnasium.make("FrozenLake-v1"))


def by_powers(model, policy, steps=40_000):
    """Follow the distribution of states step by step: (goal, danger, steps) from the start."""
    now, goal, danger, expected = model.start.clone(), 0.0, 0.0, 0.0
    live = (~model.terminal).nonzero()[:, 0]
    chosen = torch.as_tensor(policy)[live]
    chance = model.probability[live, chosen]
    after = model.successor[live, chosen].long()
    for _ in range(steps):
        moved = now[live][:, None] * chance
        expected += float(moved.sum())
        goal += float(moved[model.goal[live, chosen]].sum())
        danger += float(moved[model.unsafe[live, chosen]].sum())
        now = torch.zeros_like(now).index_add(0, after.flatten(), moved.flatten())
        now[model.terminal] = 0
    return goal, danger, expected


def test_the_safest_way_over_the_lake(lake):
    found = policy_outcome(lake, torch.tensor(BEST_4X4))
    assert found.goal_chance == pytest.approx(14 / 17, abs=1e-13)
    assert found.danger_chance == pytest.approx(3 / 17, abs=1e-13)
    assert found.expected_steps == pytest.approx(48.705882, abs=5e-7)
    powers = by_powers(lake, BEST_4X4, 3000)
    assert powers == pytest.approx(
        (found.goal_chance, found.danger_chance, found.expected_steps), abs=1e-9
    )


def test_random_policies_agree_with_powers(lake):
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        policy = torch.randint(4, (16,), generator=generator)
        found = policy_outcome(lake, policy)
        goal, danger, steps = by_powers(lake, policy, 2000)
        assert found.goal_chance == pytest.approx(goal, abs=1e-9)
        assert found.danger_chance == pytest.approx(danger, abs=1e-9)
        if math.isfinite(found.expected_steps):
            assert found.expected_steps == pytest.approx(steps, abs=1e-6)
        else:
            assert steps > 1  # still under way


def test_one_may_hide_for_ever(lake):
    hide = torch.tensor([3, 3, 3, 3, *BEST_4X4[4:]])
    found = policy_outcome(lake, hide)
    assert found.goal_chance == found.danger_chance == 0
    assert found.expected_steps == math.inf
    assert found.goal[14] > 0.5  # elsewhere it is the same policy
    assert found.goal[15] == found.steps[15] == 0


def test_chances_of_actions_are_mixed(lake):
    one_hot = torch.zeros(16, 4, dtype=torch.float64)
    live = ~lake.terminal
    one_hot[live, torch.tensor(BEST_4X4)[live]] = 1
    same = policy_outcome(lake, one_hot)
    assert same.goal_chance == pytest.approx(14 / 17, abs=1e-13)
    cliff = cliff_walk(1, num_rows=2, slippery=False)
    mixed = torch.zeros(6, 4, dtype=torch.float64)
    mixed[:4] = torch.tensor([[0.0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0.5, 0.5, 0, 0]])
    found = policy_outcome(cliff, mixed)  # half falls at once, half walks into the cliff
    assert found.danger_chance == pytest.approx(1, abs=1e-15)
    assert found.expected_steps == pytest.approx(0.5 * 1 + 0.5 * 3)


def test_falls_that_send_back_are_chances_to_fall_at_least_once():
    env = gymnasium.make("CliffWalking-v1")
    model = from_toy_text(env)
    policy = torch.ones(48, dtype=torch.int64)  # right for ever: always off the cliff
    found = policy_outcome(model, policy)
    assert found.danger_chance == 1
    assert found.goal_chance == 0
    assert found.expected_steps == math.inf


@pytest.mark.parametrize(
    ("policy", "error", "words"),
    [
        (torch.zeros(15, dtype=torch.int64), ShapeError, r"whole numbers \(16,\)"),
        (torch.zeros(16), ShapeError, "float32"),
        (torch.zeros(16, 3), ShapeError, "chances"),
        (torch.full((16,), 4), DomainError, "at 0 .row 0, column 0. it gives 4"),
        (torch.full((16,), -1), DomainError, "an action that exists"),
        (torch.full((16, 4), 0.5), DomainError, "sum to 1"),
        (torch.full((16, 4), math.nan), DomainError, "sum to 1"),
    ],
)
def test_what_is_no_policy_is_refused(lake, policy, error, words):
    with pytest.raises(error, match=words):
        policy_outcome(lake, policy)
