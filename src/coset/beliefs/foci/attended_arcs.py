"""Foci for any graph: everything at once, a random half of it, or what a random variable touches.

The three strategies of the paper's study of attention.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from coset.beliefs.attention import Attention
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.beliefs.resolve.focus import Foci, Focus
from coset.core.errors import DomainError

__all__ = ["hub", "partial", "uniform"]


def uniform(rate: float = 1.0) -> list[Focus]:
    """Attend to every arc, and let all that have parameters move.

    Args:
        rate: χ of each.

    Returns:
        What `lir` takes as `refocus`.

    Example:
        >>> uniform()[0].name
        'uniform'
    """
    return [Focus(None, Control(default=rate), "uniform")]


def partial(
    fraction: float = 0.5, *, rate: float = 1.0, generator: torch.Generator | None = None
) -> Callable[[int, PDG], Foci]:
    """Attend to a new random part of the arcs at each step, and let only these move.

    Args:
        fraction: of the arcs, rounded down, at least one; in (0, 1].
        rate: χ of each arc attended that has parameters.
        generator: the source of randomness.

    Returns:
        What `lir` takes as `refocus`; each element of a batch of graphs gets its own part.

    Raises:
        DomainError: if the fraction is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise DomainError(f"fraction is in (0, 1]; given {fraction}")

    def focus_of(pdg: PDG) -> Focus:
        names = list(pdg.arcs)
        num = max(1, math.floor(fraction * len(names)))
        order = torch.randperm(len(names), generator=generator)[:num].sort().values
        chosen = [names[i] for i in order.tolist()]
        movable = [name for name in chosen if pdg.arcs[name].parameters]
        return Focus(
            Attention.only(chosen), Control.only(movable, rate), f"partial: {', '.join(chosen)}"
        )

    return _for_each(focus_of)


def hub(
    others: float = 0.1, *, rate: float = 1.0, generator: torch.Generator | None = None
) -> Callable[[int, PDG], Foci]:
    """Attend to the arcs at a random variable, and less to all others; all may move.

    Args:
        others: the factor of β and α of arcs that do not touch the variable.
        rate: χ of each arc that has parameters.
        generator: the source of randomness.

    Returns:
        What `lir` takes as `refocus`; each element of a batch of graphs gets its own variable.

    Raises:
        DomainError: if `others` is not in [0, 1]; later, if the graph has no variables.
    """
    if not 0 <= others <= 1:
        raise DomainError(f"others is in [0, 1]; given {others}")

    def focus_of(pdg: PDG) -> Focus:
        names = list(pdg.variables)
        if not names:
            raise DomainError("a hub is one of the variables; the graph has none: add some")
        center = names[int(torch.randint(len(names), (), generator=generator))]
        touching = [a.name for a in pdg.arcs.values() if center in (*a.sources, *a.targets)]
        factors = dict.fromkeys(touching, 1.0)
        return Focus(
            Attention(factors, dict(factors), default=others),
            Control(default=rate),
            f"hub: {center}",
        )

    return _for_each(focus_of)


def _for_each(focus_of: Callable[[PDG], Focus]) -> Callable[[int, PDG], Foci]:
    def refocus(step: int, pdg: PDG) -> Foci:
        shape = pdg.batch_shape()
        if not shape:
            return focus_of(pdg)
        return [focus_of(pdg) for _ in range(math.prod(shape))]

    return refocus
