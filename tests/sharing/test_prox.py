"""Tests of coset.sharing.prox: values, edge cases, dtypes, dimensions, errors, clusters."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnsupportedError
from coset.core.numerics import EPSILON
from coset.sharing.prox import prox_sharing
from coset.sharing.reference import prox_sharing_reference

METHODS = ("bucket", "pava", "imminent", "end", "search", "bridge", "reference")

# (weights, strength, l1, rewind, result): the exact cases of the specification.
EXACT = [
    ([1, 2], 0.5, 0, 0, [1.5, 1.5]),
    ([3, 1, 2], 0.25, 0, 0, [2.75, 1.25, 2]),
    ([0, 0, 3], 1, 0, 0, [0.5, 0.5, 2]),
    ([0, 1, 10, 11], 0.75, 0, 0, [0.75, 1.25, 9.75, 10.25]),
    ([0, 1, 10, 11], 0.75, 1, 0, [0, 0.25, 8.75, 9.25]),
    ([5, -1, 0, 0, 2], 1, 0, 0, [4, 0, 0.25, 0.25, 1.5]),
    ([0, 1, 2, 3], 1.5, 0, 0, [1.5] * 4),
    ([2, 2, 2], 7, 0, 0, [2, 2, 2]),
    ([-3, 0, 0, 0, 4], 2, 0, 0, [-1, 0, 0, 0, 2]),
    ([0, 0, 0, 0, 2.5, 5], 5, 0, 0, [1.25] * 6),
    ([0, 0, 3], 1, 0, 0.5, [0.25, 0.25, 2.5]),
    ([0, 0, 3], 1, 0, 1, [0, 0, 3]),
    ([0.125, 0.375], 0.0625, 0.1875, 0, [0, 0.125]),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("w", "g", "l1", "rewind", "right"), EXACT)
def test_exact_cases(method, w, g, l1, rewind, right):
    tensor = torch.tensor(w, dtype=torch.float64)
    found = prox_sharing(tensor, g, l1=l1, rewind=rewind, method=method)
    assert found.tolist() == right


@pytest.mark.parametrize("method", METHODS)
def test_a_block_that_only_a_left_merge_completes(method):
    w = torch.tensor([0.0, 1, 1, 1, 1], dtype=torch.float64)
    found, info = prox_sharing(w, 1.625, method=method, return_info=True)
    assert info.num_clusters == 1
    assert torch.allclose(found, torch.full((5,), 0.8, dtype=torch.float64), rtol=0, atol=1e-15)


def test_soft_threshold_follows_the_sharing():
    found = prox_sharing(torch.tensor([0.1, 0.3], dtype=torch.float64), 0.05, l1=0.15)
    # The wrong order gives [0.05, 0.1].
    right = torch.tensor([0.0, 0.1], dtype=torch.float64)
    assert float((found - right).abs().max()) < 4 * EPSILON["float64"]


@pytest.mark.parametrize("method", METHODS)
def test_empty_and_single(method):
    assert prox_sharing(torch.zeros(0), 1.0, method=method).shape == (0,)
    assert prox_sharing(torch.zeros(2, 0), 1.0, dim=1, method=method).shape == (2, 0)
    assert prox_sharing(torch.zeros(0, 3), 1.0, dim=1, method=method).shape == (0, 3)
    assert prox_sharing(torch.tensor(3.0), 1.0, method=method) == 3
    assert prox_sharing(torch.tensor([3.0]), 1.0, l1=1.0, method=method).tolist() == [2.0]
    out, info = prox_sharing(torch.zeros(0), 1.0, method=method, return_info=True)
    assert info.num_clusters == 0
    assert out.numel() == 0


@pytest.mark.parametrize("method", METHODS)
def test_zero_strength_copies_bits_and_separates_ties(method):
    w = torch.tensor([1.0, -0.0, 0.0, 1.0, -2.0])
    out, info = prox_sharing(w, 0.0, method=method, return_info=True)
    assert out.data_ptr() != w.data_ptr()
    assert out.view(torch.int32).tolist() == w.view(torch.int32).tolist()
    assert info.num_clusters == 5
    assert info.index.tolist() == [3, 1, 2, 4, 0]
    assert prox_sharing(w, 0.0, l1=0.5, method=method).tolist() == [0.5, 0, 0, 0.5, -1.5]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("g", [20.0, math.inf])
def test_large_strength_gives_the_mean(method, g):
    w = torch.tensor([1.0, -0.0, 0.0, 2.0, 2.0, 3.0, -2.0, 10.0], dtype=torch.float64)
    assert prox_sharing(w, g, method=method).tolist() == [2.0] * 8


@pytest.mark.parametrize("method", METHODS)
def test_all_equal_is_kept_and_signed_zeros_are_equal(method):
    equal = torch.full((100,), 0.1)
    assert torch.equal(prox_sharing(equal, 3.0, method=method), equal)
    out, info = prox_sharing(torch.tensor([0.0, -0.0, 5.0]), 0.5, method=method, return_info=True)
    assert info.index.tolist() == [0, 0, 1]
    assert out.tolist() == [0.25, 0.25, 4.5]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_finite_raises_and_names_the_place(method, bad):
    w = torch.zeros(2, 5)
    w[1, 3] = bad
    with pytest.raises(DomainError, match="position 3 of group 1"):
        prox_sharing(w, 1.0, dim=1, method=method)
    with pytest.raises(DomainError, match="finite"):
        prox_sharing(torch.tensor([bad]), 0.0, method=method)


def test_unchecked_nan_harms_its_own_group_only(generator):
    w = torch.randn(3, 5000, generator=generator)
    right = prox_sharing(w, 0.1, dim=1)
    w[1, 3] = math.nan
    found = prox_sharing(w, 0.1, dim=1, check_finite=False)
    assert torch.equal(found[[0, 2]], right[[0, 2]])


@pytest.mark.parametrize("name", ["strength", "l1"])
@pytest.mark.parametrize("bad", [-1.0, math.nan, torch.tensor(-1.0), torch.tensor(math.nan)])
def test_negative_strength_or_l1(name, bad):
    with pytest.raises(DomainError, match=f"{name} must be a number ≥ 0"):
        prox_sharing(torch.zeros(3), **{"strength": 1.0, name: bad})


def test_other_errors():
    w = torch.zeros(2, 3)
    for wrong in (torch.arange(3), torch.zeros(3, dtype=torch.complex64), [1.0], w > 0):
        with pytest.raises(DtypeError, match="floating-point"):
            prox_sharing(wrong, 1.0)
    with pytest.raises(DtypeError, match="strength"):
        prox_sharing(w, "1")
    with pytest.raises(DtypeError, match="l1"):
        prox_sharing(w, 1.0, l1=torch.tensor(1j))
    with pytest.raises(DomainError, match="rewind"):
        prox_sharing(w, 1.0, rewind=1.5)
    with pytest.raises(RangeError, match="dim"):
        prox_sharing(w, 1.0, dim=2)
    with pytest.raises(ShapeError, match="one for each group"):
        prox_sharing(w, torch.ones(3), dim=1)
    with pytest.raises(ShapeError, match="one number"):
        prox_sharing(w, torch.ones(2))
    with pytest.raises(UnsupportedError, match="auto, pava, bucket, imminent"):
        prox_sharing(w, 1.0, method="newest")
    with pytest.raises(UnsupportedError, match="float64, fixed; given 'int8'"):
        prox_sharing(w, 1.0, arithmetic="int8")
    with pytest.raises(UnsupportedError, match="CPU"):
        prox_sharing(torch.zeros(3, device="meta"), 1.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype, generator):
    w = torch.randn(300, generator=generator).to(dtype)
    found = prox_sharing(w, 0.3)
    assert found.dtype == dtype
    assert torch.equal(found, prox_sharing(w.float(), 0.3).to(dtype))


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_dim_and_layout(dim, generator):
    w = torch.randn(6, 5, 4, generator=generator, dtype=torch.float64).transpose(0, 2)
    strength = torch.rand(w.select(dim, 0).shape, generator=generator)
    before = w.clone()
    found, info = prox_sharing(w, strength, dim=dim, return_info=True)
    assert found.shape == w.shape == info.index.shape
    assert torch.equal(w, before)
    columns = w.movedim(dim, -1).reshape(-1, w.shape[dim])
    right = [prox_sharing(c, g) for c, g in zip(columns, strength.reshape(-1), strict=True)]
    assert torch.equal(found.movedim(dim, -1).reshape(columns.shape), torch.stack(right))
    assert torch.equal(prox_sharing(w, 0.2), prox_sharing(w.contiguous(), 0.2))


def test_threads_give_the_same_bits(generator):
    w = torch.randn(40, 3000, generator=generator)
    right = prox_sharing(w, 0.1, dim=1)
    torch.set_num_threads(3)
    try:
        assert torch.equal(prox_sharing(w, 0.1, dim=1), right)
        w[37, 5] = math.nan
        with pytest.raises(DomainError, match="position 5 of group 37"):
            prox_sharing(w, 0.1, dim=1)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [2.0**900, 2.0**-1000])
def test_extreme_magnitudes(method, scale):
    w = torch.tensor([[0.0, 1, 10, 11], [5, -1, 0, 2]], dtype=torch.float64)
    w[0] *= scale
    strength = torch.tensor([0.75 * scale, 1.0], dtype=torch.float64)
    found = prox_sharing(w, strength, dim=1, method=method)
    assert (found[0] / scale).tolist() == [0.75, 1.25, 9.75, 10.25]
    assert torch.equal(found[1], prox_sharing(w[1], 1.0))


def test_cluster_info():
    w = torch.tensor([[5.0, -1.0, 0.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    out, info = prox_sharing(w, 1.0, dim=1, return_info=True)
    assert info.num_clusters == 5
    assert info.counts.tolist() == [4, 1]
    assert info.starts.tolist() == [0, 1, 3, 4, 0]
    assert info.masses.tolist() == [1, 2, 1, 1, 5]
    assert info.values.tolist() == [0.0, 0.25, 1.5, 4.0, 1.0]
    assert info.index.tolist() == [[3, 0, 1, 1, 2], [0, 0, 0, 0, 0]]
    assert torch.equal(info.values[:4][info.index[0].long()], out[0])
    assert info.rounds == 1
    assert info.work >= info.depth >= 4


def test_float32_offset_is_pooled_in_float64(generator):
    """The case on which float32 sums lose three digits and three quarters of the clusters."""
    d, g = 100_000, 1e-3
    w = (1000 + 1e-3 * torch.randn(d, generator=generator)).float()
    found, info = prox_sharing(w, g, return_info=True)
    wide, right = prox_sharing(w.double(), g, return_info=True, method="pava")
    assert info.num_clusters == right.num_clusters
    # One block differs from its neighbor by less than a unit of float32 in places.
    assert found.unique().numel() <= info.num_clusters
    assert torch.equal(found, wide.float())
    x, count = np.sort(w.numpy()), np.arange(1, d + 1)
    narrow, precise = x.cumsum(dtype=np.float32) / count, x.cumsum(dtype=np.float64) / count
    assert np.abs(narrow - precise).max() > 1e-4


def test_float32_is_the_rounded_float64_result(generator):
    w = 0.02 * torch.randn(20_000, generator=generator)
    found, wide = prox_sharing(w, 1e-3), prox_sharing(w.double(), 1e-3)
    gap = (found.double() - wide).abs() / torch.finfo(torch.float32).eps
    assert bool((gap <= wide.abs().clamp(min=2.0**-126)).all())


def test_reference_agrees_on_a_matrix(generator):
    w = torch.randn(8, 9, generator=generator, dtype=torch.float64)
    right = prox_sharing_reference(w, 0.4, l1=0.1, rewind=0.3)
    found = prox_sharing(w, 0.4, l1=0.1, rewind=0.3)
    assert float((found - right).abs().max()) <= 16 * EPSILON["float64"]


def test_rewind_with_l1_zeroes_blocks_by_their_full_motion():
    w = torch.tensor([-4.0, 1.0, 1.0, 6.0], dtype=torch.float64)
    assert prox_sharing(w, 1.5, l1=1.5, rewind=0.5).tolist() == [-2.5, 0.0, 0.0, 4.5]
    assert prox_sharing(w, 1.5, l1=1.0, rewind=0.5).tolist() == [-2.75, 0.5, 0.5, 4.75]


@pytest.mark.parametrize(
    ("w", "error", "match"),
    [
        ([1.0], DtypeError, "given list; make one with torch.tensor"),
        (torch.zeros(3, dtype=torch.complex64), DtypeError, "w.real and w.imag"),
        (torch.zeros(3).to(torch.float8_e4m3fn), DtypeError, "w.float"),
        (torch.eye(3).to_sparse(), UnsupportedError, "w.to_dense"),
    ],
)
def test_advice_fits_what_was_given(w, error, match):
    with pytest.raises(error, match=match):
        prox_sharing(w, 1.0)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"dim": 0.5}, DtypeError, "dim must be an integer"),
        ({"rewind": "a"}, DtypeError, "rewind must be a real number; given 'a'"),
        ({"rewind": None}, DtypeError, "rewind must be a real number; given None"),
        ({"rewind": math.nan}, DomainError, "rewind must lie"),
        ({"strength": 10**400}, DomainError, "strength must fit a float64"),
        ({"l1": 10**400}, DomainError, "l1 must fit a float64"),
        ({"strength": None}, DtypeError, "strength must be a real number"),
        ({"strength": True}, DtypeError, "strength must be a real number"),
        ({"strength": np.ones(2)}, DtypeError, "strength must be a real number"),
    ],
)
def test_arguments_of_a_wrong_type(options, error, match):
    with pytest.raises(error, match=match):
        prox_sharing(torch.zeros(2, 2), **{"strength": 1.0, **options})


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.array, torch.tensor])
def test_numbers_of_other_libraries(kind):
    w = torch.tensor([0.0, 0, 3], dtype=torch.float64)
    found = prox_sharing(w, kind(1.0), l1=kind(0.25), rewind=kind(0.5))
    assert torch.equal(found, prox_sharing(w, 1.0, l1=0.25, rewind=0.5))
    assert prox_sharing(w[None], np.int64(1), dim=np.int64(1)).tolist() == [[0.5, 0.5, 2.0]]


@pytest.mark.parametrize("method", METHODS)
def test_a_tiny_strength_ties_equal_huge_weights(method):
    w = torch.tensor([1e300, 1e300, -1e300], dtype=torch.float64)
    out, info = prox_sharing(w, 1e-200, method=method, return_info=True)
    assert torch.equal(out, w)
    assert info.masses.tolist() == [1, 2]
