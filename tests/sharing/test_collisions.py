"""Tests of coset.sharing.collisions: blocks on rational and real numbers, bits, what is counted."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch

from coset.core.errors import DomainError, UnsupportedError
from coset.core.numerics import EPSILON
from coset.sharing.claims.cases import plow
from coset.sharing.collisions import bridge, rows
from coset.sharing.collisions.arithmetic import Blocks, FixedRule, FloatRule, ceil_log2
from coset.sharing.collisions.bridge import bridge_starts
from coset.sharing.collisions.end import end_starts
from coset.sharing.collisions.imminent import imminent_starts
from coset.sharing.collisions.reference import REFERENCE_BLOCKS
from coset.sharing.collisions.search import search_starts
from coset.sharing.prox import prox_sharing
from coset.sharing.reference import sharing_blocks_reference

METHODS = ("imminent", "end", "search", "bridge")
FIXED = ("bucket", "pava", *METHODS, "reference")
SIZES = (0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000)
KINDS = ("random", "ties", "half zeros", "plow", "constant")


def dyadic_row(kind: str, d: int, generator: torch.Generator) -> tuple[torch.Tensor, float]:
    """Return weights and a strength of few binary digits, so that float64 decides exactly."""
    if kind == "plow":
        spacing = (1 + 2.0**-12) / 64  # contact at 1/64
        tail = spacing * torch.arange(1, d - d // 2 + 1, dtype=torch.float64)
        w = torch.cat([torch.zeros(d // 2, dtype=torch.float64), tail])
        return w, max(1, d - 1) / 128
    if kind == "constant":
        return torch.full((d,), 0.75, dtype=torch.float64), 0.25
    step = 4 if kind == "ties" else 256
    w = torch.randn(d, generator=generator, dtype=torch.float64).mul(step).round() / step
    if kind == "half zeros":
        w = w * (torch.rand(d, generator=generator) < 0.5)
    strength = torch.randint(1, 24, (), generator=generator)
    return w, float(strength) / 16


def rational_blocks(w: torch.Tensor, g: float, method: str = "pava") -> list[tuple[int, int]]:
    x = sorted(Fraction(v) for v in w.tolist())
    return sharing_blocks_reference(x, Fraction(g), method)


def whole_numbers(w: torch.Tensor, g: float) -> list[int]:
    """Return the end positions of free flight of dyadic numbers, times a common denominator."""
    d, unit = w.numel(), 2**24
    x = sorted(int(unit * v) for v in w.tolist())
    assert [v / unit for v in x] == w.sort().values.tolist()
    return [x[r] * max(1, d - 1) + int(unit * g) * (d - 1 - 2 * r) for r in range(d)]


def starts_of(w: torch.Tensor, g: float, **options: str) -> list[int]:
    return prox_sharing(w, g, return_info=True, **options)[1].starts.tolist()


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_all_methods_form_the_rational_blocks(kind, generator):
    for d in SIZES:
        for _ in range(1 if d == 1000 else 4):
            w, g = dyadic_row(kind, d, generator)
            right = rational_blocks(w, g)
            z = whole_numbers(w, g)
            for method in ("imminent", "end", "search"):
                assert REFERENCE_BLOCKS[method](z) == right, (d, method)
                assert d > 9 or rational_blocks(w, g, method) == right, (d, method)
            for method in METHODS:
                assert starts_of(w, g, method=method) == [a for a, _ in right], (d, method)


def exceptions(w: torch.Tensor, g: float, method: str) -> int:
    """Count the boundaries that differ from the rational ones; each must be within rounding."""
    d, blocks = w.numel(), rational_blocks(w, g)
    x, strength = sorted(Fraction(v) for v in w.tolist()), Fraction(g)
    z = [x[r] + strength * (d - 1 - 2 * r) / (d - 1) for r in range(d)]

    def mean(a: int, b: int) -> Fraction:
        return sum(z[a:b]) / (b - a)

    scale = 8 * EPSILON["float64"] * (float(w.abs().max()) + g)
    found, right = set(starts_of(w, g, method=method)), {a for a, _ in blocks}
    for (a, k), (_, b) in pairwise(blocks):
        assert k in found or mean(k, b) - mean(a, k) < scale, (k, method)
    for a, b in blocks:
        for k in found & set(range(a + 1, b)):
            assert mean(a, k) - mean(k, b) < scale, (k, method)
    return len(found ^ right)


@pytest.mark.oracle
@pytest.mark.parametrize("method", METHODS)
def test_real_numbers_differ_only_where_blocks_just_touch(method, generator):
    total = 0
    for d in (2, 4, 11, 62, 300):
        for kind in ("normal", "plow", "offset", "touching"):
            w, g = torch.randn(d, generator=generator, dtype=torch.float64), 0.4
            if kind == "plow":
                w = plow(d, g)
            if kind == "offset":
                w, g = 1000 + 1e-3 * w, 1e-3
            if kind == "touching":
                # Distances of whole multiples of g/(d−1), but for rounding.
                w, g = (d * w).round() * (0.28 / (d - 1)), 0.28
            total += exceptions(w, g, method)
    assert total <= 2


@pytest.mark.parametrize("method", METHODS)
def test_values_equal_those_of_one_stack(method, generator):
    w = torch.randn(6, 200, generator=generator)
    w[3:] = (4 * w[3:]).round() / 4
    strength = torch.tensor([0.0, 0.1, 0.5, 0.1, 1.0, math.inf])
    for l1, rewind in ((0.0, 0.0), (0.2, 0.0), (0.2, 0.5), (0.0, 1.0)):
        options = {"l1": l1, "rewind": rewind, "dim": 1, "return_info": True}
        right, info = prox_sharing(w, strength, method="pava", **options)
        found, also = prox_sharing(w, strength, method=method, **options)
        assert torch.equal(also.index, info.index)
        assert float((found - right).abs().max()) <= 4 * EPSILON["float32"]


@pytest.mark.parametrize("arithmetic", ["float64", "fixed"])
@pytest.mark.parametrize("method", METHODS)
def test_an_offset_costs_no_digits(method, arithmetic, generator):
    d = 2000 if method == "end" else 10_000
    noise = 1e-3 * torch.randn(d, generator=generator, dtype=torch.float64)
    for w in ((1000 + noise).float(), 1e6 + noise):
        right, info = prox_sharing(w, 1e-3, return_info=True, method="pava")
        found, also = prox_sharing(w, 1e-3, return_info=True, method=method, arithmetic=arithmetic)
        assert torch.equal(also.index, info.index)
        assert float((found - right).abs().max()) <= EPSILON["float64"] * 1e6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fixed_point_gives_the_same_bits_by_every_method_in_every_order(kind, dtype, generator):
    for d in SIZES:
        w, g = dyadic_row(kind, d, generator)
        w, g = (w * 1.1).to(dtype), g * 1.1
        permutation = torch.randperm(d, generator=generator)
        right, info = prox_sharing(w, g, method="pava", arithmetic="fixed", return_info=True)
        float_right = prox_sharing(w, g, method="pava")
        scale = EPSILON["float32" if dtype == torch.float32 else "float64"]
        assert torch.allclose(right, float_right, rtol=0, atol=64 * scale * (1 + g))
        for method in FIXED:
            found, also = prox_sharing(
                w[permutation], g, method=method, arithmetic="fixed", return_info=True
            )
            assert torch.equal(found, right[permutation]), (d, method)
            assert torch.equal(also.index, info.index[permutation]), (d, method)


def test_fixed_point_keeps_ties_of_one_grid_cell_and_l1_and_rewind(generator):
    w = torch.tensor([1.0, 1.0 + 2.0**-52, 3.0, 1e9], dtype=torch.float64)
    assert starts_of(w, 1e-9, method="search", arithmetic="fixed") == [0, 2, 3]
    assert starts_of(w, 1e-18, method="search") == [0, 1, 2, 3]
    row = torch.randn(50, generator=generator, dtype=torch.float64)
    for options in ({"l1": 0.3}, {"rewind": 0.5}, {"l1": 0.1, "rewind": 1.0}):
        right = prox_sharing(row, 0.5, **options)
        found = prox_sharing(row, 0.5, arithmetic="fixed", **options)
        assert float((found - right).abs().max()) <= 1e-14


def test_fixed_point_compares_exactly_what_float64_cannot():
    """Means 2^60 and 2^60 + 1/3: one float64, different rationals."""
    one = torch.ones(1, dtype=torch.int64)
    zero, row = torch.zeros_like(one), torch.zeros_like(one)
    left = Blocks(zero, one, one << 60)
    right = Blocks(zero, 3 * one, 3 * (one << 60) + 1)
    rule = FixedRule()
    assert not bool(rule.touches(left, right, row))
    assert bool(rule.touches(right, left, row))
    assert bool(rule.touches(left, left, row))
    total = torch.stack([right.total, left.total, 5 * (one << 60) + 1], 1)
    mass, live = torch.tensor([[3, 1, 5]]), torch.tensor([[True, True, True]])
    assert rule.last_minimum(total, mass, live, row).tolist() == [1]
    assert rule.last_minimum(-total, mass, live, row).tolist() == [0]
    assert rule.last_minimum(total, mass, ~live, row).tolist() == [-1]


@pytest.mark.oracle
def test_integers_that_are_one_float64_are_told_apart(generator):
    """Units beside 2^56, where float64 counts in sixteens."""
    noise = torch.arange(40) + torch.randint(-4, 5, (6, 40), generator=generator)
    integers, mass = noise + 2**56, torch.ones_like(noise)
    right = [[a for a, _ in REFERENCE_BLOCKS["pava"](row)] for row in integers.tolist()]
    particles, strength = Blocks(torch.zeros_like(mass), mass, integers), torch.ones(6).double()
    found = [solve(particles, FixedRule())[0] for solve in (imminent_starts, end_starts)]
    found.append(search_starts(particles, FixedRule())[0])
    for leaf in (1, 4, 40):
        found.append(bridge_starts(noise.double(), strength, integers, leaf)[0])
    for starts in found:
        assert [row.nonzero().flatten().tolist() for row in starts] == right


def test_of_equal_minima_the_last_counts():
    rule = FloatRule(torch.ones(1, dtype=torch.float64), 4)
    total = torch.tensor([[0.0, 0.5, 1.5, 9.0]], dtype=torch.float64)
    mass, live = torch.arange(1, 5)[None], torch.ones(1, 4, dtype=torch.bool)
    # Means up to a constant: 0, 1/4 − 1/4, 1/2 − 1/2, 9/4 − 3/4.
    assert rule.last_minimum(total, mass, live, torch.zeros(1, 1).long()).tolist() == [2]


@pytest.mark.parametrize("leaf", [1, 2, 3, 32, 100, 5000])
def test_bridges_of_leaves_of_any_size(leaf, generator):
    for kind in KINDS:
        w, g = dyadic_row(kind, 700, generator)
        x = w.sort().values[None]
        starts, _ = bridge_starts(x, torch.tensor([g], dtype=torch.float64), leaf=leaf)
        assert starts[0].nonzero().flatten().tolist() == starts_of(w, g, method="pava")
        integers = (x * 2**20).long() - torch.arange(700) * 900
        starts, _ = bridge_starts(x, torch.ones(1).double(), integers, leaf=leaf)
        right = [a for a, _ in REFERENCE_BLOCKS["pava"](integers[0].tolist())]
        assert starts[0].nonzero().flatten().tolist() == right


@pytest.mark.parametrize("arithmetic", ["float64", "fixed"])
@pytest.mark.parametrize("num_rows", [1, 7])
def test_threads_change_no_bit_and_no_count(arithmetic, num_rows, generator, monkeypatch):
    w = torch.randn(num_rows, 9001, generator=generator, dtype=torch.float64)
    options = {"method": "bridge", "arithmetic": arithmetic, "dim": 1, "return_info": True}
    right, info = prox_sharing(w, 0.9, **options)
    monkeypatch.setattr(bridge, "_THREADING", 0)
    for threads in (2, 3, 5):
        torch.set_num_threads(threads)
        try:
            found, also = prox_sharing(w, 0.9, **options)
        finally:
            torch.set_num_threads(1)
        assert torch.equal(found, right)
        assert torch.equal(also.index, info.index)
        assert (also.rounds, also.depth, also.work) == (info.rounds, info.depth, info.work)


@pytest.mark.parametrize("d", [100, 1000])
def test_imminent_collisions_need_half_as_many_rounds_as_weights_on_a_plow(d):
    _, info = prox_sharing(plow(d, 0.1), 0.1, method="imminent", return_info=True)
    assert (info.num_clusters, info.rounds) == (1, d // 2 + 1)


def zipper(d: int) -> list[Fraction]:
    """Return sorted weights of which the growing block takes one a round, right and left in turn.

    Each lies half-way between what the block reaches now and what touched before, at g = d − 1.
    """
    x, block_sum, before = [Fraction(0)] * 2, Fraction(0), Fraction(0)
    for mass in range(2, d):
        mean, side = block_sum / mass, 1 if mass % 2 == 0 else -1
        near = max(max(side * v for v in x) + 2, side * before + (mass if mass > 2 else 0))
        place = side * (near + side * mean + mass + 1) / 2
        assert near < side * place < side * mean + mass + 1
        x, block_sum, before = [*x, place], block_sum + place, mean
    return sorted(x)


@pytest.mark.oracle
@pytest.mark.parametrize("d", [3, 4, 5, 8, 12])
def test_some_rows_need_d_minus_1_rounds(d):
    """More than the plow's d/2 + 1: the bound of one merge a round is reached."""
    x = zipper(d)
    _, info = prox_sharing(
        torch.tensor([float(v) for v in x], dtype=torch.float64),
        d - 1,
        method="imminent",
        return_info=True,
    )
    assert (info.num_clusters, info.rounds) == (1, d - 1)


