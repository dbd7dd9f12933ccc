"""Random reads and nothing else: the floor under a Bellman sweep; imports numba."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["sum_gathered"]


@njit(cache=True, nogil=True, error_model="numpy")
def sum_gathered(successor, value):
    """Return Σ V(succ) over a flat list of successors, in float64.

    Four sums, so that none waits for the one before.
    """
    num = successor.size
    s0 = s1 = s2 = s3 = 0.0
    for i in range(0, num - num % 4, 4):
        s0 += np.float64(value[np.uint32(successor[i])])
        s1 += np.float64(value[np.uint32(successor[i + 1])])
        s2 += np.float64(value[np.uint32(successor[i + 2])])
        s3 += np.float64(value[np.uint32(successor[i + 3])])
    for i in range(num - num % 4, num):
        s0 += np.float64(value[np.uint32(successor[i])])
    return (s0 + s1) + (s2 + s3)
