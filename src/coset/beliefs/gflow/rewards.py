"""The four rewards of the hypergrid: modes in the corners, waves, even parity, smooth numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["coprime_reward", "cosine_reward", "original_reward", "xor_reward"]

TIER_WEIGHTS = (1.0, 10.0, 100.0)
_XOR_PLANES = (6, 8, 10)  # bit planes 0…5, 0…7, 0…9
_PRIMES = (2, 3, 5)
_LARGEST_EXPONENT = 2


def original_reward(coordinates: Tensor, height: int, floor: float = 0.1) -> Tensor:
    """Reward the corners, and most a thin shell in each corner.

    R(x) = floor + ½ ∏ᵢ [aᵢ > ¼] + 2 ∏ᵢ [.3 < aᵢ < .4] with aᵢ = |xᵢ/(H−1) − ½|.

    Args:
        coordinates: (…, D) integers in 0 … height − 1.
        height: H ≥ 2.
        floor: R₀ ≥ 0.

    Returns:
        (…) float64.

    Example:
        >>> original_reward(torch.tensor([[0, 0], [1, 1], [4, 4]]), 8).tolist()
        [0.6, 2.6, 0.1]
    """
    # 2(H−1)aᵢ, an integer: the borders .25, .3 and .4 are met exactly, and alike on both sides.
    distance, side = (2 * coordinates - (height - 1)).abs(), height - 1
    corner = (2 * distance > side).all(-1)
    shell = ((5 * distance > 3 * side) & (5 * distance < 4 * side)).all(-1)
    return floor + 0.5 * corner.double() + 2.0 * shell.double()


def cosine_reward(coordinates: Tensor, height: int, floor: float = 0.1) -> Tensor:
    """Reward waves under a bell: R(x) = floor + ½ ∏ᵢ (cos 50aᵢ + 1) φ(5aᵢ), φ the normal density.

    Args:
        coordinates: (…, D) integers in 0 … height − 1.
        height: H ≥ 2.
        floor: R₀ ≥ 0.

    Returns:
        (…) float64.

    Example:
        >>> round(float(cosine_reward(torch.tensor([1]), 3)), 6)
        0.498942
    """
    distance = (coordinates.double() / (height - 1) - 0.5).abs()
    density = torch.exp(-0.5 * (5 * distance) ** 2) / math.sqrt(2 * math.pi)
    return floor + 0.5 * ((torch.cos(50 * distance) + 1) * density).prod(-1)


def _tiered(holds: list[Tensor], floor: float) -> Tensor:
    """Return floor + Σₜ wₜ [tiers 0 … t hold]."""
    reward = torch.full(holds[0].shape, floor, dtype=torch.float64, device=holds[0].device)
    reached = torch.ones_like(holds[0])
    for weight, own in zip(TIER_WEIGHTS, holds, strict=True):
        reached = reached & own
        reward = reward + weight * reached.double()
    return reward


def xor_reward(coordinates: Tensor, height: int, floor: float = 0.0) -> Tensor:
    """Reward even parity: tier t asks that in each of its bit planes an even number of xᵢ has a 1.

    Tiers (1, 10, 100) add up; they look at the bit planes 0…5, 0…7 and 0…9.

    Args:
        coordinates: (…, D) integers in 0 … height − 1.
        height: H ≥ 2; not used, all four rewards are called alike.
        floor: R₀ ≥ 0.

    Returns:
        (…) float64.

    Example:
        >>> xor_reward(torch.tensor([[5, 5], [5, 4], [64, 0]]), 128).tolist()
        [111.0, 0.0, 1.0]
    """
    parity = torch.zeros_like(coordinates[..., 0])
    for axis in range(coordinates.shape[-1]):
        parity = parity ^ coordinates[..., axis]
    return _tiered([(parity & ((1 << planes) - 1)) == 0 for planes in _XOR_PLANES], floor)


def coprime_reward(coordinates: Tensor, height: int, floor: float = 0.0) -> Tensor:
    """Reward points all of whose coordinates are 2ᵃ3ᵇ5ᶜ with a, b, c ≤ 2.

    All three tiers (1, 10, 100) ask for the same, so that R is `floor` or `floor` + 111.

    Args:
        coordinates: (…, D) integers in 0 … height − 1.
        height: H ≥ 2.
        floor: R₀ ≥ 0.

    Returns:
        (…) float64.

    Example:
        >>> coprime_reward(torch.tensor([[1, 20], [0, 1], [8, 1], [7, 1]]), 24).tolist()
        [111.0, 0.0, 0.0, 0.0]
    """
    smooth = torch.zeros(height, dtype=torch.bool, device=coordinates.device)
    products = [1]
    for prime in _PRIMES:
        products = [p * prime**e for p in products for e in range(_LARGEST_EXPONENT + 1)]
    smooth[[p for p in products if p < height]] = True
    holds = smooth[coordinates].all(-1)
    return _tiered([holds] * len(TIER_WEIGHTS), floor)
