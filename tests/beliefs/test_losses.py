"""Familiar losses as graphs: the value, its gradient, and bad input."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from coset.beliefs.losses import (
    accuracy_graph,
    classifier_graph,
    dataset_graph,
    expected_cost_graph,
    regularized_graph,
    surprisal_graph,
    variational_graph,
)
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.envelope import inconsistency
from coset.beliefs.solvers.solve import solve
from coset.core.errors import CosetError, DomainError, RangeError, ShapeError


def tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


P, DATA = tensor([0.2, 0.2, 0.6]), tensor([0.5, 0.3, 0.2])
TABLE = tensor([[0.2, 0.8], [0.6, 0.4]])
EYE = torch.eye(2, dtype=torch.float64)


def value(graph: PDG) -> float:
    return float(solve(graph).value)


def test_values_by_hand():
    assert value(surprisal_graph(P, 1)) == pytest.approx(math.log(5.0))
    assert value(surprisal_graph(tensor([[0.1, 0.15], [0.5, 0.25]]), 0)) == pytest.approx(
        math.log(4.0)
    )
    kl = sum(d * math.log(d / p) for d, p in zip(DATA.tolist(), P.tolist(), strict=True))
    assert value(dataset_graph(P, DATA)) == pytest.approx(kl)
    assert value(classifier_graph(TABLE, 1, 0)) == pytest.approx(-math.log(0.6))
    assert value(expected_cost_graph(tensor([1.0, 0.0, 3.0]), P)) == pytest.approx(2.0)
    rules = EYE[[0, 1, 0]], EYE[[0, 0, 0]]
    assert value(accuracy_graph(*rules, DATA, 2.0)) == pytest.approx(-2 * math.log(0.7))
    prior = tensor([0.25, 0.75])
    penalized = regularized_graph(TABLE, prior, tensor([0.2, 0.8]), 0, 3.0)
    assert value(penalized) == pytest.approx(-3 * math.log(0.25))


def test_a_bound_is_an_arc_more():
    prior, decoder = tensor([0.5, 0.5]), TABLE
    encoder = tensor([[0.7, 0.3], [0.2, 0.8]])
    graph = variational_graph(prior, decoder, encoder, 0)
    without = graph.subgraph(["prior", "decoder", "X=0"])
    assert value(without) == pytest.approx(-math.log(0.4))
    assert value(graph) > value(without)


def test_rules_that_never_agree_contradict_each_other():
    graph = accuracy_graph(EYE[[0, 1]], EYE[[1, 0]], tensor([0.5, 0.5]))
    solution = solve(graph)
    assert solution.value == math.inf
    assert set(solution.conflicts) >= {"first", "second"}


def test_what_cannot_be_seen_is_infinitely_surprising():
    assert value(surprisal_graph(tensor([0.0, 1.0]), 0)) == math.inf


def test_the_gradient_is_that_of_the_loss():
    logits = tensor([0.3, -0.2, 1.0]).requires_grad_()
    graph = dataset_graph(P, DATA)
    graph.arcs["model"] = replace(
        graph.arcs["model"],
        cpd=lambda: logits.log_softmax(-1),
        is_log=True,
        parameters=(logits,),
    )
    inconsistency(graph).backward()
    assert logits.grad is not None
    assert torch.allclose(logits.grad, logits.detach().softmax(-1) - DATA, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: surprisal_graph(torch.full((2, 2, 2), 0.125), 0), ShapeError),
        (lambda: surprisal_graph(torch.tensor(1.0), 0), ShapeError),
        (lambda: surprisal_graph(P, 3), RangeError),
        (lambda: dataset_graph(P, tensor([0.5, 0.5])), ShapeError),
        (lambda: dataset_graph(P, DATA[None]), ShapeError),
        (lambda: classifier_graph(P, 0, 0), ShapeError),
        (lambda: classifier_graph(TABLE, 0, 2), RangeError),
        (lambda: variational_graph(P, TABLE, TABLE, 0), ShapeError),
        (lambda: variational_graph(P, P, TABLE, 0), ShapeError),
        (lambda: regularized_graph(P, P, P, 0), ShapeError),
        (lambda: accuracy_graph(P, P, P), ShapeError),
        (lambda: accuracy_graph(TABLE, TABLE, P), DomainError),
        (lambda: expected_cost_graph(tensor([1.0, -1.0, 0.0]), P), DomainError),
        (lambda: expected_cost_graph(TABLE, P), ShapeError),
        (lambda: dataset_graph(P, tensor([0.5, 0.5, 0.5])), CosetError),
    ],
)
def test_bad_input_is_named(make, error):
    with pytest.raises(error):
        make()


def test_lists_are_tables_too():
    assert value(surprisal_graph([0.25, 0.75], 0)) == pytest.approx(math.log(4))
