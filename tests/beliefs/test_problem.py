"""Dense problems: axes, observations, masks, constants, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.errors import UnboundedInconsistencyError, WidthError
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.problem import dense_problem
from coset.core.errors import DomainError


def table(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_axes_are_in_the_order_of_the_variables_whatever_an_arc_says():
    pdg = PDG({"A": 2, "B": 3, "C": 2})
    cpd = torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(0)).double().softmax(-1)
    pdg.add("p", "A", ("B", "C"), cpd=cpd, beta=2.0)
    problem = dense_problem(pdg)
    (term,) = problem.terms
    assert (term.sources, term.targets) == ((-2, -1), (-3,))
    assert torch.allclose(problem.cost, -2 * cpd.permute(2, 0, 1).log())


def test_observed_variables_are_sliced_away():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "B", "A", cpd=table([[0.9, 0.1], [0.2, 0.8]]))
    pdg.observe("B", 1)
    problem = dense_problem(pdg)
    assert [v.name for v in problem.variables] == ["A"]
    assert [(v.name, i) for v, i in problem.observed] == [("B", 1)]
    assert problem.cost.tolist() == pytest.approx([-math.log(0.1), -math.log(0.8)])
    assert problem.terms[0].targets == ()
    assert problem.concave == ()


def test_everything_may_be_observed():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([0.25, 0.75]))
    pdg.observe("A", 0)
    problem = dense_problem(pdg)
    assert problem.shape == ()
    assert problem.cost.item() == pytest.approx(math.log(4))


def test_two_certain_values_contradict_each_other():
    pdg = PDG({"A": 2})
    pdg.observe("A", 0)
    pdg.observe("A", 1)
    assert dense_problem(pdg).conflicts == ("A=0", "A=1")


def test_a_constraint_whose_target_is_observed_forbids_other_sources():
    pdg = PDG({"A": 3, "B": 2})
    pdg.add("f", "B", "A", cpd=table([[1, 0], [0, 1], [0.5, 0.5]]), beta=math.inf)
    pdg.observe("B", 1)
    assert dense_problem(pdg).allowed.tolist() == [False, True, False]


def test_zeros_of_beliefs_forbid_worlds_and_of_structure_alone_do_not():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([0.0, 1.0]))
    assert dense_problem(pdg).allowed.tolist() == [False, True]
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([0.0, 1.0]), beta=0.0)
    assert dense_problem(pdg).allowed is None
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([0.0, 1.0]), beta=-1.0)
    with pytest.raises(UnboundedInconsistencyError, match="no lower bound") as caught:
        dense_problem(pdg)
    assert caught.value.arcs == ("p",)


def test_isolated_variables_cost_their_entropy():
    pdg = PDG({"A": 2, "D": 3, "one": 1})
    pdg.add("p", "A", cpd=table([0.5, 0.5]))
    problem = dense_problem(pdg, 0.1)
    assert problem.constant == pytest.approx(-0.1 * math.log(3))
    assert [v.name for v in problem.idle] == ["D", "one"]


def test_smoothness_and_concave_terms():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=table([0.5, 0.5]), alpha=3.0, beta=2.0)
    pdg.add("q", "A", cpd=table([0.5, 0.5]), alpha=1.0, beta=2.0)
    problem = dense_problem(pdg, 1.0)
    assert problem.concave == ("p",)
    assert problem.smoothness == 2.0


@pytest.mark.parametrize("gamma", [-1.0, math.nan, math.inf])
def test_gamma_is_finite_and_not_negative(gamma):
    with pytest.raises(DomainError, match="gamma"):
        dense_problem(PDG({"A": 2}), gamma)


def test_too_many_worlds_name_their_memory():
    pdg = PDG({f"X{i}": 2 for i in range(30)})
    for i in range(29):
        pdg.add(f"p{i}", f"X{i + 1}", f"X{i}", cpd=torch.full((2, 2), 0.5))
    with pytest.raises(WidthError, match="use method") as caught:
        dense_problem(pdg)
    assert caught.value.width == 29
    assert caught.value.bytes == 8 * 2**30


def test_batches_lead_and_the_widest_dtype_wins():
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("p", "A", cpd=torch.full((7, 2), 0.5))
    pdg.add("q", "B", "A", cpd=torch.full((2, 2), 0.5))
    pdg.observe("B", 0)
    problem = dense_problem(pdg)
    assert problem.batch_shape == (7,)
    assert problem.cost.dtype == torch.float32
    pdg.add("r", "A", cpd=torch.full((2,), 0.5, dtype=torch.float64))
    assert dense_problem(pdg).cost.dtype == torch.float64


def test_an_empty_graph_is_one_world():
    problem = dense_problem(PDG())
    assert (problem.shape, problem.cost.item(), problem.terms) == ((), 0.0, ())


def test_a_float32_constraint_beside_float64_beliefs_is_no_contradiction():
    pdg = PDG({"A": 3, "B": 2})
    rows = torch.rand(3, 2, generator=torch.Generator().manual_seed(0)) + 0.1
    pdg.add("p", "A", cpd=table([0.5, 0.3, 0.2]), beta=math.inf)
    pdg.add("q", "B", "A", cpd=rows / rows.sum(-1, keepdim=True), beta=math.inf)
    problem = dense_problem(pdg)
    assert problem.allowed is None
    sums = problem.terms[1].log_p.exp().sum(-1)
    assert torch.allclose(sums, torch.ones_like(sums), rtol=0, atol=1e-15)
