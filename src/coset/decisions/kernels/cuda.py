"""The Bellman sweep as a Triton kernel; importing this module imports triton.

One program takes a block of states with all their actions, and a few columns: value vectors that
share transitions, side by side, so that one index reads neighboring numbers. Successors are
unrolled. Each program writes the extremes of its changes; the host merges them. Set
TRITON_INTERPRET=1 before the import to run the kernel on CPU tensors without a GPU.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["sweep_triton"]

# A block has about so many numbers, and at most so many columns.
_TILE = 256
_COLUMNS = 16


@triton.jit
def _sweep(
    successor, weight, reward, allowed, scale, value, out, low, high,
    num_states, num_actions, width, mask_step, mask_width,
    num: tl.constexpr, states: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(0).to(tl.int64) * states + tl.arange(0, states)
    n = tl.program_id(1) * columns + tl.arange(0, columns)
    here, there = s < num_states, n < width
    inside = here[:, None] & there[None, :]
    kind = out.dtype.element_ty
    factor = tl.load(scale).to(kind)
    best = tl.full([states, columns], float("-inf"), dtype=kind)
    for a in range(num_actions):
        row = s * num_actions + a
        total = tl.zeros([states, columns], dtype=kind)
        for k in tl.static_range(num):
            target = tl.load(successor + row * num + k, mask=here, other=0).to(tl.int64)
            share = tl.load(weight + row * num + k, mask=here, other=0.0).to(kind)
            x = tl.load(value + target[:, None] * width + n[None, :], mask=inside, other=0.0)
            total += share[:, None] * x.to(kind)
        gain = tl.load(reward + row[:, None] * width + n[None, :], mask=inside, other=0.0)
        q = gain.to(kind) + factor * total
        place = row[:, None] * mask_step + n[None, :] * mask_width
        may = tl.load(allowed + place, mask=inside, other=0) != 0
        best = tl.maximum(best, tl.where(may, q, float("-inf")))
    active = inside & (best > float("-inf"))
    i = s[:, None] * width + n[None, :]
    change = best - tl.load(value + i, mask=inside, other=0.0).to(kind)
    tl.store(out + i, tl.where(active, best, 0.0), mask=inside)
    at = tl.program_id(0).to(tl.int64) * width + n
    tl.store(low + at, tl.min(tl.where(active, change, float("inf")), 0), mask=there)
    tl.store(high + at, tl.max(tl.where(active, change, float("-inf")), 0), mask=there)


def _power(limit: int, needed: int) -> int:
    """Return the power of two that covers what is needed, but at most the limit."""
    return min(limit, int(triton.next_power_of_2(max(1, needed))))


def sweep_triton(
    successor: Tensor,
    weight: Tensor,
    reward: Tensor,
    allowed: Tensor,
    scale: float,
    value: Tensor,
    out: Tensor,
) -> tuple[Tensor, Tensor]:
    """Write TV for N value vectors over the same transitions.

    Args:
        successor: (S, A, K) int32, contiguous, as all that follow.
        weight: (S, A, K) float32 or float64.
        reward: (S, A, N) float32 or float64.
        allowed: (S, A) bool for all, or (S, A, N).
        scale: c.
        value: (S, N) float32 or float64.
        out: (S, N) of the dtype of `value`, in which sums are taken too.

    Returns:
        The least and the greatest TV − V of states with an action, (N,) each; 0 without.
    """
    num_states, num_actions, num = successor.shape
    width = value.shape[1]
    if num_states == 0 or width == 0:
        return value.new_zeros(width), value.new_zeros(width)
    columns = _power(_COLUMNS, width)
    states = max(1, _TILE // columns)
    grid = (triton.cdiv(num_states, states), triton.cdiv(width, columns))
    low, high = value.new_empty(grid[0], width), value.new_empty(grid[0], width)
    # As a tensor: a number would be passed in single precision.
    factor = torch.tensor([scale], dtype=torch.float64, device=value.device)
    step = (1, 0) if allowed.ndim == 2 else (width, 1)
    kernel: Any = _sweep
    kernel[grid](
        successor, weight, reward, allowed.view(torch.uint8), factor, value, out, low, high,
        num_states, num_actions, width, *step, num=num, states=states, columns=columns,
    )  # fmt: skip
    least, most = low.amin(0), high.amax(0)
    return torch.where(least > most, 0.0, least), torch.where(least > most, 0.0, most)
