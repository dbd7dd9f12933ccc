"""Attention layers and decisions by foci, against softmax and expected utility."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.classics.expected_utility import soft_regret
from coset.beliefs.classics.softmax_attention import softmax_attention
from coset.beliefs.foci.expected_utility import action_values, decision, decision_graph
from coset.beliefs.foci.softmax_attention import attention_graph, attention_layer
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.resolve.lir import lir
from coset.core.errors import DomainError, ShapeError


def layer(num_queries=2, num_keys=3, size=2):
    generator = torch.Generator().manual_seed(0)
    shapes = ((num_queries, size), (num_keys, size), (num_keys, 2))
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize(("num_queries", "num_keys"), [(1, 1), (2, 3)])
def test_the_minimizer_is_softmax_attention(num_queries, num_keys):
    queries, keys, values = layer(num_queries, num_keys)
    start = torch.ones(num_queries, 2, dtype=torch.float64)
    foci = attention_layer(num_queries, num_keys)
    lir(attention_graph(queries, keys, values, start), foci, 1, overall_every=0)
    wanted = softmax_attention(queries, keys, values)
    assert torch.allclose(start, wanted, rtol=0, atol=1e-9)
    assert torch.allclose((keys @ queries.T).softmax(0).T @ values, wanted, atol=1e-12)


def test_a_finite_rate_leaves_a_part_of_where_it_was():
    queries, keys, values = layer()
    start = torch.ones(2, 2, dtype=torch.float64)
    graph = attention_graph(queries, keys, values, start)
    lir(graph, attention_layer(2, 3, rate=0.1), 1, overall_every=0)
    weights = (queries @ keys.T).exp()
    step = weights.sum(1, keepdim=True) - weights @ values  # Σ β (x − v) at x = 1
    assert torch.allclose(start, 1 - 0.1 * step, atol=1e-12)


def test_layers_that_do_not_fit_are_refused():
    queries, keys, values = layer()
    with pytest.raises(ShapeError, match="queries"):
        attention_graph(queries, keys, values, torch.zeros(3, 2, dtype=torch.float64))
    with pytest.raises(DomainError, match="scale queries"):
        attention_graph(1e6 * queries, keys, values, torch.zeros(2, 2, dtype=torch.float64))


def decision_case(seed=0):
    generator = torch.Generator().manual_seed(seed)
    prior, outcomes = (
        random_table(3, generator=generator),
        random_table(3, 2, 4, generator=generator),
    )
    return prior, outcomes, 2 * torch.randn(4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("belief", [0.5, 1.0, 4.0, math.inf])
@pytest.mark.parametrize("desire", [1.0, 3.0])
def test_values_of_actions_are_the_closed_form(belief, desire):
    prior, outcomes, utility = decision_case()
    graph = decision_graph(prior, outcomes, utility, belief=belief, desire=desire)
    rows = (outcomes @ utility).T.tolist()
    wanted = [soft_regret(prior.tolist(), row, belief, desire) for row in rows]
    found = action_values(graph) - desire * utility.max()
    assert found.tolist() == pytest.approx(wanted, abs=1e-10)


def test_a_policy_follows_the_exact_policy_gradient_and_wins():
    prior, outcomes, utility = decision_case(1)
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    graph = decision_graph(prior, outcomes, utility, policy=half)
    values = action_values(graph)
    trace = lir(graph, decision(0.4), 1)
    assert float(trace.overall[0]) == pytest.approx(float(half @ values), abs=1e-9)
    logits = half.log() - 0.4 * half * (values - half @ values)
    found = graph.arcs["action"].probabilities().detach()
    assert torch.allclose(found, logits.softmax(-1), rtol=0, atol=1e-8)
    lir(graph, decision(60.0), 50, overall_every=0)
    final = graph.arcs["action"].probabilities().detach()
    assert int(final.argmax()) == int(values.argmin())
    assert float(final.max()) > 0.95


def test_decisions_that_do_not_fit_are_refused():
    prior, outcomes, utility = decision_case()
    with pytest.raises(ShapeError, match="outcomes are"):
        decision_graph(prior, outcomes, utility[:3])
    with pytest.raises(DomainError, match="utilities are finite"):
        decision_graph(prior, outcomes, utility / 0)
    with pytest.raises(DomainError, match="desire"):
        decision_graph(prior, outcomes, utility, desire=0.0)
