"""The recurrences as compiled loops for one thread; importing this module imports numba.

Arrays are one-dimensional views of memory. A place is offset + row · n + step · t + d, with strides
in elements, so that expanded, sliced and reversed tensors are read where they lie. Sums and
products are rounded one by one (no fused multiply-add): the bits are those of the literal loop.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from numba import njit

__all__ = [
    "backward_complex",
    "backward_real",
    "forward_complex",
    "forward_real",
    "phases",
]


@njit(cache=True, nogil=True, error_model="numpy")
def forward_real(a, b, h, h0, at, bt, ht, zero, box, num_steps):
    """Write h_t = a_t h_{t−1} + b_t for the rows and columns of `box`.

    `at`, `bt`, `ht`: (offset, row stride, step stride) of a, b and h; `zero`: (offset, row stride)
    of h0; `box`: (first row, end, first column, end).
    """
    first, end, left, right = box
    width = right - left
    for n in range(first, end):
        i = zero[0] + zero[1] * n + left
        previous = h0[i : i + width]
        for t in range(num_steps):
            i = at[0] + at[1] * n + at[2] * t + left
            factor = a[i : i + width]
            i = bt[0] + bt[1] * n + bt[2] * t + left
            term = b[i : i + width]
            i = ht[0] + ht[1] * n + ht[2] * t + left
            state = h[i : i + width]
            for d in range(width):
                state[d] = factor[d] * previous[d] + term[d]
            previous = state


@njit(cache=True, nogil=True, error_model="numpy")
def forward_complex(a, b, h, h0, at, bt, ht, zero, box, num_steps):
    """Do as `forward_real` with complex numbers, given as arrays of alternating parts."""
    first, end, left, right = box
    width = right - left
    for n in range(first, end):
        i = 2 * (zero[0] + zero[1] * n + left)
        previous = h0[i : i + 2 * width]
        for t in range(num_steps):
            i = 2 * (at[0] + at[1] * n + at[2] * t + left)
            factor = a[i : i + 2 * width]
            i = 2 * (bt[0] + bt[1] * n + bt[2] * t + left)
            term = b[i : i + 2 * width]
            i = 2 * (ht[0] + ht[1] * n + ht[2] * t + left)
            state = h[i : i + 2 * width]
            for d in range(width):
                x, y = factor[2 * d], factor[2 * d + 1]
                u, v = previous[2 * d], previous[2 * d + 1]
                state[2 * d] = (x * u - y * v) + term[2 * d]
                state[2 * d + 1] = (x * v + y * u) + term[2 * d + 1]
            previous = state


@njit(cache=True, nogil=True, error_model="numpy")
def backward_real(g, a, h, h0, da, db, dh0, gt, at, ht, zero, dt, dzero, box, num_steps):
    """Write db_t = g_t + a_{t+1} db_{t+1}, da_t = db_t h_{t−1} and dh0 = a_1 db_1 in one pass.

    Strides as in `forward_real`; `dt` those of da and db, `dzero` those of dh0. Two short loops a
    row, since a compiler that must rule out overlaps gives up on more than four arrays at once.
    """
    first, end, left, right = box
    width = right - left
    for n in range(first, end):
        i = dzero[0] + dzero[1] * n + left
        to_start = dh0[i : i + width]
        later = factor = to_start
        for t in range(num_steps - 1, -1, -1):
            i = gt[0] + gt[1] * n + gt[2] * t + left
            grad = g[i : i + width]
            if t > 0:
                i = ht[0] + ht[1] * n + ht[2] * (t - 1) + left
                previous = h[i : i + width]
            else:
                i = zero[0] + zero[1] * n + left
                previous = h0[i : i + width]
            i = dt[0] + dt[1] * n + dt[2] * t + left
            to_b, to_a = db[i : i + width], da[i : i + width]
            if t == num_steps - 1:
                for d in range(width):
                    to_b[d] = grad[d]
            else:
                for d in range(width):
                    to_b[d] = grad[d] + factor[d] * later[d]
            for d in range(width):
                to_a[d] = to_b[d] * previous[d]
            i = at[0] + at[1] * n + at[2] * t + left
            factor, later = a[i : i + width], to_b
        for d in range(width):
            to_start[d] = factor[d] * later[d] if num_steps else 0


@njit(cache=True, nogil=True, error_model="numpy")
def backward_complex(g, a, h, h0, da, db, dh0, gt, at, ht, zero, dt, dzero, box, num_steps):
    """Do as `backward_real` with complex numbers: the factors and the states are conjugated."""
    first, end, left, right = box
    width = right - left
    for n in range(first, end):
        i = 2 * (dzero[0] + dzero[1] * n + left)
        to_start = dh0[i : i + 2 * width]
        later = factor = to_start
        for t in range(num_steps - 1, -1, -1):
            i = 2 * (gt[0] + gt[1] * n + gt[2] * t + left)
            grad = g[i : i + 2 * width]
            if t > 0:
                i = 2 * (ht[0] + ht[1] * n + ht[2] * (t - 1) + left)
                previous = h[i : i + 2 * width]
            else:
                i = 2 * (zero[0] + zero[1] * n + left)
                previous = h0[i : i + 2 * width]
            i = 2 * (dt[0] + dt[1] * n + dt[2] * t + left)
            to_b, to_a = db[i : i + 2 * width], da[i : i + 2 * width]
            if t == num_steps - 1:
                for d in range(2 * width):
                    to_b[d] = grad[d]
            else:
                for d in range(width):
                    x, y = factor[2 * d], factor[2 * d + 1]
                    u, v = later[2 * d], later[2 * d + 1]
                    to_b[2 * d] = grad[2 * d] + (x * u + y * v)
                    to_b[2 * d + 1] = grad[2 * d + 1] + (x * v - y * u)
            for d in range(width):
                x, y = to_b[2 * d], to_b[2 * d + 1]
                u, v = previous[2 * d], previous[2 * d + 1]
                to_a[2 * d], to_a[2 * d + 1] = x * u + y * v, y * u - x * v
            i = 2 * (at[0] + at[1] * n + at[2] * t + left)
            factor, later = a[i : i + 2 * width], to_b
        for d in range(width):
            x, y = factor[2 * d], factor[2 * d + 1]
            u, v = later[2 * d], later[2 * d + 1]
            to_start[2 * d] = x * u + y * v if num_steps else 0
            to_start[2 * d + 1] = x * v - y * u if num_steps else 0


@njit(cache=True, nogil=True, error_model="numpy")
def phases(theta, modulus, start, resets, out, num_steps, box):
    """Write s_t = (s_{t−1} + θ_t) mod m for the rows and columns of `box`; −1 or the bad place.

    `theta`, `out`: (N, T, D); `modulus`: (D,); `start`: (N, D); `resets`: (N, T, D) or (0, 0, 0).
    A place is a flat index of a reset that is neither −1 nor a phase.
    """
    first, end, left, right = box
    width = right - left
    m = modulus[left:right]
    for n in range(first, end):
        previous = start[n, left:right]
        for t in range(num_steps):
            add, state = theta[n, t, left:right], out[n, t, left:right]
            # A row of increments in [0, m) is spared the division, which does not vectorize.
            outside = 0
            for d in range(width):
                outside += (add[d] < 0) | (add[d] >= m[d])
            if outside == 0:
                for d in range(width):
                    # s + θ may overflow where m is huge: compare s with m − θ.
                    rest = m[d] - add[d]
                    state[d] = previous[d] - rest if previous[d] >= rest else previous[d] + add[d]
            else:
                for d in range(width):
                    reduced = add[d] % m[d]
                    rest = m[d] - reduced
                    state[d] = previous[d] - rest if previous[d] >= rest else previous[d] + reduced
            if resets.size:
                fixed = resets[n, t, left:right]
                for d in range(width):
                    if fixed[d] < -1 or fixed[d] >= m[d]:
                        return (n * num_steps + t) * modulus.size + left + d
                    if fixed[d] >= 0:
                        state[d] = fixed[d]
            previous = state
    return -1
