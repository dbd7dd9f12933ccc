"""The errors of beliefs: tables that are no conditional distributions, scores without a minimum."""

from __future__ import annotations

import math
from typing import Any

from coset.core.errors import DomainError, UnsupportedError

__all__ = [
    "NonConvexError",
    "NotNormalizedError",
    "UnboundedInconsistencyError",
    "WidthError",
    "rounded_count",
]


def rounded_count(count: int) -> str:
    """Return a count to three digits for a message, also where no float holds it."""
    return f"{count:.3g}" if count < 10**300 else f"10^{math.log10(count):.0f}"


class NotNormalizedError(DomainError):
    """A row of a conditional distribution does not sum to one.

    Attributes:
        arc: the arc's name.
        row: the index of the row: batch indices, then the values of the sources.
        sum: what it sums to.
    """

    def __init__(self, message: str, arc: str, row: tuple[int, ...], sum: float) -> None:
        super().__init__(message)
        self.arc, self.row, self.sum = arc, row, sum

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.arc, self.row, self.sum)


class NonConvexError(DomainError):
    """The score is not convex (γα > β on some arc), and the method needs it to be.

    Attributes:
        arcs: the names of the arcs with γα > β.
    """

    def __init__(self, message: str, arcs: tuple[str, ...]) -> None:
        super().__init__(message)
        self.arcs = arcs

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.arcs)


class UnboundedInconsistencyError(DomainError):
    """The score has no lower bound: some disbelief (β < 0) is not held by any belief.

    Attributes:
        arcs: the names of the arcs with β < 0.
    """

    def __init__(self, message: str, arcs: tuple[str, ...]) -> None:
        super().__init__(message)
        self.arcs = arcs

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.arcs)


class WidthError(UnsupportedError):
    """The largest table that an exact answer needs does not fit.

    Attributes:
        width: the number of variables of the largest cluster, less one.
        bytes: the memory that the tables need.
    """

    def __init__(self, message: str, width: int, bytes: int) -> None:
        super().__init__(message)
        self.width, self.bytes = width, bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.width, self.bytes)
