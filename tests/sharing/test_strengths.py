from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import brentq

from coset.core.errors import DomainError, DtypeError
from coset.sharing import (
    all_merge_strength,
    critical_strength,
    predicted_largest_fraction,
    predicted_unique_fraction,
)


def normal(x: float, center: float = 0.0) -> float:
    return math.exp(-((x - center) ** 2) / 2) / math.sqrt(2 * math.pi)


def test_all_merge_strength_by_hand():
    assert all_merge_strength(torch.tensor([1.0, 2.0])) == 0.5
    assert all_merge_strength(torch.tensor([3.0, 0.0, 0.0])) == 2.0
    assert all_merge_strength(torch.tensor([2.0, 2.0])) == 0.0
    assert all_merge_strength(torch.empty(0)) == all_merge_strength(torch.ones(1)) == 0.0


def test_all_merge_strength_of_huge_weights_is_finite():
    huge = torch.tensor([1e308, -1e308], dtype=torch.float64)
    assert all_merge_strength(huge) == pytest.approx(1e308, rel=1e-14)


@pytest.mark.parametrize("bad", [[1.0, 2.0], torch.ones(2, dtype=torch.int64)])
def test_all_merge_strength_wants_a_float_tensor(bad):
    with pytest.raises(DtypeError, match="floating-point tensor"):
        all_merge_strength(bad)


def test_all_merge_strength_refuses_nan():
    with pytest.raises(DomainError, match="finite"):
        all_merge_strength(torch.tensor([1.0, math.nan]))


@pytest.mark.oracle
@pytest.mark.parametrize("g", [1.2534, 1.26, 1.5, 2.0, 3.0, 40.0])
def test_the_largest_fraction_solves_its_equation(g):
    root = brentq(lambda a: g * math.erf(a / math.sqrt(2)) - a, 1e-3, g)
    assert predicted_largest_fraction(g) == pytest.approx(root / g, rel=1e-9)


def test_the_largest_fraction_at_the_ends():
    critical = critical_strength(normal(0.0))
    assert predicted_largest_fraction(0.0) == predicted_largest_fraction(critical) == 0.0
    assert 0 <= predicted_largest_fraction(math.nextafter(critical, 2)) < 1e-3
    assert predicted_largest_fraction(math.inf) == 1.0
    with pytest.raises(DomainError):
        predicted_largest_fraction(math.nan)


def test_the_law_of_distinct_values():
    assert predicted_unique_fraction(normal, 0.5, support=(-math.inf, math.inf)) == pytest.approx(
        0.7179, abs=1e-4
    )


@pytest.mark.parametrize(
    ("density", "support"),
    [
        (lambda x: normal(x, 1000.0), (-math.inf, math.inf)),
        (lambda x: 5.0, (0.0, 1.0)),
        (lambda x: 1.0, (1.0, 0.0)),
    ],
)
def test_what_is_not_a_density_is_refused(density, support):
    with pytest.raises(DomainError):
        predicted_unique_fraction(density, 0.1, support=support)


def test_critical_strength():
    assert critical_strength(1.0) == 0.5
    with pytest.raises(DomainError, match="> 0"):
        critical_strength(0.0)
