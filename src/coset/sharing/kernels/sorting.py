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
    "classify",
    "gather_back",
    "plan_buckets",
    "scatter",
    "sort_buckets",
    "unsort_buckets",
]

_INSERTION = 32  # below this many elements, insertion sort
_SMALL = 3000  # below this many elements, digits of 8 bits instead of 11
_IN_CACHE = 1 << 18  # up to this many bytes, one bucket: it fits the second-level cache
_BUCKET = 1024  # elements a bucket aims at
_MAX_BUCKETS = 4096
_SAMPLE = 4096
_LARGEST = np.iinfo(np.int64).max


@njit(cache=True, nogil=True)
def _key(pattern, mask):
    b = np.int64(pattern)
    k = b ^ ((b >> 63) & mask)
    return k + np.int64(k == -1)


@njit(cache=True, nogil=True)
def _insertion_sort(values, order):
    """Sort nearly sorted `values` and `order` with them; give up (False) after 8 n moves."""
    n = values.size
    budget = 8 * n + _INSERTION * _INSERTION
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
    """Sort `order` by every bit of the keys: for buckets whose leading bits do not separate."""
    n = bits.size
    for j in range(n):
        order[j] = j
    for shift in range(0, num_bits, 11):
        drop = np.uint64(shift)
        for c in range(2048):
            counts[c] = 0
        for j in range(n):
            counts[((np.uint64(_key(bits[j], mask)) - low) >> drop) & np.uint64(2047)] += 1
        _cumulate(counts[:2048])
        for j in range(n):
            o = order[j]
            digit = ((np.uint64(_key(bits[o], mask)) - low) >> drop) & np.uint64(2047)
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
        t = (np.uint64(_key(bits[j], mask)) - low) >> drop
        lower[t & digit_mask] += 1
        upper[t >> step] += 1
    _cumulate(lower)
    _cumulate(upper)
    if bits.itemsize == 4:
        # A key and a place fill one word, so that values need not be gathered afterwards.
        patterns = out.view(bits.dtype)
        for j in range(n):
            k = np.uint64(_key(bits[j], mask)) - low
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
            t = (np.uint64(_key(bits[j], mask)) - low) >> drop
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
        k = _key(bits[order[j]], mask)
        patterns[j] = k ^ ((k >> 63) & mask)


@njit(cache=True, nogil=True)
def _sort_bucket(bits, mask, order, out, spare, counts):
    """Write the stable order of one bucket and its sorted values."""
    n = bits.size
    if n <= _INSERTION:
        for j in range(n):
            order[j] = j
        _gather(bits, mask, order, out)
        _insertion_sort(out, order)
        return
    smallest = largest = _key(bits[0], mask)
    for j in range(n):
        k = _key(bits[j], mask)
        smallest, largest = min(smallest, k), max(largest, k)
    low = np.uint64(smallest)
    span, num_bits = np.uint64(largest) - low, 0
    while num_bits < 64 and (span >> np.uint64(num_bits)) != 0:
        num_bits += 1
    if num_bits == 0:
        patterns = out.view(bits.dtype)
        for j in range(n):
            order[j] = j
            patterns[j] = smallest ^ ((smallest >> 63) & mask)
        return
    kept = min(num_bits, 16 if n < _SMALL else 22)
    width = (kept + 1) // 2
    _leading_digits(bits, mask, low, num_bits - kept, width, order, out, spare, counts)
    if num_bits > kept and not _insertion_sort(out, order):
        _all_digits(bits, mask, low, num_bits, order, spare, counts)
        _gather(bits, mask, order, out)


