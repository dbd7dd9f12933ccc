"""Tests of coset.decisions.solvers.extrapolation: jumps where they pay, none where they do not."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from coset.decisions.solvers import iterate as module
from coset.decisions.solvers.extrapolation import Extrapolation
from coset.decisions.solvers.iterate import iterate
from decisions.kernel_cases import make_level


def run(rates, sizes, num_sweeps=40):
    """Sweep a vector whose errors shrink by given rates; return its error after each sweep."""
    jumps, errors = Extrapolation(), []
    error = torch.tensor(sizes, dtype=torch.float64)
    factor = torch.tensor(rates, dtype=torch.float64)
    for _ in range(num_sweeps):
        before, error = error, error * factor
        change = error - before
        width = float(change.max() - change.min().clamp(max=0))
        jump = jumps.propose(error, width, max(rates))
        if jump is not None:
            error = error + jump
        errors.append(float(error.abs().max()))
    return errors, jumps


def test_one_slow_error_is_removed_by_one_jump():
    errors, _ = run([0.95, 0.1, 0.1], [1.0, 1.0, -1.0])
    first = next(i for i in range(1, 40) if errors[i] < 0.1 * errors[i - 1])
    assert first < 15
    assert errors[first] < 1e-3 * 0.95**first


def test_errors_of_many_rates_wait_until_they_are_parallel():
    """Two equal errors that shrink at 0.95 and alternate at −0.95 are never parallel enough."""
    rates, sizes = [0.95, -0.95], [0.0, 1.0]
    errors, _ = run(rates, sizes)
    # Over a period of two sweeps even −0.95 is one rate, 0.9025: the jump removes it.
    assert errors[-1] < 1e-6
    errors, jumps = run([0.95, 0.2, 0.9], [1.0, 1.0, -0.9])
    assert errors[-1] < 0.95**40
    assert jumps.enabled


@pytest.mark.parametrize("rate", [1.0, 1.01])
def test_what_does_not_shrink_is_left_alone(rate):
    errors, _ = run([rate], [1.0])
    assert errors[-1] == pytest.approx(rate**40)


def test_a_jump_that_did_not_pay_is_the_last():
    jumps = Extrapolation()
    value = torch.zeros(3, dtype=torch.float64)
    seen = []
    for i in range(40):
        value = value + torch.tensor([0.9**i, 0.0, 0.0], dtype=torch.float64)
        # The width does not fall: whatever was added, it was no use.
        seen.append(jumps.propose(value, 1.0, 0.9) is not None)
    assert sum(seen) == 1
    assert not jumps.enabled


def slow_level(num_states=600):
    """Return a walk on a line: its errors spread slowly."""
    level = make_level((num_states, 2, 3), scale=0.98, local=True)
    return dataclasses.replace(level, reward=level.reward.abs())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("restricted", [False, True])
def test_solutions_with_jumps_are_proved_and_take_fewer_sweeps(monkeypatch, weighted, restricted):
    level = slow_level()
    if restricted:
        allowed = level.allowed.clone()
        allowed[300] = False
        allowed[::3, 1] = False
        level = level.restrict(allowed)
    weights = torch.linspace(1, 1.005, 600, dtype=torch.float64) if weighted else None
    options = {"tol": 1e-7, "method": "gauss-seidel", "weights": weights}
    right = iterate(level, tol=1e-9, method="vi", backend="eager")
    with_jumps = iterate(level, **options)

    class Never:
        def propose(self, *_):
            return None

    monkeypatch.setattr(module, "Extrapolation", Never)
    without = iterate(level, **options)
    for found in (with_jumps, without):
        assert found.converged
        gap = (found.value - right.value).abs() / (1.0 if weights is None else weights)
        assert float(gap.max()) <= found.error + 1e-9
    assert torch.equal(with_jumps.policy, without.policy)
    assert with_jumps.iterations < without.iterations
