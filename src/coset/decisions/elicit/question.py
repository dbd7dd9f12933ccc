"""Numbers that comparisons reveal: ratios of utility differences, and probabilities of a gamble.

A question family shows two lotteries for each trial value x; the first is preferred exactly if
the number asked about is larger than x. So each number is a switch point that a search narrows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.decisions.elicit.interview import Interview
from coset.decisions.preferences.lottery import Lottery, Number, mix

__all__ = ["LINE", "UNIT", "Question", "Scale", "gamble", "ratio"]


@dataclass(frozen=True)
class Scale:
    """The values that a number may take, and a bounded coordinate s for them.

    Attributes:
        low: the least coordinate.
        high: the largest one.
        bounded: whether the number is its coordinate; else x = s / (1 − |s|) runs over the whole
            line as s runs over (−1, 1).
    """

    low: int
    high: int
    bounded: bool

    def number(self, s: Any) -> Any:
        """Return the number at a coordinate, ±inf at the ends of the line.

        Args:
            s: a Fraction or a float in [low, high].

        Returns:
            x, exact if s is.
        """
        if self.bounded:
            return s
        room = 1 - abs(s)
        return s / room if room else (float("inf") if s > 0 else float("-inf"))

    def coordinate(self, x: Any) -> Any:
        """Return the coordinate of a finite number.

        Args:
            x: a Fraction or a float.

        Returns:
            s = x / (1 + |x|), or x itself on a bounded scale.
        """
        return x if self.bounded else x / (1 + abs(x))


LINE = Scale(-1, 1, bounded=False)
UNIT = Scale(0, 1, bounded=True)


@dataclass(frozen=True)
class Question:
    """A family of comparisons that reveals one number.

    Attributes:
        scale: which values are possible.
        lotteries: the coordinate s of a trial value → the two lotteries to compare.
        interview: whom to ask.
    """

    scale: Scale
    lotteries: Callable[[Any], tuple[Lottery, Lottery]]
    interview: Interview

    def ask(self, s: Number | int) -> int:
        """Ask whether the number lies above a trial value.

        Args:
            s: the coordinate of the trial value.

        Returns:
            +1 above, −1 below, 0 equal.
        """
        return self.interview.ask(*self.lotteries(s))

    def repeatedly(self, s: float) -> Callable[[], int]:
        """Return a function that asks about one trial value anew each time.

        Args:
            s: the coordinate.

        Returns:
            The function; the lotteries are made once.
        """
        return self.interview.repeatedly(*self.lotteries(s))


def ratio(
    interview: Interview, better: Lottery, worse: Lottery, unit: tuple[Lottery, Lottery]
) -> Question:
    """Ask for x = (u(X) − u(Y)) / (u(A) − u(B)), any sign and size, with A ≻ B.

    For x ≥ 0 with weight q = x / (1 + x): (1 − q) X + q B against (1 − q) Y + q A; below 0 with
    A and B exchanged. The difference of utilities, (u(A) − u(B)) ((1 − q) x − q) for x ≥ 0, is
    continuous and strictly decreasing in the trial value.

    Args:
        interview: whom to ask.
        better: X.
        worse: Y; need not be worse.
        unit: (A, B) with A ≻ B.

    Returns:
        The question, on `LINE`.

    Claims: decisions.C4.

    Examples:
        >>> a, b, c = (Lottery.sure(name) for name in "abc")
        >>> question = ratio(Interview(lambda p, q: 1), c, b, (a, b))
        >>> question.lotteries(Fraction(3, 4))  # is u(c) − u(b) larger than 3 (u(a) − u(b))?
        (3/4 b + 1/4 c, 3/4 a + 1/4 b)
    """
    best, worst = unit

    def lotteries(s: Any) -> tuple[Lottery, Lottery]:
        keep = 1 - abs(s)
        if s >= 0:
            return mix(keep, better, worst), mix(keep, worse, best)
        return mix(keep, better, best), mix(keep, worse, worst)

    return Question(LINE, lotteries, interview)


def gamble(interview: Interview, outcome: Lottery, best: Lottery, worst: Lottery) -> Question:
    """Ask for the probability α at which α·best + (1 − α)·worst is as good as the outcome.

    Args:
        interview: whom to ask.
        outcome: worst ≾ outcome ≾ best.
        best: the better end.
        worst: the worse end.

    Returns:
        The question, on `UNIT`.

    Claims: decisions.C1.

    Examples:
        >>> a, b, c = (Lottery.sure(name) for name in "abc")
        >>> gamble(Interview(lambda p, q: 1), c, a, b).lotteries(Fraction(3, 4))
        (c, 3/4 a + 1/4 b)
    """

    def lotteries(s: Any) -> tuple[Lottery, Lottery]:
        share = s if isinstance(s, float) else Fraction(s)
        return outcome, mix(share, best, worst)

    return Question(UNIT, lotteries, interview)