@njit(cache=True, nogil=True)
def _sample_keys(x, bits, mask):
    """Return the sorted keys of a fixed pseudo-random sample, and their values."""
    n = x.size
    m = min(_SAMPLE, n // 4)
    values, zero = np.empty(m, x.dtype), x.dtype.type(0)
    for j in range(m):
        # A Weyl sequence: spread evenly, and in step with no period of the data.
        values[j] = (
            zero
            + x[(np.uint64(j) * np.uint64(11400714819323198485) >> np.uint64(11)) % np.uint64(n)]
        )
    ordered = np.empty(m, x.dtype)
    order, counts, spare = np.empty(m, np.uint32), np.empty(4096, np.uint32), np.empty(m, np.uint64)
    _sort_bucket(values.view(bits.dtype), mask, order, ordered, spare, counts)
    keys = np.empty(m, np.int64)
    patterns = ordered.view(bits.dtype)
    for j in range(m):
        keys[j] = _key(patterns[j], mask)
    return keys, ordered


@njit(cache=True, nogil=True)
def _classify_evenly(x, low, scale, top, heavy, bucket):
    """Bucket = ⌊(x − low) · scale⌋ clamped to [0, top], with `heavy` alone in a bucket of its own.

    Monotone in floating point, since subtraction and multiplication round monotonically.
    """
    for i in range(x.size):
        t = (x[i] - low) * scale
        t = t if t > 0 else t * 0
        t = t if t < top else top
        b = max(np.int32(0), np.int32(t)) + np.int32(x[i] >= heavy) + np.int32(x[i] > heavy)
        bucket[i] = np.uint16(b)


@njit(cache=True, nogil=True)
def _classify_by_cuts(bits, mask, cuts, bucket):
    """Bucket = how many cuts lie below the key; the number of cuts is a power of two minus one."""
    n, half = bits.size, (cuts.size + 1) // 2
    keys, places = np.empty(64, np.int64), np.empty(64, np.int64)
    for i in range(0, n, 64):
        m = min(64, n - i)
        for j in range(m):
            keys[j] = _key(bits[i + j], mask)
            places[j] = 0
        # Level by level for many keys at once: no branch depends on the data.
        step = half
        while step > 0:
            for j in range(m):
                places[j] += step * np.int64(cuts[places[j] + step - 1] < keys[j])
            step >>= 1
        for j in range(m):
            bucket[i + j] = places[j]


@njit(cache=True, nogil=True)
def _choose_cuts(keys, wanted):
    """Return cuts at the sample's quantiles; a frequent key gets a bucket of its own."""
    m = keys.size
    step = max(4, m // wanted)
    cuts = np.empty(2 * (m // step) + 8, np.int64)
    used, j = 0, step
    while j < m:
        k = keys[j]
        # A key that fills a step between quantiles is cut off on both sides.
        if keys[j - step] == k and (used == 0 or cuts[used - 1] < k - 1):
            cuts[used], used = k - 1, used + 1
        if used == 0 or cuts[used - 1] < k:
            cuts[used], used = k, used + 1
        j += step
    size = 1
    while size < used + 1:
        size *= 2
    padded = np.empty(max(1, size - 1), np.int64)
    for i in range(padded.size):
        padded[i] = cuts[i] if i < used else _LARGEST
    return padded


@njit(cache=True, nogil=True)
def _most_frequent(values):
    """Return the most frequent of sorted values if it is a 64th of them, else infinity."""
    best, heavy, run = values.size // 64, values.dtype.type(np.inf), 1
    for j in range(1, values.size):
        run = run + 1 if values[j] == values[j - 1] else 1
        if run > best:
            best, heavy = run, values[j]
    return heavy


@njit(cache=True, nogil=True)
def _even_enough(values, low, scale, num, heavy):
    counts, bucket = np.zeros(num + 2, np.int64), np.empty(values.size, np.uint16)
    _classify_evenly(values, low, scale, values.dtype.type(num - 1), heavy, bucket)
    most = 0
    for j in range(values.size):
        counts[bucket[j]] += int(values[j] != heavy)
        most = max(most, counts[bucket[j]])
    return most <= 16 + 8 * values.size // num


@njit(cache=True, nogil=True)
def plan_buckets(x, bits, mask):
    """Choose the buckets of a row from a sample of it.

    Returns:
        (number of buckets, low, scale, top, heavy, cuts): the arguments of `_classify_evenly`, or
        if `cuts` is not empty those of `_classify_by_cuts`; one bucket for a row that fits.
    """
    n, zero = x.size, x.dtype.type(0)
    num = min(_MAX_BUCKETS, n // _BUCKET)
    none = np.empty(0, np.int64)
    if n * x.itemsize <= _IN_CACHE:
        return 1, zero, zero, zero, zero, none
    keys, values = _sample_keys(x, bits, mask)
    m = values.size
    low, high = values[min(2, m - 1)], values[max(0, m - 3)]
    width, heavy = high - low, _most_frequent(values)
    scale, top = x.dtype.type(num) / width if width > 0 else zero, x.dtype.type(num - 1)
    if 0 < scale < 1e30 and width < 1e30 and _even_enough(values, low, scale, num, heavy):
        return num + 2, low, scale, top, heavy, none
    cuts = _choose_cuts(keys, min(num, 1024))
    return cuts.size + 1, low, scale, top, heavy, cuts


@njit(cache=True, nogil=True)
def classify(x, bits, mask, plan, bucket, counts):
    """Write the bucket of each element of a part of the row; add to `counts`."""
    _, low, scale, top, heavy, cuts = plan
    if cuts.size:
        _classify_by_cuts(bits, mask, cuts, bucket)
    else:
        _classify_evenly(x, low, scale, top, heavy, bucket)
    for i in range(bucket.size):
        counts[bucket[i]] += 1


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
        _sort_bucket(bits[i:j], mask, order[i:j], out[i:j], spare, counts)


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
