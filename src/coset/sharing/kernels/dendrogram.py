"""All merges of the sharing prox in order of strength, for numba (specification A5, in bands).

Two neighboring blocks meet at (d−1)(mean_B − mean_A)/(m_A + m_B). One heap of all meetings would
do, but each of its steps would wait for memory. So strengths are cut into bands: the blocks at the
upper end of a band, found by the pass over a stack that the prox makes, are groups of the blocks
at its lower end, and what happens inside a group does not depend on the others. Each group is
merged by itself, with a heap that is small; then the merges of the band are sorted.

A merge makes its neighbors meet earlier, never later: the gap is the same, and the speed at which
they close it, (m_A + m_B)/(d−1), has grown. So the newest entry of a boundary in a heap is popped
before its stale ones, which are known by their strength.

Legend: block i holds the sorted ranks starts[i] … starts[i + 1] − 1, and sums[i] is the sum of
x_r − x_{starts[i]} over them, exact for short dyadic numbers. Boundary i is that between the blocks
i − 1 and i.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["block_means", "choose_limit", "merge_band"]

_DEAD = -1.0


@njit(cache=True, nogil=True)
def _gap(x, starts, i, j, end, left_sum, right_sum):
    """Return (mean_B − mean_A) m_A m_B and m_A m_B (m_A + m_B) of the neighbors A = i, B = j."""
    a, k, b = starts[i], starts[j], starts[end]
    m, mass = np.float64(k - a), np.float64(b - k)
    lead = (x[k] - x[a]) * m * mass + right_sum * m - left_sum * mass
    return lead, m * mass * (m + mass)


@njit(cache=True, nogil=True)
def _meeting(lead, weight, span):
    """Return the strength g of a meeting, rounded so that lead · span ≤ g · weight (the test)."""
    strength = lead * span / weight
    return np.nextafter(strength, np.inf) if lead * span > strength * weight else strength


@njit(cache=True, nogil=True)
def choose_limit(x, starts, sums, count):
    """Return a strength at which about an eighth of the blocks (and what follows) will have met.

    Args:
        x: (n,) float64, sorted.
        starts: first ranks of the blocks; starts[count] = n.
        sums: of the blocks, as in the legend.
        count: number of blocks, ≥ 2.

    Returns:
        The strength; at least one pair of neighbors meets at it or before.
    """
    span = np.float64(x.size - 1)
    step = 1 + count // 1000
    meetings = np.empty((count - 2) // step + 1)
    for s in range(meetings.size):
        i = s * step
        lead, weight = _gap(x, starts, i, i + 1, i + 2, sums[i], sums[i + 1])
        meetings[s] = _meeting(lead, weight, span)
    meetings.sort()
    return meetings[meetings.size // 8]


@njit(cache=True, nogil=True)
def _find_groups(x, starts, sums, count, limit, first, totals):
    """Pool blocks at the strength `limit`; return the number of groups.

    Group g is made of the blocks first[g] … first[g + 1] − 1; totals[g] is its sum.
    """
    span, top = np.float64(x.size - 1), -1
    for i in range(count):
        top += 1
        first[top], totals[top] = i, sums[i]
        while top > 0:
            f, j = first[top - 1], first[top]
            lead, weight = _gap(x, starts, f, j, i + 1, totals[top - 1], totals[top])
            if lead * span > limit * weight:
                break
            a, k, b = starts[f], starts[j], starts[i + 1]
            totals[top - 1] += totals[top] + (x[k] - x[a]) * np.float64(b - k)
            top -= 1
    first[top + 1] = count
    return top + 1


@njit(cache=True, nogil=True)
def _push(strengths, bounds, size, strength, bound):
    """Add an entry to the heap of four children a node; entries are ordered by both numbers."""
    i = size
    while i > 0:
        parent = (i - 1) >> 2
        above = strengths[parent]
        if above < strength or (above == strength and bounds[parent] < bound):
            break
        strengths[i], bounds[i] = above, bounds[parent]
        i = parent
    strengths[i], bounds[i] = strength, bound
    return size + 1


@njit(cache=True, nogil=True)
def _pop(strengths, bounds, size):
    """Remove the first entry of the heap; return the new size."""
    size -= 1
    last, bound = strengths[size], bounds[size]
    i = 0
    while True:
        child = 4 * i + 1
        if child >= size:
            break
        best = child
        for c in range(child + 1, min(child + 4, size)):
            if strengths[c] < strengths[best] or (
                strengths[c] == strengths[best] and bounds[c] < bounds[best]
            ):
                best = c
        if last < strengths[best] or (last == strengths[best] and bound < bounds[best]):
            break
        strengths[i], bounds[i] = strengths[best], bounds[best]
        i = best
    strengths[i], bounds[i] = last, bound
    return size


@njit(cache=True, nogil=True)
def _write(merges, row, strength, start, split, stop):
    merges[row, 0], merges[row, 1], merges[row, 2], merges[row, 3] = strength, start, split, stop
    return row + 1


@njit(cache=True, nogil=True)
def _merge_group(x, starts, sums, p, q, now, limit, merges, row, work):
    """Merge the blocks p … q − 1 into one, in order of strength; `sums` of them are used up."""
    _, _, key, after, before, strengths, bounds = work
    span, size = np.float64(x.size - 1), 0
    for i in range(p, q):
        after[i], before[i] = i + 1, i - 1
        if i > p:
            lead, weight = _gap(x, starts, i - 1, i, i + 1, sums[i - 1], sums[i])
            key[i] = max(now, _meeting(lead, weight, span))
            size = _push(strengths, bounds, size, key[i], i)
    while size > 0:
        now, j = strengths[0], np.int64(bounds[0])
        size = _pop(strengths, bounds, size)
        if key[j] != now:
            continue
        key[j] = _DEAD
        left, end = np.int64(before[j]), np.int64(after[j])
        a, k, b = starts[left], starts[j], starts[end]
        row = _write(merges, row, min(now, limit), a, k, b)
        sums[left] += sums[j] + (x[k] - x[a]) * np.float64(b - k)
        after[left] = end
        if end < q:
            before[end] = left
        for c in (left, end):
            if p < c < q:
                f = before[c]
                lead, weight = _gap(x, starts, f, c, after[c], sums[f], sums[c])
                met = max(now, _meeting(lead, weight, span))
                if met < key[c]:
                    key[c] = met
                    size = _push(strengths, bounds, size, met, c)
    return row


@njit(cache=True, nogil=True)
def merge_band(x, starts, sums, count, floor, limit, merges, row, work):
    """Carry out the merges of strengths up to `limit`, group by group.

    Args:
        x: (n,) float64, sorted, n ≥ 2, magnitudes below 2^700.
        starts: (n + 1,) int32: first ranks of the blocks, starts[count] = n; gets the new ones.
        sums: (n,) float64: as in the legend; gets the new ones.
        count: number of blocks.
        floor: the last band's limit, 0 at first.
        limit: ≥ floor, inf included; if 0, equal ranks are merged from the left.
        merges: (n − 1, 4) float64: gets strength, start, split and stop of each merge; in order of
            rank, but of strength inside a group only.
        row: where to write them.
        work: first (n + 1,) int32 and totals (n,) float64 of the groups; key (n,) float64, after
            and before (n,) int32 of the blocks; the heap's strengths (2n,) float64 and boundaries
            (2n,) int32.

    Returns:
        The new number of blocks, and the row after the last merge.
    """
    first, totals = work[:2]
    span = np.float64(x.size - 1)
    num_groups = _find_groups(x, starts, sums, count, limit, first, totals)
    for g in range(num_groups):
        p, q = np.int64(first[g]), np.int64(first[g + 1])
        if limit == 0.0:
            for i in range(p + 1, q):
                row = _write(merges, row, 0.0, starts[p], starts[i], starts[i + 1])
        elif q == p + 2:
            lead, weight = _gap(x, starts, p, p + 1, q, sums[p], sums[p + 1])
            met = min(limit, max(floor, _meeting(lead, weight, span)))
            row = _write(merges, row, met, starts[p], starts[p + 1], starts[q])
        elif q > p + 2:
            row = _merge_group(x, starts, sums, p, q, floor, limit, merges, row, work)
    for g in range(num_groups):
        starts[g], sums[g] = starts[first[g]], totals[g]
    starts[num_groups] = x.size
    return num_groups, row


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
