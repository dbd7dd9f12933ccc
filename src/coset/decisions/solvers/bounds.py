"""Proved bounds on the solution of a level, from any guess and one sweep."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.errors import DomainError, ShapeError
from coset.core.numerics import EPSILON
from coset.core.results import Record
from coset.decisions.processes.level import BLOCK, ScalarLevel
from coset.decisions.solvers.bellman import sweep
from coset.decisions.solvers.iterate import Iterated
from coset.decisions.solvers.row_sums import SMALL, contraction_factors

__all__ = ["ValueBounds", "bounds_from_sweep", "bounds_of_sweeps", "certified_bounds"]


@dataclass(frozen=True, eq=False, repr=False)
class ValueBounds(Record):
    """|V*(s) − center(s)| ≤ half_width · w(s) + rounding, for each state.

    Attributes:
        center: (S,) float64.
        weights: (S,) float64, w.
        half_width: ≥ 0.
        rounding: what float64 may have lost in the sweep; 0 where the process has ended.
    """

    center: Tensor
    weights: Tensor
    half_width: float
    rounding: float

    def __repr__(self) -> str:
        return f"ValueBounds({len(self.center):,} states, within {self.error_bound:.2g})"

    @property
    def error(self) -> Tensor:
        """(S,) float64: the bound of each state."""
        # Of a number and truth values torch would make float32.
        return self.half_width * self.weights + self.rounding * (self.weights > 0).double()

    @property
    def error_bound(self) -> float:
        """The largest bound of any state."""
        largest = float(self.weights.max()) if self.weights.numel() else 0.0
        return self.half_width * largest + (self.rounding if largest > 0 else 0.0)

    @property
    def lower(self) -> Tensor:
        """(S,) float64: a lower bound on V*."""
        return self.center - self.error

    @property
    def upper(self) -> Tensor:
        """(S,) float64: an upper bound on V*."""
        return self.center + self.error


def certified_bounds(
    level: ScalarLevel,
    value: Tensor,
    weights: Tensor,
    factors: tuple[float, float] | None = None,
) -> ValueBounds:
    """Return bounds on V* from a guess V and one sweep, T V.

    With δ = TV − V, weights w > 0 on live states, and λ₋ ≤ Σ W w / w ≤ λ₊ < 1 for every action:
    V* ≤ TV + w β λ/(1 − λ), β = max δ/w, where λ = λ₊ if β ≥ 0 and λ₋ if β < 0; from below alike
    with α = min δ/w. For a constant row sum γ and w = 1 these are the bounds of MacQueen and
    Porteus; rows that sum to more than 1 are no obstacle. The sweep's own rounding is added.
    [derived]

    Args:
        level: the problem.
        value: (S,) float64, the guess; taken as 0 where the process has ended.
        weights: (S,) float64, for instance of `transience`.
        factors: (λ₋, λ₊) if they are known.

    Returns:
        The bounds, around their middle.

    Raises:
        ShapeError: if value or weights are not one number a state.
        DomainError: if λ₊ ≥ 1, or the guess is not finite.

    Complexity: one sweep, and one more if the factors are not known.

    Claims: decisions.C17.

    Examples:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> level = ScalarLevel(
        ...     torch.zeros(1, 1, 1, dtype=torch.int32), one[..., None], one, one > 0, scale=0.5
        ... )
        >>> found = certified_bounds(level, torch.zeros(1, dtype=torch.float64), one[0])
        >>> found.center.tolist(), found.error_bound < 1e-14
        ([2.0], True)
    """
    if value.shape != (level.num_states,):
        raise ShapeError(
            f"value must be one number a state, ({level.num_states},); given {tuple(value.shape)}"
        )
    if not bool(torch.isfinite(value).all()):
        raise DomainError("value must be finite; it holds NaN or infinity")
    value = torch.where(level.active, value.double(), 0.0)
    swept = level.backup(value) if level.num_states <= SMALL else sweep(level, value)[0]
    return bounds_from_sweep(level, value, swept, weights, factors)


def bounds_from_sweep(
    level: ScalarLevel,
    value: Tensor,
    swept: Tensor,
    weights: Tensor,
    factors: tuple[float, float] | None = None,
) -> ValueBounds:
    """Return the bounds of `certified_bounds` where TV is already there.

    Args:
        level: the problem.
        value: (S,) float64, V, 0 where the process has ended.
        swept: (S,) float64, TV as `ScalarLevel.backup` gives it.
        weights: (S,) float64.
        factors: (λ₋, λ₊) if they are known.

    Returns:
        The bounds.

    Raises:
        DomainError: if λ₊ ≥ 1.
    """
    active = level.active
    low, high = contraction_factors(level, weights) if factors is None else factors
    if not high < 1:
        raise DomainError(
            f"the weights must contract: Σ W w ≤ λ w with λ < 1; the largest factor is {high:.6g}; "
            f"take those of transience(level)"
        )
    weights = weights if bool(active.all()) else torch.where(active, weights, 0.0)
    if not bool(active.any()):
        return ValueBounds(torch.zeros_like(swept), weights, 0.0, 0.0)
    rounding = _rounding(level, float(value.abs().max()), weights, high)
    least = float(weights[active].min())
    rise = ((swept - value) / weights)[active]
    top = float(rise.max()) + rounding / least
    bottom = float(rise.min()) - rounding / least
    above = top * _tail(high if top >= 0 else low)
    below = bottom * _tail(high if bottom <= 0 else low)
    center = swept + weights * (0.5 * (above + below))
    # The middle is rounded once more.
    rounding += 4 * EPSILON["float64"] * float(center.abs().max())
    return ValueBounds(center, weights, max(0.0, 0.5 * (above - below)), rounding)


def bounds_of_sweeps(
    level: ScalarLevel, found: Iterated, weights: Tensor, factor: float
) -> ValueBounds:
    """Return what `iterate` proved, widened by the rounding of its last sweep.

    Args:
        level: the problem.
        found: where the sweeps ended, with the same weights.
        weights: (S,) float64, > 0 at states with an action.
        factor: λ₊ < 1.

    Returns:
        The bounds, around the value of the sweeps.
    """
    active = level.active
    weights = weights if bool(active.all()) else torch.where(active, weights, 0.0)
    if not bool(active.any()):
        return ValueBounds(found.value, weights, 0.0, 0.0)
    # The value before the last sweep differs from the result by its change and by the shift.
    apart = float(weights.max()) * (found.error + found.residual / (1 - factor))
    most = float(found.value.abs().max()) + apart
    rounding = _rounding(level, most, weights, factor)
    least = float(weights[active].min())
    half = max(found.error, 0.0) + rounding / least / (1 - factor)
    return ValueBounds(found.value, weights, half, rounding + 4 * EPSILON["float64"] * most)


def _tail(factor: float) -> float:
    """Return λ + λ² + … ."""
    return factor / (1 - factor)


def _rounding(level: ScalarLevel, most: float, weights: Tensor, high: float) -> float:
    """Return what float64 may lose in one action value: (K + 4) u (|r| + Σ|w| |V|), |V| ≤ most."""
    largest = 0.0
    # Without weights λ₊ bounds the sums of rows, and no pass over them is needed.
    plain = float(weights.max()) == 1.0 == float(weights[level.active].min())
    for start in range(0, level.num_states, BLOCK):
        rows = slice(start, start + BLOCK)
        mass: Tensor | float = high
        if not plain:
            mass = level.weight[rows].abs().sum(-1, dtype=torch.float64) * abs(level.scale)
        size = torch.where(level.allowed[rows], level.reward[rows].abs() + mass * most, 0.0)
        largest = max(largest, float(size.max()))
    if not math.isfinite(largest):
        raise DomainError("rewards must be finite where an action is allowed")
    return (level.weight.shape[2] + 4) * 0.5 * EPSILON["float64"] * largest
