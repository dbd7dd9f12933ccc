"""Tests of the compiled kernels: oracles, blocks, adversarial rows, permutations, fresh memory."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.optimize import isotonic_regression

from coset.core.backends import backends, use_backend
from coset.core.errors import DomainError
from coset.core.numerics import tolerance
from coset.sharing.kernels import launch
from coset.sharing.prox import prox_sharing
from coset.sharing.reference import sharing_blocks_reference

SIZES = (0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000)
KINDS = (
    "normal", "ties", "half zeros", "plow", "constant", "sorted", "reversed", "outlier",
    "outliers", "levels", "wide", "near ties", "offset",
)  # fmt: skip


def row(kind: str, d: int, g: float, generator: torch.Generator) -> torch.Tensor:
    """Return a (d,) float64 row of a kind on which some way of sorting or pooling fails."""
    w = torch.randn(d, generator=generator, dtype=torch.float64)
    shuffle = torch.randperm(d, generator=generator)
    if kind == "ties":
        return (8 * w).round() / 8
    if kind == "half zeros":
        return w * (torch.rand(d, generator=generator) < 0.5)
    if kind == "plow":
        spacing = 2 * g / max(1, d - 1) * (1 + 1e-9)
        return spacing * (torch.arange(d) - d // 2 + 1).clamp(min=0)[shuffle].double()
    if kind == "constant":
        return torch.full_like(w, 0.3)
    if kind in ("sorted", "reversed"):
        return w.sort(descending=kind == "reversed").values
    if kind in ("outlier", "outliers"):
        where = shuffle[: 1 if kind == "outlier" else d // 50]
        w[where] = 1e30 * (1 + w[where] ** 2)
        return w
    if kind == "levels":
        return torch.tensor([-1.0, 0.25, 0.5, 7.0]).double()[torch.randint(4, (d,))]
    if kind == "wide":
        return w.sign() * torch.exp(12 * w)
    if kind == "near ties":
        return 1 + 2.0**-45 * (1000 * w).round() + 3 * (shuffle % 3 == 0)
    return 1000 + 1e-3 * w if kind == "offset" else w


def oracle(w: torch.Tensor, g: float) -> np.ndarray:
    """Return the prox by SciPy's isotonic regression, about the mean."""
    x = w.double().numpy()
    order, d = np.argsort(x, kind="stable"), len(x)
    center = x.mean() if d else 0.0
    velocity = (d - 1 - 2.0 * np.arange(d)) / max(1, d - 1)
    out = np.empty(d)
    out[order] = isotonic_regression(x[order] - center + g * velocity).x + center
    return out


def assert_right(w: torch.Tensor, g: float, **options: object) -> None:
    found = prox_sharing(w, g, **options).double().numpy()
    scale = float(w.double().abs().max()) + g
    bound = tolerance(torch.float64, w.numel(), "mean", scale=scale)
    if w.dtype == torch.float32:
        bound += tolerance(torch.float32, scale=scale)
    assert np.abs(found - oracle(w, g)).max() <= bound


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_equals_isotonic_regression(kind, generator):
    for d in SIZES[1:]:
        for g in (0.05, 0.7, 3.0):
            w = row(kind, d, g, generator)
            assert_right(w, g)
            assert_right(w, g, method="pava")
            assert_right(w.float(), g)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_equals_isotonic_regression_at_100000(kind, generator):
    w = row(kind, 100_000, 0.05, generator)
    assert_right(w, 0.05)
    assert_right(w.float(), 0.05)
    by_bucket, info = prox_sharing(w, 0.05, return_info=True)
    by_pava, right = prox_sharing(w, 0.05, return_info=True, method="pava")
    assert torch.equal(by_bucket, by_pava)
    assert torch.equal(info.index, right.index)


def rational_starts(w: torch.Tensor, g: float) -> list[int]:
    x = sorted(Fraction(v) for v in w.tolist())
    return [a for a, _ in sharing_blocks_reference(x, Fraction(g))]


@pytest.mark.oracle
def test_C5_blocks_equal_the_rational_ones(generator):
    """Exceptions are counted: only rows whose gaps are within rounding of touching may differ."""
    exceptions, cases = {}, 0
    for kind in KINDS:
        for d in SIZES[:-1]:
            for g in (0.125, 0.7):
                w = row(kind, d, g, generator)
                right = rational_starts(w, g)
                for method in ("bucket", "pava"):
                    _, info = prox_sharing(w, g, method=method, return_info=True)
                    cases += 1
                    if info.starts.tolist() != right:
                        exceptions[kind] = exceptions.get(kind, 0) + 1
    assert cases == len(KINDS) * 2 * 2 * (len(SIZES) - 1)
    assert set(exceptions) <= {"plow"}, exceptions
    assert sum(exceptions.values()) <= 4, exceptions


def test_C5_touching_blocks_of_short_numbers_are_decided_exactly(generator):
    for trial in range(200):
        d = 2 + trial % 9
        w = torch.randint(0, 6, (d,), generator=generator).double() / 4
        g = float(torch.randint(1, 9, (), generator=generator)) / 8
        _, info = prox_sharing(w, g, return_info=True)
        assert info.starts.tolist() == rational_starts(w, g)


