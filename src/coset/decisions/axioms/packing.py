"""Lotteries as integers: names, numerators, one denominator; and many of them as arrays."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction

import numpy as np

from coset.decisions.preferences.lottery import Lottery

__all__ = ["PackedLottery", "pack_exact", "pack_floats", "packed", "whole_numbers"]

# Outcomes, numerators and the least common denominator.
PackedLottery = tuple[tuple[Hashable, ...], tuple[int, ...], int]


def packed(outcomes: Sequence[Hashable], weights: Sequence[Fraction]) -> PackedLottery:
    """Return exact weights over their least common denominator.

    Args:
        outcomes: different ones.
        weights: as many fractions.

    Returns:
        Outcomes, numerators and the denominator.
    """
    scale = math.lcm(*(w.denominator for w in weights))
    numerators = tuple(w.numerator * (scale // w.denominator) for w in weights)
    return tuple(outcomes), numerators, scale


def pack_exact(
    lotteries: Sequence[PackedLottery], column: Mapping[Hashable, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Store exact lotteries as arrays.

    Args:
        lotteries: L of them.
        column: outcome → its number.

    Returns:
        indptr (L + 1,), indices (nnz,), numerators (nnz,) and denominators (L,).
    """
    return (
        _starts([len(outcomes) for outcomes, _, _ in lotteries]),
        np.array([column[o] for outcomes, _, _ in lotteries for o in outcomes], dtype=np.int64),
        whole_numbers([n for _, numerators, _ in lotteries for n in numerators]),
        whole_numbers([scale for _, _, scale in lotteries]),
    )


def pack_floats(
    lotteries: Sequence[Lottery], column: Mapping[Hashable, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, None]:
    """Store lotteries with floats as weights as arrays.

    Args:
        lotteries: L of them.
        column: outcome → its number.

    Returns:
        indptr (L + 1,), indices (nnz,), weights (nnz,) and no denominators.
    """
    return (
        _starts([len(lottery.outcomes) for lottery in lotteries]),
        np.array([column[o] for p in lotteries for o in p.outcomes], dtype=np.int64),
        np.array([w for p in lotteries for w in p.weights], dtype=np.float64),
        None,
    )


def whole_numbers(values: list[int]) -> np.ndarray:
    """Return integers as int64 where they fit, as Python integers otherwise.

    Args:
        values: any integers.

    Returns:
        A vector.
    """
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return np.array(values, dtype=object)


def _starts(sizes: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
