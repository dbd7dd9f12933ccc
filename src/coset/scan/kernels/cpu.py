"""The recurrences as compiled loops for one thread; importing this module imports numba.

Arrays are one-dimensional views of memory, real or complex. A place is offset + row · n + step · t
+ d, with strides in elements, so that expanded, sliced and reversed tensors are read where they
lie. Products and sums are rounded one by one (no fused multiply-add): for real numbers the bits are
those of the literal loop.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from numba import njit

__all__ = ["backward", "forward"]

# Steps are taken in blocks of about so many bytes for each array, which the second cache holds.
_BLOCK = 1 << 17


# Rows are functions of their own: in one body with the places the compiler does not see that
# complex rows may be taken several numbers at once, which costs a factor of three.


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(factor, previous, term, state):
    for d in range(state.size):
        state[d] = factor[d] * previous[d] + term[d]


@njit(cache=True, nogil=True, error_model="numpy")
def _pull_back(grad, factor, later, to_b):
    for d in range(to_b.size):
        to_b[d] = grad[d] + factor[d].conjugate() * later[d]


@njit(cache=True, nogil=True, error_model="numpy")
def _times_conjugate(x, y, product):
    for d in range(product.size):
        product[d] = x[d] * y[d].conjugate()


@njit(cache=True, nogil=True, error_model="numpy")
def _touch_line(x, i, end, stride):
    """Read every `stride`-th element; four sums, so that none waits for the one before."""
    s0 = s1 = s2 = s3 = x[i].real
    while i + 3 * stride < end:
        s0 += x[i].real
        s1 += x[i + stride].real
        s2 += x[i + 2 * stride].real
        s3 += x[i + 3 * stride].real
        i += 4 * stride
    while i < end:
        s0 += x[i].real
        i += stride
    return (s0 + s1) + (s2 + s3)


@njit(cache=True, nogil=True, error_model="numpy")
def _touch(x, at, n, left, width, start, stop):
    """Read a block, one element in each cache line, from its lowest address to its highest.

    Rows that are taken downwards, each of them read upwards, escape the processor's prefetching;
    after this they lie in the cache. It halves the time of a scan that walks down the memory.
    """
    offset, row, step = at
    stride = max(1, 64 // x.itemsize)
    if abs(step) == width:
        lowest = min(start * step, (stop - 1) * step) + offset + row * n + left
        return _touch_line(x, lowest, lowest + (stop - start) * width, stride)
    seen = x[offset + row * n].real
    for k in range(stop - start if step != 0 else 0):
        t = start + k if step > 0 else stop - 1 - k
        i = offset + row * n + step * t + left
        seen += _touch_line(x, i, i + width, stride)
    return seen


@njit(cache=True, nogil=True, error_model="numpy")
def _block_length(x, width):
    return max(1, _BLOCK // (x.itemsize * width))


@njit(cache=True, nogil=True, error_model="numpy")
def forward(a, b, h, h0, at, bt, ht, zero, box, num_steps):
    """Write h_t = a_t h_{t−1} + b_t for the rows and columns of `box`.

    `at`, `bt`, `ht`: (offset, row stride, step stride) of a, b and h; `zero`: (offset, row stride)
    of h0; `box`: (first row, end, first column, end). Returns nothing of use.
    """
    first, end, left, right = box
    width = right - left
    length = _block_length(h, width) if ht[2] < 0 else num_steps
    seen = h0[zero[0]].real
    for n in range(first, end):
        i = zero[0] + zero[1] * n + left
        previous = h0[i : i + width]
        for start in range(0, num_steps, length):
            stop = min(num_steps, start + length)
            if ht[2] < 0:
                seen += _touch(a, at, n, left, width, start, stop)
                seen += _touch(b, bt, n, left, width, start, stop)
                seen += _touch(h, ht, n, left, width, start, stop)
            for t in range(start, stop):
                i = at[0] + at[1] * n + at[2] * t + left
                factor = a[i : i + width]
                i = bt[0] + bt[1] * n + bt[2] * t + left
                term = b[i : i + width]
                i = ht[0] + ht[1] * n + ht[2] * t + left
                state = h[i : i + width]
                _advance(factor, previous, term, state)
                previous = state
    return seen


@njit(cache=True, nogil=True, error_model="numpy")
def backward(g, a, h, h0, da, db, dh0, gt, at, ht, zero, dt, dzero, box, num_steps):
    """Write db_t = g_t + ā_{t+1} db_{t+1}, da_t = db_t h̄_{t−1} and dh0 = ā_1 db_1 in one pass.

    Strides as in `forward`; `dt` those of da and db, `dzero` those of dh0. Needs num_steps ≥ 1.
    Returns nothing of use.
    """
    first, end, left, right = box
    width = right - left
    # Where time runs down the memory the walk back runs up, and each row is finished at once.
    length = _block_length(da, width) if dt[2] > 0 else 1
    seen = h0[zero[0]].real
    for n in range(first, end):
        i = dzero[0] + dzero[1] * n + left
        to_start = dh0[i : i + width]
        later = factor = to_start
        for stop in range(num_steps, 0, -length):
            start = max(0, stop - length)
            if dt[2] > 0:
                seen += _touch(g, gt, n, left, width, start, stop)
                seen += _touch(a, at, n, left, width, start, stop)
                seen += _touch(db, dt, n, left, width, start, stop)
            for t in range(stop - 1, start - 1, -1):
                i = gt[0] + gt[1] * n + gt[2] * t + left
                grad = g[i : i + width]
                i = dt[0] + dt[1] * n + dt[2] * t + left
                to_b = db[i : i + width]
                if t == num_steps - 1:
                    for d in range(width):
                        to_b[d] = grad[d]
                else:
                    _pull_back(grad, factor, later, to_b)
                i = at[0] + at[1] * n + at[2] * t + left
                factor, later = a[i : i + width], to_b
            # Upwards again, while db lies in the cache: h and da are then met in their order.
            for t in range(start, stop):
                i = zero[0] + zero[1] * n + left
                previous = h0[i : i + width]
                if t > 0:
                    i = ht[0] + ht[1] * n + ht[2] * (t - 1) + left
                    previous = h[i : i + width]
                i = dt[0] + dt[1] * n + dt[2] * t + left
                _times_conjugate(db[i : i + width], previous, da[i : i + width])
        _times_conjugate(later, factor, to_start)
    return seen
