"""The attention layer of transformers, literally."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["softmax_attention"]


def softmax_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return x_j = Σ_i softmax_i(⟨k_i, q_j⟩) v_i.

    Args:
        queries: q, (M, D).
        keys: k, (N, D).
        values: v, (N, E).

    Returns:
        (M, E), float64.

    Example:
        >>> softmax_attention(torch.zeros(1, 2), torch.ones(2, 2), torch.tensor([[0.0], [4.0]]))
        tensor([[2.]], dtype=torch.float64)

    Claims: beliefs.C19.
    """
    rows = []
    for q in queries.double():
        weights = [math.exp(float(k @ q)) for k in keys.double()]
        row = torch.zeros(values.shape[1], dtype=torch.float64)
        for weight, v in zip(weights, values.double(), strict=True):
            row += weight / sum(weights) * v
        rows.append(row)
    return torch.stack(rows)
