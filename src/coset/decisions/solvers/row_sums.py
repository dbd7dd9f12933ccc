"""Sums along the rows of weights, W x, and by how much they shrink or stretch x."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coset.core.errors import DomainError, ShapeError
from coset.core.numerics import EPSILON
from coset.decisions.processes.level import BLOCK, ScalarLevel
from coset.decisions.solvers.bellman import resolve_backend

__all__ = ["SMALL", "contraction_factors", "outwards", "spread", "uses_loops"]

# Up to so many states no compiled loop is loaded.
SMALL = 4096


def spread(level: ScalarLevel, vector: Tensor) -> Tensor:
    """Return (W x)(s, a) = c Σ_k w(s, a, k) x(succ), whether or not the action is allowed.

    Args:
        level: the problem.
        vector: (S,) float64.

    Returns:
        (S, A) float64.
    """
    out = torch.empty(level.allowed.shape, dtype=torch.float64, device=level.weight.device)
    for start in range(0, level.num_states, BLOCK):
        rows = slice(start, start + BLOCK)
        out[rows] = _spread_rows(level, vector, rows)
    return out


def _spread_rows(level: ScalarLevel, vector: Tensor, rows: slice) -> Tensor:
    successor = level.successor[rows]
    if vector.stride() == (0,):  # the same number at every state: nothing to gather
        total = level.weight[rows].sum(-1, dtype=torch.float64)
        return level.scale * float(vector[0]) * total
    gathered = vector.index_select(0, successor.reshape(-1)).reshape(successor.shape)
    return level.scale * (level.weight[rows] * gathered).sum(-1, dtype=torch.float64)


def contraction_factors(level: ScalarLevel, weights: Tensor) -> tuple[float, float]:
    """Return the smallest and the largest Σ W w / w over the allowed actions.

    Args:
        level: the problem.
        weights: (S,) float64, finite and > 0 at states with an action; elsewhere taken as 0.

    Returns:
        (low, high), moved outwards by the rounding of the sums; (0, 0) if nothing is allowed.

    Raises:
        ShapeError: if there is not one weight a state.
        DomainError: if a weight is not finite and > 0 where there is an action.
    """
    if weights.shape != (level.num_states,):
        raise ShapeError(
            f"weights must be one number a state, ({level.num_states},); given "
            f"{tuple(weights.shape)}"
        )
    active = level.active
    if not bool(active.any()):
        return 0.0, 0.0
    live = weights if bool(active.all()) else torch.where(active, weights, 0.0)
    wrong = active & ~((weights > 0) & (weights < math.inf))
    if bool(wrong.any()):
        state = int(wrong.nonzero()[0])
        raise DomainError(
            f"weights must be finite and > 0 at states with an action; state {state} has "
            f"{float(weights[state])}; take those of transience(level)"
        )
    low, high = _ratios(level, live)
    return outwards(low, high, level.weight.shape[2])


def outwards(low: float, high: float, num: int) -> tuple[float, float]:
    """Widen the extremes of sums of products by their rounding.

    Args:
        low: the smallest sum, ≥ 0.
        high: the largest.
        num: how many products make a sum.

    Returns:
        Both, moved outwards.
    """
    slack = (num + 3) * EPSILON["float64"]
    return low * (1 - slack), high * (1 + slack)


def uses_loops(level: ScalarLevel) -> bool:
    """Tell whether a level is large enough, and lies where it must, for compiled loops.

    Args:
        level: the problem.

    Returns:
        Whether they are to be used.
    """
    if level.num_states <= SMALL or level.allowed.numel() == 0:
        return False
    return resolve_backend("auto", level.successor.device) == "numba"


def _ratios(level: ScalarLevel, weights: Tensor) -> tuple[float, float]:
    """Return the extremes of Σ W w / w over the allowed actions."""
    if uses_loops(level):
        from coset.decisions.kernels.launch import LevelArrays

        plain = weights.stride() == (0,) and float(weights[0]) == 1
        return LevelArrays(level, None if plain else weights.double()).row_extremes(level.active)
    low, high = math.inf, 0.0
    for start in range(0, level.num_states, BLOCK):
        rows = slice(start, start + BLOCK)
        ratio = _spread_rows(level, weights, rows) / weights[rows, None]
        allowed = level.allowed[rows]
        low = min(low, float(torch.where(allowed, ratio, torch.inf).min()))
        high = max(high, float(torch.where(allowed, ratio, 0.0).max()))
    return low, high
