"""Strengths at which something happens: all weights merge, a macroscopic cluster appears."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from torch import Tensor

from coset.core.errors import DomainError
from coset.sharing.penalty import check_weights

__all__ = [
    "all_merge_strength",
    "critical_strength",
    "predicted_largest_fraction",
    "predicted_unique_fraction",
]


def all_merge_strength(w: Tensor) -> float:
    """Return the smallest strength at which all weights become equal, up to rounding.

    g_all = max over 1 ≤ k < d of (d−1)/d · (mean(x_k … x_{d−1}) − mean(x_0 … x_{k−1})),
    x = sort(w), computed in float64. At this very strength rounding decides whether the last two
    clusters touch; a strength larger by a few units of rounding merges all.

    Args:
        w: (any shape) float: the weights, finite.

    Returns:
        The strength, ≥ 0; 0 for fewer than two weights.

    Raises:
        DtypeError: if `w` is not a real floating-point tensor.
        DomainError: if `w` holds NaN or infinity.

    Complexity: O(d log d) time, O(d) memory.

    Claims: sharing.C8.

    Example:
        >>> all_merge_strength(torch.tensor([0.0, 1.0, 2.0, 3.0]))
        1.5
    """
    check_weights(w)
    if not bool(torch.isfinite(w).all()):
        raise DomainError("weights must be finite; given NaN or infinity; remove them first")
    x = w.detach().reshape(-1).to(torch.float64).sort().values
    d = x.numel()
    if d < 2:
        return 0.0
    # Scaled by a power of two, exactly, so that sums and differences of huge weights are finite.
    down = 2.0**-600 if float(x.abs().max()) > 2.0**400 else 1.0
    x = x * down - (x * down).mean()
    left = x.cumsum(0)[:-1]
    k = torch.arange(1, d, dtype=torch.float64, device=x.device)
    # The centered sums of the two sides are opposite, so one prefix sum gives both means.
    gap = -left / (d - k) - left / k
    return max(0.0, float(gap.max()) * (d - 1) / d / down)


def _check_strength(strength: float) -> None:
    if not strength >= 0:
        raise DomainError(f"strength must be a number ≥ 0; given {strength}")


def _check_density(density: Callable[[float], float], support: tuple[float, float]) -> None:
    if not support[0] < support[1]:
        raise DomainError(f"support must be an interval (a, b) with a < b; given {support}")
    total, _ = quad(density, *support, limit=200)
    if not abs(total - 1) < 1e-3:
        raise DomainError(
            f"density must integrate to 1 over the support {support}; found {total:.6g}; if it "
            f"has a narrow peak far from 0, give the interval around the peak as the support"
        )


def predicted_unique_fraction(
    density: Callable[[float], float], strength: float, *, support: tuple[float, float]
) -> float:
    """Predict the fraction of distinct values after the prox of many independent weights.

    1 − 2 g ∫ p(x)² dx, for 2 g max p < 1: a heuristic law without proof [derived].

    Args:
        density: p, a probability density on the real line.
        strength: g ≥ 0.
        support: the interval outside of which p vanishes; ends may be infinite.

    Returns:
        The predicted fraction; negative when the hypothesis 2 g max p < 1 fails badly.

    Raises:
        DomainError: if the strength is negative or NaN, or the density does not integrate to 1.

    Claims: sharing.C16.

    Example:
        >>> predicted_unique_fraction(lambda x: 1.0, 0.25, support=(0.0, 1.0))
        0.5
    """
    _check_strength(strength)
    _check_density(density, support)
    squared, _ = quad(lambda x: density(x) ** 2, *support, limit=200)
    return 1.0 - 2.0 * strength * float(squared)


def critical_strength(max_density: float) -> float:
    """Return the strength at which a macroscopic cluster appears: g_c = 1 / (2 max p).

    A mean-field argument without proof [derived].

    Args:
        max_density: the largest value of the weights' probability density, > 0.

    Returns:
        The strength: 1.2533 σ for a normal density, 0.5 for the uniform one on [0, 1].

    Raises:
        DomainError: if `max_density` is not positive.

    Claims: sharing.C17.

    Example:
        >>> critical_strength(1.0)
        0.5
    """
    if not max_density > 0:
        raise DomainError(f"max_density must be a number > 0; given {max_density}")
    return 1.0 / (2.0 * max_density)


def predicted_largest_fraction(strength: float) -> float:
    """Predict the share of standard normal weights that the largest cluster holds.

    a/g with a > 0 solving a = g · erf(a/√2), for g above √(π/2) ≈ 1.2533; 0 below: the cluster
    grows until it meets the weights that it attracts. A mean-field argument without proof
    [derived]; for weights of standard deviation σ, pass g/σ.

    Args:
        strength: g ≥ 0.

    Returns:
        The predicted share, in [0, 1].

    Raises:
        DomainError: if the strength is negative or NaN.

    Claims: sharing.C17.

    Example:
        >>> round(predicted_largest_fraction(1.5), 4)
        0.7196
    """
    _check_strength(strength)
    if math.isinf(strength):
        return 1.0
    # Near 0, g·erf(a/√2) − a is (g/g_c − 1)·a minus a cubic term, whose zero is at about `small`.
    small = math.sqrt(max(0.0, 6 * (1 - math.sqrt(math.pi / 2) / strength))) if strength else 0.0
    if small == 0.0:
        return 0.0

    def excess(a: float) -> float:
        return strength * math.erf(a / math.sqrt(2)) - a

    lower = small / 2
    if excess(lower) <= 0:  # within rounding of the critical strength
        return 0.0
    return float(brentq(excess, lower, strength, xtol=1e-15 * strength)) / strength
