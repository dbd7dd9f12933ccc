"""Oracles: answers with noise, answers that are counted, and a relation without a utility."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import Any

import torch

from coset.core.errors import DomainError, DtypeError
from coset.decisions.preferences.lottery import EventSequence, Lottery, Oracle
from coset.decisions.preferences.outcome_utilities import LinearUtility, PreferenceModel

__all__ = ["CountingOracle", "LargestDifference", "NoisyOracle", "noisy_oracle"]

# The exponential overflows soon beyond; the probability is 0 or 1 long before.
_STEEP = 700


@dataclass(frozen=True)
class LargestDifference:
    """A relation that no lexicographic utility of finitely many levels represents.

    Lotteries over eⁿ = e·e·…·e are compared at the largest n at which their probabilities differ:
    the one that gives eⁿ with smaller probability is preferred. It is complete, transitive,
    independent and memoryless, yet each further event is infinitely worse than the last.

    Attributes:
        event: the one event e.

    Claims: decisions.C2b.

    Examples:
        >>> shares = [Fraction(1, 9), Fraction(8, 9)]
        >>> p = Lottery([EventSequence.of("e", "e", "e"), EventSequence()], shares)
        >>> LargestDifference()(Lottery.sure(EventSequence.of("e", "e")), p)
        1
    """

    event: str = "e"

    def prefer(self, first: Lottery | EventSequence, second: Lottery | EventSequence) -> int:
        """Compare two lotteries over powers of the event.

        Args:
            first: a lottery or a sequence.
            second: another.

        Returns:
            +1 if the first is preferred, −1 if the second is, 0 if they are the same lottery.

        Raises:
            DomainError: if a sequence holds another event.
            DtypeError: if an outcome is not an event sequence.
        """
        p, q = self._by_length(first), self._by_length(second)
        for n in sorted(p.keys() | q.keys(), reverse=True):
            difference = p.get(n, 0) - q.get(n, 0)
            if difference:
                return -1 if difference > 0 else 1
        return 0

    def __call__(self, first: Lottery, second: Lottery) -> int:
        """Compare two lotteries, as `prefer` does."""
        return self.prefer(first, second)

    def _by_length(self, prospect: Lottery | EventSequence) -> dict[int, Fraction]:
        lottery = prospect if isinstance(prospect, Lottery) else Lottery.sure(prospect)
        weights = {}
        for outcome, weight in lottery.items():
            if not isinstance(outcome, EventSequence):
                raise DtypeError(f"the outcomes must be event sequences; given {outcome!r}")
            if any(e != self.event for e in outcome.events):
                raise DomainError(
                    f"the relation compares powers of the event {self.event!r}; given {outcome}"
                )
            weights[len(outcome)] = Fraction(weight)
        return weights


class CountingOracle:
    """An oracle that counts how often it is asked.

    Args:
        oracle: answers.

    Raises:
        DtypeError: if it cannot be called.

    Examples:
        >>> oracle = CountingOracle(LinearUtility({"a": 1, "b": 0}))
        >>> oracle(Lottery.sure("a"), Lottery.sure("b")), oracle.num_queries
        (1, 1)
    """

    def __init__(self, oracle: Oracle) -> None:
        if not callable(oracle):
            raise DtypeError(
                f"an oracle is a function of two lotteries, or a model; given {oracle!r:.60}"
            )
        self.oracle = oracle
        self.num_queries = 0

    def __call__(self, first: Lottery, second: Lottery) -> int:
        """Ask the oracle, and count."""
        self.num_queries += 1
        return self.oracle(first, second)


class NoisyOracle:
    """Answers ±1, the more surely the larger the difference: P(+1) = 1/(1 + exp(−Δu/slope)).

    Args:
        model: a scalar utility of outcomes, exact: its `utility` and `num_levels` are used.
        slope: σ > 0, the difference of utility at which 73 % of the answers are right; or 0, for
            no mistakes (a tie is then decided by a fair coin).
        generator: source of the noise.

    Raises:
        DomainError: if the slope is negative or not finite, or the model has several levels.
        DtypeError: if the slope is not a number, or the model is none.

    Claims: decisions.C14.
    """

    def __init__(
        self, model: PreferenceModel, slope: float, *, generator: torch.Generator | None = None
    ) -> None:
        if not isinstance(model, PreferenceModel):
            raise DtypeError(
                f"noise is added to the answers of a model of utility; given {model!r:.60}; write "
                f"LinearUtility or AffineModel"
            )
        if model.num_levels != 1:
            raise DomainError(
                f"noise needs a difference in one number; the model has {model.num_levels} levels"
            )
        # For mypy no float is a Real, and all that follows would go unchecked.
        given: Any = slope
        if isinstance(given, bool) or not isinstance(given, Real):
            raise DtypeError(f"the slope must be a number; given {slope!r}")
        try:
            width = float(slope)
        except OverflowError:  # an integer or a fraction beyond the floats
            width = math.inf
        if not 0 <= width < math.inf:
            raise DomainError(f"the slope must be finite and ≥ 0; given {width}")
        self.model, self.slope, self.generator = model, width, generator
        self._kept: dict[Any, float] = {}

    def _expected(self, prospect: Any) -> float:
        lottery = prospect if isinstance(prospect, Lottery) else Lottery.sure(prospect)
        kept = self._kept
        for outcome in lottery.outcomes:
            if outcome not in kept:
                kept[outcome] = float(self.model.utility(outcome)[0])
        return math.fsum(float(weight) * kept[outcome] for outcome, weight in lottery.items())

    def probability(self, first: Any, second: Any) -> float:
        """Return the probability that the first is said to be preferred.

        Args:
            first: a lottery or an outcome.
            second: another.

        Returns:
            In [0, 1].
        """
        if not self.slope:
            # Floats would make ties of utilities that are close or huge.
            return 0.5 * (self.model.prefer(first, second) + 1)
        try:
            steps = (self._expected(first) - self._expected(second)) / self.slope
        except OverflowError:
            both = (self.model.utility(prospect)[0] for prospect in (first, second))
            ratio = (next(both) - next(both)) / Fraction(self.slope)
            steps = float(min(Fraction(_STEEP), max(Fraction(-_STEEP), ratio)))
        return 1 / (1 + math.exp(min(_STEEP, max(-_STEEP, -steps))))

    def __call__(self, first: Lottery, second: Lottery) -> int:
        """Return +1 or −1, at random."""
        drawn = torch.rand((), generator=self.generator, dtype=torch.float64).item()
        return 1 if drawn < self.probability(first, second) else -1


def noisy_oracle(
    model: PreferenceModel | Mapping[Any, Any],
    slope: float,
    generator: torch.Generator | None = None,
) -> NoisyOracle:
    """Return an oracle that answers ±1 with logistic noise.

    Args:
        model: a scalar model, or a mapping outcome → utility.
        slope: σ ≥ 0; see `NoisyOracle`.
        generator: source of the noise.

    Returns:
        The oracle.

    Raises:
        DomainError: if the slope is negative or not finite, or the model has several levels.

    Examples:
        >>> oracle = noisy_oracle({"a": 1, "b": 0}, slope=0.5)
        >>> round(oracle.probability("a", "b"), 3)
        0.881
    """
    chosen = LinearUtility(model) if isinstance(model, Mapping) else model
    return NoisyOracle(chosen, slope, generator=generator)
