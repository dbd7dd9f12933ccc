"""Sweeps that look again only at actions that could have become best; imports numba.

After all actions of a state were looked at, the best one leads the second by a gap. Values that
change by amounts in [lo, hi] move the difference of two action values by at most c (hi − lo). While
these moves, summed over the sweeps since, stay below the gap, the best action is still best and the
others need no reading: the sweep is exact. (Temporary elimination of actions, after Hastings and
van Nunen.) States are taken in blocks, sorted into those that need one action and those that need
all, so that no branch waits for a random read.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from __future__ import annotations

import numpy as np
from numba import njit

from coset.decisions.kernels.cpu import ROWS_AHEAD, VALUES_AHEAD, ask_row
from coset.decisions.kernels.prefetch import prefetch

__all__ = ["BLOCK", "deferred_sweep"]

# States of one block: their lists and action values stay in the first two caches.
BLOCK = 256
# A block is taken in order, and its few states that need all actions once more, from this share on.
_FEW = 8
# A bound is rounded down by this factor when it is stored as float32.
_DOWN = 1 - 1e-6
# Later ones would be infinite in float32: the action would never be looked at again.
_LATEST = 3e38


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _ask_values(successor, value, s, a, num):
    """Ask for the values of the successors of one action."""
    for k in range(num):
        prefetch(value, np.uint64(np.uint32(successor[s, a, k])))


@njit(cache=True, nogil=True, error_model="numpy")
def _one_action(level, scale, value, policy, states, num, start, fresh, unrolled):
    successor, weight, reward = level
    length = len(unrolled[1]) if len(unrolled[1]) else successor.shape[2]
    for j in range(num):
        s = states[min(j + VALUES_AHEAD, num - 1)]
        _ask_values(successor, value, s, np.int64(policy[s]), length)
        s = states[j]
        a = np.int64(policy[s])
        total = 0.0
        for k in range(length):
            total += np.float64(weight[s, a, k]) * np.float64(value[np.uint32(successor[s, a, k])])
        fresh[s - start] = np.float64(reward[s, a]) + scale * total


@njit(cache=True, nogil=True, error_model="numpy")
def _all_actions(level, scale, allowed, value, states, num, table, unrolled):
    successor, weight, reward = level
    indices, weights = successor.reshape(-1), weight.reshape(-1)
    num_actions = len(unrolled[0]) if len(unrolled[0]) else successor.shape[1]
    num_successors = len(unrolled[1]) if len(unrolled[1]) else successor.shape[2]
    length = num_actions * num_successors
    for j in range(num):
        s = states[min(j + ROWS_AHEAD, num - 1)]
        ask_row(indices, s * length, length, 16)
        ask_row(weights, s * length, length, 8)
        s = states[min(j + VALUES_AHEAD, num - 1)]
        for a in range(num_actions):
            _ask_values(successor, value, s, a, num_successors)
        s = states[j]
        for a in range(num_actions):
            total = 0.0
            for k in range(num_successors):
                x = np.float64(value[np.uint32(successor[s, a, k])])
                total += np.float64(weight[s, a, k]) * x
            q = np.float64(reward[s, a]) + scale * total
            if allowed.size:
                q = q if allowed[s, a] else -np.inf
            table[a, j] = q


@njit(cache=True, nogil=True, error_model="numpy")
def _best_two(table, num, best, second, choice):
    """Find for each column the greatest, where it stands first, and the second greatest."""
    for j in range(num):
        best[j], second[j], choice[j] = table[0, j], -np.inf, 0
    for a in range(1, table.shape[0]):
        for j in range(num):
            q, top = table[a, j], best[j]
            less = top if top < q else q
            second[j] = less if less > second[j] else second[j]
            choice[j] = a if q > top else choice[j]
            best[j] = q if q > top else top


@njit(cache=True, nogil=True, error_model="numpy")
def _sort_states(deadline, policy, flat, shape, limit, start, stop, whole, single):
    """List the states whose deadline has passed and the others; ask for the others' rows."""
    num_whole = num_single = 0
    indices, weights = flat
    num_actions, num = shape
    for s in range(start, stop):
        due = not limit < deadline[s]
        whole[num_whole] = single[num_single] = s
        num_whole += due
        # A state without an action has no deadline and no choice: it is in neither list.
        num_single += (not due) & (policy[s] >= 0)
        row = (s * num_actions + max(0, policy[s])) * num
        prefetch(indices, row)
        prefetch(indices, row + num - 1)
        prefetch(weights, row)
        prefetch(weights, row + num - 1)
    return num_whole, num_single


