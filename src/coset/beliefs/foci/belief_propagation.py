"""Belief propagation: messages are beliefs, each brought in line with its neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import networkx
from torch import Tensor

from coset.beliefs.attention import Attention
from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Focus
from coset.core.errors import DomainError

__all__ = [
    "belief_name",
    "bp_beliefs",
    "bp_schedule",
    "message_graph",
    "to_factor",
    "to_variable",
]

Order = Literal["flooding", "two-pass"]


def to_factor(variable: str, factor: str) -> str:
    """Return the name of the arc that holds the message from a variable to a factor."""
    return f"{variable} -> [{factor}]"


def to_variable(factor: str, variable: str) -> str:
    """Return the name of the arc that holds the message from a factor to a variable."""
    return f"[{factor}] -> {variable}"


def belief_name(variable: str) -> str:
    """Return the name of the arc that holds the belief about a variable."""
    return f"belief {variable}"


def _scope(arc: Arc) -> tuple[str, ...]:
    return (*arc.sources, *arc.targets)


def message_graph(pdg: PDG) -> PDG:
    """Add messages in both directions between variables and factors, and beliefs, all uniform.

    Args:
        pdg: the factors: arcs with α = β, so that at γ = 1 they multiply.

    Returns:
        A new graph that shares the factors; `to_factor`, `to_variable` and `belief_name` name the
        new arcs.

    Raises:
        DomainError: if α ≠ β on some arc, or β is not positive and finite.

    Claims: beliefs.C16.
    """
    graph = pdg.copy()
    for name, arc in pdg.arcs.items():
        if arc.alpha != arc.beta or not 0 < arc.beta < float("inf"):
            raise DomainError(
                f"factors multiply at γ = 1 if 0 < α = β < ∞; {name!r} has alpha={arc.alpha}, "
                f"beta={arc.beta}"
            )
        for variable in _scope(arc):
            graph.add(to_factor(variable, name), variable, learnable=True)
            graph.add(to_variable(name, variable), variable, learnable=True)
    for variable in pdg.variables:
        graph.add(belief_name(variable), variable, learnable=True)
    return graph


def bp_schedule(pdg: PDG, order: Order = "flooding") -> list[Focus]:
    """Return the foci of one round of belief propagation, each with one message to move.

    A message m(X → a) is set to agree with all m(b → X), b ≠ a; a message m(a → X) with φ_a and all
    m(Y → a), Y ≠ X; a belief with all m(a → X). What moves is attended with φ_α = 0: at γ = 1 it
    does not change the joint of the others, and its minimizer is their marginal.

    Args:
        pdg: the factors, without messages.
        order: "flooding" (all to factors, then all to variables) or "two-pass" (from the leaves to
            a root and back, which is exact on trees). The beliefs come last.

    Returns:
        Foci for `lir(message_graph(pdg), …, gamma=1.0)`.

    Raises:
        DomainError: if "two-pass" is asked for and the factor graph has a cycle.

    Example:
        >>> import torch
        >>> from coset.beliefs.resolve.lir import lir
        >>> pdg = PDG({"rain": 2, "wet": 2})
        >>> arc = pdg.add("climate", "rain", cpd=torch.tensor([0.75, 0.25]))
        >>> arc = pdg.add("lawn", "wet", "rain", cpd=torch.tensor([[0.875, 0.125], [0.25, 0.75]]))
        >>> graph, foci = message_graph(pdg), bp_schedule(pdg, "two-pass")
        >>> trace = lir(graph, foci, len(foci), gamma=1.0, overall_every=0)
        >>> [round(p, 6) for p in bp_beliefs(graph)["wet"].tolist()]
        [0.71875, 0.28125]

    Claims: beliefs.C16.
    """
    edges = [(variable, name) for name, arc in pdg.arcs.items() for variable in _scope(arc)]
    if order == "flooding":
        foci = [_message_to_factor(pdg, *edge) for edge in edges]
        foci += [_message_to_variable(pdg, *edge) for edge in edges]
    elif order == "two-pass":
        foci = _two_passes(pdg, edges)
    else:
        raise DomainError(f'orders are "flooding" and "two-pass"; given {order!r}')
    return foci + [_belief(pdg, variable) for variable in pdg.variables]


def _two_passes(pdg: PDG, edges: Sequence[tuple[str, str]]) -> list[Focus]:
    """Return the messages from the leaves of each tree to a root, then back."""
    graph = networkx.Graph()
    # Variables and arcs may share names
    graph.add_edges_from((("variable", v), ("factor", a)) for v, a in edges)
    if edges and not networkx.is_forest(graph):
        raise DomainError('"two-pass" needs a factor graph without cycles; use "flooding"')
    outward: list[tuple[tuple[str, str], tuple[str, str]]] = []
    for part in networkx.connected_components(graph):
        root = next(("variable", v) for v in pdg.variables if ("variable", v) in part)
        outward += networkx.bfs_edges(graph, root)
    sends = [(target, source) for source, target in reversed(outward)] + outward
    return [
        _message_to_factor(pdg, source, target)
        if kind == "variable"
        else _message_to_variable(pdg, target, source)
        for (kind, source), (_, target) in sends
    ]


def _focus(attended: Sequence[str], moved: str) -> Focus:
    everything = dict.fromkeys([*attended, moved], 1.0)
    return Focus(
        Attention(everything, everything | {moved: 0.0}, default=0.0), Control.only([moved]), moved
    )


def _message_to_factor(pdg: PDG, variable: str, factor: str) -> Focus:
    around = [name for name, arc in pdg.arcs.items() if variable in _scope(arc) and name != factor]
    return _focus([to_variable(name, variable) for name in around], to_factor(variable, factor))


def _message_to_variable(pdg: PDG, variable: str, factor: str) -> Focus:
    others = [v for v in _scope(pdg.arcs[factor]) if v != variable]
    return _focus([factor, *(to_factor(v, factor) for v in others)], to_variable(factor, variable))


def _belief(pdg: PDG, variable: str) -> Focus:
    around = [name for name, arc in pdg.arcs.items() if variable in _scope(arc)]
    return _focus([to_variable(name, variable) for name in around], belief_name(variable))


def bp_beliefs(graph: PDG) -> dict[str, Tensor]:
    """Return the beliefs about all variables as they are now.

    Args:
        graph: as `message_graph` makes it.

    Returns:
        By name, (values,).
    """
    return {
        name: graph.arcs[belief_name(name)].probabilities().detach() for name in graph.variables
    }
