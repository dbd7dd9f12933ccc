"""The input on which collisions follow one another: bad for whatever merges in rounds."""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError
from coset.sharing.penalty import read_number

__all__ = ["plow"]


def plow(d: int, strength: float) -> Tensor:
    """Return weights of which each collides only after the one before it has.

    Half of the particles lie at 0, the others a hair farther apart than 2 g/(d−1), so that no two
    of these touch before the growing cluster reaches them, one in each round of d/2 + 1.

    Args:
        d: number of weights, ≥ 2; the number of rounds is exact for even d from 4 on.
        strength: g > 0, at which the input is bad; neither g nor g/(d−1) near the ends of float64.

    Returns:
        (d,) float64, sorted.

    Raises:
        DomainError: if `d` is below 2, the strength not positive and finite, a weight too large or
            a distance too small.
        DtypeError: if `d` is not an integer, or the strength not a real number.

    Claims: sharing.C13.

    Example:
        >>> plow(4, 1.5).tolist()
        [0.0, 0.0, 1.000000001, 2.000000002]
        >>> from coset.sharing import prox_sharing
        >>> prox_sharing(plow(1000, 1.5), 1.5, method="imminent", return_info=True)[1].rounds
        501
    """
    g = read_number(strength, "strength")
    if isinstance(d, bool) or not isinstance(d, int):
        raise DtypeError(f"d must be an integer; given {d!r} of type {type(d).__name__}")
    if d < 2:
        raise DomainError(f"d must be at least 2; given {d}")
    spacing = g / (d - 1) * 2 * (1 + 1e-9)
    # Subnormal numbers have too few digits for a hair.
    if not (spacing >= sys.float_info.min and math.isfinite(spacing * (d - d // 2))):
        raise DomainError(
            f"strength must be a number > 0, at least 2.3e-308 · (d − 1) and at most 1e307; given "
            f"{g} and d = {d}"
        )
    tail = spacing * torch.arange(1, d - d // 2 + 1, dtype=torch.float64)
    return torch.cat([torch.zeros(d // 2, dtype=torch.float64), tail])
