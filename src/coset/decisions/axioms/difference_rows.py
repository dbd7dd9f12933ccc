"""The differences p − q of many pairs of lotteries, exact as integers or as floats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["DifferenceRows", "difference_rows"]


@dataclass(frozen=True, eq=False)
class DifferenceRows:
    """Rows d_i = p_i − q_i, each as integers over its own scale if they are exact.

    Attributes:
        matrix: (N, n) float64, sparse; each entry is rounded once.
        numerators: (nnz,) integers in the order of `matrix`'s entries, or ``None`` for floats.
        scales: (N,) integers > 0: entry = numerator ÷ scale; or ``None``.
    """

    matrix: csr_array
    numerators: np.ndarray | None
    scales: np.ndarray | None

    def integers(self, row: int) -> tuple[list[int], list[int], int]:
        """Return an exact row.

        Args:
            row: its number.

        Returns:
            The outcomes, the numerators and the scale.
        """
        assert self.numerators is not None
        assert self.scales is not None
        span = slice(int(self.matrix.indptr[row]), int(self.matrix.indptr[row + 1]))
        scale = int(self.scales[row])
        return self.matrix.indices[span].tolist(), self.numerators[span].tolist(), scale

    def rounding(self, utility: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        """Bound the error of d_i·u − offset in float64, of numbers that are rounded once.

        Args:
            utility: (n,) u.
            offset: what is subtracted, (N,) or one number.

        Returns:
            (N,) float64.
        """
        absolute, num_entries = self._sizes
        size = absolute @ np.abs(utility) + np.abs(offset)
        # Each entry, utility and product is rounded once; the sum as often as it has terms.
        bound: np.ndarray = 2.0**-52 * (num_entries + 4) * size + 1e-290
        return bound

    @cached_property
    def _sizes(self) -> tuple[csr_array, np.ndarray]:
        return abs(self.matrix), np.diff(self.matrix.indptr)


def difference_rows(
    indptr: np.ndarray,
    indices: np.ndarray,
    weights: np.ndarray,
    denominators: np.ndarray | None,
    preferred: np.ndarray,
    other: np.ndarray,
    num_outcomes: int,
) -> DifferenceRows:
    """Subtract lotteries that are stored as in `Preferences`.

    Args:
        indptr: (L + 1,) int64.
        indices: (nnz,) int64.
        weights: (nnz,) float64 or exact numerators.
        denominators: (L,) exact denominators or ``None``.
        preferred: (N,) int64.
        other: (N,) int64.
        num_outcomes: n.

    Returns:
        The rows; zeros are not stored, and exact rows have no factor in common.
    """
    from scipy.sparse import csr_array

    shape = (len(indptr) - 1, num_outcomes)
    if denominators is None:
        table = csr_array((weights, indices, indptr), shape=shape)
        matrix = csr_array(table[preferred] - table[other])
        matrix.eliminate_zeros()
        matrix.sort_indices()
        return DifferenceRows(matrix, None, None)
    if _fits(weights, denominators):
        table = csr_array((weights, indices, indptr), shape=shape)
        # p/a − q/b = (b p − a q)/(a b)
        left = _scaled(table[preferred], denominators[other])
        exact = csr_array(left - _scaled(table[other], denominators[preferred]))
        exact.eliminate_zeros()
        # SciPy sorts in place when it likes, and the numerators would stay behind.
        exact.sort_indices()
        numerators, scales = _reduced(
            exact.data, exact.indptr, denominators[preferred] * denominators[other]
        )
        matrix = csr_array(
            (numerators / np.repeat(scales, np.diff(exact.indptr)), exact.indices, exact.indptr),
            shape=(len(preferred), num_outcomes),
        )
        return DifferenceRows(matrix, numerators, scales)
    return _long_rows(indptr, indices, weights, denominators, preferred, other, num_outcomes)


def _fits(weights: np.ndarray, denominators: np.ndarray) -> bool:
    """Tell whether every product of two of the numbers is an int64 that floats round only once."""
    if weights.dtype == object or denominators.dtype == object:
        return False
    # Weights are at most their denominator, and quotients of integers below 2⁵³ round once.
    return int(denominators.max(initial=1)) ** 2 < 2**53


def _scaled(table: csr_array, factors: np.ndarray) -> csr_array:
    table.data = table.data * np.repeat(factors, np.diff(table.indptr))
    return table


def _reduced(
    numerators: np.ndarray, indptr: np.ndarray, scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Divide each row by what its integers have in common."""
    filled = np.diff(indptr) > 0
    divisors = scales.copy()  # > 0
    if filled.any():
        starts = indptr[:-1][filled]
        common = np.gcd.reduceat(np.abs(numerators), starts)
        divisors[filled] = np.gcd(common, scales[filled])
    return numerators // np.repeat(divisors, np.diff(indptr)), scales // divisors


def _long_rows(
    indptr: np.ndarray,
    indices: np.ndarray,
    weights: np.ndarray,
    denominators: np.ndarray,
    preferred: np.ndarray,
    other: np.ndarray,
    num_outcomes: int,
) -> DifferenceRows:
    """Subtract lotteries whose numbers are too long for int64, one after the other."""
    from scipy.sparse import csr_array

    def entries(lottery: int, factor: int) -> dict[int, int]:
        span = slice(int(indptr[lottery]), int(indptr[lottery + 1]))
        pairs = zip(indices[span].tolist(), weights[span].tolist(), strict=True)
        return {j: int(w) * factor for j, w in pairs}

    starts, columns, numerators, scales, floats = [0], [], [], [], []
    for p, q in zip(preferred.tolist(), other.tolist(), strict=True):
        a, b = int(denominators[p]), int(denominators[q])
        row = entries(p, b)
        for j, value in entries(q, a).items():
            row[j] = row.get(j, 0) - value
        kept = sorted((j, v) for j, v in row.items() if v)
        common = math.gcd(a * b, *(v for _, v in kept))
        scale = a * b // common
        columns += [j for j, _ in kept]
        numerators += [v // common for _, v in kept]
        # Python rounds quotients of long integers once.
        floats += [(v // common) / scale for _, v in kept]
        scales.append(scale)
        starts.append(len(columns))
    matrix = csr_array(
        (np.array(floats, dtype=np.float64), np.array(columns, dtype=np.int64), np.array(starts)),
        shape=(len(scales), num_outcomes),
    )
    return DifferenceRows(
        matrix, np.array(numerators, dtype=object), np.array(scales, dtype=object)
    )
