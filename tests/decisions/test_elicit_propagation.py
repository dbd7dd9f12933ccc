"""From intervals to decisions: processes of events, and the chances of actions."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.decisions import elicit
from coset.decisions.preferences.models import (
    AffineModel,
)
from coset.decisions.processes.mdp import MDP


def two_doors(reward, multiplier):
    """One state; a leads to an end worth r(a), b to one worth r(b)."""
    return MDP(
        torch.tensor([[[1], [1]], [[1], [1]]], dtype=torch.int32),
        torch.ones(2, 2, 1, dtype=torch.float64),
        torch.tensor([[reward["a"], reward["b"]], [0.0, 0.0]], dtype=torch.float64),
        terminal=torch.tensor([False, True]),
    )


class Answer:
    def __init__(self, tie_set):
        self.tie_set = tie_set


def best_door(process):
    reward = process.expected_reward(0)
    ties = reward == reward.max(1, keepdim=True).values
    ties[1] = False
    return Answer(ties)


def test_chances_of_actions_follow_the_overlap_of_intervals(generator):
    found = elicit.AffineReward(
        reward={"a": 0.5, "b": 0.5},
        multiplier={"a": 0, "b": 0},
        reward_interval={"a": (0.0, 1.0), "b": (0.5, 0.5)},
        multiplier_interval={"a": (0, 0), "b": (0, 0)},
        num_queries=0,
        exact=False,
        unit="",
    )
    chances = elicit.action_chances(found, two_doors, 400, solver=best_door, generator=generator)
    assert abs(float(chances.chance[0, 0]) - 0.5) < 0.13  # 5 standard errors
    assert float(chances.chance[0].sum()) == 1
    assert chances.policy[1] == -1
    assert chances.undecided.tolist() == [0]
    assert torch.equal(chances.chance, chances.alone)


def test_certain_numbers_make_certain_actions(generator):
    person = AffineModel({"a": 2, "b": 1}, {"a": 0, "b": 0})
    found = elicit.affine(person, ["a", "b"], "b", max_denominator=9)
    chances = elicit.action_chances(found, two_doors, 5, generator=generator)
    assert chances.chance[0].tolist() == [1, 0]
    assert chances.undecided.tolist() == []
    assert chances.num_failed == 0


def test_chances_refuse_wrong_use():
    person = AffineModel({"a": 2, "b": 1}, {"a": 0, "b": 0})
    found = elicit.affine(person, ["a", "b"], "b", max_denominator=9)
    with pytest.raises(DomainError, match="num_samples"):
        elicit.action_chances(found, two_doors, 0)
    with pytest.raises(DtypeError, match="function to an MDP"):
        elicit.action_chances(found, None, 3)
    sizes = iter([1, 2])

    def odd(process):
        return Answer(torch.ones(next(sizes), 2, dtype=torch.bool))

    with pytest.raises(ShapeError, match="one size"):
        elicit.action_chances(found, two_doors, 2, solver=odd)


def walk_or_go(reward, multiplier):
    """State 0: walk on the spot, or go home, where all ends."""
    return elicit.event_process(AffineModel(reward, multiplier), ["walk", "home"], **WALK)


WALK = {
    "event": torch.tensor([[[0], [1]], [[0], [0]]]),
    "successor": torch.tensor([[[0], [1]], [[1], [1]]]),
    "probability": torch.ones(2, 2, 1),
    "terminal": torch.tensor([False, True]),
}


def test_multipliers_below_0_are_counted_as_failed(generator):
    # What noisy answers leave of m(home) = 0.
    found = elicit.AffineReward(
        reward={"walk": -1, "home": 5},
        multiplier={"walk": 0.9, "home": 0},
        reward_interval={"walk": (-1, -1), "home": (5, 5)},
        multiplier_interval={"walk": (0.8, 0.95), "home": (-0.05, 0.05)},
        num_queries=0,
        exact=False,
        unit="",
    )
    chances = elicit.action_chances(found, walk_or_go, 60, generator=generator)
    assert 10 < chances.num_failed < 50  # 30 ± 5 standard deviations
    assert chances.chance[0].tolist() == [0, 1]
    assert repr(chances).startswith("ActionChances(2 states, 2 actions, 0 states undecided in 60")
    with pytest.raises(DtypeError, match="must be an AffineReward"):
        elicit.action_chances(None, walk_or_go)


def test_a_process_of_events_has_their_numbers():
    process = walk_or_go({"walk": -1, "home": 5}, {"walk": "1/2", "home": 0})
    assert process.expected_reward(0)[0].tolist() == [-1, 5]
    assert process.entry(0, 0)[0, :, 0].tolist() == [0.5, 0]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"event": torch.tensor([[[0.5], [1]], [[0], [0]]])}, DtypeError, "hold integers"),
        ({"event": WALK["event"].bool()}, DtypeError, "hold integers"),
        ({"event": WALK["event"] + 1}, RangeError, "state 0, action 1, transition 0"),
        ({"event": [[0], [1, 2]]}, ShapeError, "event must be a tensor"),
        ({"event": torch.zeros(2, 2, dtype=torch.int64)}, ShapeError, "shape of successor"),
        ({"names": ["walk", "fly"]}, DomainError, "'fly' is not among"),
        ({"names": []}, DomainError, "at least one event"),
        ({"names": None}, DtypeError, "must be a list"),
        ({"model": None}, DtypeError, r"take \.model\(\)"),
    ],
)
def test_a_process_of_events_refuses_wrong_use(change, error, words):
    person = AffineModel({"walk": -1, "home": 5}, {"walk": "1/2", "home": 0})
    with pytest.raises(error, match=words):
        elicit.event_process(**{"model": person, "names": ["walk", "home"], **WALK, **change})
