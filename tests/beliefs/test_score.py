"""Tests of coset.beliefs.solvers.score, against loops over worlds and autograd."""

from __future__ import annotations

import math
from itertools import islice

import pytest
import torch

from coset.beliefs.attention import Attention
from coset.beliefs.joint import DenseJoint
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.beliefs.reference import mirror_descent_reference, score_reference
from coset.beliefs.solvers.envelope import inconsistency
from coset.beliefs.solvers.mirror import solve_mirror
from coset.beliefs.solvers.problem import dense_problem
from coset.beliefs.solvers.score import (
    gap_of,
    gradient_of,
    incompatibility,
    score,
    score_of,
    structural_deficiency,
)
from coset.core.errors import DomainError, DtypeError, ShapeError, UnsupportedError


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def two_cycle(alpha=1.0, beta=1.0):
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=tensor([[0.8, 0.2], [0.3, 0.7]]), alpha=alpha, beta=beta)
    pdg.add("q", "A", "B", cpd=tensor([[0.6, 0.4], [0.1, 0.9]]), alpha=alpha, beta=beta)
    return pdg


def uneven(generator):
    drawn = random_graph(4, 5, num_sources=(0, 2), generator=generator)
    pdg = PDG(drawn.variables.values())
    for number, arc in enumerate(drawn.arcs.values()):
        pdg.arcs[arc.name] = arc.weighted(0.3 * number, (0.5, 2.0, 0.0)[number % 3])
    return pdg


@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
def test_score_is_what_loops_over_worlds_give(gamma):
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        pdg = uneven(generator)
        joint = random_table(*pdg.cards(pdg.variables), num_targets=4, generator=generator)
        assert score(pdg, joint, gamma).item() == pytest.approx(
            score_reference(pdg, joint, gamma), abs=1e-12
        )
        parts = incompatibility(pdg, joint) + gamma * structural_deficiency(pdg, joint)
        assert score(pdg, joint, gamma).item() == pytest.approx(parts.item(), abs=1e-12)


def test_worked_scores_of_the_two_cycle():
    """The minimizers of W3, to the digits given."""
    mu = tensor([[0.27316316, 0.05962221], [0.19339391, 0.47382071]])
    assert score(two_cycle(), mu / mu.sum()).item() == pytest.approx(0.001229613963, abs=1e-11)
    best = tensor([[0.384, 0.016], [0.096, 0.504]])
    assert score(two_cycle(), best, 1.0).item() == pytest.approx(-math.log(1.25), abs=1e-12)


def test_the_linear_term_has_weight_beta():
    """Trap T2: −β log p, whatever α is."""
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=tensor([0.25, 0.75]), alpha=3.0, beta=2.0)
    point = tensor([1.0, 0.0])
    assert score(pdg, point, 0.7).item() == pytest.approx(2 * math.log(4))


def test_variables_without_beliefs_add_entropy():
    """Trap T5: an isolated variable shifts the score by −γ log card at its best."""
    pdg = two_cycle()
    mu = random_table(2, 2, num_targets=2, generator=torch.Generator().manual_seed(0))
    wider = pdg.copy()
    wider.variable("D", 3)
    uniform = mu[..., None].expand(2, 2, 3) / 3
    before, after = score(pdg, mu, 0.5), score(wider, uniform, 0.5)
    assert after.item() == pytest.approx(before.item() - 0.5 * math.log(3))
    # Attended graphs lose what nothing touches
    assert score(wider, uniform, 0.5, Attention()).item() == pytest.approx(before.item())


def test_sources_of_weight_zero_are_not_divided_by():
    """Trap T6."""
    joint = tensor([[0.0, 0.0], [0.4, 0.6]])
    assert score(two_cycle(), joint).item() == pytest.approx(score_reference(two_cycle(), joint))
    assert math.isfinite(score(two_cycle(), joint, 1.0))


def test_bits_batches_and_joints_as_objects():
    """Trap T1."""
    pdg = two_cycle()
    mu = random_table(5, 2, 2, num_targets=2, generator=torch.Generator().manual_seed(0))
    nats = score(pdg, mu, 0.3)
    assert nats.shape == (5,)
    assert torch.allclose(score(pdg, mu, 0.3, units="bits"), nats / math.log(2))
    for function in (incompatibility, structural_deficiency):
        assert torch.allclose(function(pdg, mu, units="bits"), function(pdg, mu) / math.log(2))
    turned = DenseJoint((pdg.variables["B"], pdg.variables["A"]), mu.mT)
    assert torch.allclose(score(pdg, turned, 0.3), nats)
    assert torch.allclose(torch.stack([score(pdg, m, 0.3) for m in mu]), nats)
    half = score(pdg, mu.float(), 0.3)
    assert half.dtype == torch.float64  # the cpds are


def test_what_a_belief_rules_out_costs_infinity_and_disbelief_gains_it():
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=tensor([1.0, 0.0]), beta=0.5)
    assert score(pdg, tensor([1.0, 0.0])).item() == 0.0
    assert score(pdg, tensor([0.9, 0.1])).item() == math.inf
    assert score_reference(pdg, tensor([0.9, 0.1])) == math.inf
    assert score(pdg, tensor([0.9, 0.1]), 0.0, Attention({"p": -1.0})).item() == -math.inf


def test_constraints_cost_nothing_or_infinity():
    pdg = PDG({"X": 2, "Y": 2})
    table = tensor([[0.8, 0.2], [0.3, 0.7]])
    pdg.add("p", "Y", "X", cpd=table, beta=math.inf, alpha=0.0)
    joint = tensor([0.25, 0.75])[:, None] * table
    assert incompatibility(pdg, joint).item() == 0.0
    assert incompatibility(pdg, joint.mT.contiguous()).item() == math.inf
    batch = torch.stack([joint, joint.flip(0)])
    assert incompatibility(pdg, batch).tolist() == [0.0, math.inf]


