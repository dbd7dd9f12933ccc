"""One level solved by each method: the same value, within a bound that is proved and true."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from tests.decisions.level_cases import discounted, growing, tensor, walk

from coset.core.errors import ConfigError, DomainError, NotConvergedError, ShapeError
from coset.core.results import Status
from coset.decisions.claims.contraction import two_states
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.reference import (
    all_policies,
    bellman_reference,
    policy_iteration_reference,
    policy_values_reference,
    value_iteration_reference,
)
from coset.decisions.solvers.bounds import certified_bounds
from coset.decisions.solvers.linear_program import solve_linear_program
from coset.decisions.solvers.policy_iteration import policy_iteration
from coset.decisions.solvers.rational_linear import solve_fixed_point
from coset.decisions.solvers.scalar import solve_level
from coset.decisions.solvers.transience import transience

METHODS = ("vi", "mpi", "pi", "lp", "auto")


def stopping() -> ScalarLevel:
    """Return the two states with an action that stops in state 0 and is worth 5."""
    return ScalarLevel(
        torch.tensor([[[1], [0]], [[0], [0]]], dtype=torch.int32),
        tensor([[[2.0], [0.0]], [[0.25], [0.0]]]),
        tensor([[1.0, 5.0], [0.5, 0.0]]),
        torch.tensor([[True, True], [True, False]]),
    )


@pytest.mark.parametrize("method", METHODS)
def test_known_values_where_rows_sum_to_more_than_one(method):
    for level, right in ((two_states(), [4.0, 1.5]), (stopping(), [5.0, 1.75])):
        found = solve_level(level, method=method)
        assert found.status is Status.SOLVED
        assert found.value.tolist() == pytest.approx(right, abs=1e-8)
        assert found.error_bound <= 1e-8


@pytest.mark.parametrize("seed", range(12))
def test_methods_agree_with_policy_iteration_by_loops(seed):
    level = growing(6, seed, top=0.9)
    if not transience(level).holds:
        level = replace(level, scale=0.5)
    right, policy = policy_iteration_reference(level)
    for method in METHODS:
        found = solve_level(level, method=method)
        off = (found.value - right).abs()
        assert found.status is Status.SOLVED, (method, found)
        assert bool((off <= found.error + 1e-11).all()), method
        assert float(found.error.max()) == pytest.approx(found.error_bound)
    value, chosen, evaluations = policy_iteration(level)
    assert evaluations >= 1
    torch.testing.assert_close(policy_values_reference(level, chosen.tolist()), right)
    torch.testing.assert_close(value, right)
    assert len(policy) == 6


def test_sweeps_by_loops_are_the_backup():
    level = growing(5, 3)
    value = tensor([1.0, -2.0, 0.5, 3.0, 0.0])
    torch.testing.assert_close(
        tensor(bellman_reference(level, value.tolist())), level.action_values(value)
    )
    twice = level.backup(level.backup(value))
    torch.testing.assert_close(value_iteration_reference(level, 2, value.tolist()), twice)


def test_peers_find_the_same_values():
    mdptoolbox = pytest.importorskip("mdptoolbox.mdp")
    markov = pytest.importorskip("quantecon.markov")
    for seed in range(4):
        mdp = discounted(20, seed, 0.9)
        dense = torch.zeros(3, 20, 20, dtype=torch.float64)
        for action in range(3):
            for k in range(mdp.num_successors):
                index = mdp.successor[:, action, k].long()
                dense[action, torch.arange(20), index] += mdp.probability[:, action, k]
        reward = mdp.expected_reward(0)
        toolbox = mdptoolbox.PolicyIteration(dense.numpy(), reward.numpy(), 0.9)
        toolbox.run()
        peer = markov.DiscreteDP(reward.numpy(), dense.transpose(0, 1).numpy(), 0.9)
        values = peer.solve(method="policy_iteration").v
        for method in METHODS:
            found = solve_level(mdp.level(0), method=method, tol=1e-9).value.numpy()
            np.testing.assert_allclose(found, toolbox.V, atol=1e-8)
            np.testing.assert_allclose(found, values, atol=1e-8)


@pytest.mark.parametrize("num_terminal", [0, 400])
@pytest.mark.parametrize("method", ["vi", "mpi", "pi"])
def test_many_states(method, num_terminal):
    level = discounted(5000, 1, 0.95, num_terminal).level(0)
    found = solve_level(level, method=method)
    other = solve_level(level, method="mpi", tol=1e-10)
    assert found.status is Status.SOLVED
    assert float((found.value - other.value).abs().max()) <= 1.1e-8
    assert bool((found.value[5000 - num_terminal :] == 0).all())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("guess", ["zero", "far above", "far below", "noise"])
def test_bounds_hold_from_any_guess(seed, guess):
    level = growing(6, seed, top=0.8) if seed % 2 else discounted(6, seed, 0.9, seed // 2).level(0)
    proved = transience(level)
    if not proved.holds:
        level = replace(level, scale=0.5)
        proved = transience(level)
    right, _ = policy_iteration_reference(level)
    noise = torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    start = {"zero": 0 * noise, "far above": right + 100, "far below": right - 100, "noise": noise}
    found = certified_bounds(level, start[guess], proved.weights)
    assert bool((found.lower <= right + 1e-12).all())
    assert bool((right <= found.upper + 1e-12).all())
    near = certified_bounds(level, right, proved.weights)
    assert near.error_bound <= 1e-11


def test_bounds_are_those_of_macqueen_and_porteus_for_a_plain_discount():
    level = discounted(30, 5, 0.9).level(0)
    value = torch.randn(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    change = level.backup(value) - value
    found = certified_bounds(level, value, torch.ones(30, dtype=torch.float64))
    width = 0.9 / 0.1 * float(change.max() - change.min())
    assert 2 * found.half_width == pytest.approx(width, rel=1e-9)


def test_a_guess_that_is_off_by_a_constant_costs_nothing():
    level = discounted(30, 5, 0.9).level(0)
    right = solve_level(level, tol=1e-11).value
    assert certified_bounds(level, right + 1000, torch.ones(30).double()).error_bound < 1e-7


def test_what_float64_cannot_prove_is_said():
    level = replace(two_states(), reward=tensor([[1e9], [1e9]]))
    for method in ("vi", "pi"):
        found = solve_level(level, method=method, tol=1e-12)
        assert found.status is Status.STALLED
        assert "exact arithmetic" in found.advice
        assert found.error_bound > 1e-12
        with pytest.raises(NotConvergedError, match="stalled"):
            found.throw()


def test_a_limit_of_sweeps_gives_a_bound_all_the_same():
    level = two_states()
    found = solve_level(level, method="vi", max_iter=3)
    assert found.status is Status.MAX_ITERATIONS
    off = (found.value - tensor([4.0, 1.5])).abs()
    assert bool((off <= found.error).all())
    assert found.iterations == 3


def test_a_good_start_saves_sweeps():
    level = discounted(2000, 2, 0.99).level(0)
    cold = solve_level(level, method="vi")
    warm = solve_level(level, method="vi", start=cold.value)
    assert warm.iterations < cold.iterations / 4


def test_costs_need_no_transience():
    waiting = walk(6)
    stay = ScalarLevel(
        waiting.successor.repeat(1, 2, 1),
        torch.stack((waiting.weight[:, 0], tensor([[1.0, 0.0]]).expand(7, 2)), 1),
        torch.cat((waiting.reward, tensor([[-0.5]]).expand(7, 1)), 1),
        waiting.allowed.repeat(1, 2),
    )
    assert not transience(stay).holds
    found = solve_level(stay)
    assert found.status is Status.SOLVED
    assert found.value.tolist() == pytest.approx([-6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0])
    free = replace(stay, reward=torch.cat((waiting.reward, 0 * waiting.reward), 1))
    # Waiting for nothing is best: 0 is the greatest of many fixed points.
    assert solve_level(free).value.tolist() == [0.0] * 7


def test_gains_that_may_go_on_for_ever_are_refused():
    level = replace(two_states(0.5), reward=tensor([[1.0], [1.0]]))
    with pytest.raises(NotTransientError, match="spectral radius") as caught:
        solve_level(level)
    assert caught.value.policy == (0, 0)


def test_linear_program_and_its_dual():
    for level in (stopping(), growing(6, 1, top=0.5), discounted(8, 0, 0.8, 2).level(0)):
        start = torch.linspace(0, 1, level.num_states, dtype=torch.float64) + 0.5
        start = torch.where(level.active, start, 0.0)
        found = solve_linear_program(level, start)
        right, _ = policy_iteration_reference(level)
        torch.testing.assert_close(found.value, right, atol=1e-7, rtol=0)
        mass = found.occupancy
        assert bool((mass >= 0).all())
        assert bool((mass[~level.allowed] == 0).all())
        flow = mass.sum(1)
        for s, a in torch.nonzero(level.allowed).tolist():
            moved = level.scale * level.weight[s, a] * mass[s, a]
            flow.index_add_(0, level.successor[s, a].long(), -moved)
        live = level.active
        torch.testing.assert_close(flow[live], start[live], atol=1e-7, rtol=0)
        earned = float((mass * torch.where(level.allowed, level.reward, 0.0)).sum())
        assert earned == pytest.approx(float(start @ right), abs=1e-6)


def test_nothing_to_decide():
    ended = discounted(4, 0, 0.9, 4).level(0)
    for method in METHODS:
        found = solve_level(ended, method=method)
        assert found.value.tolist() == [0.0] * 4
        assert found.error_bound == 0
    one = ScalarLevel(
        torch.zeros(1, 1, 1).int(),
        tensor([[[1.0]]]),
        tensor([[3.0]]),
        torch.ones(1, 1, dtype=torch.bool),
        0.5,
    )
    for method in METHODS:
        assert float(solve_level(one, method=method).value) == pytest.approx(6.0, abs=1e-8)


def test_multipliers_zero_end_the_process():
    level = replace(growing(4, 0), scale=0.0)
    torch.testing.assert_close(solve_level(level).value, level.reward.amax(1))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"method": "newton"}, ConfigError, "method must be one of"),
        ({"tol": 0.0}, DomainError, "tol"),
        ({"tol": float("nan")}, DomainError, "tol"),
        ({"start": torch.zeros(3)}, ShapeError, "start must be one number a state"),
        ({"start": tensor([0.0, float("nan")])}, DomainError, "start must be finite"),
        ({"weights": torch.ones(2).double()}, DomainError, "weights must contract"),
        ({"weights": torch.ones(3).double()}, ShapeError, "weights"),
    ],
)
def test_what_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        solve_level(two_states(), **wrong)


def test_what_bounds_and_programs_refuse():
    level, ones = two_states(), torch.ones(2, dtype=torch.float64)
    with pytest.raises(DomainError, match="largest factor is 2"):
        certified_bounds(level, ones, ones)
    with pytest.raises(ShapeError, match="one number a state"):
        certified_bounds(level, torch.ones(3), ones)
    with pytest.raises(DomainError, match="finite"):
        certified_bounds(level, ones / 0, tensor([6.0, 2.5]))
    with pytest.raises(ShapeError, match="start"):
        solve_linear_program(level, torch.ones(3))
    with pytest.raises(DomainError, match="≥ 0"):
        solve_linear_program(level, -ones)


def exact_values(level: ScalarLevel) -> list[Fraction]:
    """Return V* in rational numbers, the best of all policies."""
    scale, live = Fraction(level.scale), level.active.tolist()
    successor, weight = level.successor.tolist(), level.weight.double().tolist()
    best: list[Fraction] = []
    for policy in all_policies(level):
        rows, right = [], []
        for s, a in enumerate(policy):
            row: dict[int, Fraction] = {}
            for t, w in zip(successor[s][a], weight[s][a], strict=True):
                row[t] = row.get(t, Fraction(0)) + (scale * Fraction(w) if live[t] else 0)
            rows.append(row if a >= 0 else {})
            right.append(Fraction(float(level.reward[s, a])) if a >= 0 else Fraction(0))
        worth = solve_fixed_point(rows, right)
        best = [max(x, y) for x, y in zip(best or worth, worth, strict=True)]
    return best


@pytest.mark.parametrize("seed", range(12))
def test_errors_are_true_in_rational_numbers(seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (1 + seed % 4, 2, 3)
    weight = torch.rand(shape, generator=generator, dtype=torch.float64)
    weight = weight / weight.sum(-1, keepdim=True)
    successor = torch.randint(0, shape[0], shape, generator=generator, dtype=torch.int32)
    if seed % 3 == 0:  # rows may sum to more than 1
        gauge = torch.randn(shape[0], generator=generator, dtype=torch.float64).exp()
        weight = weight * gauge[successor.long()] / gauge[:, None, None]
    allowed = torch.rand(shape[:2], generator=generator) < 0.8
    reward = 10.0 ** (seed - 6) * torch.randn(shape[:2], generator=generator, dtype=torch.float64)
    level = ScalarLevel(
        successor,
        weight.float() if seed % 2 else weight,
        torch.where(allowed, reward, torch.nan),  # what is not allowed is never read
        allowed,
        scale=(0.5, 0.99, 0.99999)[seed % 3],
    )
    right = exact_values(level)
    for method in ("vi", "mpi", "pi", "lp"):
        found = solve_level(level, method=method, tol=1e-3 * 10.0 ** (seed - 6))
        off = [abs(Fraction(x) - y) for x, y in zip(found.value.tolist(), right, strict=True)]
        assert all(x <= Fraction(e) for x, e in zip(off, found.error.tolist(), strict=True))


def test_shared_weights_other_than_1_keep_the_bound_true():
    level = discounted(50, 0, 0.9).level(0)
    right = solve_level(level, method="pi", tol=1e-10)
    shared = torch.tensor(1e-3, dtype=torch.float64).expand(50)
    for method in ("vi", "mpi"):
        found = solve_level(level, method=method, tol=1e-3, weights=shared)
        assert float((found.value - right.value).abs().max()) <= found.error_bound + 1e-10


def test_costs_that_grow_without_bound_are_said_to_be_unbounded():
    level = ScalarLevel(
        torch.zeros(1, 1, 1, dtype=torch.int32),
        tensor([[[1.0]]]),
        tensor([[-1.0]]),
        torch.ones(1, 1, dtype=torch.bool),
        scale=2.0,
    )
    found = solve_level(level)
    assert found.error_bound == math.inf
    assert "may be −∞" in found.advice
    assert found.iterations < 2000
    assert bool(torch.isfinite(found.value).all())


def test_arrays_of_numpy_may_be_given():
    level = discounted(20, 0).level(0)
    found = solve_level(level, method="vi", start=np.ones(20), weights=np.ones(20))
    torch.testing.assert_close(found.value, solve_level(level).value, rtol=0, atol=1e-7)


@pytest.mark.parametrize("method", ["vi", "mpi", "pi", "lp"])
def test_there_must_be_a_sweep(method):
    with pytest.raises(ConfigError, match="at least 1"):
        solve_level(stopping(), method=method, max_iter=0)


def test_a_solution_is_shown_in_one_line():
    found = solve_level(discounted(50, 0).level(0))
    assert "tensor" not in repr(found) + repr(found.bounds)
