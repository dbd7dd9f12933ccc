"""Weighed pairs of lotteries, the data of both kinds of proof about preferences."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from coset.decisions.axioms.preferences import RELATIONS
from coset.decisions.preferences.lottery import Lottery, Number

__all__ = ["is_exact", "is_well_formed", "total_difference"]


def is_well_formed(
    support: Sequence[int],
    relations: Sequence[str],
    preferred: Sequence[Lottery],
    other: Sequence[Lottery],
    weights: Sequence[Number],
) -> bool:
    """Tell whether stored pairs are pairs at all, before anything is proved from them.

    Args:
        support: numbers of preferences, each once.
        relations: one of "strict", "weak", "indifferent" for each.
        preferred: as many lotteries.
        other: as many lotteries.
        weights: as many numbers.

    Returns:
        Whether there are any, as many of each, and of these types.
    """
    sides = (relations, preferred, other, weights)
    return (
        len(support) > 0
        and len(set(support)) == len(support)
        and all(len(side) == len(support) for side in sides)
        and set(relations) <= set(RELATIONS)
        and all(isinstance(p, Lottery) for p in (*preferred, *other))
        and all(isinstance(w, Fraction | float) for w in weights)
    )


def is_exact(
    preferred: Sequence[Lottery], other: Sequence[Lottery], weights: Sequence[Number]
) -> bool:
    """Tell whether all lotteries and weights are fractions.

    Args:
        preferred: lotteries.
        other: lotteries.
        weights: numbers.

    Returns:
        Whether they are.
    """
    return all(p.is_exact for p in (*preferred, *other)) and all(
        isinstance(w, Fraction) for w in weights
    )


def total_difference(
    weights: Sequence[Number], preferred: Sequence[Lottery], other: Sequence[Lottery]
) -> Number:
    """Return Σ_o |Σ_i λ_i (p_i(o) − q_i(o))|.

    Args:
        weights: λ.
        preferred: p.
        other: q.

    Returns:
        The sum, exact if everything is.
    """
    total: dict[Any, Any] = {}
    for w, p, q in zip(weights, preferred, other, strict=True):
        for sign, lottery in ((1, p), (-1, q)):
            for outcome, probability in lottery.items():
                total[outcome] = total.get(outcome, 0) + sign * w * probability
    result: Number = sum(map(abs, total.values()))
    return result