@njit(cache=True, nogil=True, error_model="numpy")
def _look_again(
    level, scale, allowed, value, policy, deadline, norm, moved, whole, due, scratch, fresh, start,
    unrolled,
):  # fmt: skip
    """Take all actions of the states listed: write their best values and actions, and deadlines."""
    table, best, second, choice = scratch
    _all_actions(level, scale, allowed, value, whole, due, table, unrolled)
    _best_two(table, due, best, second, choice)
    for j in range(due):
        s = whole[j]
        if best[j] == -np.inf:
            policy[s], deadline[s] = -1, np.inf
            continue
        fresh[s - start], policy[s] = best[j], choice[j]
        gap = (best[j] - second[j]) / norm[s] if norm.size else best[j] - second[j]
        deadline[s] = min((moved + gap) * _DOWN, _LATEST)


@njit(cache=True, nogil=True, error_model="numpy")
def _store(fresh, value, out, norm, policy, start, stop, seen):
    """Write the new values of a block and update the extremes of their changes."""
    low, high, size = seen
    total = 0.0
    for s in range(start, stop):
        x = fresh[s - start]
        if policy[s] < 0:
            out[s] = 0
            continue
        change = x - np.float64(value[s])
        if norm.size:
            change /= norm[s]
        out[s] = x
        total += change
        low = change if change < low else low
        high = change if change > high else high
        size = abs(x) if abs(x) > size else size
    return (low, high, size), total


@njit(cache=True, nogil=True, error_model="numpy")
def _store_in_order(level, scale, value, out, norm, policy, start, stop, backward, seen, unrolled):
    """Write the new values of a block whose best actions are known, state by state."""
    successor, weight, reward = level
    length = len(unrolled[1]) if len(unrolled[1]) else successor.shape[2]
    low, high, size = seen
    total = 0.0
    for place in range(stop - start):
        ahead = min(place + VALUES_AHEAD, stop - start - 1)
        s = stop - 1 - ahead if backward else start + ahead
        _ask_values(successor, value, s, max(0, np.int64(policy[s])), length)
        s = stop - 1 - place if backward else start + place
        a = np.int64(policy[s])
        if a < 0:
            out[s] = 0
            continue
        x = 0.0
        for k in range(length):
            x += np.float64(weight[s, a, k]) * np.float64(value[np.uint32(successor[s, a, k])])
        x = np.float64(reward[s, a]) + scale * x
        change = x - np.float64(value[s])
        if norm.size:
            change /= norm[s]
        out[s] = x
        total += change
        low = change if change < low else low
        high = change if change > high else high
        size = abs(x) if abs(x) > size else size
    return (low, high, size), total


@njit(cache=True, nogil=True, error_model="numpy")
def deferred_sweep(
    level,
    scale,
    allowed,
    flat,
    value,
    out,
    in_place,
    backward,
    norm,
    policy,
    deadline,
    moved,
    factor,
    first,
    last,
    unrolled,
):
    """Write TV for the states first … last − 1, in place (Gauss–Seidel by blocks) or into `out`.

    `level`: (successor, weight, reward); `flat`: the first two as one line each; `backward`: take
    the blocks from the last; `policy`: (S,) int32, the last known best actions, −1 where there is
    none; `deadline`: (S,) float32, how far moves may have summed up before all actions must be
    looked at, inf where there is at most one action; `moved`: their sum so far, in the units of
    `norm`; `factor`: c; `unrolled`: tuples of A and K elements by whose lengths loops are unrolled,
    or empty ones. In place, what earlier blocks changed counts too. Returns the least and the
    greatest δ of states with an action (0 included in place), the greatest |TV|, the mean of δ
    weighted by the place in the sweep, and how many states needed all actions.
    """
    shape = (level[0].shape[1], level[0].shape[2])
    table, fresh = np.empty((shape[0], BLOCK)), np.empty(BLOCK)
    scratch = (table, np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK, np.int32))
    whole, single = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    mean, num_whole = 0.0, 0
    seen = (0.0, 0.0, 0.0) if in_place else (np.inf, -np.inf, 0.0)
    num_blocks = (last - first + BLOCK - 1) // BLOCK
    for block in range(num_blocks):
        start = first + (num_blocks - 1 - block if backward else block) * BLOCK
        stop = min(start + BLOCK, last)
        limit = moved + factor * (seen[1] - seen[0]) if in_place else moved
        due, kept = _sort_states(deadline, policy, flat, shape, limit, start, stop, whole, single)
        num_whole += due
        few = due * _FEW <= stop - start
        if not few:
            _one_action(level, scale, value, policy, single, kept, start, fresh, unrolled)
        if due:
            _look_again(
                level, scale, allowed, value, policy, deadline, norm, moved, whole, due,
                scratch, fresh, start, unrolled,
            )  # fmt: skip
        if few:
            seen, total = _store_in_order(
                level, scale, value, out, norm, policy, start, stop, backward, seen, unrolled
            )
        else:
            seen, total = _store(fresh, value, out, norm, policy, start, stop, seen)
        mean += total * (block + 0.5) * BLOCK
    low, high, size = seen
    return low, high, size, mean / max(1, last - first) ** 2, num_whole
