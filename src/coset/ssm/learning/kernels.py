"""The hot loops of learning for numba: one gradient step of many restarts at once, and counting.

Sixteen restarts read the same words in lockstep, one a lane of a vector register, so that every
index is common to the lanes. Arrays of a block of restarts end in a dimension of LANES.
"""

# mypy: disable-error-code="no-untyped-def,call-arg,var-annotated"
from __future__ import annotations

import numpy as np
from numba import njit

from coset.ssm.learning.lanes import (
    add,
    floor,
    load,
    maximum,
    multiply,
    multiply_add,
    reciprocal,
    splat,
    store,
)
from coset.ssm.learning.recipe import LANES

__all__ = ["adam_step", "add_gradients", "count_labels", "run_table"]

_TURN = np.float32(1 / (2 * np.pi))

# sin(2πp) = p · Σ_i S_i p^(2i) and cos(2πp) = Σ_i C_i p^(2i) on |p| ≤ 1/2, errors below 1e-6:
# interpolation at Chebyshev nodes.
_S0, _S1, _S2, _S3, _S4, _S5 = (
    np.float32(c)
    for c in (6.28318492, -41.34158923, 81.59994333, -76.61447253, 41.34288235, -12.47124354)
)
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (
    np.float32(c)
    for c in (
        0.99999999,
        -19.7392045,
        64.93911746,
        -85.45013953,
        60.16763095,
        -25.96759925,
        6.52865816,
    )
)


@njit(cache=True, nogil=True)
def _sine(p, u):
    """Return sin(2πp) with u = p²."""
    y = multiply_add(splat(_S5), u, splat(_S4))
    y = multiply_add(y, u, splat(_S3))
    y = multiply_add(y, u, splat(_S2))
    y = multiply_add(y, u, splat(_S1))
    return multiply(p, multiply_add(y, u, splat(_S0)))


@njit(cache=True, nogil=True)
def _cosine(u):
    """Return cos(2πp) with u = p²."""
    y = multiply_add(splat(_C6), u, splat(_C5))
    y = multiply_add(y, u, splat(_C4))
    y = multiply_add(y, u, splat(_C3))
    y = multiply_add(y, u, splat(_C2))
    y = multiply_add(y, u, splat(_C1))
    return multiply_add(y, u, splat(_C0))


@njit(cache=True, nogil=True)
def _exponential(x):
    """Return exp(x) for x ≤ 0 as (Taylor of exp(x/16))^16, at least about exp(−24)."""
    x = multiply(maximum(x, splat(np.float32(-24.0))), splat(np.float32(1 / 16)))
    y = multiply_add(splat(np.float32(1 / 5040)), x, splat(np.float32(1 / 720)))
    y = multiply_add(y, x, splat(np.float32(1 / 120)))
    y = multiply_add(y, x, splat(np.float32(1 / 24)))
    y = multiply_add(y, x, splat(np.float32(1 / 6)))
    y = multiply_add(y, x, splat(np.float32(0.5)))
    y = multiply_add(y, x, splat(np.float32(1.0)))
    y = multiply_add(y, x, splat(np.float32(1.0)))
    y = multiply(y, y)
    y = multiply(y, y)
    y = multiply(y, y)
    return multiply(y, y)


@njit(cache=True, nogil=True)
def _turn(angles, row, d, phase, features, place):
    """Turn the phases by the angles of a row; write cos and sin of the new ones."""
    for j in range(d):
        p = load(phase, j * LANES)
        p = multiply_add(load(angles, (row * d + j) * LANES), splat(_TURN), p)
        p = add(p, multiply(splat(np.float32(-1.0)), floor(add(p, splat(np.float32(0.5))))))
        store(phase, j * LANES, p)
        u = multiply(p, p)
        store(features, (place + 2 * j) * LANES, _cosine(u))
        store(features, (place + 2 * j + 1) * LANES, _sine(p, u))


@njit(cache=True, nogil=True)
def _softmax(readout, base, num_labels, width, features, place, scores):
    """Write softmax(W₀ + W · features) of one cell to `scores`."""
    top = splat(np.float32(-1e30))
    for k in range(num_labels):
        row = base + k * width
        z = load(readout, row * LANES)
        for f in range(width - 1):
            w = load(readout, (row + 1 + f) * LANES)
            z = multiply_add(w, load(features, (place + f) * LANES), z)
        store(scores, k * LANES, z)
        top = maximum(top, z)
    top = multiply(top, splat(np.float32(-1.0)))
    total = splat(np.float32(0.0))
    for k in range(num_labels):
        e = _exponential(add(load(scores, k * LANES), top))
        store(scores, k * LANES, e)
        total = add(total, e)
    total = reciprocal(total)
    for k in range(num_labels):
        store(scores, k * LANES, multiply(load(scores, k * LANES), total))


