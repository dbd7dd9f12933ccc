"""Levels whose rewards are never positive: the optimum exists though multipliers need not die out.

These are the negative models of dynamic programming (costs, undiscounted or with multipliers above
1): value iteration from 0 falls to the optimum, and any policy's value lies below it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from coset.core.numerics import EPSILON
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.solvers.evaluation import evaluate_level
from coset.decisions.solvers.policy_iteration import greedy_policy

__all__ = ["is_nonpositive", "nonpositive_bounds"]

# Rounding errors of values near the largest float64 are above this.
_LARGEST = 1e265


def is_nonpositive(level: ScalarLevel) -> bool:
    """Tell whether no allowed action has a positive reward.

    Args:
        level: the problem.

    Returns:
        Whether all r(s, a) ≤ 0.
    """
    return not bool((level.allowed & (level.reward > 0)).any())


def nonpositive_bounds(
    level: ScalarLevel, tol: float = 1e-8, max_iter: int = 100_000
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Bound V* between T^n 0 and the value of the policy that is greedy for it.

    T^n 0 ≥ V* for rewards ≤ 0, since T is monotone and V* = lim T^n 0 (finitely many actions);
    V_π ≤ V* for every policy π. No other fixed point is mistaken for V*, which is the greatest
    one ≤ 0. [derived: for multipliers other than 1]

    Args:
        level: a problem with rewards ≤ 0.
        tol: sweeps end when the bounds are that close.
        max_iter: the most sweeps.

    Returns:
        (lower (S,), upper (S,), policy (S,), sweeps); lower is −∞ if no policy that was met has a
        value. Sweeps that fall below −1e280 go no further: the optimum may be −∞.

    Claims: decisions.C8c.
    """
    zeros = torch.zeros(level.num_states, dtype=torch.float64, device=level.reward.device)
    live = level.active.double()
    upper, lower = zeros, torch.where(level.active, -torch.inf, zeros)
    policy, lift = greedy_policy(level, upper), _rounding(level)
    done, check, gap = 0, 16, math.inf
    while done < max_iter:
        for _ in range(min(check, max_iter - done)):
            # Rounded upwards, each sweep stays above the true one: T is monotone.
            most = lift * (1 + float(upper.abs().max()))
            if not most < _LARGEST:
                return lower, upper, policy, done
            upper = torch.minimum(upper, level.backup(upper) + most * live)
            done += 1
        found = greedy_policy(level, upper)
        below = _worth(level, found)
        if float(below.sum()) >= float(lower.sum()):
            policy, lower = found, torch.maximum(lower, below)
        before, gap = gap, float((upper - lower).max())
        # Sweeps that bring nothing more are at the limit of float64.
        if gap <= tol or (math.isfinite(gap) and gap > 0.99 * before):
            break
        check = min(2 * check, 4096)
    return torch.minimum(lower, upper), upper, policy, done


def _worth(level: ScalarLevel, policy: Tensor) -> Tensor:
    """Return a lower bound on the value of a policy, −∞ if it has none."""
    try:
        found = evaluate_level(level, policy)
    except NotTransientError:
        return torch.where(level.active, -torch.inf, 0.0).double()
    return found.value - found.error


def _rounding(level: ScalarLevel) -> float:
    """Return what float64 may lose in a backup of values up to 1, and in its reward."""
    sums = torch.where(level.allowed, level.row_sums(), 0.0)
    reward = torch.where(level.allowed, level.reward.abs(), 0.0)
    largest = float(reward.max()) + float(sums.max())
    return (level.weight.shape[2] + 4) * EPSILON["float64"] * largest
