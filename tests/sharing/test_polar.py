"""The polar of the penalty, by brute force over subsets and by its defining inequality."""

from __future__ import annotations

import itertools

import pytest
import torch

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.sharing import pairwise_penalty
from coset.sharing.polar import sharing_polar

RATIOS = (0.0, 0.4, 1.0)


def penalty(w, ratio):
    return (1 - ratio) * float(pairwise_penalty(w)) + ratio * float(w.abs().sum())


def polar_by_subsets(z, ratio):
    """Return the largest ⟨z, ±1_S⟩ / Ω(1_S) over all subsets: indicators are the extreme rays."""
    d, best = len(z), 0.0
    for size in range(1, d + 1):
        indicator = torch.cat([torch.ones(size), torch.zeros(d - size)]).double()
        value = penalty(indicator, ratio)
        for subset in itertools.combinations(z.tolist(), size):
            if value > 0:
                best = max(best, abs(sum(subset)) / value)
    return best


@pytest.mark.oracle
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("d", [1, 2, 3, 6, 9])
def test_the_polar_is_the_best_subset(d, ratio, generator):
    z = torch.randn(d, generator=generator, dtype=torch.float64)
    if ratio == 0:
        z -= z.mean()
    assert float(sharing_polar(z, ratio)) == pytest.approx(polar_by_subsets(z, ratio), rel=1e-12)


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_polar_is_the_support_of_the_penalty(ratio, generator):
    """⟨z, w⟩ ≤ polar(z) Ω(w) for all w, with equality at an indicator."""
    for _ in range(200):
        z, w = torch.randn(2, 7, generator=generator, dtype=torch.float64)
        z = z - z.mean() if ratio == 0 else z
        assert float(z @ w) <= float(sharing_polar(z, ratio)) * penalty(w, ratio) + 1e-12


def test_the_polar_of_rows_and_of_few():
    z = torch.tensor([[3.0, -1.0, -2.0], [0.0, 0.0, 0.0]])
    assert sharing_polar(z).tolist() == [3.0, 0.0]
    assert sharing_polar(z, 1.0).tolist() == [3.0, 0.0]
    assert float(sharing_polar(torch.tensor([5.0]))) == 0
    assert float(sharing_polar(torch.tensor([-5.0]), 0.5)) == 10
    assert float(sharing_polar(torch.empty(0))) == 0
    assert sharing_polar(torch.tensor([[torch.nan, 0.0], [1.0, -1.0]])).tolist()[1] == 1
    assert bool(sharing_polar(torch.tensor([torch.nan, 0.0])).isnan())
    assert float(sharing_polar(torch.tensor([torch.inf, 0.0]), 1.0)) == torch.inf
    assert float(sharing_polar(torch.tensor([1e308, 1e308]).double(), 1.0)) == torch.inf
    wide = torch.randn(4, 6).T  # not contiguous
    assert sharing_polar(wide).equal(sharing_polar(wide.contiguous()))
    with pytest.raises(ShapeError):
        sharing_polar(torch.tensor(1.0))
    with pytest.raises(DtypeError):
        sharing_polar(torch.tensor([1, 2]))
    with pytest.raises(DomainError, match="l1_ratio"):
        sharing_polar(z, -0.1)
