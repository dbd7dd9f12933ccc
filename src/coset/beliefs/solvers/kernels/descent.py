"""Scores and gradients from tables of beliefs as compiled loops; imports numba.

Arrays are (rows, lanes): rows as in `EliminationPlan`, a problem to each lane. With one lane the
loops over entries are what compilers vectorize, with 64 those over lanes.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, call-overload"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from coset.beliefs.solvers.kernels.elementary import exponential, logarithm

__all__ = ["FORBIDDEN", "OPTIONS", "evaluate", "measure_gap", "move_gauge"]

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
def _eliminate(plan, value, entries, peaks, totals, gamma, lanes):
    """Write log Σ exp of the sum of all leaves, table by table; if γ = 0, the maximum.

    Entries become exp of what was summed, less the peak of their row.
    """
    steps, parts, into, _ = plan
    num = len(lanes)
    for step in range(steps.shape[0]):
        begin, size, at, num_parts, first, rows = steps[step]
        for row in range(first, first + rows):
            for k in range(num):
                peaks[row, k], totals[row, k] = -np.inf, 0.0
        for i in range(size):
            out, peak = entries[begin + i], peaks[into[begin + i]]
            here = value[parts[at + i]]
            for k in range(num):
                out[k] = here[k]
            for part in range(1, num_parts):
                here = value[parts[at + part * size + i]]
                for k in range(num):
                    out[k] += here[k]
            for k in range(num):
                peak[k] = max(peak[k], out[k])
        if gamma > 0.0:
            for i in range(size):
                out, peak = entries[begin + i], peaks[into[begin + i]]
                for k in range(num):
                    out[k] -= peak[k]
            flat = entries[begin : begin + size].reshape(-1)
            for j in range(len(flat)):
                flat[j] = exponential(flat[j])
            for i in range(size):
                out, total = entries[begin + i], totals[into[begin + i]]
                for k in range(num):
                    total[k] += out[k]
        for row in range(first, first + rows):
            for k in range(num):
                value[row, k] = peaks[row, k] + (logarithm(totals[row, k]) if gamma > 0.0 else 0.0)


@njit(**OPTIONS)
def _marginals(plan, marginal, entries, totals, lanes):
    """Write the marginals of all tables, after `_eliminate`."""
    steps, parts, into, roots = plan
    num = len(lanes)
    flat = marginal.reshape(-1)
    for j in range(len(flat)):
        flat[j] = 0.0
    for root in roots:
        for k in range(num):
            marginal[root, k] = 1.0
    for step in range(steps.shape[0] - 1, -1, -1):
        begin, size, at, num_parts, first, rows = steps[step]
        for row in range(first, first + rows):
            for k in range(num):
                totals[row, k] = marginal[row, k] / totals[row, k]
        for i in range(size):
            here, share = entries[begin + i], totals[into[begin + i]]
            for k in range(num):
                here[k] *= share[k]
            for part in range(num_parts):
                out = marginal[parts[at + part * size + i]]
                for k in range(num):
                    out[k] += here[k]


@njit(**OPTIONS)
def _slope(arcs, marginal, cost, ban, slope, logs, sources, x, lanes):
    """Write Σ c log μ(t|s) − b log p(t|s) for each entry of a leaf; 0 where it is forbidden.

    Where μ(s) is too small, log tables x are raised for all targets alike; each arc does its share,
    so that no world gets more than the least weight of its sources.
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
                    raised[k] += max(LEAST_LOG_MASS - here[k], 0.0) / len(weight)
        c, alone = weight[arc], uniform[arc]
        for i in range(length[arc]):
            out, row, here = slope[first[arc] + i], logs[first[arc] + i], total[own[i]]
            for k in range(num):
                out[k] += c * (row[k] - here[k] if here[k] <= 0.5 else alone)
    if ban.shape[0]:
        for i in range(rows):
            for k in range(num):
                slope[i, k] = 0.0 if ban[i, k] > 0.0 else slope[i, k]


@njit(inline="always", **OPTIONS)
def _log_sums(plan, value, out, lanes):
    """Write what is left when all is eliminated."""
    for k in range(len(lanes)):
        out[k] = 0.0
    for root in plan[3]:
        for k in range(len(lanes)):
            out[k] += value[root, k]


@njit(inline="always", **OPTIONS)
def evaluate(plan, arcs, problem, x, state, work, lanes):
    """Normalize the tables x, and write their marginals, gradient and score; x may change.

    `problem`: (cost, ban, what is taken from gradients, γ, one leaf's rows); `state`: (marginal,
    gradient, value).
    """
    cost, ban, gauge, gamma, leaf_rows = problem
    mass, gradient, value = state
    nodes, marginal, entries, peaks, totals, slope, logs, sources = work
    rows, num = x.shape[0], len(lanes)
    for i in range(rows):
        for k in range(num):
            nodes[i, k] = x[i, k]
    _eliminate(plan, nodes, entries, peaks, totals, 1.0, lanes)
    _marginals(plan, marginal, entries, totals, lanes)
    _log_sums(plan, nodes, value, lanes)
    for i in range(leaf_rows):
        for k in range(num):
            x[i, k] -= value[k]
    for i in range(rows):
        for k in range(num):
            mass[i, k] = marginal[i, k]
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


@njit(inline="always", **OPTIONS)
def measure_gap(plan, problem, x, state, work, gap, lanes):
    """Write the score less the least value of its linear part, less γ H if γ > 0."""
    ban, gamma, gradient = problem[1], problem[3], state[1]
    nodes, entries, peaks, totals = work[0], work[2], work[3], work[4]
    rows, num = x.shape[0], len(lanes)
    scale = 1.0 / gamma if gamma > 0.0 else 1.0
    for i in range(rows):
        for k in range(num):
            held = x[i, k] if x[i, k] > -FORBIDDEN / 2 else 0.0
            nodes[i, k] = (gamma * held - gradient[i, k]) * scale
    if ban.shape[0]:
        for i in range(rows):
            for k in range(num):
                nodes[i, k] -= ban[i, k]
    _eliminate(plan, nodes, entries, peaks, totals, gamma, lanes)
    _log_sums(plan, nodes, gap, lanes)
    for k in range(num):
        gap[k] = gap[k] / scale
