"""The recurrences as literal loops: slow, obviously right, on any device, differentiable."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

__all__ = ["matrix_scan_reference", "phase_scan_reference", "scan_reference"]


def _times(num_steps: int, reverse: bool) -> range:
    return range(num_steps - 1, -1, -1) if reverse else range(num_steps)


def scan_reference(a: Tensor, b: Tensor, h0: Tensor, *, reverse: bool = False) -> Tensor:
    """Return every state of h_t = a_t h_{t−1} + b_t, one step after the other.

    Args:
        a: (…, T, D) float or complex: factors.
        b: (…, T, D), of the dtype of `a`: input terms.
        h0: (…, D), of the dtype of `a`: the state before the first step.
        reverse: run from the last step to the first, h_t = a_t h_{t+1} + b_t, from `h0`.

    Returns:
        (…, T, D), of the dtype of `a`. Autograd differentiates it, in O(T) small operations.

    Example:
        >>> a = torch.tensor([[0.5], [2.0], [-1.0]])
        >>> scan_reference(a, torch.ones(3, 1), torch.zeros(1)).flatten()
        tensor([ 1.,  3., -2.])
    """
    if a.shape[-2] == 0:
        return torch.zeros_like(b)
    factors, inputs, h = a.unbind(-2), b.unbind(-2), h0
    states: list[Tensor] = [h0] * len(factors)
    for t in _times(len(factors), reverse):
        h = factors[t] * h + inputs[t]
        states[t] = h
    return torch.stack(states, -2)


def matrix_scan_reference(a: Tensor, b: Tensor, h0: Tensor, *, reverse: bool = False) -> Tensor:
    """Return every state of h_t = A_t h_{t−1} + b_t, one step after the other.

    Args:
        a: (…, T, n, n) float or complex: matrices.
        b: (…, T, n), of the dtype of `a`: input terms.
        h0: (…, n), of the dtype of `a`: the state before the first step.
        reverse: run from the last step to the first, h_t = A_t h_{t+1} + b_t, from `h0`.

    Returns:
        (…, T, n), of the dtype of `a`.

    Example:
        >>> swap = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]).expand(3, 2, 2)
        >>> matrix_scan_reference(swap, torch.zeros(3, 2), torch.tensor([1.0, 2.0]))
        tensor([[2., 1.],
                [1., 2.],
                [2., 1.]])
    """
    if b.shape[-2] == 0:
        return torch.zeros_like(b)
    matrices, inputs, h = a.unbind(-3), b.unbind(-2), h0
    states: list[Tensor] = [h0] * len(matrices)
    for t in _times(len(matrices), reverse):
        h = (matrices[t] @ h.unsqueeze(-1)).squeeze(-1) + inputs[t]
        states[t] = h
    return torch.stack(states, -2)


def phase_scan_reference(
    increments: Tensor, modulus: Tensor, start: Tensor, *, resets: Tensor | None = None
) -> Tensor:
    """Return every phase of s_t = (s_{t−1} + θ_t) mod m in Python's unbounded integers.

    Args:
        increments: (…, T, D) integers of any sign: θ.
        modulus: (D,) integers ≥ 1: m.
        start: (…, D) integers in [0, m): the phase before the first step.
        resets: of the shape of `increments`: −1 keeps the step, another value replaces its result.

    Returns:
        (…, T, D), of the dtype of `increments`, in [0, m).

    Example:
        >>> theta = torch.tensor([[1], [2], [-1]])
        >>> phase_scan_reference(theta, torch.tensor([3]), torch.tensor([0])).flatten()
        tensor([1, 0, 2])
    """
    out = torch.empty_like(increments)
    num_steps, width = increments.shape[-2:]
    moduli = modulus.tolist()
    for index in itertools.product(*map(range, increments.shape[:-2])):
        s = start[index].tolist()
        for t in range(num_steps):
            theta = increments[index][t].tolist()
            s = [(s[d] + theta[d]) % moduli[d] for d in range(width)]
            if resets is not None:
                fixed = resets[index][t].tolist()
                s = [fixed[d] if fixed[d] >= 0 else s[d] for d in range(width)]
            out[index][t] = torch.tensor(s, dtype=out.dtype)
    return out