def test_what_each_method_counts():
    w, g = torch.tensor([[0.0, 0, 1, 9], [0, 3, 6, 9]], dtype=torch.float64), 1.0

    def counts(method: str) -> tuple[int, int, int]:
        _, info = prox_sharing(w, g, dim=1, method=method, return_info=True)
        assert info.counts.tolist() == [2, 4]
        return info.rounds, info.depth, info.work

    # One round merges 0, 0 and, with 1 − 0 ≤ 2/3 false, leaves 1; the next adds it; the third sees
    # two blocks. Row two: one round over four.
    assert counts("imminent") == (2, 2 * (3 + 3 + 2), (4 + 3 + 2) + 4)
    # Row one: 0 … 2, then the last alone takes no step. Row two: three steps, over 4, 3, 2 places.
    assert counts("end") == (3, 2 * (3 + 3 + 2), 4 + (4 + 3 + 2))
    # Row one merges on both levels: probes 1 + 1 over two slots, 1 + 2 over four slots.
    assert counts("search") == (2, 4 * 2 + 6 * 3, (4 + 2 + 4 + 2 * 4) + (4 + 4))


def test_a_level_that_merges_nothing_is_no_round_of_search():
    w = torch.tensor([0.0, 0, 5, 9], dtype=torch.float64)
    _, info = prox_sharing(w, 1.0, method="search", return_info=True)
    # Two probes on level one, and one on level two: from the block 0, 0, whose second slot is dead.
    assert (info.num_clusters, info.rounds) == (3, 1)
    assert (info.depth, info.work) == (4 * 2 + 6, (4 + 2) + 4)


