"""Constrained processes, and the orders of objectives."""

from __future__ import annotations

import math
from dataclasses import replace

import cvxpy
import numpy as np
import pytest
import torch

from coset.core.errors import (
    DomainError,
    NotConvergedError,
    RangeError,
    ShapeError,
    UnsupportedError,
)
from coset.core.results import Status
from coset.decisions.claims.lexicographic_mdps import coupled, single_bound
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.cmdp import solve_cmdp, start_distribution
from coset.decisions.solvers.evaluation import evaluate
from coset.decisions.solvers.orders import compare_orders, reorder_objectives
from coset.decisions.solvers.solving import solve


def _random(seed: int, states: int = 6, actions: int = 3, depth: int = 3) -> MDP:
    generator = torch.Generator().manual_seed(seed)
    successor = torch.randint(states, (states, actions, 3), generator=generator)
    probability = torch.rand(states, actions, 3, generator=generator, dtype=torch.float64)
    probability /= probability.sum(-1, keepdim=True)
    reward = torch.rand(states, actions, 1, depth, generator=generator, dtype=torch.float64)
    return MDP(successor, probability, reward, 0.9)


def _by_cvxpy(mdp: MDP, bounds, start: int) -> float:
    states, actions, _ = mdp.successor.shape
    x = cvxpy.Variable((states, actions), nonneg=True)
    flow = []
    weight = (mdp.probability * 0.9).numpy()
    for s in range(states):
        into = sum(
            x[int(p), int(a)] * float(weight[p, a, k])
            for p, a, k in np.argwhere(mdp.successor.numpy() == s)
        )
        flow.append(cvxpy.sum(x[s]) - into == (1.0 if s == start else 0.0))
    reward = mdp.expected_reward().numpy()
    earned = [cvxpy.sum(cvxpy.multiply(x, reward[..., i])) for i in range(reward.shape[-1])]
    problem = cvxpy.Problem(
        cvxpy.Maximize(earned[0]), flow + [earned[i] >= c for i, c in bounds.items()]
    )
    return float(problem.solve(solver=cvxpy.CLARABEL))


@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_is_the_one_of_another_solver(seed):
    mdp = _random(seed)
    free = solve_cmdp(mdp, {}, 0)
    bounds = {1: float(free.value[1]) + 0.2, 2: float(free.value[2]) + 0.1}
    found = solve_cmdp(mdp, bounds, 0, throw=False)
    if found.status is Status.INFEASIBLE:
        pytest.fail("the bounds were chosen to be met")
    assert float(found.value[0]) == pytest.approx(_by_cvxpy(mdp, bounds, 0), abs=1e-6)
    assert found.certificate.verify()
    assert "prices" in found.certificate.explain()
    # At most as many random states as there are constraints.
    assert 1 <= found.num_randomized <= 2
    value = evaluate(mdp, found.policy)[0]
    assert torch.allclose(value, found.value, rtol=0, atol=1e-6)
    assert all(float(value[i]) >= c - 1e-6 for i, c in bounds.items())


def test_without_constraints_it_is_the_scalar_optimum():
    mdp = _random(1, depth=1)
    found = solve_cmdp(mdp, {}, 2)
    assert float(found.value[0]) == pytest.approx(float(solve(mdp).value[2, 0]), abs=1e-7)
    assert found.num_randomized == 0
    assert found.prices == {}


def test_the_optimum_may_have_to_be_random():
    found = solve_cmdp(single_bound(), {1: -0.5}, 0)
    assert found.value.tolist() == pytest.approx([0.5, -0.5])
    assert found.policy[0].tolist() == pytest.approx([0.5, 0.5])
    assert found.prices[1] == pytest.approx(1.0)
    assert repr(found).startswith("CMDPSolution((0.5, -0.5), 1 randomized states")


def test_priorities_are_constraints_for_one_start_only():
    mdp = _random(2, depth=2)
    best = solve(mdp)
    for start in range(3):
        bound = float(best.value[start, 0]) - 1e-9
        found = solve_cmdp(mdp, {0: bound}, start, objective=1)
        assert torch.allclose(found.value, best.value[start], rtol=0, atol=1e-4)
    high = max(float(v) for v in best.value[:, 0])
    low = int(best.value[:, 0].argmin())
    with pytest.raises(NotConvergedError, match="relax one"):
        solve_cmdp(mdp, {0: high}, low, objective=1)


def test_a_distribution_of_starts():
    mdp = _random(3)
    shares = torch.tensor([0.5, 0.25, 0.25, 0.0, 0.0, 0.0])
    found = solve_cmdp(mdp, {1: 4.0}, shares)
    value = (shares.double()[:, None] * evaluate(mdp, found.policy)).sum(0)
    assert torch.allclose(value, found.value, rtol=0, atol=1e-6)


