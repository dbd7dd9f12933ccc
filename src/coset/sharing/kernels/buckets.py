"""Buckets for one long row, chosen from a sample of it, and which element belongs to which.

Legend: as in `sorting`; num = number of buckets; heavy = the most frequent value of the sample, if
it is frequent: it gets a bucket of its own, which needs no sorting.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from coset.sharing.kernels.sorting import key_of, sort_bucket

__all__ = ["ONE_BUCKET", "classify", "plan_buckets"]

ONE_BUCKET = 1 << 18  # up to this many bytes a row is one bucket: it fits the second-level cache
# Elements that a bucket aims at: the more, the more of the second-level cache it takes; the fewer,
# the more buckets there are, and scattering into over _FEW of them misses the first-level cache.
_BUCKET, _LARGE_BUCKET = 4096, 16384
_FEW, _MAX_BUCKETS = 512, 4096
_MAX_CELLS = 1 << 16
_SAMPLE = 4096
_LARGEST = np.iinfo(np.int64).max


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
    sort_bucket(values.view(bits.dtype), mask, order, ordered, spare, counts)
    keys = np.empty(m, np.int64)
    patterns = ordered.view(bits.dtype)
    for j in range(m):
        keys[j] = key_of(patterns[j], mask)
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
def _classify_by_table(bits, mask, table, low, shift, heavy, bucket):
    """Bucket = table[(key − low) >> shift], with the key `heavy` alone in a bucket of its own."""
    drop, top = np.uint64(shift), np.uint64(table.size - 1)
    for i in range(bits.size):
        k = key_of(bits[i], mask)
        cell = np.uint64(max(k, low) - low) >> drop
        bucket[i] = table[min(cell, top)] + np.uint16(k >= heavy) + np.uint16(k > heavy)


@njit(cache=True, nogil=True)
def _classify_by_cuts(bits, mask, cuts, bucket):
    """Bucket = how many cuts lie below the key; the number of cuts is a power of two minus one."""
    n, half = bits.size, (cuts.size + 1) // 2
    keys, places = np.empty(64, np.int64), np.empty(64, np.int64)
    for i in range(0, n, 64):
        m = min(64, n - i)
        for j in range(m):
            keys[j] = key_of(bits[i + j], mask)
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
    """Return a place of the most frequent of sorted values if it is a 64th of them, else −1."""
    best, place, run = values.size // 64, -1, 1
    for j in range(1, values.size):
        run = run + 1 if values[j] == values[j - 1] else 1
        if run > best:
            best, place = run, j
    return place


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
def _make_table(keys, num, heavy, shift):
    """Return the bucket of each cell, all about equally full, or nothing if a cell is too full."""
    m, low = keys.size, keys[0]
    drop = np.uint64(shift)
    counts = np.zeros(np.int64(np.uint64(keys[m - 1] - low) >> drop) + 1, np.uint16)
    others, most = np.int64(0), np.int64(0)
    for j in range(m):
        cell = np.uint64(keys[j] - low) >> drop
        counts[cell] += np.uint16(keys[j] != heavy)
        others += np.int64(keys[j] != heavy)
        most = max(most, np.int64(counts[cell]))
    if most > 16 + 8 * m // num:
        return counts[:0]
    before = np.int64(0)
    for c in range(counts.size):
        here = np.int64(counts[c])
        counts[c] = before * num // max(1, others)
        before += here
    # The last cells that no sample fell into would start one bucket more.
    for c in range(counts.size - 1, -1, -1):
        if counts[c] < num:
            break
        counts[c] = num - 1
    return counts


@njit(cache=True, nogil=True)
def plan_buckets(x, bits, mask):
    """Choose the buckets of a row from a sample of it.

    Three ways, the quickest that fills them about evenly: equal widths; cells of the leading bits
    of the keys, which are narrower for smaller numbers; quantiles.

    Returns:
        (number of buckets, low, scale, top, heavy, first key, shift, heavy key, table, cuts):
        arguments of the functions that classify; one bucket for a row that fits the cache.
    """
    n, zero = x.size, x.dtype.type(0)
    num = min(_MAX_BUCKETS, max(min(_FEW, n // _BUCKET), n // _LARGE_BUCKET))
    cuts, table, none = np.empty(0, np.int64), np.empty(0, np.uint16), np.int64(0)
    if n * x.itemsize <= ONE_BUCKET:
        return 1, zero, zero, zero, zero, none, none, none, table, cuts
    keys, values = _sample_keys(x, bits, mask)
    m = values.size
    low, high = values[min(2, m - 1)], values[max(0, m - 3)]
    width, often = high - low, _most_frequent(values)
    heavy = values[often] if often >= 0 else x.dtype.type(np.inf)
    heavy_key = keys[often] if often >= 0 else np.int64(_LARGEST)
    scale, top = x.dtype.type(num) / width if width > 0 else zero, x.dtype.type(num - 1)
    if 0 < scale < 1e30 and width < 1e30 and _even_enough(values, low, scale, num, heavy):
        return num + 2, low, scale, top, heavy, none, none, none, table, cuts
    num, shift = min(num, 1024), np.int64(0)
    while np.uint64(keys[m - 1] - keys[0]) >> np.uint64(shift) >= _MAX_CELLS:
        shift += 1
    table = _make_table(keys, num, heavy_key, shift)
    if table.size == 0:
        cuts = _choose_cuts(keys, num)
        num = cuts.size - 1
    return num + 2, zero, zero, zero, zero, keys[0], shift, heavy_key, table, cuts


@njit(cache=True, nogil=True)
def classify(x, bits, mask, plan, bucket, counts):
    """Write the bucket of each element of a part of the row; add to `counts`."""
    _, low, scale, top, heavy, first, shift, heavy_key, table, cuts = plan
    if cuts.size:
        _classify_by_cuts(bits, mask, cuts, bucket)
    elif table.size:
        _classify_by_table(bits, mask, table, first, shift, heavy_key, bucket)
    else:
        _classify_evenly(x, low, scale, top, heavy, bucket)
    for i in range(bucket.size):
        counts[bucket[i]] += 1
