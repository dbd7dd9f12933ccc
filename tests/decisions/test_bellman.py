"""Tests of coset.decisions.solvers.bellman: every backend against the literal loop."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from coset.core.backends import backends
from coset.core.errors import (
    DomainError,
    DtypeError,
    RangeError,
    ShapeError,
    UnknownNameError,
    UnsupportedError,
)
from coset.decisions.reference import bellman_reference
from coset.decisions.solvers.bellman import action_values, greedy, policy_sweep, sweep
from decisions.kernel_cases import SHAPES, make_level, random_values

BACKENDS = ("numba", "eager")
FLOATS = (torch.float32, torch.float64)


def expected_sweep(level, value):
    """Return TV and the list of changes, by loops."""
    table = bellman_reference(level, value.double().tolist())
    new, changes = [], []
    for row, old in zip(table, value.double().tolist(), strict=True):
        best = max(row)
        new.append(best if best > -torch.inf else 0.0)
        if best > -torch.inf:
            changes.append(best - old)
    return torch.tensor(new, dtype=torch.float64), changes


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("allowed", [1.0, 0.5])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sweep_is_the_literal_one(shape, allowed, backend):
    for weight in FLOATS:
        for dtype in FLOATS:
            level = make_level(shape, weight=weight, allowed=allowed)
            value = random_values(shape[0], dtype)
            right, changes = expected_sweep(level, value)
            found, low, high = sweep(level, value, backend=backend)
            assert found.dtype == dtype
            close = 1e-12 if dtype == torch.float64 else 1e-6
            torch.testing.assert_close(found.double(), right, rtol=close, atol=close)
            wanted = (min(changes), max(changes)) if changes else (0.0, 0.0)
            torch.testing.assert_close((low, high), wanted, rtol=close, atol=close)


def test_unrolled_and_threaded_sweeps_give_the_same_bits(monkeypatch):
    from coset.decisions.kernels import launch

    level = make_level((500, 3, 4), allowed=0.7, weight=torch.float32)
    value = random_values(500)
    plain = sweep(level, value, backend="numba")
    policy = greedy(level, value)
    evaluated = policy_sweep(level, policy, value, 2)
    monkeypatch.setattr(launch, "_UNROLLING", 0)
    unrolled = sweep(level, value, backend="numba")
    again = policy_sweep(level, policy, value, 2)
    assert torch.equal(evaluated[0], again[0])
    assert evaluated[1:] == again[1:]
    monkeypatch.setattr(launch, "_THREADING", 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        shared = sweep(level, value, backend="numba")
    finally:
        torch.set_num_threads(threads)
    for other in (unrolled, shared):
        assert torch.equal(plain[0], other[0])
        assert plain[1:] == other[1:]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_not_allowed_is_not_read(backend):
    level = make_level((40, 3, 2), allowed=0.6)
    reward = level.reward.masked_fill(~level.allowed, torch.nan)
    poisoned = dataclasses.replace(level, reward=reward)
    value = random_values(40)
    assert torch.equal(
        sweep(level, value, backend=backend)[0], sweep(poisoned, value, backend=backend)[0]
    )
    assert torch.equal(
        greedy(level, value, backend=backend), greedy(poisoned, value, backend=backend)
    )


def test_the_output_is_written_where_asked_and_strides_do_not_matter():
    level, value = make_level((65, 4, 5)), random_values(65)
    out = torch.full((65,), torch.nan, dtype=torch.float64)
    found, _, _ = sweep(level, value, out)
    assert found is out
    twice = torch.stack([value, value], 1)[:, 0]
    assert not twice.is_contiguous()
    turned = dataclasses.replace(
        level, weight=level.weight.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    )
    assert torch.equal(sweep(turned, twice)[0], out)


@pytest.mark.parametrize("backend", BACKENDS)
def test_greedy_actions_and_action_values(backend):
    level = make_level((65, 4, 5), allowed=0.5)
    value = random_values(65)
    table = torch.tensor(bellman_reference(level, value.tolist()), dtype=torch.float64)
    torch.testing.assert_close(action_values(level, value, backend), table)
    policy = greedy(level, value, backend)
    assert policy.dtype == torch.int64
    for s in range(65):
        row = table[s].tolist()
        assert int(policy[s]) == (row.index(max(row)) if max(row) > -torch.inf else -1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_ties_go_to_the_first_action(backend):
    level = make_level((30, 2, 3))
    twice = dataclasses.replace(
        level,
        successor=level.successor.repeat(1, 2, 1),
        weight=level.weight.repeat(1, 2, 1),
        reward=level.reward.repeat(1, 2),
        allowed=level.allowed.repeat(1, 2),
    )
    value = random_values(30)
    assert torch.equal(greedy(twice, value, backend), greedy(level, value, backend))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("num", [1, 2, 3])
def test_sweeps_of_a_policy(backend, num):
    level = make_level((65, 4, 5), allowed=0.5)
    value = random_values(65)
    policy = greedy(level, value)
    right, before = value.tolist(), value.tolist()
    for _ in range(num):
        before = right
        table = bellman_reference(level, right)
        right = [table[s][a] if a >= 0 else 0.0 for s, a in enumerate(policy.tolist())]
    found, low, high = policy_sweep(level, policy, value, num, backend)
    torch.testing.assert_close(found, torch.tensor(right, dtype=torch.float64))
    changes = [x - y for x, y, a in zip(right, before, policy.tolist(), strict=True) if a >= 0]
    torch.testing.assert_close((low, high), (min(changes), max(changes)))
    assert torch.equal(value, random_values(65))


@pytest.mark.parametrize("backend", BACKENDS)
def test_levels_without_states_or_actions(backend):
    empty = make_level((0, 2, 3))
    nothing = torch.empty(0, dtype=torch.float64)
    assert sweep(empty, nothing, backend=backend)[0].shape == (0,)
    assert greedy(empty, nothing, backend).shape == (0,)
    ended = make_level((3, 2, 1), allowed=0.0)
    found, low, high = sweep(ended, random_values(3), backend=backend)
    assert found.tolist() == [0.0, 0.0, 0.0]
    assert (low, high) == (0.0, 0.0)
    assert greedy(ended, random_values(3), backend).tolist() == [-1, -1, -1]


def test_bad_input_is_named():
    level, value = make_level((5, 2, 2)), random_values(5)
    with pytest.raises(ShapeError, match=r"\(5,\); given \(4,\)"):
        sweep(level, value[:4])
    with pytest.raises(DtypeError, match=r"float32 or float64; given torch\.int64"):
        sweep(level, value.long())
    with pytest.raises(DtypeError, match="dtype of value"):
        sweep(level, value, value.float())
    with pytest.raises(UnsupportedError, match="must lie where the level does"):
        sweep(level, value.to("meta"))
    with pytest.raises(UnknownNameError, match="backend"):
        sweep(level, value, backend="numbba")
    for bad in (torch.nan, torch.inf, -torch.inf):
        broken = value.clone()
        broken[3] = bad
        for call in (sweep, greedy, action_values):
            with pytest.raises(DomainError, match="state 3 has"):
                call(level, broken)
    huge = torch.full((5,), 1e308, dtype=torch.float64)
    assert torch.isfinite(sweep(level, huge)[0]).all()
    policy = greedy(level, value)
    with pytest.raises(RangeError, match="at least once"):
        policy_sweep(level, policy, value, 0)
    with pytest.raises(RangeError, match="state 2 has 2"):
        policy_sweep(level, torch.tensor([0, 1, 2, 0, 0]), value)
    with pytest.raises(DtypeError, match="integers"):
        policy_sweep(level, policy.double(), value)
    with pytest.raises(ShapeError, match="one action a state"):
        policy_sweep(level, policy[:2], value)


def test_the_backends_are_registered():
    rows = {(r.name, r.device): r for r in backends() if r.op == "decisions.sweep"}
    assert rows["numba", "cpu"].chosen
    assert {("eager", "cpu"), ("eager", "cuda")} <= set(rows)


def test_the_result_may_not_overwrite_what_is_read():
    value = random_values(7)
    with pytest.raises(DomainError, match="another memory"):
        sweep(make_level((7, 2, 3)), value, value)
