"""Finding a switch point from exact answers: bisection, and Stern–Brocot search for fractions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.errors import DomainError
from coset.decisions.elicit.limits import check_count, check_share
from coset.decisions.elicit.question import Question
from coset.decisions.errors import ResolutionError
from coset.decisions.preferences.exact_numbers import exact_number
from coset.decisions.preferences.lottery import Number

__all__ = [
    "Found",
    "SternBrocotWalk",
    "bisect",
    "is_short",
    "not_between",
    "simplest_between",
    "stern_brocot",
]

# Beyond 2^64 units a number counts as infinite: no utility on this scale is meant.
_LARGEST = 2**64


@dataclass(frozen=True)
class Found:
    """What a search knows of a number.

    Attributes:
        low: the number is at least this,
        high: and at most that; −inf and inf where nothing is known.
        num_queries: answers used.
        exact: it was found to be equal to `low`.
        converged: the interval is as short as was asked for.
        trace: (answers so far, low, high) after each step that moved an end.
    """

    low: Number
    high: Number
    num_queries: int
    exact: bool
    converged: bool
    trace: tuple[tuple[int, Number, Number], ...] = ()

    def __repr__(self) -> str:
        known = f"{self.low}" if self.exact else f"{float(self.low):.9g} … {float(self.high):.9g}"
        short = "" if self.converged else ", not as short as asked for"
        return f"Found({known:.60}, {self.num_queries:,} answers{short})"

    @property
    def estimate(self) -> Number:
        """The number itself if it is known, else the middle of the interval."""
        if self.exact:
            return self.low
        middle: Number = (self.low + self.high) / 2
        return middle


def is_short(low: Any, high: Any, tol: Any) -> bool:
    """Tell whether an interval is at most tol · max(1, |x|) wide for its x nearest to 0.

    Args:
        low: the lower end.
        high: the upper end.
        tol: the tolerance.

    Returns:
        The answer; an infinite interval is never short.
    """
    if low == float("-inf") or high == float("inf"):
        return False
    nearest = 0 if low <= 0 <= high else min(abs(low), abs(high))
    return bool(high - low <= tol * max(1, nearest))


def bisect(question: Question, tol: float) -> Found:
    """Narrow a number by halving the interval of its coordinate.

    Args:
        question: with exact answers.
        tol: stop at an interval of width tol · max(1, |x|).

    Returns:
        The interval; `exact` if an answer was "indifferent".

    Raises:
        ResolutionError: if the number is larger than 2^64 units.
        DomainError: if the tolerance is outside (0, 1).

    Complexity: 1 + ⌈log₂(1/tol)⌉ answers for numbers near 0, log₂ |x| more for large ones.

    Claims: decisions.C1.

    Examples:
        >>> from coset.decisions.elicit.interview import Interview
        >>> from coset.decisions.elicit.question import gamble
        >>> from coset.decisions.preferences.lottery import Lottery
        >>> best, middle, worst = (Lottery.sure(name) for name in ("best", "middle", "worst"))
        >>> utility = {"best": 3, "middle": 1, "worst": 0}
        >>> def oracle(p, q):
        ...     return (p.expect(utility) > q.expect(utility)) * 2 - 1
        >>> found = bisect(gamble(Interview(oracle), middle, best, worst), 0.01)
        >>> found.low <= Fraction(1, 3) <= found.high, found.num_queries
        (True, 7)
    """
    scale, width = question.scale, check_share("tol", tol)
    low, high = Fraction(scale.low), Fraction(scale.high)
    start = question.interview.num_queries
    trace: list[tuple[int, Number, Number]] = []

    def used() -> int:
        return question.interview.num_queries - start

    while not is_short(scale.number(low), scale.number(high), width):
        middle = (low + high) / 2
        answer = question.ask(middle)
        if answer == 0:
            x = scale.number(middle)
            trace.append((used(), x, x))
            return Found(x, x, used(), exact=True, converged=True, trace=tuple(trace))
        low, high = (middle, high) if answer > 0 else (low, middle)
        trace.append((used(), scale.number(low), scale.number(high)))
        _check_finite(scale.bounded, max(scale.number(low), -scale.number(high)))
    bounds = scale.number(low), scale.number(high)
    return Found(*bounds, used(), exact=False, converged=True, trace=tuple(trace))


def _check_finite(bounded: bool, least: Any) -> None:
    """Refuse a number of which so large a multiple of the unit is known to be smaller still."""
    if not bounded and least >= _LARGEST:
        raise ResolutionError(
            f"the difference must be a finite multiple of the reference pair's; the answers say "
            f"that it is more than 2^64 = {_LARGEST} times as large: the pair does not count "
            f"beside it; name a weightier reference pair, or elicit the safety-first or the "
            f"lexicographic structure"
        )


def stern_brocot(question: Question, max_denominator: int) -> Found:
    """Find a fraction exactly, by walking down the Stern–Brocot tree with growing steps.

    Every fraction p/q ≥ 0 is reached from 0/1 and 1/0 by mediants (a + c)/(b + d). A run of k steps
    in one direction takes about 2 log₂ k answers: double until the answer flips, then halve.

    Args:
        question: with exact answers that say when two lotteries are indifferent.
        max_denominator: the largest denominator looked for, ≥ 1.

    Returns:
        `exact` with the fraction; else the two fractions between which the number lies and between
        which there is none of so small a denominator.

    Raises:
        ResolutionError: if the number is larger than 2^64 units.
        DomainError: if the largest denominator is below 1.

    Complexity: O(log max_denominator) answers, O(log |x|) more for large numbers.

    Claims: decisions.C1.

    Examples:
        >>> from coset.decisions.elicit.interview import Interview
        >>> from coset.decisions.elicit.question import gamble
        >>> from coset.decisions.preferences.lottery import Lottery
        >>> best, middle, worst = (Lottery.sure(name) for name in ("best", "middle", "worst"))
        >>> utility = {"best": 71, "middle": 22, "worst": 0}
        >>> def oracle(p, q):
        ...     left, right = p.expect(utility), q.expect(utility)
        ...     return (left > right) - (left < right)
        >>> stern_brocot(gamble(Interview(oracle), middle, best, worst), 100).low
        Fraction(22, 71)
    """
    max_denominator = check_count("max_denominator", max_denominator)
    start = question.interview.num_queries
    trace: list[tuple[int, Number, Number]] = []
    scale = question.scale

    def used() -> int:
        return question.interview.num_queries - start

    def at(x: Fraction) -> int:
        return question.ask(scale.coordinate(x))

    def exactly(x: Fraction) -> Found:
        trace.append((used(), x, x))
        return Found(x, x, used(), exact=True, converged=True, trace=tuple(trace))

    sign = at(Fraction(0))
    if sign == 0:
        return exactly(Fraction(0))
    if scale.bounded:
        if sign < 0:
            raise not_between("below")
        top = at(Fraction(1))
        if top == 0:
            return exactly(Fraction(1))
        if top > 0:
            raise not_between("above")
    walk = SternBrocotWalk((1, 1) if scale.bounded else (1, 0), max_denominator)
    hit = walk.descend(lambda x: sign * at(sign * x), lambda: trace.append(_ends(walk, sign, used)))
    if hit is not None:
        return exactly(sign * hit)
    low, high = sorted((sign * walk.low, sign * walk.high))
    return Found(low, high, used(), exact=False, converged=False, trace=tuple(trace))


def _ends(walk: SternBrocotWalk, sign: int, used: Callable[[], int]) -> tuple[int, Number, Number]:
    low: Number = walk.low
    high: Number = walk.high if walk.right[1] else float("inf")
    return (used(), low, high) if sign > 0 else (used(), -high, -low)


def not_between(where: str) -> DomainError:
    """Return the error that says where an outcome lies that is not between the worst and the best.

    Args:
        where: "below" or "above".

    Returns:
        The error.
    """
    return DomainError(
        f"an outcome must lie between the worst and the best; the answers put it {where}: they are "
        f"not transitive; check the answers that ranked the outcomes"
    )


class SternBrocotWalk:
    """A walk down the Stern–Brocot tree from 0/1 and `right`.

    Attributes:
        left: numerator and denominator of the fraction below.
        right: of the fraction above; (1, 0) is infinity.
    """

    def __init__(self, right: tuple[int, int], max_denominator: int) -> None:
        self.left, self.right = (0, 1), right
        self._limit = max_denominator

    @property
    def low(self) -> Fraction:
        """The fraction below the number."""
        return Fraction(*self.left)

    @property
    def high(self) -> Fraction:
        """The fraction above the number; there must be one."""
        return Fraction(*self.right)

    def descend(
        self, ask: Callable[[Fraction], int], moved: Callable[[], None] = lambda: None
    ) -> Fraction | None:
        """Walk until the number is hit or the denominators end.

        Args:
            ask: +1 if the number is above, −1 below, 0 equal.
            moved: called after each run in one direction.

        Returns:
            The number, or ``None``.
        """
        upward = True
        stuck = 0
        while stuck < 2:
            hit, steps = self._run(ask, upward)
            if hit is not None:
                return hit
            stuck = 0 if steps else stuck + 1
            if steps:
                moved()
            upward = not upward
        return None

    def _run(self, ask: Callable[[Fraction], int], upward: bool) -> tuple[Fraction | None, int]:
        """Take as many steps in one direction as the answers allow."""
        moving, fixed = (self.left, self.right) if upward else (self.right, self.left)
        most = (self._limit - moving[1]) // fixed[1] if fixed[1] else 2 * _LARGEST
        onward = 1 if upward else -1

        def after(k: int) -> tuple[int, int]:
            return moving[0] + k * fixed[0], moving[1] + k * fixed[1]

        good, step = 0, 1
        bad = most + 1
        while good + step <= most:
            answer = ask(Fraction(*after(good + step)))
            if answer == 0:
                return Fraction(*after(good + step)), good + step
            if answer != onward:
                bad = good + step
                break
            good += step
            step *= 2
            _check_finite(bool(fixed[1]), good)
        while bad - good > 1:
            middle = (good + bad) // 2
            answer = ask(Fraction(*after(middle)))
            if answer == 0:
                return Fraction(*after(middle)), middle
            good, bad = (middle, bad) if answer == onward else (good, middle)
        if good:
            if upward:
                self.left = after(good)
            else:
                self.right = after(good)
        return None, good


def simplest_between(low: Number, high: Number) -> Fraction:
    """Return the fraction of least denominator in a closed interval.

    Args:
        low: a finite number, or one as text.
        high: another, ≥ low.

    Returns:
        The fraction, nearest to 0 among those of least denominator.

    Raises:
        DomainError: if low > high, or one is not finite.
        DtypeError: if one is no number.

    Examples:
        >>> simplest_between(Fraction(31, 100), Fraction(34, 100))
        Fraction(1, 3)
        >>> simplest_between(-0.26, -0.2)
        Fraction(-1, 4)
    """
    low, high = exact_number(low, "low"), exact_number(high, "high")
    if low > high:
        raise DomainError(f"low must be ≤ high; given {low} and {high}")
    if low <= 0 <= high:
        return Fraction(0)
    if high < 0:
        return -simplest_between(-high, -low)
    whole = low.__ceil__()
    if whole <= high:
        return Fraction(whole)
    floor = whole - 1
    return floor + 1 / simplest_between(1 / (high - floor), 1 / (low - floor))
