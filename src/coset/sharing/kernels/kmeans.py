"""Optimal clustering of sorted weighted points on a line for numba: one pass of a penalized cut.

The squared error c(i, j) of the points i … j − 1 about their mean satisfies the quadrangle
inequality, so that the best last cluster of a prefix starts the later the longer the prefix is.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["cut_penalized"]


@njit(cache=True, nogil=True)
def _error(mass, first, second, i, j):
    """Return the squared error of the points i … j − 1 about their mean."""
    total = first[j] - first[i]
    return max(second[j] - second[i] - total * total / (mass[j] - mass[i]), 0.0)


@njit(cache=True, nogil=True)
def _takeover(mass, first, second, best, old, new, low, high):
    """Return the first prefix in [low, high) for which `new` beats `old` as last start, or high."""
    while low < high:
        middle = (low + high) // 2
        by_old = best[old] + _error(mass, first, second, old, middle)
        if best[new] + _error(mass, first, second, new, middle) < by_old:
            high = middle
        else:
            low = middle + 1
    return low


@njit(cache=True, nogil=True)
def cut_penalized(mass, first, second, penalty, best, origin, starts, begins):
    """Cut the points so that squared error + penalty · (number of clusters) is least.

    Args:
        mass: (n + 1,) float64: masses before each point, increasing.
        first: (n + 1,) float64: sums of m x from any fixed point on, signed.
        second: (n + 1,) float64: the same of m x².
        penalty: of each cluster, ≥ 0.
        best: (n + 1,) float64, overwritten: least objective of each prefix.
        origin: (n + 1,) int64, overwritten: start of the last cluster of each prefix.
        starts: (n + 1,) int64, overwritten: candidates for the start of the last cluster.
        begins: (n + 1,) int64, overwritten: first prefix for which each candidate is best.

    Returns:
        The number of clusters.
    """
    n = mass.size - 1
    best[0], starts[0], begins[0] = 0.0, 0, 1
    head, tail = 0, 0
    for j in range(1, n + 1):
        while head < tail and begins[head + 1] <= j:
            head += 1
        i = starts[head]
        origin[j] = i
        best[j] = best[i] + _error(mass, first, second, i, j) + penalty
        if j == n:
            break
        # Candidates that `j` beats wherever they would still be used are gone.
        while tail > head and begins[tail] > j:
            t, old = begins[tail], starts[tail]
            by_old = best[old] + _error(mass, first, second, old, t)
            if best[j] + _error(mass, first, second, j, t) >= by_old:
                break
            tail -= 1
        low = max(begins[tail], j + 1)
        t = _takeover(mass, first, second, best, starts[tail], j, low, np.int64(n + 1))
        if t <= n:
            tail += 1
            starts[tail], begins[tail] = j, t
    count, j = 0, n
    while j > 0:
        j = origin[j]
        count += 1
    return count