def test_attention_multiplies_and_sums_out():
    pdg = two_cycle()
    pdg.variable("C", 3)
    pdg.add("r", "C", cpd=tensor([0.2, 0.3, 0.5]))
    mu = random_table(2, 2, 3, num_targets=3, generator=torch.Generator().manual_seed(3))
    only = Attention.only(["p"])
    alone = PDG({"A": 2, "B": 2})
    alone.arcs["p"] = pdg.arcs["p"]
    assert score(pdg, mu, 0.4, only).item() == pytest.approx(score(alone, mu.sum(2), 0.4).item())
    half = score(pdg, mu, 0.0, Attention(default=0.5))
    assert half.item() == pytest.approx(score(pdg, mu).item() / 2)


def test_scores_are_differentiable_in_joints_and_tables():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 2, generator=generator, dtype=torch.float64) + 0.1
    weights.requires_grad_()

    def value(logits, weights):
        pdg = two_cycle()
        pdg.add("r", "B", "A", cpd=logits.log_softmax(-1), is_log=True, alpha=0.0)
        return score(pdg, weights / weights.sum(), 0.4)

    assert torch.autograd.gradcheck(value, (logits, weights))


@pytest.mark.parametrize(
    ("joint", "error"),
    [
        (tensor([[0.5, 0.5]]), ShapeError),
        (tensor([0.5, 0.5]), ShapeError),
        (tensor([[0.5, 0.5], [0.5, 0.5]]), DomainError),
        (tensor([[1.5, -0.5], [0.0, 0.0]]), DomainError),
        (tensor([[math.nan, 0.5], [0.5, 0.0]]), DomainError),
        (torch.tensor([[1, 0], [0, 0]]), DtypeError),
    ],
)
def test_joints_that_are_none_are_refused(joint, error):
    with pytest.raises(error):
        score(two_cycle(), joint)


@pytest.mark.parametrize("gamma", [-1.0, math.nan, math.inf])
def test_gamma_must_be_finite_and_not_negative(gamma):
    with pytest.raises(DomainError, match="gamma"):
        score(two_cycle(), tensor([[0.25, 0.25], [0.25, 0.25]]), gamma)


@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_score_and_gradient_of_dense_problems(gamma):
    generator = torch.Generator().manual_seed(5)
    pdg = uneven(generator)
    problem = dense_problem(pdg, gamma)
    joint = random_table(3, *problem.shape, num_targets=4, generator=generator)
    names = [v.name for v in problem.variables]
    kept = pdg.subgraph(pdg.arcs)
    assert list(kept.variables) == names
    value = score_of(problem, joint.log())
    assert torch.allclose(value, score(kept, joint, gamma), atol=1e-12)
    gradient = gradient_of(problem, joint.log())
    assert torch.allclose((joint * gradient).flatten(1).sum(1), value, atol=1e-12)
    leaf = joint.clone().requires_grad_()
    (exact,) = torch.autograd.grad(score_of(problem, leaf.log()).sum(), leaf)
    off = (gradient - exact).flatten(1)
    assert torch.allclose(off, off[:, :1].expand_as(off), atol=1e-10)


@pytest.mark.parametrize("gamma", [0.0, 0.2, 1.0])
def test_the_gap_is_never_less_than_the_distance_to_the_infimum(gamma):
    generator = torch.Generator().manual_seed(7)
    for _ in range(5):
        drawn = random_graph(3, 4, num_sources=(0, 1), num_targets=(1, 1), generator=generator)
        problem = dense_problem(drawn, gamma)
        least = solve_mirror(problem, tol=1e-12).value
        joint = random_table(20, *problem.shape, num_targets=len(problem.shape))
        gap = gap_of(problem, joint.log(), gradient_of(problem, joint.log()))
        assert bool((gap >= score_of(problem, joint.log()) - least - 1e-10).all())


def test_the_gap_with_entropy_is_below_the_linear_one():
    problem = dense_problem(two_cycle(), 0.5)
    joint = random_table(10, 2, 2, num_targets=2).log()
    gradient = gradient_of(problem, joint)
    linear = (joint.exp() * gradient).flatten(1).sum(1) - gradient.flatten(1).amin(1)
    assert bool((gap_of(problem, joint, gradient) <= linear + 1e-12).all())
    certain = tensor([[0.0, -math.inf], [-math.inf, -math.inf]])
    assert gap_of(problem, certain, gradient_of(problem, certain)).item() == math.inf


def test_literal_descent_ends_at_the_worked_minimizer():
    steps = mirror_descent_reference(two_cycle(), 1.0, dense_problem(two_cycle(), 1.0).smoothness)
    joint = next(islice(steps, 1, None))  # exact in one step, as β = γα
    assert torch.allclose(joint, tensor([[0.384, 0.016], [0.096, 0.504]]), atol=1e-12)
    with pytest.raises(UnsupportedError, match="finite β"):
        next(mirror_descent_reference(two_cycle().condition({"A": 0}), 1.0, 1.0))


@pytest.mark.parametrize("gamma", ["0+", -1.0, math.nan])
def test_gamma_is_a_number(gamma):
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=[0.5, 0.5])
    for call in (
        lambda: score(pdg, torch.full((2,), 0.5), gamma),
        lambda: inconsistency(pdg, gamma),
    ):
        with pytest.raises(DomainError, match="gamma is a finite number"):
            call()
