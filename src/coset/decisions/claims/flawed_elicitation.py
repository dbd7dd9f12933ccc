"""Ways to elicit that go wrong in one place: the mutants of the claims of elicitation."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from coset.decisions import elicit
from coset.decisions.elicit.interview import Interview
from coset.decisions.elicit.priorities import DifferenceOrder, exact_coefficient, recover_levels
from coset.decisions.preferences.lottery import Lottery, mix
from coset.decisions.preferences.models import LexicographicUtility, LinearUtility, PreferenceModel

__all__ = ["fearful"]

Values = tuple[Fraction, ...]


def coarse_utility(values: Values, max_denominator: int | None = None) -> tuple[Any, ...]:
    """Take the middle of a coarse interval for the number."""
    found = elicit.utility(LinearUtility(dict(enumerate(values))), range(len(values)), 1e-3)
    if max_denominator is None:
        return tuple(found.interval.values())
    return tuple(Fraction(x) for x in found.utility.values())


def first_is_worst(values: Values, max_denominator: int | None = None) -> tuple[Any, ...]:
    """Measure from the first outcome, and not from the worst."""
    person = LinearUtility(dict(enumerate(values)))
    best = max(range(len(values)), key=values.__getitem__)
    if values[0] == values[best]:
        return tuple(Fraction(0) for _ in values)
    found = elicit.utility(
        person,
        range(len(values)),
        max_denominator=max_denominator,
        reference=(best, 0),
    )
    source = found.interval if max_denominator is None else found.utility
    return tuple(source.values())


def reversed_gamble(values: Values, max_denominator: int | None = None) -> tuple[Any, ...]:
    """Read the chance of the worst outcome as the utility, but for the two ends."""
    person = LinearUtility(dict(enumerate(values)))
    found = elicit.utility(person, range(len(values)), 1e-6, max_denominator=max_denominator)

    def turned(o: int, x: Any) -> Any:
        if o in (found.best, found.worst):
            return x
        return (1 - x[1], 1 - x[0]) if isinstance(x, tuple) else 1 - x

    source = found.interval if max_denominator is None else found.utility
    return tuple(turned(o, x) for o, x in source.items())


def _levels_by(
    values: tuple[Values, ...],
    coefficient: Callable[[DifferenceOrder, Any, Any], Fraction],
) -> tuple[Values, ...]:
    person = LexicographicUtility(dict(enumerate(values)))
    order = DifferenceOrder(Interview(person), list(range(len(values))))
    levels = recover_levels(order, lambda v, unit: coefficient(order, v, unit))
    return tuple(tuple(level[i] for level in levels) for i in range(len(values)))


def _halved(order: DifferenceOrder, v: Any, unit: Any, bits: int) -> Fraction:
    """Return a coefficient by halving an interval; exact only where an answer is 0."""
    sign = order.sign(v)
    if sign == 0 or tuple(sign * x for x in v) == tuple(unit):
        return Fraction(sign)
    low, high = Fraction(0), Fraction(1)
    for _ in range(bits):
        middle = (low + high) / 2
        answer = order.sign(tuple(sign * x - middle * w for x, w in zip(v, unit, strict=True)))
        if answer == 0:
            return sign * middle
        low, high = (middle, high) if answer > 0 else (low, middle)
    return sign * (low + high) / 2


def dyadic_levels(values: tuple[Values, ...], resolution: int) -> tuple[Values, ...]:
    """Find ratios to 20 bits: what is left over passes for a lower level."""
    return _levels_by(values, lambda order, v, unit: _halved(order, v, unit, 20))


def unsigned_levels(values: tuple[Values, ...], resolution: int) -> tuple[Values, ...]:
    """Drop the sign of a coefficient from the result, but not from the rest."""
    person = LexicographicUtility(dict(enumerate(values)))
    found = elicit.lexicographic(person, range(len(values)), resolution)
    return tuple(tuple(abs(x) for x in u) for u in found.utility.values())


def lower_fraction_levels(values: tuple[Values, ...], resolution: int) -> tuple[Values, ...]:
    """Take the fraction below where only lower levels answered."""

    def coefficient(order: DifferenceOrder, v: Any, unit: Any) -> Fraction:
        a = exact_coefficient(order, v, unit, resolution)
        shifted = tuple(x - a * w for x, w in zip(v, unit, strict=True))
        # Approached from above, the walk ends with the fraction as its upper neighbor.
        below = 0 < a < 1 and order.sign(shifted) < 0
        return a - Fraction(1, resolution) if below else a

    return _levels_by(values, coefficient)


def fearful(gain: Fraction, keep: Fraction, bad: Fraction | None) -> PreferenceModel:
    """Return a person with three outcomes; one of them is finitely or infinitely bad.

    Args:
        gain: utility of "gain".
        keep: utility of "keep".
        bad: utility of "bad"; ``None`` if it is worse than everything at a higher level.

    Returns:
        The person.
    """
    if bad is None:
        return LexicographicUtility({"gain": (0, gain), "keep": (0, keep), "bad": (-1, 0)})
    return LinearUtility({"gain": gain, "keep": keep, "bad": bad})


Told = tuple[bool, float, float]


def _threshold(person: Any, K: int) -> Told:
    found = elicit.safety_threshold(person, "gain", "keep", "bad", K)
    return found.flips, float(found.ratio[0]), float(found.ratio[1])


def float_mixture(gain: Fraction, keep: Fraction, bad: Fraction | None, K: int) -> Told:
    """Mix with 1 − 2^−k in floats, which is 1 from k = 54 on."""
    person = fearful(gain, keep, bad)

    def through_floats(p: Lottery, q: Lottery) -> int:
        chance = Fraction(1.0 - float(p.probability("bad")))
        rounded = mix(1 - chance, Lottery.sure("bad"), Lottery.sure("gain"))
        return person.prefer(rounded if "gain" in p.support else p, q)

    return _threshold(through_floats, K)


def gives_up_at_twenty(gain: Fraction, keep: Fraction, bad: Fraction | None, K: int) -> Told:
    """Offer no chance below 2^−20, whatever was asked for."""
    flips, low, high = _threshold(fearful(gain, keep, bad), min(K, 20))
    return (flips, low, high) if flips else (False, float(2**K - 1), math.inf)


def compared_with_gain(gain: Fraction, keep: Fraction, bad: Fraction | None, K: int) -> Told:
    """Compare the mixture with p, to which nothing with a chance of harm is preferred."""
    person = fearful(gain, keep, bad)

    def with_gain(p: Lottery, q: Lottery) -> int:
        if "bad" in p.support:
            return person.prefer(p, "gain")
        return person.prefer(p, q)

    return _threshold(with_gain, K)


def _trisect_by(decide: Callable[[int, int], int], *case: Any) -> tuple[float, float]:
    """Trisect with another test: decide(above, below) gives +1, −1, or 0 to ask on."""
    from coset.decisions.claims.noisy_elicitation import NoisyQuestion

    root, slope, curve, tol, _, seed = case
    question = NoisyQuestion(root, slope, curve, random.Random(seed).random)
    low, high = 0.0, 1.0
    while high - low > tol:
        points = (low + (high - low) / 3, high - (high - low) / 3)
        grid = [round(s * 2.0**40) / 2.0**40 for s in points]
        asks, counts = [question.repeatedly(s) for s in grid], [[0, 0], [0, 0]]
        answer, which = 0, 1
        while not answer:
            which = 1 - which
            counts[which][asks[which]() < 0] += 1
            answer = decide(*counts[which])
        low, high = (grid[which], high) if answer > 0 else (low, grid[which])
    return low, high


def peeking_interval(*case: Any) -> tuple[float, float]:
    """Use a test of level 5 % for one look, and look after every answer."""

    def decide(above: int, below: int) -> int:
        t = above + below
        far = t >= 5 and abs(above - below) > 1.96 * math.sqrt(t)
        return ((above > below) - (above < below)) if far else 0

    return _trisect_by(decide, *case)


def majority_interval(*case: Any) -> tuple[float, float]:
    """Believe the majority of nine answers."""

    def decide(above: int, below: int) -> int:
        return 0 if above + below < 9 else 1 if above > below else -1

    return _trisect_by(decide, *case)


def best_coin_interval(*case: Any) -> tuple[float, float]:
    """Compare p = ½ with the coin that fits best, as if it had been named beforehand."""
    delta = case[4]

    def decide(above: int, below: int) -> int:
        t = above + below
        fits = sum(n * math.log(2 * n / t) for n in (above, below) if n)
        if fits <= math.log(1 / delta):
            return 0
        return 1 if above > below else -1

    return _trisect_by(decide, *case)
