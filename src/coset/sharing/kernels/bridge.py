"""Block-local pooling and bridge merges of sorted rows for numba (specification A4).

Leaves of `leaf` consecutive ranks are pooled by a stack; then neighboring hulls are merged bottom
up, each by two nested binary searches for the pool that bridges their boundary. Only blocks next to
the boundary die. A block is known by its start: parent[start] = start, and end[start] is its end;
the parents of other ranks lead there, shortened on the way (halving).

Sums of ranks [a, b) are differences of prefix sums: integers in fixed point, else pairs of float64
(high + low) within a leaf plus pairs for all leaves before, so that they are right to the last bit
or so at any offset, and the same for any number of threads.

Legend: span = d − 1; g = strength; exact = fixed point. A row's `sums` are (exact, leaf, g, span,
x, local, before, prefix): the sorted weights (d,), prefix sums inside leaves (2, d + 1) and of
leaves (2, leaves + 1), or in fixed point only prefix (d + 1,) int64, the others being empty.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["chain", "merge_levels", "solve_leaves", "solve_rows", "sum_leaves"]


@njit(cache=True, nogil=True)
def _two_sum(a, b):
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@njit(cache=True, nogil=True)
def _two_product(a, b):
    p = a * b
    s, t = a * 134217729.0, b * 134217729.0
    a_high, b_high = s - (s - a), t - (t - b)
    a_low, b_low = a - a_high, b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


@njit(cache=True, nogil=True)
def sum_leaves(x, leaf, start, stop, local, before):
    """Write prefix sums inside leaves start … stop − 1, and the sum of leaf t to before[:, t+1]."""
    d = x.size
    for t in range(start, stop):
        high, low = 0.0, 0.0
        for r in range(t * leaf, min(d, (t + 1) * leaf)):
            local[0, r], local[1, r] = high, low
            high, error = _two_sum(high, x[r])
            low += error
        before[0, t + 1], before[1, t + 1] = high, low
        if (t + 1) * leaf > d:
            local[0, d], local[1, d] = high, low


@njit(cache=True, nogil=True)
def chain(before):
    """Turn the sums of leaves in before[:, 1:] into prefix sums."""
    for t in range(1, before.shape[1]):
        high, error = _two_sum(before[0, t - 1], before[0, t])
        before[0, t], before[1, t] = high, before[1, t - 1] + before[1, t] + error


@njit(cache=True, nogil=True)
def _sum_about(base, a, b, leaf, local, before):
    """Return the sum of x_r − base over the ranks [a, b)."""
    s, t = a // leaf, b // leaf
    p, e = _two_product(np.float64(b - a), base)
    total, e0 = _two_sum(before[0, t], -before[0, s])
    total, e1 = _two_sum(total, local[0, b])
    total, e2 = _two_sum(total, -local[0, a])
    total, e3 = _two_sum(total, -p)
    low = (before[1, t] - before[1, s]) + (local[1, b] - local[1, a])
    return total + (((e0 + e1) + (e2 + e3)) - e + low)


@njit(cache=True, nogil=True)
def _touch(a, k, b, sums):
    """Tell whether mean z over [a, k) ≥ mean z over [k, b)."""
    exact, leaf, g, span, x, local, before, prefix = sums
    if exact:
        i, j = k - a, b - k
        left, right = prefix[k] - prefix[a], prefix[b] - prefix[k]
        p, q = left // i, right // j
        # The remainders are below the masses, so that the products fit.
        return p > q or (p == q and (left - p * i) * j >= (right - q * j) * i)
    m, other = np.float64(k - a), np.float64(b - k)
    below = _sum_about(x[k], a, k, leaf, local, before)
    lead = _sum_about(x[k], k, b, leaf, local, before) * m - below * other
    return lead * span <= g * m * other * (m + other)


@njit(cache=True, nogil=True)
def _find(r, parent):
    while parent[r] != r:
        parent[r] = parent[parent[r]]
        r = parent[r]
    return r


@njit(cache=True, nogil=True)
def _solve_leaf(start, stop, sums, parent, end, begin, totals):
    """Pool the ranks [start, stop) by a stack; return the merge tests made."""
    exact, _, g, span, x, _, _, _ = sums
    count, tests = 0, 0
    for r in range(start, stop):
        a, total = r, 0.0
        while count > 0:
            f = begin[count - 1]
            tests += 1
            if exact:
                if not _touch(f, a, r + 1, sums):
                    break
            else:
                m, mass, other = np.float64(r + 1 - a), np.float64(a - f), totals[count - 1]
                gap = x[a] - x[f]
                lead = gap * m * mass + total * mass - other * m
                if lead * span > g * m * mass * (m + mass):
                    break
                total += other + gap * m
            a = f
            count -= 1
        begin[count], totals[count] = a, total
        count += 1
    begin[count] = stop
    for k in range(count):
        end[begin[k]] = begin[k + 1]
        for r in range(begin[k], begin[k + 1]):
            parent[r] = begin[k]
    return tests


@njit(cache=True, nogil=True)
def solve_leaves(start, stop, sums, parent, end):
    """Pool each leaf of [start, stop); return the most tests of a leaf, and all tests."""
    leaf, most, work = sums[1], 0, 0
    begin, totals = np.empty(leaf + 1, np.int64), np.empty(leaf + 1)
    for a in range(start, stop, leaf):
        tests = _solve_leaf(a, min(stop, a + leaf), sums, parent, end, begin, totals)
        most, work = max(most, tests), work + tests
    return most, work


@njit(cache=True, nogil=True)
def _absorb(a, b, stop, sums, parent, end):
    """Return the end of the blocks of [b, stop) that the pool from `a` absorbs; and the probes."""
    low, high, probes = b, stop, 0
    while low < high:
        q = _find((low + high) // 2, parent)
        probes += 1
        if _touch(a, q, end[q], sums):
            low = end[q]
        else:
            high = q
    return low, probes


@njit(cache=True, nogil=True)
def _merge(start, b, stop, sums, parent, end):
    """Merge the solved [start, b) and [b, stop); return the number of probes."""
    high, probes = _find(b - 1, parent), 1
    if not _touch(high, b, end[b], sums):
        return probes
    low = start
    while low < high:
        block = _find((low + high) // 2, parent)
        after, made = _absorb(end[block], b, stop, sums, parent, end)
        probes += made + 1
        if _touch(block, end[block], after, sums):
            high = block
        else:
            low = end[block]
    after, made = _absorb(low, b, stop, sums, parent, end)
    dying = end[low]
    while dying < after:
        parent[dying] = low
        dying = end[dying]
    end[low] = after
    return probes + made


@njit(cache=True, nogil=True)
def merge_levels(start, stop, narrow, wide, sums, parent, end, deepest):
    """Merge segments of widths narrow, 2 narrow, … below `wide` in [start, stop).

    Args:
        start: first rank, a multiple of `wide` (or 0).
        stop: end of the ranks.
        narrow: width of the solved segments.
        wide: width at which to stop.
        sums: the row's sums.
        parent: (d,) int32.
        end: (d,) int32.
        deepest: (levels,) int64: gets the most probes of a merge by level, from `narrow` up.

    Returns:
        All probes.
    """
    work, level = 0, 0
    while narrow < wide:
        for a in range(start, stop, 2 * narrow):
            if a + narrow < stop:
                probes = _merge(a, a + narrow, min(stop, a + 2 * narrow), sums, parent, end)
                deepest[level] = max(deepest[level], probes)
                work += probes
        narrow, level = 2 * narrow, level + 1
    return work


@njit(cache=True, nogil=True)
def solve_rows(exact, leaf, strength, x, prefix, parent, counts):
    """Find the blocks of sorted rows, one after the other.

    Args:
        exact: whether `prefix` (fixed point) decides, else `x` and `strength`.
        leaf: ranks in a leaf, ≥ 1.
        strength: (rows,) float64 > 0.
        x: (rows, d) float64, d ≥ 2; in fixed point (rows, 0).
        prefix: (rows, d + 1) int64 in fixed point, else (rows, 0).
        parent: (rows, d) int32: gets the parents; r starts a block iff parent[r] = r.
        counts: (rows, 3) int64: gets levels of merges, depth and work.
    """
    rows, d = parent.shape
    num = (d + leaf - 1) // leaf
    shape = (0, 0) if exact else (2, d + 1)
    local, before = np.zeros(shape), np.zeros((2, num + 1))
    end, deepest = np.empty(d, np.int32), np.empty(64, np.int64)
    for r in range(rows):
        if not exact:
            sum_leaves(x[r], leaf, 0, num, local, before)
            chain(before)
        sums = (exact, leaf, strength[r], d - 1.0, x[r], local, before, prefix[r])
        deepest[:] = 0
        most, work = solve_leaves(0, d, sums, parent[r], end)
        work += merge_levels(0, d, leaf, d, sums, parent[r], end, deepest)
        counts[r, 0] = np.count_nonzero(deepest)
        counts[r, 1], counts[r, 2] = most + deepest.sum(), work
