"""The interior point method and the cone solver against an independent convex program."""

from __future__ import annotations

import itertools
import math
import sys
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
import torch

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.beliefs.solvers.cone import solve_cone
from coset.beliefs.solvers.dual_bound import dual_gap
from coset.beliefs.solvers.interior import solve_interior
from coset.beliefs.solvers.mirror import solve_mirror
from coset.beliefs.solvers.problem import dense_problem
from coset.beliefs.solvers.score import score_of
from coset.core.errors import UnavailableError


def table(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def by_cvxpy(pdg: PDG, gamma: float) -> float:
    """The least score by a literal program: loops over worlds and cells."""
    names = list(pdg.variables)
    worlds = list(itertools.product(*(range(pdg.variables[n].card) for n in names)))
    mu = cp.Variable(len(worlds), nonneg=True)
    rules, total = [cp.sum(mu) == 1], -gamma * cp.sum(cp.entr(mu))
    for arc in pdg.arcs.values():
        p = arc.probabilities()
        for cell in itertools.product(*(range(k) for k in p.shape)):
            known = dict(zip((*arc.sources, *arc.targets), cell, strict=True))
            both, source = (
                np.array([all(w[names.index(n)] == known[n] for n in scope) for w in worlds], float)
                for scope in ((*arc.sources, *arc.targets), arc.sources)
            )
            if arc.is_hard:
                rules.append(both @ mu == float(p[cell]) * (source @ mu))
                total -= gamma * arc.alpha * math.log(max(float(p[cell]), 1e-300)) * (both @ mu)
            else:
                weight = arc.beta - gamma * arc.alpha
                total += weight * cp.rel_entr(both @ mu, source @ mu)
                total -= arc.beta * math.log(float(p[cell])) * (both @ mu)
    program = cp.Problem(cp.Minimize(total), rules)
    program.solve(solver=cp.CLARABEL)
    return float(program.value)


@pytest.mark.parametrize("gamma", [0.0, 1e-6, 0.1, 0.9])
@pytest.mark.parametrize("seed", range(2))
def test_both_equal_a_literal_program(gamma, seed):
    generator = torch.Generator().manual_seed(seed)
    pdg = random_graph(4, 4, num_sources=(0, 2), num_targets=(1, 1), generator=generator)
    expected = by_cvxpy(pdg, gamma)
    problem = dense_problem(pdg.subgraph(pdg.arcs), gamma)
    idle = gamma * sum(
        math.log(v.card) for n, v in pdg.variables.items() if n not in problem_names(problem)
    )
    for found in (solve_interior(problem), solve_cone(problem)):
        assert float(found.value) - idle == pytest.approx(expected, abs=3e-7)
        assert float(found.gap) <= 1e-7
    assert solve_interior(problem).converged


def problem_names(problem) -> set[str]:
    return {v.name for v in problem.variables}


def crossed(generator: torch.Generator) -> PDG:
    """Certain marginals of A, B and a certain B | C: no order meets them one after the other."""
    pdg = PDG({"A": 2, "B": 2, "C": 3})
    pdg.add("a", "A", cpd=table([0.4, 0.6]), beta=math.inf)
    pdg.add("b", "B", cpd=table([0.7, 0.3]), beta=math.inf)
    pdg.add("c", "B", "C", cpd=table([[0.1, 0.9], [0.8, 0.2], [0.7, 0.3]]), beta=math.inf)
    joint = random_table(12, generator=generator).reshape(2, 2, 3)
    pdg.add("x", ("A", "B", "C"), cpd=joint)
    pdg.add("y", "C", "A", cpd=random_table(2, 3, generator=generator))
    return pdg


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_constraints_that_are_no_chain(gamma):
    pdg = crossed(torch.Generator().manual_seed(0))
    problem = dense_problem(pdg, gamma)
    assert len(problem.constraints) == 3
    expected = by_cvxpy(pdg, gamma)
    for solver in (solve_interior, solve_cone):
        found = solver(problem)
        assert float(found.value) == pytest.approx(expected, abs=3e-7)
        assert float(found.gap) <= 1e-8
        joint = found.log_joint.exp()
        assert joint.sum((1, 2)).tolist() == pytest.approx([0.4, 0.6], abs=1e-12)
        assert joint.sum((0, 2)).tolist() == pytest.approx([0.7, 0.3], abs=1e-12)
        rows = joint.sum(0).T / joint.sum((0, 1))[:, None]
        assert torch.allclose(rows, pdg.arcs["c"].cpd, atol=1e-10)


def test_constraints_that_force_zeros_have_an_interior_all_the_same():
    # P(A = B) = 1 and P(B = C) = 1 by three arcs in a cycle: six of eight worlds are impossible
    pdg = PDG({"A": 2, "B": 2, "C": 2})
    for name, target, source in (("ab", "B", "A"), ("bc", "C", "B"), ("ca", "A", "C")):
        pdg.add(name, target, source, cpd=torch.eye(2).double(), beta=math.inf)
    pdg.add("p", "A", cpd=table([0.2, 0.8]))
    pdg.add("q", "C", cpd=table([0.6, 0.4]))
    found = solve_interior(dense_problem(pdg))
    expected = -2 * math.log(math.sqrt(0.12) + math.sqrt(0.32))
    assert float(found.value) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.2])
