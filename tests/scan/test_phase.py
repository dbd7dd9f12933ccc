"""Tests of coset.scan.phase: exact phases, resets, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnsupportedError
from coset.scan import phase_scan, phase_scan_reference, scan
from scan.inputs import SIZES

BACKENDS = ("numba", "eager")
MODULI = (1, 2, 7, 60, 10**4, 2**31 + 11, 2**62 + 11, 2**63 - 1)


def draw(size, m, seed=0, rows=2, width=3):
    """Return increments of any size, a start and resets of a tenth of the steps."""
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, size, width)

    def phases(*shape):
        return torch.randint(0, m, shape, generator=generator)

    theta = torch.randint(-(2**63), 2**63 - 1, shape, generator=generator)
    kept = torch.rand(shape, generator=generator) > 0.1
    return theta, phases(rows, width), torch.where(kept, -1, phases(*shape))


@pytest.mark.parametrize("m", MODULI)
@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_agree_with_the_loop(m, backend):
    for size in SIZES[:-1]:
        theta, start, resets = draw(size, m)
        moduli = torch.full((3,), m)
        for fixed in (None, resets):
            right = phase_scan_reference(theta, moduli, start, resets=fixed)
            assert torch.equal(phase_scan(theta, m, start, resets=fixed, backend=backend), right)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32])
def test_small_dtypes_do_not_overflow(dtype, generator):
    m = torch.iinfo(dtype).max
    theta = torch.randint(0, m, (2, 100, 3), generator=generator).to(dtype)
    for backend in BACKENDS:
        found = phase_scan(theta, m, m - 1, backend=backend)
        assert found.dtype == dtype
        assert torch.equal(found.long(), (theta.long().cumsum(1) + m - 1) % m)


def test_a_modulus_for_each_coordinate(generator):
    theta = torch.randint(-50, 50, (4, 30, 3), generator=generator)
    moduli = torch.tensor([2, 5, 60])
    for backend in BACKENDS:
        found = phase_scan(theta, moduli, backend=backend)
        assert torch.equal(found, theta.cumsum(1) % moduli)


def test_exact_where_sums_and_floats_are_not():
    """T · m > 2⁶³, and 10⁵ complex products in float32 have lost the phase."""
    m, size = 2**62 - 57, 1000
    theta = torch.full((size, 1), m - 1)
    assert phase_scan(theta, m).flatten().tolist() == [(-t) % m for t in range(1, size + 1)]
    m, size = 1_000_003, 100_000
    theta = torch.from_numpy(np.random.default_rng(0).integers(0, m, (size, 1)))
    exact = phase_scan(theta, m)
    assert int(exact[-1]) == int(theta.sum()) % m
    angle = theta.double() * (2 * math.pi / m)
    turns = torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
    h = scan(turns, torch.zeros_like(turns), torch.ones(1))
    read = torch.round(h.angle().double() * (m / (2 * math.pi))).long() % m
    assert torch.equal(read[:10], exact[:10])
    assert not torch.equal(read[-1000:], exact[-1000:])


def test_resets_are_masked_scans(generator):
    """The complex scan with a = 0 and b = ζ^r at resets has the same phases, while it is exact."""
    m, shape = 6, (3, 40, 2)
    theta = torch.randint(0, m, shape, generator=generator)
    resets = torch.randint(-4 * m, m, shape, generator=generator).clamp(min=-1)
    exact = phase_scan(theta, m, resets=resets)

    def root(k):
        return torch.polar(torch.ones(k.shape).double(), k.double() * (2 * math.pi / m))

    set_here = resets >= 0
    a = torch.where(set_here, 0, root(theta))
    h = scan(a, torch.where(set_here, root(resets), 0), torch.ones(2, dtype=torch.complex128))
    assert torch.allclose(h, root(exact), rtol=0, atol=1e-12)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 50), st.integers(0, 99))
@pytest.mark.property
def test_streams_in_chunks(first, second, m, seed):
    theta, start, resets = draw(first + second, m, seed)
    whole = phase_scan(theta, m, start, resets=resets)
    head = phase_scan(theta[:, :first], m, start, resets=resets[:, :first])
    carried = head[:, -1] if first else start
    tail = phase_scan(theta[:, first:], m, carried, resets=resets[:, first:])
    assert torch.equal(torch.cat([head, tail], 1), whole)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2])
def test_time_lies_anywhere(dim, generator):
    theta = torch.randint(-9, 9, (4, 5, 6), generator=generator)
    for backend in (*BACKENDS, "reference"):
        found = phase_scan(theta, 7, 3, dim=dim, backend=backend)
        assert torch.equal(found, (theta.cumsum(dim) + 3) % 7)
    assert phase_scan(torch.tensor([1, 2, 3]), 4, dim=0).tolist() == [1, 3, 2]


def test_views_and_inputs_are_left_alone(generator):
    theta = torch.randint(-9, 9, (4, 30, 6), generator=generator)
    before = theta.clone()
    right = phase_scan(theta[:, ::2, ::3].contiguous(), 7)
    for backend in BACKENDS:
        assert torch.equal(phase_scan(theta[:, ::2, ::3], 7, backend=backend), right)
    assert torch.equal(phase_scan(theta[0, 0].expand(5, 6), 7)[-1], 5 * theta[0, 0] % 7)
    assert torch.equal(theta, before)


def test_threads_do_not_change_the_phases(monkeypatch):
    theta, start, resets = draw(50, 12, rows=3, width=40)
    right = phase_scan(theta, 12, start, resets=resets)
    monkeypatch.setattr("coset.scan.kernels.launch._THREADING", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert torch.equal(phase_scan(theta, 12, start, resets=resets), right)
    resets[2, 40, 35] = 12
    with pytest.raises(RangeError, match=r"given 12 at \(2, 40, 35\)"):
        phase_scan(theta, 12, start, resets=resets)


def test_empty_inputs_have_empty_answers():
    for shape in ((0, 5, 3), (2, 0, 3), (2, 5, 0)):
        theta = torch.zeros(shape, dtype=torch.int64)
        for backend in (*BACKENDS, "reference"):
            assert phase_scan(theta, 5, backend=backend).shape == shape
            assert phase_scan(theta, 5, resets=theta, backend=backend).shape == shape


theta = torch.ones(4, 2, dtype=torch.int64)
wrong = torch.full_like(theta, 3)
REFUSED = {
    "floats": ((theta.float(), 3), {}, DtypeError, "given torch.float32"),
    "bool": ((theta.bool(), 3), {}, DtypeError, "given torch.bool"),
    "no tensor": (([1], 3), {}, DtypeError, "given list"),
    "modulus 0": ((theta, 0), {}, DomainError, "≥ 1; given 0"),
    "modulus -2": ((theta, torch.tensor([2, -2])), {}, DomainError, "≥ 1; given -2"),
    "modulus too large": ((theta.to(torch.int8), 128), {}, DomainError, "pass increments.to"),
    "modulus float": ((theta, 2.0), {}, DtypeError, "modulus must be an integer"),
    "modulus bool": ((theta, True), {}, DtypeError, "modulus must be an integer"),
    "modulus shape": ((theta, torch.tensor([2, 3, 4])), {}, ShapeError, "2 coordinates"),
    "start": ((theta, 3, 3), {}, RangeError, r"\[0, 3\); given 3"),
    "start below": ((theta, 3, torch.tensor([0, -1])), {}, RangeError, r"given -1 at \(1,\)"),
    "start float": ((theta, 3, 0.5), {}, DtypeError, "start must be an integer"),
    "start shape": ((theta, 3, torch.tensor([0, 1, 2])), {}, ShapeError, r"shape \(2,\)"),
    "resets": ((theta, 3), {"resets": wrong}, RangeError, r"given 3 at \(0, 0\)"),
    "resets below": ((theta, 3), {"resets": wrong - 5}, RangeError, "given -2"),
    "resets shape": ((theta, 3), {"resets": theta[0]}, ShapeError, "shape of the increments"),
    "resets float": ((theta, 3), {"resets": theta.float()}, DtypeError, "resets"),
    "dim": ((theta, 3), {"dim": 2}, RangeError, r"\[-2, 1\]"),
    "dim of a vector": ((theta[0], 3), {}, RangeError, "given -2"),
    "backend": ((theta, 3), {"backend": "triton"}, UnsupportedError, "numba, eager"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_to_do(name):
    arguments, options, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        phase_scan(*arguments, **options)


@pytest.mark.parametrize("backend", [*BACKENDS, "reference"])
def test_every_backend_refuses_a_wrong_reset(backend):
    resets = torch.full((2, 9, 2), -1)
    resets[1, 4, 1] = 5
    with pytest.raises(
        RangeError, match=r"\[0, 5\) or −1 to keep the step; given 5 at \(1, 4, 1\)"
    ):
        phase_scan(torch.zeros_like(resets), 5, resets=resets, backend=backend)
