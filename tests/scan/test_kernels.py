"""Tests of coset.scan.kernels on the CPU: places, blocks, boxes, work on buffers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from coset.core.backends import backends, use_backend
from coset.core.errors import UnavailableError
from coset.scan import scan, scan_reference
from coset.scan.kernels import cpu, launch, narrow
from coset.scan.kernels.launch import backward_numba, forward_numba
from scan.inputs import make


@pytest.mark.parametrize(
    ("rows", "width", "parts"), list(itertools.product((1, 3, 8), (1, 17, 256), (1, 2, 5)))
)
def test_boxes_cover_everything_once(rows, width, parts):
    seen = np.zeros((rows, width), int)
    boxes = launch._boxes(rows, width, parts)
    for first, end, left, right in boxes:
        seen[first:end, left:right] += 1
        assert left % 16 == 0
    assert (seen == 1).all()
    assert len(boxes) <= parts


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("reverse", [False, True])
def test_narrow_and_wide_loops_agree(dtype, reverse, monkeypatch):
    """Both are correct at every width; blocks are made so short that a sequence has many."""
    results = {}
    for limit in (0, 10**9):
        monkeypatch.setattr(launch, "_NARROW", limit)
        for shape in ((1, 300, 1), (3, 300, 2), (2, 300, 7), (1, 700, 40), (5, 1, 3), (1, 2, 300)):
            a, b, h0 = make(shape, dtype)
            h = forward_numba(a, b, h0, reverse)
            results.setdefault(shape, []).append((h, *backward_numba(b, a, h, h0, reverse)))
    for shape, (wide, thin) in results.items():
        assert all(
            torch.allclose(x, y, rtol=0, atol=1e-12) for x, y in zip(wide, thin, strict=True)
        ), shape


def test_blocks_are_many():
    """The sizes of other tests reach the second block of each kind of loop."""
    row = np.empty(70)
    assert 1 < cpu._block_length(row, 70) < 1000
    assert cpu._block_length(row, 10**6) == 1
    assert narrow._block_length(row, 5) < 1000


def test_touching_reads_inside_the_array():
    for at, columns in (((0, 100, 10), (0, 10)), ((90, 100, -10), (0, 10)), ((0, 100, 10), (2, 7))):
        x = np.arange(300.0)
        left, right = columns
        for row in range(3):
            for start, stop in ((0, 10), (3, 4), (7, 10)):
                total = cpu._touch(x, at, row, left, right - left, start, stop)
                assert 0 <= total <= x.sum()
    assert cpu._touch(np.arange(300.0), (0, 100, 0), 2, 0, 10, 0, 10) == 200


def test_results_go_into_given_buffers():
    a, b, h0 = make((3, 40, 100), torch.float32)
    h = torch.full_like(a, torch.nan)
    assert forward_numba(a, b, h0, False, out=h) is h
    assert torch.equal(h, scan_reference(a, b, h0))
    out = (torch.full_like(a, torch.nan), torch.full_like(a, torch.nan), torch.empty_like(h0))
    found = backward_numba(b, a, h, h0, False, out=out)
    assert all(x is y for x, y in zip(found, out, strict=True))
    assert all(map(torch.equal, out, backward_numba(b, a, h, h0, False)))


def test_a_constant_factor_is_not_copied():
    """Strides of zero are read where they lie: a (D,) factor stays D numbers."""
    a = torch.full((1, 1, 300), 0.5).expand(2, 1000, 300)
    assert launch._flat(launch._readable(a)).size == 300
    assert torch.equal(scan(a[0, 0], torch.ones(2, 1000, 300))[:, -1], torch.full((2, 300), 2.0))


def test_backends_are_listed_and_forced():
    rows = {(r.op, r.name, r.device): r for r in backends() if r.op.startswith("scan.")}
    assert rows["scan.affine", "numba", "cpu"].chosen
    assert rows["scan.phase", "numba", "cpu"].chosen
    assert rows["scan.matrix", "numba", "cpu"].chosen
    assert ("scan.affine", "triton", "cuda") in rows
    a, b, h0 = make((2, 40, 3))
    with use_backend("scan.affine", "reference"):
        assert torch.equal(scan(a, b, h0), scan_reference(a, b, h0))


def test_a_missing_compiler_is_told_once(monkeypatch):
    from dataclasses import replace

    from coset.core import backends as registry

    key = ("scan.affine", "cpu")
    broken = [
        replace(row, probe=lambda: (False, "pip install numba")) if row.name == "numba" else row
        for row in registry._BACKENDS[key]
    ]
    monkeypatch.setitem(registry._BACKENDS, key, broken)
    monkeypatch.setattr(registry, "_WARNED", set())
    a, b, h0 = make((2, 40, 3))
    with pytest.warns(UserWarning, match="pip install numba"):
        found = scan(a, b, h0)
    assert torch.allclose(found, scan_reference(a, b, h0), rtol=0, atol=1e-12)
    with pytest.raises(UnavailableError, match="pip install numba"):
        scan(a, b, h0, backend="numba")


def test_the_examples_of_the_readme():
    import doctest
    from pathlib import Path

    import coset.scan

    readme = Path(coset.scan.__file__).with_name("README.md")
    failed, attempted = doctest.testfile(str(readme), module_relative=False)
    assert (failed, attempted > 5) == (0, True)
