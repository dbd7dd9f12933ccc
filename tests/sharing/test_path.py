"""The whole path: merges by hand, against the particles and the prox, exact ties, bad input."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import pytest
import torch

from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.core.numerics import tolerance
from coset.sharing.claims.cases import plow, random_cases
from coset.sharing.particles import simulate_particles
from coset.sharing.path import sharing_path
from coset.sharing.prox import prox_sharing
from coset.sharing.reference import sharing_blocks_reference
from coset.sharing.strengths import all_merge_strength

SIZES = [0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000]


def test_merges_by_hand():
    path = sharing_path(torch.tensor([7.0, 0.0, 3.0, 1.0]))
    assert path.merges.tolist() == [[1.5, 0, 1, 2], [2.5, 0, 2, 3], [4.25, 0, 3, 4]]
    assert (path.num_weights, path.all_merge_strength) == (4, 4.25)
    # All pairs touch at 3/2, the last two clusters at 3/2 as well.
    path = sharing_path(torch.arange(4.0))
    assert path.merges.tolist() == [[1.5, 0, 1, 2], [1.5, 0, 2, 3], [1.5, 0, 3, 4]]


def dyadic(d, generator):
    """Return short dyadic numbers, rich in ties: sums and products of masses are exact."""
    return (2 * torch.randn(d, generator=generator, dtype=torch.float64)).round() / 2


@pytest.mark.oracle
@pytest.mark.parametrize("d", SIZES)
def test_merges_are_those_of_the_particles(d, generator):
    """Of tied weights the strengths only: the particles' rounded means break exact ties."""
    for w in (torch.randn(d, generator=generator, dtype=torch.float64), dyadic(d, generator)):
        path = sharing_path(w)
        events = simulate_particles(w, [math.inf]).events
        assert path.merges.shape == (len(events), 4)
        wanted = torch.tensor([event.time for event in events], dtype=torch.float64)
        bound = tolerance("float64", d, "mean", scale=float(w.abs().sum()) + 1)
        assert torch.allclose(path.merges[:, 0], wanted, rtol=0, atol=bound)
        assert bool((path.merges[1:, 0] >= path.merges[:-1, 0]).all())
        if w.unique().numel() == d:
            ranks = [[event.start, event.split, event.stop] for event in events]
            assert path.merges[:, 1:].tolist() == ranks


@pytest.mark.oracle
def test_clusters_are_exact_on_fractions(generator):
    """At each strength of a merge, and between them, the blocks are those of exact arithmetic."""
    for d in range(2, 40):
        w = dyadic(d, generator)
        path = sharing_path(w)
        x = [Fraction(v) for v in path.ranked.tolist()]
        strengths = path.merges[:, 0].unique().tolist()
        for g in [*strengths[1:], *(1.5 * s + 0.0625 for s in strengths)]:
            # The stored strength may be rounded up: the exact one is the nearest small fraction.
            exact = Fraction(g).limit_denominator(10**6)
            blocks = sharing_blocks_reference(x, exact)
            found = path.cut(g)[0].reshape(-1)[path.order]
            sizes = torch.bincount(found).tolist()
            assert sizes == [b - a for a, b in blocks]


@pytest.mark.property
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_every_cut_agrees_with_the_prox(dtype, generator):
    for w, strength in random_cases("smoke", generator):
        w = w.to(dtype)
        path = sharing_path(w)
        for g in (0.0, 0.3 * strength, strength, math.inf):
            out, info = prox_sharing(w, g, return_info=True)
            assert path.num_unique(g) == info.num_clusters
            index, values = path.cut(g)
            assert torch.equal(index, info.index)
            assert values.dtype == out.dtype == path.prox(g).dtype == dtype
            scale = float(w.abs().max()) + g if math.isfinite(g) else float(w.abs().max())
            bound = tolerance(dtype, scale=scale) + tolerance("float64", len(w), scale=scale)
            means = prox_sharing(w, g, rewind=1, return_info=True)[1].values
            assert float((values.double() - means.double()).abs().max()) <= bound
            assert float((path.prox(g).double() - out.double()).abs().max()) <= bound


def test_the_plow_and_a_large_offset_cost_no_merge():
    for w in (plow(2001, 0.5), 1000 + 1e-3 * torch.linspace(-1, 1, 2001, dtype=torch.float64)):
        path = sharing_path(w[torch.randperm(2001)])
        for g in (0.1, 0.2, 0.4, 0.5):
            _, info = prox_sharing(w, g * path.all_merge_strength, return_info=True)
            assert path.num_unique(g * path.all_merge_strength) == info.num_clusters
        assert path.all_merge_strength == pytest.approx(all_merge_strength(w), rel=1e-9)


