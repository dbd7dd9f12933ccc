"""Finding a switch point from noisy answers, with a proved error probability and no noise model.

All that is assumed is that a question is answered "the first" with probability above ½ exactly if
the first is better, independently each time. Two inner points are asked in turn; each has a test of
p = ½ that may be looked at after every answer, and whichever decides first moves its end. Were only
the middle asked, a middle that hits the switch point would be asked for ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from coset.core.errors import NotConvergedError
from coset.decisions.elicit.interview import Interview
from coset.decisions.elicit.limits import check_count, check_share
from coset.decisions.elicit.question import Question
from coset.decisions.elicit.search import Found, is_short
from coset.decisions.preferences.lottery import Lottery, Number

__all__ = [
    "MAX_NOISY_QUERIES",
    "log_e_value",
    "noisy_sign",
    "sure_sign",
    "trisect",
]

MAX_NOISY_QUERIES = 1_000_000
# Coordinates of trial values are rounded to multiples of 2^-40, exact in floats and in sums to 1.
_GRID = 2.0**40


def log_e_value(successes: int, trials: int) -> float:
    """Return log E of the test of p = ½ that bets on every p alike: E = 2ᵗ B(s + 1, t − s + 1).

    Under p = ½ the product E is a martingale from 1, so that P(E ever exceeds 1/δ) ≤ δ (Ville):
    the test may be looked at after every answer and stopped at will.

    Args:
        successes: 0 ≤ s ≤ t.
        trials: t ≥ 0.

    Returns:
        log E.

    Claims: decisions.C14.

    Examples:
        >>> round(log_e_value(10, 10), 4), round(log_e_value(5, 10), 4)
        (4.5336, -0.9959)
    """
    return (
        trials * math.log(2.0)
        + math.lgamma(successes + 1)
        + math.lgamma(trials - successes + 1)
        - math.lgamma(trials + 2)
    )


class _Test:
    """The running test at one trial value; +1 or −1 once it has decided, else 0."""

    def __init__(self, ask: Callable[[], int], threshold: float) -> None:
        self._ask = ask
        self._threshold = threshold
        self._log_e = 0.0
        self._above = self._below = 0

    def answer(self) -> int:
        """Ask once more."""
        up = self._ask() > 0
        agreeing = (self._above if up else self._below) + 1
        # E_t / E_{t−1} = 2 (count of this answer + 1) / (t + 1), with the counts before it.
        self._log_e += math.log(2.0 * agreeing / (self._above + self._below + 2))
        self._above += up
        self._below += not up
        if self._log_e <= self._threshold or self._above == self._below:
            return 0
        return 1 if self._above > self._below else -1


def noisy_sign(ask: Callable[[], int], delta: float, max_queries: int | None = None) -> int:
    """Decide which of two answers is the more likely one.

    Args:
        ask: asks the same question anew.
        delta: probability of a wrong decision, in (0, 1).
        max_queries: give up after so many answers; `MAX_NOISY_QUERIES` by default.

    Returns:
        +1 or −1; 0 if the answers ran out.

    Raises:
        DomainError: if δ or the number of answers is outside its range.
    """
    test = _Test(ask, -math.log(check_share("delta", delta)))
    limit = MAX_NOISY_QUERIES if max_queries is None else max_queries
    for _ in range(check_count("max_queries", limit)):
        answer = test.answer()
        if answer:
            return answer
    return 0


def sure_sign(
    interview: Interview,
    first: Lottery,
    second: Lottery,
    delta: float,
    max_queries: int | None = None,
) -> int:
    """Compare two lotteries: by one exact answer, or by as many noisy ones as it takes.

    Args:
        interview: whom to ask.
        first: a lottery.
        second: another; equal ones are indifferent without a question.
        delta: for noisy answers, the probability of a wrong decision.
        max_queries: the most noisy answers.

    Returns:
        +1, −1 or 0.

    Raises:
        NotConvergedError: if noisy answers ran out.
    """
    if first == second:
        return 0
    if not interview.noisy:
        return interview.ask(first, second)
    sign = noisy_sign(interview.repeatedly(first, second), delta, max_queries)
    if sign == 0:
        raise NotConvergedError(
            f"noisy answers must tell which of {first} and {second} is better; they did not within "
            f"{max_queries or MAX_NOISY_QUERIES:,} questions; choose a pair that differs more, or "
            f"allow more"
        )
    return sign


def trisect(
    question: Question,
    tol: float,
    delta: float,
    max_queries: int = MAX_NOISY_QUERIES,
) -> Found:
    """Narrow a number by thirds; with probability ≥ 1 − δ the interval holds it at all times.

    At step k each of the two points has error probability 3δ/(π²k²), and Σ_k 2 · 3δ/(π²k²) = δ.

    Args:
        question: with answers ±1 that are right with probability above ½.
        tol: stop at an interval of width tol · max(1, |x|).
        delta: probability with which the interval may miss the number, in (0, 1).
        max_queries: give up after so many answers; the interval holds all the same.

    Returns:
        The interval; `converged` is false if the answers ran out.

    Raises:
        DomainError: if the tolerance, δ or the number of answers is outside its range.

    Complexity: O((σ/tol)² log(1/δ)) answers where the noise has the scale σ, as measured.

    Claims: decisions.C14.

    Examples:
        >>> from coset.decisions.elicit.interview import Interview
        >>> from coset.decisions.elicit.question import UNIT, Question
        >>> from coset.decisions.preferences.lottery import Lottery
        >>> import torch
        >>> generator = torch.Generator().manual_seed(1)
        >>> def oracle(p, q):  # prefers a sure "middle" to 0.4 "best", nine times out of ten
        ...     right = torch.rand((), generator=generator) < 0.9
        ...     return 1 if bool(right) == (q.probability("best") < 0.4) else -1
        >>> from coset.decisions.elicit.question import gamble
        >>> best, middle, worst = (Lottery.sure(name) for name in ("best", "middle", "worst"))
        >>> interview = Interview(oracle, noisy=True)
        >>> found = trisect(gamble(interview, middle, best, worst), 0.05, 0.05)
        >>> found.low <= 0.4 <= found.high, found.converged
        (True, True)
    """
    tol, delta = float(check_share("tol", tol)), float(check_share("delta", delta))
    max_queries = check_count("max_queries", max_queries)
    scale = question.scale
    low, high, step = float(scale.low), float(scale.high), 1
    used = 0
    trace: list[tuple[int, Number, Number]] = []
    while not is_short(scale.number(low), scale.number(high), tol):
        if used >= max_queries or high - low < 8 / _GRID:
            break
        third = (high - low) / 3
        points = [_round(low + third), _round(high - third)]
        threshold = math.log(math.pi**2 * step**2 / (3 * delta))
        tests = [_Test(question.repeatedly(s), threshold) for s in points]
        decided, which = 0, 1
        while not decided and used < max_queries:
            which = 1 - which
            decided = tests[which].answer()
            used += 1
        if decided > 0:
            low = points[which]
        elif decided < 0:
            high = points[which]
        step += 1
        trace.append((used, scale.number(low), scale.number(high)))
    ends: tuple[Any, Any] = scale.number(low), scale.number(high)
    return Found(*ends, used, exact=False, converged=is_short(*ends, tol), trace=tuple(trace))


def _round(s: float) -> float:
    return round(s * _GRID) / _GRID
