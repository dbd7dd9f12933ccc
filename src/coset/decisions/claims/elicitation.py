"""Claims of elicitation from exact answers: gambles, infinitely bad outcomes, priorities."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch

from coset.core.claims import ClaimResult, claim
from coset.decisions import elicit
from coset.decisions.claims import flawed_elicitation as flawed
from coset.decisions.preferences.hausner import canonical, relate
from coset.decisions.preferences.models import LexicographicUtility, LinearUtility
from coset.decisions.preferences.random_models import (
    random_fraction,
    random_lottery,
    random_utility,
)

__all__ = ["C1", "C4", "C2c"]

Values = tuple[Fraction, ...]
_NUM_PEOPLE = {"smoke": 30, "cpu": 400, "paper": 4000}
# Ratios of differences of fractions in [−2, 2] with denominators up to 6 have no larger ones.
_DENOMINATOR = 3600


def recovered_utility(values: Values, max_denominator: int | None = None) -> tuple[Any, ...]:
    """Elicit the utility of a simulated person by standard gambles.

    Args:
        values: u(0), u(1), …, at least one.
        max_denominator: find fractions exactly; ``None`` for intervals to 1e-6.

    Returns:
        The utility of each outcome between 0 for the worst and 1 for the best; the ends of its
        interval if no denominator is given.

    Claims: decisions.C1.
    """
    person = LinearUtility(dict(enumerate(values)))
    found = elicit.utility(person, range(len(values)), 1e-6, max_denominator=max_denominator)
    source = found.interval if max_denominator is None else found.utility
    return tuple(source.values())


def _scaled(values: Values) -> Values:
    low, high = min(values), max(values)
    span = high - low or Fraction(1)
    return tuple((x - low) / span for x in values)


@claim(
    "decisions.C1",
    title="standard gambles recover any linear utility",
    statement="""Completeness, transitivity, independence and continuity hold iff some linear u
        represents the preferences, unique up to u → a u + b, a > 0 (von Neumann–Morgenstern). So α
        with o ≈ α·best + (1 − α)·worst is (u(o) − u(worst)) / (u(best) − u(worst)), and asking
        finds it: exactly where it is a fraction, else to any width.""",
    hypotheses="""exact answers of random rational utilities on 2 to 6 outcomes; fractions of
        denominator up to 3600, and intervals to 1e-6""",
    source="[paper] lexicographic, Theorem 1",
    kind="proved",
    expected="holds",
    mutants={
        "a coarse middle is taken for the number": flawed.coarse_utility,
        "the first outcome is taken for the worst": flawed.first_is_worst,
        "the chance of the worst instead of the best": flawed.reversed_gamble,
    },
    near_misses=lambda: [
        ((Fraction(0), Fraction(1, 2), Fraction(1)), 100),
        ((Fraction(-1), Fraction(3)), 100),
    ],
)
def C1(
    recover: Callable[..., tuple[Any, ...]] = recovered_utility,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C1: random utilities, exactly and to a width."""
    wrong, first, checked = 0, None, 0
    for number in range(_NUM_PEOPLE[preset]):
        values = tuple(random_fraction(-2, 2, generator=generator) for _ in range(2 + number % 5))
        truth = _scaled(values)
        exact = recover(values, _DENOMINATOR)
        ends = recover(values)
        held = all(
            low <= x <= high and high - low <= Fraction(1, 10**6)
            for x, (low, high) in zip(truth, _pairs(ends), strict=True)
        )
        checked += 2 * len(values)
        if exact != truth or not held:
            wrong += 1
            first = first or {
                "utility": [str(x) for x in values],
                "found": [str(x) for x in exact],
                "intervals": [[str(a), str(b)] for a, b in _pairs(ends)],
            }
    return ClaimResult(
        holds=wrong == 0,
        measured=float(wrong),
        bound=0.0,
        detail=f"{wrong} of {_NUM_PEOPLE[preset]} utilities are not recovered",
        sample_size=checked,
        counterexample=first,
    )


