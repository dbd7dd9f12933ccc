"""Lotteries over outcomes, and sequences of events as outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational, Real
from typing import Any

from coset.core.errors import DomainError, DtypeError

__all__ = ["EMPTY", "EventSequence", "Lottery", "Number", "Oracle", "check_lottery", "mix"]

Number = Fraction | float
# Weights given as floats must sum to 1 up to this; they are kept as they are, never rescaled.
_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, order=True)
class EventSequence:
    """A finite sequence of events, the outcome of a sequential decision.

    Attributes:
        events: the events in the order in which they happen.

    Raises:
        DtypeError: if an event is not a string.

    Examples:
        >>> EventSequence.of("fall", "stand").prepend("walk")
        walk·fall·stand
        >>> EMPTY
        ε
    """

    events: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Kept before it is looked through: an iterator would be empty afterwards.
        listed = isinstance(self.events, Iterable) and not isinstance(self.events, str)
        events = tuple(self.events) if listed else ()
        if not listed or not all(isinstance(e, str) for e in events):
            raise DtypeError(
                f"an event sequence is a tuple of strings; given {self.events!r}; "
                f"write EventSequence.of('a', 'b')"
            )
        object.__setattr__(self, "events", events)

    @classmethod
    def of(cls, *events: str) -> EventSequence:
        """Return the sequence of these events.

        Args:
            *events: names, in order.

        Returns:
            The sequence.
        """
        return cls(events)

    def prepend(self, event: str) -> EventSequence:
        """Return e∘τ, this sequence after one more event.

        Args:
            event: the event that comes first.

        Returns:
            The longer sequence.
        """
        return EventSequence((event, *self.events))

    def __len__(self) -> int:
        return len(self.events)

    def __repr__(self) -> str:
        return "·".join(self.events) or "ε"


EMPTY = EventSequence()


@dataclass(frozen=True, init=False)
class Lottery:
    """A distribution on finitely many outcomes, exact if all its weights are.

    Outcomes that are given twice are merged, those of weight 0 dropped, and the rest are kept in
    one canonical order, so that equal lotteries compare and hash equal. Weights are all
    `Fraction` (integers are read so) or, if any is a float, all floats.

    Attributes:
        outcomes: the support, hashable things.
        weights: their probabilities, > 0, in the same order.

    Args:
        outcomes: any hashable things, repeats allowed.
        weights: as many probabilities ≥ 0 with sum 1: exactly if all are rational, within 1e-9
            otherwise.

    Raises:
        DomainError: if a weight is negative, NaN or infinite, the sum is not 1, or the numbers of
            outcomes and weights differ.
        DtypeError: if an outcome is not hashable or a weight is not a real number.

    Examples:
        >>> from fractions import Fraction
        >>> half = Lottery.of({"win": Fraction(1, 2), "lose": Fraction(1, 2)})
        >>> mix(Fraction(1, 3), half, Lottery.sure("win"))
        1/6 lose + 5/6 win
    """

    outcomes: tuple[Hashable, ...]
    weights: tuple[Number, ...]

    def __init__(self, outcomes: Iterable[Hashable], weights: Iterable[Any]) -> None:
        if not isinstance(outcomes, Iterable) or not isinstance(weights, Iterable):
            raise DtypeError(
                f"a lottery lists its outcomes and their weights; given {outcomes!r:.60} and "
                f"{weights!r:.60}; write Lottery.sure(…) for one certain outcome"
            )
        outcomes, weights = tuple(outcomes), tuple(weights)
        if len(outcomes) != len(weights):
            raise DomainError(
                f"a lottery has one weight for each outcome; given {len(outcomes)} outcomes and "
                f"{len(weights)} weights"
            )
        merged: dict[Hashable, Number] = {}
        exact = all(isinstance(w, Rational) and not isinstance(w, bool) for w in weights)
        for outcome, weight in zip(outcomes, weights, strict=True):
            value = _weight(outcome, weight, exact)
            try:
                before = merged.get(outcome)
                merged[outcome] = value if before is None else before + value
            except TypeError as error:
                raise DtypeError(
                    f"an outcome must be hashable; given {outcome!r}; use a name or a tuple"
                ) from error
        total: Any = _sum(merged.values()) if exact else math.fsum(merged.values())
        if total != 1 if exact else abs(total - 1) > _SUM_TOLERANCE:
            raise DomainError(
                f"the weights of a lottery sum to 1; given {total} in all"
                f"{'' if merged else ' (no outcome)'}; divide them by it if you mean proportions"
            )
        order = _ordered(merged)
        object.__setattr__(self, "outcomes", tuple(order))
        object.__setattr__(self, "weights", tuple(merged[o] for o in order))

    @classmethod
    def of(cls, weights: Mapping[Any, Any]) -> Lottery:
        """Return the lottery with these probabilities.

        Args:
            weights: outcome → probability.

        Returns:
            The lottery.

        Raises:
            DtypeError: if it is no mapping, or as in the class.
            DomainError: as in the class.
        """
        if not isinstance(weights, Mapping):
            raise DtypeError(
                f"a lottery is made of a mapping outcome → probability; given {weights!r:.60}; "
                f"write Lottery(outcomes, weights) for two lists"
            )
        return cls(weights.keys(), weights.values())

    @classmethod
    def sure(cls, outcome: Hashable) -> Lottery:
        """Return the lottery that gives one outcome for certain.

        Args:
            outcome: any hashable thing.

        Returns:
            The lottery, exact.
        """
        return cls((outcome,), (Fraction(1),))

    @property
    def is_exact(self) -> bool:
        """Whether the weights are fractions."""
        return isinstance(self.weights[0], Fraction)

    @property
    def support(self) -> frozenset[Hashable]:
        """The outcomes of positive probability."""
        return frozenset(self.outcomes)

    def items(self) -> Iterable[tuple[Any, Number]]:
        """Iterate over (outcome, probability) in canonical order.

        Returns:
            The pairs.
        """
        return zip(self.outcomes, self.weights, strict=True)

    def probability(self, outcome: Hashable) -> Number:
        """Return the probability of an outcome.

        Args:
            outcome: any hashable thing.

        Returns:
            Its weight, 0 outside the support.
        """
        return next((w for o, w in self.items() if o == outcome), Fraction(0))

    def expect(self, utility: Mapping[Any, Any] | Callable[[Any], Any]) -> Any:
        """Return Σ p(o) u(o).

        Args:
            utility: a mapping or a function from outcomes to numbers (exact with fractions).

        Returns:
            The expectation.

        Raises:
            DomainError: if a mapping lacks an outcome of the support.
            DtypeError: if it is neither a mapping nor a function.
        """
        if isinstance(utility, Mapping):
            missing = [o for o in self.outcomes if o not in utility]
            if missing:
                raise DomainError(f"a utility must name every outcome; it lacks {missing[0]!r}")
            return sum(w * utility[o] for o, w in self.items())
        if not callable(utility):
            raise DtypeError(
                f"a utility is a mapping or a function of outcomes; given {utility!r:.60}"
            )
        return sum(w * utility(o) for o, w in self.items())

    def prepend(self, event: str) -> Lottery:
        """Return e∘p: the event happens first, whatever the lottery gives.

        Args:
            event: the event.

        Returns:
            The lottery over the longer sequences.

        Raises:
            DtypeError: if an outcome is not an `EventSequence`.
        """
        for outcome in self.outcomes:
            if not isinstance(outcome, EventSequence):
                raise DtypeError(
                    f"an event can precede event sequences only; given the outcome {outcome!r}"
                )
        return Lottery([o.prepend(event) for o in self.outcomes], self.weights)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        if len(self.outcomes) == 1:
            return str(self.outcomes[0])
        return " + ".join(f"{w} {o}" for o, w in self.items())


# +1: the first is preferred; −1: the second; 0: indifferent. Noisy ones answer ±1 only.
Oracle = Callable[[Lottery, Lottery], int]


def mix(alpha: Number | int, p: Lottery, q: Lottery) -> Lottery:
    """Return αp + (1 − α)q.

    Args:
        alpha: in [0, 1]; exact mixtures need a `Fraction` (or 0, 1).
        p: a lottery.
        q: another.

    Returns:
        The compound lottery, reduced.

    Raises:
        DomainError: if α is outside [0, 1] or not a number.
        DtypeError: if p or q is not a lottery.

    Examples:
        >>> mix(0.25, Lottery.sure("a"), Lottery.sure("b"))
        0.25 a + 0.75 b
    """
    if not isinstance(alpha, Real) or not 0 <= alpha <= 1:
        raise DomainError(f"the weight of a mixture lies in [0, 1]; given {alpha!r}")
    for lottery in (p, q):
        check_lottery(lottery)
    share: Number = _exactly(alpha) if isinstance(alpha, Rational) else float(alpha)
    rest = 1 - share
    # A weight of 0 would turn the other lottery's fractions into floats for nothing.
    parts = [(share, p), (rest, q)]
    used = [(s, lottery) for s, lottery in parts if s != 0]
    if len(used) == 1:
        return used[0][1]
    outcomes = [o for _, lottery in used for o in lottery.outcomes]
    return Lottery(outcomes, [s * w for s, lottery in used for w in lottery.weights])


def check_lottery(value: Any) -> None:
    """Refuse what is not a lottery, a bare outcome above all.

    Args:
        value: anything.

    Raises:
        DtypeError: if it is not a `Lottery`.
    """
    if not isinstance(value, Lottery):
        raise DtypeError(
            f"a Lottery is needed; given {value!r:.60}; write Lottery.sure(…) for a certain outcome"
        )


def _weight(outcome: Any, weight: Any, exact: bool) -> Number:
    if type(weight) is not Fraction and (isinstance(weight, bool) or not isinstance(weight, Real)):
        raise DtypeError(
            f"a weight must be a real number; the one of {outcome!r} is {weight!r}"
            f"{'; write Fraction(…) for an exact one' if isinstance(weight, str) else ''}"
        )
    try:
        value = _exactly(weight) if exact else float(weight)
    except OverflowError:  # an integer or a fraction beyond the floats, beside a float
        value = math.inf
    if not (0 <= value < math.inf):
        raise DomainError(
            f"a weight must be finite and not negative; the one of {outcome!r} is {value}"
        )
    return value


def _sum(values: Collection[Any]) -> Fraction:
    # Over one common denominator: reducing after each addition would take twice as long.
    common = math.lcm(*(f.denominator for f in values))
    return Fraction(sum(f.numerator * (common // f.denominator) for f in values), common)


def _exactly(value: Any) -> Fraction:
    if type(value) is Fraction:
        return value
    # A fraction made from a NumPy integer would keep its 64 bits inside, and overflow.
    return Fraction(int(value.numerator), int(value.denominator))


def _ordered(merged: Mapping[Hashable, Number]) -> list[Hashable]:
    kept: list[Any] = [o for o, w in merged.items() if w != 0]
    if len({type(o) for o in kept}) == 1 and isinstance(kept[0], str | int | EventSequence):
        return sorted(kept)
    # Outcomes of mixed or unordered types are sorted by what they print.
    return sorted(kept, key=lambda o: (str(type(o)), repr(o)))
