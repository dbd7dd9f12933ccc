"""Graphs: what can be added, what is refused and why, union, parts, observations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from coset.beliefs.errors import NotNormalizedError
from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import LogitTable
from coset.beliefs.pdg.variable import Variable
from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnknownNameError


def table(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def small() -> PDG:
    pdg = PDG({"A": ["no", "yes"], "B": 3})
    pdg.add("a", "A", cpd=table([0.4, 0.6]))
    pdg.add("b", "B", "A", cpd=table([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]))
    return pdg


def test_a_graph_tells_what_it_holds():
    pdg = small()
    assert repr(pdg) == "PDG(2 variables, 2 arcs)"
    assert pdg.num_worlds == 6
    assert str(pdg.arcs["b"]) == "b: p(B | A)"
    assert pdg.arcs["b"].log_probabilities()[1, 1] == -math.inf
    assert pdg.cards(["B", "A"]) == (3, 2)


def test_values_have_positions_and_names():
    variable = Variable.of("A", ["no", "yes"])
    assert variable.index("yes") == 1
    assert variable.index(0) == 0
    for wrong in ("maybe", 2, -1, True, 1.0):
        with pytest.raises(RangeError, match="takes the values 0 … 1"):
            variable.index(wrong)


@pytest.mark.parametrize(
    ("name", "values"), [("", 2), ("A", 0), ("A", ["x", "x"]), ("A", []), ("A", -3)]
)
def test_a_variable_needs_a_name_and_distinct_values(name, values):
    with pytest.raises(DomainError):
        Variable.of(name, values)


def test_a_count_is_a_count():
    assert PDG({"A": np.int64(2)}).variables["A"] == Variable("A", 2)
    with pytest.raises(DtypeError, match="a whole number of values"):
        Variable("A", 2.0)
    for values in (2.5, None, True, "yes", [0, 1]):
        with pytest.raises(DtypeError, match="a whole number of values or a list of their names"):
            PDG({"A": values})
    with pytest.raises(DtypeError, match="`Variable` objects; given 'A'"):
        PDG(["A", "B"])


def test_names_and_confidences_are_what_they_must_be():
    pdg = PDG({"A": 2})
    for name, target in ((1, "A"), ("p", 3), ("p", [0])):
        with pytest.raises(DtypeError, match="text"):
            pdg.add(name, target, cpd=[0.5, 0.5])
    with pytest.raises(DomainError, match="needs a name"):
        pdg.add("", "A", cpd=[0.5, 0.5])
    for beta in ("2", None, table([1.0, 2.0])):
        with pytest.raises(DtypeError, match="confidences are numbers; 'p'"):
            pdg.add("p", "A", cpd=[0.5, 0.5], beta=beta)
    assert type(pdg.add("p", "A", cpd=[0.5, 0.5], beta=table(2.0)).beta) is float
    assert repr(pdg.arcs["p"]) == "Arc(p: p(A), alpha=1, beta=2)"


@pytest.mark.filterwarnings("error")
def test_arrays_of_any_layout_are_copied():
    numbers = np.array([0.2, 0.8])
    frozen = numbers.copy()
    frozen.flags.writeable = False
    for array in (
        numbers[::-1][::-1],
        frozen,
        numbers.astype(">f8"),
        np.ascontiguousarray(numbers),
    ):
        assert PDG({"A": 2}).add("p", "A", cpd=array).probabilities().tolist() == [0.2, 0.8]
    arc = PDG({"A": 2}).add("p", "A", cpd=numbers)
    numbers[:] = 7.0
    assert arc.probabilities().tolist() == [0.2, 0.8]
    with pytest.raises(DtypeError, match="requires grad"):
        PDG({"A": 2}).add("p", "A", cpd=[torch.tensor(0.5, requires_grad=True)] * 2)


def test_learnable_numbers_are_checked_before_they_become_logits():
    pdg = PDG({"A": 2})
    with pytest.raises(NotNormalizedError, match="sums to 4"):
        pdg.add("p", "A", cpd=[3.0, 1.0], learnable=True)
    with pytest.raises(DomainError, match="'p': a learnable table starts from probabilities > 0"):
        pdg.add("p", "A", cpd=[1.0, 0.0], learnable=True)


def test_tables_of_functions_and_empty_batches_are_checked():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=lambda: [0.5, 0.5])
    with pytest.raises(DtypeError, match="floating tensor; given list"):
        pdg.batch_shape()
    with pytest.raises(ShapeError, match="an empty batch"):
        pdg.add("q", "A", cpd=torch.zeros(0, 2))


def test_what_is_observed_twice_is_observed_once():
    pdg = small()
    arc = pdg.observe("A", np.int64(1))
    assert arc.name == "A=1"
    assert pdg.observe("A", 1) is arc
    assert len(pdg.condition({"A": 1}).arcs) == len(pdg.arcs)
    pdg.add("B=2", "B", cpd=[0.2, 0.3, 0.5])
    with pytest.raises(DomainError, match="unique"):
        pdg.observe("B", 2)


def test_whole_costs_are_as_precise_as_others():
    pdg = PDG({"A": 3})
    arc = pdg.cost("toll", "A", np.array([0, 1, 2]))
    assert arc.cpd.dtype == torch.float64
    assert arc.probabilities()[1, 1].item() == pytest.approx(math.exp(-1), rel=1e-14)


def test_a_variable_has_one_set_of_values():
    pdg = small()
    pdg.variable("B", 3)
    with pytest.raises(DomainError, match="one set of values"):
        pdg.variable("B", 4)


@pytest.mark.parametrize(
    ("cpd", "error", "message"),
    [
        ([0.5, 0.6], NotNormalizedError, r"row \(\) sums to 1.1"),
        ([-0.5, 1.5], DomainError, "negative or NaN"),
        ([math.nan, 1.0], DomainError, "negative or NaN"),
        ([math.inf, 0.0], NotNormalizedError, "sums to inf"),
        ([0.5, 0.25, 0.25], ShapeError, r"sizes \(2,\); given \(3,\)"),
        (1.0, ShapeError, r"given \(\)"),
    ],
)
def test_tables_that_are_no_distributions(cpd, error, message):
    pdg = PDG({"A": 2})
    with pytest.raises(error, match=message):
        pdg.add("p", "A", cpd=table(cpd))
    assert not pdg.arcs, "a refused belief leaves the graph as it was"


def test_the_worst_row_is_named():
    pdg = PDG({"A": 2, "B": 2})
    with pytest.raises(NotNormalizedError, match="'p'") as caught:
        pdg.add("p", "B", "A", cpd=table([[0.5, 0.5], [0.5, 0.4]]))
    assert (caught.value.arc, caught.value.row) == ("p", (1,))
    assert caught.value.sum == pytest.approx(0.9)


def test_integers_are_no_probabilities():
    with pytest.raises(DtypeError, match="floating"):
        PDG({"A": 2}).add("p", "A", cpd=torch.tensor([0, 1]))


def test_arcs_name_known_variables_once():
    pdg = small()
    with pytest.raises(UnknownNameError, match="no variable named 'C'"):
        pdg.add("c", "C", cpd=table([1.0]))
    with pytest.raises(DomainError, match="no variable twice"):
        pdg.add("loop", "A", "A", cpd=table([[1.0, 0.0], [0.0, 1.0]]))
    with pytest.raises(DomainError, match="one target or more"):
        pdg.add("none", (), "A", cpd=table([1.0, 1.0]))
    with pytest.raises(DomainError, match="unique"):
        pdg.add("a", "A", cpd=table([0.5, 0.5]))
    with pytest.raises(DomainError, match="needs a cpd"):
        pdg.add("free", "A")


@pytest.mark.parametrize(
    ("alpha", "beta"), [(math.nan, 1), (math.inf, 1), (1, math.nan), (1, -math.inf)]
)
def test_confidences_are_numbers(alpha, beta):
    with pytest.raises(DomainError, match="confidences"):
        Arc("p", (), ("A",), table([1.0]), alpha, beta)


def test_a_learnable_table_starts_uniform_or_where_it_is_told():
    pdg = PDG({"A": 2, "B": 4})
    arc = pdg.add("p", "B", "A", learnable=True)
    assert torch.allclose(arc.probabilities(), torch.full((2, 4), 0.25, dtype=torch.float64))
    start = table([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    other = pdg.add("q", "B", "A", cpd=start, learnable=True)
    assert torch.allclose(other.probabilities(), start)
    assert set(pdg.parameters()) == {"p", "q"}
    with pytest.raises(DomainError, match="logits of 0 cannot move"):
        pdg.add("r", "B", cpd=table([0.0, 0.5, 0.25, 0.25]), learnable=True)


def test_a_function_makes_the_table_each_time():
    weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    pdg = PDG({"A": 2})
    arc = pdg.add("p", "A", cpd=lambda: weight.softmax(0), parameters=[weight])
    assert arc.probabilities().tolist() == [0.5, 0.5]
    with torch.no_grad():
        weight[0] = math.log(3)
    assert arc.probabilities().tolist() == pytest.approx([0.75, 0.25])
    (gradient,) = torch.autograd.grad(arc.log_probabilities()[0], weight)
    assert gradient.tolist() == pytest.approx([0.25, -0.25])
    assert pdg.parameters() == {"p": (weight,)}


def test_zeros_do_not_spoil_gradients():
    p = table([0.0, 0.25, 0.75]).requires_grad_()
    log_p = Arc("p", (), ("A",), p).log_probabilities()
    (gradient,) = torch.autograd.grad(log_p[1:].sum(), p)
    assert gradient.tolist() == pytest.approx([0.0, 4.0, 4 / 3])


def test_logits_of_a_row_span_all_targets():
    joint = table([[0.1, 0.2], [0.3, 0.4]])
    assert torch.allclose(LogitTable(joint, 2)().exp(), joint)
    with pytest.raises(DtypeError):
        LogitTable(torch.tensor([1, 1]), 1)


def test_observing_is_a_certain_belief():
    pdg = small()
    arc = pdg.observe("A", "yes")
    assert arc.name == "A=yes"
    assert arc.is_hard
    assert arc.probabilities().tolist() == [0.0, 1.0]
    other = pdg.condition({"B": 2})
    assert list(other.arcs) == ["a", "b", "A=yes", "B=2"]
    assert "B=2" not in pdg.arcs
    with pytest.raises(UnknownNameError):
        pdg.observe("C", 0)
    with pytest.raises(RangeError):
        pdg.observe("A", "maybe")


def test_a_cost_is_a_belief_about_a_truth_that_is_observed():
    pdg = small()
    arc = pdg.cost("late", "A", table([0.0, 2.0]), beta=3.0)
    assert torch.allclose(arc.probabilities()[:, 1], table([1.0, math.exp(-2)]))
    assert "late=true" in pdg.arcs
    with pytest.raises(DomainError, match="add a constant"):
        small().cost("negative", "A", table([-1.0, 0.0]))
    with pytest.raises(DomainError):
        small().cost("nan", "A", table([math.nan, 0.0]))


def test_union_keeps_both_and_refuses_clashes():
    other = PDG({"B": 3, "C": 2})
    other.add("c", "C", "B", cpd=table([[0.5, 0.5]] * 3))
    both = small() + other
    assert list(both.variables) == ["A", "B", "C"]
    assert list(both.arcs) == ["a", "b", "c"]
    with pytest.raises(DomainError, match="unique"):
        small() + small()
    with pytest.raises(DomainError, match="one set of values"):
        small() + PDG({"B": 2})
    with pytest.raises(TypeError):
        small() + 3


def test_subgraph_keeps_the_variables_that_it_touches():
    part = small().subgraph(["a"])
    assert list(part.variables) == ["A"]
    with pytest.raises(UnknownNameError, match="no arc named 'z'"):
        small().subgraph(["z"])


def test_components_are_connected_parts_and_isolated_variables():
    pdg = small()
    pdg.variable("C", 2)
    pdg.variable("D", 2)
    pdg.variable("E", 2)
    pdg.add("d", "D", "C", cpd=table([[0.5, 0.5]] * 2))
    parts = {tuple(part.variables): tuple(part.arcs) for part in pdg.components()}
    assert parts == {("A", "B"): ("a", "b"), ("C", "D"): ("d",), ("E",): ()}
    assert PDG().components() == []


def test_batch_axes_lead_and_agree():
    pdg = PDG({"A": 2})
    pdg.add("p", "A", cpd=torch.full((5, 2), 0.5))
    pdg.add("q", "A", cpd=torch.full((2,), 0.5))
    assert pdg.batch_shape() == (5,)
    pdg.add("r", "A", cpd=torch.full((4, 2), 0.5))
    with pytest.raises(ShapeError, match=r"r: \(4,\)"):
        pdg.batch_shape()


def test_lists_and_arrays_are_tables():
    pdg = PDG({"A": 2})
    assert pdg.add("list", "A", cpd=[0.3, 0.7]).probabilities().dtype == torch.float64
    assert pdg.add("ints", "A", cpd=[0, 1]).probabilities().tolist() == [0.0, 1.0]
    array = np.array([0.25, 0.75], dtype=np.float32)
    assert pdg.add("array", "A", cpd=array).probabilities().dtype == torch.float32
    assert pdg.cost("cost", "A", [0, 2]).probabilities()[0, 1] == 1.0
    for wrong in (["a", "b"], [[0.5], [0.25, 0.25]], {"no": 1.0}):
        with pytest.raises(DtypeError, match="array of numbers"):
            pdg.add("wrong", "A", cpd=wrong)


def test_float32_numbers_in_float64_are_told_apart_from_weights():
    with pytest.raises(NotNormalizedError, match="never float32"):
        PDG({"A": 2}).add("p", "A", cpd=torch.tensor([0.98, 0.02]).double())
    with pytest.raises(NotNormalizedError, match="divide it by its sum"):
        PDG({"A": 2}).add("p", "A", cpd=[2.0, 3.0])
