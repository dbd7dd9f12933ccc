"""Scores and gradients from tables of beliefs as compiled loops; imports numba.

Arrays are (rows, lanes): rows as in `JointPlan`, a problem to each lane. With one lane the loops
over worlds are what compilers vectorize, with 64 those over lanes.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, call-overload"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from coset.beliefs.solvers.kernels.elementary import exponential, logarithm

__all__ = [
    "CHUNK",
    "FORBIDDEN",
    "OPTIONS",
    "evaluate",
    "measure_gap",
    "move_gauge",
    "root_chunk",
    "sum_down",
]

# So many worlds are made, exponentiated and summed while they are in the cache.
CHUNK = 128
TINY = 2.3e-308
# What is taken from log μ of forbidden worlds.
FORBIDDEN = 1e30
# Values of sources get no less than exp of this, lest floats lose what they do to their targets.
LEAST_LOG_MASS = -100.0

OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract"},
}


@njit(**OPTIONS)
def sum_down(plan, value, lanes):
    """Fill the inner nodes but the root with the sums of their children."""
    first, size, at, left, right = plan
    for node in range(len(size) - 1):
        for i in range(size[node]):
            a, b = value[left[at[node] + i]], value[right[at[node] + i]]
            out = value[first[node] + i]
            for k in range(len(lanes)):
                out[k] = a[k] + b[k]


@njit(**OPTIONS)
def root_chunk(plan, value, start, stop, buffer, lanes):
    """Write the sums of worlds start … stop − 1 to the front of the buffer."""
    at, left, right = plan[2][-1], plan[3], plan[4]
    for i in range(start, stop):
        a, b = value[left[at + i]], value[right[at + i]]
        out = buffer[i - start]
        for k in range(len(lanes)):
            out[k] = a[k] + b[k]


@njit(**OPTIONS)
def _scatter(left, right, source, marginal, lanes):
    """Add rows of `source` to the rows of two children that they lie in."""
    for i in range(len(left)):
        row, a, b = source[i], marginal[left[i]], marginal[right[i]]
        for k in range(len(lanes)):
            a[k] += row[k]
        for k in range(len(lanes)):
            b[k] += row[k]


@njit(**OPTIONS)
def _marginals(plan, value, marginal, buffer, lanes):
    """Exponentiate the sum of all leaves, and write its marginals on all nodes."""
    first, size, at, left, right = plan
    sum_down(plan, value, lanes)
    everything = marginal.reshape(-1)
    for j in range(len(everything)):
        everything[j] = 0.0
    root = at[-1]
    for start in range(0, size[-1], CHUNK):
        stop = min(start + CHUNK, size[-1])
        root_chunk(plan, value, start, stop, buffer, lanes)
        flat = buffer[: stop - start].reshape(-1)
        for j in range(len(flat)):
            flat[j] = exponential(flat[j])
        here = slice(root + start, root + stop)
        _scatter(left[here], right[here], buffer, marginal, lanes)
    for node in range(len(size) - 2, -1, -1):
        here = slice(at[node], at[node] + size[node])
        rows = marginal[first[node] : first[node] + size[node]]
        _scatter(left[here], right[here], rows, marginal, lanes)


@njit(**OPTIONS)
def _slope(arcs, marginal, cost, ban, slope, logs, sources, x, lanes):
    """Write Σ c log μ(t|s) − b log p(t|s) for each entry of a leaf; 0 where it is forbidden.

    Where μ(s) is too small, log tables x are raised for all targets alike.
    """
    first, length, at, source_of, num_sources, weight, uniform = arcs
    rows, num = slope.shape[0], len(lanes)
    flat, into = marginal[:rows].reshape(-1), logs[:rows].reshape(-1)
    for j in range(len(flat)):
        into[j] = logarithm(max(flat[j], TINY))
    for i in range(rows):
        for k in range(num):
            slope[i, k] = cost[i, k]
    for arc in range(len(weight)):
        total, own = sources[: num_sources[arc]], source_of[at[arc] :]
        flat = total.reshape(-1)
        for j in range(len(flat)):
            flat[j] = 0.0
        for i in range(length[arc]):
            row, here = marginal[first[arc] + i], total[own[i]]
            for k in range(num):
                here[k] += row[k]
        for j in range(len(flat)):
            # Marked by a positive number where nothing is: all logarithms are at most 0
            flat[j] = logarithm(max(flat[j], TINY)) if flat[j] > 0.0 else 1.0
        least = 0.0
        for j in range(len(flat)):
            least = min(least, flat[j])
        if least < LEAST_LOG_MASS:
            for i in range(length[arc]):
                raised, here = x[first[arc] + i], total[own[i]]
                for k in range(num):
                    raised[k] += max(LEAST_LOG_MASS - here[k], 0.0)
        c, alone = weight[arc], uniform[arc]
        for i in range(length[arc]):
            out, row, here = slope[first[arc] + i], logs[first[arc] + i], total[own[i]]
            for k in range(num):
                out[k] += c * (row[k] - here[k] if here[k] <= 0.5 else alone)
    if ban.shape[0]:
        for i in range(rows):
            for k in range(num):
                slope[i, k] = 0.0 if ban[i, k] > 0.0 else slope[i, k]


@njit(**OPTIONS)
def evaluate(plan, arcs, problem, x, state, work, lanes):
    """Normalize the tables x, and write their marginals, gradient and score; x may change.

    `problem`: (cost, ban, what is taken from gradients, γ, one leaf's rows); `state`: (marginal,
    gradient, value).
    """
    cost, ban, gauge, gamma, leaf_rows = problem
    mass, gradient, value = state
    nodes, marginal, buffer, slope, logs, sources, total = work
    rows, num = x.shape[0], len(lanes)
    for i in range(rows):
        for k in range(num):
            nodes[i, k] = x[i, k]
    _marginals(plan, nodes, marginal, buffer, lanes)
    for k in range(num):
        total[k] = 0.0
    for i in range(leaf_rows):
        for k in range(num):
            total[k] += marginal[i, k]
    for k in range(num):
        value[k] = logarithm(max(total[k], TINY)) if total[k] < np.inf else np.nan
        total[k] = 1.0 / total[k]
    for i in range(leaf_rows):
        for k in range(num):
            x[i, k] -= value[k]
    for i in range(rows):
        for k in range(num):
            mass[i, k] = marginal[i, k] = marginal[i, k] * total[k]
    _slope(arcs, marginal, cost, ban, slope, logs, sources, x, lanes)
    for k in range(num):
        value[k] = 0.0
    for i in range(rows):
        for k in range(num):
            held = x[i, k] if x[i, k] > -FORBIDDEN / 2 else 0.0
            gradient[i, k] = slope[i, k] + gamma * held - gauge[i, k]
            value[k] += mass[i, k] * gradient[i, k]
    for i in range(leaf_rows):
        for k in range(num):
            gradient[i, k] -= value[k]


@njit(**OPTIONS)
def move_gauge(links, shared, mass, gradient, gauge, means, totals, lanes):
    """Move what leaves of the gradient add to each other's to the first leaf that can hold it.

    Tables may add up to nothing without being small, and sums of products with them lose digits.
    What is moved is the mean given the variables that both leaves have; `gauge` keeps account.
    """
    num = len(lanes)
    for link in range(links.shape[0]):
        a, b, at_a, at_b, size_a, size_b, size = links[link]
        for i in range(size):
            for k in range(num):
                means[i, k] = totals[i, k] = 0.0
        for i in range(size_b):
            place = shared[at_b + i]
            into, total, row, weight = means[place], totals[place], gradient[b + i], mass[b + i]
            for k in range(num):
                into[k] += row[k] * weight[k]
                total[k] += weight[k]
        for i in range(size):
            for k in range(num):
                means[i, k] = means[i, k] / totals[i, k] if totals[i, k] > TINY else 0.0
        for i in range(size_b):
            mean, row, lost = means[shared[at_b + i]], gradient[b + i], gauge[b + i]
            for k in range(num):
                row[k] -= mean[k]
                lost[k] += mean[k]
        for i in range(size_a):
            mean, row, lost = means[shared[at_a + i]], gradient[a + i], gauge[a + i]
            for k in range(num):
                row[k] += mean[k]
                lost[k] -= mean[k]


@njit(**OPTIONS)
def measure_gap(plan, problem, x, state, work, gap, lanes):
    """Write the score less the least value of its linear part, less γ H if γ > 0."""
    ban, gamma, gradient = problem[1], problem[3], state[1]
    nodes, buffer = work[0], work[2]
    rows, num = x.shape[0], len(lanes)
    for i in range(rows):
        for k in range(num):
            held = x[i, k] if x[i, k] > -FORBIDDEN / 2 else 0.0
            nodes[i, k] = gradient[i, k] - gamma * held
    if ban.shape[0]:
        for i in range(rows):
            for k in range(num):
                nodes[i, k] += ban[i, k]
    sum_down(plan, nodes, lanes)
    for k in range(num):
        gap[k] = 0.0 if gamma > 0.0 else np.inf
    size = plan[1][-1]
    for start in range(0, size, CHUNK):
        stop = min(start + CHUNK, size)
        root_chunk(plan, nodes, start, stop, buffer, lanes)
        if gamma > 0.0:
            flat = buffer[: stop - start].reshape(-1)
            for j in range(len(flat)):
                flat[j] = exponential(-flat[j] / gamma)
            for i in range(stop - start):
                for k in range(num):
                    gap[k] += buffer[i, k]
        else:
            for i in range(stop - start):
                for k in range(num):
                    gap[k] = min(gap[k], buffer[i, k])
    for k in range(num):
        gap[k] = gamma * np.log(gap[k]) if gamma > 0.0 else -gap[k]