@pytest.mark.property
@pytest.mark.parametrize("few", [2, 3, 10])
def test_bands_change_nothing(few, generator, monkeypatch):
    """The same merges, to the last bit where sums are exact, from many bands as from one heap."""
    inputs = [dyadic(300, generator), torch.randn(300, generator=generator), plow(300, 0.5)]
    inputs += [torch.randn(300, generator=generator).double().exp() ** 3, torch.arange(300.0)]
    whole = [sharing_path(w).merges for w in inputs]
    monkeypatch.setattr("coset.sharing.path._FEW", few)
    for w, right in zip(inputs, whole, strict=True):
        seen = []
        merges = sharing_path(
            w, progress=lambda done, total, s=seen: s.append((done, total))
        ).merges
        assert torch.equal(merges[:, 1:], right[:, 1:])
        assert torch.allclose(merges[:, 0], right[:, 0], rtol=1e-13, atol=0)
        assert bool((merges[:, 0].diff() >= 0).all())
        dones = [done for done, _ in seen]
        assert dones == sorted(dones)
        assert {total for _, total in seen} == {299}
    assert torch.equal(sharing_path(inputs[0]).merges, whole[0])


@pytest.mark.oracle
def test_many_weights_agree_with_the_prox(generator):
    w = torch.randn(40_000, generator=generator)
    w[::3] = 0.0
    for weights in (w, w.double() + 1e6, w.half()):
        path = sharing_path(weights)
        assert path.all_merge_strength == pytest.approx(all_merge_strength(weights), rel=1e-10)
        for g in (1e-4, 0.1, 0.5, 1.0, 2.0):
            _, info = prox_sharing(weights, g, return_info=True)
            assert path.num_unique(g) == info.num_clusters
            starts = info.starts[1:].double()
            merged = path.merges[: len(w) - info.num_clusters, 2]
            assert not torch.isin(starts, merged).any()


def test_number_of_clusters_for_many_strengths(generator):
    w = torch.randn(500, generator=generator)
    path = sharing_path(w)
    grid = torch.linspace(0, 1.1 * path.all_merge_strength, 24).reshape(4, 6)
    counts = path.num_unique(grid)
    assert counts.shape == (4, 6)
    assert counts.dtype == torch.int64
    assert counts.reshape(-1).tolist() == [path.num_unique(float(g)) for g in grid.reshape(-1)]
    assert counts[0, 0] == 500
    assert counts[-1, -1] == 1
    assert path.num_unique(torch.tensor(0.5)) == path.num_unique(0.5)
    assert isinstance(path.num_unique(0.5), int)


def test_strength_for_is_the_smallest(generator):
    w = torch.randn(300, generator=generator)
    path = sharing_path(w)
    for count in (1, 2, 17, 150, 299):
        g = path.strength_for(num_unique=count)
        assert path.num_unique(g) == count == len(path.cut(g)[1])
        assert path.num_unique(math.nextafter(g, 0)) == count + 1
        assert prox_sharing(w, g * (1 + 1e-14), return_info=True)[1].num_clusters == count
    assert path.strength_for(num_unique=300) == path.strength_for(fraction=1) == 0.0
    assert path.strength_for(fraction=0.29) == path.strength_for(num_unique=87)
    assert path.strength_for(fraction=1e-9) == path.strength_for(num_unique=1)


@pytest.mark.parametrize("scale", [1.0, 2.0**900])
def test_equal_weights_are_tied_by_the_smallest_strength_and_by_none_at_zero(scale):
    w = torch.tensor([2.0, 1.0, 2.0, 1.0, 2.0], dtype=torch.float64) * scale
    path = sharing_path(w)
    assert (path.merges[:3, 0] == 0).all()
    assert path.num_unique(0.0) == 5
    tiny = path.strength_for(num_unique=2)
    assert 0 < tiny <= sys.float_info.min * 2.0**600
    assert path.num_unique(tiny) == 2
    assert prox_sharing(w, tiny, return_info=True)[1].num_clusters == 2
    index, values = path.cut(tiny)
    assert index.tolist() == [1, 0, 1, 0, 1]
    assert torch.equal(values[index], w)


@pytest.mark.parametrize("scale", [2.0**-1074, 2.0**-1040, 1.0, 2.0**900])
def test_the_strength_that_ties_equal_weights_merges_nothing_else(scale):
    path = sharing_path(torch.tensor([0.0, 0.0, 4.0, 64.0], dtype=torch.float64) * scale)
    counts = [path.num_unique(path.strength_for(num_unique=count)) for count in (1, 2, 3, 4)]
    assert counts == [1, 2, 3, 4]