def test_counts_of_the_bridge_and_of_one_stack():
    w = torch.tensor([[0.0, 0, 1, 9]], dtype=torch.float64)
    strength = torch.ones(1, dtype=torch.float64)
    starts, counts = bridge_starts(w, strength, leaf=2)
    assert starts.tolist() == [[True, False, False, True]]
    # Leaves of one test each. The merge: the boundary; then from the only left block on, the middle
    # of the right leaf (9 is not absorbed) and its first block.
    assert counts.tolist() == [[1, 1 + 3, 2 + 3]]
    _, info = prox_sharing(w[0], 1.0, arithmetic="fixed", return_info=True)
    assert (info.rounds, info.depth, info.work) == (1, 3, 3)


def test_ceil_log2_is_exact():
    numbers = [1, 2, 3, 4, 5, 2**40 - 1, 2**40, 2**40 + 1]
    assert ceil_log2(torch.tensor(numbers)).tolist() == [0, 1, 2, 2, 3, 40, 40, 41]


@pytest.mark.parametrize("arithmetic", ["float64", "fixed"])
@pytest.mark.parametrize("method", METHODS)
def test_extreme_numbers(method, arithmetic, generator):
    options = {"method": method, "arithmetic": arithmetic}
    w = torch.tensor([-1.5e308, 1e308, 1.5e308, 0.0], dtype=torch.float64)
    mean = prox_sharing(w, math.inf, **options)
    assert torch.allclose(mean, torch.full_like(mean, 2.5e307), rtol=1e-15, atol=0)
    assert torch.equal(prox_sharing(w, 0.0, **options), w)
    tiny = torch.tensor([0.0, 1, 10, 11], dtype=torch.float64) * 2.0**-1060
    right = torch.tensor([0.75, 1.25, 9.75, 10.25], dtype=torch.float64) * 2.0**-1060
    assert torch.equal(prox_sharing(tiny, 0.75 * 2.0**-1060, **options), right)
    equal = torch.full((3, 5), 0.1, dtype=torch.float64)
    for g in (5e-324, 1.0, 1e308, math.inf):
        out, info = prox_sharing(equal, g, dim=0, return_info=True, **options)
        assert torch.equal(out, equal)
        assert info.num_clusters == 5