def _pairs(ends: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    return [x if isinstance(x, tuple) else (x, x) for x in ends]


def recovered_levels(values: tuple[Values, ...], resolution: int) -> tuple[Values, ...]:
    """Elicit the lexicographic utility of a simulated person.

    Args:
        values: u(0), u(1), … ∈ Q^d.
        resolution: a bound on the denominators of all ratios.

    Returns:
        For each outcome its coordinates, as many as the order needs.

    Claims: decisions.C2c.
    """
    person = LexicographicUtility(dict(enumerate(values)))
    found = elicit.lexicographic(person, range(len(values)), resolution)
    return tuple(found.utility.values())


@claim(
    "decisions.C2c",
    title="exact questions recover a lexicographic utility",
    statement="""From a lexicographic u on finitely many outcomes, whose ratios at each level have
        denominators up to D, the walk down the Stern–Brocot tree level by level finds û = A u + b,
        A lower triangular with a positive diagonal, of the least number of levels, in O(n d log D)
        questions.""",
    hypotheses="exact answers; random rational u with many ties, 2 to 6 outcomes, 1 to 3 levels",
    source="[derived]; uniqueness: [paper] lexicographic, Theorem 2",
    kind="proved",
    expected="holds",
    mutants={
        "level 1 to 20 bits instead of exactly": flawed.dyadic_levels,
        "the sign of a rest is dropped": flawed.unsigned_levels,
        "the fraction below is taken": flawed.lower_fraction_levels,
    },
    near_misses=lambda: [
        (tuple((Fraction(x),) for x in (0, 1, 3, 4)), 100),
        (((Fraction(0),), (Fraction(1),)), 100),
    ],
)
def C2c(
    recover: Callable[[tuple[Values, ...], int], tuple[Values, ...]] = recovered_levels,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C2c: the map A, b is solved for; random lotteries are ordered alike."""
    wrong, first, deepest = 0, None, 0
    for number in range(_NUM_PEOPLE[preset]):
        person = random_utility(2 + number % 5, 1 + number % 3, generator=generator)
        values = tuple(person.utility(o) for o in person.outcomes)
        found = recover(values, 10**9)
        deepest = max(deepest, len(found[0]))
        if not _is_equivalent(person, found) or not _orders_alike(person, found, generator):
            wrong += 1
            first = first or {
                "utility": [[str(x) for x in u] for u in values],
                "found": [[str(x) for x in u] for u in found],
            }
    return ClaimResult(
        holds=wrong == 0 and deepest >= 3,
        measured=float(wrong),
        bound=0.0,
        detail=f"{wrong} of {_NUM_PEOPLE[preset]} utilities are not recovered; up to {deepest} "
        f"levels",
        sample_size=_NUM_PEOPLE[preset],
        counterexample=first,
    )


def _model(found: tuple[Values, ...]) -> LexicographicUtility:
    return LexicographicUtility({o: u or (Fraction(0),) for o, u in enumerate(found)})


def _is_equivalent(person: LexicographicUtility, found: tuple[Values, ...]) -> bool:
    least, again = canonical(person), _model(found)
    return least.num_levels == again.num_levels and relate(least, again) is not None


def _orders_alike(
    person: LexicographicUtility, found: tuple[Values, ...], generator: torch.Generator
) -> bool:
    again = _model(found)
    for _ in range(20):
        p, q = (random_lottery(person.outcomes, generator=generator) for _ in range(2))
        if person.prefer(p, q) != again.prefer(p, q):
            return False
    return True


def lowest_accepted(
    gain: Fraction, keep: Fraction, bad: Fraction | None, K: int
) -> tuple[bool, float, float]:
    """Ask a simulated person how small a chance of a bad outcome a gain is worth.

    Args:
        gain: utility of the better outcome, larger than `keep`.
        keep: utility of the worse one.
        bad: utility of the bad one; ``None`` if it is infinitely bad.
        K: chances down to 2^−K are offered.

    Returns:
        Whether some chance was accepted, and the ends of how many times as bad it is.

    Claims: decisions.C4.
    """
    person = flawed.fearful(gain, keep, bad)
    found = elicit.safety_threshold(person, "gain", "keep", "bad", K)
    return found.flips, float(found.ratio[0]), float(found.ratio[1])


@claim(
    "decisions.C4",
    title="an unsafe outcome is accepted at no chance",
    statement="""Let safe lotteries p ≻ q and an outcome o† with εo† + (1 − ε)p ≺ q for every ε > 0.
        Then continuity fails: ε = 2^−k is refused for every k ≤ K, for K as large as one likes, and
        a scalar utility needs u(q) − u(o†) ≥ (2^K − 1)(u(p) − u(q)). With a finite penalty some
        ε is accepted, and halving finds (u(q) − u(o†)) / (u(p) − u(q)).""",
    hypotheses="exact fractions; random utilities; K = 64, 128 and 200; penalties up to 2^40",
    source="[paper] lexicographic, section 5",
    kind="proved",
    expected="holds",
    mutants={
        "1 − 2^−k is computed in floats": flawed.float_mixture,
        "the search gives up at 2^−20": flawed.gives_up_at_twenty,
        "compared with p instead of q": flawed.compared_with_gain,
    },
    near_misses=lambda: [
        (Fraction(1), Fraction(0), Fraction(-9), 12),
        (Fraction(1), Fraction(0), None, 12),
    ],
)
def C4(
    ask: Callable[[Fraction, Fraction, Fraction | None, int], tuple[bool, float, float]] = (
        lowest_accepted
    ),
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C4: people with an infinite and with a finite fear."""
    wrong, first = 0, None
    for number in range(_NUM_PEOPLE[preset]):
        keep = random_fraction(-2, 2, generator=generator)
        gain = keep + abs(random_fraction(-2, 2, generator=generator)) + Fraction(1, 6)
        K = (64, 128, 200)[number % 3]
        never = ask(gain, keep, None, K)
        times = Fraction(1 + int(torch.randint(2**40, (), generator=generator)) // 2**number, 3)
        flips, low, high = ask(gain, keep, keep - times * (gain - keep), K)
        close = low * (1 - 1e-12) <= times <= high * (1 + 1e-12) and high - low <= 0.01 * (1 + low)
        if never != (False, float(2**K - 1), math.inf) or not (flips and close):
            wrong += 1
            first = first or {
                "K": K,
                "never": [str(x) for x in never],
                "times": str(times),
                "found": [str(x) for x in (flips, low, high)],
            }
    return ClaimResult(
        holds=wrong == 0,
        measured=float(wrong),
        bound=0.0,
        detail=f"{wrong} of {_NUM_PEOPLE[preset]} pairs of people are told wrongly",
        sample_size=2 * _NUM_PEOPLE[preset],
        counterexample=first,
    )
