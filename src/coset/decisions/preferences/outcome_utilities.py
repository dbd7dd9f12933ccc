"""Utilities of outcomes, scalar and lexicographic, and what all exact utilities share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import DomainError, ShapeError
from coset.decisions.preferences.exact_numbers import Vector, exact_vector
from coset.decisions.preferences.lottery import Lottery
from coset.decisions.preferences.readable_record import ReadableRecord

__all__ = [
    "LexicographicUtility",
    "LinearUtility",
    "PreferenceModel",
    "compare_lexicographic",
    "shown",
]

# Outcomes or events that a printed model lists: claims replay small ones from it.
_SHOWN = 8


def compare_lexicographic(first: Sequence[Any], second: Sequence[Any]) -> int:
    """Compare two vectors by the first coordinate in which they differ.

    Args:
        first: d numbers, the most important one first.
        second: d numbers.

    Returns:
        +1 if the first is larger, −1 if the second is, 0 if they are equal.

    Raises:
        ShapeError: if their lengths differ.

    Claims: decisions.C2.

    Examples:
        >>> compare_lexicographic((1, 0), (0, 1_000_000))
        1
    """
    if len(first) != len(second):
        raise ShapeError(
            f"vectors that are compared must be equally long; given {len(first)} and {len(second)}"
        )
    for x, y in zip(first, second, strict=True):
        if x != y:
            return 1 if x > y else -1
    return 0


def shown(value: Any) -> str:
    """Return exact numbers as people write them: 1/3, (0, 1/2), ((1, 0), (2, 9/10)).

    Args:
        value: a fraction, or nested tuples of them.

    Returns:
        The text.
    """
    return f"({', '.join(map(shown, value))})" if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, eq=False)
class PreferenceModel(ReadableRecord):
    """What all utilities share: exact expectations, and an oracle that compares them."""

    @property
    def num_levels(self) -> int:
        """How many coordinates d a utility has."""
        raise NotImplementedError

    def _of(self, outcome: Any) -> Vector:
        raise NotImplementedError

    def _parts(self) -> Iterator[str]:
        raise NotImplementedError

    def __repr__(self) -> str:
        parts = list(self._parts())
        more = f"; … {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
        return f"{type(self).__name__}({'; '.join(parts[:_SHOWN])}{more})"

    def utility(self, prospect: Any) -> Vector:
        """Return the exact utility of an outcome, or the expected one of a lottery.

        Args:
            prospect: an outcome or a `Lottery`; weights given as floats are read as the dyadic
                rationals that they are.

        Returns:
            d fractions.

        Raises:
            DomainError: if an outcome is not one that the model knows.
            DtypeError: if an outcome is of another kind.
        """
        if not isinstance(prospect, Lottery):
            return self._of(prospect)
        total = [Fraction(0)] * self.num_levels
        for outcome, weight in prospect.items():
            share = Fraction(weight)
            for level, value in enumerate(self._of(outcome)):
                if value:
                    total[level] += share * value
        return tuple(total)

    def prefer(self, first: Any, second: Any) -> int:
        """Compare two prospects; the model itself, called, does the same: it is an oracle.

        Args:
            first: a lottery or an outcome.
            second: another.

        Returns:
            +1 if the first is preferred, −1 if the second is, 0 if neither.
        """
        return compare_lexicographic(self.utility(first), self.utility(second))

    def __call__(self, first: Lottery, second: Lottery) -> int:
        """Compare two lotteries, as `prefer` does."""
        return self.prefer(first, second)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in dataclasses.fields(self)]
        return all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False, repr=False)
class _OutcomeUtility(PreferenceModel):
    utility_of: Mapping[Any, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.utility_of, Mapping) or not self.utility_of:
            raise DomainError(
                f"a utility must name at least one outcome, in a mapping; given {self.utility_of!r}"
            )

    @property
    def outcomes(self) -> tuple[Any, ...]:
        """The outcomes, in the order in which they were given."""
        return tuple(self.utility_of)

    @property
    def num_levels(self) -> int:
        """How many coordinates d a utility has."""
        return len(next(iter(self.utility_of.values())))

    def _parts(self) -> Iterator[str]:
        return (f"{o!r}: {shown(u)}" for o, u in self.utility_of.items())

    def _of(self, outcome: Any) -> Vector:
        try:
            vector: Vector = self.utility_of[outcome]
        except (KeyError, TypeError):
            known = ", ".join(map(repr, self.outcomes[:5]))
            more = ", …" if len(self.outcomes) > 5 else ""
            raise DomainError(
                f"the outcomes of this utility are {known}{more}; given {outcome!r}"
            ) from None
        return vector


@dataclass(frozen=True, eq=False, repr=False)
class LinearUtility(_OutcomeUtility):
    """A utility of outcomes, one number each, and expectations of it: what VNM's axioms say.

    Attributes:
        utility_of: outcome → (u(o),), read exactly from numbers, from text such as "1/3", or from
            floats as the dyadic rationals that they are.

    Raises:
        DomainError: if there is no outcome or a number is not finite.
        DtypeError: if one is not a number.

    Claims: decisions.C1.

    Examples:
        >>> taste = LinearUtility({"win": 1, "draw": "1/3", "lose": 0})
        >>> half = Lottery.of({"win": Fraction(1, 2), "lose": Fraction(1, 2)})
        >>> taste.utility(half), taste.prefer(half, "draw")
        ((Fraction(1, 2),), 1)
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        exact = {
            # A stored one holds vectors of one number.
            o: exact_vector(x if isinstance(x, tuple) else (x,), f"the utility of {o!r}")
            for o, x in self.utility_of.items()
        }
        if any(len(x) != 1 for x in exact.values()):
            raise ShapeError("a linear utility has one number for each outcome; given several")
        object.__setattr__(self, "utility_of", exact)


@dataclass(frozen=True, eq=False, repr=False)
class LexicographicUtility(_OutcomeUtility):
    """A utility of outcomes in Rᵈ, whose expectations are compared lexicographically.

    Attributes:
        utility_of: outcome → d numbers, each as in `LinearUtility`.

    Raises:
        DomainError: if there is no outcome or a number is not finite.
        ShapeError: if outcomes have different numbers of levels, or none.
        DtypeError: if something is not a number.

    Claims: decisions.C2.

    Examples:
        >>> taste = LexicographicUtility({"alive": (0, 0), "rich": (0, 1), "dead": (-1, 0)})
        >>> risky = Lottery.of({"rich": Fraction(999, 1000), "dead": Fraction(1, 1000)})
        >>> taste.prefer(risky, "alive")
        -1
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        exact = {o: exact_vector(x, f"the utility of {o!r}") for o, x in self.utility_of.items()}
        lengths = {len(x) for x in exact.values()}
        if len(lengths) > 1 or 0 in lengths:
            raise ShapeError(
                f"all outcomes must have the same number d ≥ 1 of levels; given {sorted(lengths)}"
            )
        object.__setattr__(self, "utility_of", exact)
