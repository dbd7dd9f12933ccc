"""The errors of decisions: contradictory preferences, values that do not exist, unproved ties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coset.core.errors import DomainError, NotConvergedError

if TYPE_CHECKING:
    from coset.core.results import Certificate

__all__ = [
    "NoOptimalPolicyError",
    "NotTransientError",
    "PreferenceContradictionError",
    "ResolutionError",
    "UndecidedError",
    "UnprovedTieError",
]


class PreferenceContradictionError(DomainError):
    """No utility, scalar or lexicographic, explains the preferences.

    Attributes:
        certificate: the bet that shows it, or ``None``.

    Claims: decisions.C1b.
    """

    def __init__(self, message: str, certificate: Certificate | None = None) -> None:
        super().__init__(message)
        self.certificate = certificate

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.certificate)


class UndecidedError(NotConvergedError):
    """Neither a utility nor a contradiction could be proved.

    Attributes:
        low: a lower bound on the best margin.
        high: an upper bound on it.
    """

    def __init__(self, message: str, low: float, high: float) -> None:
        super().__init__(message)
        self.low, self.high = low, high

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.low, self.high)


class ResolutionError(DomainError):
    """The answers are too coarse for what was asked: a lower level drowns in a higher one's error.

    Claims: decisions.C2c.
    """


class NotTransientError(NotConvergedError):
    """A policy exists under which multipliers do not die out, so that values may not exist.

    Attributes:
        policy: its action in each state, −1 where the process has ended.
        radius: a lower bound ≥ 1 on the spectral radius of its effective kernel.

    Claims: decisions.C8b, decisions.C17.
    """

    def __init__(self, message: str, policy: tuple[int, ...], radius: float) -> None:
        super().__init__(message)
        self.policy, self.radius = policy, radius

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.policy, self.radius)


class NoOptimalPolicyError(DomainError):
    """The best value is approached but not attained by any policy.

    Attributes:
        states: the end component in which one would stay for ever longer, and yet must leave.
        actions: for each of those states, the actions that stay.

    Claims: decisions.C8b.
    """

    def __init__(
        self, message: str, states: tuple[int, ...], actions: tuple[tuple[int, ...], ...]
    ) -> None:
        super().__init__(message)
        self.states, self.actions = states, actions

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.states, self.actions)


class UnprovedTieError(NotConvergedError):
    """Two actions are closer than the proved error, and ties were asked to be strict.

    Attributes:
        states: where.
        level: the objective, counted from 0.
    """

    def __init__(self, message: str, states: tuple[int, ...], level: int) -> None:
        super().__init__(message)
        self.states, self.level = states, level

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.states, self.level)
