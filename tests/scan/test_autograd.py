"""Tests of coset.scan.autograd: every derivative, the operators' contract, torch.func, compile."""

from __future__ import annotations

import pytest
import torch

from coset.scan import scan, scan_reference
from coset.scan.autograd import affine_scan, affine_scan_backward
from scan.inputs import leaves, make

BACKENDS = ("numba", "eager", "reference")


def test_gradients_by_hand():
    a = torch.tensor([[0.5], [2.0], [-1.0]], requires_grad=True)
    b, h0 = torch.ones(3, 1, requires_grad=True), torch.zeros(1, requires_grad=True)
    for backend in BACKENDS:
        h = scan(a, b, h0, backend=backend)
        da, db, start = torch.autograd.grad(h.sum(), (a, b, h0))
        assert db.flatten().tolist() == [1, 0, 1]
        assert da.flatten().tolist() == [0, 0, 3]
        assert start.tolist() == [0.5]


def test_complex_gradients_by_hand():
    """Half of |h_2|², h_2 = a_2 a_1 h_0: the gradient is that of a complex product, conjugated."""
    a = torch.tensor([[2 + 1j], [1 - 3j]], dtype=torch.complex128, requires_grad=True)
    h0 = torch.tensor([1 + 2j], dtype=torch.complex128, requires_grad=True)
    h = scan(a, torch.zeros_like(a), h0)
    da, start = torch.autograd.grad(0.5 * h[-1].abs().pow(2).sum(), (a, h0))
    a1, a2, z = (2 + 1j), (1 - 3j), (1 + 2j)
    last = a2 * a1 * z
    right = [last * (a2 * z).conjugate(), last * (a1 * z).conjugate()]
    assert torch.allclose(da.flatten(), torch.tensor(right, dtype=torch.complex128))
    assert abs(start.item() - last * (a1 * a2).conjugate()) <= 1e-12


