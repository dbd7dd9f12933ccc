"""Orders of lotteries that no utility gives: a best expectation under constraints."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import DomainError, ShapeError
from coset.decisions.preferences.lottery import Lottery

__all__ = ["ConstrainedRelation", "compare_constrained", "constrained_relation"]

Vectors = Mapping[Hashable, Sequence[Any]]


def compare_constrained(
    p: Lottery, q: Lottery, utilities: Vectors, bounds: Sequence[Any | None]
) -> int:
    """Compare two lotteries by E[u₁] among those with E[u_i] ≥ c_i.

    A lottery that meets the constraints is better than one that does not; two that do not are
    indifferent (ours: the literature leaves them uncompared).

    Args:
        p: a lottery.
        q: another.
        utilities: outcome → (u₁, u₂, …, u_d).
        bounds: (c₂, …, c_d), ``None`` where there is no constraint.

    Returns:
        +1 if p is better, −1 if q is, 0 if neither.

    Raises:
        DomainError: if an outcome has no utilities.

    Claims: decisions.C9.
    """
    first, second = _expected(p, utilities), _expected(q, utilities)
    feasible = [_meets(v, bounds) for v in (first, second)]
    if feasible[0] != feasible[1]:
        return 1 if feasible[0] else -1
    if not feasible[0] or first[0] == second[0]:
        return 0
    return 1 if first[0] > second[0] else -1


def _expected(lottery: Lottery, utilities: Vectors) -> list[Any]:
    missing = [o for o in lottery.outcomes if o not in utilities]
    if missing:
        raise DomainError(f"utilities must name every outcome; {missing[0]!r} has none")
    size = len(utilities[lottery.outcomes[0]])
    return [sum(w * utilities[o][i] for o, w in lottery.items()) for i in range(size)]


def _meets(expected: Sequence[Any], bounds: Sequence[Any | None]) -> bool:
    return all(c is None or x >= c for x, c in zip(expected[1:], bounds, strict=True))


@dataclass(frozen=True, eq=False)
class ConstrainedRelation:
    """The order of a constrained problem: maximize E[u₁] subject to E[u_i] ≥ c_i.

    It is an oracle: called with two lotteries it answers +1, −1 or 0. It is complete and
    transitive, and breaks Independence and Continuity.

    Attributes:
        utilities: outcome → (u₁, …, u_d), exact.
        bounds: (c₂, …, c_d), exact, ``None`` where there is no constraint.

    Claims: decisions.C9.
    """

    utilities: Mapping[Hashable, tuple[Fraction, ...]]
    bounds: tuple[Fraction | None, ...]

    @property
    def outcomes(self) -> tuple[Hashable, ...]:
        """The outcomes that have utilities."""
        return tuple(self.utilities)

    def is_feasible(self, lottery: Lottery) -> bool:
        """Tell whether a lottery meets the constraints.

        Args:
            lottery: any.

        Returns:
            Whether E[u_i] ≥ c_i for each i.
        """
        return _meets(_expected(lottery, self.utilities), self.bounds)

    def __call__(self, p: Lottery, q: Lottery) -> int:
        """Compare two lotteries.

        Args:
            p: a lottery.
            q: another.

        Returns:
            +1 if p is better, −1 if q is, 0 if neither.
        """
        return compare_constrained(p, q, self.utilities, self.bounds)


def constrained_relation(utilities: Vectors, bounds: Sequence[Any | None]) -> ConstrainedRelation:
    """Return the order "maximize E[u₁] subject to E[u_i] ≥ c_i" as an oracle.

    Args:
        utilities: outcome → (u₁, …, u_d), d ≥ 1; floats are read as the fractions that they are.
        bounds: d − 1 numbers c₂, …, c_d, ``None`` where there is no constraint.

    Returns:
        The oracle.

    Raises:
        DomainError: if there is no outcome or a number is not finite.
        ShapeError: if the vectors or the bounds do not fit each other.

    Examples:
        >>> order = constrained_relation({"o1": (4, -2), "o2": (2, 2), "o3": (0, 4)}, [0])
        >>> half = Fraction(1, 2)
        >>> order(Lottery.of({"o1": half, "o3": half}), Lottery.of({"o2": half, "o3": half}))
        1
        >>> order(Lottery.sure("o1"), Lottery.sure("o2"))
        -1

    Claims: decisions.C9.
    """
    if not utilities:
        raise DomainError("utilities must name at least one outcome; given none")
    for outcome, vector in utilities.items():
        if isinstance(vector, str) or not isinstance(vector, Iterable):
            raise ShapeError(
                f"each outcome has a vector of utilities; {outcome!r} has {vector!r}; write a tuple"
            )
    exact = {o: tuple(_exact(x, o) for x in vector) for o, vector in utilities.items()}
    sizes = {len(vector) for vector in exact.values()}
    if len(sizes) != 1 or sizes == {0} or sizes != {len(bounds) + 1}:
        raise ShapeError(
            f"each outcome has d ≥ 1 utilities, and there are d − 1 bounds; given "
            f"{sorted(sizes)} utilities and {len(bounds)} bounds"
        )
    limits = tuple(None if c is None else _exact(c, "a bound") for c in bounds)
    return ConstrainedRelation(exact, limits)


def _exact(value: Any, owner: object) -> Fraction:
    try:
        return Fraction(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DomainError(
            f"utilities and bounds must be finite numbers; {owner!r} has {value!r}"
        ) from error
