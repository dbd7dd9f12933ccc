"""Tests of coset.sharing.penalty."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, RangeError, UnsupportedError
from coset.core.numerics import tolerance
from coset.sharing.penalty import pairwise_penalty, read_number
from coset.sharing.reference import pairwise_penalty_reference


@pytest.mark.parametrize(
    ("values", "right"),
    [([1, 2], 1), ([3, 1, 2], 2), ([0, 1, 10, 11], 14), ([], 0), ([5], 0), ([2, 2, 2], 0)],
)
def test_values_by_hand(values, right):
    w = torch.tensor(values, dtype=torch.float64)
    assert float(pairwise_penalty(w)) == right
    assert float(pairwise_penalty_reference(w)) == right


@pytest.mark.oracle
@pytest.mark.parametrize("d", [2, 3, 64, 65, 200])
def test_equals_the_double_loop(d, generator):
    w = torch.randn(d, generator=generator, dtype=torch.float64)
    w[: d // 2] = w[: d // 2].round()
    bound = tolerance(torch.float64, d * d, "mean", scale=d * float(w.abs().max()))
    assert abs(float(pairwise_penalty(w)) - pairwise_penalty_reference(w)) <= bound
    plain = float(pairwise_penalty(w, normalize=False))
    assert abs(plain - (d - 1) * pairwise_penalty_reference(w)) <= d * bound


def test_gradient_gives_ties_their_mean_rank():
    w = torch.tensor([4.0, 0.0, 0.0, -1.0], requires_grad=True)
    pairwise_penalty(w).backward()
    assert w.grad.tolist() == [1.0, 0.0, 0.0, -1.0]
    zeros = torch.tensor([0.0, -0.0, 0.0], requires_grad=True)
    pairwise_penalty(zeros).backward()
    assert zeros.grad.tolist() == [0.0, 0.0, 0.0]


def test_gradcheck(generator):
    w = torch.randn(3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: pairwise_penalty(w, dim=0), w)
    assert torch.autograd.gradgradcheck(lambda w: pairwise_penalty(w, dim=1), w)


def test_along_a_dimension(generator):
    w = torch.randn(3, 4, 5, generator=generator)
    found = pairwise_penalty(w, dim=1)
    assert found.shape == (3, 5)
    torch.testing.assert_close(found[2, 3], pairwise_penalty(w[2, :, 3]))
    assert pairwise_penalty(w[:, :0], dim=1).tolist() == torch.zeros(3, 5).tolist()


def test_a_large_offset_costs_no_digits(generator):
    w = torch.randn(1000, generator=generator, dtype=torch.float64).round(decimals=3)
    shifted = pairwise_penalty(w + 2.0**20) - pairwise_penalty(w)
    assert abs(float(shifted)) <= tolerance(torch.float64, 1000, "sum", scale=2.0**20)
    assert pairwise_penalty(w.to(torch.float16)).dtype == torch.float16


def test_errors():
    with pytest.raises(DtypeError, match="int64"):
        pairwise_penalty(torch.arange(3))
    with pytest.raises(RangeError, match="dim"):
        pairwise_penalty(torch.zeros(3), dim=1)
    assert pairwise_penalty(torch.tensor([0.0, float("nan")])).isnan()


def test_only_the_result_may_overflow():
    # d²/4 pairs of distance 2 · 1e308, over d − 1 = 3, is beyond float64; a fourth of it is not.
    w = torch.tensor([1e308, -1e308, 1e308, -1e308], dtype=torch.float64)
    assert float(pairwise_penalty(w)) == math.inf
    assert float(pairwise_penalty(w / 4)) == pytest.approx(5e307 * (4 / 3), rel=1e-15)
    assert float(pairwise_penalty(w[:2] * 0.8)) == pytest.approx(1.6e308, rel=1e-15)
    assert float(pairwise_penalty(w[[0, 0, 0]])) == 0.0
    small = torch.tensor([3e38, -3e38])
    assert float(pairwise_penalty(small)) == math.inf
    wide = pairwise_penalty(small.double())
    assert float(wide) == pytest.approx(2 * float(small[0]), rel=1e-15)
    assert float(pairwise_penalty(torch.tensor([3e38, 2e38, 3e38]))) == pytest.approx(1e38)


def test_the_gradient_of_large_weights_and_groups_beside_them():
    w = torch.tensor([[1e308, -1e308, -1.2e308], [1.0, 2.0, 4.0]], dtype=torch.float64)
    w.requires_grad_()
    found = pairwise_penalty(w / 2, dim=1)
    assert found[1] == 1.5
    pairwise_penalty(w, dim=1).sum().backward()
    assert w.grad.tolist() == [[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("w", "error", "match"),
    [
        ([1.0, 2.0], DtypeError, "given list; make one with torch.tensor"),
        (torch.zeros(2, dtype=torch.complex64), DtypeError, "w.real and w.imag"),
        (torch.zeros(2).to(torch.float8_e4m3fn), DtypeError, "w.float"),
        (torch.eye(2).to_sparse(), UnsupportedError, "w.to_dense"),
    ],
)
def test_advice_fits_what_was_given(w, error, match):
    with pytest.raises(error, match=match):
        pairwise_penalty(w)


@pytest.mark.parametrize("dim", [0.5, "0", (0,)])
def test_a_dimension_is_an_integer(dim):
    with pytest.raises(DtypeError, match="dim must be an integer"):
        pairwise_penalty(torch.zeros(2, 2), dim=dim)


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), np.int8(2), np.array(2.0), torch.tensor(2), Fraction(2)]
)
def test_real_numbers_are_read(value):
    found = read_number(value, "x")
    assert (type(found), found) == (float, 2.0)


@pytest.mark.parametrize(
    "value", ["2", None, True, 2j, np.array(True), np.ones(1), [2], torch.tensor(1j)]
)
def test_what_is_no_real_number_is_refused(value):
    with pytest.raises(DtypeError, match="x must be a real number"):
        read_number(value, "x")


def test_a_number_beyond_float64_is_refused():
    with pytest.raises(DomainError, match=r"math\.inf"):
        read_number(10**5000, "x")
