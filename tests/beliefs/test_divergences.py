"""Divergences in closed form: worked values, limits, supports, gradients, and bad input."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.divergences import (
    chernoff,
    gaussian_inconsistency,
    pdg_divergence,
    pooled,
    renyi,
)
from coset.beliefs.errors import NotNormalizedError
from coset.beliefs.units import in_units
from coset.core.errors import DomainError, DtypeError, ShapeError


def tensor(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


P, Q = tensor(0.7, 0.2, 0.1), tensor(0.1, 0.3, 0.6)
HALF = tensor(0.5, 0.5)


def random_pair(seed: int, n: int = 5, batch: tuple[int, ...] = ()) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tables = torch.rand(2, *batch, n, generator=generator, dtype=torch.float64)
    return list(tables / tables.sum(-1, keepdim=True))


def relative_entropy(p: torch.Tensor, q: torch.Tensor) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist(), strict=True) if a)


@pytest.mark.parametrize(
    ("r", "s", "value"),
    [
        (1, 1, 0.5634713622301675),
        (2, 1, 0.7585456808800792),
        (1, 3, 0.8079550025034137),
    ],
)
def test_worked_values_w1(r, s, value):
    assert float(pdg_divergence(P, Q, r, s)) == pytest.approx(value, abs=1e-15)


def test_worked_value_w2():
    value = pdg_divergence(tensor(0.7, 0.3), tensor(0.4, 0.6))
    assert float(value) == pytest.approx(0.09541140987375518, abs=1e-15)


@pytest.mark.parametrize("r", [0.25, 1.0, 3.0])
def test_pair_is_a_renyi_divergence(r):
    p, q = random_pair(1)
    assert float(pdg_divergence(p, q, r, 2.0)) == pytest.approx(
        2.0 * float(renyi(p, q, r / (r + 2.0))), rel=1e-13
    )


def test_certainty_is_the_limit_of_confidence():
    p, q = random_pair(2)
    certain = float(pdg_divergence(p, q, math.inf, 3.0))
    assert certain == pytest.approx(3.0 * relative_entropy(p, q), rel=1e-13)
    assert float(pdg_divergence(p, q, 1e7, 3.0)) == pytest.approx(certain, rel=1e-5)
    assert float(pdg_divergence(p, q, 3.0, math.inf)) == pytest.approx(
        3.0 * relative_entropy(q, p), rel=1e-13
    )


def test_two_certain_beliefs_agree_or_contradict():
    assert float(pdg_divergence(P, P, math.inf, math.inf)) == 0.0
    assert float(pdg_divergence(P, Q, math.inf, math.inf)) == math.inf
    assert float(pooled([P, Q, P], [math.inf, 1.0, math.inf])) == pytest.approx(
        relative_entropy(P, Q)
    )


def test_no_confidence_counts_for_nothing():
    zero = tensor(1.0, 0.0)
    assert float(pdg_divergence(zero, tensor(0.0, 1.0), 0.0, 5.0)) == 0.0
    assert float(pdg_divergence(zero, HALF, 0.0, 0.0)) == 0.0
    assert float(pooled([zero, HALF, tensor(0.0, 1.0)], [0.0, 2.0, math.inf])) == pytest.approx(
        2 * math.log(2.0)
    )
    assert pooled([P.expand(4, 3), Q], [0.0, 0.0]).shape == (4,)


def test_disjoint_supports_are_infinite_and_common_ones_are_not():
    assert float(pdg_divergence(tensor(1.0, 0.0), tensor(0.0, 1.0))) == math.inf
    assert float(pdg_divergence(tensor(0.5, 0.5, 0.0), tensor(0.0, 0.5, 0.5))) == pytest.approx(
        2 * math.log(2)
    )
    assert float(pdg_divergence(HALF, tensor(1.0, 0.0), math.inf, 1.0)) == math.inf
    assert float(pdg_divergence(tensor(1.0, 0.0), HALF, math.inf, 1.0)) == pytest.approx(
        math.log(2)
    )


def test_one_belief_and_one_value_agree():
    assert float(pooled([P], [3.0])) == 0.0
    assert float(pdg_divergence(tensor(1.0), tensor(1.0), 2.0, 3.0)) == 0.0


def test_batches_broadcast_and_equal_the_loop():
    p, q = random_pair(3, batch=(4, 1))
    found = pdg_divergence(p, q[:, 0].expand(4, 4, 5), 2.0, 0.5)
    assert found.shape == (4, 4)
    assert float(found[2, 3]) == pytest.approx(float(pdg_divergence(p[2, 0], q[3, 0], 2.0, 0.5)))


def test_gradients_are_right_and_finite_at_zeros():
    p, q = (x.log().requires_grad_() for x in random_pair(4))

    def value(a: torch.Tensor, b: torch.Tensor, r: float) -> torch.Tensor:
        return pdg_divergence(a.softmax(-1), b.softmax(-1), r, 1.5)

    for r in (0.5, 2.0, math.inf):
        assert torch.autograd.gradcheck(lambda a, b, r=r: value(a, b, r), (p, q))
    assert torch.autograd.gradcheck(lambda a, b: chernoff(a.softmax(-1), b.softmax(-1)), (p, q))
    table = tensor(0.0, 0.4, 0.6).requires_grad_()
    pdg_divergence(table, P).backward()
    assert table.grad is not None
    assert bool(torch.isfinite(table.grad).all())


def test_single_precision_stays_single_and_near():
    found = pdg_divergence(P.float(), Q.float(), 2.0, 1.0)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(0.7585456808800792, abs=1e-6)


@pytest.mark.parametrize("order", [0.3, 2.0, 5.0])
def test_renyi_divergence_by_its_sum(order):
    p, q = random_pair(5)
    literal = math.log(float((p**order * q ** (1 - order)).sum())) / (order - 1)
    assert float(renyi(p, q, order)) == pytest.approx(literal, rel=1e-12)


def test_renyi_divergence_grows_with_its_order_and_ends_at_known_ones():
    p, q = random_pair(6)
    orders = (0.0, 0.2, 0.999999, 1.0, 1.000001, 3.0, 200.0, math.inf)
    values = [float(renyi(p, q, order)) for order in orders]
    assert values == sorted(values)
    assert values[0] == 0.0
    assert values[3] == pytest.approx(relative_entropy(p, q), rel=1e-13)
    assert values[2] == pytest.approx(values[3], abs=1e-5)
    assert values[-1] == pytest.approx(math.log(float((p / q).max())), rel=1e-13)


def test_renyi_divergence_with_zeros():
    p, q = tensor(0.5, 0.5, 0.0), tensor(0.25, 0.0, 0.75)
    assert float(renyi(p, q, 0.0)) == pytest.approx(math.log(4.0))
    assert float(renyi(p, q, 0.5)) == pytest.approx(-2 * math.log(math.sqrt(0.125)))
    for order in (1.0, 2.0, math.inf):
        assert float(renyi(p, q, order)) == math.inf
    assert float(renyi(q, tensor(0.25, 0.25, 0.5), 2.0)) == pytest.approx(math.log(0.25 + 1.125))


def test_chernoff_information_is_the_largest_of_all_weights():
    p, q = random_pair(7)
    best = float(chernoff(p, q))
    some = [float(chernoff(p, q, k / 1000)) for k in range(1001)]
    assert max(some) <= best + 1e-14
    assert max(some) == pytest.approx(best, abs=1e-6)
    assert some[0] == pytest.approx(0.0, abs=1e-15)
    assert some[500] == pytest.approx(-math.log(float((p * q).sqrt().sum())), rel=1e-12)


def test_chernoff_information_when_supports_differ():
    # One support inside the other: the largest value is a limit at the end w = 1.
    assert float(chernoff(tensor(1.0, 0.0), HALF)) == pytest.approx(math.log(2.0))
    assert float(chernoff(tensor(1.0, 0.0), tensor(0.0, 1.0))) == math.inf
    assert float(chernoff(P, P)) == 0.0


@pytest.mark.parametrize(
    ("given", "value"),
    [((0.0, 1.0, 2.0, 1.0), 1.0), ((0.0, 1.0, 1.0, 2.0, 2.0, 1.0), 0.37273518299338)],
)
def test_worked_values_w5(given, value):
    assert float(gaussian_inconsistency(*given)) == pytest.approx(value, abs=1e-14)


def by_quadrature(m1: float, s1: float, m2: float, s2: float, b1: float, b2: float) -> float:
    x = torch.linspace(-40, 40, 400_001, dtype=torch.float64)
    logs = [
        -(((x - m) / s) ** 2) / 2 - math.log(s * math.sqrt(2 * math.pi))
        for m, s in ((m1, s1), (m2, s2))
    ]
    total = b1 + b2
    mixed = ((b1 * logs[0] + b2 * logs[1]) / total).exp()
    return -total * math.log(float(torch.trapezoid(mixed, x)))


@pytest.mark.parametrize(("b1", "b2"), [(1.0, 1.0), (0.5, 3.0), (4.0, 0.25)])
def test_gaussians_by_quadrature(b1, b2):
    given = (0.5, 1.3, -1.0, 0.7, b1, b2)
    assert float(gaussian_inconsistency(*given)) == pytest.approx(by_quadrature(*given), abs=1e-10)


def test_gaussian_certainty_is_the_limit():
    certain = float(gaussian_inconsistency(0.5, 1.3, -1.0, 0.7, math.inf, 2.0))
    kl = math.log(0.7 / 1.3) + (1.3**2 + 1.5**2) / (2 * 0.7**2) - 0.5
    assert certain == pytest.approx(2.0 * kl, rel=1e-13)
    near = float(gaussian_inconsistency(0.5, 1.3, -1.0, 0.7, 1e7, 2.0))
    assert near == pytest.approx(certain, rel=1e-5)
    swapped = float(gaussian_inconsistency(-1.0, 0.7, 0.5, 1.3, 2.0, math.inf))
    assert swapped == certain


def test_certain_gaussians_and_none():
    both = (math.inf, math.inf)
    assert float(gaussian_inconsistency(1.0, 2.0, 1.0, 2.0, *both)) == 0.0
    assert float(gaussian_inconsistency(1.0, 2.0, 1.0, 3.0, *both)) == math.inf
    assert float(gaussian_inconsistency(0.0, 1.0, 9.0, 1.0, 0.0, 0.0)) == 0.0


def test_gaussians_broadcast_and_pass_gradcheck():
    means = torch.tensor([0.3, -0.5], dtype=torch.float64, requires_grad=True)
    sds = torch.tensor([[1.0], [2.0]], dtype=torch.float64, requires_grad=True)
    for b in (1.0, math.inf):
        assert torch.autograd.gradcheck(
            lambda m, s, b=b: gaussian_inconsistency(m, s, 0.1, 0.8, b, 2.0), (means, sds)
        )
    assert gaussian_inconsistency(means, sds, 0.1, 0.8).shape == (2, 2)


def test_unit_gaussians_give_a_quarter_of_the_squared_difference():
    # The thesis prints one half for confidences 1 and 1.
    assert float(gaussian_inconsistency(0.0, 1.0, 3.0, 1.0)) == pytest.approx(9.0 / 4.0)


def test_bits():
    nats = float(pdg_divergence(P, Q))
    assert float(pdg_divergence(P, Q, units="bits")) == pytest.approx(nats / math.log(2))
    assert float(gaussian_inconsistency(0, 1, 2, 1, units="bits")) == pytest.approx(1 / math.log(2))
    with pytest.raises(DomainError, match='"nats" or "bits"; given \'nat\''):
        in_units(1.0, "nat")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: pooled([], []), ShapeError, "0 beliefs and 0 confidences"),
        (lambda: pooled([P], [1.0, 2.0]), ShapeError, "1 beliefs and 2"),
        (lambda: pooled([P, HALF], [1.0, 1.0]), ShapeError, "one variable"),
        (lambda: pooled([P.expand(3, 3), Q.expand(2, 3)], [1.0, 1.0]), ShapeError, "broadcast"),
        (lambda: renyi(P.expand(3, 3), Q.expand(2, 3), 0.5), ShapeError, "broadcast"),
        (lambda: chernoff(P.expand(3, 3), Q.expand(2, 3)), ShapeError, "broadcast"),
        (lambda: pooled([P, Q], [1e308, 1e308]), DomainError, "finite sum"),
        (lambda: pdg_divergence(P, Q, -1.0), DomainError, "≥ 0"),
        (lambda: pdg_divergence(P, Q, math.nan), DomainError, "≥ 0"),
        (lambda: pdg_divergence(P, tensor(0.5, 0.4, 0.2)), NotNormalizedError, "sums to 1.1"),
        (lambda: pdg_divergence(P, tensor(1.5, -0.5, 0.0)), DomainError, "negative or NaN"),
        (lambda: pdg_divergence(P, torch.tensor([1, 0, 0])), DtypeError, "floating"),
        (lambda: pdg_divergence(tensor(), tensor()), NotNormalizedError, "sums to 0"),
        (lambda: pdg_divergence(torch.tensor(1.0), Q), ShapeError, "one axis"),
        (lambda: renyi(P, Q, -0.1), DomainError, "order"),
        (lambda: renyi(P, HALF, 2.0), ShapeError, "one variable"),
        (lambda: chernoff(P, Q, 1.5), DomainError, "between 0 and 1"),
        (lambda: gaussian_inconsistency(0.0, 0.0, 1.0, 1.0), DomainError, "> 0"),
        (lambda: gaussian_inconsistency(0.0, 1.0, math.inf, 1.0), DomainError, "finite"),
        (lambda: gaussian_inconsistency(0.0, 1e-200, 0.0, 1e-200), DomainError, "squares"),
        (lambda: gaussian_inconsistency(P, 1.0, HALF, 1.0), ShapeError, "broadcast"),
        (lambda: gaussian_inconsistency(0.0, 1.0, 1.0, 1.0, -2.0), DomainError, "≥ 0"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
