"""Contradictions: +∞, and a smallest set of arcs that say why."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.conflicts import conflicting_arcs
from coset.beliefs.solvers.solve import solve
from coset.core.errors import DomainError
from coset.core.results import Status


def table(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def bystanders(pdg: PDG) -> PDG:
    pdg.add("bystander", "A", cpd=table([0.5, 0.5]))
    pdg.add("certain bystander", "A", cpd=table([0.4, 0.6]), beta=math.inf)
    return pdg


def infinite(pdg: PDG, arcs: set[str], **kwargs) -> None:
    found = solve(pdg, **kwargs)
    assert found.value == math.inf
    assert found.joint is None
    assert set(found.conflicts) == arcs
    assert found.status is Status.INFEASIBLE
    assert all(repr(name) in found.advice for name in arcs)
    for name in arcs:  # each is needed
        assert math.isfinite(solve(pdg.subgraph(set(pdg.arcs) - {name}), **kwargs).value)


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_two_certain_marginals(gamma):
    pdg = bystanders(PDG({"A": 2, "B": 2}))
    pdg.add("low", "B", cpd=table([0.3, 0.7]), beta=math.inf)
    pdg.add("high", "B", cpd=table([0.6, 0.4]), beta=math.inf)
    infinite(pdg, {"low", "high"}, gamma=gamma)


def test_two_observations_of_one_variable():
    pdg = bystanders(PDG({"A": 2, "B": 2}))
    pdg.observe("B", 0)
    pdg.observe("B", 1)
    infinite(pdg, {"B=0", "B=1"})


def test_worlds_that_beliefs_forbid():
    pdg = bystanders(PDG({"A": 2, "B": 2}))
    pdg.add("never 0", "B", cpd=table([0.0, 1.0]))
    pdg.add("never 1", "B", cpd=table([1.0, 0.0]), beta=0.1)
    for method in ("auto", "mirror", "interior", "cone", "tree", "zero_plus"):
        infinite(pdg, {"never 0", "never 1"}, method=method)


def test_a_certain_function_and_an_observation_that_it_excludes():
    pdg = bystanders(PDG({"A": 2, "B": 2, "C": 2}))
    pdg.add("same", "B", "A", cpd=torch.eye(2).double(), beta=math.inf)
    pdg.add("same again", "C", "B", cpd=torch.eye(2).double(), beta=math.inf)
    pdg.observe("A", 0)
    pdg.observe("C", 1)
    del pdg.arcs["certain bystander"]
    infinite(pdg, {"same", "same again", "A=0", "C=1"})


def test_a_cycle_of_certain_arcs_that_cannot_be_met():
    pdg = PDG({"A": 2, "B": 2})
    turn = table([[0.0, 1.0], [1.0, 0.0]])
    pdg.add("same", "B", "A", cpd=torch.eye(2).double(), beta=math.inf)
    pdg.add("turned", "A", "B", cpd=turn, beta=math.inf)
    pdg.add("p", "A", cpd=table([0.5, 0.5]))
    infinite(pdg, {"same", "turned"})


def test_a_cycle_of_certain_arcs_that_can_be_met_is_met():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("forth", "B", "A", cpd=table([[0.9, 0.1], [0.2, 0.8]]), beta=math.inf)
    joint = table([[0.9, 0.1], [0.2, 0.8]]) * table([[0.3], [0.7]])
    pdg.add("back", "A", "B", cpd=(joint / joint.sum(0)).T, beta=math.inf)
    pdg.add("p", "A", cpd=table([0.5, 0.5]))
    found = solve(pdg)
    assert found.value == pytest.approx(0.3 * math.log(0.6) + 0.7 * math.log(1.4), abs=1e-9)
    assert torch.allclose(found.joint.dense(), joint, atol=1e-8)


def test_rows_that_need_weight_where_a_belief_forbids_it():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("even", "B", "A", cpd=table([[0.5, 0.5], [0.5, 0.5]]), beta=math.inf)
    pdg.add("never", "B", cpd=table([0.0, 1.0]))
    infinite(pdg, {"even", "never"})


def test_disbelief_and_ignored_beliefs_forbid_nothing():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([0.0, 1.0]))
    pdg.add("structure only", "A", cpd=table([1.0, 0.0]), beta=0.0)
    found = solve(pdg)
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert found.conflicts == ()


def test_many_observations_do_not_make_the_search_large():
    pdg = PDG({f"X{i}": 4 for i in range(30)})
    for i in range(29):
        chain = 0.7 * torch.eye(4).double() + 0.075
        pdg.add(f"p{i}", f"X{i + 1}", f"X{i}", cpd=chain)
    pdg.add("never", "X7", cpd=table([0.0, 0.5, 0.25, 0.25]))
    for i in range(30):
        pdg.observe(f"X{i}", 0)
    assert conflicting_arcs(pdg) == ("never", "X7=0")
    infinite(pdg, {"never", "X7=0"})


def test_one_element_of_a_batch_may_be_impossible():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([[0.5, 0.5], [1.0, 0.0]]))
    pdg.add("q", "A", cpd=table([0.0, 1.0]))
    found = solve(pdg)
    assert found.value.tolist() == [pytest.approx(math.log(2)), math.inf]
    assert found.joint.dense().tolist() == [[0.0, 1.0], [0.0, 0.0]]
    assert found.conflicts == ("p", "q")


def test_throw_names_the_arcs():
    pdg = PDG({"A": 2})
    pdg.observe("A", 0)
    pdg.observe("A", 1)
    with pytest.raises(DomainError, match="'A=0', 'A=1'"):
        solve(pdg, throw=True)
