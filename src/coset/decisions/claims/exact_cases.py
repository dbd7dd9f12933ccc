"""What the judges of exact claims share: axioms of a relation, and counting what breaks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from coset.core.claims import ClaimResult
from coset.decisions.preferences.lottery import Lottery, mix

__all__ = ["LEXICOGRAPHIC", "SIZES", "axioms_of", "exact_verdict", "verdict_on"]

LEXICOGRAPHIC = "[paper] lexicographic, {}"
# By preset: how many utilities or models, and how many pairs of lotteries for each.
SIZES = {"smoke": (12, 80), "cpu": (60, 300), "paper": (300, 1000)}


def verdict_on(cases: Sequence[str | None], what: str) -> ClaimResult:
    """Return the verdict on cases: all must hold.

    Args:
        cases: ``None`` for each case that holds, a replayable text for each other one.
        what: what the cases are and what becomes of the others, after "n of m".

    Returns:
        The result.
    """
    wrong = [case for case in cases if case is not None]
    return ClaimResult(
        holds=not wrong,
        measured=float(len(wrong)),
        bound=0.0,
        detail=f"{len(wrong)} of {len(cases):,} {what}",
        sample_size=len(cases),
        counterexample={"case": wrong[0]} if wrong else None,
    )


def exact_verdict(cases: Sequence[str | None], what: str) -> ClaimResult:
    """Return the verdict on cases of exact arithmetic: all must hold.

    Args:
        cases: as for `verdict_on`.
        what: what becomes of those that do not hold, in words.

    Returns:
        The result.
    """
    return verdict_on(cases, f"cases, in exact arithmetic, {what}")


def axioms_of(
    prefer: Callable[[Lottery, Lottery], int], p: Lottery, q: Lottery, r: Lottery, share: Fraction
) -> list[tuple[str, bool]]:
    """Check completeness, transitivity and independence on three lotteries.

    Args:
        prefer: the relation.
        p: a lottery.
        q: another.
        r: a third.
        share: of p and q in their mixtures with r, > 0.

    Returns:
        (axiom, whether it holds here) for each of the three.
    """
    answer = prefer(p, q)
    first, second = prefer(q, r), prefer(p, r)
    chained = not (answer >= 0 and first >= 0) or second == max(answer, first)
    return [
        ("completeness", answer == -prefer(q, p)),
        ("transitivity", chained),
        ("independence", prefer(mix(share, p, r), mix(share, q, r)) == answer),
    ]
