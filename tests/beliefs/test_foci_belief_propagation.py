"""Belief propagation by foci: trees exactly, cycles as textbooks do, names, what is refused."""

from __future__ import annotations

import itertools

import pytest
import torch

from coset.beliefs.classics.sum_product import (
    brute_force_marginals,
    random_factor_graph,
    sum_product,
    sum_product_marginals,
)
from coset.beliefs.foci.belief_propagation import (
    bp_beliefs,
    bp_schedule,
    message_graph,
    to_factor,
    to_variable,
)
from coset.beliefs.pdg.factor_graph import from_factor_graph
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.resolve.lir import lir
from coset.core.errors import DomainError


def resolved(pdg, order, rounds=1):
    graph, foci = message_graph(pdg), bp_schedule(pdg, order)
    lir(graph, foci, rounds * len(foci), gamma=1.0, overall_every=0)
    return graph


def largest(found, wanted):
    return max(float((found[key] - table).abs().max()) for key, table in wanted.items())


def check_tree(size, generator):
    cards, factors = random_factor_graph(size, generator=generator)
    pdg, _ = from_factor_graph(cards, factors)
    found = bp_beliefs(resolved(pdg, "two-pass"))
    assert largest(found, brute_force_marginals(cards, factors)) <= 1e-8
    messages = next(itertools.islice(sum_product(cards, factors), size - 1, None))
    assert largest(found, sum_product_marginals(cards, messages)) <= 1e-8


@pytest.mark.parametrize("size", [1, 2, 5])
def test_two_passes_give_the_marginals_of_a_tree(size):
    check_tree(size, torch.Generator().manual_seed(size))


@pytest.mark.slow
def test_two_passes_give_the_marginals_of_a_hundred_trees():
    generator = torch.Generator().manual_seed(0)
    for number in range(100):
        check_tree(1 + number % 12, generator)


def test_every_sweep_over_a_graph_with_cycles_is_that_of_flooding():
    cards, factors = random_factor_graph(4, extra=2, generator=torch.Generator().manual_seed(1))
    pdg, _ = from_factor_graph(cards, factors)
    graph, foci = message_graph(pdg), bp_schedule(pdg)
    for messages in itertools.islice(sum_product(cards, factors), 2):
        lir(graph, foci, len(foci), gamma=1.0, overall_every=0)
        for (source, target), message in messages.items():
            name = (to_factor if source in cards else to_variable)(source, target)
            wanted = torch.tensor(message, dtype=torch.float64)
            assert torch.allclose(graph.arcs[name].probabilities(), wanted, rtol=0, atol=1e-8)
        assert largest(bp_beliefs(graph), sum_product_marginals(cards, messages)) <= 1e-8


def test_factors_of_three_variables_and_powers_of_factors():
    generator = torch.Generator().manual_seed(2)
    cards = {"a": 2, "b": 3, "c": 2}
    table = random_table(2, 3, 2, num_targets=3, generator=generator)
    single = random_table(3, generator=generator)
    factors = {"f": (("a", "b", "c"), table), "g": (("b",), single)}
    pdg, _ = from_factor_graph(cards, factors, {"f": 2.0})
    powers = factors | {"f": (("a", "b", "c"), table**2)}
    wanted = brute_force_marginals(cards, powers)
    assert largest(bp_beliefs(resolved(pdg, "two-pass")), wanted) <= 1e-8


def test_a_network_whose_arcs_are_named_after_its_variables():
    generator = torch.Generator().manual_seed(3)
    pdg = PDG({"rain": 2, "wet": 2, "alone": 3})
    pdg.add("rain", "rain", cpd=random_table(2, generator=generator))
    pdg.add("wet", "wet", "rain", cpd=random_table(2, 2, generator=generator))
    found = bp_beliefs(resolved(pdg, "two-pass"))
    prior, rows = (pdg.arcs[name].probabilities() for name in ("rain", "wet"))
    wanted = {"rain": prior, "wet": prior @ rows, "alone": torch.full((3,), 1 / 3).double()}
    assert largest(found, wanted) <= 1e-7


def test_what_is_refused():
    cards, factors = random_factor_graph(3, extra=1, generator=torch.Generator().manual_seed(4))
    pdg, _ = from_factor_graph(cards, factors)
    with pytest.raises(DomainError, match="without cycles"):
        bp_schedule(pdg, "two-pass")
    with pytest.raises(DomainError, match="orders are"):
        bp_schedule(pdg, "sideways")
    for alpha, beta in ((0.0, 1.0), (1.0, float("inf")), (-1.0, -1.0)):
        bad = PDG({"x": 2})
        bad.add("p", "x", cpd=torch.tensor([0.5, 0.5]), alpha=alpha, beta=beta)
        with pytest.raises(DomainError, match="factors multiply"):
            message_graph(bad)
