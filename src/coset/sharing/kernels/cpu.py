"""The sharing prox of sorted and of unsorted rows for numba (specification A1 and A2).

Pooling compares in float64 without dividing: a block is (first rank a, end e, sum of x_r − x_a),
and blocks A, B merge iff (mean_B − mean_A)(d−1) ≤ g (m_A + m_B), multiplied through by the masses.
So a decision is exact whenever the inputs are short dyadic numbers, ties included.

Status of a row: 0 done, 1 not finite, 2 too large for the products (the caller rescales).
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from coset.sharing.kernels.buckets import classify, plan_buckets
from coset.sharing.kernels.sorting import (
    arrange,
    gather_back,
    scatter,
    sort_buckets,
    unsort_buckets,
)

__all__ = [
    "find_direction",
    "label_ranks",
    "largest_pattern",
    "move_ranks",
    "pool",
    "prox_rows",
    "prox_sorted_rows",
    "restore_order",
]


# A typed zero: a literal argument would have a function compiled for this value alone.
_ZERO = np.int64(0)


@njit(cache=True, nogil=True)
def _next_contact(x, i, span, reach):
    """Return the first j ≥ i with (x[j+1] − x[j]) · span ≤ reach, or len(x) − 1."""
    n = x.size - 1
    stop = min(n, i + 4)
    while i < stop:
        if (np.float64(x[i + 1]) - np.float64(x[i])) * span <= reach:
            return i
        i += 1
    # Far from contacts: 32 comparisons at a time, which the compiler turns into vector code (of a
    # slice: it cannot know that i ≥ 0, and a negative index would count from the end).
    while i + 32 <= n:
        part, hits = x[i : i + 33], 0
        for j in range(32):
            gap = np.float64(part[j + 1]) - np.float64(part[j])
            hits += int(gap * span <= reach)
        if hits:
            break
        i += 32
    while i < n and (np.float64(x[i + 1]) - np.float64(x[i])) * span > reach:
        i += 1
    return i


@njit(cache=True, nogil=True)
def _absorb_right(x, base, total, e, mass, span, g):
    """Absorb single ranks from `e` on; return the new sum and end."""
    n, m = x.size, np.float64(mass)
    while e < n:
        gap = np.float64(x[e]) - base
        if (gap * m - total) * span > g * m * (m + 1.0):
            break
        total += gap
        m += 1.0
        e += 1
    return total, e


@njit(cache=True, nogil=True)
def pool(x, g, first, last, sums):
    """Find the blocks of mass > 1 of a sorted row; return their number and the merge tests made."""
    n = x.size
    span, reach = np.float64(n - 1), 2.0 * g
    i, count, tests = _ZERO, 0, n - 1
    while True:
        i = _next_contact(x, i, span, reach)
        if i >= n - 1:
            return count, tests
        a, e, base = i, i + 2, np.float64(x[i])
        total = np.float64(x[i + 1]) - base
        moved = True
        while moved:
            moved = False
            before = e
            total, e = _absorb_right(x, base, total, e, e - a, span, g)
            tests += e - before + 1
            m = np.float64(e - a)
            while a > 0:
                tests += 1
                if count > 0 and last[count - 1] == a:
                    f = first[count - 1]
                    mass, other = np.float64(a - f), sums[count - 1]
                    gap = base - np.float64(x[f])
                    lead = gap * m * mass + total * mass - other * m
                    if lead * span > g * m * mass * (m + mass):
                        break
                    total += other + gap * m
                    count -= 1
                    a = f
                else:
                    gap = base - np.float64(x[a - 1])
                    if (gap * m + total) * span > g * m * (m + 1.0):
                        break
                    total += gap * m
                    a -= 1
                base, m, moved = np.float64(x[a]), np.float64(e - a), True
        first[count], last[count], sums[count] = a, e, total
        count += 1
        i = e
        if i >= n - 1:
            # The last rank, if any is left, was tested against this block.
            return count, tests


@njit(cache=True, nogil=True)
def _moved(mean, drift, l1, keep):
    """Position after the motion: zero iff |mean + drift| < l1, else shifted by the kept part."""
    y = mean + drift
    if l1 > 0:
        if abs(y) < l1:
            return 0.0
        pull = l1 if y > 0 else -l1
        return y - pull if keep == 1.0 else mean + keep * (drift - pull)
    return y if keep == 1.0 else mean + keep * drift


@njit(cache=True, nogil=True)
def _glide(part, start, n, g, l1, keep):
    """Move the ranks from `start` on as if none had met another."""
    # Differences of integers: exact in float64.
    span, top = np.float64(n - 1), np.float64(n - 1) - 2.0 * start
    if l1 > 0 or keep != 1.0:
        for j in range(part.size):
            part[j] = _moved(np.float64(part[j]), g * (top - 2.0 * j) / span, l1, keep)
    elif part.itemsize == 4:
        # A product instead of a quotient: an error of 2⁻⁵² that rounding to float32 hides.
        step = g / span
        for j in range(part.size):
            part[j] = np.float64(part[j]) + step * (top - 2.0 * j)
    else:
        for j in range(part.size):
            part[j] = np.float64(part[j]) + g * (top - 2.0 * j) / span


@njit(cache=True, nogil=True)
def move_ranks(x, start, stop, blocks, g, l1, keep, first, last, sums):
    """Replace the sorted ranks [start, stop) by their prox.

    Args:
        x: (n,) the whole sorted row.
        start: first rank; no block of mass > 1 may reach across it.
        stop: end of the ranks, likewise.
        blocks: (j, k): the blocks of mass > 1 among the ranks are j … k − 1.
        g: the strength.
        l1: as in the prox.
        keep: 1 − rewind.
        first: first rank of each block of mass > 1.
        last: end of each such block.
        sums: sum of x_r − x_first of each such block.

    Returns:
        Whether the ranks are in order afterwards; if not, see `restore_order`.
    """
    n, span = x.size, np.float64(x.size - 1)
    low, high = blocks
    for k in range(low, high):
        sums[k] = np.float64(x[first[k]]) + sums[k] / np.float64(last[k] - first[k])
    _glide(x[start:stop], start, n, g, l1, keep)
    for k in range(low, high):
        a, e = first[k], last[k]
        sites = n - a - e
        drift = g * np.float64(sites) / span if sites != 0 else 0.0
        value = _moved(sums[k], drift, l1, keep)
        part = x[a:e]
        for j in range(part.size):
            part[j] = value
    part, falls = x[start:stop], 0
    for j in range(1, part.size):
        falls += int(part[j] < part[j - 1])
    return falls == 0


@njit(cache=True, nogil=True)
def restore_order(x):
    """Undo inversions by a rounding error between blocks that nearly touch."""
    for j in range(1, x.size):
        x[j] = max(x[j], x[j - 1])


@njit(cache=True, nogil=True)
def move(x, g, l1, keep, count, first, last, sums):
    """Replace the sorted row by its prox, given its blocks of mass > 1."""
    ordered = move_ranks(x, _ZERO, x.size, (_ZERO, count), g, l1, keep, first, last, sums)
    if not ordered and (l1 == 0.0 or keep == 1.0):
        restore_order(x)


@njit(cache=True, nogil=True)
def label_ranks(labels, start, blocks, first, last):
    """Write the block number of each rank from `start` on; arguments as in `move_ranks`."""
    low, high = blocks
    block, j = start, start
    for k in range(low):
        block -= last[k] - first[k] - 1
    for k in range(low, high):
        while j < first[k]:
            labels[j - start] = block
            block, j = block + 1, j + 1
        while j < last[k]:
            labels[j - start] = block
            j += 1
        block += 1
    for i in range(j - start, labels.size):
        labels[i] = block
        block += 1


@njit(cache=True, nogil=True)
def largest_pattern(bits, mask):
    """Return the bit pattern of the largest magnitude; NaN and infinity lie above all others."""
    largest = bits[0] & mask
    for i in range(bits.size):
        largest = max(largest, bits[i] & mask)
    return largest


@njit(cache=True, nogil=True)
def _is_monotone(x, sign):
    """Tell whether sign · x is in order; rows in no order are left after 64 elements."""
    for i in range(0, x.size - 1, 64):
        part, falls = x[i : i + 65], 0
        for j in range(part.size - 1):
            falls += int(sign * part[j] > sign * part[j + 1])
        if falls:
            return False
    return True


@njit(cache=True, nogil=True)
def prox_sorted_rows(x, strength, l1, keep, labels, tests):
    """Replace each sorted row of `x` by its prox; `labels` (if not empty) gets block numbers."""
    rows, n = x.shape
    first, last = np.empty(n // 2 + 1, np.int32), np.empty(n // 2 + 1, np.int32)
    sums = np.empty(n // 2 + 1)
    for r in range(rows):
        count = 0
        if strength[r] > 0:
            count, tests[r] = pool(x[r], strength[r], first, last, sums)
        move(x[r], strength[r], l1[r], keep, count, first, last, sums)
        if labels.size:
            label_ranks(labels[r], _ZERO, (_ZERO, count), first, last)


@njit(cache=True, nogil=True)
def find_direction(x, g):
    """Return 1 for a row in order, −1 for one in reverse order (if g > 0), else 0."""
    one = x.dtype.type(1)
    if _is_monotone(x, one):
        return 1
    # Reversing swaps ties, which are one block if g > 0.
    return -1 if g > 0 and _is_monotone(x, -one) else 0


@njit(cache=True, nogil=True)
def _sort_row(x, bits, mask, out, work):
    """Write the sorted row to `out`; return the starts of the buckets."""
    bucket, order, stream, _ = work
    plan = plan_buckets(x, bits, mask)
    num = plan[0]
    counts = np.zeros((1, num), np.uint32)
    if num == 1:
        starts = np.zeros(2, np.int64)
        starts[1] = x.size
        sort_buckets(bits, mask, starts, _ZERO, num, order, out)
        return starts
    classify(x, bits, mask, plan, bucket, counts[0])
    starts = arrange(counts)
    scatter(x, bucket, counts[0], stream)
    sort_buckets(stream.view(bits.dtype), mask, starts, _ZERO, num, order, out)
    return starts


@njit(cache=True, nogil=True)
def _copy(source, target):
    # A loop: numba takes seconds to compile the assignment of a slice.
    for j in range(target.size):
        target[j] = source[j]


@njit(cache=True, nogil=True)
def _unsort_row(ranked, starts, work, stream, out):
    bucket, order = work[0], work[1]
    num = starts.size - 1
    unsort_buckets(ranked, starts, _ZERO, num, order, stream)
    if num == 1:
        _copy(stream, out)
    else:
        cursor = np.empty(num, np.uint32)
        for b in range(num):
            cursor[b] = starts[b]
        gather_back(stream, bucket, cursor, out)


@njit(cache=True, nogil=True)
def _prox_row(x, bits, mask, g, l1, keep, out, index, work):
    """Write the prox of one row and (if `index` is not empty) its block numbers; return tests."""
    n = x.size
    stream, sums = work[2], work[3]
    direction = find_direction(x, g)
    starts = np.empty(0, np.int64)
    if direction == 0:
        starts = _sort_row(x, bits, mask, out, work)
    for j in range(n if direction == 1 else 0):
        out[j] = x[j] + x.dtype.type(0)
    for j in range(n if direction == -1 else 0):
        out[j] = x[n - 1 - j] + x.dtype.type(0)
    # The scattered row has done its work, blocks of mass > 1 are at most half as many as weights.
    spare = stream.view(np.int32)
    first, last = spare[: n // 2], spare[n // 2 : 2 * (n // 2)]
    count, tests = 0, 0
    if g > 0 and direction == 1 and x[0] == x[n - 1]:
        count, tests, first[0], last[0], sums[0] = 1, n - 1, 0, n, 0.0
    elif g > 0:
        count, tests = pool(out, g, first, last, sums)
    move(out, g, l1, keep, count, first, last, sums)
    labels = sums.view(np.int32)[: index.size]
    if index.size:
        label_ranks(labels, _ZERO, (_ZERO, count), first, last)
    if direction == 0:
        _unsort_row(out, starts, work, stream, out)
        if index.size:
            _unsort_row(labels, starts, work, spare[:n], index)
    elif direction == 1:
        _copy(labels, index)
    else:
        _copy(out, stream)
        for j in range(n):
            out[j] = stream[n - 1 - j]
        for j in range(index.size):
            index[j] = labels[n - 1 - j]
    return tests


@njit(cache=True, nogil=True)
def prox_rows(x, bits, limits, strength, l1, keep, out, index, tests, work):
    """Write the prox of each row.

    Args:
        x: (rows, n) float32 or float64, n ≥ 2.
        bits: x's memory as signed integers of the same width.
        limits: (mask, pattern of infinity, smallest pattern that is too large), of bits' type; a
            0 switches the check off.
        strength: (rows,) float64, ≥ 0.
        l1: (rows,) float64, ≥ 0.
        keep: 1 − rewind.
        out: (rows, n), x's type.
        index: (rows, n) int32, or (rows, 0) when block numbers are not wanted.
        tests: (rows,) int64: gets the number of merge tests.
        work: bucket uint16, order uint32, stream of x's type, each (n,), and sums float64
            (n // 2 + 1,); a row that is one bucket leaves `bucket` alone, which may be empty.

    Returns:
        (status, row) of the first row that could not be done, or (0, −1).
    """
    mask, infinity, huge = limits
    for r in range(x.shape[0]):
        largest = largest_pattern(bits[r], mask)
        if largest >= infinity and infinity > 0:
            return 1, r
        if largest >= huge and huge > 0:
            return 2, r
        identity = strength[r] == 0.0 and l1[r] == 0.0
        if identity and index.shape[1] == 0:
            _copy(x[r], out[r])
            continue
        tests[r] = _prox_row(x[r], bits[r], mask, strength[r], l1[r], keep, out[r], index[r], work)
        if identity:
            _copy(x[r], out[r])
    return 0, -1
