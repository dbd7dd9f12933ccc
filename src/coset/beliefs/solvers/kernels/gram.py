"""Weighted sums over pairs of marginal cells as compiled loops; imports numba."""

# mypy: disable-error-code="no-untyped-def, call-arg"

from __future__ import annotations

from numba import njit

__all__ = ["add_pairs"]


@njit(cache=True, nogil=True, error_model="numpy")
def add_pairs(places, weights, total):
    """Put A diag(weights) Aᵀ into `total`, which is 0.

    A is 0/1 with one 1 a scope in each column: `places` is (worlds, scopes), ascending in a row,
    and says where.
    """
    worlds, scopes = places.shape
    for w in range(worlds):
        weight = weights[w]
        for i in range(scopes):
            row = total[places[w, i]]
            for j in range(i + 1):
                row[places[w, j]] += weight
    for i in range(len(total)):
        for j in range(i):
            total[j, i] = total[i, j]
