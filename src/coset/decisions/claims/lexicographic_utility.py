"""Claims about lexicographic utilities: what the order fixes, and orders that have none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import torch

from coset.core.claims import ClaimResult, claim
from coset.decisions.claims.exact_cases import LEXICOGRAPHIC, SIZES, axioms_of, exact_verdict
from coset.decisions.preferences.exact_numbers import Matrix, Vector, apply
from coset.decisions.preferences.hausner import (
    canonical,
    relate,
    same_order,
    transform,
)
from coset.decisions.preferences.lottery import EventSequence, Lottery, mix
from coset.decisions.preferences.oracles import LargestDifference
from coset.decisions.preferences.outcome_utilities import LexicographicUtility
from coset.decisions.preferences.random_models import (
    random_fraction,
    random_lottery,
    random_order_preserving,
    random_utility,
)

Values = Mapping[Any, Any]


def _transposed(utility: LexicographicUtility, matrix: Matrix, offset: Vector) -> Values:
    columns = tuple(zip(*matrix, strict=True))
    return _carried(utility, columns, offset)


def _reversed_last(utility: LexicographicUtility, matrix: Matrix, offset: Vector) -> Values:
    last = (*matrix[-1][:-1], -matrix[-1][-1])
    return _carried(utility, (*matrix[:-1], last), offset)


def _offset_for_one(utility: LexicographicUtility, matrix: Matrix, offset: Vector) -> Values:
    moved = _carried(utility, matrix, offset)
    still = _carried(utility, matrix, (Fraction(0),) * len(offset))
    first = utility.outcomes[0]
    return {o: moved[o] if o == first else still[o] for o in utility.outcomes}


def _carried(utility: LexicographicUtility, matrix: Matrix, offset: Vector) -> Values:
    return {
        o: tuple(x + b for x, b in zip(apply(matrix, utility.utility(o)), offset, strict=True))
        for o in utility.outcomes
    }


def transformed(utility: LexicographicUtility, matrix: Matrix, offset: Vector) -> Values:
    """Return the values of A u + b.

    Args:
        utility: u.
        matrix: A, lower triangular with a positive diagonal.
        offset: b.

    Returns:
        Outcome → value.

    Claims: decisions.C2.
    """
    return transform(utility, matrix, offset).utility_of


@claim(
    "decisions.C2",
    title="lexicographic utilities are unique up to order-preserving affine maps",
    statement="""Expected utilities Au + b, A lower triangular with a positive diagonal, order all
        lotteries as u does. If u has no level to spare, every utility of as many levels with the
        same order is such an Au + b. With levels to spare this fails: (x, 0) and (0, x) represent
        one order and nothing relates them.""",
    hypotheses="finitely many outcomes; exact fractions",
    source=LEXICOGRAPHIC.format("Theorem 2 (Hausner); the remark on spare levels is [derived]"),
    kind="proved",
    expected="holds",
    mutants={
        "upper instead of lower triangular": _transposed,
        "the last diagonal entry negative": _reversed_last,
        "the offset for one outcome only": _offset_for_one,
    },
    near_misses=lambda: [
        (
            LexicographicUtility({"x": (0, 0), "y": (2, 0), "z": (3, 0)}),
            ((Fraction(3), Fraction(0)), (Fraction(0), Fraction(2))),
            (Fraction(0), Fraction(0)),
        )
    ],
)
def C2(
    carry: Callable[[LexicographicUtility, Matrix, Vector], Values] = transformed,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C2: pairs of lotteries before and after the map; the map found again."""
    cases: list[str | None] = []
    number, pairs = SIZES[preset]
    for at in range(number):
        d = 1 + at % 3
        u = random_utility(5, d, generator=generator)
        matrix = random_order_preserving(d, generator=generator)
        offset = tuple(random_fraction(-2, 2, generator=generator) for _ in range(d))
        v = LexicographicUtility(carry(u, matrix, offset))
        for p, q in _close_pairs(u, pairs, generator):
            alike = u.prefer(p, q) == v.prefer(p, q)
            cases.append(None if alike else f"{u}: {p} against {q}")
        related = same_order(u, v) and relate(u, v) is not None
        cases.append(None if related else f"nothing relates {u} and {v}")
        other = canonical(u)
        if other.num_levels == d:
            related = relate(u, other) is not None
            cases.append(None if related else f"nothing relates {u} and its canonical form")
    one = LexicographicUtility({"a": (1, 0), "b": (3, 0), "c": (2, 0)})
    padded = LexicographicUtility({"a": (0, 1), "b": (0, 3), "c": (0, 2)})
    spare = same_order(one, padded) and relate(one, padded) is None
    cases.append(None if spare else "padded utilities are related")
    return exact_verdict(cases, "are ordered otherwise, or are not related")


