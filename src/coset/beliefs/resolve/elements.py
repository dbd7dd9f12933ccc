"""Some elements of a batch of graphs, as a graph whose tables still move with the whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from coset.beliefs.pdg.arc import Table
from coset.beliefs.pdg.graph import PDG

__all__ = ["ElementTable", "element_graph"]


@dataclass(frozen=True, eq=False)
class ElementTable:
    """Some elements of a table with one batch axis; called, it gives them as they are now.

    Attributes:
        source: the whole table.
        elements: (n,) positions on the batch axis.
    """

    source: Table
    elements: Tensor

    def __call__(self) -> Tensor:
        """Return (n, *sources, *targets)."""
        table = self.source if isinstance(self.source, Tensor) else self.source()
        return table[self.elements]


def element_graph(pdg: PDG, elements: Tensor) -> PDG:
    """Return the graph of some elements of a batch; gradients flow to the whole tables.

    Args:
        pdg: tables have one batch axis, or none.
        elements: (n,) positions on the batch axis.

    Returns:
        A graph of its own.
    """
    graph = pdg.copy()
    for name, arc in pdg.arcs.items():
        table = arc.cpd if isinstance(arc.cpd, Tensor) else arc.cpd()
        if table.ndim > len(arc.sources) + len(arc.targets):
            graph.arcs[name] = replace(arc, cpd=ElementTable(arc.cpd, elements))
    return graph
