"""Weights near the end of float64: scaled down exactly, so that products with masses are finite.

The prox commutes with scaling (sharing.C6), and scaling by a power of two is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["DOWN", "HUGE", "scaled_strength"]

# Magnitudes from HUGE on are multiplied by DOWN first.
HUGE, DOWN = 2.0**700, 2.0**-600
_SMALLEST = 2.0**-1074


def scaled_strength(strength: Tensor, scale: Tensor | float) -> Tensor:
    """Return strength · scale, positive where the strength is: it ties equal weights.

    Args:
        strength: float64, ≥ 0.
        scale: 1 or `DOWN`.

    Returns:
        float64, of the shape of the strength.
    """
    scaled = strength * scale
    return torch.where(strength > 0, scaled.clamp(min=_SMALLEST), scaled)
