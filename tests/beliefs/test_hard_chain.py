"""Constraints that form a chain are met exactly; projections and least costs are optimal."""

from __future__ import annotations

import math

import cvxpy
import pytest
import torch

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.problem import dense_problem

SIZES = {"F": 2, "T": 3, "G": 2, "U": 2, "R": 2}


def random_table(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=generator, dtype=torch.float64).softmax(-1)


def chained(seed: int) -> tuple[PDG, dict[str, torch.Tensor]]:
    """Two constraints with free sources before each, one entry 0, and a variable that is free."""
    generator = torch.Generator().manual_seed(seed)
    t = random_table(generator, 2, 3)
    t[0] = torch.tensor([0.0, 0.25, 0.75])
    u = random_table(generator, 2, 3, 2, 2)
    pdg = PDG(SIZES)
    pdg.add("t", "T", "F", cpd=t, beta=math.inf)
    pdg.add("u", "U", ("F", "T", "G"), cpd=u, beta=math.inf)
    pdg.add("soft", "R", "U", cpd=random_table(generator, 2, 2))
    return pdg, {"t": t, "u": u}


def constrained_joint(tables: dict[str, torch.Tensor]) -> tuple[cvxpy.Variable, list]:
    mu = cvxpy.Variable(48, nonneg=True)
    index = torch.arange(48).reshape(2, 3, 2, 2, 2)
    held = [cvxpy.sum(mu) == 1]
    for f in range(2):
        for k in range(3):
            whole = cvxpy.sum(mu[index[f].flatten().tolist()])
            part = cvxpy.sum(mu[index[f, k].flatten().tolist()])
            held.append(part == float(tables["t"][f, k]) * whole)
            for g in range(2):
                rows = cvxpy.sum(mu[index[f, k, g].flatten().tolist()])
                one = cvxpy.sum(mu[index[f, k, g, 1].flatten().tolist()])
                held.append(one == float(tables["u"][f, k, g, 1]) * rows)
    return mu, held


@pytest.mark.parametrize("seed", [0, 1])
def test_projection_and_least_cost_are_those_of_a_convex_program(seed):
    pdg, tables = chained(seed)
    problem = dense_problem(pdg)
    assert [stage.name for stage in problem.chain.stages] == ["t", "u"]
    weights = torch.rand(problem.shape, generator=torch.Generator().manual_seed(9 + seed)).double()
    forbidden = problem.allowed.logical_not()
    log_weights = weights.log().masked_fill(forbidden, -math.inf)
    log_joint, value = problem.chain.project(log_weights)
    mu, held = constrained_joint(tables)
    flat = weights.flatten().numpy()
    allowed = problem.allowed.flatten().numpy()
    held.append(mu[~allowed] == 0)
    program = cvxpy.Problem(
        cvxpy.Minimize(cvxpy.sum(-cvxpy.entr(mu)) - mu @ torch.from_numpy(flat).log().numpy()), held
    )
    assert -program.solve(solver="CLARABEL") == pytest.approx(value.item(), abs=1e-7)
    assert torch.allclose(log_joint.exp().flatten(), torch.from_numpy(mu.value), atol=1e-5)
    least = problem.chain.least_expectation(weights.masked_fill(forbidden, math.inf))
    assert cvxpy.Problem(cvxpy.Minimize(mu @ flat), held).solve() == pytest.approx(least.item())


def test_the_projection_meets_the_constraints():
    pdg, tables = chained(3)
    problem = dense_problem(pdg)
    weights = torch.zeros(problem.shape, dtype=torch.float64).masked_fill(
        ~problem.allowed, -math.inf
    )
    mu = problem.chain.project(weights)[0].exp()
    ft = mu.sum((2, 3, 4))
    assert torch.allclose(ft, tables["t"] * ft.sum(1, keepdim=True))
    ftgu = mu.sum(4)
    assert torch.allclose(ftgu, tables["u"] * ftgu.sum(3, keepdim=True))
    again = problem.chain.project(mu.log())[0].exp()
    assert torch.allclose(again, mu), "projecting twice changes nothing"


def test_without_constraints_weights_are_normalized():
    pdg = PDG({"A": 3})
    pdg.add("p", "A", cpd=torch.full((3,), 1 / 3, dtype=torch.float64))
    chain = dense_problem(pdg).chain
    log_joint, value = chain.project(
        torch.tensor([0.0, math.log(2), -math.inf], dtype=torch.float64)
    )
    assert log_joint.exp().tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert value.item() == pytest.approx(math.log(3))


def test_no_world_left_is_told_by_minus_infinity():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=torch.tensor([0.5, 0.5], dtype=torch.float64), beta=math.inf)
    log_joint, value = dense_problem(pdg).chain.project(torch.tensor([0.0, -math.inf]).double())
    assert value.item() == -math.inf
    assert bool((log_joint == -math.inf).all())


def test_functions_of_their_sources_may_come_in_any_order():
    eye = torch.eye(2, dtype=torch.float64)
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    pdg = PDG({"X": 2, "Y": 2, "Z": 2})
    pdg.add("y", "Y", "X", cpd=eye, beta=math.inf)
    pdg.add("z", "Z", "X", cpd=eye.flip(0), beta=math.inf)
    pdg.add("x", "X", cpd=half, beta=math.inf)
    problem = dense_problem(pdg)
    assert problem.constraints == ()
    mu = problem.chain.project(torch.zeros(2, 2, 2, dtype=torch.float64))[0].exp()
    assert mu[0, 0, 1].item() == pytest.approx(0.5)
    assert mu[1, 1, 0].item() == pytest.approx(0.5)


@pytest.mark.parametrize("other", ["same target", "independent", "cycle"])
def test_constraints_that_are_no_chain_are_returned_as_they_are(other):
    table = torch.tensor([[0.3, 0.7], [0.6, 0.4]], dtype=torch.float64)
    pdg = PDG({"X": 2, "Y": 2})
    pdg.add("x", "X", cpd=table[0], beta=math.inf)
    if other == "same target":
        pdg.add("again", "X", cpd=table[1], beta=math.inf)
    elif other == "independent":
        pdg.add("y", "Y", cpd=table[1], beta=math.inf)
    else:
        pdg = pdg.subgraph([]) + PDG({"X": 2, "Y": 2})
        pdg.add("forth", "Y", "X", cpd=table, beta=math.inf)
        pdg.add("back", "X", "Y", cpd=table, beta=math.inf)
    problem = dense_problem(pdg)
    assert len(problem.constraints) == 2
    assert problem.chain.stages == ()
