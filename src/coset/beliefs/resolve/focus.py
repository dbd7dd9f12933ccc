"""A focus: which beliefs are attended, and which may move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from coset.beliefs.attention import Attention
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.resolve.control import Control
from coset.core.errors import DomainError
from coset.core.foreign_files import show

__all__ = ["Foci", "Focus", "Refocus", "foci_of"]


@dataclass(frozen=True)
class Focus:
    """An attention mask φ and a control mask χ.

    Attributes:
        attention: factors of the confidences; ``None`` attends to everything.
        control: rates at which arcs move.
        name: how traces and figures call it.
    """

    attention: Attention | None = None
    control: Control = field(default_factory=lambda: Control(default=1.0))
    name: str = ""


# Of a step: a focus, or one for each element of the batch.
Foci = Focus | Sequence[Focus]
Refocus = Callable[[int, PDG], Foci] | Sequence[Foci]


def foci_of(refocus: Refocus, pdg: PDG, steps: int) -> Iterator[Focus | tuple[Focus, ...]]:
    """Yield the foci of a run, each when its step begins.

    Args:
        refocus: a function of step and graph, or foci that are taken in turn.
        pdg: the graph.
        steps: how many.

    Yields:
        A focus, or one for each element of the batch.

    Raises:
        DomainError: if there is no focus, or something else is given.
    """
    if not callable(refocus) and not (isinstance(refocus, Sequence) and refocus):
        raise DomainError(
            f"refocus is a function of step and graph, or a list of at least one focus; given "
            f"{show(refocus)}; write [focus] for one that stays"
        )
    for step in range(steps):
        found = refocus(step, pdg) if callable(refocus) else refocus[step % len(refocus)]
        if isinstance(found, Focus):
            yield found
        elif isinstance(found, Sequence) and all(isinstance(f, Focus) for f in found):
            yield tuple(found)
        else:
            raise DomainError(
                f"refocus gives a Focus, or one for each element of the batch; given "
                f"{type(found).__name__}"
            )
