"""Attention: how much each belief counts for now."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import SupportsFloat

from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.core.errors import DomainError, DtypeError, UnknownNameError
from coset.core.foreign_files import show

__all__ = ["Attention", "attend"]


def _times(weight: float, confidence: float) -> float:
    # An arc that is not attended is dropped, even if it is certain: 0 · ∞ = 0.
    return 0.0 if weight == 0 else weight * confidence


@dataclass(frozen=True)
class Attention:
    """Factors by which the confidences of arcs are multiplied.

    Attributes:
        beta: factors of β by name of the arc; negative is disbelief.
        alpha: factors of α by name; an arc that is only in `beta` gets `default`.
        default: the factor of both where nothing is said.

    Raises:
        DomainError: if a factor is NaN or infinite.
        DtypeError: if factors are no mapping, or a factor is no number.

    Example:
        >>> Attention.only(["radio"]).beta
        {'radio': 1.0}
    """

    beta: Mapping[str, float] = field(default_factory=dict)
    alpha: Mapping[str, float] = field(default_factory=dict)
    default: float = 1.0

    def __post_init__(self) -> None:
        factors: list[tuple[str, float]] = [("default", self.default)]
        for side in (self.beta, self.alpha):
            if not isinstance(side, Mapping):
                raise DtypeError(
                    f"factors are given by name of the arc, as {{name: factor}}, or for all arcs "
                    f"by `default`; given {show(side)}"
                )
            factors += side.items()
        for name, factor in factors:
            if not isinstance(factor, SupportsFloat):
                raise DtypeError(f"factors of attention are numbers; {name!r} has {show(factor)}")
            if not math.isfinite(factor):
                raise DomainError(f"factors of attention are finite; {name!r} has {factor}")

    @classmethod
    def only(cls, arcs: Iterable[str], *, structure: bool = True) -> Attention:
        """Attend to some arcs with factor 1 and to no other.

        Args:
            arcs: names, or one name.
            structure: whether their α counts too; else the factor of α is 0.

        Returns:
            The attention.
        """
        chosen = dict.fromkeys([arcs] if isinstance(arcs, str) else arcs, 1.0)
        return cls(chosen, dict.fromkeys(chosen, float(structure)), default=0.0)

    def weigh(self, arc: Arc) -> Arc:
        """Return the arc with its confidences multiplied; 0 times ∞ is 0."""
        alpha = _times(self.alpha.get(arc.name, self.default), arc.alpha)
        beta = _times(self.beta.get(arc.name, self.default), arc.beta)
        if beta == -math.inf:
            raise DomainError(f"a constraint cannot be disbelieved; {arc.name!r} has β = −∞")
        return arc.weighted(alpha, beta)


def attend(pdg: PDG, attention: Attention | None) -> PDG:
    """Return the graph that is attended: arcs weighed, those with α = β = 0 dropped.

    Args:
        pdg: the graph.
        attention: the factors; with ``None`` all arcs keep their confidences and all variables
            stay, else variables that no remaining arc touches are dropped.

    Returns:
        A graph of its own.

    Raises:
        UnknownNameError: if the attention names an arc that is not there.
    """
    factors = attention if attention is not None else Attention()
    for name in (*factors.beta, *factors.alpha):
        if name not in pdg.arcs:
            raise UnknownNameError.of("arc", name, pdg.arcs)
    graph = PDG(pdg.variables.values())
    weighed = (factors.weigh(arc) for arc in pdg.arcs.values())
    graph.arcs.update({arc.name: arc for arc in weighed if arc.alpha != 0 or arc.beta != 0})
    return graph if attention is None else graph.subgraph(graph.arcs)
