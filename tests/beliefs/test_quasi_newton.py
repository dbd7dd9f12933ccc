"""L-BFGS goes on where values are rounding, and stops where nothing is left to gain."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.resolve.quasi_newton import minimize_smooth


def differentiable(function):
    def evaluate(point):
        x = point.clone().requires_grad_()
        value = function(x)
        (gradient,) = torch.autograd.grad(value, x)
        return float(value.detach()), gradient

    return evaluate


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1].square()).square() + (1 - x[:-1]).square()).sum()


def test_a_curved_valley_is_followed_to_its_end():
    start = torch.tensor([-1.2, 1.0, -0.5, 0.3], dtype=torch.float64)
    found = minimize_smooth(differentiable(rosenbrock), start, tolerance=1e-10)
    assert torch.allclose(found, torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-9)


def test_slopes_lead_on_where_values_are_rounding():
    scales = torch.logspace(0, 4, 12, dtype=torch.float64)

    def offset(x):  # 1 + … : below 1e-16 of it no value falls
        return 1 + (scales * (x - 0.1).square()).sum() / 2 + (x - 0.1).pow(4).sum()

    found = minimize_smooth(
        differentiable(offset), torch.ones(12, dtype=torch.float64), tolerance=1e-12
    )
    assert float((found - 0.1).abs().max()) <= 1e-12  # √ε is 1e-8


def test_steps_back_from_infinite_values():
    def barrier(x):
        return x.sum() - x.log().sum() if bool((x > 0).all()) else (x * 0).sum() + math.inf

    found = minimize_smooth(
        differentiable(barrier), torch.full((3,), 1e-3, dtype=torch.float64), tolerance=1e-11
    )
    assert torch.allclose(found, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-10)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_start_without_a_value_stays(value):
    start = torch.ones(2, dtype=torch.float64)
    found = minimize_smooth(lambda x: (value, torch.ones_like(x)), start, tolerance=1e-9)
    assert torch.equal(found, start)


def test_a_gradient_that_leads_nowhere_ends_the_search():
    calls = 0

    def wrong(x):
        nonlocal calls
        calls += 1
        return float(x.square().sum()), -2 * x

    start = torch.ones(2, dtype=torch.float64)
    assert torch.equal(minimize_smooth(wrong, start, tolerance=1e-9), start)
    assert calls < 100


def test_noise_in_slopes_ends_the_search_at_the_flattest_point():
    generator = torch.Generator().manual_seed(0)
    calls = 0

    def noisy(x):
        nonlocal calls
        calls += 1
        noise = 1e-7 * torch.randn(3, generator=generator, dtype=torch.float64)
        return float((x - 1).square().sum()), 2 * (x - 1) + noise

    found = minimize_smooth(noisy, torch.zeros(3, dtype=torch.float64), tolerance=1e-15)
    assert float((found - 1).abs().max()) <= 1e-6
    assert calls < 3000
