"""One level of an exact process: end components, policy iteration, the value in fractions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from scipy import sparse

from coset.core.errors import CosetError, DomainError
from coset.decisions.errors import NotTransientError
from coset.decisions.solvers.end_components import (
    EndComponents,
    maximal_end_components,
    reach_almost_surely,
)
from coset.decisions.solvers.pair_problem import PairProblem, pair_policy_iteration
from coset.decisions.solvers.rational_linear import solve_fixed_point
from coset.decisions.solvers.undiscounted import stayable

__all__ = ["ExactLevel", "RationalPairs", "solve_exact_level"]

_ZERO = Fraction(0)
# From so many states on a policy found in floating point is where exact improvement begins.
_WARM = 12


@dataclass(frozen=True, eq=False)
class RationalPairs:
    """V(s) = max over the pairs of s of r + Σ W V, in fractions; V is 0 outside of the N states.

    Attributes:
        state: the state of each pair, in increasing order; each of the N states has one.
        weights: for each pair, state → weight > 0.
        reward: of each pair.
        full: whether the weights of a pair sum to 1 within the N states.
        num_states: N.
        origin: s · A + a of the process for each pair, −1 for staying.
    """

    state: list[int]
    weights: list[Mapping[int, Fraction]]
    reward: list[Fraction]
    full: list[bool]
    num_states: int
    origin: list[int]

    def links(self) -> sparse.csr_array:
        """Return which successors are possible.

        Returns:
            (P, N) sparse, 1 where they are.
        """
        row = [i for i, w in enumerate(self.weights) for _ in w]
        column = [j for w in self.weights for j in w]
        shape = (len(self.state), self.num_states)
        return sparse.coo_array((np.ones(len(row)), (row, column)), shape=shape).tocsr()

    def action_value(self, pair: int, value: Sequence[Fraction]) -> Fraction:
        """Return r + Σ W V of one pair.

        Args:
            pair: which.
            value: N numbers.

        Returns:
            The number.
        """
        moved = sum((w * value[j] for j, w in self.weights[pair].items()), _ZERO)
        return self.reward[pair] + moved


@dataclass(frozen=True, eq=False)
class ExactLevel:
    """The exact solution of one level.

    Attributes:
        value: of each of the N states.
        policy: a pair for each state that attains it; inside a component that is left, a pair on
            the way to its exit.
        component: the zero-reward end component of each state, −1 outside of all.
        waiting: whether the state lies in a component that must be left to collect its value.
        rounds: policies evaluated exactly.
    """

    value: list[Fraction]
    policy: list[int]
    component: np.ndarray
    waiting: list[bool]
    rounds: int


def solve_exact_level(pairs: RationalPairs, free: np.ndarray, number: int) -> ExactLevel:
    """Solve a level exactly; see `solve_undiscounted` for levels without a discount.

    Args:
        pairs: the level on the states that have an action.
        free: (T, P) bool: which pairs are free of each trap of the levels above.
        number: the objective, for messages.

    Returns:
        Value and policy.

    Raises:
        NotTransientError: if the value is infinite somewhere, or multipliers do not die out; its
            policy names pairs by their origin.
    """
    sums = [sum(w.values(), _ZERO) for w in pairs.weights]
    if any(total > 1 for total in sums):
        _refuse_growth(pairs, number)
    links = pairs.links()
    state = np.array(pairs.state)
    zero = np.array([f and r == 0 for f, r in zip(pairs.full, pairs.reward, strict=True)])
    parts = maximal_end_components(state, links, zero)
    if not parts.count:
        value, policy, rounds = _iterate(pairs, _start(pairs, number), number)
        nothing = [False] * pairs.num_states
        return ExactLevel(value, policy, parts.label, nothing, rounds)
    quotient, node, origin = _collapse(pairs, parts, stayable(state, parts, free))
    found, chosen, rounds = _iterate(quotient, _start(quotient, number), number)
    value = [found[n] for n in node]
    policy = _route(pairs, links, parts, node, [origin[p] for p in chosen])
    waiting = [
        bool(parts.label[s] >= 0) and origin[chosen[node[s]]] >= 0 and value[s] != 0
        for s in range(pairs.num_states)
    ]
    return ExactLevel(value, policy, parts.label, waiting, rounds)


def _iterate(
    pairs: RationalPairs, policy: list[int], number: int
) -> tuple[list[Fraction], list[int], int]:
    """Improve a policy that ends until no pair is better, in exact arithmetic."""
    if pairs.num_states > _WARM:
        policy = _warm(pairs, policy)
    rounds = 0
    while True:
        rounds += 1
        rows, right = [pairs.weights[p] for p in policy], [pairs.reward[p] for p in policy]
        try:
            value = solve_fixed_point(rows, right)
        except DomainError as error:
            raise _not_transient(pairs, policy, number) from error
        better = _improved(pairs, policy, value)
        if better == policy:
            return value, policy, rounds
        policy = better


def _improved(pairs: RationalPairs, policy: Sequence[int], value: Sequence[Fraction]) -> list[int]:
    """Return for each state the first of its best pairs, or the one it has if none is better."""
    better, best = list(policy), list(value)
    for pair, s in enumerate(pairs.state):
        q = pairs.action_value(pair, value)
        if q > best[s]:
            best[s], better[s] = q, pair
    return better


def _warm(pairs: RationalPairs, policy: list[int]) -> list[int]:
    """Return the best policy in floating point, a good place to begin; never trusted."""
    row = [i for i, w in enumerate(pairs.weights) for _ in w]
    column = [j for w in pairs.weights for j in w]
    entry = [float(x) for w in pairs.weights for x in w.values()]
    shape = (len(pairs.state), pairs.num_states)
    size = len(pairs.state)
    problem = PairProblem(
        state=np.array(pairs.state),
        matrix=sparse.coo_array((entry, (row, column)), shape=shape).tocsr(),
        reward=np.array([float(r) for r in pairs.reward]),
        error=np.zeros(size),
        full=np.array(pairs.full),
        origin=np.arange(size),
    )
    try:
        _, found, _ = pair_policy_iteration(problem, np.array(policy))
    except CosetError:  # floats could not evaluate a policy: begin as given
        return policy
    return [int(p) for p in found]


def _start(pairs: RationalPairs, number: int) -> list[int]:
    """Return a policy that ends with probability 1, or refuse; gains that repeat are refused."""
    state, links = np.array(pairs.state), pairs.links()
    full = np.array(pairs.full)
    parts = maximal_end_components(state, links, full)
    earning = [int(i) for i in np.flatnonzero(parts.inside) if pairs.reward[i] > 0]
    if earning:
        raise NotTransientError(
            f"objective {number + 1} must stay finite without a discount; somewhere a policy can "
            f"stay for ever and earn again and again; discount the objective, or let those events "
            f"end the process",
            _policy_of(pairs, earning),
            1.0,
        )
    usable = np.ones(len(state), dtype=bool)
    nowhere = np.zeros(pairs.num_states, dtype=bool)
    policy = reach_almost_surely(state, links, usable, ~full, nowhere)
    if (policy == -2).any():
        raise NotTransientError(
            f"objective {number + 1} must stay finite without a discount; from "
            f"{int((policy == -2).sum())} states no policy ends with probability 1, and every one "
            f"that goes on pays again and again; discount the objective, or make states terminal",
            _policy_of(pairs, []),
            1.0,
        )
    return [int(p) for p in policy]


def _policy_of(pairs: RationalPairs, chosen: Sequence[int]) -> tuple[int, ...]:
    """Return s · A + a of the chosen pairs; the caller knows the process."""
    return tuple(pairs.origin[p] for p in chosen if pairs.origin[p] >= 0)


def _not_transient(pairs: RationalPairs, policy: Sequence[int], number: int) -> NotTransientError:
    return NotTransientError(
        f"multipliers of objective {number + 1} must die out under every policy (spectral radius "
        f"< 1); under one they do not; lower the multipliers, or forbid the actions that stay",
        _policy_of(pairs, policy),
        1.0,
    )


def _refuse_growth(pairs: RationalPairs, number: int) -> None:
    """Refuse unless the longest lifetimes exist: max w = 1 + W w has a finite solution w ≥ 1."""
    ones = [Fraction(1)] * len(pairs.state)
    lifetimes = replace(pairs, reward=ones)
    policy: list[int] = []
    for pair, s in enumerate(pairs.state):
        if s == len(policy):
            policy.append(pair)
    while True:
        rows = [pairs.weights[p] for p in policy]
        try:
            value = solve_fixed_point(rows, [Fraction(1)] * len(policy))
        except DomainError as error:
            raise _not_transient(pairs, policy, number) from error
        if any(v < 1 for v in value):
            raise _not_transient(pairs, policy, number)
        better = _improved(lifetimes, policy, value)
        if better == policy:
            return
        policy = better


def _collapse(
    pairs: RationalPairs, parts: EndComponents, stay: np.ndarray
) -> tuple[RationalPairs, list[int], list[int]]:
    """Make one state of each component; return the problem, each state's node, pairs' origins."""
    node, count = [], parts.count
    for s in range(pairs.num_states):
        label = int(parts.label[s])
        if label >= 0:
            node.append(label)
        else:
            node.append(count)
            count += 1
    found: list[tuple[int, Mapping[int, Fraction], Fraction, bool, int]] = []
    for pair, s in enumerate(pairs.state):
        if parts.inside[pair]:
            continue
        merged: dict[int, Fraction] = {}
        for j, w in pairs.weights[pair].items():
            merged[node[j]] = merged.get(node[j], _ZERO) + w
        found.append((node[s], merged, pairs.reward[pair], pairs.full[pair], pair))
    found += [(c, {}, _ZERO, False, -1) for c in range(parts.count) if stay[c]]
    found.sort(key=lambda item: item[0])
    states, weights, reward, full, origin = (list(column) for column in zip(*found, strict=True))
    names = [pairs.origin[p] if p >= 0 else -1 for p in origin]
    return RationalPairs(states, weights, reward, full, count, names), node, origin


def _route(
    pairs: RationalPairs,
    links: sparse.csr_array,
    parts: EndComponents,
    node: Sequence[int],
    chosen: Sequence[int],
) -> list[int]:
    """Return a pair for each state: inside a component on the way to its exit, if it is left."""
    arrived = np.array([chosen[n] == -1 or pairs.state[chosen[n]] == s for s, n in enumerate(node)])
    nothing = np.zeros(len(pairs.state), dtype=bool)
    way = reach_almost_surely(np.array(pairs.state), links, parts.inside, nothing, arrived)
    inside: dict[int, int] = {}
    for pair in np.flatnonzero(parts.inside):
        inside.setdefault(pairs.state[pair], int(pair))
    policy = []
    for s, n in enumerate(node):
        if not arrived[s]:
            policy.append(int(way[s]))
        else:
            policy.append(chosen[n] if chosen[n] >= 0 else inside[s])
    return policy
