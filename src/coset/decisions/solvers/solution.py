"""What solving a decision process returns: values, a policy, ties, and where each action lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import torch
from torch import Tensor

from coset.core.errors import RangeError, ShapeError
from coset.core.results import Solution

__all__ = ["MDPSolution", "TieStatus"]


class TieStatus(IntEnum):
    """How sure it is which actions survive an objective at a state.

    A wrong call costs at most the error at this objective, and any amount at the next.
    """

    NONE = -1  # the process has ended there
    UNIQUE = 0  # one action is better than each other one by more than the proved error
    PROVED = 1  # several are equal, exactly
    ASSUMED = 2  # several differ by less than the error; that they are equal is not proved


@dataclass(frozen=True, eq=False, repr=False)
class MDPSolution(Solution):
    """The lexicographically optimal values of a process and all optimal actions.

    Attributes:
        value: (S, d) float64, V*(s) for each objective.
        policy: (S,) int64, an optimal action: the first of the tie set, but where staying for ever
            would collect nothing of an undiscounted objective, one on the way out (of the tie set,
            too); −1 at terminal states.
        tie_set: (S, A) bool, the actions that survive every objective.
        tie_status: (S, d) int8, `TieStatus` of each state and objective.
        lost_at: (S, A) int8, the objective at which the action lost, counted from 0; d if it
            survives, −1 if it does not exist.
        loss: (S, A) float64, by how much it lost there; 0 if it survives.
        level_bounds: for each objective a proved bound on |value − V*|, under the tie sets found.
        exact: the fractions V*(s) of an exact solution, else ``None``.

    Claims: decisions.C8.
    """

    policy: Tensor = field(kw_only=True)
    tie_set: Tensor = field(kw_only=True)
    tie_status: Tensor = field(kw_only=True)
    lost_at: Tensor = field(kw_only=True)
    loss: Tensor = field(kw_only=True)
    level_bounds: tuple[float, ...] = field(default=(), kw_only=True)
    exact: tuple[tuple[str, ...], ...] | None = field(default=None, kw_only=True)

    @property
    def num_unproved_ties(self) -> int:
        """The number of states at which some tie is assumed, not proved."""
        return int((self.tie_status == TieStatus.ASSUMED).any(1).sum())

    def __repr__(self) -> str:
        states, levels = self.value.shape
        bound = "" if self.error_bound is None else f", within {self.error_bound:.2g}"
        ties = self.num_unproved_ties
        assumed = f", {ties:,} states with unproved ties" if ties else ""
        return f"MDPSolution({states:,} states, {levels} objectives, {self.status}{bound}{assumed})"

    def explain(
        self, state: int, actions: Sequence[str] = (), objectives: Sequence[str] = ()
    ) -> str:
        """Say at which objective each rejected action lost at a state, and by how much.

        Args:
            state: 0…S−1.
            actions: names of the A actions, for the text.
            objectives: names of the d objectives, for the text.

        Returns:
            One line for the state and one for each action that exists.

        Raises:
            RangeError: if there is no such state.
            ShapeError: if names are given, but not one for each.
        """
        num_states, num_actions = self.tie_set.shape
        depth = self.value.shape[1]
        if not 0 <= state < num_states:
            raise RangeError(f"a state is one of 0…{num_states - 1}; given {state}")
        for what, names, count in (
            ("actions", actions, num_actions),
            ("objectives", objectives, depth),
        ):
            if names and len(names) != count:
                raise ShapeError(f"{what} needs {count} names or none; given {len(names)}")
        goals = objectives or [f"objective {k + 1}" for k in range(depth)]
        moves = actions or [f"action {a}" for a in range(num_actions)]
        values = ", ".join(
            f"{goal} {float(v):.9g}" for goal, v in zip(goals, self.value[state], strict=True)
        )
        lines = [f"state {state}: {values}"]
        lines += [
            self._fate(state, a, moves[a], goals)
            for a in range(num_actions)
            if int(self.lost_at[state, a]) >= 0
        ]
        if len(lines) == 1:
            lines.append("  the process has ended here")
        return "\n".join(lines)

    def _fate(self, state: int, action: int, name: str, goals: Sequence[str]) -> str:
        lost, depth = int(self.lost_at[state, action]), self.value.shape[1]
        if lost < depth:
            by = float(self.loss[state, action])
            return f"  {name}: lost at {goals[lost]} (priority {lost + 1}), by {by:.9g}"
        statuses = self.tie_status[state]
        shared = int(self.tie_set[state].sum()) > 1
        if not shared:
            assumed = bool((statuses == TieStatus.ASSUMED).any())
            return f"  {name}: optimal{', if the ties assumed on the way hold' if assumed else ''}"
        sure = bool((statuses[-1:] == TieStatus.PROVED).all())
        return f"  {name}: optimal, a tie ({'proved' if sure else 'within the error, not proved'})"

    def action_counts(self) -> Tensor:
        """Return how many actions are optimal in each state.

        Returns:
            (S,) int64, 0 at terminal states.
        """
        return self.tie_set.sum(1, dtype=torch.int64)
