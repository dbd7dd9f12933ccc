"""Tests of coset.sharing.reference: the cases of the specification, in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction as F

import pytest
import torch

from coset.core.errors import DomainError, DtypeError
from coset.sharing.reference import (
    pairwise_penalty_reference,
    prox_sharing_reference,
    sharing_blocks_reference,
)

# (weights, strength, l1, rewind, result), all exact.
EXACT = [
    ([1, 2], F(1, 2), 0, 0, [F(3, 2), F(3, 2)]),
    ([3, 1, 2], F(1, 4), 0, 0, [F(11, 4), F(5, 4), 2]),
    ([0, 0, 3], 1, 0, 0, [F(1, 2), F(1, 2), 2]),
    ([0, 1, 10, 11], F(3, 4), 0, 0, [F(3, 4), F(5, 4), F(39, 4), F(41, 4)]),
    ([0, 1, 10, 11], F(3, 4), 1, 0, [0, F(1, 4), F(35, 4), F(37, 4)]),
    ([5, -1, 0, 0, 2], 1, 0, 0, [4, 0, F(1, 4), F(1, 4), F(3, 2)]),
    ([0, 1, 2, 3], F(3, 2), 0, 0, [F(3, 2)] * 4),
    ([2, 2, 2], 7, 0, 0, [2, 2, 2]),
    ([-3, 0, 0, 0, 4], 2, 0, 0, [-1, 0, 0, 0, 2]),
    ([0, 0, 0, 0, F(5, 2), 5], 5, 0, 0, [F(5, 4)] * 6),
    ([0, 0, 3], 1, 0, F(1, 2), [F(1, 4), F(1, 4), F(5, 2)]),
    ([0, 0, 3], 1, 0, 1, [0, 0, 3]),
    ([0, 1, 1, 1, 1], F(8, 5), 0, 0, [F(4, 5)] * 5),
    ([F(1, 10), F(3, 10)], F(1, 20), F(3, 20), 0, [0, F(1, 10)]),
    ([], 1, 0, 0, []),
    ([7], 3, 2, 0, [5]),
    ([3, 1, 1], 0, 0, 0, [3, 1, 1]),
]


@pytest.mark.parametrize(("w", "g", "l1", "rewind", "right"), EXACT)
def test_exact_cases(w, g, l1, rewind, right):
    found = prox_sharing_reference([F(v) for v in w], g, l1=l1, rewind=rewind)
    assert found == right
    assert all(isinstance(v, (F, int)) for v in found)


def test_integers_are_read_as_rationals():
    assert prox_sharing_reference([0, 1], F(1, 3)) == [F(1, 3), F(2, 3)]


@pytest.mark.parametrize("g", [-1, F(-1, 10**400), float("nan")])
def test_blocks_want_a_strength_that_is_not_negative(g):
    with pytest.raises(DomainError, match="strength"):
        sharing_blocks_reference([0, 1], g)
    with pytest.raises(DomainError, match="strength"):
        prox_sharing_reference([0, 1], g)


@pytest.mark.parametrize("name", ["strength", "l1", "rewind"])
def test_settings_that_are_no_numbers_are_refused(name):
    with pytest.raises(DtypeError, match=f"{name} must be a real number"):
        prox_sharing_reference([0, 1], **{"strength": 1, name: "1"})


def test_tensors_keep_shape_and_dtype():
    w = torch.tensor([[3.0, 1.0], [2.0, 1.0]])
    found = prox_sharing_reference(w, 0.75)
    assert found.dtype == torch.float32
    assert found.tolist() == [[2.25, 1.5], [1.75, 1.5]]


def test_blocks_pool_when_they_touch_and_never_at_strength_zero():
    assert sharing_blocks_reference([0, 1, 2, 3], F(3, 2)) == [(0, 4)]
    assert sharing_blocks_reference([0, 0, 3], 0) == [(0, 1), (1, 2), (2, 3)]


def test_penalty_is_exact_and_the_prox_minimizes():
    w, g = [F(3), F(1), F(2), F(5), F(1)], F(1, 3)

    def objective(u):
        return sum((a - b) ** 2 for a, b in zip(u, w, strict=True)) / 2 + (
            g * pairwise_penalty_reference(u)
        )

    best = prox_sharing_reference(w, g)
    for i in range(5):
        for step in (F(-1, 100), F(1, 100)):
            moved = [v + step * (i == j) for j, v in enumerate(best)]
            assert objective(moved) > objective(best)


@pytest.mark.parametrize("options", [{"strength": -1}, {"l1": -1}, {"rewind": 2}, {"rewind": -1}])
def test_domain_errors(options):
    with pytest.raises(DomainError, match=r"≥ 0"):
        prox_sharing_reference([0, 1], **{"strength": 1, **options})


def test_dtype_error():
    with pytest.raises(DtypeError, match="int64"):
        prox_sharing_reference(torch.arange(3), 1.0)
