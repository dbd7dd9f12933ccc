"""Concave terms: what constraints settle, local minima, and scores without a minimum."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.attention import Attention
from coset.beliefs.errors import NonConvexError, UnboundedInconsistencyError
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.problem import dense_problem
from coset.beliefs.solvers.score import score, score_of
from coset.beliefs.solvers.settled import settled
from coset.beliefs.solvers.solve import solve


def table(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def discriminator(generator: torch.Generator) -> PDG:
    """A coin, real or made X, a discriminator D(C | X) and an even guess e(C | X)."""
    pdg = PDG({"C": 2, "X": 4})
    pdg.add("coin", "C", cpd=table([0.5, 0.5]), beta=math.inf)
    data = random_table(2, 4, generator=generator)
    pdg.add("X", "X", "C", cpd=data, beta=math.inf)
    pdg.add("D", "C", "X", cpd=random_table(4, 2, generator=generator))
    pdg.add("e", "C", "X", cpd=torch.full((4, 2), 0.5, dtype=torch.float64))
    return pdg


def test_disbelief_where_constraints_leave_one_joint_is_solved_with_a_gap():
    pdg = discriminator(torch.Generator().manual_seed(0))
    attention = Attention({"e": -1.0}, {"e": 0.0})
    found = solve(pdg, attention=attention)
    data, judge = pdg.arcs["X"].cpd, pdg.arcs["D"].cpd
    loss = 0.5 * float((data[0] * judge[:, 0].log()).sum() + (data[1] * judge[:, 1].log()).sum())
    assert found.value == pytest.approx(-loss - math.log(2), abs=1e-12)
    assert found.gap <= 1e-12


def test_settled_problems_have_the_same_score():
    generator = torch.Generator().manual_seed(1)
    pdg = PDG({"A": 2, "B": 3, "C": 2})
    pdg.add("a", "A", cpd=table([0.3, 0.7]), beta=math.inf)
    pdg.add("b", "B", "A", cpd=random_table(2, 3, generator=generator), beta=math.inf)
    pdg.add("same", "B", "A", cpd=random_table(2, 3, generator=generator), beta=0.5)
    pdg.add("pinned", "A", "B", cpd=random_table(3, 2, generator=generator), beta=0.25)
    pdg.add("free", "C", "B", cpd=random_table(3, 2, generator=generator), beta=3.0)
    pdg.add("again", "C", "B", cpd=random_table(3, 2, generator=generator), beta=1.0, alpha=2.0)
    problem = dense_problem(pdg, 0.7)
    simple = settled(problem)
    assert [t.weight for t in simple.terms if t.weight] == [pytest.approx(4.0 - 0.7 * 3)]
    assert simple.smoothness < problem.smoothness
    for _ in range(3):
        weights = torch.rand(problem.shape, generator=generator, dtype=torch.float64)
        log_joint, _ = problem.chain.project(weights.log())
        ours, theirs = score_of(simple, log_joint), score_of(problem, log_joint)
        assert float(ours) == pytest.approx(float(theirs), abs=1e-12)


def test_belief_outweighs_disbelief_of_the_same_scope():
    pdg = PDG({"A": 3})
    p, q = table([0.5, 0.3, 0.2]), table([0.2, 0.2, 0.6])
    pdg.add("p", "A", cpd=p, beta=2.0)
    pdg.add("q", "A", cpd=q, beta=-1.0)
    found = solve(pdg)
    assert found.value == pytest.approx(-math.log(float((p**2 / q).sum())), abs=1e-9)
    assert found.gap <= 1e-9


def test_where_zeros_and_constraints_leave_one_world_nothing_is_concave():
    pdg = PDG({"A": 2})
    pdg.add("q", "A", cpd=table([0.5, 0.5]), beta=-1.0)
    pdg.observe("A", 1)
    assert solve(pdg).value == pytest.approx(-math.log(2))


def concave() -> PDG:
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=table([[0.9, 0.1], [0.4, 0.6]]), alpha=2.0, beta=1.0)
    pdg.add("q", "A", "B", cpd=table([[0.7, 0.3], [0.2, 0.8]]))
    return pdg


def test_cccp_ends_at_a_point_that_no_small_move_improves():
    pdg, gamma = concave(), 0.9
    with pytest.raises(NonConvexError, match="cccp") as caught:
        solve(pdg, gamma)
    assert caught.value.arcs == ("p",)
    with pytest.warns(RuntimeWarning, match="local minimum"):
        found = solve(pdg, gamma, method="cccp")
    assert found.method == "cccp"
    assert found.gap is None
    joint = found.joint.dense()
    assert found.value == pytest.approx(float(score(pdg, joint, gamma)), abs=1e-12)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        other = random_table(4, generator=generator).reshape(2, 2)
        for step in (1e-3, 1e-2):
            moved = (1 - step) * joint + step * other
            assert float(score(pdg, moved, gamma)) >= found.value - 1e-9


@pytest.mark.filterwarnings("ignore:.*local minimum")
def test_cccp_never_rises_above_its_start_and_equals_the_minimum_where_the_score_is_convex():
    pdg, gamma = concave(), 0.9
    uniform = torch.full((2, 2), 0.25, dtype=torch.float64)
    assert solve(pdg, gamma, method="cccp").value <= float(score(pdg, uniform, gamma))
    convex = solve(pdg, 0.4, method="cccp")
    assert convex.value == pytest.approx(solve(pdg, 0.4).value, abs=2e-9)
    assert convex.gap is not None


@pytest.mark.filterwarnings("ignore:.*local minimum")
def test_cccp_meets_constraints():
    pdg = concave()
    pdg.add("certain", "A", cpd=table([0.25, 0.75]), beta=math.inf, alpha=0.0)
    found = solve(pdg, 1.5, method="cccp")
    assert found.joint.marginal("A").tolist() == pytest.approx([0.25, 0.75])


def test_disbelief_that_nothing_holds_has_no_minimum():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "A", cpd=table([0.5, 0.5]))
    pdg.add("no", "B", "A", cpd=table([[1.0, 0.0], [0.5, 0.5]]), beta=-1.0)
    for method in ("auto", "cccp", "interior", "tree"):
        with pytest.raises(UnboundedInconsistencyError, match="'no'") as caught:
            solve(pdg, method=method)
        assert caught.value.arcs == ("no",)


@pytest.mark.filterwarnings("ignore:.*local minimum")
def test_disbelief_is_held_by_beliefs_and_constraints_that_rule_its_zeros_out():
    no = table([[1.0, 0.0], [0.5, 0.5]])
    for belief in (table([0.0, 1.0]), None):
        pdg = PDG({"A": 2, "B": 2})
        pdg.add("no", "B", "A", cpd=no, beta=-1.0, alpha=0.0)
        if belief is not None:
            pdg.add("never", "A", cpd=belief)
            value, kwargs = None, {"method": "cccp"}
        else:
            pdg.add("a", "A", cpd=table([0.5, 0.5]), beta=math.inf)
            pdg.add("b", "B", "A", cpd=table([[1.0, 0.0], [0.2, 0.8]]), beta=math.inf)
            value, kwargs = -0.5 * (0.2 * math.log(0.4) + 0.8 * math.log(1.6)), {}
        found = solve(pdg, **kwargs)
        assert math.isfinite(found.value)
        if value is not None:
            assert found.value == pytest.approx(value, abs=1e-12)


@pytest.mark.filterwarnings("ignore:.*local minimum")
def test_disbelief_is_held_by_constraints_in_a_cycle():
    pdg = PDG({"A": 2, "B": 2})
    same = torch.eye(2).double()
    pdg.add("forth", "B", "A", cpd=same, beta=math.inf)
    pdg.add("back", "A", "B", cpd=same, beta=math.inf)
    mostly = table([[0.9, 0.1], [0.1, 0.9]])
    pdg.add("no", "B", "A", cpd=mostly, beta=-1.0, alpha=0.0)
    pdg.add("zero", ("A", "B"), cpd=table([[0.5, 0.0], [0.25, 0.25]]), beta=-1.0, alpha=0.0)
    found = solve(pdg, method="cccp")
    assert math.isfinite(found.value)
