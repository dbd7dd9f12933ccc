"""The errors of state tracking: no series with Abelian factors, or none that these layers give."""

from __future__ import annotations

from coset.core.errors import DomainError

__all__ = ["NotSolvableError", "NotTrackableError"]


class NotSolvableError(DomainError):
    """No stack of diagonal layers of any depth tracks the group: its derived series stalls.

    Attributes:
        residual: element ids of the perfect residual, the subgroup P = [P, P] where it stalls.
        residual_order: their number.

    Claims: ssm.C2.
    """

    def __init__(self, message: str, residual: tuple[int, ...]) -> None:
        super().__init__(message)
        self.residual = residual
        self.residual_order = len(residual)

    def __reduce__(self) -> tuple[type[NotSolvableError], tuple[str, tuple[int, ...]]]:
        return type(self), (str(self), self.residual)


class NotTrackableError(DomainError):
    """Layers of these classes, in this order, do not track the group; others may.

    Attributes:
        layers: the classes from bottom to top, letters of "trpc".
        stalled_order: the order of the subgroup that is left over.

    Claims: ssm.C5.
    """

    def __init__(self, message: str, layers: str, stalled_order: int) -> None:
        super().__init__(message)
        self.layers = layers
        self.stalled_order = stalled_order

    def __reduce__(self) -> tuple[type[NotTrackableError], tuple[str, str, int]]:
        return type(self), (str(self), self.layers, self.stalled_order)
