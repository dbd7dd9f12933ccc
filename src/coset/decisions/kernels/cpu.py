"""The Bellman operator as compiled loops for one thread; importing this module imports numba.

Sums and differences are float64 whatever the arrays hold. A state without an allowed action keeps
the value 0 and takes no part in the extremes of δ = TV − V.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["evaluate", "improve", "improve_in_place", "row_extremes"]


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _action_value(successor, weight, reward, scale, value, s, a):
    total = 0.0
    for k in range(successor.shape[2]):
        total += np.float64(weight[s, a, k]) * np.float64(value[np.uint32(successor[s, a, k])])
    return np.float64(reward[s, a]) + scale * total


@njit(cache=True, nogil=True, error_model="numpy")
def improve(successor, weight, reward, allowed, scale, value, out, norm, policy, first, last):
    """Write TV for the states first … last − 1, and the best action where `policy` is not empty.

    `norm`: (S,) positive weights by which δ is divided, or empty for 1. Returns the least and the
    greatest δ (inf and −inf if no state has an action) and the greatest |TV|.
    """
    low, high, size = np.inf, -np.inf, 0.0
    for s in range(first, last):
        best, choice = -np.inf, -1
        for a in range(successor.shape[1]):
            if allowed[s, a]:
                q = _action_value(successor, weight, reward, scale, value, s, a)
                if q > best or choice < 0:
                    best, choice = q, a
        if policy.size:
            policy[s] = choice
        if choice < 0:
            out[s] = 0
            continue
        change = best - np.float64(value[s])
        if norm.size:
            change /= norm[s]
        out[s] = best
        low, high, size = min(low, change), max(high, change), max(size, abs(best))
    return low, high, size


@njit(cache=True, nogil=True, error_model="numpy")
def improve_in_place(successor, weight, reward, allowed, scale, value, norm, policy, first, last):
    """Do the same in place, each state seeing the new values of those before it (Gauss–Seidel)."""
    low, high, size = np.inf, -np.inf, 0.0
    for s in range(first, last):
        best, choice = -np.inf, -1
        for a in range(successor.shape[1]):
            if allowed[s, a]:
                q = _action_value(successor, weight, reward, scale, value, s, a)
                if q > best or choice < 0:
                    best, choice = q, a
        if policy.size:
            policy[s] = choice
        if choice < 0:
            value[s] = 0
            continue
        change = best - np.float64(value[s])
        if norm.size:
            change /= norm[s]
        value[s] = best
        low, high, size = min(low, change), max(high, change), max(size, abs(best))
    return low, high, size


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate(successor, weight, reward, scale, policy, value, out, norm, first, last):
    """Write T_π V for a policy (−1: no action, value 0); returns as `improve`."""
    low, high, size = np.inf, -np.inf, 0.0
    for s in range(first, last):
        a = policy[s]
        if a < 0:
            out[s] = 0
            continue
        q = _action_value(successor, weight, reward, scale, value, s, a)
        change = q - np.float64(value[s])
        if norm.size:
            change /= norm[s]
        out[s] = q
        low, high, size = min(low, change), max(high, change), max(size, abs(q))
    return low, high, size


@njit(cache=True, nogil=True, error_model="numpy")
def row_extremes(successor, weight, allowed, scale, norm, first, last):
    """Return the least and the greatest Σ_k w(s, a, k) x(succ) / x(s) over allowed (s, a).

    `norm`: (S,) the numbers x, 0 at states without an allowed action.
    """
    low, high = np.inf, 0.0
    for s in range(first, last):
        for a in range(successor.shape[1]):
            if allowed[s, a]:
                total = 0.0
                for k in range(successor.shape[2]):
                    x = norm[np.uint32(successor[s, a, k])]
                    total += np.float64(weight[s, a, k]) * x
                total *= scale / norm[s]
                low, high = min(low, total), max(high, total)
    return low, high
