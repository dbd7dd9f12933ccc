"""How far beliefs have moved."""

from __future__ import annotations

import torch
from torch import Tensor

from coset.beliefs.pdg.graph import PDG

__all__ = ["movement", "tables_of"]


@torch.no_grad()
def tables_of(pdg: PDG) -> dict[str, Tensor]:
    """Return the probabilities of arcs that have parameters, as they are now."""
    return {name: pdg.arcs[name].probabilities().clone() for name in pdg.parameters()}


def movement(pdg: PDG, before: dict[str, Tensor], after: dict[str, Tensor]) -> Tensor:
    """Return the total variation between two sets of tables, Σ|Δp|/2 over rows and arcs.

    Args:
        pdg: the graph.
        before: name of the arc → probabilities.
        after: the same arcs later.

    Returns:
        (*batch,).
    """
    total = torch.zeros(pdg.batch_shape(), dtype=torch.float64)
    for name, old in before.items():
        arc = pdg.arcs[name]
        change = (after[name] - old).abs()
        axes = tuple(range(-len(arc.sources) - len(arc.targets), 0))
        total = total + change.sum(axes).to(total) / 2
    return total
