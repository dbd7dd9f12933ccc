"""Lexicographic solvers that are wrong in one step, each as it is found in practice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from coset.core.errors import CosetError
from coset.decisions.processes.rational import RationalEvent, RationalMDP
from coset.decisions.solvers.rational_solver import solve_exact

__all__ = [
    "FLAWED",
    "Policy",
    "equality_of_floats",
    "greedy_sets_intersected",
    "lexmax_in_each_sweep",
    "next_reward_ignored",
    "off_diagonals_ignored",
    "one_weight",
    "sequential",
    "slack_at_each_level",
]

Policy = tuple[int, ...]
Values = list[list[Fraction]]

_SWEEPS = 60
# Value iteration is usually stopped when a sweep changes this little.
_SMALL = 1e-3


def sequential(mdp: RationalMDP) -> Policy:
    """Return the optimal policy: level by level, exact ties.

    Args:
        mdp: the process.

    Returns:
        An action for each state, −1 at terminal ones.

    Claims: decisions.C8.
    """
    return tuple(solve_exact(mdp).policy.tolist())


def _changed(mdp: RationalMDP, change: Callable[[RationalEvent], RationalEvent]) -> RationalMDP:
    events = tuple(
        tuple(tuple(change(event) for event in action) for action in state) for state in mdp.events
    )
    return RationalMDP(events, mdp.terminal)


def off_diagonals_ignored(mdp: RationalMDP) -> Policy:
    """Treat the objectives as processes of their own: Γ_kj = 0 for j < k.

    Args:
        mdp: the process.

    Returns:
        A policy.
    """

    def change(event: RationalEvent) -> RationalEvent:
        size = range(len(event.reward))
        diagonal = tuple(
            tuple(event.multiplier[i][j] if i == j else Fraction(0) for j in size) for i in size
        )
        return RationalEvent(event.successor, event.probability, event.reward, diagonal)

    return sequential(_changed(mdp, change))


def _backup(mdp: RationalMDP, value: Sequence[Sequence[float]]) -> list[list[list[float]]]:
    """Return the action values of all objectives in floating point."""
    depth = mdp.num_objectives
    table = []
    for state in mdp.events:
        rows = []
        for action in state:
            q = [0.0] * depth if action else []
            for event in action:
                for k in range(depth):
                    carried = sum(
                        float(event.multiplier[k][j]) * value[event.successor][j]
                        for j in range(k + 1)
                    )
                    q[k] += float(event.probability) * (float(event.reward[k]) + carried)
            rows.append(q)
        table.append(rows)
    return table


def lexmax_in_each_sweep(mdp: RationalMDP) -> Policy:
    """Iterate V ← lexmax Q of all objectives together: ties break before values settle.

    Args:
        mdp: the process.

    Returns:
        A policy.
    """
    value = [[0.0] * mdp.num_objectives for _ in mdp.events]
    policy = [-1] * len(value)
    for _ in range(_SWEEPS):
        table = _backup(mdp, value)
        for s, rows in enumerate(table):
            choices = [a for a, q in enumerate(rows) if q]
            if choices:
                policy[s] = _first_best({a: rows[a] for a in choices})
                value[s] = rows[policy[s]]
    return tuple(policy)


def _first_best(rows: Mapping[int, Sequence[Fraction | float]]) -> int:
    """Return the first of the actions whose row is the greatest, −1 if there is none."""
    return max(rows, key=lambda a: (list(rows[a]), -a), default=-1)


def _levels(
    mdp: RationalMDP, keep: Callable[[Sequence[float], int], list[int]], *, restrict: bool = True
) -> Policy:
    """Run value iteration level after level in floating point, keeping what `keep` says."""
    left = [[a for a, action in enumerate(state) if action] for state in mdp.events]
    value = [[0.0] * mdp.num_objectives for _ in mdp.events]
    everything = [list(actions) for actions in left]
    for k in range(mdp.num_objectives):
        usable = left if restrict else everything
        change = 1.0
        while change > _SMALL:
            change = 0.0
            table = _backup(mdp, value)
            for s, actions in enumerate(usable):
                if actions:
                    best = max(table[s][a][k] for a in actions)
                    change = max(change, abs(best - value[s][k]))
                    value[s][k] = best
        table = _backup(mdp, value)
        for s, actions in enumerate(left):
            if actions:
                kept = keep([table[s][a][k] for a in usable[s]], k)
                chosen = [usable[s][i] for i in kept]
                left[s] = [a for a in actions if a in chosen] or actions
    return tuple(actions[0] if actions else -1 for actions in left)


def equality_of_floats(mdp: RationalMDP) -> Policy:
    """Call it a tie if floats are equal, whatever their error.

    Args:
        mdp: the process.

    Returns:
        A policy.
    """
    return _levels(mdp, lambda q, k: [i for i, x in enumerate(q) if x == max(q)])


def slack_at_each_level(mdp: RationalMDP) -> Policy:
    """Keep what is worse by at most 0.2.

    Args:
        mdp: the process.

    Returns:
        A policy.
    """
    return _levels(mdp, lambda q, k: [i for i, x in enumerate(q) if x >= max(q) - 0.2])


def greedy_sets_intersected(mdp: RationalMDP) -> Policy:
    """Optimize each level over all actions, and intersect the greedy sets afterwards.

    Args:
        mdp: the process.

    Returns:
        A policy; where an intersection is empty the sets above decide.
    """
    near = 2 * _SMALL
    return _levels(
        mdp, lambda q, k: [i for i, x in enumerate(q) if x >= max(q) - near], restrict=False
    )


def next_reward_ignored(mdp: RationalMDP) -> Policy:
    """Break ties by the next reward alone, not by its value.

    Args:
        mdp: the process.

    Returns:
        A policy.
    """
    found = solve_exact(first_objectives(mdp, 1))
    policy = []
    for s, state in enumerate(mdp.events):
        choices = [a for a in range(mdp.num_actions) if bool(found.tie_set[s, a])]
        earned = {
            a: tuple(
                sum((e.probability * e.reward[k] for e in state[a]), Fraction(0))
                for k in range(1, mdp.num_objectives)
            )
            for a in choices
        }
        policy.append(_first_best(earned))
    return tuple(policy)


def first_objectives(mdp: RationalMDP, count: int) -> RationalMDP:
    """Return the process with its first objectives only.

    Args:
        mdp: the process.
        count: how many.

    Returns:
        The process.
    """
    return _changed(
        mdp,
        lambda e: RationalEvent(
            e.successor,
            e.probability,
            e.reward[:count],
            tuple(row[:count] for row in e.multiplier[:count]),
        ),
    )


def one_weight(mdp: RationalMDP, weight: Fraction) -> Policy:
    """Maximize the one number Σ_k w^k r_k.

    Args:
        mdp: a process whose multipliers are γI for each event.
        weight: w > 0.

    Returns:
        The policy that is optimal for it.

    Claims: decisions.C10.
    """
    powers = [weight**k for k in range(mdp.num_objectives)]
    scalar = _changed(
        mdp,
        lambda e: RationalEvent(
            e.successor,
            e.probability,
            (sum((w * r for w, r in zip(powers, e.reward, strict=True)), Fraction(0)),),
            ((e.multiplier[0][0],),),
        ),
    )
    return sequential(scalar)


def _safely(solver: Callable[[RationalMDP], Policy]) -> Callable[[RationalMDP], Policy]:
    """Let a solver that finds no answer answer with the first actions, so that it is judged."""

    def policy(mdp: RationalMDP) -> Policy:
        try:
            return solver(mdp)
        except CosetError:
            first = (next((a for a, e in enumerate(state) if e), -1) for state in mdp.events)
            return tuple(first)

    return policy


FLAWED: dict[str, Callable[[RationalMDP], Policy]] = {
    "objectives without what couples them": _safely(off_diagonals_ignored),
    "lexmax inside each sweep": lexmax_in_each_sweep,
    "ties by equality of floats": equality_of_floats,
    "greedy sets of all actions, intersected": greedy_sets_intersected,
    "slack of 0.2 at each level": slack_at_each_level,
    "ties broken by the next reward alone": next_reward_ignored,
}
