"""Strengths at which something happens: all weights merge, a macroscopic cluster appears."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from torch import Tensor

from coset.core.errors import DomainError, DtypeError
from coset.sharing.penalty import check_weights, read_number

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
    sums = x.cumsum(0)
    left = sums[:-1]
    k = torch.arange(1, d, dtype=torch.float64, device=x.device)
    # The last sum is 0 but for the rounding of the mean, which a large offset makes large.
    gap = (sums[-1] - left) / (d - k) - left / k
    return max(0.0, float(gap.max()) * (d - 1) / d / down)


def _read_strength(strength: float) -> float:
    number = read_number(strength, "strength")
    if not number >= 0:
        raise DomainError(f"strength must be a number ≥ 0; given {number}")
    return number


def _check_density(
    density: Callable[[float], float], support: tuple[float, float] | None
) -> tuple[float, float]:
    if not callable(density):
        raise DtypeError(
            f"a density must be a function or a tensor of weights; given {density!r}; wrap a "
            f"constant as lambda x: value"
        )
    if support is None:
        raise DomainError(
            "a density needs its support, an interval (a, b); none was given; pass "
            "support=(-math.inf, math.inf) for the whole line"
        )
    if not (isinstance(support, tuple | list) and len(support) == 2 and support[0] < support[1]):
        raise DomainError(f"support must be an interval (a, b) with a < b; given {support}")
    total, _ = quad(density, *support, limit=200)
    if not abs(total - 1) < 1e-3:
        raise DomainError(
            f"density must integrate to 1 over the support {support}; found {total:.6g}; if it "
            f"has a narrow peak far from 0, give the interval around the peak as the support"
        )
    return support


def _ranked(w: Tensor) -> tuple[Tensor, float]:
    """Return the weights in order, scaled to magnitudes near 1 by a power of two, and that power.

    Densities, their squares and distances then neither overflow nor vanish.
    """
    check_weights(w)
    flat = w.detach().reshape(-1).to(torch.float64)
    if flat.numel() < 2 or not bool(torch.isfinite(flat).all()):
        raise DomainError(
            f"a density is estimated from at least two finite weights; given {flat.numel()} with "
            f"{int((~torch.isfinite(flat)).sum())} NaN or infinite ones"
        )
    # Twice, since the power that a subnormal number asks for is none that float64 holds.
    half = math.ldexp(1.0, -(math.frexp(float(flat.abs().max()))[1] // 2))
    return (flat * half * half).sort().values, half


def _squared_density(x: Tensor, dtype: torch.dtype) -> float:
    """Return ∫p² for sorted weights: the share of pairs within h of each other, over 2 h."""
    d = len(x)
    middle = float(x[(3 * d) // 4] - x[d // 4]) / 1.349  # σ of a normal density
    spread = middle or float(x[-1] - x[0])
    # Pairs are counted over several steps of the dtype, or its ties would look like a peak.
    size = max(-float(x[d // 10]), float(x[-1 - d // 10]), 0.0)
    h: float = max(spread * d ** (-2 / 3), 4 * torch.finfo(dtype).eps * size)
    if not spread:
        raise DomainError(
            f"weights must not be all equal: they have no density; given {d} equal weights"
        )
    right = torch.searchsorted(x, x + h, right=True)
    pairs = int((right - torch.arange(1, d + 1, device=x.device)).sum())
    return pairs / (0.5 * d * (d - 1)) / (2.0 * h)


def predicted_unique_fraction(
    density: Callable[[float], float] | Tensor,
    strength: float,
    *,
    support: tuple[float, float] | None = None,
) -> float:
    """Predict the fraction of distinct values after the prox of many independent weights.

    1 − 2 g ∫ p(x)² dx, for 2 g max p < 1: a heuristic law without proof [derived].

    Of a tensor of d weights, ∫p² is estimated as #{pairs with |w_i − w_j| ≤ h} / (2 h d(d−1)/2)
    with h = s·d^(−2/3), s the distance of the quartiles ÷ 1.349 (or four units of rounding, if that
    is larger). Its standard error is about 2 sd(p(w))/√d: of normal, uniform, Laplace and logistic
    samples it was within 6 % (root mean square) at d = 10³, 1.4 % at 10⁴, 0.5 % at 10⁵.

    Args:
        density: p, a probability density on the real line; or a tensor (any shape) of at least two
            finite weights, not all equal, to estimate from. Weights with many exact ties have no
            density: the prediction is then far below 0.
        strength: g ≥ 0.
        support: the interval outside of which p vanishes; ends may be infinite. A density needs
            it; a tensor has none.

    Returns:
        The predicted fraction; negative when the hypothesis 2 g max p < 1 fails badly.

    Raises:
        DtypeError: if the tensor is not real floating-point, `density` neither a tensor nor a
            function, or the strength not a real number.
        UnsupportedError: if the tensor is sparse.
        DomainError: if the strength is negative or NaN, the density does not integrate to 1, a
            support is missing or not needed, or the weights are too few, equal or not finite.

    Complexity: O(d log d) for a tensor.

    Claims: sharing.C16.

    Example:
        >>> predicted_unique_fraction(lambda x: 1.0, 0.25, support=(0.0, 1.0))
        0.5
        >>> w = torch.rand(100_000, generator=torch.Generator().manual_seed(0))
        >>> round(predicted_unique_fraction(w, 0.25), 2)
        0.5
    """
    strength = _read_strength(strength)
    if isinstance(density, Tensor):
        if support is not None:
            raise DomainError(f"weights are their own support; given {support}; leave it out")
        x, half = _ranked(density)
        # The density scales by the inverse of what the weights, and the strength, scale by.
        return 1.0 - 2.0 * (strength * half * half) * _squared_density(x, density.dtype)
    support = _check_density(density, support)
    squared, _ = quad(lambda x: density(x) ** 2, *support, limit=200)
    return 1.0 - 2.0 * strength * float(squared)


def critical_strength(max_density: float | Tensor) -> float:
    """Return the strength at which a macroscopic cluster appears: g_c = 1 / (2 max p).

    A mean-field argument without proof [derived].

    Of a tensor of d weights, max p is estimated by the shortest interval that holds m = d^(4/5) of
    them: m/(d · length). On normal, uniform, Laplace and logistic samples g_c was within 10 %
    (root mean square) at d = 10³, 8 % at 10⁴, 5 % at 10⁵ and 3.5 % at 10⁶: somewhat too small for
    a flat peak (the best of many intervals is lucky), too large for a pointed one.

    Args:
        max_density: the largest value of the weights' probability density, > 0; or a tensor of at
            least two finite weights (any shape but ()) to estimate it from.

    Returns:
        The strength: 1.2533 σ for a normal density, 0.5 for the uniform one on [0, 1]; 0 if m of
        the weights are equal.

    Raises:
        DtypeError: if the tensor is not real floating-point, or the density not a real number.
        UnsupportedError: if the tensor is sparse.
        DomainError: if `max_density` is not positive, or the weights are too few or not finite.

    Complexity: O(d log d) for a tensor.

    Claims: sharing.C17.

    Example:
        >>> critical_strength(1.0)
        0.5
        >>> w = torch.rand(100_000, generator=torch.Generator().manual_seed(0))
        >>> 0.48 < critical_strength(w) < 0.5
        True
    """
    if isinstance(max_density, Tensor) and max_density.dim() > 0:
        x, half = _ranked(max_density)
        d = len(x)
        m: int = min(d - 1, round(d**0.8))
        length = float((x[m:] - x[:-m]).min())
        return d / (2 * m) * length / half / half
    peak = read_number(max_density, "max_density")
    if not peak > 0:
        raise DomainError(f"max_density must be a number > 0; given {max_density}")
    return 1.0 / (2.0 * peak)


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
        DtypeError: if the strength is not a real number.
        DomainError: if it is negative or NaN.

    Claims: sharing.C17.

    Example:
        >>> round(predicted_largest_fraction(1.5), 4)
        0.7196
    """
    strength = _read_strength(strength)
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
