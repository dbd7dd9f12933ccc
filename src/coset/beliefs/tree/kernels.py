"""Sums and maxima over tables that lie one after the other; importing this module imports numba.

A table of a cluster has the axes of its separator first, then the others, the last one fastest. A
smaller table over some of these axes is described for each axis by (size, stride in the smaller
table, 0 if it has no such axis), with neighboring axes merged where possible: a *map*. `Maps` are
many of them: `start[i] … start[i + 1]` are the axes of map i.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = [
    "add_tables",
    "center",
    "collect",
    "collect_least",
    "distribute",
    "make_maps",
    "price",
    "sum_out",
]

MAX_AXES = 64


@njit(cache=True, nogil=True, error_model="numpy")
def make_maps(hosts, host_start, host_vars, small_start, small_vars, small_sizes, cards):
    """Return (start, size, stride) of maps from host clusters to smaller tables.

    `small_sizes`: sizes of the axes of the smaller tables: those of the variables.
    """
    num = len(hosts)
    start = np.zeros(num + 1, np.int64)
    room = 0
    for i in range(num):
        room += max(1, host_start[hosts[i] + 1] - host_start[hosts[i]])
    size, stride = np.ones(room, np.int64), np.zeros(room, np.int64)
    strides = np.zeros(len(cards), np.int64)
    for i in range(num):
        step = 1
        for j in range(small_start[i + 1] - 1, small_start[i] - 1, -1):
            strides[small_vars[j]] = step
            step *= small_sizes[j]
        first = at = start[i]
        for j in range(host_start[hosts[i]], host_start[hosts[i] + 1]):
            v = host_vars[j]
            if cards[v] == 1:
                continue
            if at > first and stride[at - 1] == strides[v] * cards[v]:
                size[at - 1] *= cards[v]
                stride[at - 1] = strides[v]
            else:
                size[at], stride[at] = cards[v], strides[v]
                at += 1
        for j in range(small_start[i], small_start[i + 1]):
            strides[small_vars[j]] = 0
        start[i + 1] = max(at, first + 1)
    return start, size[: start[num]].copy(), stride[: start[num]].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def _next(count, size, stride, first, last, place):
    """Move to the next row of a table; return the place in the smaller one."""
    for k in range(last - 1, first - 1, -1):
        count[k - first] += 1
        place += stride[k]
        if count[k - first] < size[k]:
            return place
        place -= size[k] * stride[k]
        count[k - first] = 0
    return place


@njit(cache=True, nogil=True, error_model="numpy")
def _add(big, small, scale, size, stride, first, last):
    """Add a smaller table, times `scale`, to a table."""
    count = np.zeros(MAX_AXES, np.int64)
    width, step = size[last - 1], stride[last - 1]
    place = 0
    for row in range(0, len(big), width):
        if step == 0:
            value = scale * small[place]
            for k in range(width):
                big[row + k] += value
        else:
            for k in range(width):
                big[row + k] += scale * small[place + k * step]
        place = _next(count, size, stride, first, last - 1, place)


@njit(cache=True, nogil=True, error_model="numpy")
def _sum(big, small, size, stride, first, last):
    """Add the entries of a table to those of a smaller one."""
    count = np.zeros(MAX_AXES, np.int64)
    width, step = size[last - 1], stride[last - 1]
    place = 0
    for row in range(0, len(big), width):
        if step == 0:
            total = 0.0
            for k in range(width):
                total += big[row + k]
            small[place] += total
        else:
            for k in range(width):
                small[place + k * step] += big[row + k]
        place = _next(count, size, stride, first, last - 1, place)


@njit(cache=True, nogil=True, error_model="numpy")
def add_tables(big, at, hosts, small, small_at, scale, start, size, stride):
    """Add many smaller tables to the clusters that host them."""
    for i in range(len(hosts)):
        host = hosts[i]
        _add(
            big[at[host] : at[host + 1]],
            small[small_at[i] : small_at[i + 1]],
            scale,
            size,
            stride,
            start[i],
            start[i + 1],
        )


@njit(cache=True, nogil=True, error_model="numpy")
def sum_out(big, at, hosts, small, small_at, start, size, stride):
    """Write what is left of the clusters when the axes that smaller tables lack are summed out."""
    small[:] = 0.0
    for i in range(len(hosts)):
        host = hosts[i]
        _sum(
            big[at[host] : at[host + 1]],
            small[small_at[i] : small_at[i + 1]],
            size,
            stride,
            start[i],
            start[i + 1],
        )


@njit(cache=True, nogil=True, error_model="numpy")
def collect(tables, at, parent, message, message_at, start, size, stride):
    """Make log conditionals of log weights, in place, from the leaves to the roots.

    Cluster c, in the order of which children come before parents, becomes log μ(rest | separator),
    and its sums of exponentials are added to its parent. Returns the log of the total weight.
    """
    log_total = 0.0
    for c in range(len(parent)):
        table = tables[at[c] : at[c + 1]]
        sums = message[message_at[c] : message_at[c + 1]]
        width = len(table) // len(sums)
        for s in range(len(sums)):
            row = table[s * width : (s + 1) * width]
            top = -np.inf
            for k in range(width):
                top = max(top, row[k])
            if top == -np.inf:
                sums[s] = -np.inf
                continue
            total = 0.0
            for k in range(width):
                total += np.exp(row[k] - top)
            sums[s] = top + np.log(total)
            for k in range(width):
                row[k] -= sums[s]
        p = parent[c]
        if p < 0:
            log_total += sums[0]
        else:
            _add(tables[at[p] : at[p + 1]], sums, 1.0, size, stride, start[c], start[c + 1])
    return log_total


@njit(cache=True, nogil=True, error_model="numpy")
def distribute(log_conditional, mass, at, parent, message, message_at, start, size, stride):
    """Write the probabilities of the clusters, from the roots to the leaves."""
    for c in range(len(parent) - 1, -1, -1):
        p = parent[c]
        above = message[message_at[c] : message_at[c + 1]]
        above[:] = 0.0
        if p < 0:
            above[0] = 1.0
        else:
            _sum(mass[at[p] : at[p + 1]], above, size, stride, start[c], start[c + 1])
        width = (at[c + 1] - at[c]) // len(above)
        for s in range(len(above)):
            begin = at[c] + s * width
            if above[s] > 0:
                for k in range(begin, begin + width):
                    mass[k] = above[s] * np.exp(log_conditional[k])
            else:
                mass[begin : begin + width] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def collect_least(tables, at, parent, message, message_at, start, size, stride):
    """Return the least sum of costs over all worlds; roots end as least costs of their values."""
    least = 0.0
    for c in range(len(parent)):
        sums = message[message_at[c] : message_at[c + 1]]
        width = (at[c + 1] - at[c]) // len(sums)
        for s in range(len(sums)):
            low = np.inf
            for k in range(at[c] + s * width, at[c] + (s + 1) * width):
                low = min(low, tables[k])
            sums[s] = low
        p = parent[c]
        if p < 0:
            least += sums[0]
        else:
            _add(tables[at[p] : at[p + 1]], sums, 1.0, size, stride, start[c], start[c + 1])
    return least


@njit(cache=True, nogil=True, error_model="numpy")
def center(tables, mass, log_conditional, at, parent, message, message_at, start, size, stride):
    """Move the expectation of each row to the parent, in place: E[table | separator] = 0 after.

    Roots keep their tables, with what children moved there. In a row without probability the
    conditional decides.
    """
    for c in range(len(parent)):
        p = parent[c]
        if p < 0:
            continue
        sums = message[message_at[c] : message_at[c + 1]]
        width = (at[c + 1] - at[c]) // len(sums)
        for s in range(len(sums)):
            begin = at[c] + s * width
            mean, total = 0.0, 0.0
            for k in range(begin, begin + width):
                mean += mass[k] * tables[k]
                total += mass[k]
            if total > 0:
                mean /= total
            else:
                for k in range(begin, begin + width):
                    mean += np.exp(log_conditional[k]) * tables[k]
            sums[s] = mean
            for k in range(begin, begin + width):
                tables[k] -= mean
        _add(tables[at[p] : at[p + 1]], sums, 1.0, size, stride, start[c], start[c + 1])


@njit(cache=True, nogil=True, error_model="numpy")
def price(marginal, at, width, weight, linear, log_p, forbidden, log_conditional, slope):
    """Write what each belief adds to the gradient of the score; return what they add to the score.

    `marginal`: μ(s, t) of the beliefs, rows of targets of `width` entries; `log_conditional`: log
    μ(t | s), in and out, left as it is in rows without probability (less than 1e-280), where any
    serves; `slope`: c log μ(t | s) − b log p(t | s), 0 where that is forbidden.
    """
    score = 0.0
    for i in range(len(width)):
        for begin in range(at[i], at[i + 1], width[i]):
            total = 0.0
            for k in range(begin, begin + width[i]):
                total += marginal[k]
            for k in range(begin, begin + width[i]):
                if forbidden[k]:
                    slope[k] = 0.0
                    continue
                # Below, the least positive entry would make a row sum to more than 1.
                if weight[i] != 0 and total > 1e-280:
                    log_conditional[k] = np.log(max(marginal[k], 1e-300)) - np.log(total)
                slope[k] = weight[i] * log_conditional[k] - linear[i] * log_p[k]
                score += marginal[k] * slope[k]
    return score
