"""Random tables are distributions, and random graphs keep to their sizes."""

from __future__ import annotations

import pytest
import torch

from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.core.errors import DomainError, ShapeError


def test_rows_are_positive_and_sum_to_one():
    table = random_table(2, 3, 4, 5, num_targets=2, generator=torch.Generator().manual_seed(0))
    assert table.shape == (2, 3, 4, 5)
    assert bool((table > 0).all())
    assert torch.allclose(table.sum((-1, -2)), torch.ones(2, 3, dtype=torch.float64))


def test_graphs_keep_to_their_sizes_and_reach_both_ends():
    generator = torch.Generator().manual_seed(1)
    graphs = [random_graph(6, 9, generator=generator) for _ in range(40)]
    arcs = [arc for graph in graphs for arc in graph.arcs.values()]
    assert {len(graph.arcs) for graph in graphs} == {9}
    assert {len(arc.sources) for arc in arcs} == {0, 1, 2, 3}
    assert {len(arc.targets) for arc in arcs} == {1, 2}
    assert {v.card for graph in graphs for v in graph.variables.values()} == {2, 3}


def test_the_generator_decides():
    one, two, three = (
        random_graph(5, 4, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(one.arcs["p2"].cpd, two.arcs["p2"].cpd)
    assert [str(a) for a in one.arcs.values()] == [str(a) for a in two.arcs.values()]
    assert [str(a) for a in one.arcs.values()] != [str(a) for a in three.arcs.values()]


@pytest.mark.parametrize(
    "given",
    [
        {"num_sources": (0, 4)},
        {"num_targets": (0, 1)},
        {"cards": (3, 2)},
        {"cards": (0, 2)},
        {"num_sources": (2, 1)},
    ],
)
def test_impossible_sizes_are_refused(given):
    with pytest.raises(DomainError, match="at most all 5 variables"):
        random_graph(5, 3, **given)


@pytest.mark.parametrize(("shape", "num_targets"), [((0,), 1), ((3,), 0), ((3,), 2), ((), 1)])
def test_tables_without_rows_are_refused(shape, num_targets):
    with pytest.raises(ShapeError, match="a row spans"):
        random_table(*shape, num_targets=num_targets)