def test_a_wrong_price_is_noticed():
    found = solve_cmdp(single_bound(), {1: -0.5}, 0).certificate
    assert not replace(found, prices={1: 0.5}).verify()
    assert not replace(found, occupancy=found.occupancy * 1.01).verify()
    assert not replace(found, potential=found.potential - 0.1).verify()


def test_constraints_that_cannot_be_met():
    found = solve_cmdp(single_bound(), {1: 1.0}, 0, throw=False)
    assert found.status is Status.INFEASIBLE
    assert repr(found) == "CMDPSolution(infeasible)"


@pytest.mark.parametrize(
    ("constraints", "start", "error"),
    [
        ({1: math.nan}, 0, DomainError),
        ({0: 1.0}, 0, DomainError),
        ({5: 1.0}, 0, RangeError),
        ({-1: 1.0}, 0, RangeError),
        ({}, 6, RangeError),
        ({}, -1, RangeError),
        ({}, [0.5, 0.5], ShapeError),
        ({}, [0.5] * 6, DomainError),
        ({}, [-1.0, 2.0, 0.0, 0.0, 0.0, 0.0], DomainError),
    ],
)
def test_wrong_input_is_refused(constraints, start, error):
    with pytest.raises(error):
        solve_cmdp(_random(0), constraints, start)


def test_processes_without_one_occupancy_are_refused():
    mdp = _random(0, depth=2)
    apart = MDP(mdp.successor, mdp.probability, mdp.reward, torch.tensor([0.9, 0.5]))
    with pytest.raises(UnsupportedError, match="one multiplier"):
        solve_cmdp(apart, {1: 0.0}, 0)
    tied = MDP(mdp.successor, mdp.probability, mdp.reward, torch.tensor([[0.9, 0.0], [1.0, 0.9]]))
    with pytest.raises(UnsupportedError, match="diagonal"):
        solve_cmdp(tied, {1: 0.0}, 0)
    endless = MDP(mdp.successor, mdp.probability, mdp.reward)
    with pytest.raises(NotTransientError):
        solve_cmdp(endless, {1: 0.0}, 0)


def test_starts_are_states_or_shares():
    mdp = _random(0)
    assert start_distribution(mdp, 2).tolist() == [0, 0, 1, 0, 0, 0]
    with pytest.raises(RangeError):
        start_distribution(mdp, 7)


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_each_order_is_solved_on_its_own(seed):
    mdp = _random(seed)
    found = compare_orders(mdp, 0)
    assert len(found.orders) == 6
    assert found.orders[0] == (0, 1, 2)
    for row, order in enumerate(found.orders):
        alone = solve(
            MDP(mdp.successor, mdp.probability, mdp.reward[..., list(order)], mdp.multiplier)
        )
        assert found.value[row, list(order)].tolist() == alone.value[0].tolist()
        assert torch.equal(found.tie_sets[row], alone.tie_set)
    # The first priority's value is the best that any order reaches.
    for row, order in enumerate(found.orders):
        assert float(found.value[row, order[0]]) >= float(found.value[:, order[0]].max()) - 1e-7
    assert (found.differing == found.differing.T).all()
    assert (found.differing.diagonal() == 0).all()
    assert len(found.table().splitlines()) == 6


def test_orders_that_cannot_be_are_listed_with_the_reason():
    found = compare_orders(coupled(3).to_mdp(), 0)
    assert found.orders == ((0, 1),)
    assert list(found.refused) == ["2 > 1"]
    assert "cannot come before" in found.refused["2 > 1"]
    assert "cannot come before" in found.table(["first", "second"])


def test_reordering_keeps_what_belongs_together():
    mdp = _random(0, depth=2)
    apart = MDP(mdp.successor, mdp.probability, mdp.reward, torch.tensor([0.9, 0.5]))
    turned = reorder_objectives(apart, (1, 0))
    assert turned.multiplier.flatten().tolist() == pytest.approx([0.5, 0.9])
    assert torch.equal(turned.reward[..., 0], mdp.reward[..., 1])
    back = reorder_objectives(turned, (1, 0))
    assert torch.equal(back.reward, apart.reward)
    with pytest.raises(UnsupportedError, match="once"):
        reorder_objectives(apart, (0, 0))


def test_too_many_objectives_are_refused():
    with pytest.raises(UnsupportedError, match="at most 5"):
        compare_orders(_random(0, depth=6), 0)


def test_an_order_without_a_value_is_an_error_only_if_it_is_the_given_one():
    # Undiscounted, and no policy ends: the second objective has no finite value.
    reward = torch.tensor([[[[0.0, -1.0]]]], dtype=torch.float64)
    mdp = MDP([[[0]]], [[[1.0]]], reward)
    with pytest.raises(NotTransientError):
        compare_orders(mdp, 0)
