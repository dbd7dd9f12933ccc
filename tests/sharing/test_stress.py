"""Cluster stress: exact values, agreement with the prox, rows, extremes, and what it refuses."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnsupportedError
from coset.core.numerics import tolerance
from coset.sharing.prox import prox_sharing
from coset.sharing.reference import sharing_blocks_reference
from coset.sharing.stress import cluster_stress


def tensor(*values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


@pytest.mark.parametrize(
    ("delta", "strength", "stress"),
    [
        # One cluster of 3 among d = 4 weights: k(m − k)/(d − 1) = 2/3 for k = 1 and 2.
        ([1, 0, -1, 9], 1.0, 3 / 2),
        ([1, 0, -1, 9], 1.5, 1.0),
        ([2, -1, -1, 9], 1.0, 3.0),
        ([1, 1, -2, 9], 1.0, 3.0),
        ([5, 5, 5, 9], 1.0, 0.0),
        ([1, 0, -1, 9], math.inf, 0.0),
        ([1, 0, -1, 9], 0.0, math.inf),
        ([5, 5, 5, 9], 0.0, 0.0),
    ],
)
def test_values_computed_by_hand(delta, strength, stress):
    found = cluster_stress(tensor(0, 0, 0, 100), tensor(*delta), strength)
    assert found.stress.tolist() == pytest.approx([stress, 0.0], rel=1e-14)
    assert found.masses.tolist() == [3, 1]
    assert found.values.tolist() == [0.0, 100.0]
    assert found.holds.tolist() == [stress <= 1, True]
    assert found.index.tolist() == [0, 0, 0, 1]
    assert (found.num_clusters, found.counts.tolist()) == (2, [2])


@pytest.mark.oracle
def test_a_cluster_re_forms_exactly_at_stress_one(generator):
    """Rational arithmetic: at strength g · stress the cluster is one block, a hair below it not."""
    for _ in range(100):
        m, others = (int(torch.randint(low, 9, (), generator=generator)) for low in (2, 0))
        d = m + others
        steps = torch.randint(-64, 65, (m,), generator=generator)
        delta = [Fraction(int(v), 8) for v in steps]
        mean = sum(delta) / m
        ordered = sorted((v - mean for v in delta), reverse=True)
        needed = max(sum(ordered[:k]) * (d - 1) / (k * (m - k)) for k in range(1, m))
        w = torch.cat([torch.zeros(m), 1e6 * torch.arange(1, others + 1)]).double()
        step = torch.cat([steps / 8, torch.zeros(others)]).double()
        found = cluster_stress(w, step, 0.5)
        assert float(found.stress[0]) == pytest.approx(float(2 * needed), rel=1e-13)
        assert found.stress[1:].tolist() == [0.0] * others
        if needed == 0:
            continue
        x = sorted(delta) + [Fraction(10**6) * k for k in range(1, others + 1)]
        assert (0, m) in sharing_blocks_reference(x, needed)
        assert (0, m) not in sharing_blocks_reference(x, needed * (1 - Fraction(1, 10**9)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_in_training_the_clusters_that_hold_are_those_that_stay(dtype, generator):
    w = torch.tensor([-64.0, 0.0, 64.0, 128.0]).repeat_interleave(30).to(dtype)
    gradient = torch.randn(120, generator=generator) * torch.tensor(
        [0.1, 0.4, 1.5, 3.0]
    ).repeat_interleave(30)
    delta = (-0.5 * gradient).to(dtype)
    found = cluster_stress(w, delta, 0.5 * 8)
    assert set(found.holds.tolist()) == {True, False}
    _, info = prox_sharing(w.double() + delta.double(), 0.5 * 8, return_info=True)
    for cluster, holds in enumerate(found.holds.tolist()):
        labels = info.index[found.index == cluster].unique()
        assert (labels.numel() == 1) == holds
    assert found.values.dtype == dtype
    # The learning rate cancels.
    bare = cluster_stress(w, -gradient.to(dtype), 8)
    bound = 60 * tolerance(dtype, scale=float(found.stress.max()))
    assert (bare.stress - found.stress).abs().max() <= bound


def test_rows_are_groups_of_their_own(generator):
    w = torch.randint(0, 3, (4, 2, 9), generator=generator).double()
    delta = torch.randn(4, 2, 9, generator=generator, dtype=torch.float64)
    strength = torch.rand(4, 9, generator=generator, dtype=torch.float64)
    found = cluster_stress(w, delta, strength, dim=1)
    assert found.counts.shape == (36,)
    assert found.index.shape == w.shape
    parts = [part.split(found.counts.tolist()) for part in (found.stress, found.values)]
    for row in range(36):
        i, j = divmod(row, 9)
        one = cluster_stress(w[i, :, j], delta[i, :, j], float(strength[i, j]))
        assert parts[0][row].tolist() == pytest.approx(one.stress.tolist(), rel=1e-12)
        assert parts[1][row].tolist() == one.values.tolist()
        assert found.index[i, :, j].tolist() == one.index.tolist()


def test_a_quiet_cluster_beside_a_loud_one_keeps_its_digits():
    w = tensor(*[0.0] * 1000, *[9.0] * 4)
    quiet = [1e-30, 0.0, 0.0, -1e-30]
    loud = [1e10 * (-1) ** i for i in range(1000)]
    found = cluster_stress(w, tensor(*loud, *quiet), 1.0)
    alone = cluster_stress(tensor(*[0.0] * 1000, 9, 9, 9, 9), tensor(*[0.0] * 1000, *quiet), 1.0)
    assert float(found.stress[1]) == pytest.approx(float(alone.stress[1]), rel=1e-9)
    shifted = cluster_stress(tensor(0, 0, 0), tensor(1, 0, -1) + 2.0**40, 1.0)
    assert shifted.stress.tolist() == [1.0]


def test_huge_steps_and_weights_do_not_overflow():
    w = tensor(-1.7e308, -1.7e308, -1.7e308, 1.7e308)
    found = cluster_stress(w, tensor(1.7e308, -1.7e308, -1.7e308, 0), 1e308)
    # Centered: 2/3 · 3.4e308; k = 1 asks for at most g · 2/3.
    assert found.stress.tolist() == pytest.approx([3.4, 0.0])
    assert cluster_stress(w, tensor(1.7e308, -1.7e308, 0, 0), 1e-9).stress[0] == math.inf


def test_signed_zeros_are_one_value_and_memory_order_does_not_matter(generator):
    assert cluster_stress(tensor(0.0, -0.0), tensor(1, -1), 1.0).stress.tolist() == [1.0]
    w = torch.randint(0, 3, (5, 7), generator=generator).double()
    delta = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    found = cluster_stress(w.T, delta.T, 0.5)
    right = cluster_stress(w.T.contiguous(), delta.T.contiguous(), 0.5)
    assert found.stress.equal(right.stress)
    assert found.index.equal(right.index)


@pytest.mark.parametrize(
    ("shape", "dim", "counts"),
    [((0,), None, [0]), ((), None, [1]), ((1,), None, [1]), ((3, 0), 1, [0] * 3), ((0, 3), 1, [])],
)
def test_empty_and_single_weights_are_calm(shape, dim, counts):
    found = cluster_stress(torch.zeros(shape), torch.ones(shape), 0.0, dim=dim)
    assert found.counts.tolist() == counts
    assert found.stress.tolist() == [0.0] * sum(counts)
    assert found.holds.all()
    assert found.index.shape == shape


def test_neither_input_changes_and_gradients_are_no_trouble():
    w = torch.nn.Parameter(tensor(0, 0, 1))
    delta = tensor(1, -1, 0)
    found = cluster_stress(w, delta, torch.tensor(1.0, requires_grad=True))
    assert not found.stress.requires_grad
    assert w.tolist() == [0, 0, 1]
    assert delta.tolist() == [1, -1, 0]


W = tensor(0, 0, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([0.0], W, 1.0), DtypeError, "weights must be a real floating-point tensor; given list"),
        ((W, None, 1.0), DtypeError, "delta must be a real floating-point tensor"),
        ((W.int(), W, 1.0), DtypeError, "weights must be"),
        ((W, W[:2], 1.0), ShapeError, r"shape of the weights, \(3,\); given \(2,\)"),
        ((W, W.to("meta"), 1.0), ShapeError, "device of the weights, cpu; given meta"),
        ((W, tensor(0, math.nan, 0), 1.0), DomainError, r"delta must be finite.*index \(1,\)"),
        ((tensor(0, 0, math.inf), W, 1.0), DomainError, r"weights must be finite; given inf"),
        ((W, W, -1.0), DomainError, "strength must be a number ≥ 0; given -1"),
        ((W, W, math.nan), DomainError, "strength must be a number ≥ 0; given nan"),
        ((W, W, "1"), DtypeError, "strength must be a real number"),
        ((W, W, tensor(1, 1)), ShapeError, "one for each group in shape"),
        ((W, W, torch.tensor([True])), DtypeError, "strength must be real"),
        ((W.to_sparse(), W, 1.0), UnsupportedError, "to_dense"),
    ],
)
def test_impossible_input_is_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        cluster_stress(*arguments)


def test_impossible_dimensions_are_refused():
    with pytest.raises(RangeError, match="dim must lie in"):
        cluster_stress(W, W, 1.0, dim=1)
    with pytest.raises(DtypeError, match="dim must be an integer"):
        cluster_stress(W, W, 1.0, dim=0.5)
