"""Mirror descent on tables of beliefs, many problems at once, as compiled loops; imports numba.

A lane whose problem is solved takes the next one. The extrapolation is Anderson's with the changes
of μ as test functions: the gradient that it predicts is to be orthogonal to each, which needs sums
over tables only (near the minimum it is the best combination of images in the score itself).
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, call-overload"

from __future__ import annotations

import numpy as np
from numba import njit

from coset.beliefs.solvers.kernels.descent import (
    OPTIONS,
    evaluate,
    measure_gap,
    move_gauge,
)

__all__ = ["descend", "memory_of"]

DEPTH = 8
CHECK_EVERY = 5
# By how much a value may rise by rounding alone, relative to 1 + |value|.
ROUNDING = 1e-14
# Pivots of the scaled normal equations below this are of differences that say nothing new.
LEAST_PIVOT = 1e-13
# With more γ than this share of L the gap is of second order, and digits suffice without care.
STEEP = 1e-3
# As in `AndersonWindow`, here of the entries of tables.
FARTHEST = 10.0


@njit(**OPTIONS)
def _accept(now, new, history, lane, slot, smoothness, lanes):
    """Move to the proposals that do not raise the score, and note by what everything changed."""
    x, mass, gradient, value = now
    new_x, new_mass, new_gradient, new_value = new
    mass_changes, image_changes, alive, change, _, _ = history
    fresh, plain, mixing, taken, _, _ = lane
    num = len(lanes)
    for k in range(num):
        bound = value[k] + ROUNDING * (1.0 + abs(value[k]))
        take = fresh[k] or plain[k] or new_value[k] <= bound
        if not take:
            for j in range(DEPTH):
                alive[j, k] = 0.0
            mixing[k] = min(2.0 * mixing[k], smoothness)
        alive[slot, k] = 1.0 if take and not fresh[k] else 0.0
        taken[k] = 1.0 if take else 0.0
        plain[k] = not take
        value[k] = new_value[k] if take else value[k]
        fresh[k] = False
    for i in range(x.shape[0]):
        for k in range(num):
            moved, turned = new_x[i, k] - x[i, k], new_gradient[i, k] - gradient[i, k]
            learned = alive[slot, k] > 0.0
            mass_changes[slot, i, k] = new_mass[i, k] - mass[i, k] if learned else 0.0
            image_changes[slot, i, k] = moved - turned / mixing[k] if learned else 0.0
            change[i, k] = turned if learned else 0.0
        for k in range(num):
            take = taken[k] > 0.0
            x[i, k] = new_x[i, k] if take else x[i, k]
            mass[i, k] = new_mass[i, k] if take else mass[i, k]
            gradient[i, k] = new_gradient[i, k] if take else gradient[i, k]


@njit(**OPTIONS)
def _products(gradient, history, right, slot, used, lanes):
    """Write ⟨Δμ_i, ΔG⟩ with the newest change, and ⟨Δμ_i, G⟩."""
    mass_changes, _, alive, change, gram, _ = history
    num = len(lanes)
    for i in range(used):
        row, side = gram[slot, i], right[i]
        for k in range(num):
            row[k] = side[k] = 0.0
        for j in range(gradient.shape[0]):
            d, turned, g = mass_changes[i, j], change[j], gradient[j]
            for k in range(num):
                row[k] += d[k] * turned[k]
            for k in range(num):
                side[k] += d[k] * g[k]
        for k in range(num):
            row[k] = row[k] * alive[i, k] * alive[slot, k]
            side[k] *= alive[i, k]
            gram[i, slot, k] = row[k]


@njit(**OPTIONS)
def _weights(history, right, used, lanes):
    """Solve the normal equations in place of their right side; dependent differences get 0."""
    _, _, alive, _, gram, (scale, lower, inverse) = history
    num = len(lanes)
    for i in range(used):
        for k in range(num):
            size = gram[i, i, k]
            scale[i, k] = alive[i, k] / np.sqrt(size) if size > 0.0 else 0.0
            right[i, k] *= scale[i, k]
    for j in range(used):
        for i in range(j, used):
            row = lower[i, j]
            for k in range(num):
                row[k] = gram[i, j, k] * scale[i, k] * scale[j, k]
            for p in range(j):
                for k in range(num):
                    row[k] -= lower[i, p, k] * lower[j, p, k] * lower[p, p, k]
            if i == j:
                for k in range(num):
                    inverse[j, k] = 1.0 / row[k] if row[k] > LEAST_PIVOT else 0.0
            else:
                for k in range(num):
                    row[k] *= inverse[j, k]
    for i in range(used):
        for p in range(i):
            for k in range(num):
                right[i, k] -= lower[i, p, k] * right[p, k]
    for i in range(used - 1, -1, -1):
        for k in range(num):
            right[i, k] *= inverse[i, k]
        for p in range(i + 1, used):
            for k in range(num):
                right[i, k] -= lower[p, i, k] * right[p, k]
    for i in range(used):
        for k in range(num):
            right[i, k] *= scale[i, k]


@njit(**OPTIONS)
def _propose(now, new_x, history, right, lane, used, smoothness, lanes):
    """Write x − G/step, less the weighted changes of it, no entry of which is beyond FARTHEST."""
    x, _, gradient, _ = now
    image_changes, shift = history[1], history[3]
    _, plain, mixing, step, _, _ = lane
    num = len(lanes)
    reach = right[DEPTH]
    for k in range(num):
        step[k] = 1.0 / (smoothness if plain[k] else mixing[k])
        reach[k] = FARTHEST
    for j in range(x.shape[0]):
        out = shift[j]
        for k in range(num):
            out[k] = 0.0
        for i in range(used):
            d, w = image_changes[i, j], right[i]
            for k in range(num):
                out[k] += w[k] * d[k]
        for k in range(num):
            reach[k] = max(reach[k], abs(out[k]))
    for k in range(num):
        reach[k] = FARTHEST / reach[k]
    for j in range(x.shape[0]):
        out, here, g, far = new_x[j], x[j], gradient[j], shift[j]
        for k in range(num):
            out[k] = here[k] - g[k] * step[k] - far[k] * reach[k]


@njit(**OPTIONS)
def _load(k, place, tables, problem, new_x, history, lane, mixing):
    """Put a problem into a lane."""
    costs, bans, starts = tables
    cost, ban, gauge, _, _ = problem
    alive = history[2]
    fresh, plain, mixed, _, who, spent = lane
    who[k], spent[k] = place, 0
    fresh[k], plain[k], mixed[k] = True, False, mixing
    for i in range(cost.shape[0]):
        cost[i, k], gauge[i, k] = costs[place, i], 0.0
        new_x[i, k] = starts[place, i] if starts.shape[0] else 0.0
        if bans.shape[0]:
            ban[i, k] = bans[place, i]
            new_x[i, k] -= bans[place, i]
    for j in range(DEPTH):
        alive[j, k] = 0.0


@njit(**OPTIONS)
def _finish(k, now, gap, history, lane, results):
    """Write down what a lane found; NaN must not stay behind, not even with weight 0."""
    tables, values, gaps, iterations = results
    place = lane[4][k]
    for i in range(tables.shape[1]):
        tables[place, i] = now[0][i, k]
    values[place], gaps[place], iterations[place] = now[3][k], gap[k], lane[5][k]
    if np.isnan(values[place]):
        for j in range(DEPTH):
            for i in range(tables.shape[1]):
                history[0][j, i, k] = history[1][j, i, k] = 0.0


@njit(**OPTIONS)
def descend(plan, links, arcs, tables, parameters, results, memory, begin, end, lanes):
    """Solve the problems begin … end − 1.

    `plan`, `links`: arrays of `EliminationPlan`; `arcs`: what each belief sums over; `tables`:
    costs, bans and starts by problem; `parameters`: (γ, L, tol, the most iterations); `results`:
    log tables, values, gaps, iterations by problem; `memory`: see `memory_of`.
    """
    gamma, smoothness, tol, max_iter = parameters
    problem, now, new, history, lane, work, right, gap = memory
    who, spent = lane[4], lane[5]
    num = len(lanes)
    mixing = gamma + (smoothness - gamma) / 4.0
    waiting, left, turn = begin, 0, 0
    for k in range(num):
        if waiting < end:
            _load(k, waiting, tables, problem, new[0], history, lane, mixing)
            waiting, left = waiting + 1, left + 1
    while left:
        slot, used = turn % DEPTH, min(turn + 1, DEPTH)
        evaluate(plan, arcs, problem, new[0], new[1:], work, lanes)
        _accept(now, new, history, lane, slot, smoothness, lanes)
        if turn % CHECK_EVERY == 0:
            measure_gap(plan, problem, now[0], now[1:], work, gap, lanes)
            if gamma < STEEP * smoothness:
                move_gauge(links[0], links[1], now[1], now[2], problem[2], work[0], work[1], lanes)
        _products(now[2], history, right, slot, used, lanes)
        _weights(history, right, used, lanes)
        _propose(now, new[0], history, right, lane, used, smoothness, lanes)
        turn += 1
        for k in range(num):
            if who[k] < 0:
                continue
            spent[k] += 1
            checked = turn % CHECK_EVERY == 1
            if checked and (gap[k] <= tol or spent[k] > max_iter or np.isnan(now[3][k])):
                _finish(k, now, gap, history, lane, results)
                left, who[k] = left - 1, -1
                if waiting < end:
                    _load(k, waiting, tables, problem, new[0], history, lane, mixing)
                    waiting, left = waiting + 1, left + 1


def memory_of(plan, most_sources, num, gamma, masked):
    """Return the arrays that `descend` works in.

    `most_sources`: values of the sources of an arc; `num`: the number of lanes; `masked`: whether
    some worlds are forbidden.
    """
    rows, leaf_rows = plan.num_leaf_rows, plan.leaf_first[1]

    def table(*shape):
        return np.zeros((*shape, num))

    problem = (table(rows), table(rows if masked else 0), table(rows), gamma, leaf_rows)
    now, new = (
        (table(rows), table(rows), table(rows), table()),
        (table(rows), table(rows), table(rows), table()),
    )
    history = (
        table(DEPTH, rows),
        table(DEPTH, rows),
        table(DEPTH),
        table(rows),
        table(DEPTH, DEPTH),
        (table(DEPTH), table(DEPTH, DEPTH), table(DEPTH)),
    )
    flags = np.zeros(num, dtype=np.bool_)
    lane = (flags, flags.copy(), table(), table(), np.full(num, -1), np.zeros(num, dtype=np.int64))
    work = (
        table(plan.num_rows),
        table(plan.num_rows),
        table(len(plan.into)),
        table(plan.num_rows),
        table(plan.num_rows),
        table(rows),
        table(rows),
        table(most_sources),
    )
    return problem, now, new, history, lane, work, table(DEPTH + 1), table()