def test_a_chain_is_met_exactly_and_equals_descent(gamma):
    generator = torch.Generator().manual_seed(3)
    pdg = PDG({"X": 3, "Z": 2, "Y": 3})
    data = table([0.5, 0.3, 0.2])
    pdg.add("D", "X", cpd=data, beta=math.inf)
    pdg.add("p", ("X", "Z"), cpd=random_table(6, generator=generator).reshape(3, 2))
    pdg.add("r", "Y", "Z", cpd=random_table(2, 3, generator=generator))
    pdg.add("s", "X", "Y", cpd=random_table(3, 3, generator=generator))
    problem = dense_problem(pdg, gamma)
    inner, outer = solve_interior(problem), solve_mirror(problem)
    assert float(inner.value) == pytest.approx(float(outer.value), abs=2e-9)
    assert inner.log_joint.exp().sum((1, 2)).tolist() == pytest.approx(data.tolist(), abs=1e-14)


def test_the_gap_bounds_the_true_gap_of_any_joint():
    generator = torch.Generator().manual_seed(4)
    pdg = random_graph(4, 5, num_sources=(0, 2), num_targets=(1, 1), generator=generator)
    problem = dense_problem(pdg.subgraph(pdg.arcs))
    best = solve_interior(problem, tol=1e-11)
    for _ in range(5):
        weights = torch.rand(problem.shape, generator=generator, dtype=torch.float64)
        log_joint = (weights / weights.sum()).log()
        # conditionals of some other joint bound the minimum as well, only less tightly
        other = tuple(
            random_table(*t.log_p.shape, generator=generator).log() for t in problem.terms
        )
        other = tuple(
            q - q.logsumexp(t.targets, keepdim=True)
            for q, t in zip(other, problem.terms, strict=True)
        )
        tight = dual_gap(problem, log_joint, best.log_conditionals)
        loose = dual_gap(problem, log_joint, other)
        true = float(score_of(problem, log_joint) - best.value)
        assert true - 1e-10 <= float(tight) <= true + 1e-9
        assert float(loose) >= true - 1e-10
    # conditionals that sum to more than one are brought down before they prove anything
    cheat = tuple(q + 1.0 for q in best.log_conditionals)
    assert float(dual_gap(problem, best.log_joint, cheat)) >= -1e-10


def test_rows_that_vanish_do_not_spoil_the_gap():
    # The minimum has μ(s) = 0 for a source, where the conditionals of μ itself prove nothing
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=table([[0.9, 0.1], [0.5, 0.5]]))
    pdg.add("q", "B", "A", cpd=table([[0.9, 0.1], [0.1, 0.9]]))
    found = solve_interior(dense_problem(pdg))
    assert float(found.value) == pytest.approx(0.0, abs=1e-9)
    assert found.converged
    assert float(found.log_joint.exp().sum(1)[1]) < 1e-7


def test_extreme_tables_are_solved():
    tiny = 1e-12
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=table([[1 - tiny, tiny], [tiny, 1 - tiny]]))
    pdg.add("q", "A", "B", cpd=table([[tiny, 1 - tiny], [1 - tiny, tiny]]))
    found = solve_interior(dense_problem(pdg))
    assert found.converged
    assert float(found.value) == pytest.approx(
        float(solve_mirror(dense_problem(pdg)).value), abs=1e-8
    )


def test_a_batch_with_an_impossible_element():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([[1.0, 0.0], [0.5, 0.5]]))
    pdg.add("q", "A", cpd=table([0.0, 1.0]))
    for solver in (solve_interior, solve_cone):
        found = solver(dense_problem(pdg))
        assert found.value[0] == math.inf
        assert float(found.value[1]) == pytest.approx(math.log(2), abs=1e-8)


def test_without_clarabel_the_cone_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "clarabel", None)
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([0.5, 0.5]))
    with pytest.raises(UnavailableError, match=r"pip install coset\[convex\]"):
        solve_cone(dense_problem(pdg))


@pytest.mark.parametrize("failure", ["not a number", "no factor"])
def test_a_step_that_leaves_the_numbers_ends_the_run_where_it_was(monkeypatch, failure):
    def advance(self):
        if failure == "no factor":
            raise np.linalg.LinAlgError
        self.point = replace(self.point, joint=self.point.joint * np.nan)

    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=[[0.8, 0.2], [0.3, 0.7]])
    pdg.add("q", "A", "B", cpd=[[0.6, 0.4], [0.1, 0.9]])
    monkeypatch.setattr("coset.beliefs.solvers.interior.Interior.advance", advance)
    found = solve_interior(dense_problem(pdg))
    assert not found.converged
    assert math.isfinite(float(found.value))
    assert float(found.gap) > 0
