"""The graph of networkx has all of a dependency graph but its tables."""

from __future__ import annotations

import math

import networkx
import torch

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.networkx_graph import to_networkx


def test_arcs_are_nodes_between_their_variables():
    pdg = PDG({"a": ["x", "y"], "b": 3, "c": 2})
    pdg.add("f", ("c", "b"), "a", cpd=torch.full((2, 2, 3), 1 / 6), alpha=0.5, beta=math.inf)
    graph = to_networkx(pdg)
    assert graph.nodes["variable", "a"] == {
        "kind": "variable", "name": "a", "card": 2, "values": ("x", "y"),
    }  # fmt: skip
    assert graph.nodes["arc", "f"] == {"kind": "arc", "name": "f", "alpha": 0.5, "beta": math.inf}
    edges = {(u[1], v[1]): (data["role"], data["axis"]) for u, v, data in graph.edges(data=True)}
    assert edges == {
        ("a", "f"): ("source", 0),
        ("f", "c"): ("target", 1),
        ("f", "b"): ("target", 2),
    }
    assert networkx.is_bipartite(graph)


def test_an_arc_may_be_called_as_a_variable():
    pdg = PDG({"a": 2})
    pdg.cost("danger", "a", torch.tensor([0.0, 1.0]))
    graph = to_networkx(pdg)
    assert set(graph) == {
        ("variable", "a"), ("variable", "danger"), ("arc", "danger"), ("arc", "danger=true"),
    }  # fmt: skip
    assert graph.number_of_edges() == 3


def test_an_empty_graph():
    assert len(to_networkx(PDG())) == 0
