"""The recurrences for few columns: one number carried from step to step, in a register.

Vectors do not help there, and starting a loop for each short row costs more than the row. Four
lanes (columns of a row, or rows) run side by side, since a product waits for the one before it.
Places as in `coset.scan.kernels.cpu`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["backward", "forward", "matrices", "phases"]

# A row's block of steps has about so many bytes for each array, which the first cache holds.
_BLOCK = 1 << 14


@njit(cache=True, nogil=True, error_model="numpy")
def _block_length(x, width):
    return max(64, _BLOCK // (x.itemsize * width))


@njit(cache=True, nogil=True, error_model="numpy")
def _lanes(at, box, k):
    """Return where lanes k … k + 3 begin in an array; past the last lane, where that one does.

    Unsigned, so that no place is tested for being negative; a downward step wraps to its sum.
    """
    first, end, left, right = box
    width = right - left
    last = (end - first) * width - 1
    k1, k2, k3 = min(k + 1, last), min(k + 2, last), min(k + 3, last)
    base = at[0] + at[1] * first + left
    return (
        np.uint64(base + at[1] * (k // width) + k % width),
        np.uint64(base + at[1] * (k1 // width) + k1 % width),
        np.uint64(base + at[1] * (k2 // width) + k2 % width),
        np.uint64(base + at[1] * (k3 // width) + k3 % width),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def forward(a, b, h, h0, at, bt, ht, zero, box, num_steps):
    """Do as `cpu.forward`, block of steps by block."""
    width = box[3] - box[2]
    length = _block_length(h, width)
    up_a, up_b, up_h = np.uint64(at[2]), np.uint64(bt[2]), np.uint64(ht[2])
    for start in range(0, num_steps, length):
        stop = min(num_steps, start + length)
        for k in range(0, (box[1] - box[0]) * width, 4):
            i0, i1, i2, i3 = _lanes(at, box, k)
            j0, j1, j2, j3 = _lanes(bt, box, k)
            k0, k1, k2, k3 = _lanes(ht, box, k)
            if start == 0:
                z0, z1, z2, z3 = _lanes(zero, box, k)
                s0, s1, s2, s3 = h0[z0], h0[z1], h0[z2], h0[z3]
            else:
                r = np.uint64(ht[2] * (start - 1))
                s0, s1, s2, s3 = h[k0 + r], h[k1 + r], h[k2 + r], h[k3 + r]
            p, q = np.uint64(at[2] * start), np.uint64(bt[2] * start)
            r = np.uint64(ht[2] * start)
            for _ in range(start, stop):
                s0 = a[i0 + p] * s0 + b[j0 + q]
                s1 = a[i1 + p] * s1 + b[j1 + q]
                s2 = a[i2 + p] * s2 + b[j2 + q]
                s3 = a[i3 + p] * s3 + b[j3 + q]
                h[k0 + r], h[k1 + r], h[k2 + r], h[k3 + r] = s0, s1, s2, s3
                p, q, r = p + up_a, q + up_b, r + up_h


@njit(cache=True, nogil=True, error_model="numpy")
def backward(g, a, h, h0, da, db, dh0, gt, at, ht, zero, dt, dzero, box, num_steps):
    """Do as `cpu.backward`, block of steps by block."""
    width = box[3] - box[2]
    length = _block_length(da, width)
    up_g, up_a = np.uint64(gt[2]), np.uint64(at[2])
    up_h, up_d = np.uint64(ht[2]), np.uint64(dt[2])
    for stop in range(num_steps, 0, -length):
        start = max(0, stop - length)
        first = max(1, start)
        for k in range(0, (box[1] - box[0]) * width, 4):
            i0, i1, i2, i3 = _lanes(gt, box, k)
            j0, j1, j2, j3 = _lanes(at, box, k)
            k0, k1, k2, k3 = _lanes(ht, box, k)
            o0, o1, o2, o3 = _lanes(dt, box, k)
            s0 = s1 = s2 = s3 = a[j0] * 0
            if stop < num_steps:
                q, r = np.uint64(at[2] * stop), np.uint64(dt[2] * stop)
                s0 = a[j0 + q].conjugate() * db[o0 + r]
                s1 = a[j1 + q].conjugate() * db[o1 + r]
                s2 = a[j2 + q].conjugate() * db[o2 + r]
                s3 = a[j3 + q].conjugate() * db[o3 + r]
            p, q = np.uint64(gt[2] * (stop - 1)), np.uint64(at[2] * (stop - 1))
            u, r = np.uint64(ht[2] * (stop - 2)), np.uint64(dt[2] * (stop - 1))
            for _ in range(first, stop):
                s0, s1, s2, s3 = g[i0 + p] + s0, g[i1 + p] + s1, g[i2 + p] + s2, g[i3 + p] + s3
                db[o0 + r], db[o1 + r], db[o2 + r], db[o3 + r] = s0, s1, s2, s3
                da[o0 + r] = s0 * h[k0 + u].conjugate()
                da[o1 + r] = s1 * h[k1 + u].conjugate()
                da[o2 + r] = s2 * h[k2 + u].conjugate()
                da[o3 + r] = s3 * h[k3 + u].conjugate()
                s0, s1 = a[j0 + q].conjugate() * s0, a[j1 + q].conjugate() * s1
                s2, s3 = a[j2 + q].conjugate() * s2, a[j3 + q].conjugate() * s3
                p, q, r, u = p - up_g, q - up_a, r - up_d, u - up_h
            if start == 0:
                _first_step(g, a, h0, da, db, dh0, gt, at, zero, dt, dzero, box, k, s0)
                _first_step(g, a, h0, da, db, dh0, gt, at, zero, dt, dzero, box, k + 1, s1)
                _first_step(g, a, h0, da, db, dh0, gt, at, zero, dt, dzero, box, k + 2, s2)
                _first_step(g, a, h0, da, db, dh0, gt, at, zero, dt, dzero, box, k + 3, s3)


@njit(cache=True, nogil=True, error_model="numpy")
def _first_step(g, a, h0, da, db, dh0, gt, at, zero, dt, dzero, box, k, carried):
    """Finish a lane at the first step, before which the state is h0."""
    first, end, left, right = box
    width = right - left
    k = min(k, (end - first) * width - 1)
    n, d = first + k // width, left + k % width
    total = g[gt[0] + gt[1] * n + d] + carried
    i = dt[0] + dt[1] * n + d
    db[i], da[i] = total, total * h0[zero[0] + zero[1] * n + d].conjugate()
    factor = a[at[0] + at[1] * n + d]
    dh0[dzero[0] + dzero[1] * n + d] = factor.conjugate() * total


@njit(cache=True, nogil=True, error_model="numpy")
def phases(theta, modulus, start, resets, out, num_steps, box):
    """Write s_t = (s_{t−1} + θ_t) mod m for the rows and columns of `box`; −1 or the bad place.

    `theta`, `out`: (N, T, D); `modulus`: (D,); `start`: (N, D); `resets`: (N, T, D) or (0, 0, 0).
    A place is the flat index of a reset that is neither −1 nor a phase.
    """
    first, end, left, right = box
    length = _block_length(out, right - left)
    for begin in range(0, num_steps, length):
        stop = min(num_steps, begin + length)
        for n in range(first, end):
            for d in range(left, right):
                m = modulus[d]
                s = start[n, d] if begin == 0 else out[n, begin - 1, d]
                for t in range(begin, stop):
                    add = theta[n, t, d]
                    if add < 0 or add >= m:
                        add = add % m
                    # s + θ may overflow where m is huge: compare s with m − θ.
                    rest = m - add
                    s = s - rest if s >= rest else s + add
                    if resets.size and resets[n, t, d] != -1:
                        s = resets[n, t, d]
                        if s < 0 or s >= m:
                            return (n * num_steps + t) * modulus.size + d
                    out[n, t, d] = s
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def matrices(a, b, h0, h, first, step):
    """Write h_t = A_t h_{t−1} + b_t for rows; `first`, `step`: where time starts and how it runs.

    `a`: (N, T, n, n); `b`, `h`: (N, T, n); `h0`: (N, n); all contiguous.
    """
    rows, num_steps, size = b.shape
    for n in range(rows):
        t = first
        for k in range(num_steps):
            for i in range(size):
                total = b[n, t, i]
                if k == 0:
                    for j in range(size):
                        total += a[n, t, i, j] * h0[n, j]
                else:
                    for j in range(size):
                        total += a[n, t, i, j] * h[n, t - step, j]
                h[n, t, i] = total
            t += step
