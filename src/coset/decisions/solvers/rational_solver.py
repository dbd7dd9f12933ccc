"""Solve a decision process exactly: values in fractions, every tie decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from scipy import sparse

from coset.core.results import Status
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.solvers.admissible import Trap, actions_free_of, admissible_policy
from coset.decisions.solvers.rational_certificate import ExactPolicyCertificate
from coset.decisions.solvers.rational_levels import ExactLevel, RationalPairs, solve_exact_level
from coset.decisions.solvers.solution import MDPSolution, TieStatus

__all__ = ["exact_action_value", "solve_exact"]

_ZERO = Fraction(0)


@dataclass(eq=False)
class _Progress:
    """What is known after some levels."""

    allowed: np.ndarray
    value: list[list[Fraction]]
    lost_at: torch.Tensor
    loss: torch.Tensor
    tie_status: torch.Tensor
    traps: list[Trap]
    rounds: int = 0


def solve_exact(mdp: RationalMDP) -> MDPSolution:
    """Solve level after level in fractions; ties are equalities.

    Args:
        mdp: the process.

    Returns:
        The solution: `exact` holds the fractions, `value` the nearest floats.

    Raises:
        NotTransientError: if a level has no finite value.
        NoOptimalPolicyError: if the best is approached and not attained.

    Complexity: for each level some exact solutions of S equations: up to some hundred states.

    Claims: decisions.C8, decisions.C10.

    Examples:
        >>> risk = [(1, Fraction(1, 2**60), (-1, 0), 0), (1, 1 - Fraction(1, 2**60), (0, 10), 0)]
        >>> found = solve_exact(RationalMDP([[risk, [(1, 1, (0, 1), 0)]], [[], []]]))
        >>> found.policy.tolist(), found.exact[0]
        ([1, -1], ('0', '1'))
    """
    size, width, depth = mdp.num_states, mdp.num_actions, mdp.num_objectives
    exists = np.array([[bool(a) for a in state] for state in mdp.events])
    progress = _Progress(
        allowed=exists.copy(),
        value=[[] for _ in range(size)],
        lost_at=torch.from_numpy(np.where(exists, depth, -1)).to(torch.int8),
        loss=torch.zeros(size, width, dtype=torch.float64),
        tie_status=torch.full((size, depth), TieStatus.NONE, dtype=torch.int8),
        traps=[],
    )
    for index in range(depth):
        _advance(mdp, index, progress)
    policy = admissible_policy(torch.from_numpy(progress.allowed), progress.traps)
    exact = tuple(tuple(str(x) for x in row) for row in progress.value)
    value = torch.tensor([[float(x) for x in row] for row in progress.value], dtype=torch.float64)
    # What is left is the rounding of each fraction to the nearest float.
    bounds = (value.abs().amax(0) * 2.0**-53).tolist()
    return MDPSolution(
        value=value,
        status=Status.SOLVED,
        error_bound=max(bounds),
        certificate=ExactPolicyCertificate(mdp, exact, policy, progress.lost_at),
        iterations=progress.rounds,
        policy=policy,
        tie_set=torch.from_numpy(progress.allowed),
        tie_status=progress.tie_status,
        lost_at=progress.lost_at,
        loss=progress.loss,
        level_bounds=tuple(bounds),
        exact=exact,
    )


def exact_action_value(
    mdp: RationalMDP, index: int, state: int, action: int, value: Sequence[Sequence[Fraction]]
) -> Fraction:
    """Return Σ P (r_i + Σ_{j≤i} Γ_ij V_j(s')), the action value of one objective.

    Args:
        mdp: the process.
        index: i.
        state: s.
        action: a.
        value: for each state at least i + 1 values; those of terminal states are 0.

    Returns:
        Q_i(s, a).
    """
    total = _ZERO
    for event in mdp.events[state][action]:
        below = value[event.successor]
        row = event.multiplier[index]
        carried = sum((row[j] * below[j] for j in range(index + 1) if row[j]), _ZERO)
        total += event.probability * (event.reward[index] + carried)
    return total


def _advance(mdp: RationalMDP, index: int, progress: _Progress) -> None:
    states = np.flatnonzero(progress.allowed.any(1))
    for row in progress.value:
        row.append(_ZERO)
    if not len(states):
        return
    pairs = _pairs(mdp, index, progress, states)
    shape = (mdp.num_states, mdp.num_actions)
    free = actions_free_of(progress.traps, shape).reshape(len(progress.traps), shape[0] * shape[1])
    try:
        solved = solve_exact_level(pairs, free[:, pairs.origin], index)
    except NotTransientError as error:
        raise _translated(error, mdp) from error
    progress.rounds += solved.rounds
    for s, v in zip(states, solved.value, strict=True):
        progress.value[s][index] = v
    _drop_losers(mdp, index, progress, states)
    trap = _trap(mdp, index, progress, states, solved)
    if trap is not None:
        progress.traps.append(trap)
    if progress.traps:
        admissible_policy(torch.from_numpy(progress.allowed), progress.traps)


def _pairs(mdp: RationalMDP, index: int, progress: _Progress, states: np.ndarray) -> RationalPairs:
    number = {int(s): i for i, s in enumerate(states)}
    state, weights, rewards, full, origin = [], [], [], [], []
    for s, a in zip(*np.nonzero(progress.allowed), strict=True):
        row: dict[int, Fraction] = {}
        total = _ZERO
        for event in mdp.events[s][a]:
            weight = event.probability * event.multiplier[index][index]
            if weight and event.successor in number:
                at = number[event.successor]
                row[at] = row.get(at, _ZERO) + weight
                total += weight
        state.append(number[int(s)])
        weights.append(row)
        # V_i is still 0, so that this is the reward of the level with what the others add.
        rewards.append(exact_action_value(mdp, index, int(s), int(a), progress.value))
        full.append(total == 1)
        origin.append(int(s) * mdp.num_actions + int(a))
    rows: list[Mapping[int, Fraction]] = list(weights)
    return RationalPairs(state, rows, rewards, full, len(states), origin)


def _translated(error: NotTransientError, mdp: RationalMDP) -> NotTransientError:
    """Say the witness's policy in the actions of the process, the first one where none is named."""
    policy = [next((a for a, e in enumerate(state) if e), -1) for state in mdp.events]
    for origin in error.policy:
        policy[origin // mdp.num_actions] = origin % mdp.num_actions
    return NotTransientError(str(error), tuple(policy), error.radius)


def _drop_losers(mdp: RationalMDP, index: int, progress: _Progress, states: np.ndarray) -> None:
    for s in states:
        best, kept = progress.value[s][index], 0
        for a in np.flatnonzero(progress.allowed[s]):
            gap = best - exact_action_value(mdp, index, int(s), int(a), progress.value)
            if gap:
                progress.allowed[s, a] = False
                progress.lost_at[s, a] = index
                progress.loss[s, a] = float(gap)
            else:
                kept += 1
        progress.tie_status[s, index] = TieStatus.UNIQUE if kept == 1 else TieStatus.PROVED


def _trap(
    mdp: RationalMDP, index: int, progress: _Progress, states: np.ndarray, solved: ExactLevel
) -> Trap | None:
    if not any(solved.waiting):
        return None
    inside = np.zeros(mdp.num_states, dtype=bool)
    inside[states] = [v > 0 for v in solved.value]
    width = mdp.num_actions
    rows, columns = [], []
    full = np.zeros((mdp.num_states, width), dtype=bool)
    live: np.ndarray = np.asarray(progress.allowed.any(1))
    for s in states:
        for a in range(width):
            mass = _ZERO
            for event in mdp.events[s][a]:
                weight = event.probability * event.multiplier[index][index]
                # Where all mass goes on, what a multiplier > 1 also sends to an end ends nothing.
                if weight and live[event.successor]:
                    rows.append(s * width + a)
                    columns.append(event.successor)
                    mass += weight
            full[s, a] = mass == 1
    shape = (mdp.num_states * width, mdp.num_states)
    links = sparse.coo_array((np.ones(len(rows), dtype=np.int32), (rows, columns)), shape=shape)
    return Trap(index, inside, full, links.tocsr())
