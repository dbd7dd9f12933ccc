"""Stable sort of one row for numba without random access to main memory, and the way back.

A row that fits the second-level cache is sorted by two counting passes over the leading bits of its
keys. A longer one is first scattered into buckets that fit (arrival order is kept, so no index is
stored), each of them is sorted so, and the way back replays the scatter, reading each bucket as a
stream. Every step takes a part of the row or of its buckets, so that threads can share it.

Legend: n = length of the row; bits = the row's bit patterns as signed integers; mask = all bits but
the sign; key = the order-preserving signed integer of a float (−0.0 and +0.0 have the key 0);
order[j] = place inside the bucket, in order of arrival, of the element of rank j; starts = first
rank of each bucket and, at the end, n; cursor = where the next element of each bucket goes.

A kernel that calls across files is not recompiled from numba's cache when only this file changes:
delete __pycache__ after editing it.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "arrange",
    "gather_back",
    "key_of",
    "scatter",
    "sort_bucket",
    "sort_buckets",
    "unsort_buckets",
]

_INSERTION = 32  # below this many elements, insertion sort
_SMALL = 500  # below this many elements, digits of 8 bits instead of 11


@njit(cache=True, nogil=True)
def key_of(pattern, mask):
    """Return the order-preserving signed integer of a float, given its bits."""
    b = np.int64(pattern)
    k = b ^ ((b >> 63) & mask)
    return k + np.int64(k == -1)


@njit(cache=True, nogil=True)
def _insertion_sort(values, order):
    """Sort nearly sorted `values` and `order` with them; give up (False) after n moves."""
    n = values.size
    budget = n + _INSERTION * _INSERTION
    for start in range(1, n, 32):
        # A comparison of 32 pairs at a time becomes vector code; most find nothing to do.
        part, falls = values[start - 1 : start + 32], 0
        for j in range(1, part.size):
            falls += int(part[j - 1] > part[j])
        if falls == 0:
            continue
        for j in range(start, min(n, start + 32)):
            v = values[j]
            if values[j - 1] <= v:
                continue
            o, p = order[j], j
            while p > 0 and values[p - 1] > v:
                values[p], order[p] = values[p - 1], order[p - 1]
                p -= 1
            values[p], order[p] = v, o
            budget -= j - p
            if budget < 0:
                return False
    return True


@njit(cache=True, nogil=True)
def _all_digits(bits, mask, low, num_bits, order, spare, counts):
    """Sort `order` by every bit of the keys."""
    n = bits.size
    for j in range(n):
        order[j] = j
    for shift in range(0, num_bits, 11):
        drop = np.uint64(shift)
        for c in range(2048):
            counts[c] = 0
        for j in range(n):
            counts[((np.uint64(key_of(bits[j], mask)) - low) >> drop) & np.uint64(2047)] += 1
        _cumulate(counts[:2048])
        for j in range(n):
            o = order[j]
            digit = ((np.uint64(key_of(bits[o], mask)) - low) >> drop) & np.uint64(2047)
            spare[counts[digit]] = o
            counts[digit] += 1
        for j in range(n):
            order[j] = np.uint32(spare[j])


@njit(cache=True, nogil=True)
def _cumulate(counts):
    """Replace counts by the sums of those before them."""
    total = 0
    for c in range(counts.size):
        total, counts[c] = total + counts[c], total


@njit(cache=True, nogil=True)
def _leading_digits(bits, mask, low, shift, width, order, out, spare, counts):
    """Sort by the 2 · width bits above `shift` of key − low; write the order and the values."""
    n, size = bits.size, 1 << width
    lower, upper = counts[:size], counts[size : 2 * size]
    for c in range(2 * size):
        counts[c] = 0
    digit_mask = np.uint64(size - 1)
    drop, step, up = np.uint64(shift), np.uint64(width), np.uint64(32)
    for j in range(n):
        t = (np.uint64(key_of(bits[j], mask)) - low) >> drop
        lower[t & digit_mask] += 1
        upper[t >> step] += 1
    _cumulate(lower)
    _cumulate(upper)
    if bits.itemsize == 4:
        # A key and a place fill one word, so that values need not be gathered afterwards.
        patterns = out.view(bits.dtype)
        for j in range(n):
            k = np.uint64(key_of(bits[j], mask)) - low
            digit = (k >> drop) & digit_mask
            p = lower[digit]
            spare[p] = (k << up) | np.uint64(j)
            lower[digit] = p + 1
        for j in range(n):
            v = spare[j]
            k = v >> up
            digit = k >> (drop + step)
            p = upper[digit]
            order[p] = np.uint32(v)
            k = np.int64(k + low)
            patterns[p] = k ^ ((k >> 63) & mask)
            upper[digit] = p + 1
    else:
        for j in range(n):
            t = (np.uint64(key_of(bits[j], mask)) - low) >> drop
            digit = t & digit_mask
            p = lower[digit]
            spare[p] = (t << up) | np.uint64(j)
            lower[digit] = p + 1
        for j in range(n):
            v = spare[j]
            digit = v >> (up + step)
            p = upper[digit]
            order[p] = np.uint32(v)
            upper[digit] = p + 1
        _gather(bits, mask, order, out)


@njit(cache=True, nogil=True)
def _gather(bits, mask, order, out):
    patterns = out.view(bits.dtype)
    for j in range(bits.size):
        k = key_of(bits[order[j]], mask)
        patterns[j] = k ^ ((k >> 63) & mask)


@njit(cache=True, nogil=True)
def _span(bits, mask):
    """Return the smallest key, and the number of bits of the largest one less the smallest."""
    smallest = largest = key_of(bits[0], mask)
    for j in range(bits.size):
        k = key_of(bits[j], mask)
        smallest, largest = min(smallest, k), max(largest, k)
    low = np.uint64(smallest)
    span, num_bits = np.uint64(largest) - low, 0
    while num_bits < 64 and (span >> np.uint64(num_bits)) != 0:
        num_bits += 1
    return low, num_bits


@njit(cache=True, nogil=True)
def _num_leading_bits(n):
    """Return how many bits to sort by: digits of half of them cost less than the elements."""
    return 16 if n < _SMALL else 22


@njit(cache=True, nogil=True)
def sort_bucket(bits, mask, order, out, spare, counts):
    """Write the stable order of one bucket and its sorted values."""
    n = bits.size
    if n <= _INSERTION:
        for j in range(n):
            order[j] = j
        _gather(bits, mask, order, out)
        _insertion_sort(out, order)
        return
    low, num_bits = _span(bits, mask)
    if num_bits == 0:
        for j in range(n):
            order[j] = j
        _gather(bits[:1], mask, order, out)
        for j in range(1, n):
            out[j] = out[0]
        return
    kept = min(num_bits, _num_leading_bits(n))
    shift = num_bits - kept
    _leading_digits(bits, mask, low, shift, (kept + 1) // 2, order, out, spare, counts)
    if shift > 0 and not _insertion_sort(out, order):
        patterns, start = out.view(bits.dtype), 0
        drop, cell = (
            np.uint64(shift),
            (np.uint64(key_of(patterns[0], mask)) - low) >> np.uint64(shift),
        )
        for j in range(1, n + 1):
            if j < n:
                here = (np.uint64(key_of(patterns[j], mask)) - low) >> drop
                if here == cell:
                    continue
                cell = here
            _sort_run(patterns[start:j], mask, order[start:j], out[start:j], spare, counts)
            start = j


@njit(cache=True, nogil=True)
def _sort_run(bits, mask, order, out, spare, counts):
    """Sort elements of equal leading bits, in order of arrival; bits, out: the same memory."""
    n = bits.size
    if n <= _INSERTION:
        _insertion_sort(out, order)
        return
    low, num_bits = _span(bits, mask)
    if num_bits == 0:
        return
    before, source, places = order.copy(), bits.copy(), np.empty(n, np.uint32)
    # A run is short, and dense in its leading bits.
    kept = min(num_bits, 10 if n < 128 else _num_leading_bits(n))
    shift = num_bits - kept
    _leading_digits(source, mask, low, shift, (kept + 1) // 2, places, out, spare, counts)
    if shift > 0 and not _insertion_sort(out, places):
        _all_digits(source, mask, low, num_bits, places, spare, counts)
        _gather(source, mask, places, out)
    for j in range(n):
        order[j] = before[places[j]]


@njit(cache=True, nogil=True)
def arrange(counts):
    """Turn the counts (parts, buckets) into the cursors of each part; return the starts."""
    parts, num = counts.shape
    starts, total = np.empty(num + 1, np.int64), np.int64(0)
    for b in range(num):
        starts[b] = total
        for t in range(parts):
            here = counts[t, b]
            counts[t, b] = total
            total += np.int64(here)
    starts[num] = total
    return starts


@njit(cache=True, nogil=True)
def scatter(x, bucket, cursor, stream):
    """Append each element of a part of the row to its bucket."""
    for i in range(x.size):
        b = bucket[i]
        p = cursor[b]
        stream[p] = x[i]
        cursor[b] = p + 1


@njit(cache=True, nogil=True)
def sort_buckets(bits, mask, starts, first, stop, order, out):
    """Sort the buckets first … stop − 1 of the scattered row `bits` into `order` and `out`."""
    largest = 0
    for b in range(first, stop):
        largest = max(largest, starts[b + 1] - starts[b])
    spare, counts = np.empty(largest, np.uint64), np.empty(4096, np.uint32)
    for b in range(first, stop):
        i, j = starts[b], starts[b + 1]
        sort_bucket(bits[i:j], mask, order[i:j], out[i:j], spare, counts)


@njit(cache=True, nogil=True)
def unsort_buckets(ranked, starts, first, stop, order, stream):
    """Bring values from the order of ranks to the order of arrival in their bucket."""
    for b in range(first, stop):
        i, j = starts[b], starts[b + 1]
        source, places, target = ranked[i:j], order[i:j], stream[i:j]
        for k in range(j - i):
            target[places[k]] = source[k]


@njit(cache=True, nogil=True)
def gather_back(stream, bucket, cursor, out):
    """Take each element of a part of the row from its bucket, as `scatter` put it there."""
    for i in range(out.size):
        b = bucket[i]
        p = cursor[b]
        out[i] = stream[p]
        cursor[b] = p + 1
