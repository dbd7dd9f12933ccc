"""A dependency graph as a graph of networkx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coset.beliefs.pdg.graph import PDG

if TYPE_CHECKING:
    import networkx

__all__ = ["to_networkx"]


def to_networkx(pdg: PDG) -> networkx.DiGraph[tuple[str, str]]:
    """Return the directed graph in which arcs are nodes too, between their sources and targets.

    Args:
        pdg: the graph.

    Returns:
        A graph with the nodes ``("variable", name)``, with attributes kind, name, card and values,
        and ``("arc", name)``, with kind, name, alpha and beta; and with the edges variable → arc
        for each source and arc → variable for each target, with role ("source" or "target") and
        axis, the axis of the arc's table without batch.

    Example:
        >>> import torch
        >>> pdg = PDG({"rain": 2, "wet": 2})
        >>> arc = pdg.add("garden", "wet", "rain", cpd=torch.eye(2))
        >>> sorted(to_networkx(pdg).edges)
        [(('arc', 'garden'), ('variable', 'wet')), (('variable', 'rain'), ('arc', 'garden'))]
    """
    import networkx

    graph: networkx.DiGraph[tuple[str, str]] = networkx.DiGraph()
    for name, variable in pdg.variables.items():
        node = ("variable", name)
        graph.add_node(node, kind="variable", name=name, card=variable.card, values=variable.values)
    for name, arc in pdg.arcs.items():
        node = ("arc", name)
        graph.add_node(node, kind="arc", name=name, alpha=arc.alpha, beta=arc.beta)
        for axis, source in enumerate(arc.sources):
            graph.add_edge(("variable", source), node, role="source", axis=axis)
        for axis, target in enumerate(arc.targets, len(arc.sources)):
            graph.add_edge(node, ("variable", target), role="target", axis=axis)
    return graph