@pytest.mark.parametrize("kind", ["normal", "ties", "half zeros", "wide", "levels"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_C6_permuting_the_input_permutes_the_output_exactly(kind, dtype, generator):
    for d in (65, 6000):
        w = row(kind, d, 0.2, generator).to(dtype)
        permutation = torch.randperm(d, generator=generator)
        out, info = prox_sharing(w, 0.2, return_info=True)
        moved, also = prox_sharing(w[permutation], 0.2, return_info=True)
        assert torch.equal(moved, out[permutation])
        assert torch.equal(also.index, info.index[permutation])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_threads_that_share_a_row_give_the_bits_of_one(kind, dtype, generator, monkeypatch):
    w = row(kind, 70_001, 0.05, generator).to(dtype)
    monkeypatch.setattr(launch, "_SHARING", 70_000)
    monkeypatch.setattr(launch, "_THREADING", 70_000)
    answers = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            answers.append(prox_sharing(w, 0.05, l1=0.01, rewind=0.5, return_info=True))
            assert torch.equal(prox_sharing(w, 0.05), prox_sharing(w, 0.05, method="pava"))
    finally:
        torch.set_num_threads(before)
    (right, info), *others = answers
    for out, found in others:
        assert torch.equal(out, right)
        assert torch.equal(found.index, info.index)
        assert found.work == info.work


def test_threads_that_share_rows_refuse_and_scale_as_one_does(generator, monkeypatch):
    rows = torch.randn(2, 70_000, generator=generator, dtype=torch.float64)
    huge = rows.clone()
    huge[1] *= 1e300
    bad = rows.clone()
    bad[1, 60_000] = torch.inf
    monkeypatch.setattr(launch, "_SHARING", 70_000)
    before = torch.get_num_threads()
    try:
        answers = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            strength = torch.tensor([0.05, 5e298])
            answers.append(prox_sharing(huge, strength, dim=1))
            assert torch.equal(prox_sharing(rows, torch.tensor([0.0, 0.1]), dim=1)[0], rows[0])
            with pytest.raises(DomainError, match="inf at position 60000 of group 1"):
                prox_sharing(bad, 0.05, dim=1)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*answers)
    assert answers[0].isfinite().all()


def test_rows_at_the_limits_of_sorting_are_right(generator):
    """Around the sizes where digits widen and where one bucket becomes many."""
    from coset.sharing.kernels import buckets

    assert launch._ONE_BUCKET == buckets.ONE_BUCKET
    for dtype in (torch.float32, torch.float64):
        whole = buckets.ONE_BUCKET // dtype.itemsize
        for d in (32, 33, 499, 500, whole - 1, whole, whole + 1):
            assert_right(torch.randn(d, generator=generator, dtype=dtype), 0.05)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_that_leading_bits_do_not_separate_are_sorted(dtype, generator):
    d = 40_000
    w = torch.randn(d, generator=generator, dtype=torch.float64)
    center = torch.randint(50, (d,), generator=generator)
    fine = torch.where(torch.arange(d) % 3 == 0, 2.0**-50 * (1000 * w).round(), 1e-7 * w)
    scales = 10.0 ** -torch.randint(12, (d,), generator=generator).double()
    for values in (center + 1e-5 * w, 1 + fine, center * scales + 1e-9 * w, 1e12 * w**9):
        for part in (values, values[:3000]):
            assert_right(part.to(dtype), 0.05)


def test_every_element_of_fresh_memory_is_written(generator, monkeypatch):
    def poisoned(shape: object, dtype: object = float) -> np.ndarray:
        filled = np.full(shape, 255, np.uint8 if np.dtype(dtype).kind in "iu" else dtype)
        if filled.dtype == np.uint8:
            return np.full(shape, np.iinfo(dtype).max, dtype)
        return np.full(shape, np.nan, dtype)

    monkeypatch.setattr(launch.np, "empty", poisoned)
    for kind in ("normal", "levels", "sorted", "reversed"):
        for d in (2, 65, 5000, 40_000):
            w = row(kind, d, 0.1, generator)
            out, info = prox_sharing(w, 0.1, return_info=True)
            assert torch.equal(prox_sharing(w, 0.1), out)
            assert np.allclose(out.numpy(), oracle(w, 0.1), rtol=0, atol=1e-12)
            assert int(info.index.max()) + 1 == info.num_clusters


def test_backends_are_listed_and_can_be_forced(generator):
    rows = {(r.name, r.device): r for r in backends() if r.op == "sharing.prox"}
    assert rows["numba", "cpu"].chosen
    assert rows["reference", "cpu"].available
    w = torch.randn(50, generator=generator, dtype=torch.float64)
    with use_backend("sharing.prox", "reference"):
        _, info = prox_sharing(w, 0.1, return_info=True)
    assert info.work == 49
    assert prox_sharing(w, 0.1, return_info=True)[1].work > 49


def test_importing_the_subject_does_not_import_numba():
    import subprocess

    code = "import coset.sharing.prox, sys; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
