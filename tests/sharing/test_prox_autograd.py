"""Tests of coset.sharing.autograd: gradients, the operator's contract, compilation, vmap."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import jacfwd, jacrev
from torch.fx.experimental.proxy_tensor import make_fx

from coset.core.errors import DomainError
from coset.sharing.autograd import prox_rows
from coset.sharing.prox import prox_sharing


def leaf(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_gradients_by_hand():
    w, g = leaf([5.0, -1, 0, 0, 2]), leaf(1.0)
    prox_sharing(w, g).backward(torch.tensor([1.0, 2, 3, 4, 5], dtype=torch.float64))
    assert w.grad.tolist() == [1, 2, 3.5, 3.5, 5]
    assert g.grad.item() == 0.25


def test_gradients_with_l1_by_hand():
    w, g, l1 = leaf([0.0, 1, 10, 11]), leaf(0.75), leaf(1.0)
    prox_sharing(w, g, l1=l1).backward(torch.tensor([1.0, 2, 4, 8], dtype=torch.float64))
    assert w.grad.tolist() == [0, 2, 4, 8]
    assert l1.grad.item() == -14
    assert abs(g.grad.item() - (2 / 3 - 4 / 3 - 8)) <= 1e-14


def test_zero_strength_has_the_identity_as_jacobian():
    w = leaf([1.0, 1.0, 2.0])
    prox_sharing(w, 0.0).backward(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    assert w.grad.tolist() == [1, 2, 3]


def test_infinite_strength_has_finite_gradients():
    w = leaf([1.0, 1.0, 4.0])
    prox_sharing(w, torch.inf, l1=0.5).sum().backward()
    assert w.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("rewind", [0.0, 0.4])
def test_gradcheck_and_gradgradcheck(rewind, generator):
    w = torch.randn(3, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    strength, l1 = leaf([0.2, 0.5, 1.0]), leaf([0.05, 0.1, 0.0625])

    def of_rows(w, strength, l1):
        return prox_sharing(w, strength, l1=l1, rewind=rewind, dim=1)

    assert torch.autograd.gradcheck(of_rows, (w, strength, l1), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(of_rows, (w, strength, l1))
    whole = leaf(0.3)
    assert torch.autograd.gradcheck(lambda w, g: prox_sharing(w, g), (w, whole))
    assert torch.autograd.gradgradcheck(lambda w, g: prox_sharing(w, g), (w, whole))


@pytest.mark.parametrize("arithmetic", ["float64", "fixed"])
@pytest.mark.parametrize("method", ["pava", "imminent", "end", "search", "bridge", "reference"])
def test_every_method_has_the_same_gradients(method, arithmetic, generator):
    w = torch.randn(3, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    strength, l1 = leaf([0.2, 0.5, 1.0]), leaf([0.05, 0.1, 0.0625])

    def of_rows(w, strength, l1, method=method, arithmetic=arithmetic):
        options = {"method": method, "arithmetic": arithmetic, "dim": 1}
        return prox_sharing(w, strength, l1=l1, **options)

    assert torch.autograd.gradcheck(of_rows, (w, strength, l1))
    found, right = of_rows(w, strength, l1), of_rows(w, strength, l1, "bucket", "float64")
    upstream = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad(out, (w, strength, l1), upstream) for out in (found, right)]
    assert all(map(torch.equal, *gradients))
    mapped = torch.func.vmap(lambda row: of_rows(row[None], strength[:1], l1[:1])[0])(w)
    assert torch.equal(mapped[0], found[0])


def test_leaf_that_requires_grad_is_not_changed(generator):
    w = torch.randn(100, generator=generator, requires_grad=True)
    before = w.detach().clone()
    out = prox_sharing(w, 0.5)
    assert out.requires_grad
    assert torch.equal(w.detach(), before)
    with torch.no_grad():
        assert not prox_sharing(w, 0.5).requires_grad
    half = w.detach().to(torch.bfloat16).requires_grad_(True)
    prox_sharing(half, 0.5).sum().backward()
    assert half.grad.dtype == torch.bfloat16


def test_opcheck(generator):
    strength, l1 = torch.tensor([0.2, 0.4]).double(), torch.tensor([0.0, 0.1]).double()
    for dtype in (torch.float32, torch.float64):
        w = torch.randn(2, 9, generator=generator, dtype=dtype)
        plain = (w, strength, l1, 0.1, True, False, True, "auto")
        torch.library.opcheck(prox_rows, plain)
        torch.library.opcheck(prox_rows, (*plain[:-1], "search", "float64"))
        torch.library.opcheck(prox_rows, (*plain[:-1], "auto", "fixed"))
    leaves = tuple(t.clone().requires_grad_(True) for t in (w, strength, l1))
    torch.library.opcheck(prox_rows, (*leaves, 0.1, True, True, True, "auto"))
    torch.library.opcheck(prox_rows, (*leaves, 0.1, True, True, True, "imminent", "fixed"))


def test_vmap_is_more_rows(generator):
    w = torch.randn(4, 3, 10, generator=generator)
    found = torch.func.vmap(lambda rows: prox_sharing(rows, 0.3, dim=1))(w)
    assert torch.equal(found, prox_sharing(w, 0.3, dim=2))
    by_strength = torch.func.vmap(lambda g: prox_sharing(w[0, 0], g))(torch.tensor([0.1, 0.5]))
    assert torch.equal(by_strength[1], prox_sharing(w[0, 0], 0.5))
    jacobian = torch.func.jacrev(lambda row: prox_sharing(row, 0.3))(w[0, 0])
    assert torch.allclose(jacobian.sum(1), torch.ones(10))


def test_torch_func_transforms_nest(generator):
    w = torch.randn(3, 8, generator=generator, dtype=torch.float64)
    weights = torch.arange(8, dtype=torch.float64)

    def loss(row):
        return (weights * prox_sharing(row, 0.4, l1=0.1)).sum()

    by_rows = torch.func.vmap(torch.func.grad(loss))(w)
    leaf_w = w.clone().requires_grad_(True)
    (right,) = torch.autograd.grad(sum(loss(row) for row in leaf_w), leaf_w)
    assert torch.equal(by_rows, right)
    assert torch.func.jacrev(torch.func.grad(lambda row: loss(row) ** 2))(w[0]).shape == (8, 8)


def test_forward_mode_by_hand():
    w, g, l1 = (leaf(v).detach() for v in ([0.0, 1, 10, 11], 0.75, 1.0))
    ones = torch.ones_like(w)
    moved, along = torch.func.jvp(lambda g: prox_sharing(w, g), (g,), (torch.ones_like(g),))
    assert moved.tolist() == [0.75, 1.25, 9.75, 10.25]
    velocity = torch.tensor([1, 1 / 3, -1 / 3, -1], dtype=torch.float64)
    assert torch.allclose(along, velocity, rtol=0, atol=1e-15)

    def thresholded(w, l1):
        return prox_sharing(w, g, l1=l1)

    _, along = torch.func.jvp(thresholded, (w, l1), (2 * ones, torch.ones_like(l1)))
    assert along.tolist() == [0, 1, 1, 1]
    with torch.no_grad(), forward_ad.dual_level():
        out = prox_sharing(forward_ad.make_dual(w, 3 * ones), g)
        assert forward_ad.unpack_dual(out).tangent.tolist() == [3, 3, 3, 3]
    forward, backward = (j(lambda w: prox_sharing(w, 3 * g))(w) for j in (jacfwd, jacrev))
    assert torch.equal(forward, backward)


def test_who_looks_on_sees_the_operator(generator):
    """Without gradients the kernels are called directly, unless someone traces, maps or fakes."""
    w = torch.randn(9, generator=generator)
    graph = make_fx(lambda w: prox_sharing(w, 0.5))(w).graph
    assert any("sharing_prox" in str(node.target) for node in graph.nodes)
    with FakeTensorMode() as mode:
        fake = prox_sharing(mode.from_tensor(w), torch.full((), 0.5))
    assert type(fake) is not torch.Tensor
    assert fake.shape == (9,)
    mapped = torch.func.vmap(lambda row: prox_sharing(row, 0.5))(w[None])
    assert torch.equal(mapped[0], prox_sharing(w, 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["auto", "search", "bridge"])
def test_compiles_as_one_graph(method, generator):
    w = torch.randn(50, generator=generator, requires_grad=True)

    @torch.compile(fullgraph=True)
    def loss(w, g):
        return (prox_sharing(2 * w, g, l1=0.1, method=method) ** 2).sum()

    g = torch.tensor(0.3, requires_grad=True)
    found = torch.autograd.grad(loss(w, g), (w, g))
    right = torch.autograd.grad((prox_sharing(2 * w, g, l1=0.1) ** 2).sum(), (w, g))
    for a, b in zip(found, right, strict=True):
        torch.testing.assert_close(a, b)
    with pytest.raises(DomainError, match="strength"):
        loss(w, torch.tensor(-1.0))
