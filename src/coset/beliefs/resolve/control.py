"""Control: how far each belief may move for now."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import SupportsFloat

from coset.beliefs.pdg.graph import PDG
from coset.core.errors import DomainError, DtypeError, UnknownNameError
from coset.core.foreign_files import show

__all__ = ["Control"]


@dataclass(frozen=True)
class Control:
    """Rates χ ≥ 0 at which the parameters of arcs follow the negative gradient.

    0 freezes a belief, a small rate is one gradient step of that size, ∞ means the minimizer.

    Attributes:
        arcs: χ by name of the arc.
        default: χ of every other arc that has parameters.

    Raises:
        DomainError: if a rate is negative or NaN.
        DtypeError: if rates are no mapping, or a rate is no number.

    Example:
        >>> Control({"encoder": 0.1, "decoder": math.inf}).arcs["decoder"]
        inf
    """

    arcs: Mapping[str, float] = field(default_factory=dict)
    default: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.arcs, Mapping):
            raise DtypeError(
                f"rates are given by name of the arc, as {{name: rate}}, or for all arcs by "
                f"`default`; given {show(self.arcs)}"
            )
        for name, rate in [*self.arcs.items(), ("default", self.default)]:
            if not isinstance(rate, SupportsFloat):
                raise DtypeError(f"rates of control are numbers; {name!r} has {show(rate)}")
            if not float(rate) >= 0:
                raise DomainError(
                    f"rates of control are ≥ 0 (∞ is the minimizer); {name!r}: {rate}"
                )

    @classmethod
    def only(cls, arcs: Iterable[str], rate: float = math.inf) -> Control:
        """Let some arcs move, all at one rate, and freeze the others.

        Args:
            arcs: names, or one name.
            rate: χ.

        Returns:
            The control.
        """
        return cls(dict.fromkeys([arcs] if isinstance(arcs, str) else arcs, rate))

    def rates(self, pdg: PDG) -> dict[str, float]:
        """Return χ > 0 of the arcs that may move.

        Args:
            pdg: the graph.

        Returns:
            Name → rate, in the order of the graph.

        Raises:
            UnknownNameError: if there is no arc of some name.
            DomainError: if an arc that is named has nothing that could move.
        """
        for name, rate in self.arcs.items():
            if name not in pdg.arcs:
                raise UnknownNameError.of("arc", name, pdg.arcs)
            if rate > 0 and not pdg.arcs[name].parameters:
                raise DomainError(
                    f"only arcs with parameters can be controlled; {name!r} has none: add it with "
                    f"learnable=True, or give a module, or a function with parameters=(…)"
                )
        named = {name: self.arcs.get(name, self.default) for name in pdg.parameters()}
        return {name: rate for name, rate in named.items() if rate > 0}