@njit(cache=True, nogil=True)
def _back(readout, g_readout, base, num_labels, width, features, place, scores, g_phase, at):
    """Add the readout's gradient, and write that of the phases, from ∂loss/∂logits."""
    for k in range(num_labels):
        row = (base + k * width) * LANES
        store(g_readout, row, add(load(g_readout, row), load(scores, k * LANES)))
    for j in range((width - 1) // 2):
        cos = load(features, (place + 2 * j) * LANES)
        sin = load(features, (place + 2 * j + 1) * LANES)
        g_cos, g_sin = splat(np.float32(0.0)), splat(np.float32(0.0))
        for k in range(num_labels):
            row = (base + k * width + 1 + 2 * j) * LANES
            g = load(scores, k * LANES)
            g_cos = multiply_add(g, load(readout, row), g_cos)
            g_sin = multiply_add(g, load(readout, row + LANES), g_sin)
            store(g_readout, row, multiply_add(g, cos, load(g_readout, row)))
            store(g_readout, row + LANES, multiply_add(g, sin, load(g_readout, row + LANES)))
        turned = multiply(multiply(g_cos, sin), splat(np.float32(-1.0)))
        store(g_phase, (at + j) * LANES, multiply_add(g_sin, cos, turned))


@njit(cache=True, nogil=True)
def add_gradients(tokens, labels, after, angles, readout, g_angles, g_readout, d):
    """Add the gradient of the summed cross-entropy of a batch of words, for 16 restarts.

    Restart r predicts softmax(W[q] · (1, cos φ, sin φ)) with φ_t = φ_{t−1} + θ[q_{t−1}, x_t], where
    q is the state of the finished layers.

    Args:
        tokens: (B, T) int64.
        labels: (B, T) int64.
        after: (C, X) int64: the state of the finished layers after each state and token.
        angles: (C · X · d · LANES,) float32: θ in radians.
        readout: (C · K · (1 + 2d) · LANES,) float32: W.
        g_angles: like `angles`, added to.
        g_readout: like `readout`, added to.
        d: number of phases.
    """
    length, (num_cells, num_tokens), width = tokens.shape[1], after.shape, 1 + 2 * d
    num_labels = readout.size // (num_cells * width * LANES)
    features = np.empty(length * 2 * d * LANES, dtype=np.float32)
    g_phase = np.empty(length * d * LANES, dtype=np.float32)
    scores = np.empty(num_labels * LANES, dtype=np.float32)
    phase = np.empty(d * LANES, dtype=np.float32)
    cells = np.zeros(length + 1, dtype=np.int64)
    for b in range(tokens.shape[0]):
        phase[:] = np.float32(0.0)
        for t in range(length):
            row = cells[t] * num_tokens + tokens[b, t]
            q = after[cells[t], tokens[b, t]]
            cells[t + 1] = q
            base, place = q * num_labels * width, t * 2 * d
            _turn(angles, row, d, phase, features, place)
            _softmax(readout, base, num_labels, width, features, place, scores)
            right = labels[b, t] * LANES
            store(scores, right, add(load(scores, right), splat(np.float32(-1.0))))
            _back(
                readout, g_readout, base, num_labels, width, features, place, scores, g_phase, t * d
            )
        for j in range(d):
            total = splat(np.float32(0.0))
            for t in range(length - 1, -1, -1):
                total = add(total, load(g_phase, (t * d + j) * LANES))
                row = ((cells[t] * num_tokens + tokens[b, t]) * d + j) * LANES
                store(g_angles, row, add(load(g_angles, row), total))


@njit(cache=True, nogil=True, fastmath=True)
def adam_step(parameters, gradients, first, second, scale, rate, step):
    """Take one step of Adam (β = 0.9, 0.999) and clear the gradients.

    Args:
        parameters: (P, LANES) float32, changed.
        gradients: (P, LANES) float32, set to 0.
        first: (P, LANES) float32: running mean of the gradients.
        second: (P, LANES) float32: running mean of their squares.
        scale: (LANES,) float32 factor of each restart's gradient.
        rate: learning rate.
        step: number of this step, from 1 on.
    """
    slow = np.float32(rate / (1.0 - 0.9**step))
    root = np.float32(1.0 / np.sqrt(1.0 - 0.999**step))
    for i in range(parameters.shape[0]):
        for r in range(LANES):
            g = gradients[i, r] * scale[r]
            m = np.float32(0.9) * first[i, r] + np.float32(0.1) * g
            v = np.float32(0.999) * second[i, r] + np.float32(0.001) * g * g
            first[i, r] = m
            second[i, r] = v
            parameters[i, r] -= slow * m / (np.sqrt(v) * root + np.float32(1e-8))
            gradients[i, r] = np.float32(0.0)


@njit(cache=True, nogil=True)
def count_labels(tokens, labels, after, tables, moduli, begin, counts):
    """Count how often each label comes with each state, counting positions from `begin` on.

    Args:
        tokens: (B, T) int64.
        labels: (B, T) int64.
        after: (C, X) int64, as in `add_gradients`.
        tables: (J, C, X) int64: increments of J further phases.
        moduli: (J,) int64.
        begin: the first position that counts.
        counts: (C, Π moduli, K) int64, added to.
    """
    num_phases = moduli.size
    states = np.zeros(num_phases, dtype=np.int64)
    for b in range(tokens.shape[0]):
        states[:] = 0
        q = 0
        for t in range(tokens.shape[1]):
            x, code = tokens[b, t], 0
            for j in range(num_phases):
                s = states[j] + tables[j, q, x]
                if s >= moduli[j]:
                    s -= moduli[j]
                states[j] = s
                code = code * moduli[j] + s
            q = after[q, x]
            if t >= begin:
                counts[q, code, labels[b, t]] += 1


@njit(cache=True, nogil=True)
def run_table(table, tokens, start, states):
    """Write the state after each token.

    Args:
        table: (S, X) int64: the state after each state and token.
        tokens: (B, T) int64.
        start: the state before the first token.
        states: (B, T) int64, overwritten.
    """
    for b in range(tokens.shape[0]):
        now = start
        for t in range(tokens.shape[1]):
            now = table[now, tokens[b, t]]
            states[b, t] = now
