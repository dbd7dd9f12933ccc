"""Tests of coset.beliefs.solvers.envelope: gradients of inconsistency, first and second."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from coset.beliefs.attention import Attention
from coset.beliefs.errors import NonConvexError, WidthError
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.envelope import inconsistency
from coset.beliefs.solvers.mirror import OPERATOR
from coset.beliefs.solvers.solve import solve
from coset.core.backends import use_backend
from coset.core.errors import UnsupportedError


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def logits(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)


def three_beliefs(a, b, c, beta=2.0):
    pdg = PDG({"A": 2, "B": 3})
    pdg.add("p", "B", "A", cpd=a.log_softmax(-1), is_log=True, beta=beta)
    pdg.add("q", "A", "B", cpd=b.log_softmax(-1), is_log=True)
    pdg.add("r", "B", cpd=c.log_softmax(-1), is_log=True, alpha=0.5)
    return pdg


@pytest.mark.parametrize("backend", ["numba", "eager"])
@pytest.mark.parametrize("beta", [2.0, math.inf])
@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_gradients_are_those_of_differences(gamma, beta, backend):
    def value(*tables):
        return inconsistency(three_beliefs(*tables, beta=beta), gamma, tol=1e-14)

    with use_backend(OPERATOR, backend):
        assert torch.autograd.gradcheck(
            value, (logits(2, 3), logits(3, 2, seed=1), logits(3, seed=2)), atol=1e-6
        )


def test_gradients_of_batches_are_those_of_elements():
    tables = (logits(4, 2, 3), logits(4, 3, 2, seed=1), logits(3, seed=2))
    value = inconsistency(three_beliefs(*tables), 0.3, tol=1e-13)
    assert value.shape == (4,)
    gradients = torch.autograd.grad(value.sum(), tables)
    total = torch.zeros(3, dtype=torch.float64)
    for i in range(4):
        own = [tables[0][i], tables[1][i], tables[2]]
        alone = inconsistency(three_beliefs(*own), 0.3, tol=1e-13)
        assert alone.item() == pytest.approx(value[i].item(), abs=1e-12)
        first, _, last = torch.autograd.grad(alone, own)
        assert torch.allclose(first, gradients[0][i], atol=1e-6)
        total += last
    assert torch.allclose(total, gradients[2], atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_second_derivatives(gamma):
    def value(*tables):
        return inconsistency(three_beliefs(*tables), gamma, second_order=True, tol=1e-14)

    tables = (logits(2, 3), logits(3, 2, seed=1), logits(3, seed=2))
    assert torch.autograd.gradcheck(value, tables, atol=1e-6)
    assert torch.autograd.gradgradcheck(value, tables, atol=1e-5)


def test_second_derivatives_hold_constraints():
    data = tensor([0.2, 0.5, 0.3])

    def value(a, b):
        pdg = three_beliefs(a, b, torch.zeros(3, dtype=torch.float64))
        pdg.add("data", "B", cpd=data, beta=math.inf)
        return inconsistency(pdg, 0.4, second_order=True, tol=1e-14)

    tables = (logits(2, 3), logits(3, 2, seed=1))
    assert torch.autograd.gradgradcheck(value, tables, atol=1e-5)


def test_second_derivatives_hold_constraints_that_are_no_chain():
    data = random_table(2, 3, num_targets=2, generator=torch.Generator().manual_seed(5))

    def value(a):
        pdg = PDG({"A": 2, "B": 3, "C": 2})
        pdg.add("AB", ("A", "B"), cpd=data, beta=math.inf)
        pdg.add("B", "B", cpd=data.sum(0), beta=math.inf)
        pdg.add("p", "C", "B", cpd=a.log_softmax(-1), is_log=True)
        pdg.add("q", "C", "A", cpd=tensor([[0.9, 0.1], [0.3, 0.7]]))
        return inconsistency(pdg, 0.4, second_order=True, tol=1e-11)

    assert torch.autograd.gradgradcheck(value, (logits(3, 2),), atol=1e-4)


def test_without_second_order_the_gradient_is_that_of_a_fixed_joint():
    table = logits(2)
    slopes, hessians = [], []
    for order in (False, True):
        pdg = PDG({"X": 2})
        pdg.add("p", "X", cpd=table.log_softmax(-1), is_log=True)
        pdg.add("q", "X", cpd=tensor([0.5, 0.5]))
        value = inconsistency(pdg, tol=1e-14, second_order=order)
        (slope,) = torch.autograd.grad(value, table, create_graph=True)
        slopes.append(slope.detach())
        hessians.append(torch.autograd.grad(slope[0], table)[0][0])
    assert torch.allclose(slopes[0], slopes[1])
    assert hessians[0] > hessians[1] > 0  # the joint gives way


def test_an_early_stop_warns_with_the_gap():
    """Trap T3."""
    pdg = three_beliefs(logits(2, 3), logits(3, 2, seed=1), logits(3, seed=2))
    with pytest.warns(RuntimeWarning, match="max_iter"):
        biased = inconsistency(pdg, 0.01, method="mirror", max_iter=1, tol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact = inconsistency(pdg, 0.01, tol=1e-12)
    assert biased.item() > exact.item()


def test_values_are_those_of_solve_and_bits_are_smaller():
    """Traps T1 and T5."""
    pdg = three_beliefs(logits(2, 3), logits(3, 2, seed=1), logits(3, seed=2))
    pdg.variable("D", 5)
    pdg.variable("E", 2)
    pdg.add("s", "E", cpd=tensor([0.2, 0.8]))
    pdg.observe("E", 0)
    for gamma in (0.0, 0.7):
        value = inconsistency(pdg, gamma, tol=1e-12)
        assert value.item() == pytest.approx(solve(pdg, gamma, tol=1e-12).value, abs=1e-11)
        bits = inconsistency(pdg, gamma, tol=1e-12, units="bits")
        assert bits.item() == pytest.approx(value.item() / math.log(2))
    attended = inconsistency(pdg, 0.7, Attention.only(["s", "E=0"]))
    assert attended.item() == pytest.approx(-math.log(0.2))


def test_observations_give_the_gradient_of_surprisal():
    table = logits(2, 3)
    pdg = PDG({"X": 2, "Y": 3})
    pdg.add("p", "Y", "X", cpd=table.log_softmax(-1), is_log=True)
    value = inconsistency(pdg.condition({"X": 1, "Y": 2}))
    assert value.item() == pytest.approx(-table.log_softmax(-1)[1, 2].item())
    (gradient,) = torch.autograd.grad(value, table)
    wanted = table.detach().softmax(-1)
    wanted[1, 2] -= 1
    wanted[0] = 0
    assert torch.allclose(gradient, wanted)


def test_contradictions_are_infinite_without_gradient():
    table = logits(2)
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=table.log_softmax(-1), is_log=True)
    contradicted = pdg.condition({"X": 0})
    contradicted.add("no", "X", cpd=tensor([0.0, 1.0]), beta=math.inf)
    value = inconsistency(contradicted)
    assert value.item() == math.inf
    tables = tensor([[1.0, 0.0], [0.5, 0.5]])
    mixed = pdg.copy()
    mixed.add("q", "X", cpd=tables)
    mixed.add("r", "X", cpd=tensor([0.0, 1.0]))
    both = inconsistency(mixed)
    assert both[0].item() == math.inf
    assert math.isfinite(both[1].item())
    (gradient,) = torch.autograd.grad(both[1], table)
    assert bool(torch.isfinite(gradient).all())


def test_what_cannot_be_done_is_refused():
    pdg = three_beliefs(logits(2, 3), logits(3, 2, seed=1), logits(3, seed=2), beta=math.inf)
    with pytest.raises(UnsupportedError, match="constraints fixed"):
        inconsistency(pdg, second_order=True)
    with pytest.raises(NonConvexError):
        inconsistency(three_beliefs(logits(2, 3), logits(3, 2, seed=1), logits(3, seed=2)), 5.0)
    wide = PDG({f"X{i}": 2 for i in range(12)})
    for i in range(12):
        wide.add(f"p{i}", f"X{i}", f"X{(i + 1) % 12}", cpd=random_table(2, 2))
    with pytest.raises(WidthError, match="2048"):
        inconsistency(wide, 0.5, second_order=True)


def test_many_variables_have_a_gradient_too():
    pdg = PDG({f"X{i}": 2 for i in range(40)})
    for i in range(40):
        table = [[0.8, 0.2], [0.3, 0.7]]
        pdg.add(f"p{i}", f"X{(i + 1) % 40}", f"X{i}", cpd=table, learnable=i == 0)
    pdg.add("odd", "X5", "X7", cpd=[[0.1, 0.9], [0.9, 0.1]])
    value = inconsistency(pdg, 0.1, tol=1e-11)
    assert value.item() == pytest.approx(solve(pdg, 0.1).value, abs=1e-8)
    value.backward()
    (logits,) = pdg.arcs["p0"].parameters
    step = 1e-5
    with torch.no_grad():
        logits[0, 0] += step
        above = solve(pdg, 0.1, tol=1e-12).value
        logits[0, 0] -= 2 * step
        below = solve(pdg, 0.1, tol=1e-12).value
    assert logits.grad[0, 0].item() == pytest.approx((above - below) / (2 * step), abs=1e-6)
    with pytest.raises(WidthError):
        inconsistency(pdg, 0.1, second_order=True)
