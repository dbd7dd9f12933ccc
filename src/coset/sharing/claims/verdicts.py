"""How the judges of this subject turn errors into a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from coset.core.claims import ClaimResult
from coset.core.numerics import tolerance

__all__ = ["Prox", "largest_error", "relative_error", "scale_of"]

Prox = Callable[[Tensor, float], Tensor]


def scale_of(w: Tensor) -> float:
    """Return the magnitude of the weights, at least 1: what rounding errors are relative to."""
    return max(1.0, float(w.abs().max()))


def largest_error(errors: list[tuple[float, dict[str, object]]], what: str) -> ClaimResult:
    """Judge a list of (error ÷ tolerance, replayable case): all must be at most 1."""
    worst, case = max(errors, key=lambda item: item[0] if item[0] == item[0] else math.inf)
    holds = bool(worst <= 1.0)
    return ClaimResult(
        holds=holds,
        measured=worst,
        bound=1.0,
        detail=f"{what}: largest error is {worst:.3g} of the rounding tolerance",
        sample_size=len(errors),
        counterexample=None if holds else case,
    )


def relative_error(found: Tensor, right: Tensor, w: Tensor) -> float:
    """Return the largest error in units of what float64 rounding explains."""
    bound = tolerance(torch.float64, w.numel(), "mean", scale=scale_of(w))
    return float((found - right).abs().max()) / bound
