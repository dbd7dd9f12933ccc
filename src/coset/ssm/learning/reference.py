"""The loss of one stage, written out word by word: what the kernel differentiates by hand."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["stage_loss_reference"]


def stage_loss_reference(
    angles: Tensor, readout: Tensor, tokens: Tensor, labels: Tensor, after: Tensor
) -> Tensor:
    """Return Σ −log softmax(W[q_t] · (1, cos φ_t, sin φ_t))[y_t], φ_t = φ_{t−1} + θ[q_{t−1}, x_t].

    Args:
        angles: (C, X, d) θ in radians.
        readout: (C, K, 1 + 2d) W; cos and sin of each phase alternate.
        tokens: (B, T) int64.
        labels: (B, T) int64.
        after: (C, X) int64: the state of the finished layers after each state and token.

    Returns:
        The sum over words and positions, differentiable.
    """
    total = angles.new_zeros(())
    for word, seen in zip(tokens.tolist(), labels.tolist(), strict=True):
        phase, cell = angles.new_zeros(angles.shape[-1]), 0
        for token, label in zip(word, seen, strict=True):
            phase = phase + angles[cell, token]
            cell = int(after[cell, token])
            circle = torch.stack([phase.cos(), phase.sin()], -1).flatten()
            scores = readout[cell] @ torch.cat([circle.new_ones(1), circle])
            total = total - scores.log_softmax(0)[label]
    return total
