"""The Bellman operator as compiled loops for one thread; importing this module imports numba.

Sums and differences are float64 whatever the arrays hold. A state without an allowed action has the
value 0 and takes no part in the extremes of δ = TV − V. `allowed` is empty, (0, 0), where all
actions are; `norm` is empty or holds the weights by which δ is divided. Maxima are written so that
they compile to selections: a branch that waits for a random read stops all reads behind it.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, assignment"

from __future__ import annotations

import numpy as np
from numba import njit

from coset.decisions.kernels.prefetch import prefetch

__all__ = [
    "ROWS_AHEAD",
    "VALUES_AHEAD",
    "action_values",
    "ask_row",
    "choose",
    "evaluate",
    "first_sweep",
    "improve",
    "row_extremes",
]

# Rows of indices, weights and rewards are asked for so many states ahead, and the values that their
# indices name so many: the processor's own guesses fail on rows of some ten numbers.
ROWS_AHEAD = 16
VALUES_AHEAD = 4
# Added to the value of an action that is not allowed, and of one that is. A selection there would
# make a branch of the maximum behind it, which costs more than all sums.
_PENALTY = np.array([-np.inf, 0.0])


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _moved(successor, weight, value, s, a, num):
    """Return Σ_k w(s, a, k) V(succ)."""
    total = 0.0
    for k in range(num):
        total += np.float64(weight[s, a, k]) * np.float64(value[np.uint32(successor[s, a, k])])
    return total


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def ask_row(flat, row, num, step):
    """Ask for the cache lines of ``flat[row : row + num]``; `step`: elements of one line."""
    for i in range(0, num, step):
        prefetch(flat, row + i)
    prefetch(flat, row + num - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def improve(level, allowed, scale, value, out, norm, backward, first, last, actions, branches):
    """Write TV for the states first … last − 1; `out` may be `value` (Gauss–Seidel).

    `level`: (successor, weight, reward); `allowed`: `None` if all actions are; `backward`: take the
    states from the last to the first; `actions`, `branches`: tuples of A and K elements by whose
    lengths the loops are unrolled, or empty ones. Returns the least and the greatest δ (inf and
    −inf if no state has an action), the greatest |TV|, and the mean of δ weighted by the place of
    the state in the sweep, 0 … 1.
    """
    successor, weight, reward = level
    num_actions = len(actions) if len(actions) else successor.shape[1]
    num = len(branches) if len(branches) else successor.shape[2]
    low, high, size, mean = np.inf, -np.inf, 0.0, 0.0
    step = -1 if backward else 1
    indices, weights, rewards = successor.reshape(-1), weight.reshape(-1), reward.reshape(-1)
    for place in range(last - first):
        s = (last - 1 if backward else first) + step * place
        if len(branches):
            ahead = min(max(s + step * ROWS_AHEAD, first), last - 1)
            ask_row(indices, ahead * num_actions * num, num_actions * num, 16)
            ask_row(weights, ahead * num_actions * num, num_actions * num, 8)
            prefetch(rewards, ahead * num_actions)
            ahead = min(max(s + step * VALUES_AHEAD, first), last - 1)
            for a in range(num_actions):
                for k in range(num):
                    prefetch(value, np.uint64(np.uint32(successor[ahead, a, k])))
        best = -np.inf
        for a in range(num_actions):
            total = _moved(successor, weight, value, s, a, num)
            q = np.float64(reward[s, a]) + scale * total
            if allowed is not None:
                q += _PENALTY[np.uint8(allowed[s, a])]
            best = q if q > best else best
        if best == -np.inf:
            out[s] = 0
            continue
        change = best - np.float64(value[s])
        if norm.size:
            change /= norm[s]
        out[s] = best
        low = change if change < low else low
        high = change if change > high else high
        size = abs(best) if abs(best) > size else size
        mean += change * place
    return low, high, size, mean / max(1, last - first) ** 2


@njit(cache=True, nogil=True, error_model="numpy")
def choose(successor, weight, reward, allowed, scale, value, policy, first, last):
    """Write the first best action of the states first … last − 1, −1 where there is none."""
    for s in range(first, last):
        best, choice = -np.inf, -1
        for a in range(successor.shape[1]):
            if allowed.size and not allowed[s, a]:
                continue
            total = _moved(successor, weight, value, s, a, successor.shape[2])
            q = np.float64(reward[s, a]) + scale * total
            choice = a if q > best else choice
            best = q if q > best else best
        policy[s] = choice


@njit(cache=True, nogil=True, error_model="numpy")
def action_values(successor, weight, reward, allowed, scale, value, out, first, last):
    """Write Q(s, a), −inf where the action is not allowed."""
    for s in range(first, last):
        for a in range(successor.shape[1]):
            total = _moved(successor, weight, value, s, a, successor.shape[2])
            q = np.float64(reward[s, a]) + scale * total
            if allowed.size:
                q = q if allowed[s, a] else -np.inf
            out[s, a] = q


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate(successor, weight, reward, scale, policy, value, out, norm, first, last, branches):
    """Write T_π V for a policy (−1: no action, value 0); returns as `improve`, without the mean."""
    num_actions = successor.shape[1]
    num = len(branches) if len(branches) else successor.shape[2]
    indices, weights = successor.reshape(-1), weight.reshape(-1)
    low, high, size = np.inf, -np.inf, 0.0
    for s in range(first, last):
        if len(branches):
            ahead = min(s + ROWS_AHEAD, last - 1)
            row = (ahead * num_actions + max(0, np.int64(policy[ahead]))) * num
            ask_row(indices, row, num, 16)
            ask_row(weights, row, num, 8)
            ahead = min(s + VALUES_AHEAD, last - 1)
            row = (ahead * num_actions + max(0, np.int64(policy[ahead]))) * num
            for k in range(num):
                prefetch(value, np.uint64(np.uint32(indices[row + k])))
        a = np.int64(policy[s])
        if a < 0:
            out[s] = 0
            continue
        total = _moved(successor, weight, value, s, a, num)
        q = np.float64(reward[s, a]) + scale * total
        change = q - np.float64(value[s])
        if norm.size:
            change /= norm[s]
        out[s] = q
        low = change if change < low else low
        high = change if change > high else high
        size = abs(q) if abs(q) > size else size
    return low, high, size


@njit(cache=True, nogil=True, error_model="numpy")
def row_extremes(successor, weight, allowed, scale, norm, first, last):
    """Return the least and the greatest Σ_k w(s, a, k) x(succ) / x(s) over allowed (s, a).

    `norm`: (S,) the numbers x, 0 at states without an allowed action; empty if all are 1.
    """
    low, high = np.inf, 0.0
    for s in range(first, last):
        for a in range(successor.shape[1]):
            if allowed.size and not allowed[s, a]:
                continue
            total = 0.0
            for k in range(successor.shape[2]):
                x = norm[np.uint32(successor[s, a, k])] if norm.size else 1.0
                total += np.float64(weight[s, a, k]) * x
            total *= scale / norm[s] if norm.size else scale
            low = total if total < low else low
            high = total if total > high else high
    return low, high


@njit(cache=True, nogil=True, error_model="numpy")
def first_sweep(reward, allowed, out, norm, first, last):
    """Write max over allowed a of r(s, a), which is TV for V = 0; returns as `improve`."""
    low, high, size, mean = np.inf, -np.inf, 0.0, 0.0
    for s in range(first, last):
        best = -np.inf
        for a in range(reward.shape[1]):
            q = np.float64(reward[s, a])
            if allowed.size:
                q = q if allowed[s, a] else -np.inf
            best = q if q > best else best
        if best == -np.inf:
            out[s] = 0
            continue
        out[s] = best
        change = best / norm[s] if norm.size else best
        low = change if change < low else low
        high = change if change > high else high
        size = abs(best) if abs(best) > size else size
        mean += change * (s - first)
    return low, high, size, mean / max(1, last - first) ** 2
