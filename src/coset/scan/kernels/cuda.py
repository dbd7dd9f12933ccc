"""The recurrence as Triton kernels; importing this module imports triton.

One program takes one row and a few columns, walks over the steps in blocks, and scans each block
by composing affine maps. Complex numbers are pairs of real ones. Set TRITON_INTERPRET=1 before the
import to run the kernels on CPU tensors without a GPU. Steps composed within a block may overflow
to infinity where the loop, step by step, would not: |a| ≤ 1 is safe.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import contextlib
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["backward_triton", "forward_triton"]

# A block has about so many numbers of each tensor: two or three of them stay in registers.
_TILE = 2048
_COLUMNS = 32
_STEPS = 256


@triton.jit
def _compose(a1, b1, a2, b2):
    return a2 * a1, a2 * b1 + b2


@triton.jit
def _compose_complex(x1, y1, u1, v1, x2, y2, u2, v2):
    return (
        x2 * x1 - y2 * y1,
        x2 * y1 + y2 * x1,
        x2 * u1 - y2 * v1 + u2,
        x2 * v1 + y2 * u1 + v2,
    )


@triton.jit
def _last_row(x, steps: tl.constexpr):
    rows = tl.arange(0, steps)[:, None]
    return tl.sum(tl.where(rows == steps - 1, x, 0.0), 0)


@triton.jit
def _program(width, columns: tl.constexpr):
    """Return the row of this program, its columns, and which of them exist."""
    blocks = tl.cdiv(width, columns)
    program = tl.program_id(0)
    row = (program // blocks).to(tl.int64)
    d = (program % blocks) * columns + tl.arange(0, columns)
    return row, d, d < width


@triton.jit
def _forward_real(
    a, b, h, h0, a0, an, at, b0, bn, bt, g0, gn, gt, zn, num_steps, width,
    steps: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    n, d, inside = _program(width, columns)
    carry = tl.load(h0 + n * zn + d, mask=inside, other=0.0)
    for start in range(0, num_steps, steps):
        t = (start + tl.arange(0, steps)).to(tl.int64)[:, None]
        mask = (t < num_steps) & inside[None, :]
        # Past the end the map is the identity, so that the last row holds the last state.
        factor = tl.load(a + a0 + n * an + t * at + d[None, :], mask=mask, other=1.0)
        term = tl.load(b + b0 + n * bn + t * bt + d[None, :], mask=mask, other=0.0)
        factor, term = tl.associative_scan((factor, term), 0, _compose)
        state = factor * carry[None, :] + term
        tl.store(h + g0 + n * gn + t * gt + d[None, :], state, mask=mask)
        carry = _last_row(state, steps)


@triton.jit
def _forward_complex(
    a, b, h, h0, a0, an, at, b0, bn, bt, g0, gn, gt, zn, num_steps, width,
    steps: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    n, d, inside = _program(width, columns)
    z = 2 * (n * zn + d)
    carry_x = tl.load(h0 + z, mask=inside, other=0.0)
    carry_y = tl.load(h0 + z + 1, mask=inside, other=0.0)
    for start in range(0, num_steps, steps):
        t = (start + tl.arange(0, steps)).to(tl.int64)[:, None]
        mask = (t < num_steps) & inside[None, :]
        i = 2 * (a0 + n * an + t * at + d[None, :])
        x, y = tl.load(a + i, mask=mask, other=1.0), tl.load(a + i + 1, mask=mask, other=0.0)
        i = 2 * (b0 + n * bn + t * bt + d[None, :])
        u, v = tl.load(b + i, mask=mask, other=0.0), tl.load(b + i + 1, mask=mask, other=0.0)
        x, y, u, v = tl.associative_scan((x, y, u, v), 0, _compose_complex)
        state_x = x * carry_x[None, :] - y * carry_y[None, :] + u
        state_y = x * carry_y[None, :] + y * carry_x[None, :] + v
        i = 2 * (g0 + n * gn + t * gt + d[None, :])
        tl.store(h + i, state_x, mask=mask)
        tl.store(h + i + 1, state_y, mask=mask)
        carry_x, carry_y = _last_row(state_x, steps), _last_row(state_y, steps)


@triton.jit
def _backward_real(
    g, a, h, h0, da, db, dh0, g0, gn, gt, a0, an, at, s0, sn, st, zn, d0, dn, dt,
    num_steps, width, steps: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    n, d, inside = _program(width, columns)
    carry = tl.zeros([columns], dtype=h0.dtype.element_ty)
    for start in range(0, num_steps, steps):
        t = num_steps - 1 - (start + tl.arange(0, steps)).to(tl.int64)[:, None]
        mask = (t >= 0) & inside[None, :]
        later = mask & (t < num_steps - 1)
        factor = tl.load(a + a0 + n * an + (t + 1) * at + d[None, :], mask=later, other=1.0)
        grad = tl.load(g + g0 + n * gn + t * gt + d[None, :], mask=mask, other=0.0)
        before = tl.load(
            h + s0 + n * sn + (t - 1) * st + d[None, :], mask=mask & (t > 0), other=0.0
        )
        first = tl.load(h0 + n * zn + d[None, :] + 0 * t, mask=mask & (t == 0), other=0.0)
        factor, grad = tl.associative_scan((factor, grad), 0, _compose)
        total = factor * carry[None, :] + grad
        i = d0 + n * dn + t * dt + d[None, :]
        tl.store(db + i, total, mask=mask)
        tl.store(da + i, total * (before + first), mask=mask)
        carry = _last_row(total, steps)
    factor = tl.load(a + a0 + n * an + d, mask=inside, other=0.0)
    tl.store(dh0 + n * width + d, factor * carry, mask=inside)


@triton.jit
def _backward_complex(
    g, a, h, h0, da, db, dh0, g0, gn, gt, a0, an, at, s0, sn, st, zn, d0, dn, dt,
    num_steps, width, steps: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    n, d, inside = _program(width, columns)
    carry_x = tl.zeros([columns], dtype=h0.dtype.element_ty)
    carry_y = tl.zeros([columns], dtype=h0.dtype.element_ty)
    for start in range(0, num_steps, steps):
        t = num_steps - 1 - (start + tl.arange(0, steps)).to(tl.int64)[:, None]
        mask = (t >= 0) & inside[None, :]
        later = mask & (t < num_steps - 1)
        i = 2 * (a0 + n * an + (t + 1) * at + d[None, :])
        x, y = tl.load(a + i, mask=later, other=1.0), tl.load(a + i + 1, mask=later, other=0.0)
        i = 2 * (g0 + n * gn + t * gt + d[None, :])
        u, v = tl.load(g + i, mask=mask, other=0.0), tl.load(g + i + 1, mask=mask, other=0.0)
        x, y, u, v = tl.associative_scan((x, -y, u, v), 0, _compose_complex)
        total_x = x * carry_x[None, :] - y * carry_y[None, :] + u
        total_y = x * carry_y[None, :] + y * carry_x[None, :] + v
        i = 2 * (s0 + n * sn + (t - 1) * st + d[None, :])
        x = tl.load(h + i, mask=mask & (t > 0), other=0.0)
        y = tl.load(h + i + 1, mask=mask & (t > 0), other=0.0)
        i = 2 * (n * zn + d[None, :] + 0 * t)
        x += tl.load(h0 + i, mask=mask & (t == 0), other=0.0)
        y += tl.load(h0 + i + 1, mask=mask & (t == 0), other=0.0)
        i = 2 * (d0 + n * dn + t * dt + d[None, :])
        tl.store(db + i, total_x, mask=mask)
        tl.store(db + i + 1, total_y, mask=mask)
        tl.store(da + i, total_x * x + total_y * y, mask=mask)
        tl.store(da + i + 1, total_y * x - total_x * y, mask=mask)
        carry_x, carry_y = _last_row(total_x, steps), _last_row(total_y, steps)
    j = 2 * (a0 + n * an + d)
    first_x, first_y = tl.load(a + j, mask=inside), tl.load(a + j + 1, mask=inside)
    z = 2 * (n * width + d)
    tl.store(dh0 + z, first_x * carry_x + first_y * carry_y, mask=inside)
    tl.store(dh0 + z + 1, first_x * carry_y - first_y * carry_x, mask=inside)


def _readable(x: Tensor) -> Tensor:
    """Return x with neighboring columns side by side and no lazy conjugate."""
    x = x.detach().resolve_conj().resolve_neg()
    return x if x.shape[-1] <= 1 or x.stride(-1) == 1 else x.contiguous()


def _real(x: Tensor) -> Tensor:
    return torch.view_as_real(x) if x.is_complex() else x


def _places(x: Tensor, reverse: bool) -> tuple[int, int, int]:
    """Return offset, row stride and step stride of (N, T, D), the steps perhaps backwards."""
    row, step, _ = x.stride()
    return ((x.shape[1] - 1) * step, row, -step) if reverse else (0, row, step)


def _launch(kernel: Any, shape: tuple[int, int, int], x: Tensor, *arguments: Any) -> None:
    rows, num_steps, width = shape
    columns = min(_COLUMNS, triton.next_power_of_2(width))
    steps = min(_STEPS, _TILE // columns, max(16, triton.next_power_of_2(num_steps)))
    grid = (rows * triton.cdiv(width, columns),)
    with torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext():
        kernel[grid](*arguments, num_steps, width, steps=steps, columns=columns)


def forward_triton(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> Tensor:
    """Return the states of h_t = a_t h_{t−1} + b_t.

    Args:
        a: (N, T, D) float32, float64, complex64 or complex128, any strides, on a CUDA device (or on
            the CPU under Triton's interpreter).
        b: (N, T, D), of the dtype of `a`.
        h0: (N, D), of the dtype of `a`.
        reverse: run from the last step to the first.

    Returns:
        (N, T, D), contiguous.
    """
    rows, num_steps, width = a.shape
    h = torch.empty_like(b, memory_format=torch.contiguous_format)
    if h.numel() == 0:
        return h
    kernel = _forward_complex if a.is_complex() else _forward_real
    a, b, h0 = _readable(a), _readable(b), _readable(h0)
    places = [i for x in (a, b, h) for i in _places(x, reverse)]
    tensors = [_real(x) for x in (a, b, h, h0)]
    _launch(kernel, (rows, num_steps, width), a, *tensors, *places, h0.stride(0))
    return h


def backward_triton(
    g: Tensor, a: Tensor, h: Tensor, h0: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of factors, input terms and start, in one pass over the tensors.

    Args:
        g: (N, T, D) gradient of the states, of the dtype of `a`.
        a: (N, T, D) factors.
        h: (N, T, D) states.
        h0: (N, D) start.
        reverse: direction of the forward recurrence.

    Returns:
        da (N, T, D), db (N, T, D) and dh0 (N, D), contiguous.
    """
    rows, num_steps, width = a.shape
    da = torch.empty_like(g, memory_format=torch.contiguous_format)
    db, dh0 = torch.empty_like(da), torch.zeros_like(h0, memory_format=torch.contiguous_format)
    if da.numel() == 0:
        return da, db, dh0
    kernel = _backward_complex if a.is_complex() else _backward_real
    g, a, h, h0 = (_readable(x) for x in (g, a, h, h0))
    places = [i for x in (g, a, h) for i in _places(x, reverse)]
    tensors = [_real(x) for x in (g, a, h, h0, da, db, dh0)]
    arguments = (*tensors, *places, h0.stride(0), *_places(da, reverse))
    _launch(kernel, (rows, num_steps, width), a, *arguments)
    return da, db, dh0
