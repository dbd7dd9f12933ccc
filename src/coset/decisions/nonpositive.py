"""Levels whose rewards are never positive: the optimum exists though multipliers need not die out.

These are the negative models of dynamic programming (costs, undiscounted or with multipliers above
1): value iteration from 0 falls to the optimum, and any policy's value lies below it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from coset.decisions.errors import NotTransientError
from coset.decisions.evaluation import evaluate_level
from coset.decisions.level import ScalarLevel
from coset.decisions.policy_iteration import greedy_policy

__all__ = ["is_nonpositive", "nonpositive_bounds"]


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
        value.

    Claims: decisions.C8c.
    """
    zeros = torch.zeros(level.num_states, dtype=torch.float64, device=level.reward.device)
    upper, lower = zeros, torch.where(level.active, -torch.inf, zeros)
    policy = greedy_policy(level, upper)
    slack = zeros
    done, check = 0, 16
    while done < max_iter:
        for _ in range(min(check, max_iter - done)):
            upper = torch.minimum(upper, level.backup(upper))
            done += 1
        found = greedy_policy(level, upper)
        try:
            worth = evaluate_level(level, found)
        except NotTransientError:
            worth = None
        if worth is not None:
            below = worth.value - worth.error
            if float(below.sum()) >= float(lower.sum()):
                policy, lower = found, torch.maximum(lower, below)
        # Sweeps round: upper may be too low by a few units of its size each.
        slack = upper.abs().max() * done * 2.0**-52 + zeros
        if float((upper + slack - lower).max()) <= tol:
            break
        if bool((upper <= lower).all()):
            break
        check = min(2 * check, 4096)
    return lower, torch.where(level.active, upper + slack, zeros), policy, done