@pytest.mark.parametrize("arithmetic", ["float64", "fixed"])
@pytest.mark.parametrize("method", METHODS)
def test_unchecked_nan_and_infinity_harm_their_own_group_only(method, arithmetic, generator):
    w = torch.randn(4, 50, generator=generator)
    options = {"dim": 1, "method": method, "arithmetic": arithmetic}
    right = prox_sharing(w, 0.1, **options)
    w[1, 3], w[2, 7] = math.nan, math.inf
    with pytest.raises(DomainError, match="position 3 of group 1"):
        prox_sharing(w, 0.1, **options)
    found = prox_sharing(w, 0.1, check_finite=False, **options)
    assert torch.equal(found[[0, 3]], right[[0, 3]])


def test_groups_too_long_for_exact_minima_are_refused(monkeypatch):
    monkeypatch.setattr(rows, "MAX_RATIO_MASS", 8)
    for method in ("end", "search"):
        with pytest.raises(UnsupportedError, match="at most 2\\^26 weights; given groups of 9"):
            prox_sharing(torch.zeros(9), 1.0, method=method, arithmetic="fixed")
        assert prox_sharing(torch.zeros(9), 1.0, method=method).tolist() == [0] * 9
    assert prox_sharing(torch.zeros(9), 1.0, arithmetic="fixed").tolist() == [0] * 9


def test_unknown_reference_method():
    with pytest.raises(UnsupportedError, match="pava, imminent, end, search; given 'bridge'"):
        sharing_blocks_reference([0, 1], 1, method="bridge")
