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

from coset.sharing.kernels.sorting import find_buckets, sort_buckets, unsort

__all__ = ["prox_rows", "prox_sorted_rows"]


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
    i, count, tests = 0, 0, n - 1
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
def move(x, g, l1, keep, count, first, last, sums):
    """Replace the sorted row by its prox, given its blocks of mass > 1."""
    n = x.size
    span = np.float64(n - 1)
    for k in range(count):
        sums[k] = np.float64(x[first[k]]) + sums[k] / np.float64(last[k] - first[k])
    if l1 > 0 or keep != 1.0:
        for j in range(n):
            x[j] = _moved(np.float64(x[j]), g * (span - 2.0 * j) / span, l1, keep)
    elif x.itemsize == 4:
        # A product instead of a quotient: an error of 2⁻⁵² that rounding to float32 hides.
        step = g / span
        for j in range(n):
            x[j] = np.float64(x[j]) + step * (span - 2.0 * j)
    else:
        for j in range(n):
            x[j] = np.float64(x[j]) + g * (span - 2.0 * j) / span
    for k in range(count):
        a, e = first[k], last[k]
        sites = n - a - e
        drift = g * np.float64(sites) / span if sites != 0 else 0.0
        value = _moved(sums[k], drift, l1, keep)
        x[a] = x[a + 1] = value
        if e - a > 2:
            x[a + 2 : e] = value
    if l1 == 0.0 or keep == 1.0:
        _keep_order(x)


@njit(cache=True, nogil=True)
def _keep_order(x):
    """Undo inversions by a rounding error between blocks that nearly touch."""
    inversions = 0
    for j in range(1, x.size):
        inversions += int(x[j] < x[j - 1])
    if inversions:
        for j in range(1, x.size):
            x[j] = max(x[j], x[j - 1])


@njit(cache=True, nogil=True)
def _label(count, first, last, labels):
    """Write the block number of each rank."""
    block, j = 0, 0
    for k in range(count):
        while j < first[k]:
            labels[j] = block
            block, j = block + 1, j + 1
        while j < last[k]:
            labels[j] = block
            j += 1
        block += 1
    while j < labels.size:
        labels[j] = block
        block, j = block + 1, j + 1


@njit(cache=True, nogil=True)
def _largest_pattern(bits, mask):
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
            _label(count, first, last, labels[r])


@njit(cache=True, nogil=True)
def _prox_row(x, bits, mask, g, l1, keep, out, index, work):
    """Write the prox of one row and (if `index` is not empty) its block numbers; return tests."""
    bucket, order, stream, ranked, first, last, sums = work
    n = x.size
    one, direction = x.dtype.type(1), 0
    if _is_monotone(x, one):
        direction = 1
    elif g > 0 and _is_monotone(x, -one):
        # Reversing swaps ties, which are one block if g > 0.
        direction = -1
    if direction == 1:
        ranked = out
        for j in range(n):
            ranked[j] = x[j] + x.dtype.type(0)
    elif direction == -1:
        for j in range(n):
            ranked[j] = x[n - 1 - j] + x.dtype.type(0)
    else:
        starts = find_buckets(x, bits, mask, bucket)
        sort_buckets(x, bits, mask, bucket, starts, stream, order, ranked)
    count, tests = 0, 0
    if g > 0 and direction == 1 and x[0] == x[n - 1]:
        count, tests, first[0], last[0], sums[0] = 1, n - 1, 0, n, 0.0
    elif g > 0:
        count, tests = pool(ranked, g, first, last, sums)
    move(ranked, g, l1, keep, count, first, last, sums)
    labels = np.empty(index.size, np.int32)
    if index.size:
        _label(count, first, last, labels)
    if direction == 1:
        for j in range(index.size):
            index[j] = labels[j]
    elif direction == -1:
        for j in range(n):
            out[j] = ranked[n - 1 - j]
        for j in range(index.size):
            index[j] = labels[n - 1 - j]
    else:
        unsort(ranked, bucket, starts, order, stream, out)
        if index.size:
            unsort(labels, bucket, starts, order, np.empty(n, np.int32), index)
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
        work: bucket uint16, order uint32, stream and ranked of x's type, each (n,); first and
            last int32 and sums float64, each (n // 2 + 1,).

    Returns:
        (status, row) of the first row that could not be done, or (0, −1).
    """
    mask, infinity, huge = limits
    for r in range(x.shape[0]):
        largest = _largest_pattern(bits[r], mask)
        if largest >= infinity and infinity > 0:
            return 1, r
        if largest >= huge and huge > 0:
            return 2, r
        identity = strength[r] == 0.0 and l1[r] == 0.0
        if identity and index.shape[1] == 0:
            out[r] = x[r]
            continue
        tests[r] = _prox_row(x[r], bits[r], mask, strength[r], l1[r], keep, out[r], index[r], work)
        if identity:
            out[r] = x[r]
    return 0, -1