@pytest.mark.parametrize("backend", ["numba", "eager"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradcheck_and_gradgradcheck(dtype, reverse, backend):
    def states(a, b, h0):
        return scan(a, b, h0, reverse=reverse, backend=backend)

    inputs = leaves((2, 4, 3), dtype)
    checks = {"check_forward_ad": True, "check_batched_grad": True, "fast_mode": True}
    assert torch.autograd.gradcheck(states, inputs, **checks)
    again = {"check_fwd_over_rev": True, "check_batched_grad": True, "fast_mode": True}
    assert torch.autograd.gradgradcheck(states, inputs, **again)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("width", [3, 40])
@pytest.mark.parametrize("size", [0, 1, 2, 63, 64, 65, 1000])
def test_gradients_are_those_of_the_loop(size, width, dtype):
    for reverse in (False, True):
        inputs = leaves((2, size, width), dtype)
        upstream = make((2, size, width), dtype, seed=1)[1]
        right = [torch.zeros_like(x) for x in inputs]
        if size:
            h = scan_reference(*inputs, reverse=reverse)
            right = torch.autograd.grad(h, inputs, upstream)
        for backend in BACKENDS:
            h = scan(*inputs, reverse=reverse, backend=backend)
            found = torch.autograd.grad(h, inputs, upstream)
            for x, y in zip(found, right, strict=True):
                assert torch.allclose(x, y, rtol=0, atol=1e-10), backend


def test_a_missing_conjugate_would_be_seen():
    """The mutant agrees on real inputs, and only there."""
    upstream = make((1, 5, 2), torch.complex128, seed=1)[1]
    for dtype, agree in ((torch.float64, True), (torch.complex128, False)):
        a, b, h0 = make((1, 5, 2), dtype)
        g = upstream.to(dtype) if dtype.is_complex else upstream.real.contiguous()
        _, right, _ = affine_scan_backward(g, a, scan(a, b, h0), h0, False, "auto")
        later = torch.cat([a[:, 1:], 0 * a[:, :1]], 1)
        mutant = scan(later, g, reverse=True)
        assert torch.allclose(right, mutant, rtol=0, atol=1e-12) == agree


def test_third_derivatives():
    a, b, h0 = leaves((1, 6, 2))

    def grad_of_sum(value):
        return torch.autograd.grad(value, a, create_graph=True)[0].pow(2).sum()

    def loop():
        return scan_reference(a, b, h0)

    found, right = (
        grad_of_sum(grad_of_sum(f().pow(2).sum())) for f in (lambda: scan(a, b, h0), loop)
    )
    assert torch.allclose(found, right, rtol=1e-10)
    assert torch.allclose(*(torch.autograd.grad(x, a)[0] for x in (found, right)), rtol=1e-9)


def test_gradients_of_broadcast_inputs_are_sums():
    a, b, h0 = leaves((3, 20, 4))
    factor, start = a[0, 0].detach().requires_grad_(), h0[0, :1].detach().requires_grad_()
    whole = scan_reference(factor.expand(3, 20, 4), b, start.expand(3, 4))
    right = torch.autograd.grad(whole.sin().sum(), (factor, b, start))
    found = torch.autograd.grad(scan(factor, b, start).sin().sum(), (factor, b, start))
    for x, y in zip(found, right, strict=True):
        assert torch.allclose(x, y, rtol=0, atol=1e-11)


def test_only_what_is_asked_for_gets_a_gradient():
    a, b, h0 = make((2, 10, 3))
    b.requires_grad_()
    scan(a, b, h0).sum().backward()
    assert b.grad.shape == b.shape
    assert a.grad is h0.grad is None
    with torch.no_grad():
        assert not scan(a, b, h0).requires_grad


def test_half_precision_has_gradients():
    a, b, h0 = (x.bfloat16().requires_grad_() for x in make((2, 30, 4), torch.float32))
    scan(a, b, h0).float().sum().backward()
    assert a.grad.dtype == b.grad.dtype == h0.grad.dtype == torch.bfloat16
    wide = [x.detach().float().requires_grad_() for x in (a, b, h0)]
    right = torch.autograd.grad(scan(*wide).sum(), wide)
    assert torch.equal(a.grad, right[0].bfloat16())


def test_long_products_that_vanish_do_not_make_nan():
    """What exp(cumsum log a) formulas get wrong: the product underflows, and one factor is 0."""
    a = torch.full((4096, 2), 0.5, requires_grad=True)
    with torch.no_grad():
        a[100, 0] = 0
    b = torch.ones(4096, 2, requires_grad=True)
    for backend in ("numba", "eager"):
        h = scan(a, b, backend=backend)
        assert torch.allclose(h[-1].detach(), torch.tensor(2.0))
        gradients = torch.autograd.grad(h.sum(), (a, b))
        assert all(torch.isfinite(x).all() for x in gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_opcheck(dtype):
    a, b, h0 = make((2, 5, 3), dtype)
    for backend in ("auto", "eager"):
        torch.library.opcheck(affine_scan, (a, b, h0, False, backend))
        torch.library.opcheck(affine_scan, (*leaves((2, 5, 3), dtype), True, backend))
    h = scan(a, b, h0)
    torch.library.opcheck(affine_scan_backward, (b, a, h, h0, False, "auto"))
    tensors = (x.clone().requires_grad_() for x in (b, a, h, h0))
    torch.library.opcheck(affine_scan_backward, (*tensors, True, "auto"))


def test_torch_func_transforms():
    a, b, h0 = make((3, 7, 2))
    found = torch.func.vmap(scan)(a, b, h0)
    assert torch.equal(found, scan(a, b, h0))
    found = torch.func.vmap(scan, in_dims=(2, None, None), out_dims=2)(a, b[0, :, 0], h0[0, 0])
    assert found.shape == (3, 7, 2)

    def loss(a, b, h0, states=scan):
        return states(a, b, h0).pow(3).sum()

    def by_loop(a, b, h0):
        return loss(a, b, h0, scan_reference)

    each = torch.func.vmap(torch.func.grad(loss, argnums=(0, 1, 2)))(a, b, h0)
    right = torch.func.grad(by_loop, argnums=(0, 1, 2))(a, b, h0)
    assert all(torch.allclose(x, y, rtol=0, atol=1e-10) for x, y in zip(each, right, strict=True))
    one = (a[0], b[0], h0[0])
    hessians = [torch.func.hessian(f)(*one) for f in (loss, by_loop)]
    assert torch.allclose(*hessians, rtol=0, atol=1e-10)
    twice = torch.func.jacrev(torch.func.jacrev(loss))(*one)
    assert torch.allclose(twice, hessians[1], rtol=0, atol=1e-10)


def test_autocast_promotes():
    layer = torch.nn.Linear(4, 4)
    x = torch.randn(2, 9, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = scan(torch.sigmoid(x), layer(x))
    assert h.dtype == torch.float32
    h.sum().backward()
    assert torch.isfinite(layer.weight.grad).all()


def test_fake_and_meta_tensors_have_shapes():
    a, b, h0 = (x.to("meta") for x in make((2, 5, 3), torch.float32))
    h = scan(a, b, h0, dim=1)
    assert h.device.type == "meta"
    assert h.shape == (2, 5, 3)


@pytest.mark.slow
def test_compiled_without_a_graph_break():
    def loss(a, b, h0):
        h = scan(a.sigmoid(), b, h0)
        return (h * scan(a.sigmoid(), h, reverse=True)).sum()

    inputs = leaves((2, 33, 4), torch.float32)
    compiled = torch.compile(loss, fullgraph=True)
    found, right = (torch.autograd.grad(f(*inputs), inputs) for f in (compiled, loss))
    for x, y in zip(found, right, strict=True):
        assert torch.allclose(x, y, rtol=1e-4, atol=1e-4)
