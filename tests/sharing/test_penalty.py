"""Tests of coset.sharing.penalty."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import DtypeError, RangeError
from coset.core.numerics import tolerance
from coset.sharing.penalty import pairwise_penalty
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
