from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import brentq

from coset.core.errors import DomainError, DtypeError, UnsupportedError
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


@pytest.mark.parametrize("given", ["1", None, True, 1j, torch.tensor([0.1, 0.2])])
def test_a_strength_that_is_no_number_is_refused(given):
    for call in (
        lambda: predicted_unique_fraction(torch.tensor([0.0, 1.0]), given),
        lambda: predicted_unique_fraction(lambda x: 1.0, given, support=(0.0, 1.0)),
        lambda: predicted_largest_fraction(given),
    ):
        with pytest.raises(DtypeError, match="strength must be a real number"):
            call()


def test_a_prediction_is_a_float_whatever_holds_the_strength():
    w = torch.tensor([0.0, 1.0])
    for call in (lambda g: predicted_unique_fraction(w, g), predicted_largest_fraction):
        found = call(torch.tensor(2.0))
        assert type(found) is float
        assert found == call(2.0)


@pytest.mark.parametrize("density", [None, "normal", 0.4])
def test_what_is_no_function_is_no_density(density):
    with pytest.raises(DtypeError, match="a function or a tensor"):
        predicted_unique_fraction(density, 0.5, support=(0.0, 1.0))


@pytest.mark.parametrize("support", [3.0, (0.0,), (0.0, 1.0, 2.0), (math.nan, 1.0)])
def test_what_is_no_interval_is_no_support(support):
    with pytest.raises(DomainError, match="support must be an interval"):
        predicted_unique_fraction(lambda x: 1.0, 0.5, support=support)


def test_critical_strength():
    assert critical_strength(1.0) == 0.5
    with pytest.raises(DomainError, match="> 0"):
        critical_strength(0.0)


def sample(name, d, seed=0):
    """Return weights of a known density, its ∫p² and its largest value."""
    generator = torch.Generator().manual_seed(seed)
    if name == "normal":
        w = torch.randn(d, generator=generator, dtype=torch.float64)
        return w, 1 / (2 * math.sqrt(math.pi)), normal(0.0)
    u = torch.rand(d, generator=generator, dtype=torch.float64)
    if name == "uniform":
        return u, 1.0, 1.0
    if name == "Laplace":
        return (u - 0.5).sign() * -torch.log1p(-2 * (u - 0.5).abs()), 0.25, 0.5
    return torch.logit(u), 1 / 6, 0.25


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["normal", "uniform", "Laplace", "logistic"])
@pytest.mark.parametrize(("d", "of_law", "of_critical"), [(10**4, 0.05, 0.2), (10**5, 0.02, 0.12)])
def test_estimates_from_weights_are_near_those_of_their_density(name, d, of_law, of_critical):
    """Bounds of three times the root mean squares that the docstrings state."""
    for seed in range(3):
        w, squared, peak = sample(name, d, seed)
        found = 1 - predicted_unique_fraction(w, 0.25)
        assert found == pytest.approx(0.5 * squared, rel=of_law)
        assert critical_strength(w) == pytest.approx(1 / (2 * peak), rel=of_critical)


@pytest.mark.parametrize("shift", [0.0, 1000.0])
@pytest.mark.parametrize("scale", [1.0, 1e-308, 1e304])
def test_estimates_scale_with_the_weights_and_do_not_mind_an_offset(shift, scale):
    w = sample("normal", 2000)[0]
    moved = ((w + shift) * scale).reshape(40, 50).t()
    law, critical = predicted_unique_fraction(w, 0.5), critical_strength(w)
    assert predicted_unique_fraction(moved, 0.5 * scale) == pytest.approx(law, rel=1e-3)
    assert critical_strength(moved) == pytest.approx(critical * scale, rel=1e-9)


def test_rounding_to_few_digits_does_not_look_like_a_peak():
    w = sample("normal", 10**5)[0]
    law = predicted_unique_fraction(w, 0.5)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert predicted_unique_fraction(w.to(dtype), 0.5) == pytest.approx(law, abs=0.03)
    rounded = (w * 4).round() / 4
    assert predicted_unique_fraction(rounded, 0.5) < -1


def test_weights_without_a_density():
    assert critical_strength(torch.ones(7)) == 0.0
    assert critical_strength(torch.tensor([0.0] * 90 + [1.0] * 10)) == 0.0
    with pytest.raises(DomainError, match="10 equal weights"):
        predicted_unique_fraction(torch.zeros(10), 0.1)
    # Quartiles that coincide leave the whole range to measure by.
    assert predicted_unique_fraction(torch.tensor([0.0] * 90 + [1.0] * 10), 0.0) == 1.0
    assert predicted_unique_fraction(torch.tensor([0.0, 1.0]), 0.0) == 1.0


@pytest.mark.parametrize(
    ("w", "error", "match"),
    [
        (torch.arange(4), DtypeError, "int64"),
        (torch.eye(2).to_sparse(), UnsupportedError, "to_dense"),
        (torch.empty(0), DomainError, "at least two"),
        (torch.ones(1), DomainError, "given 1 with 0"),
        (torch.tensor([0.0, math.nan, math.inf]), DomainError, "given 3 with 2"),
    ],
)
def test_tensors_that_tell_no_density_are_refused(w, error, match):
    with pytest.raises(error, match=match):
        critical_strength(w)
    with pytest.raises(error, match=match):
        predicted_unique_fraction(w, 0.5)


def test_a_density_needs_its_support_and_weights_have_none():
    with pytest.raises(DomainError, match="needs its support"):
        predicted_unique_fraction(normal, 0.5)
    with pytest.raises(DomainError, match="leave it out"):
        predicted_unique_fraction(torch.rand(9), 0.5, support=(0.0, 1.0))
    with pytest.raises(DtypeError, match="max_density"):
        critical_strength(None)
    assert critical_strength(torch.tensor(2.0)) == 0.25
