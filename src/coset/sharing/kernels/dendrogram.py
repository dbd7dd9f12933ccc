"""All merges of the sharing prox in order of strength, for numba (specification A5).

Legend: a boundary k lies between the sorted ranks k − 1 and k; a block is known by its first rank
a, with end[a], the first rank of its left neighbor, and the sum of x_r − x_a. Two blocks meet at
(d−1)(mean_B − mean_A)/(m_A + m_B). A merge makes its neighbors meet earlier, never later: the gap
is the same, and the speed at which they close it, (m_A + m_B)/(d−1), has grown. So keys only
decrease, the newest entry of a boundary is popped before its stale ones, and a queue of two parts
will do: the first meetings, sorted once, and a heap of those that have become earlier.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["block_means", "first_meetings", "merge_blocks", "start_blocks"]

_DEAD = -1.0


@njit(cache=True, nogil=True)
def _meeting(lead, weight, span):
    """Return the least strength g at which lead · span ≤ g · weight, the test of the prox."""
    strength = lead * span / weight
    return np.nextafter(strength, np.inf) if lead * span > strength * weight else strength


@njit(cache=True, nogil=True)
def first_meetings(x, times):
    """Write the strengths at which neighboring ranks of the sorted row `x` would meet."""
    span = np.float64(x.size - 1)
    for k in range(1, x.size):
        times[k - 1] = _meeting(x[k] - x[k - 1], 2.0, span)


@njit(cache=True, nogil=True)
def _push(times, bounds, size, time, bound):
    """Add an entry to the heap of four children a node; entries are ordered by (time, bound)."""
    i = size
    while i > 0:
        parent = (i - 1) >> 2
        above = times[parent]
        if above < time or (above == time and bounds[parent] < bound):
            break
        times[i], bounds[i] = above, bounds[parent]
        i = parent
    times[i], bounds[i] = time, bound
    return size + 1


@njit(cache=True, nogil=True)
def _pop(times, bounds, size):
    """Remove the first entry of the heap; return the new size."""
    size -= 1
    time, bound = times[size], bounds[size]
    i = 0
    while True:
        child = 4 * i + 1
        if child >= size:
            break
        best = child
        for c in range(child + 1, min(child + 4, size)):
            if times[c] < times[best] or (times[c] == times[best] and bounds[c] < bounds[best]):
                best = c
        if time < times[best] or (time == times[best] and bound < bounds[best]):
            break
        times[i], bounds[i] = times[best], bounds[best]
        i = best
    times[i], bounds[i] = time, bound
    return size


@njit(cache=True, nogil=True)
def _lead(x, sums, a, k, b):
    """Return (mean_B − mean_A) · m_A · m_B of the blocks A = [a, k) and B = [k, b)."""
    m, mass = np.float64(k - a), np.float64(b - k)
    return (x[k] - x[a]) * m * mass + sums[k] * m - sums[a] * mass


@njit(cache=True, nogil=True)
def _merge(x, a, k, b, sums, end, left):
    """Make one block of [a, k) and [k, b)."""
    sums[a] += sums[k] + (x[k] - x[a]) * np.float64(b - k)
    end[a] = b
    if b < x.size:
        left[b] = a


@njit(cache=True, nogil=True)
def start_blocks(meetings, order, key, end, left):
    """Make each rank a block, and each first meeting the key of its boundary."""
    for i in range(end.size):
        end[i], left[i] = i + 1, i - 1
    for i in range(order.size):
        key[order[i] + 1] = meetings[i]


@njit(cache=True, nogil=True)
def merge_blocks(x, meetings, order, merges, state, begin, stop):
    """Carry out the merges begin … stop − 1 of a sorted row.

    Args:
        x: (n,) float64, sorted, n ≥ 2, magnitudes below 2^700.
        meetings: (n − 1,) float64, sorted: the strengths at which neighboring ranks would meet.
        order: (n − 1,) integers: `meetings[i]` is that of the ranks order[i] and order[i] + 1.
        merges: (n − 1, 4) float64: gets strength, start, split and stop of each merge; strengths do
            not decrease, and equal ones are in order of rank.
        state: key, end, left of `start_blocks`, sums (n,) float64 of zeros, the heap's times (2n,)
            float64 and boundaries (2n,) int32, and (2,) int64 zeros: the place reached in
            `meetings` and the size of the heap.
        begin: the first merge, where the last call stopped.
        stop: one past the last.
    """
    key, end, left, sums, heap_times, heap_bounds, reached = state
    n, (place, size) = x.size, reached
    span = np.float64(n - 1)
    for row in range(begin, stop):
        while place < n - 1 and key[order[place] + 1] != meetings[place]:
            place += 1
        while size > 0 and key[heap_bounds[0]] != heap_times[0]:
            size = _pop(heap_times, heap_bounds, size)
        k = np.int64(order[place]) + 1 if place < n - 1 else n
        if size > 0 and (k == n or (heap_times[0], heap_bounds[0]) < (meetings[place], k)):
            k = np.int64(heap_bounds[0])
            size = _pop(heap_times, heap_bounds, size)
        else:
            place += 1
        a, b, now = np.int64(left[k]), np.int64(end[k]), key[k]
        key[k] = _DEAD
        merges[row, 0], merges[row, 1], merges[row, 2], merges[row, 3] = now, a, k, b
        _merge(x, a, k, b, sums, end, left)
        for bound in (a, b):
            if 0 < bound < n:
                f, e = np.int64(left[bound]), np.int64(end[bound])
                m, mass = np.float64(bound - f), np.float64(e - bound)
                lead = _lead(x, sums, f, bound, e)
                time = max(now, _meeting(lead, m * mass * (m + mass), span))
                if time < key[bound]:
                    key[bound] = time
                    size = _push(heap_times, heap_bounds, size, time, bound)
    reached[0], reached[1] = place, size


@njit(cache=True, nogil=True)
def block_means(x, starts, means):
    """Write the mean of each block of the sorted row, summed about its first element."""
    n = x.size
    for i in range(starts.size):
        a = starts[i]
        b = starts[i + 1] if i + 1 < starts.size else n
        total = 0.0
        for r in range(a + 1, b):
            total += x[r] - x[a]
        means[i] = x[a] + total / np.float64(b - a)
