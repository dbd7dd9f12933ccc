"""Exponential utility: known numbers, both forms compared, losses too large for floats."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.decisions.level_cases import tensor

from coset.core.errors import DomainError
from coset.core.results import Status
from coset.decisions.claims.affine import layered
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.evaluation import evaluate
from coset.decisions.solvers.risk import (
    certainty_equivalent,
    exponential_utility,
    risk_sensitive,
    solve_risk_sensitive,
)
from coset.decisions.solvers.scalar import solve_level


def gamble(win: float = 2.0, lose: float = -1.0) -> MDP:
    return MDP(
        [[[1, 1]], [[1, 1]]],
        [[[0.5, 0.5]], [[1.0, 0.0]]],
        [[[win, lose]], [[0.0, 0.0]]],
        terminal=[False, True],
    )


def leaking(seed: int, losses: bool, size: int = 5) -> MDP:
    """Return a process that may end at each step."""
    generator = torch.Generator().manual_seed(seed)
    shape = (size, 2, 3)
    successor = torch.randint(0, size, shape, generator=generator)
    successor[:, :, 0] = size - 1
    probability = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.2
    reward = torch.randn(shape, generator=generator, dtype=torch.float64) / 2
    return MDP(
        successor,
        probability / probability.sum(-1, keepdim=True),
        -reward.abs() if losses else reward,
        terminal=torch.arange(size) == size - 1,
    )


def test_known_numbers():
    half = math.log(2)
    assert float(
        certainty_equivalent(exponential_utility(tensor([2.0, -1.0]), half).mean(), half)
    ) == pytest.approx(-0.169925001, abs=1e-9)
    found = solve_risk_sensitive(gamble(), half)
    assert float(found.value[0]) == pytest.approx(-math.log2(1.125), abs=1e-12)
    assert found.error_bound < 1e-12
    r, beta = tensor([1.0, -2.0, 0.5]), 0.5
    folded = tensor(0.0)
    for x in r.flip(0):
        folded = exponential_utility(x, beta) + torch.exp(-beta * x) * folded
    assert float(folded) == pytest.approx(-0.5680508333754828, abs=1e-15)
    assert float(exponential_utility(r.sum(), beta)) == pytest.approx(float(folded), abs=1e-15)


def test_utility_and_equivalent_are_inverse_and_neutral_at_zero():
    amounts = torch.linspace(-3, 3, 7, dtype=torch.float64)
    for beta in (-2.0, -1e-9, 0.0, 1e-9, 0.7):
        there = exponential_utility(amounts, beta)
        torch.testing.assert_close(certainty_equivalent(there, beta), amounts)
        assert bool((there.diff() > 0).all())
    assert bool(torch.isnan(certainty_equivalent(tensor(2.0), 1.0)))


@pytest.mark.parametrize("beta", [-0.3, -0.05, 0.05, 0.3])
@pytest.mark.parametrize("losses", [False, True])
def test_the_affine_and_the_logarithmic_form_agree(beta, losses):
    for seed in range(4):
        mdp = leaking(seed, losses)
        value = solve_level(risk_sensitive(mdp, beta).level(0)).value
        found = solve_risk_sensitive(mdp, beta)
        assert found.status is Status.SOLVED
        off = (certainty_equivalent(value, beta) - found.value).abs()
        assert float(off.max()) <= found.error_bound + 1e-8


def test_the_limit_of_small_beta_is_the_expected_total():
    mdp = leaking(0, losses=False)
    neutral = solve_risk_sensitive(mdp, 0.0)
    torch.testing.assert_close(neutral.value, solve_level(mdp.level(0)).value)
    near = solve_risk_sensitive(mdp, 1e-7)
    assert float((near.value - neutral.value).abs().max()) < 1e-5
    assert risk_sensitive(mdp, 0.0) is mdp


def test_no_exponential_overflows():
    large = gamble(2000.0, -1000.0)
    with pytest.raises(DomainError, match="2000; use solve_risk_sensitive"):
        risk_sensitive(large, 1.0)
    for beta, right in ((1.0, -1000 + math.log(2)), (-1.0, 2000 - math.log(2))):
        found = solve_risk_sensitive(large, beta)
        assert float(found.value[0]) == pytest.approx(right, abs=1e-9)
        assert found.error_bound < 1e-8
    huge = solve_risk_sensitive(gamble(0.0, -1e6), 1.0)
    assert abs(float(huge.value[0]) - (-1e6 + math.log(2))) <= huge.error_bound
    assert huge.error_bound < 1e-6
    assert huge.status is Status.SOLVED
    assert solve_risk_sensitive(gamble(0.0, -1e6), 1.0, tol=1e-12).status is Status.STALLED


def test_an_action_that_is_beyond_all_measure_worse_is_not_taken():
    mdp = MDP(
        [[[1], [1]], [[1], [1]]],
        torch.ones(2, 2, 1),
        [[-1.0, -5000.0], [0.0, 0.0]],
        terminal=[False, True],
    )
    found = solve_risk_sensitive(mdp, 1.0)
    assert found.policy.tolist() == [0, -1]
    assert float(found.value[0]) == pytest.approx(-1.0)


def test_surer_results_are_bought_on_the_cliff():
    toy = cliff_walk()
    cost = torch.where(toy.unsafe, 101.0, 1.0).double()
    mdp = MDP(
        toy.successor,
        toy.probability,
        -cost * (toy.probability > 0),
        mask=toy.mask,
        terminal=toy.terminal,
    )
    start = toy.start_state
    values = []
    for beta in (-0.5, 0.0, 0.02, 0.1):
        found = solve_risk_sensitive(mdp, beta, tol=1e-6)
        assert found.status is Status.SOLVED
        values.append(float(found.value[start]))
        mean = float(evaluate(mdp, found.policy)[start, 0])
        assert mean <= -64.7091759 + 1e-6  # no policy has a better mean than the neutral one
    assert values == sorted(values, reverse=True)
    assert values[1] == pytest.approx(-64.7091759, abs=1e-5)
    # At β = 0.1 the long way's spread costs more than the fall: three steps and the cliff.
    assert mean == pytest.approx(-103.0)


def test_states_where_nothing_is_paid_are_worth_nothing():
    mdp = MDP(
        [[[0], [1]], [[1], [1]]],
        torch.ones(2, 2, 1),
        [[0.0, -1.0], [0.0, 0.0]],
        terminal=[False, True],
    )
    for beta in (-1.0, 0.0, 1.0):
        assert solve_risk_sensitive(mdp, beta).value.tolist() == [0.0, 0.0]


def test_worth_that_is_infinite_is_said():
    # Each further step costs 1 and happens with chance 1/2: E[e^{βT}] is finite iff e^β < 2.
    mdp = MDP(
        [[[0, 1]], [[1, 1]]], [[[0.5, 0.5]], [[1.0, 0.0]]], [[-1.0], [0.0]], terminal=[False, True]
    )
    found = solve_risk_sensitive(mdp, 0.6, tol=1e-9)
    right = -math.log(0.5 * math.exp(0.6) / (1 - 0.5 * math.exp(0.6))) / 0.6
    assert float(found.value[0]) == pytest.approx(right, abs=1e-8)
    endless = solve_risk_sensitive(mdp, 0.7, max_iter=500)
    assert endless.status is Status.MAX_ITERATIONS
    assert endless.error_bound == math.inf
    gains = replace(mdp, reward=torch.tensor([[[[1.0], [-1.0]]], [[[0.0], [0.0]]]]))
    with pytest.raises(NotTransientError):
        solve_risk_sensitive(gains, -0.7)


def test_a_multiplier_zero_ends_the_process():
    mdp = MDP([[[0]]], [[[1.0]]], [[-2.0]], 0.0)
    for beta in (-1.0, 0.0, 1.0):
        assert float(solve_risk_sensitive(mdp, beta).value) == pytest.approx(-2.0)
    assert float(risk_sensitive(mdp, 1.0).multiplier) == 0.0


def test_what_is_refused():
    mdp = layered(torch.Generator().manual_seed(0), 2, (1.0,))
    with pytest.raises(DomainError, match="without discount"):
        risk_sensitive(replace(mdp, multiplier=0.9), 1.0)
    with pytest.raises(DomainError, match="one objective; given 2"):
        risk_sensitive(MDP([[[0]]], [[[1.0]]], [[[[1.0, 2.0]]]]), 1.0)
    for beta in (float("nan"), float("inf")):
        with pytest.raises(DomainError, match="beta must be finite"):
            solve_risk_sensitive(mdp, beta)
    with pytest.raises(DomainError, match="tol"):
        solve_risk_sensitive(mdp, 1.0, tol=0.0)


def test_a_process_without_a_beginning_is_worth_nothing():
    ended = MDP([[[0]]], [[[1.0]]], [[0.0]], terminal=[True])
    assert solve_level(risk_sensitive(ended, 0.5).level(0)).value.tolist() == [0.0]


@pytest.mark.parametrize("beta", [3.0, 300.0])
def test_actions_that_are_much_worse_do_not_spoil_the_proof(beta):
    mdp = MDP(
        [[[1, 2], [1, 2]], [[2, 2], [2, 2]], [[2, 2], [2, 2]]],
        torch.full((3, 2, 2), 0.5),
        [[[1.0, 0.5], [-50.0, 0.0]], [[2.0, 2.0], [-80.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]],
        terminal=[False, False, True],
    )
    found = solve_risk_sensitive(mdp, beta)
    assert found.status is Status.SOLVED
    assert found.policy.tolist() == [0, 0, -1]
    # 3 in one half of all cases, ½ in the other.
    right = 0.5 - math.log(0.5 * (1 + math.exp(-2.5 * beta))) / beta
    assert abs(float(found.value[0]) - right) <= found.error_bound
    with pytest.raises(DomainError, match="max_iter"):
        solve_risk_sensitive(mdp, beta, max_iter=0)
