"""The error that it states is one, by every way of sweeping."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from coset.core.errors import ConfigError, DomainError, DtypeError, ShapeError
from coset.core.results import Record
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.reference import policy_iteration_reference
from coset.decisions.solvers import sweepers
from coset.decisions.solvers.bellman import greedy, sweep
from coset.decisions.solvers.iterate import Iterated, iterate
from decisions.kernel_cases import SHAPES, make_level, random_values

METHODS = ("vi", "mpi", "gauss-seidel")
STOPS = ("span", "weighted", "sup")


def within(found, right, weights=1.0):
    """Say whether the proved bounds hold, but for the rounding of the reference."""
    gap = (right - found.value) / weights
    return bool(((gap >= found.low - 1e-12) & (gap <= found.high + 1e-12)).all())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("backend", ["numba", "eager"])
def test_bounds_hold_for_every_method_and_rule(shape, backend):
    for allowed, spread, dtype in ((1.0, 0.0, torch.float64), (0.7, 0.2, torch.float32)):
        level = make_level(shape, allowed=allowed, spread=spread, scale=0.8)
        right, _ = policy_iteration_reference(level)
        for method, stop in itertools.product(METHODS, STOPS):
            found = iterate(level, tol=1e-7, method=method, stop=stop, backend=backend, dtype=dtype)
            assert found.converged, (method, stop)
            assert found.value.dtype == torch.float64
            assert found.error <= 1e-7
            assert within(found, right), (method, stop)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_bounds_hold_wherever_sweeping_stops(method, limit):
    """A stopped run is not converged, but what it proves is true: no bound may be too narrow."""
    for seed in range(20):
        spread = 0.0 if seed % 2 else 0.4
        level = make_level((40, 3, 2), seed=seed, spread=spread, allowed=0.8, scale=0.95)
        right, _ = policy_iteration_reference(level)
        start = 10 * random_values(40, seed=seed) if seed % 3 else None
        for stop in STOPS:
            found = iterate(level, tol=1e-9, method=method, stop=stop, max_iter=limit, start=start)
            assert not found.converged
            assert found.iterations <= limit
            assert within(found, right), (seed, stop)


def test_factors_that_are_known_need_no_pass_of_their_own(monkeypatch):
    from coset.decisions.kernels.launch import LevelArrays

    level = make_level((65, 4, 5), spread=0.3)
    found = iterate(level, tol=1e-7)

    def never(*_):
        raise AssertionError("a pass over the rows")

    monkeypatch.setattr(LevelArrays, "row_extremes", never)
    sums = level.row_sums()
    again = iterate(level, tol=1e-7, factors=(float(sums.min()), float(sums.max())))
    torch.testing.assert_close(again.value, found.value, atol=2e-7, rtol=0)
    assert again.converged


def test_span_bounds_are_tight_for_a_plain_discount():
    """MacQueen and Porteus: far fewer sweeps than the supremum norm needs."""
    level = make_level((300, 2, 4), scale=0.95)
    span = iterate(level, tol=1e-3, method="vi", stop="span")
    sup = iterate(level, tol=1e-3, method="vi", stop="sup")
    assert span.iterations * 4 < sup.iterations
    # Half the width of c/(1 − c) [min δ, max δ], δ of the last sweep.
    value, low, high = torch.zeros(300, dtype=torch.float64), 0.0, 0.0
    for _ in range(span.iterations):
        value, low, high = sweep(level, value)
    assert span.error == pytest.approx(19 * (high - low) / 2, rel=1e-6)


def test_greedy_policy_of_the_last_sweep():
    for method in METHODS:
        level = make_level((300, 3, 2), allowed=0.8)
        found = iterate(level, tol=1e-10, method=method)
        assert found.policy.dtype == torch.int64
        assert torch.equal(found.policy, greedy(level, found.value))


def rising_level():
    """Return Alg 4's example: row sums 2 and 1/4, no contraction in the supremum norm."""
    one = torch.ones(2, 1, dtype=torch.float64)
    return ScalarLevel(
        torch.tensor([[[1]], [[0]]], dtype=torch.int32),
        torch.tensor([[[2.0]], [[0.25]]], dtype=torch.float64),
        torch.tensor([[1.0], [0.5]], dtype=torch.float64),
        one > 0,
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", ["numba", "eager"])
def test_weights_prove_what_the_supremum_norm_cannot(method, backend):
    level = rising_level()
    with pytest.raises(DomainError, match="largest factor is 2"):
        iterate(level, tol=1e-6, method=method, backend=backend)
    weights = torch.tensor([6.0, 2.5], dtype=torch.float64)
    found = iterate(level, tol=1e-9, method=method, weights=weights, backend=backend)
    right = torch.tensor([4.0, 1.5], dtype=torch.float64)
    assert found.converged
    assert within(found, right, weights)
    # The lifetime weights: λ = 1 − 1/6.
    assert sweepers.make_sweeper(level, weights, level.active, backend).factors() == pytest.approx(
        (0.6, 5 / 6)
    )
    plain = iterate(level, tol=1e-9, method=method, stop="residual", backend=backend)
    assert plain.low == -torch.inf
    torch.testing.assert_close(plain.value, right, atol=1e-7, rtol=0)


def gapped_level(num_states, num_actions, seed=0):
    """Return a level whose best actions lead by much, so that most others are soon left alone."""
    level = make_level((num_states, num_actions, 3), seed=seed, weight=torch.float32, scale=0.9)
    return dataclasses.replace(level, reward=level.reward * 3)


@pytest.mark.parametrize("method", ["vi", "gauss-seidel", "mpi"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_deferred_actions_change_nothing(monkeypatch, method, dtype):
    """With and without looking away, at the same sweeps: the same values to rounding."""
    for seed in range(6):
        level = gapped_level(700, 5, seed)
        level = dataclasses.replace(
            level, allowed=torch.rand(700, 5, generator=torch.Generator().manual_seed(seed)) < 0.8
        )
        lazy = iterate(level, tol=1e-9, method=method, dtype=dtype)
        monkeypatch.setattr(sweepers, "_WORTH", 2.0)
        eager = iterate(level, tol=1e-9, method=method, backend="eager")
        full = iterate(level, tol=1e-9, method=method, dtype=dtype)
        monkeypatch.undo()
        for other in (eager, full):
            torch.testing.assert_close(lazy.value, other.value, atol=2e-9, rtol=0)
            assert torch.equal(lazy.policy, other.policy)


def count_whole(monkeypatch, level, **options):
    """Return how many states each deferred sweep looked at with all actions."""
    from coset.decisions.kernels.launch import LevelArrays

    counts, deferred = [], LevelArrays.deferred

    def counted(self, *arguments, **keywords):
        found = deferred(self, *arguments, **keywords)
        counts.append(found[4])
        return found

    monkeypatch.setattr(LevelArrays, "deferred", counted)
    found = iterate(level, **options)
    monkeypatch.undo()
    return counts, found


@pytest.mark.parametrize("method", ["vi", "gauss-seidel"])
def test_most_actions_are_left_alone_in_the_end(monkeypatch, method):
    level = gapped_level(2000, 4)
    counts, found = count_whole(monkeypatch, level, tol=1e-10, method=method)
    assert counts[0] == 2000
    assert counts[-1] < 20
    assert sum(counts) < 0.5 * 2000 * found.iterations


@pytest.mark.parametrize("method", ["vi", "gauss-seidel"])
def test_unrolled_loops_give_the_same_bits(monkeypatch, method):
    from coset.decisions.kernels import launch

    level = gapped_level(900, 4)
    plain = iterate(level, tol=1e-9, method=method)
    monkeypatch.setattr(launch, "_UNROLLING", 0)
    unrolled = iterate(level, tol=1e-9, method=method)
    assert torch.equal(plain.value, unrolled.value)
    assert torch.equal(plain.policy, unrolled.policy)
    assert plain.iterations == unrolled.iterations


def test_exact_ties_are_always_looked_at(monkeypatch):
    level = gapped_level(600, 2)
    twice = dataclasses.replace(
        level,
        successor=level.successor.repeat(1, 2, 1),
        weight=level.weight.repeat(1, 2, 1),
        reward=level.reward.repeat(1, 2),
        allowed=level.allowed.repeat(1, 2),
    )
    counts, found = count_whole(monkeypatch, twice, tol=1e-9, method="vi")
    assert counts[-1] == 600
    once = iterate(level, tol=1e-9, method="vi")
    assert torch.equal(found.policy, once.policy)
    torch.testing.assert_close(found.value, once.value, atol=2e-9, rtol=0)


def test_a_single_action_is_known_from_the_start(monkeypatch):
    level = gapped_level(600, 3)
    only = torch.zeros(600, 3, dtype=torch.bool)
    only[torch.arange(600), torch.arange(600) % 3] = True
    only[7] = False
    counts, found = count_whole(
        monkeypatch, level.restrict(only), tol=1e-9, method="vi", stop="weighted"
    )
    assert set(counts) == {0}
    assert int(found.policy[7]) == -1
    assert float(found.value[7]) == 0.0
    assert found.policy[:6].tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("threads", [1, 3])
def test_auto_agrees_at_any_number_of_threads(monkeypatch, threads):
    from coset.decisions.kernels import launch

    monkeypatch.setattr(launch, "_THREADING", 0)
    level = gapped_level(900, 3)
    right = iterate(level, tol=1e-10, method="vi", backend="eager")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = iterate(level, tol=1e-9)
    finally:
        torch.set_num_threads(before)
    assert found.converged
    assert within(found, right.value, 1.0) or found.error + right.error < 2e-9
    torch.testing.assert_close(found.value, right.value, atol=2e-9, rtol=0)


def test_sweeps_in_place_turn_around_on_a_corridor():
    """Only the end pays: a sweep that walks away from it carries the news by one state."""
    num_states = 400
    for backwards in (False, True):
        step = -1 if backwards else 1
        successor = (torch.arange(num_states) + step).clamp(0, num_states - 1)[:, None, None]
        reward = torch.zeros(num_states, 1, dtype=torch.float64)
        end = 0 if backwards else num_states - 1
        reward[end - step] = 1.0
        allowed = torch.ones(num_states, 1, dtype=torch.bool)
        allowed[end] = False
        level = ScalarLevel(
            successor.int(), torch.ones_like(successor).double(), reward, allowed, 0.99
        )
        found = iterate(level, tol=1e-8, method="gauss-seidel", stop="sup")
        plain = iterate(level, tol=1e-8, method="vi", stop="sup")
        distance = (torch.arange(num_states) - end).abs().double()
        right = torch.where(distance > 0, 0.99 ** (distance - 1), 0.0)
        for one in (found, plain):
            assert one.converged
            torch.testing.assert_close(one.value, right, atol=1e-8, rtol=0)
        assert found.iterations <= 8
        assert plain.iterations >= num_states - 1


def test_a_constant_that_is_not_lost_does_not_diverge():
    """Small levels on which adding the predicted constant overshoots must come back."""
    for seed in range(40):
        level = make_level((7, 3, 2), seed=seed, scale=0.9, allowed=0.8)
        level = dataclasses.replace(level, allowed=level.allowed | (torch.arange(3) == 0))
        right, _ = policy_iteration_reference(level)
        found = iterate(level, tol=1e-9, method="gauss-seidel", max_iter=2000)
        assert found.converged, seed
        torch.testing.assert_close(found.value, right, atol=2e-9, rtol=0)


def test_what_float64_cannot_prove_is_not_claimed():
    level = make_level((65, 4, 5), scale=0.9)
    for method in METHODS:
        found = iterate(level, tol=1e-17, method=method)
        assert not found.converged
        assert found.error > 1e-17
        assert found.iterations < 2000


def test_ended_everywhere_and_empty():
    for backend in ("numba", "eager"):
        ended = make_level((4, 2, 1), allowed=0.0)
        found = iterate(ended, tol=1e-9, backend=backend)
        assert found.converged
        assert found.value.tolist() == [0.0] * 4
        assert found.policy.tolist() == [-1] * 4
        weighted = iterate(ended, tol=1e-9, weights=torch.ones(4), backend=backend)
        assert weighted.converged
        empty = iterate(make_level((0, 2, 1)), tol=1e-9, backend=backend)
        assert empty.converged
        assert empty.value.shape == (0,)


def test_bad_input_is_named():
    level = make_level((5, 2, 2))
    for tol in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DomainError, match="tol must be a positive number"):
            iterate(level, tol=tol)
    with pytest.raises(ConfigError, match="method must be one of"):
        iterate(level, tol=1e-3, method="newton")
    with pytest.raises(ConfigError, match="stop must be one of"):
        iterate(level, tol=1e-3, stop="never")
    with pytest.raises(ConfigError, match="max_iter must be at least 1"):
        iterate(level, tol=1e-3, max_iter=0)
    with pytest.raises(ConfigError, match="dtype"):
        iterate(level, tol=1e-3, dtype=torch.float16)
    with pytest.raises(ShapeError, match="start must be one number a state"):
        iterate(level, tol=1e-3, start=torch.zeros(4))
    with pytest.raises(DtypeError, match="start must be float32 or float64"):
        iterate(level, tol=1e-3, start=torch.zeros(5, dtype=torch.int64))
    with pytest.raises(DomainError, match="start must be finite"):
        iterate(level, tol=1e-3, start=torch.full((5,), torch.nan))
    with pytest.raises(DomainError, match="weights must be positive"):
        iterate(level, tol=1e-3, weights=torch.zeros(5, dtype=torch.float64))
    with pytest.raises(DomainError, match="largest factor"):
        iterate(dataclasses.replace(level, scale=1.0), tol=1e-3)


def test_the_result_is_stored_and_comes_back():
    found = iterate(make_level((5, 2, 2)), tol=1e-6)
    again = Record.from_json(found.to_json())
    assert isinstance(again, Iterated)
    assert torch.equal(again.value, found.value)
    assert again.error == found.error


@pytest.mark.parametrize("size", [1e36, 1e39, 1e200])
@pytest.mark.parametrize("method", ["vi", "mpi", "gauss-seidel"])
def test_values_beyond_single_precision_keep_their_bounds(size, method):
    level = make_level((600, 3, 3), seed=1)
    small = iterate(level, tol=1e-9, method="vi", backend="eager")
    large = dataclasses.replace(level, reward=level.reward.double() * size)
    found = iterate(large, tol=1e-6 * size, method=method, backend="numba")
    apart = float((found.value - size * small.value).abs().max())
    assert found.converged
    assert apart <= found.error + 1e-8 * size
