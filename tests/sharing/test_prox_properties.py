"""Properties C1, C6, C7, C8, C9, C11, C12 of the sharing prox on random rows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.core.numerics import tolerance
from coset.sharing.prox import prox_sharing
from coset.sharing.strengths import all_merge_strength

pytestmark = pytest.mark.property

ordinary = st.floats(-8, 8, allow_subnormal=False)
tied = st.integers(-8, 8).map(lambda k: k / 4)
rows = st.lists(st.one_of(ordinary, tied), min_size=2, max_size=40).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)
strengths = st.one_of(
    st.floats(0, 6, allow_subnormal=False), st.integers(0, 24).map(lambda k: k / 4)
)
profile = settings(max_examples=40, derandomize=True, deadline=None, database=None)


def bound(w: torch.Tensor, g: float = 0.0) -> float:
    return tolerance(torch.float64, w.numel(), "mean", scale=1 + g + float(w.abs().max()))


@profile
@given(rows, strengths)
def test_C1_order_is_kept_and_ties_stay_tied(w, g):
    order = w.argsort()
    inputs, outputs = w[order].diff(), prox_sharing(w, g)[order].diff()
    assert (outputs >= 0).all()
    assert (outputs[inputs == 0] == 0).all()


@profile
@given(rows, strengths, st.floats(-4, 4), st.floats(0.25, 4))
def test_C6_conservation_and_symmetry(w, g, shift, factor):
    out, slack = prox_sharing(w, g), 4 * bound(w, g)
    assert abs(float(out.mean() - w.mean())) <= slack
    assert float((prox_sharing(w + shift, g) - out - shift).abs().max()) <= 2 * slack
    assert float((prox_sharing(factor * w, factor * g) - factor * out).abs().max()) <= 4 * slack
    assert float((prox_sharing(-w, g) + out).abs().max()) <= slack


@profile
@given(rows, rows, strengths)
def test_C6_nothing_moves_apart(w, other, g):
    d = min(w.numel(), other.numel())
    w, other = w[:d], other[:d]
    moved, start = prox_sharing(w, g) - prox_sharing(other, g), w - other
    slack = bound(w, g) + bound(other, g)
    assert float(moved.norm()) <= float(start.norm()) + d * slack
    assert float(moved.abs().max()) <= float(start.abs().max()) + slack


@profile
@given(rows, strengths, st.floats(0, 1))
def test_C7_strengths_add_up(w, g, part):
    twice = prox_sharing(prox_sharing(w, part * g), g - part * g)
    assert float((twice - prox_sharing(w, g)).abs().max()) <= 4 * bound(w, g)


@profile
@given(rows)
def test_C8_all_merge_at_the_stated_strength(w):
    g = all_merge_strength(w)
    slack = 1e-9 * (1 + g)
    assert prox_sharing(w, g + slack, return_info=True)[1].num_clusters == 1
    if g > slack:
        assert prox_sharing(w, g - slack, return_info=True)[1].num_clusters > 1


@profile
@given(rows, strengths)
def test_C9_what_is_taken_off_lies_in_the_permutahedron(w, g):
    d = w.numel()
    taken = (w - prox_sharing(w, g)).sort(descending=True).values.cumsum(0)
    velocity = torch.arange(d - 1, -d, -2, dtype=torch.float64) / (d - 1)
    slack = d * bound(w, g)
    assert (taken <= (g * velocity).cumsum(0) + slack).all()
    assert abs(float(taken[-1])) <= slack


@profile
@given(rows, strengths, st.floats(0, 3))
def test_C11_l1_is_a_soft_threshold_after_the_sharing(w, g, l1):
    y = prox_sharing(w, g)
    right = y.sign() * (y.abs() - l1).clamp(min=0)
    assert float((prox_sharing(w, g, l1=l1) - right).abs().max()) <= bound(w, g)


@profile
@given(rows, strengths, st.randoms(use_true_random=False))
def test_C12_jacobian_averages_over_clusters(w, g, random):
    direction = torch.tensor([random.uniform(-1, 1) for _ in w], dtype=torch.float64)
    leaf = w.clone().requires_grad_(True)
    strength = torch.tensor(g, dtype=torch.float64, requires_grad=True)
    out, info = prox_sharing(leaf, strength, return_info=True)
    grad_w, grad_g = torch.autograd.grad(out, (leaf, strength), direction)
    index = info.index.long()
    sums = torch.zeros(info.num_clusters, dtype=torch.float64).index_add_(0, index, direction)
    assert float((grad_w - (sums / info.masses)[index]).abs().max()) <= bound(direction)
    velocity = (w.numel() - 2.0 * info.starts.double() - info.masses) / (w.numel() - 1.0)
    assert abs(float(grad_g - sums @ velocity)) <= w.numel() * bound(direction)
    blocks = [
        prox_sharing(w, g * factor, return_info=True)[1].starts.tolist()
        for factor in (1 - 1e-4, 1.0, 1 + 1e-4)
    ]
    if g > 0.01 and blocks[0] == blocks[1] == blocks[2]:
        step = 1e-6
        ahead, behind = prox_sharing(w, g + step), prox_sharing(w, g - step)
        numeric = float((ahead - behind) @ direction) / (2 * step)
        assert abs(numeric - float(grad_g)) <= 1e-6


@profile
@given(rows, strengths, strengths)
def test_more_strength_never_gives_more_clusters(w, g, more):
    counts = [prox_sharing(w, s, return_info=True)[1].num_clusters for s in sorted((g, g + more))]
    assert counts[0] >= counts[1]
