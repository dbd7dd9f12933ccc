"""Eliciting a lexicographic utility exactly, level by level (Hausner's theorem made a procedure).

The order of lotteries is the order of differences v = c(p − q), Σv = 0, by the sign of the first
functional f₁(v), f₂(v), … that is not 0. On each level the largest direction w is the unit, every
other direction is a·w plus a rest that the level does not see, and the rests carry the next level.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from coset.decisions.elicit.interview import Interview
from coset.decisions.elicit.limits import check_count, check_distinct
from coset.decisions.elicit.search import SternBrocotWalk
from coset.decisions.elicit.stored_numbers import numbers
from coset.decisions.errors import PreferenceContradictionError, ResolutionError
from coset.decisions.preferences.lottery import Lottery, Oracle
from coset.decisions.preferences.readable_record import ReadableRecord

if TYPE_CHECKING:
    from coset.decisions.preferences.models import LexicographicUtility

__all__ = [
    "DifferenceOrder",
    "LexicographicElicitation",
    "exact_coefficient",
    "lexicographic",
    "recover_levels",
]

Direction = tuple[Fraction, ...]


@dataclass(frozen=True, eq=False)
class LexicographicElicitation(ReadableRecord):
    """A lexicographic utility of outcomes as exact answers revealed it.

    Attributes:
        utility: outcome → (u₁, …, u_d) fractions; 0 for the worst outcome, u₁ ∈ [0, 1].
        level: d, how many levels the preferences need; 0 if all outcomes are equally good.
        resolution: D; the numbers are right if every ratio that decided has a denominator ≤ D.
        num_queries: questions asked.

    Claims: decisions.C2c.
    """

    utility: Mapping[Any, tuple[Fraction, ...]]
    level: int
    resolution: int
    num_queries: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "utility", numbers(dict(self.utility)))

    def __repr__(self) -> str:
        return (
            f"LexicographicElicitation({len(self.utility):,} outcomes, {self.level} levels, "
            f"denominators up to {self.resolution:,}, {self.num_queries:,} questions)"
        )

    @property
    def outcomes(self) -> tuple[Any, ...]:
        """The outcomes, in the order in which they were given."""
        return tuple(self.utility)

    def model(self) -> LexicographicUtility:
        """Return the utility as a model, an oracle itself; of one level of 0 if `level` is 0."""
        from coset.decisions.preferences.models import LexicographicUtility

        return LexicographicUtility({o: u or (Fraction(0),) for o, u in self.utility.items()})


def lexicographic(
    oracle: Oracle,
    outcomes: Sequence[Hashable],
    resolution: int | None = None,
    *,
    max_queries: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LexicographicElicitation:
    """Find û = A u + b of preferences that some lexicographic u explains, A lower triangular.

    On a level with the largest direction w, a(v) = sup {a : a·w ≾ v} is found by a walk down the
    Stern–Brocot tree, and the rest v − a(v)·w goes to the next level. At a(v) itself lower levels
    answer, so that indifference is not waited for: the walk ends between two fractions without
    any of denominator ≤ D between them, and one more question tells which of the two it is. Another
    two then check that a(v) is that fraction, to within D^−4.

    Args:
        oracle: exact answers +1, 0, −1, from preferences that are complete, transitive and
            independent.
        outcomes: distinct hashable things, at least one.
        resolution: D ≥ 1, a bound on the denominators of all ratios. For utilities that are
            fractions with numerators and denominators up to B it grows like B^(2d); too large costs
            little: O(log D) questions a number.
        max_queries: refuse to ask more.
        progress: called with (directions done on this level, directions on it).

    Returns:
        The utility and the number of levels.

    Raises:
        ResolutionError: if no resolution is given, if a ratio turns out to lie strictly between
            fractions of denominator ≤ D (its error would drown the next level), or if questions run
            out.
        DomainError: if outcomes repeat or are missing, or a setting is out of range.
        PreferenceContradictionError: if answers contradict every lexicographic utility where that
            shows; not every contradiction does.

    Complexity: about n · d · 2 log₂ D questions for n outcomes and d levels.

    Claims: decisions.C2c.

    Examples:
        >>> from coset.decisions.preferences.models import LexicographicUtility
        >>> person = LexicographicUtility({"dead": (-1, 0), "poor": (0, 0), "rich": (0, 5)})
        >>> found = lexicographic(person, ["dead", "poor", "rich"], resolution=1000)
        >>> found.level, {o: tuple(map(str, u)) for o, u in found.utility.items()}
        (2, {'dead': ('0', '0'), 'poor': ('1', '-1'), 'rich': ('1', '0')})
    """
    listed = check_distinct("outcome", outcomes)
    if resolution is None:
        raise ResolutionError(
            "a lower level shows only where the levels above tie exactly, so that their ratios "
            "must be found exactly; give resolution=D, a bound on the denominators of all ratios"
        )
    largest = check_count("resolution", resolution)
    limit = None if max_queries is None else check_count("max_queries", max_queries)
    order = DifferenceOrder(Interview(oracle), listed, limit)

    def coefficient(v: Direction, unit: Direction) -> Fraction:
        return exact_coefficient(order, v, unit, largest)

    levels = recover_levels(order, coefficient, progress)
    values = {o: tuple(level[i] for level in levels) for i, o in enumerate(listed)}
    return LexicographicElicitation(values, len(levels), largest, order.num_queries)


def recover_levels(
    order: DifferenceOrder,
    coefficient: Callable[[Direction, Direction], Fraction],
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Fraction]]:
    """Split what the outcomes have above the worst one into levels, each by its largest direction.

    Args:
        order: answers which differences are preferred to 0.
        coefficient: from a direction v and the level's unit w to a(v), f(v) = a(v) f(w).
        progress: called with (directions done on this level, directions on it).

    Returns:
        For each level the coefficients of the outcomes; at most n − 1 levels, for each ends the
        rest of its unit.

    Claims: decisions.C2c.
    """
    n = order.num_outcomes
    basis = [tuple(Fraction(int(i == j)) for j in range(n)) for i in range(n)]
    worst = _largest(order, [_scaled(v, -1) for v in basis])
    rests = [_sum(v, worst) for v in basis]
    levels: list[list[Fraction]] = []
    while True:
        left = [i for i in range(n) if any(rests[i])]
        unit = _unit_direction(order, [rests[i] for i in left])
        if unit is None:
            return levels
        found = [Fraction(0)] * n
        for number, i in enumerate(left, 1):
            found[i] = coefficient(rests[i], unit)
            rests[i] = _sum(rests[i], _scaled(unit, -found[i]))
            if progress is not None:
                progress(number, len(left))
        levels.append(found)


class DifferenceOrder:
    """The sign of a difference of lotteries, as answers say.

    Args:
        interview: whom to ask.
        outcomes: what the coordinates of a direction stand for.
        max_queries: refuse to ask more.
    """

    def __init__(
        self, interview: Interview, outcomes: list[Any], max_queries: int | None = None
    ) -> None:
        self._interview = interview
        self._outcomes = outcomes
        self._max_queries = max_queries

    @property
    def num_outcomes(self) -> int:
        """How many coordinates a direction has."""
        return len(self._outcomes)

    @property
    def num_queries(self) -> int:
        """Questions asked."""
        return self._interview.num_queries

    def sign(self, v: Direction) -> int:
        """Return whether v = c(p − q), p and q of disjoint support, is preferred to 0.

        Args:
            v: numbers with sum 0.

        Returns:
            +1, −1 or 0; 0 for v = 0 without a question.

        Raises:
            ResolutionError: if questions run out.
        """
        mass = sum((x for x in v if x > 0), Fraction(0))
        if mass == 0:
            return 0
        if self._max_queries is not None and self.num_queries >= self._max_queries:
            raise ResolutionError(
                f"max_queries = {self._max_queries} questions are used up before all levels are "
                f"known; allow more or lower the resolution"
            )
        up = {o: x / mass for o, x in zip(self._outcomes, v, strict=True) if x > 0}
        down = {o: -x / mass for o, x in zip(self._outcomes, v, strict=True) if x < 0}
        return self._interview.ask(Lottery.of(up), Lottery.of(down))


def _sum(v: Direction, w: Direction) -> Direction:
    return tuple(x + y for x, y in zip(v, w, strict=True))


def _scaled(v: Direction, factor: Fraction | int) -> Direction:
    return tuple(factor * x for x in v)


def _largest(order: DifferenceOrder, directions: list[Direction]) -> Direction:
    """Return the largest of at least one direction, the first of equals."""
    best = directions[0]
    for v in directions[1:]:
        if order.sign(_sum(v, _scaled(best, -1))) > 0:
            best = v
    return best


def _unit_direction(order: DifferenceOrder, rests: list[Direction]) -> Direction | None:
    """Return the largest of ±v over the rests, ``None`` if all are indifferent to 0."""
    upward = []
    for v in rests:
        sign = order.sign(v)
        if sign:
            upward.append(_scaled(v, sign))
    return _largest(order, upward) if upward else None


def exact_coefficient(
    order: DifferenceOrder, v: Direction, unit: Direction, resolution: int
) -> Fraction:
    """Return the a with f(v) = a f(w), |a| ≤ 1, for the level's functional f.

    Args:
        order: whom to ask.
        v: a direction.
        unit: w ≿ ±v, w ≻ 0.
        resolution: D, a bound on the denominator of a.

    Returns:
        a, checked to within D^−4 if no answer was "indifferent".

    Raises:
        ResolutionError: if a is no fraction of so small a denominator.
        PreferenceContradictionError: if the answers put a outside [−1, 1].

    Claims: decisions.C2c.
    """
    if v == unit:
        return Fraction(1)
    sign = order.sign(v)
    if sign == 0 or v == _scaled(unit, -1):
        return Fraction(sign)
    v = _scaled(v, sign)

    def above(a: Fraction) -> int:
        return order.sign(_sum(v, _scaled(unit, -a)))

    walk = SternBrocotWalk((1, 1), resolution)
    hit = walk.descend(above)
    if hit is not None:
        return sign * hit
    # Strictly between the two there is no candidate: the answer points at one of them.
    middle = Fraction(walk.left[0] + walk.right[0], walk.left[1] + walk.right[1])
    answer = above(middle)
    a = walk.high if answer > 0 else walk.low
    margin = Fraction(1, 4 * resolution**4)
    # At a itself the level is silent, but at a ± margin it must speak: 0 is no answer there.
    outside = above(a - margin) <= 0 or above(a + margin) >= 0
    if outside and a in (0, 1):
        raise PreferenceContradictionError(
            f"the answers must come from a lexicographic utility; they put a difference both "
            f"inside and outside [0, 1] times another, near {a}: they are not transitive, or "
            f"depend on common parts; see coset.decisions.axioms.check"
        )
    if answer == 0 or outside:
        raise ResolutionError(
            f"every ratio must be a fraction of denominator ≤ resolution = {resolution}; one lies "
            f"strictly between {walk.low} and {walk.high}, and its error would drown the next "
            f"level; raise the resolution (questions grow with its logarithm)"
        )
    return sign * a