def test_cut_keeps_shape_and_dtype_and_the_path_its_own_copy(generator):
    w = torch.randn(6, 5, generator=generator).t()
    kept = w.clone()
    path = sharing_path(w)
    w.zero_()
    index, values = path.cut(0.0)
    assert index.shape == path.prox(0.0).shape == (5, 6)
    assert (index.dtype, values.dtype) == (torch.int32, torch.float32)
    assert torch.equal(values[index], kept)
    assert torch.equal(path.prox(0.0), kept)


@pytest.mark.parametrize("scale", [1.6e308, 2.0**1000])
def test_weights_near_the_end_of_float64(scale):
    w = torch.tensor([1.0, -0.5, 0.25, -1.0, -1.0], dtype=torch.float64)
    plain, found = sharing_path(w), sharing_path(w * scale)
    assert torch.equal(found.merges[:, 1:], plain.merges[:, 1:])
    finite = found.merges[:, 0].isfinite()
    assert finite.tolist() == (plain.merges[:, 0] * scale).isfinite().tolist()
    error = found.merges[finite, 0] / scale - plain.merges[finite, 0]
    assert float(error.abs().max()) <= 1e-15
    for g in (0.3, 0.9):
        assert torch.allclose(found.cut(g * scale)[1] / scale, plain.cut(g)[1], atol=1e-15)
        assert torch.allclose(found.prox(g * scale) / scale, plain.prox(g), atol=1e-15)


def test_empty_and_single():
    for w in (torch.zeros(0), torch.zeros(2, 0), torch.full((1, 1), 3.0)):
        path = sharing_path(w)
        assert path.merges.shape == (0, 4)
        assert path.all_merge_strength == path.strength_for(num_unique=1) == 0.0
        for g in (0.0, 1.0, math.inf):
            index, values = path.cut(g)
            assert path.num_unique(g) == len(values) == w.numel()
            assert index.shape == w.shape
            assert torch.equal(path.prox(g), w)


@pytest.mark.parametrize(
    ("w", "error", "match"),
    [
        ([0.0, 1.0], DtypeError, "given list"),
        (torch.arange(3), DtypeError, "int64"),
        (torch.zeros(2, dtype=torch.complex64), DtypeError, "w.real"),
        (torch.eye(2).to_sparse(), UnsupportedError, "to_dense"),
        (torch.tensor([0.0, math.nan]), DomainError, "nan at position 1"),
        (torch.tensor([[0.0], [-math.inf]]), DomainError, "-inf at position 1"),
    ],
)
def test_what_has_no_path_is_refused(w, error, match):
    with pytest.raises(error, match=match):
        sharing_path(w)


def test_a_tensor_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(UnsupportedError, match="fewer than 2\\^31"):
        sharing_path(torch.zeros(1).expand(2**31))


@pytest.mark.parametrize("g", [-1.0, math.nan, torch.tensor([0.5, -1.0]), torch.tensor([math.nan])])
def test_strengths_below_zero_are_refused(g):
    with pytest.raises(DomainError, match="≥ 0"):
        sharing_path(torch.zeros(2)).num_unique(g)


@pytest.mark.parametrize("g", [torch.ones(2), "1", None])
def test_a_cut_is_made_at_one_strength(g):
    path = sharing_path(torch.zeros(2))
    for call in (path.cut, path.prox):
        with pytest.raises(DtypeError, match="strength must be a real number"):
            call(g)
    assert torch.equal(path.prox(torch.tensor(0.5)), path.prox(0.5))


@pytest.mark.parametrize("g", ["1", None, True, torch.tensor([True]), torch.zeros(1) * 1j])
def test_strengths_that_are_no_numbers_are_refused(g):
    with pytest.raises(DtypeError):
        sharing_path(torch.zeros(2)).num_unique(g)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({}, DomainError, "exactly one"),
        ({"num_unique": 2, "fraction": 0.5}, DomainError, "exactly one"),
        ({"num_unique": 0}, DomainError, "≥ 1; given 0"),
        ({"num_unique": True}, DomainError, "given True"),
        ({"num_unique": 2.0}, DtypeError, "integer; given 2.0"),
        ({"fraction": 0.0}, DomainError, r"\(0, 1\]"),
        ({"fraction": math.nan}, DomainError, "given nan"),
        ({"fraction": "a"}, DtypeError, "fraction"),
    ],
)
def test_what_is_no_number_of_clusters_is_refused(given, error, match):
    with pytest.raises(error, match=match):
        sharing_path(torch.zeros(3)).strength_for(**given)
