"""Literal lexicographic solvers in exact arithmetic: all policies, and joint policy iteration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from coset.core.errors import DomainError
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.solvers.rational_linear import solve_fixed_point
from coset.decisions.solvers.rational_solver import exact_action_value

__all__ = [
    "BruteForce",
    "Worth",
    "all_policies_of",
    "brute_force",
    "joint_policy_iteration",
    "policy_worth",
]

# A value, exact, or infinite where an undiscounted sum diverges.
Worth = Fraction | float


@dataclass(frozen=True)
class BruteForce:
    """What all deterministic policies can do.

    Attributes:
        value: for each state the lexicographically best value of any policy from there.
        policies: the policies that attain it at every state at once.
    """

    value: tuple[tuple[Worth, ...], ...]
    policies: tuple[tuple[int, ...], ...]


def all_policies_of(mdp: RationalMDP) -> Iterator[tuple[int, ...]]:
    """Iterate over all deterministic stationary policies.

    Args:
        mdp: the process.

    Yields:
        An action for each state, −1 at terminal ones.
    """
    choices = [[a for a, action in enumerate(state) if action] or [-1] for state in mdp.events]
    yield from itertools.product(*choices)


def policy_worth(mdp: RationalMDP, policy: Sequence[int]) -> list[list[Worth]]:
    """Return the exact value of a policy, objective by objective, by solving its equations.

    A set of states that the policy never leaves, and in which nothing dies out, is worth 0 if
    nothing is earned there, and ∞ or −∞ if something is.

    Args:
        mdp: the process.
        policy: an action for each state, −1 at terminal ones.

    Returns:
        For each state its d values.

    Raises:
        DomainError: if gains and losses go on for ever, or multipliers grow.

    Claims: decisions.C8.

    Examples:
        >>> half = Fraction(1, 2)
        >>> mdp = RationalMDP([[[(0, 1, (1, 2), half)]]])
        >>> policy_worth(mdp, [0])
        [[Fraction(2, 1), Fraction(4, 1)]]
    """
    worth: list[list[Worth]] = [[] for _ in range(mdp.num_states)]
    for index in range(mdp.num_objectives):
        for row in worth:
            row.append(Fraction(0))
        rows: list[dict[int, Fraction]] = []
        rewards: list[Worth] = []
        for s, a in enumerate(policy):
            row_of: dict[int, Fraction] = {}
            for event in mdp.events[s][a] if a >= 0 else ():
                weight = event.probability * event.multiplier[index][index]
                if weight and policy[event.successor] >= 0:
                    at = event.successor
                    row_of[at] = row_of.get(at, Fraction(0)) + weight
            rows.append(row_of)
            rewards.append(_reward(mdp, index, s, a, worth) if a >= 0 else Fraction(0))
        for s, found in enumerate(_level_worth(rows, rewards)):
            worth[s][index] = found
    return worth


def _reward(
    mdp: RationalMDP, index: int, state: int, action: int, worth: Sequence[Sequence[Worth]]
) -> Worth:
    """Return the reward of a level with what the levels above add, which may be infinite."""
    known: Sequence[Sequence[Fraction]] = worth  # type: ignore[assignment]
    earned = exact_action_value(mdp, index, state, action, known)
    if math.isnan(earned):
        raise DomainError(f"objective {index + 1} takes up ∞ and −∞ at state {state}")
    return earned


def _level_worth(rows: Sequence[dict[int, Fraction]], rewards: Sequence[Worth]) -> list[Worth]:
    size = len(rows)
    sums = [sum(row.values(), Fraction(0)) for row in rows]
    if any(total > 1 for total in sums):
        return list(_growing(rows, rewards))
    worth: list[Worth | None] = [None] * size
    for members in _closed_classes(rows, sums):
        earned = [rewards[s] for s in members]
        if any(r > 0 for r in earned) and any(r < 0 for r in earned):
            raise DomainError(f"in states {members} gains and losses go on for ever")
        limit = math.inf if any(r > 0 for r in earned) else -math.inf
        for s in members:
            worth[s] = Fraction(0) if not any(earned) else limit
    # What may lead to an infinite value is infinite; the others solve their equations.
    changed = True
    while changed:
        changed = False
        for s, row in enumerate(rows):
            infinite = {worth[j] for j in row if worth[j] in (math.inf, -math.inf)}
            if math.isinf(rewards[s]):
                infinite.add(rewards[s])
            if len(infinite) > 1:
                raise DomainError(f"state {s} may lead to ∞ and to −∞")
            if infinite and worth[s] is None:
                worth[s], changed = infinite.pop(), True
    left = [s for s in range(size) if worth[s] is None]
    at = {s: i for i, s in enumerate(left)}
    known: list[Fraction] = []
    for s in left:
        beside = (w * Fraction(worth[j] or 0) for j, w in rows[s].items() if j not in at)
        known.append(Fraction(rewards[s]) + sum(beside, Fraction(0)))
    inner = [{at[j]: w for j, w in rows[s].items() if j in at} for s in left]
    for s, found in zip(left, solve_fixed_point(inner, known), strict=True):
        worth[s] = found
    return [w if w is not None else Fraction(0) for w in worth]


def _growing(rows: Sequence[dict[int, Fraction]], rewards: Sequence[Worth]) -> list[Fraction]:
    lifetime = solve_fixed_point(rows, [Fraction(1)] * len(rows))
    if min(lifetime) < 1:
        raise DomainError("multipliers must die out; under this policy they grow")
    if any(math.isinf(r) for r in rewards):
        raise DomainError("multipliers above 1 take up an infinite value of an objective above")
    return solve_fixed_point(rows, [Fraction(r) for r in rewards])


def _closed_classes(
    rows: Sequence[dict[int, Fraction]], sums: Sequence[Fraction]
) -> Iterator[list[int]]:
    """Yield the sets of states that are strongly connected, never left, and lose no mass."""
    size = len(rows)
    pairs = [(s, j) for s, row in enumerate(rows) for j in row]
    source = np.array([s for s, _ in pairs], dtype=np.int64)
    target = np.array([j for _, j in pairs], dtype=np.int64)
    graph = sparse.coo_array((np.ones(len(pairs)), (source, target)), shape=(size, size))
    count, label = csgraph.connected_components(graph.tocsr(), connection="strong")
    for c in range(count):
        members = np.flatnonzero(label == c).tolist()
        if all(sums[s] == 1 and all(label[j] == c for j in rows[s]) for s in members):
            yield members


def brute_force(mdp: RationalMDP) -> BruteForce:
    """Evaluate every deterministic policy exactly, and keep the best.

    Args:
        mdp: a process with a handful of states.

    Returns:
        The best value from each state, and the policies that attain all of them.

    Complexity: ∏_s (actions of s) exact evaluations.

    Claims: decisions.C8.
    """
    worths = {policy: policy_worth(mdp, policy) for policy in all_policies_of(mdp)}
    value = tuple(max(tuple(worth[s]) for worth in worths.values()) for s in range(mdp.num_states))
    policies = tuple(
        policy
        for policy, worth in worths.items()
        if all(tuple(row) == best for row, best in zip(worth, value, strict=True))
    )
    return BruteForce(value, policies)


def joint_policy_iteration(
    mdp: RationalMDP, policy: Sequence[int] | None = None
) -> tuple[list[list[Worth]], tuple[int, ...], int]:
    """Improve a policy in all objectives at once: switch where Q is lexicographically greater.

    Args:
        mdp: a process whose multipliers die out under every policy.
        policy: where to begin; the first action of each state by default.

    Returns:
        The value, the policy, and how many policies were evaluated.

    Complexity: finitely many rounds, each d exact solutions.

    Claims: decisions.C8.
    """
    now = tuple(next(all_policies_of(mdp)) if policy is None else policy)
    rounds = 0
    while True:
        rounds += 1
        value = policy_worth(mdp, now)
        known: list[list[Fraction]] = value  # type: ignore[assignment]
        better = list(now)
        for s, state in enumerate(mdp.events):
            best = tuple(value[s])
            for a, action in enumerate(state):
                if not action:
                    continue
                found = tuple(
                    exact_action_value(mdp, k, s, a, known) for k in range(mdp.num_objectives)
                )
                if found > best:
                    best, better[s] = found, a
        if tuple(better) == now:
            return value, now, rounds
        now = tuple(better)
