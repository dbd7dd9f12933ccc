"""Action values and how far each may be off, in one pass over the successors; imports numba."""

# mypy: disable-error-code="no-untyped-def, call-arg"

from __future__ import annotations

import numpy as np
from numba import njit

from coset.decisions.kernels.cpu import VALUES_AHEAD
from coset.decisions.kernels.prefetch import prefetch

__all__ = ["bounded_action_values"]


@njit(cache=True, nogil=True, error_model="numpy")
def bounded_action_values(level, scale, value, error, unit, q, radius, first, last):
    """Write Q(s, a) and a radius around it for the states first … last − 1.

    `level`: (successor, weight, reward); `error`: (S,) how far values may be off, or one number for
    all; `unit`: what float64 may lose in one action value, relative to |r| + c Σ w max |V|.
    """
    successor, weight, reward = level
    num_actions, num = successor.shape[1:]
    for s in range(first, last):
        ahead = min(s + VALUES_AHEAD, last - 1)
        for a in range(num_actions):
            for k in range(num):
                prefetch(value, np.uint64(np.uint32(successor[ahead, a, k])))
        for a in range(num_actions):
            total = mass = largest = carried = 0.0
            for k in range(num):
                w, x = np.float64(weight[s, a, k]), value[np.uint32(successor[s, a, k])]
                total += w * x
                mass += w
                largest = max(largest, abs(x))
            if error.size == 1:
                carried = mass * error[0]
            else:
                for k in range(num):
                    carried += np.float64(weight[s, a, k]) * error[np.uint32(successor[s, a, k])]
            here = np.float64(reward[s, a])
            q[s, a] = here + scale * total
            radius[s, a] = unit * (abs(here) + scale * mass * largest) + scale * carried
