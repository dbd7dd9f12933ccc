"""Negative multipliers: the doubled process, against all policies that see the past."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import DomainError, ShapeError
from coset.decisions.claims.affine import history_returns, layered
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.evaluation import evaluate
from coset.decisions.solvers.policy_iteration import greedy_policy
from coset.decisions.solvers.scalar import solve_level
from coset.decisions.solvers.signed import signed


def test_a_reversal_turns_the_best_into_the_worst():
    # 0 reverses what follows; 1 ends with 1 or with 3.
    mdp = MDP(
        [[[1], [1]], [[2], [2]], [[2], [2]]],
        torch.ones(3, 2, 1),
        [[0.0, 0.0], [1.0, 3.0], [0.0, 0.0]],
        torch.tensor([[[-1.0]] * 2, [[1.0]] * 2, [[1.0]] * 2]),
        terminal=[False, False, True],
    )
    doubled = signed(mdp)
    level = doubled.mdp.level(0)
    value = solve_level(level).value
    plus, minus = doubled.values(value)
    assert plus.tolist() == pytest.approx([-1.0, 3.0, 0.0])
    assert minus.tolist() == pytest.approx([-3.0, 1.0, 0.0])
    policy = doubled.policy(greedy_policy(level, value))
    # What is done at 1 depends on whether 0 lies behind: no policy on states alone is best.
    assert policy[1].tolist() == [1, 0]
    assert policy[2].tolist() == [-1, -1]
    assert evaluate(mdp, [0, 0, -1])[0].item() == pytest.approx(-1.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_doubled_policy_attains_the_best_of_all_pasts(seed):
    mdp = layered(torch.Generator().manual_seed(seed), 3, (-1.0, -0.5, 0.5, 1.0))
    doubled = signed(mdp)
    level = doubled.mdp.level(0)
    value = solve_level(level).value
    attained = evaluate(doubled.mdp, greedy_policy(level, value)).flatten()
    torch.testing.assert_close(attained, value)
    plus, minus = doubled.values(value)
    for state in (0, 1):
        returns = history_returns(mdp, state)
        assert float(plus[state]) == pytest.approx(float(max(returns)))
        assert float(minus[state]) == pytest.approx(float(min(returns)))


def test_positive_multipliers_stay_as_they_are():
    mdp = layered(torch.Generator().manual_seed(0), 3, (0.5, 1.0))
    doubled = signed(mdp)
    plain = solve_level(mdp.level(0)).value
    torch.testing.assert_close(doubled.values(solve_level(doubled.mdp.level(0)).value)[0], plain)
    assert doubled.num_states == mdp.num_states


def test_one_discount_for_all_is_kept_as_one_number():
    doubled = signed(MDP([[[0]]], [[[1.0]]], [[1.0]], -0.5))
    assert doubled.mdp.multiplier.numel() == 1
    plus, _ = doubled.values(solve_level(doubled.mdp.level(0)).value)
    assert float(plus) == pytest.approx(1 / 1.5)


def test_what_is_refused():
    with pytest.raises(DomainError, match="one objective; given 2"):
        signed(MDP([[[0]]], [[[1.0]]], [[[[1.0, 2.0]]]], 0.5))
    doubled = signed(MDP([[[0]]], [[[1.0]]], [[1.0]], -0.5))
    with pytest.raises(ShapeError, match="state and sign, 2"):
        doubled.policy(torch.zeros(3))
