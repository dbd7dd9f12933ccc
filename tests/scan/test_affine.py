"""Tests of coset.scan.affine: values, shapes, dtypes and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from coset.core.errors import (
    DtypeError,
    RangeError,
    ShapeError,
    UnknownNameError,
    UnsupportedError,
)
from coset.core.numerics import tolerance
from coset.scan import affine_compose, scan, scan_reference, step
from scan.inputs import DTYPES, SIZES, make


def column(*values):
    return torch.tensor(values).unsqueeze(-1)


def test_by_hand():
    a, b = column(0.5, 2.0, -1.0), column(1.0, 1.0, 1.0)
    for backend in ("numba", "eager", "reference"):
        assert scan(a, b, backend=backend).flatten().tolist() == [1, 3, -2]
        backwards = scan(a, b, torch.tensor([2.0]), reverse=True, backend=backend)
        assert backwards.flatten().tolist() == [0.5, -1, -1]
    turn = torch.tensor([[1j], [1j], [1j]])
    assert scan(turn, 0 * turn, torch.tensor([1 + 0j])).flatten().tolist() == [1j, -1, -1j]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [5, 70])
def test_backends_agree_with_the_loop(size, dtype, width):
    a, b, h0 = make((2, size, width), dtype)
    allowed = 20 * tolerance(dtype.to_real(), scale=20.0)
    for reverse in (False, True):
        right = scan_reference(a, b, h0, reverse=reverse)
        fused = scan(a, b, h0, reverse=reverse, backend="numba")
        assert fused.is_contiguous()
        if not dtype.is_complex:
            assert torch.equal(fused, right)
        assert torch.allclose(fused, right, rtol=0, atol=allowed)
        eager = scan(a, b, h0, reverse=reverse, backend="eager")
        assert torch.allclose(eager, right, rtol=0, atol=allowed)


@pytest.mark.oracle
def test_constant_factors_are_a_recursive_filter(generator):
    b = torch.randn(3, 200, 4, generator=generator, dtype=torch.float64)
    found = scan(torch.full((1,), 0.9, dtype=torch.float64), b)
    right = lfilter([1.0], [1.0, -0.9], b.numpy(), axis=1)
    assert np.allclose(found.numpy(), right, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dim", [0, 1, 2, 3, -1, -2, -3, -4])
def test_time_lies_anywhere(dim):
    a, b, _ = make((3, 4, 5, 6))
    h0 = torch.randn(*(n for i, n in enumerate(a.shape) if i != dim % 4), dtype=torch.float64)
    found = scan(a, b, h0, dim=dim)
    h = h0
    for t in range(a.shape[dim]):
        h = a.select(dim, t) * h + b.select(dim, t)
        assert torch.equal(found.select(dim, t), h)
    assert found.is_contiguous()


def test_one_sequence_of_numbers():
    assert scan(torch.tensor([0.5, 2, -1]), torch.ones(3), dim=-1).tolist() == [1, 3, -2]
    assert scan(torch.tensor([2.0]), torch.ones(3), 1.0 + torch.zeros(()), dim=0)[-1] == 15


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("width", [3, 80])
def test_tensors_are_read_where_they_lie(width, reverse):
    a, b, h0 = make((4, 70, 2 * width), torch.complex128)
    views = {
        "columns skipped": (a[..., ::2], b[..., ::2], h0[..., ::2]),
        "columns cut": (a[..., :width], b[..., -width:], h0[..., :width]),
        "steps skipped": (a[:, ::3], b[:, ::3], h0),
        "rows skipped": (a[::2], b[::2], h0[::2]),
        "transposed": (a.transpose(1, 2), b.transpose(1, 2), b[:, :, 0]),
        "time first": (a.transpose(0, 1).contiguous().transpose(0, 1), b, h0),
        "flipped": (a.flip(1), b.flip(2), h0),
        "conjugate": (a.conj(), b.conj(), h0.conj()),
        "one start": (a, b, h0[:1, :1].expand_as(h0)),
    }
    for name, (x, y, z) in views.items():
        right = scan(x.contiguous(), y.contiguous(), z.contiguous(), reverse=reverse)
        assert torch.equal(scan(x, y, z, reverse=reverse), right), name


def test_factors_and_terms_broadcast():
    a, b, h0 = make((3, 50, 4))
    for x, y in ((a[0, 0], b), (a[:1], b), (a[:, :1], b), (a, b[:, :1]), (a, b[0, 0, :1])):
        whole = torch.broadcast_tensors(x, y)
        assert torch.equal(scan(x, y, h0[0]), scan(*whole, h0[0].expand(3, 4)))
    assert scan(a[0, 0], b).shape == b.shape


@given(st.integers(0, 40), st.integers(0, 40), st.booleans(), st.integers(0, 99))
@pytest.mark.property
def test_concatenated_sequences_carry_the_state(first, second, reverse, seed):
    a, b, h0 = make((2, first + second, 3), seed=seed)
    whole = scan(a, b, h0, reverse=reverse)
    parts = [slice(0, first), slice(first, first + second)]
    h, found = h0, []
    for part in reversed(parts) if reverse else parts:
        states = scan(a[:, part], b[:, part], h, reverse=reverse)
        found.append(states)
        if states.shape[1]:
            h = states[:, 0 if reverse else -1]
    assert torch.equal(torch.cat(found[::-1] if reverse else found, 1), whole)


@given(st.integers(0, 100), st.integers(0, 99))
@pytest.mark.property
def test_reverse_is_flip(size, seed):
    a, b, h0 = make((2, size, 3), seed=seed)
    for backend in ("numba", "eager"):
        found = scan(a, b, h0, reverse=True, backend=backend)
        right = scan(a.flip(1), b.flip(1), h0, backend=backend).flip(1)
        assert torch.equal(found, right)


@pytest.mark.property
def test_rows_and_columns_are_independent():
    a, b, h0 = make((4, 30, 6))
    order, swap = torch.randperm(4), torch.randperm(6)
    moved = scan(a[order][..., swap], b[order][..., swap], h0[order][..., swap])
    assert torch.equal(moved, scan(a, b, h0)[order][..., swap])
    assert torch.equal(scan(a, b, h0)[1, :, 2:3], scan(a[1, :, 2:3], b[1, :, 2:3], h0[1, 2:3]))


def test_a_zero_factor_starts_a_segment():
    a, b, h0 = make((2, 40, 3))
    a[:, 17] = 0
    for backend in ("numba", "eager"):
        found = scan(a, b, h0, backend=backend)
        alone = scan(a[:, 17:], b[:, 17:], 1e6 + h0, backend=backend)
        assert torch.allclose(found[:, 17:], alone, rtol=0, atol=1e-12)


def test_nan_and_infinity_propagate():
    a, b = torch.ones(6, 3), torch.ones(6, 3)
    b[2, 0], b[2, 1] = torch.nan, torch.inf
    for backend in ("numba", "eager", "reference"):
        h = scan(a, b, backend=backend)
        assert h[:2, 0].tolist() == [1, 2]
        assert h[2:, 0].isnan().all()
        assert h[2:, 1].tolist() == [torch.inf] * 4
        assert h[:, 2].tolist() == [1, 2, 3, 4, 5, 6]
    assert scan(torch.zeros(1, 1), torch.ones(1, 1), torch.full((1,), torch.inf)).isnan().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_accumulates_in_float32(dtype):
    a, b, h0 = (x.to(dtype) for x in make((2, 500, 8), torch.float32))
    found = scan(a, b, h0)
    assert found.dtype == dtype
    assert torch.equal(found, scan_reference(a.float(), b.float(), h0.float()).to(dtype))
    counted = scan(torch.ones(600, 1, dtype=dtype), torch.ones(600, 1, dtype=dtype))
    # A sum in bfloat16 would stop at 256.
    assert counted[-1] == torch.tensor(600.0).to(dtype)
    assert step(a[0, 0], b[0, 0], h0[0]).dtype == dtype
    assert step(a[0, 0], b[0, 0], h0[0].float()).dtype == torch.float32


def test_dtypes_are_promoted():
    a, b, _ = make((2, 9, 3), torch.float32)
    assert scan(a.bfloat16(), b).dtype == torch.float32
    assert scan(a, b.double()).dtype == torch.float64
    assert scan(a, b.to(torch.complex64)).dtype == torch.complex64
    assert scan(a, b, torch.zeros(3, dtype=torch.complex128)).dtype == torch.complex128
    assert torch.equal(scan(a, b.double()), scan(a.double(), b.double()))


def test_nothing_is_kept_of_memory(monkeypatch):
    """Every number of fresh memory is written: it is poisoned, and no poison comes out."""
    plain = np.empty

    def poisoned(shape, dtype=float):
        memory = plain(shape, dtype)
        memory.fill(-(2**7) + 1 if np.issubdtype(dtype, np.integer) else np.nan)
        return memory

    monkeypatch.setattr("coset.scan.kernels.launch.np.empty", poisoned)
    for width in (1, 3, 70):
        for dtype in DTYPES:
            a, b, h0 = (x.requires_grad_() for x in make((3, 65, width), dtype))
            h = scan(a, b, h0)
            gradients = torch.autograd.grad(h.abs().sum(), (a, b, h0))
            assert all(torch.isfinite(x.abs()).all() for x in (h, *gradients))


def test_inputs_are_not_changed():
    a, b, h0 = make((2, 30, 3))
    copies = [x.clone() for x in (a, b, h0)]
    scan(a, b, h0)
    assert all(map(torch.equal, (a, b, h0), copies))


def test_empty_inputs_have_empty_answers():
    for shape in ((0, 5, 3), (2, 0, 3), (2, 5, 0), (0, 0, 0)):
        a, b, h0 = make(shape)
        for backend in ("numba", "eager", "reference"):
            assert scan(a, b, h0, backend=backend).shape == shape


@pytest.mark.parametrize("dtype", DTYPES)
def test_streaming_is_the_scan(dtype):
    a, b, h = make((3, 25, 4), dtype)
    whole = scan(a, b, h)
    for t in range(25):
        h = step(a[:, t], b[:, t], h)
        assert torch.allclose(h, whole[:, t], rtol=0, atol=tolerance(dtype.to_real(), scale=9.0))


def test_composition_is_application_one_after_the_other():
    a, b, h = make((3, 4, 5))
    maps = [(a[:, t], b[:, t]) for t in range(4)]
    left, right = maps[0], maps[2]
    left, right = affine_compose(left, maps[1]), affine_compose(right, maps[3])
    whole = affine_compose(left, right)
    other = affine_compose(maps[0], affine_compose(affine_compose(maps[1], maps[2]), maps[3]))
    assert torch.allclose(whole[0] * h + whole[1], scan(a, b, h)[:, -1], rtol=0, atol=1e-14)
    assert torch.allclose(whole[1], other[1], rtol=0, atol=1e-14)
    # In the other order the map is another one.
    wrong = affine_compose(right, left)
    assert not torch.allclose(whole[1], wrong[1], atol=1e-3)


def test_threads_do_not_change_the_bits(monkeypatch):
    monkeypatch.setattr("coset.scan.kernels.launch._THREADING", 1)
    for shape in ((1, 40, 200), (5, 40, 7), (3, 40, 70), (1, 9, 1)):
        a, b, h0 = (x.requires_grad_() for x in make(shape, torch.float32))
        results = []
        for threads in (1, 2, 3, 8):
            monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
            h = scan(a, b, h0)
            results.append((h, *torch.autograd.grad(h.sin().sum(), (a, b, h0))))
        assert all(all(map(torch.equal, results[0], other)) for other in results[1:])


ones = torch.ones(2, 3)
REFUSED = {
    "no tensor": ((1.0, ones), {}, DtypeError, "a must be a tensor; given float"),
    "integers": ((ones.long(), ones), {}, DtypeError, "phase_scan"),
    "bool": ((ones, ones.bool()), {}, DtypeError, "given torch.bool"),
    "float8": ((ones, ones.to(torch.float8_e5m2)), {}, DtypeError, "float8"),
    "shapes": ((ones, torch.ones(2, 4)), {}, ShapeError, r"a \(2, 3\), b \(2, 4\)"),
    "start": ((ones, ones, torch.ones(2)), {}, ShapeError, r"shape \(3,\); given \(2,\)"),
    "start too long": ((ones, ones, torch.ones(2, 3)), {}, ShapeError, "h0 must broadcast"),
    "dim": ((ones, ones), {"dim": 2}, RangeError, r"\[-2, 1\]"),
    "dim of a vector": ((ones[0], ones[0]), {}, RangeError, "name another dim"),
    "dim no integer": ((ones, ones), {"dim": 1.0}, DtypeError, "dim must be an integer"),
    "number": ((torch.tensor(1.0), torch.tensor(1.0)), {}, RangeError, "dim must lie"),
    "backend": ((ones, ones), {"backend": "cpp"}, UnsupportedError, "numba, triton"),
    "backend elsewhere": ((ones, ones), {"backend": "triton"}, UnknownNameError, "triton"),
    "device": ((ones, ones.to("meta")), {}, UnsupportedError, "one device"),
    "sparse": ((ones.to_sparse(), ones), {}, UnsupportedError, "to_dense"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_to_do(name):
    arguments, options, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        scan(*arguments, **options)


def test_refusals_of_step_and_compose():
    with pytest.raises(ShapeError, match="h"):
        step(torch.ones(2), torch.ones(2), torch.ones(3))
    with pytest.raises(DtypeError, match="b must be a tensor"):
        step(torch.ones(2), 1, torch.ones(2))
    with pytest.raises(ShapeError, match="a2"):
        affine_compose((torch.ones(2), torch.ones(2)), (torch.ones(3), torch.ones(2)))
