"""Levels whose multipliers need not die out: end components, and what ends for certain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from coset.decisions.errors import NotTransientError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.solvers.end_components import (
    EndComponents,
    maximal_end_components,
    reach_almost_surely,
)
from coset.decisions.solvers.pair_problem import (
    PairBounds,
    PairProblem,
    bounded,
    pair_policy_iteration,
    pairs_of_level,
)
from coset.decisions.solvers.state_list import list_states

__all__ = ["LevelValues", "solve_undiscounted", "stayable"]


@dataclass(frozen=True, eq=False)
class LevelValues:
    """The values of one level with their proof, as `solve_undiscounted` found them.

    Attributes:
        value: (S,) float64.
        policy: (S,) int64, an action that attains it; −1 where none is allowed.
        low: (S,) float64: V* ≥ value − low.
        high: (S,) float64: V* ≤ value + high.
        component: (S,) int64: the zero-reward end component of each state, −1 outside of all.
        inside: (S, A) bool: the actions that stay in the component of their state.
        stays: (S,) bool: it is best never to leave the component.
        assumed: (S,) bool: states where a reward within its error of 0 was taken as 0.
        iterations: policy evaluations.
    """

    value: np.ndarray
    policy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    component: np.ndarray
    inside: np.ndarray
    stays: np.ndarray
    assumed: np.ndarray
    iterations: int


def solve_undiscounted(
    level: ScalarLevel, error: np.ndarray, free: np.ndarray, number: int = 0
) -> LevelValues:
    """Solve a level whose rows of weights sum to at most 1.

    End components without reward are collapsed; each may be left, or stayed in for ever, worth 0.
    In what remains every end component must lose something at each round, so that the best policy
    ends (a stochastic shortest path), and policy iteration from a policy that ends finds it. The
    greatest of all fixed points for costs, the least for rewards ≥ 0: the values themselves.

    Args:
        level: the problem.
        error: (S, A) how far each reward may be off.
        free: (T, S, A) bool: one may stay in an end component for ever if for each of the T traps
            of the levels above one of the actions inside is free of it (`actions_free_of`).
        number: the objective, for messages.

    Returns:
        Values, policy, bounds and components.

    Raises:
        NotTransientError: if the best value is +∞ or −∞ at some state, or an end component has
            rewards of both signs, so that it is not known to be finite.

    Claims: decisions.C8b, decisions.C8c.
    """
    problem, states = pairs_of_level(level, error)
    if not len(states):
        return _nothing(level)
    zero = problem.full & (np.abs(problem.reward) <= problem.error)
    parts = maximal_end_components(problem.state, problem.matrix, zero)
    stay = stayable(
        problem.state, parts, free.reshape(len(free), level.allowed.numel())[:, problem.origin]
    )
    quotient, node = _collapse(problem, parts, stay)
    _refuse_gains(quotient, level, number)
    start = _ending(quotient, node, states, level, number)
    value, policy, rounds = pair_policy_iteration(quotient, start)
    proved = bounded(quotient, value, policy, rounds)
    assumed = np.zeros(level.num_states, dtype=bool)
    assumed[states[problem.state[parts.inside & (problem.reward != 0)]]] = True
    return _spread(level, problem, parts, quotient, node, states, proved, assumed)


def stayable(state: np.ndarray, parts: EndComponents, free: np.ndarray) -> np.ndarray:
    """Tell in which components one may stay for ever.

    Args:
        state: (P,) the state of each pair.
        parts: the components.
        free: (T, P) bool: which pairs are free of each trap of the levels above.

    Returns:
        (number of components,) bool.
    """
    stay = np.ones(parts.count, dtype=bool)
    label = parts.label[state[parts.inside]]
    for mine in free[:, parts.inside]:
        some = np.zeros(parts.count, dtype=bool)
        np.logical_or.at(some, label, mine)
        stay &= some
    return stay


def _nothing(level: ScalarLevel) -> LevelValues:
    size = level.num_states
    none = np.full(size, -1, dtype=np.int64)
    inside = np.zeros((size, level.num_actions), dtype=bool)
    flat = np.zeros(size)
    nowhere = np.zeros(size, dtype=bool)
    return LevelValues(flat, none, flat, flat, none, inside, nowhere, nowhere, 0)


def _collapse(
    problem: PairProblem, parts: EndComponents, stay: np.ndarray
) -> tuple[PairProblem, np.ndarray]:
    """Make one state of each component, with a pair of reward 0 that ends where `stay` is set."""
    size = problem.num_states
    single = np.flatnonzero(parts.label < 0)
    node = np.where(parts.label >= 0, parts.label, 0)
    node[single] = parts.count + np.arange(len(single))
    count = parts.count + len(single)
    merge = sparse.csr_array((np.ones(size), (np.arange(size), node)), shape=(size, count))
    kept = np.flatnonzero(~parts.inside)
    extra = np.flatnonzero(stay)
    matrix = sparse.vstack(
        [sparse.csr_array(problem.matrix[kept]) @ merge, sparse.csr_array((len(extra), count))]
    )
    state = np.concatenate([node[problem.state[kept]], extra])
    order = np.argsort(state, kind="stable")
    nothing = np.zeros(len(extra))
    return (
        PairProblem(
            state=state[order],
            matrix=sparse.csr_array(sparse.csr_array(matrix)[order]),
            reward=np.concatenate([problem.reward[kept], nothing])[order],
            error=np.concatenate([problem.error[kept], nothing])[order],
            full=np.concatenate([problem.full[kept], nothing > 0])[order],
            origin=np.concatenate([problem.origin[kept], np.full(len(extra), -1)])[order],
            terms=problem.terms,
        ),
        node,
    )


def _refuse_gains(quotient: PairProblem, level: ScalarLevel, number: int) -> None:
    """Refuse end components in which something is earned: their value may be infinite."""
    parts = maximal_end_components(quotient.state, quotient.matrix, quotient.full)
    earning = parts.inside & (quotient.reward > 0)
    if not earning.any():
        return
    # With no cost beside it the value is +∞; with costs it depends on what a round earns.
    mixed = np.isin(
        parts.label[quotient.state],
        np.unique(parts.label[quotient.state[parts.inside & (quotient.reward < 0)]]),
    )
    sure = bool((earning & ~mixed).any())
    policy = _policy_inside(quotient, parts, level)
    where = np.flatnonzero(policy >= 0)
    shown = list_states(where)
    what = "its value is +∞" if sure else "gains and losses may go on for ever there"
    raise NotTransientError(
        f"objective {number + 1} must stay finite without a discount; among states {shown} a "
        f"policy can stay for ever and earn again and again: {what}; discount the objective, or "
        f"let those events end the process",
        tuple(policy.tolist()),
        1.0,
    )


def _policy_inside(quotient: PairProblem, parts: EndComponents, level: ScalarLevel) -> np.ndarray:
    policy = np.full(level.num_states, -1, dtype=np.int64)
    pairs = np.flatnonzero(parts.inside & (quotient.origin >= 0))
    # Pairs that earn are written last, and so are the ones that are kept.
    pairs = pairs[np.argsort(quotient.reward[pairs], kind="stable")]
    at, action = np.divmod(quotient.origin[pairs], level.num_actions)
    policy[at] = action
    return policy


def _ending(
    quotient: PairProblem, node: np.ndarray, states: np.ndarray, level: ScalarLevel, number: int
) -> np.ndarray:
    """Return a policy under which the process ends with probability 1, or refuse."""
    usable = np.ones(len(quotient.state), dtype=bool)
    nowhere = np.zeros(quotient.num_states, dtype=bool)
    policy = reach_almost_surely(
        quotient.state, quotient.matrix, usable, ~_within(quotient), nowhere
    )
    lost = policy == -2
    if not lost.any():
        return policy
    bad = states[lost[node]]
    shown = list_states(bad)
    witness = np.where(level.active.cpu().numpy(), level.allowed.int().argmax(1).cpu().numpy(), -1)
    raise NotTransientError(
        f"objective {number + 1} must stay finite without a discount; from state"
        f"{'s' if len(bad) > 1 else ''} {shown} no policy ends with probability 1, and every one "
        f"that goes on pays again and again: the value is −∞; discount the objective, make those "
        f"states terminal, or give them an action that ends",
        tuple(witness.tolist()),
        1.0,
    )


def _within(quotient: PairProblem) -> np.ndarray:
    return np.asarray(quotient.full & (np.diff(quotient.matrix.indptr) > 0))


def _spread(
    level: ScalarLevel,
    problem: PairProblem,
    parts: EndComponents,
    quotient: PairProblem,
    node: np.ndarray,
    states: np.ndarray,
    proved: PairBounds,
    assumed: np.ndarray,
) -> LevelValues:
    """Bring the solution of the quotient back to the states of the level."""
    found = _nothing(level)
    value, low, high = (np.zeros(level.num_states) for _ in range(3))
    value[states] = proved.value[node]
    low[states] = proved.low * proved.lifetime[node]
    high[states] = proved.high * proved.longest[node]
    component = found.component.copy()
    component[states] = parts.label
    inside = found.inside.copy()
    inside.reshape(-1)[problem.origin[parts.inside]] = True
    chosen = quotient.origin[proved.policy]
    stays = np.zeros(level.num_states, dtype=bool)
    stays[states] = (chosen[node] == -1) & (parts.label >= 0)
    policy = found.policy.copy()
    policy[states] = _actions(level, problem, parts, chosen, node, states)
    return LevelValues(value, policy, low, high, component, inside, stays, assumed, proved.rounds)


def _actions(
    level: ScalarLevel,
    problem: PairProblem,
    parts: EndComponents,
    chosen: np.ndarray,
    node: np.ndarray,
    states: np.ndarray,
) -> np.ndarray:
    """Return an action for each of the N states: inside a component, on the way to its exit."""
    count = len(states)
    at = np.full(len(chosen), -1)
    exits = chosen >= 0
    at[exits] = chosen[exits] // level.num_actions
    leads = at[node] == states
    # Components that stay have no exit: any action inside will do, the first of each state.
    stay = (parts.label >= 0) & (chosen[node] == -1)
    way = reach_almost_surely(
        problem.state,
        problem.matrix,
        parts.inside,
        np.zeros(len(problem.state), bool),
        leads | stay,
    )
    action = np.full(count, -1, dtype=np.int64)
    action[leads] = chosen[node[leads]] % level.num_actions
    inner = np.flatnonzero(parts.inside)
    first = np.full(count, -1, dtype=np.int64)
    members, where = np.unique(problem.state[inner], return_index=True)
    first[members] = problem.origin[inner[where]] % level.num_actions
    action[stay] = first[stay]
    routed = (way >= 0) & (action < 0)
    action[routed] = problem.origin[way[routed]] % level.num_actions
    return action
