"""The algorithms of scalar levels, literal and slow: loops over states, actions and successors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from coset.decisions.processes.level import ScalarLevel

__all__ = [
    "all_policies",
    "bellman_reference",
    "policy_iteration_reference",
    "policy_values_reference",
    "value_iteration_reference",
]


def bellman_reference(level: ScalarLevel, value: Sequence[float]) -> list[list[float]]:
    """Return Q(s, a) = r(s, a) + c Σ_k w(s, a, k) V(succ), −inf where a is not allowed.

    Args:
        level: the problem.
        value: S numbers.

    Returns:
        S lists of A numbers.
    """
    successor, weight = level.successor.tolist(), level.weight.double().tolist()
    reward, allowed = level.reward.tolist(), level.allowed.tolist()
    table = []
    for s in range(level.num_states):
        row = []
        for a in range(level.num_actions):
            moved = 0.0
            for target, w in zip(successor[s][a], weight[s][a], strict=True):
                moved += level.scale * w * value[target]
            row.append(reward[s][a] + moved if allowed[s][a] else -float("inf"))
        table.append(row)
    return table


def _best(table: list[list[float]]) -> list[float]:
    return [max(row) if max(row) > -float("inf") else 0.0 for row in table]


def value_iteration_reference(
    level: ScalarLevel, num_sweeps: int, start: Sequence[float] | None = None
) -> Tensor:
    """Return T^n V by literal sweeps.

    Args:
        level: the problem.
        num_sweeps: n ≥ 0.
        start: V, S numbers; zeros by default.

    Returns:
        (S,) float64.

    Claims: decisions.C17.
    """
    value = list(start) if start is not None else [0.0] * level.num_states
    for _ in range(num_sweeps):
        value = _best(bellman_reference(level, value))
    return torch.tensor(value, dtype=torch.float64)


def policy_values_reference(level: ScalarLevel, policy: Sequence[int]) -> Tensor:
    """Return the solution of V = r_π + W_π V by a dense solve.

    Args:
        level: the problem.
        policy: S actions, −1 where the process has ended.

    Returns:
        (S,) float64; not finite or of the wrong sign where the policy has no value.
    """
    num_states = level.num_states
    system = torch.eye(num_states, dtype=torch.float64)
    right = torch.zeros(num_states, dtype=torch.float64)
    for s, a in enumerate(policy):
        if a < 0:
            continue
        right[s] = level.reward[s, a]
        for k in range(level.successor.shape[2]):
            target = int(level.successor[s, a, k])
            system[s, target] -= level.scale * float(level.weight[s, a, k])
    solution: Tensor = torch.linalg.solve(system, right)
    return solution


def policy_iteration_reference(level: ScalarLevel, tol: float = 1e-12) -> tuple[Tensor, list[int]]:
    """Return V* and an optimal policy by Howard's policy iteration.

    Args:
        level: a problem in which every policy has a value.
        tol: an action is changed if that gains more.

    Returns:
        (V* (S,) float64, policy with −1 where the process has ended).
    """
    allowed = level.allowed.tolist()
    policy = [row.index(True) if any(row) else -1 for row in allowed]
    while True:
        value = policy_values_reference(level, policy)
        table = bellman_reference(level, value.tolist())
        better = list(policy)
        for s, row in enumerate(table):
            if policy[s] >= 0 and max(row) > row[policy[s]] + tol:
                better[s] = row.index(max(row))
        if better == policy:
            return value, policy
        policy = better


def all_policies(level: ScalarLevel) -> itertools.product[tuple[int, ...]]:
    """Return every deterministic stationary policy.

    Args:
        level: the problem.

    Returns:
        An iterator over tuples of S actions, −1 where the process has ended.
    """
    choices = [[a for a, ok in enumerate(row) if ok] or [-1] for row in level.allowed.tolist()]
    return itertools.product(*choices)
