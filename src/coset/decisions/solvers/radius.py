"""The largest spectral radius of any policy, between proved bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from coset.core.errors import DomainError
from coset.core.results import Record
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.transience import Transience, level_of, transience

__all__ = ["Radius", "radius"]


@dataclass(frozen=True, eq=False, repr=False)
class Radius(Record):
    """low ≤ ρ* = max_π ρ(W_π) ≤ high.

    Attributes:
        low: reached by `policy` up to rounding.
        high: Σ W w ≤ high · w for every action.
        weights: (S,) float64, w ≥ 1 at states with an action: T changes distances in ‖x‖_w by the
            factor `high` at most, which no other weights improve by more than high − low.
        policy: (S,) int64, −1 where the process has ended; ``None`` if all radii are 0.

    Claims: decisions.C17.
    """

    low: float
    high: float
    weights: Tensor
    policy: Tensor | None

    def __repr__(self) -> str:
        return f"Radius({len(self.weights):,} states, {self.low:.9g} ≤ ρ* ≤ {self.high:.9g})"


def radius(model: MDP | ScalarLevel, level: int = 0, *, tol: float = 1e-9) -> Radius:
    """Bound ρ* = max over stationary policies of the spectral radius of W_π.

    W/μ is transient iff μ > ρ*: μ is bisected, and each answer comes with a proof. Policies choose
    their rows independently, so that ρ* is also the joint spectral radius of all W_π.

    Args:
        model: a process, or one of its levels.
        level: which objective of a process.
        tol: high − low ≤ tol · max(1, high), tol ≥ 1e-10.

    Returns:
        The bounds, with weights that contract as fast as possible.

    Raises:
        DomainError: if tol < 1e-10, which float64 does not resolve.
        NotConvergedError: as `transience`.

    Claims: decisions.C17.

    Examples:
        >>> mdp = MDP([[[1]], [[0]]], [[[1.0]], [[1.0]]], [[1.0], [0.5]], [[[2.0]], [[0.25]]])
        >>> found = radius(mdp)
        >>> round(found.low, 8), round(found.high, 8)
        (0.70710678, 0.70710678)
        >>> round(float(found.weights[0] / found.weights[1]), 6)
        2.828427
    """
    if not tol >= 1e-10:
        raise DomainError(f"tol must be at least 1e-10; given {tol}")
    scalar = level_of(model, level)
    # Rows of float32 would pass for sums of 1 within their own rounding.
    scalar = replace(scalar, weight=scalar.weight.double())
    sums = torch.where(scalar.allowed, scalar.row_sums(), 0.0)
    top = float(sums.max()) * (1 + 1e-12)
    weights, policy = scalar.active.double(), None
    low, high = 0.0, top
    while high - low > tol * max(1.0, high):
        middle = 0.5 * (low + high)
        found = _scaled(scalar, middle)
        if found.holds:
            assert found.weights is not None
            weights, high = found.weights, min(middle, middle * found.factor)
        else:
            assert found.witness is not None
            policy = found.witness.policy
            low = min(high, max(low, middle * found.witness.radius))
    live = weights[scalar.active]
    weights = weights / live.min() if live.numel() else weights
    return Radius(low, high, weights, policy)


def _scaled(level: ScalarLevel, by: float) -> Transience:
    return transience(replace(level, scale=level.scale / by))
