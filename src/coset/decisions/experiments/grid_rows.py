"""Rows that say what an optimal policy does on a grid: one for the policy, one for each cell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from coset.decisions.processes.policy_outcome import policy_outcome

if TYPE_CHECKING:
    from coset.decisions.envs.toy_text import ToyText
    from coset.decisions.processes.mdp import MDP
    from coset.decisions.solvers.solution import MDPSolution

__all__ = ["cell_rows", "finite", "policy_row"]


def finite(number: float) -> float | None:
    """Return a number as rows hold it: ``None`` where it is infinite.

    Args:
        number: any float.

    Returns:
        The number, or ``None``.
    """
    return number if math.isfinite(number) else None


def policy_row(model: ToyText, solution: MDPSolution) -> dict[str, Any]:
    """Describe an optimal policy from the start.

    Args:
        model: the environment.
        solution: of some objectives in it.

    Returns:
        value_1, value_2 (``None`` for one objective), error_1, error_2, goal_chance,
        danger_chance, expected_steps (``None`` if it may go on for ever), policy and ties (actions
        by state, "." where the process has ended), num_safe (states from which the policy never
        meets danger), num_live, num_unproved.
    """
    outcome = policy_outcome(model, solution.policy)
    values = solution.value[model.start_state].tolist()
    bounds = list(solution.level_bounds)
    live = ~model.terminal
    tied = [
        "".join(map(str, row.nonzero()[:, 0].tolist())) or "." for row in solution.tie_set.unbind()
    ]
    return {
        "value_1": values[0],
        "value_2": values[1] if len(values) > 1 else None,
        "error_1": bounds[0],
        "error_2": bounds[1] if len(bounds) > 1 else None,
        "goal_chance": outcome.goal_chance,
        "danger_chance": outcome.danger_chance,
        "expected_steps": finite(outcome.expected_steps),
        "policy": ",".join("." if a < 0 else str(a) for a in solution.policy.tolist()),
        "ties": ",".join(tied),
        "num_safe": int((live & (outcome.danger == 0)).sum()),
        "num_live": int(live.sum()),
        "num_unproved": solution.num_unproved_ties,
    }


def cell_rows(model: ToyText, mdp: MDP, solution: MDPSolution) -> Iterator[dict[str, Any]]:
    """Describe an optimal policy cell by cell, for maps.

    Args:
        model: an environment on a grid.
        mdp: its objectives.
        solution: of them.

    Yields:
        For each cell its row, column, letter, value_1, value_2, arrows (of the whole tie set),
        first_arrows (of what survives the first objective), arrow (of the policy), goal_chance,
        danger_chance, expected_steps under the policy.
    """
    outcome = policy_outcome(model, solution.policy)
    exists, lost = mdp.allowed, solution.lost_at
    for state, letter in enumerate("".join(model.layout or ())):
        place = model.cell(state)
        assert place is not None
        values = solution.value[state].tolist()
        survives = (exists[state] & (lost[state] != 0)).tolist()
        chosen = int(solution.policy[state])
        yield {
            "row": place[0],
            "column": place[1],
            "letter": letter,
            "value_1": values[0],
            "value_2": values[1] if len(values) > 1 else None,
            "first_arrows": _arrows(model, survives),
            "arrows": _arrows(model, solution.tie_set[state].tolist()),
            "arrow": "" if chosen < 0 else model.arrows[chosen],
            "goal_chance": float(outcome.goal[state]),
            "danger_chance": float(outcome.danger[state]),
            "expected_steps": finite(float(outcome.steps[state])),
        }


def _arrows(model: ToyText, kept: list[bool]) -> str:
    return "".join(arrow for arrow, is_kept in zip(model.arrows, kept, strict=True) if is_kept)
