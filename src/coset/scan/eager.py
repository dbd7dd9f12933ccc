"""The recurrence by whole-tensor operations, in O(log T) rounds, on any device.

Chunks of steps are scanned side by side by doubling (Hillis and Steele), the maps of whole chunks
by the same method, one level up. Twelve times the arithmetic of the loop, and no compiler.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["backward_eager", "forward_eager", "previous_states"]

_CHUNK = 64


def previous_states(h: Tensor, h0: Tensor, reverse: bool) -> Tensor:
    """Return the state before each step: h0 and all states but the last.

    Args:
        h: (N, T, …) states.
        h0: (N, …) start.
        reverse: whether the steps ran from the last place to the first.

    Returns:
        (N, T, …).
    """
    if reverse:
        return torch.cat([h, h0.unsqueeze(1)], 1)[:, 1:]
    return torch.cat([h0.unsqueeze(1), h], 1)[:, : h.shape[1]]


def _apply(a: Tensor, x: Tensor) -> Tensor:
    """Apply factors, or matrices, to states or to other factors or matrices."""
    if a.dim() == 3:
        return a * x
    return a @ x if x.dim() == 4 else (a @ x.unsqueeze(-1)).squeeze(-1)


def _doubling(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the composition of the first 1, 2, …, T maps of (N, T, …) factors and terms."""
    span = 1
    while span < a.shape[1]:
        head_a, head_b = a[:, :span], b[:, :span]
        b = torch.cat([head_b, _apply(a[:, span:], b[:, :-span]) + b[:, span:]], 1)
        a = torch.cat([head_a, _apply(a[:, span:], a[:, :-span])], 1)
        span *= 2
    return a, b


def forward_eager(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> Tensor:
    """Return the states of h_t = a_t h_{t−1} + b_t.

    Args:
        a: (N, T, D) factors, or (N, T, D, D) matrices.
        b: (N, T, D) input terms.
        h0: (N, D) start.
        reverse: run from the last step to the first.

    Returns:
        (N, T, D).
    """
    if reverse:
        return forward_eager(a.flip(1), b.flip(1), h0, False).flip(1)
    rows, num_steps, width = b.shape
    if b.numel() == 0:
        return torch.zeros_like(b)
    if num_steps <= _CHUNK:
        factor, term = _doubling(a, b)
        return _apply(factor, h0.unsqueeze(1).expand_as(term)) + term
    chunks = -(-num_steps // _CHUNK)
    missing = chunks * _CHUNK - num_steps
    # Steps that follow the last one change nothing before them.
    factor, term = _doubling(*(_cut(x, chunks, missing) for x in (a, b)))
    last = [x[:, -1].reshape(rows, chunks, *x.shape[2:]) for x in (factor, term)]
    starts = previous_states(forward_eager(last[0], last[1], h0, False), h0, False)
    starts = starts.reshape(rows * chunks, 1, width).expand_as(term)
    h = _apply(factor, starts) + term
    return h.reshape(rows, chunks * _CHUNK, width)[:, :num_steps].contiguous()


def _cut(x: Tensor, chunks: int, missing: int) -> Tensor:
    """Return the chunks of (N, T, …) as rows, the last one filled with zeros."""
    filled = pad(x, (0, 0) * (x.dim() - 2) + (0, missing))
    return filled.reshape(x.shape[0] * chunks, _CHUNK, *x.shape[2:])


def backward_eager(
    g: Tensor, a: Tensor, h: Tensor, h0: Tensor, reverse: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of factors, input terms and start.

    Args:
        g: (N, T, D) gradient of the states.
        a: (N, T, D) factors.
        h: (N, T, D) states.
        h0: (N, D) start.
        reverse: direction of the forward recurrence.

    Returns:
        da (N, T, D), db (N, T, D) and dh0 (N, D).
    """
    if a.shape[1] == 0:
        return torch.zeros_like(a), torch.zeros_like(a), torch.zeros_like(h0)
    first = -1 if reverse else 0
    following = previous_states(a, torch.zeros_like(h0), not reverse).conj()
    db = forward_eager(following, g, torch.zeros_like(h0), not reverse)
    da = db * previous_states(h, h0, reverse).conj()
    return da, db, a[:, first].conj() * db[:, first]