def _close_pairs(
    u: LexicographicUtility, number: int, generator: torch.Generator
) -> Iterator[tuple[Lottery, Lottery]]:
    """Give pairs of lotteries, every other one mixed so that the first level cannot tell them."""
    for at in range(number):
        p, q, r = (random_lottery(u.outcomes, generator=generator) for _ in range(3))
        high, middle, low = sorted((u.utility(x)[0], i) for i, x in enumerate((p, q, r)))[::-1]
        if at % 2 and high[0] > low[0]:
            lotteries = (p, q, r)
            share = (middle[0] - low[0]) / (high[0] - low[0])
            yield mix(share, lotteries[high[1]], lotteries[low[1]]), lotteries[middle[1]]
        else:
            yield p, q


def _power(n: int) -> EventSequence:
    return EventSequence(("e",) * n)


def largest_difference(p: Lottery, q: Lottery) -> int:
    """Compare lotteries over eⁿ by the largest n at which they differ: less of it is better.

    Args:
        p: a lottery over powers of e.
        q: another.

    Returns:
        +1, 0 or −1.

    Claims: decisions.C2b.
    """
    return LargestDifference()(p, q)


def _mean_length(p: Lottery, q: Lottery) -> int:
    difference = p.expect(len) - q.expect(len)
    return int(difference < 0) - int(difference > 0)


def _longest_only(p: Lottery, q: Lottery) -> int:
    longest = max((o for o in (*p.outcomes, *q.outcomes)), key=len)  # type: ignore[arg-type]
    difference = p.probability(longest) - q.probability(longest)
    return (difference < 0) - (difference > 0)


def _alternating(p: Lottery, q: Lottery) -> int:
    answer = largest_difference(p, q)
    differ = [o for o in {*p.outcomes, *q.outcomes} if p.probability(o) != q.probability(o)]
    longest = max((len(o) for o in differ), default=0)  # type: ignore[arg-type]
    return -answer if longest % 2 else answer


@claim(
    "decisions.C2b",
    title="infinitely many outcomes may need infinitely many levels",
    statement="""Compare lotteries over eⁿ, n = 0, 1, …, at the largest n at which they differ, less
        probability preferred: the relation is complete, transitive, independent and
        memoryless, and eⁿ is preferred to any lottery of e^{n+1} and ε in which e^{n+1} has a
        chance. A lexicographic utility of d levels has at most d such steps: none represents
        it.""",
    hypotheses="""n ≤ 8, chances down to 2⁻⁶⁰; the conclusion for all n is the same step again:
        u(ε) − u(e^{n+1}) exceeds every multiple of u(ε) − u(eⁿ), so its first nonzero level is an
        earlier one""",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the mean length instead of the largest difference": _mean_length,
        "only the longest outcome of the two is looked at": _longest_only,
        "more is better at odd n": _alternating,
    },
    near_misses=lambda: [(Lottery.sure(_power(4)), Lottery.sure(_power(2)))],
)
def C2b(
    prefer: Callable[[Lottery, Lottery], int] = largest_difference,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C2b: the axioms on random lotteries, and the chain of infinite steps."""
    cases: list[str | None] = []
    outcomes = [_power(n) for n in range(9)]
    number = {"smoke": 400, "cpu": 5000, "paper": 50_000}[preset]
    for _ in range(number):
        p, q, r = (random_lottery(outcomes, generator=generator) for _ in range(3))
        share = Fraction(1, 1 + int(torch.randint(1, 6, (), generator=generator)))
        cases += [
            None if holds else f"{name}: {p}; {q}; {r}; {share}"
            for name, holds in axioms_of(prefer, p, q, r, share)
        ]
        after = prefer(p.prepend("e"), q.prepend("e")) == prefer(p, q)
        cases.append(None if after else f"memorylessness: {p}; {q}")
    for n in range(1, 8):
        for k in (1, 10, 30, 60):
            risky = mix(Fraction(1, 2**k), Lottery.sure(_power(n + 1)), Lottery.sure(_power(0)))
            better = prefer(Lottery.sure(_power(n)), risky) == 1
            cases.append(None if better else f"a chance of 2^-{k} of e^{n + 1} is accepted")
    return exact_verdict(cases, "break an axiom, or the chain of steps")
