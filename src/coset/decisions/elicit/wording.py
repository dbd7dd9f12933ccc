"""Lotteries in words, for people who are asked about them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from coset.decisions.preferences.lottery import EventSequence, Lottery

__all__ = ["chance_text", "lottery_text"]

_NOTHING = "nothing happens"
# Fractions with larger denominators are not shown as such.
_LONG = 1000


def chance_text(weight: Any) -> str:
    """Say a probability: exactly, and as a percentage where that is short or helps.

    Args:
        weight: in (0, 1].

    Returns:
        The text.

    Examples:
        >>> [chance_text(Fraction(*x)) for x in ((3, 4), (1, 3), (1, 2**30), (999, 1000))]
        ['75 %', '1/3 (33.3 %)', '1 in 1,073,741,824', '99.9 %']
        >>> chance_text(1 - Fraction(3, 2**30))  # never "100 %"
        'all but about 1 in 357,913,941'
    """
    share = Fraction(weight)
    percent = 100 * share
    if (10_000 * share).denominator == 1:
        return f"{float(percent):.10g} %"
    if share.denominator <= _LONG:
        return f"{share} ({float(percent):.3g} %)"
    if share.numerator == 1:
        return f"1 in {share.denominator:,}"
    if share > Fraction(999, 1000):
        return f"all but {chance_text(1 - share)}"
    if share < Fraction(1, 1000):
        return f"about 1 in {round(1 / share):,}"
    return f"about {float(percent):.6g} %"


def lottery_text(lottery: Lottery, words: Mapping[str, str] | None = None) -> str:
    """Say what may happen, likelier things first, the last of several as "otherwise".

    Args:
        lottery: over event sequences or other outcomes.
        words: event or outcome → how to say it.

    Returns:
        The text.

    Examples:
        >>> sequence = EventSequence.of("a", "b")
        >>> p = Lottery.of({sequence: Fraction(1, 4), EventSequence(): Fraction(3, 4)})
        >>> lottery_text(p, {"a": "you find a coin"})
        '75 %: nothing happens; otherwise: you find a coin, then b'
        >>> lottery_text(Lottery.sure("tea"))
        'tea, for sure'
    """
    say = words or {}
    pairs = sorted(lottery.items(), key=lambda pair: -pair[1])
    if len(pairs) == 1:
        return f"{_outcome_text(pairs[0][0], say)}, for sure"
    parts = [f"{chance_text(w)}: {_outcome_text(o, say)}" for o, w in pairs[:-1]]
    return "; ".join([*parts, f"otherwise: {_outcome_text(pairs[-1][0], say)}"])


def _outcome_text(outcome: Any, words: Mapping[str, str]) -> str:
    if isinstance(outcome, EventSequence):
        return ", then ".join(words.get(e, e) for e in outcome.events) or _NOTHING
    return words.get(str(outcome), str(outcome))
