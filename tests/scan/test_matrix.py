"""Tests of coset.scan.matrix: values, derivatives, refusals."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import DtypeError, ShapeError, UnsupportedError
from coset.scan import matrix_compose, matrix_scan, matrix_scan_reference, scan
from coset.scan.matrix import matrix_scan_rows
from scan.inputs import SIZES, make

BACKENDS = ("numba", "eager")


def draw(size, n=3, dtype=torch.float64, rows=2, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator)

    return normal(rows, size, n, n) * (0.8 / n), normal(rows, size, n), normal(rows, n)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_backends_agree_with_the_loop(dtype, backend):
    for size in SIZES:
        a, b, h0 = draw(size, dtype=dtype)
        for reverse in (False, True):
            right = matrix_scan_reference(a, b, h0, reverse=reverse)
            found = matrix_scan(a, b, h0, reverse=reverse, backend=backend)
            assert torch.allclose(found, right, rtol=0, atol=1e-12)


def test_returns_of_a_decision_chain():
    """Values of a Markov chain with discount, computed backwards; by hand."""
    transition = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    reward = torch.tensor([1.0, 0.0]).expand(3, 2)
    values = matrix_scan(0.5 * transition, reward, torch.tensor([8.0, 4.0]), reverse=True)
    assert values.tolist() == [[1.875, 0.5], [2.5, 1.0], [4.0, 2.0]]
    h = torch.tensor([8.0, 4.0])
    for t in (2, 1, 0):
        h = 0.5 * transition @ h + reward[t]
        assert torch.allclose(values[t], h)


def test_diagonal_matrices_are_the_diagonal_scan():
    a, b, h0 = make((2, 50, 4))
    found = matrix_scan(torch.diag_embed(a), b, h0)
    assert torch.allclose(found, scan(a, b, h0), rtol=0, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradcheck_and_gradgradcheck(dtype, backend):
    inputs = [x.requires_grad_() for x in draw(4, 2, dtype)]
    for reverse in (False, True):

        def states(a, b, h0, reverse=reverse):
            return matrix_scan(a, b, h0, reverse=reverse, backend=backend)

        checks = {"check_forward_ad": True, "check_batched_grad": True, "fast_mode": True}
        assert torch.autograd.gradcheck(states, inputs, **checks)
        assert torch.autograd.gradgradcheck(states, inputs, fast_mode=True)


def test_gradients_of_no_steps_are_zero():
    inputs = [x.requires_grad_() for x in draw(0)]
    gradients = torch.autograd.grad(matrix_scan(*inputs).sum(), inputs)
    assert all(map(torch.equal, gradients, map(torch.zeros_like, inputs)))


def test_opcheck_and_vmap():
    a, b, h0 = draw(5)
    torch.library.opcheck(matrix_scan_rows, (a, b, h0, False, "auto"))
    leaves = tuple(x.clone().requires_grad_() for x in (a, b, h0))
    torch.library.opcheck(matrix_scan_rows, (*leaves, True, "auto"))
    assert torch.equal(torch.func.vmap(matrix_scan)(a, b, h0), matrix_scan(a, b, h0))


def test_one_matrix_for_all_times_and_rows():
    a, b, h0 = draw(20)
    for part in (a[0, 0], a[:1, :1], a[0]):
        whole = part.expand(2, 20, 3, 3)
        assert torch.equal(matrix_scan(part, b, h0[0]), matrix_scan(whole, b, h0[0].expand(2, 3)))
    assert matrix_scan(a, b[0, 0]).shape == (2, 20, 3)


def test_views_and_threads(monkeypatch):
    a, b, h0 = draw(40, 4, torch.complex128, rows=5)
    views = (a.mH[::2], b.conj()[::2], h0[::2])
    right = matrix_scan(*(x.clone(memory_format=torch.contiguous_format) for x in views))
    assert torch.equal(matrix_scan(*views), right)
    monkeypatch.setattr("coset.scan.kernels.launch._THREADING", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(matrix_scan(*views), right)


def test_half_precision_is_computed_in_float32():
    a, b, h0 = (x.to(torch.bfloat16) for x in draw(30))
    found = matrix_scan(a, b, h0)
    assert found.dtype == torch.bfloat16
    wide = matrix_scan_reference(a.float(), b.float(), h0.float())
    assert torch.allclose(found.float(), wide, rtol=0.01, atol=0.01)


def test_composition_is_application_one_after_the_other():
    a, b, h = draw(4)
    maps = [(a[:, t], b[:, t]) for t in range(4)]
    first, second = matrix_compose(maps[0], maps[1]), matrix_compose(maps[2], maps[3])
    whole = matrix_compose(first, second)
    last = matrix_scan(a, b, h)[:, -1]
    applied = (whole[0] @ h.unsqueeze(-1)).squeeze(-1) + whole[1]
    assert torch.allclose(applied, last, rtol=0, atol=1e-14)
    # The mutant composes in the other order; on commuting maps it agrees.
    wrong = matrix_compose(second, first)
    assert not torch.allclose(wrong[0], whole[0], atol=1e-3)
    powers = matrix_compose(maps[0], maps[0])
    assert torch.allclose(matrix_compose(powers, maps[0])[1], matrix_compose(maps[0], powers)[1])


ones, square = torch.ones(5, 2), torch.ones(5, 2, 2)
REFUSED = {
    "not square": ((torch.ones(5, 2, 3), torch.ones(5, 3)), {}, ShapeError, r"\(…, n, n\)"),
    "sizes": ((square, torch.ones(5, 3)), {}, ShapeError, r"given \(5, 2, 2\) and \(5, 3\)"),
    "lengths": ((square, torch.ones(4, 2)), {}, ShapeError, r"given \(5,\) and \(4,\)"),
    "one step": ((square[0], ones[0]), {}, ShapeError, "unsqueeze"),
    "start": ((square, ones, torch.ones(3)), {}, ShapeError, "h0 must broadcast"),
    "integers": ((square.long(), ones), {}, DtypeError, "given torch.int64"),
    "backend": ((square, ones), {"backend": "triton"}, UnsupportedError, "numba, eager"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_to_do(name):
    arguments, options, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        matrix_scan(*arguments, **options)
