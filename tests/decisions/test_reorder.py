"""Tests of coset.decisions.processes.reorder: another numbering, the same process."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import ConfigError, DtypeError, RangeError, ShapeError
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.reorder import bandwidth, permute_states, reorder
from coset.decisions.solvers.solving import solve

RULES = ("reverse-cuthill-mckee", "breadth-first")


def grid(side, seed):
    """Return a grid walk in shuffled numbers: two objectives, a terminal corner, masked moves."""
    generator = torch.Generator().manual_seed(seed)
    num_states = side * side
    place = torch.randperm(num_states, generator=generator)
    row, column = torch.arange(num_states) // side, torch.arange(num_states) % side
    successor = torch.empty(num_states, 4, 2, dtype=torch.int32)
    for a, (up, right) in enumerate(((1, 0), (-1, 0), (0, 1), (0, -1))):
        there = (row + up).clamp(0, side - 1) * side + (column + right).clamp(0, side - 1)
        successor[place, a, 0] = place[there].int()
        successor[place, a, 1] = place.int()
    probability = torch.tensor([0.75, 0.25]).expand(num_states, 4, 2).clone()
    reward = torch.randn(num_states, 4, 1, 2, generator=generator, dtype=torch.float64)
    reward[..., 0] = reward[..., 0].round()
    multiplier = torch.full((num_states, 4, 2, 2, 2), 0.0, dtype=torch.float64)
    multiplier[..., 0, 0] = 0.7 + 0.2 * torch.rand(num_states, 4, 2, generator=generator)
    multiplier[..., 1, 1], multiplier[..., 1, 0] = 0.9, 0.3
    mask = torch.rand(num_states, 4, generator=generator) < 0.8
    mask[:, 0] = True
    terminal = torch.zeros(num_states, dtype=torch.bool)
    terminal[place[-1]] = True
    return MDP(successor, probability, reward, multiplier, mask=mask, terminal=terminal)


@pytest.mark.parametrize("rule", RULES)
def test_successors_come_near_and_solutions_are_permuted(rule):
    mdp = grid(9, seed=3)
    near, permutation = reorder(mdp, rule)
    assert bandwidth(near) <= 25 < bandwidth(mdp)
    assert torch.equal(permutation.sort().values, torch.arange(81))
    old, new = solve(mdp), solve(near)
    back = permutation.argsort()
    torch.testing.assert_close(new.value[back], old.value, atol=1e-7, rtol=0)
    assert torch.equal(new.tie_set[back], old.tie_set)
    assert torch.equal(new.policy[back], old.policy)


def test_any_permutation_of_the_states_permutes_the_solution():
    mdp = grid(5, seed=1)
    permutation = torch.randperm(25, generator=torch.Generator().manual_seed(2))
    moved = permute_states(mdp, permutation)
    back = permute_states(moved, permutation.argsort())
    for name in ("successor", "probability", "reward", "multiplier", "mask", "terminal"):
        assert torch.equal(getattr(back, name), getattr(mdp, name)), name
    assert int(moved.terminal.nonzero()) == int(
        (permutation == int(mdp.terminal.nonzero())).nonzero()
    )
    torch.testing.assert_close(solve(moved).value, solve(mdp).value[permutation], atol=1e-7, rtol=0)


def test_components_are_walked_one_after_the_other():
    """Two shuffled chains and a lonely state: each keeps its numbers together."""
    order = torch.randperm(41, generator=torch.Generator().manual_seed(0))
    successor = torch.empty(41, 1, 1, dtype=torch.int32)
    ends = {19: 19, 39: 39, 40: 40}
    for i in range(41):
        successor[order[i], 0, 0] = int(order[ends.get(i, i + 1)])
    ones = torch.ones(41, 1, 1)
    mdp = MDP(successor, ones, ones[..., 0], 0.5)
    for rule in RULES:
        near, permutation = reorder(mdp, rule)
        assert bandwidth(near) <= 2
        chain = order.argsort()[permutation] // 20
        assert int((chain.diff() != 0).sum()) == 2


@pytest.mark.parametrize("rule", RULES)
def test_components_one_state_and_padding(rule):
    apart = MDP([[[1]], [[0]], [[2]]], [[[1.0]]] * 3, [[1.0], [2.0], [3.0]], 0.5)
    near, permutation = reorder(apart, rule)
    assert sorted(permutation.tolist()) == [0, 1, 2]
    assert bandwidth(near) == 1
    alone = MDP([[[0]]], [[[1.0]]], [[1.0]], 0.5)
    same, permutation = reorder(alone, rule)
    assert permutation.tolist() == [0]
    assert bandwidth(same) == 0
    # A successor of probability 0 is no neighbor.
    padded = MDP([[[1, 3]], [[2, 0]], [[3, 0]], [[3, 0]]], [[[1.0, 0.0]]] * 4, [[1.0]] * 4, 0.5)
    assert bandwidth(padded) == 1


def test_bad_input_is_named():
    mdp = grid(3, seed=0)
    with pytest.raises(ConfigError, match="rule must be one of"):
        reorder(mdp, "alphabetical")
    with pytest.raises(ShapeError, match="each of the 9 states once"):
        permute_states(mdp, torch.arange(8))
    for wrong in ([0, 1, 2, 3, 4, 5, 6, 7, 7], [0, 1, 2, 3, 4, 5, 6, 7, 9], [-1, *range(8)]):
        with pytest.raises(RangeError, match="is missing"):
            permute_states(mdp, torch.tensor(wrong))


def test_a_permutation_holds_integers():
    with pytest.raises(DtypeError, match="integers"):
        permute_states(grid(3, 0), torch.arange(9) + 0.5)
    assert permute_states(grid(3, 0), list(range(9))).num_states == 9
