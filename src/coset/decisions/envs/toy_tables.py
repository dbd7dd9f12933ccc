"""Lists of transitions as padded arrays, with terminal states where episodes end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import torch

__all__ = ["Transition", "merged_outcomes", "successor_table", "tensors_of", "with_ends"]


class Transition(NamedTuple):
    """One outcome of an action.

    Attributes:
        state: where it was taken.
        action: which.
        successor: the next state.
        reward: what is paid.
        ended: the episode terminates.
        probability: exact.
        goal: the goal is reached.
        unsafe: danger is entered.
    """

    state: int
    action: int
    successor: int
    reward: float
    ended: bool
    probability: Fraction
    goal: bool = False
    unsafe: bool = False

    def ending(self, successor: int) -> Transition:
        """Return it as one that ends the episode.

        Args:
            successor: where.

        Returns:
            A copy.
        """
        return self._replace(ended=True, successor=successor)


Rows = Sequence[Sequence[Sequence[Transition]]]


def merged_outcomes(transitions: Iterable[Transition]) -> list[Transition]:
    """Return the outcomes of one (state, action), equal ones as one.

    Args:
        transitions: the outcomes.

    Returns:
        Outcomes that differ in more than their probability.
    """
    merged: dict[tuple[Any, ...], Transition] = {}
    for one in transitions:
        key = (one.successor, one.reward, one.ended, one.goal, one.unsafe)
        if key in merged:
            one = one._replace(probability=merged[key].probability + one.probability)
        merged[key] = one
    return list(merged.values())


def successor_table(
    rows: Rows, is_start: Sequence[bool] | None = None
) -> list[list[list[Transition]]]:
    """Send every ended transition to a terminal state.

    A state is terminal if transitions lead to it, all of them end the episode, and none begins
    there; or if it has no outcome. Ended transitions that lead elsewhere go to one more terminal
    state, behind the last.

    Args:
        rows: the outcomes of each state and action.
        is_start: whether an episode may begin in a state; ``None``: not told.

    Returns:
        The same with terminal states emptied, one state longer if an end had to be added.
    """
    num_states, num_actions = len(rows), len(rows[0])
    entered = [False] * num_states
    entered_alive = [False] * num_states
    for actions in rows:
        for outcomes in actions:
            for one in outcomes:
                entered[one.successor] = True
                entered_alive[one.successor] |= not one.ended
    begins = is_start or [False] * num_states
    terminal = [
        (entered[s] and not entered_alive[s] and not begins[s]) or not any(rows[s])
        for s in range(num_states)
    ]
    added = False
    table: list[list[list[Transition]]] = []
    for s, actions in enumerate(rows):
        own: list[list[Transition]] = []
        for outcomes in actions:
            kept = []
            for one in outcomes if not terminal[s] else ():
                stray = one.ended and not terminal[one.successor]
                added |= stray
                kept.append(one.ending(num_states) if stray else one)
            own.append(kept)
        table.append(own)
    return [*table, [[] for _ in range(num_actions)]] if added else table


def tensors_of(rows: Rows) -> dict[str, torch.Tensor]:
    """Return transitions as padded arrays.

    Args:
        rows: the outcomes of each state and action; a state without any is terminal.

    Returns:
        successor int32, probability and reward float64, ended, goal and unsafe bool, all (S, A, K);
        mask bool (S, A); terminal bool (S,). Padding has probability 0 and stays in its state.
    """
    num_states, num_actions = len(rows), len(rows[0])
    width = max((len(outcomes) for actions in rows for outcomes in actions), default=1) or 1
    shape = (num_states, num_actions, width)
    listed = [
        (k, one) for actions in rows for outcomes in actions for k, one in enumerate(outcomes)
    ]
    places = torch.tensor([(t.state, t.action, k) for k, t in listed], dtype=torch.int64)
    at = tuple(places.reshape(-1, 3).T)
    successor = torch.arange(num_states, dtype=torch.int32)[:, None, None].expand(shape).clone()
    successor[at] = torch.tensor([t.successor for _, t in listed], dtype=torch.int32)
    probability, reward = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
    probability[at] = torch.tensor([float(t.probability) for _, t in listed], dtype=torch.float64)
    reward[at] = torch.tensor([t.reward for _, t in listed], dtype=torch.float64)
    ended, goal, unsafe = (torch.zeros(shape, dtype=torch.bool) for _ in range(3))
    ended[at] = torch.tensor([t.ended for _, t in listed], dtype=torch.bool)
    goal[at] = torch.tensor([t.goal for _, t in listed], dtype=torch.bool)
    unsafe[at] = torch.tensor([t.unsafe for _, t in listed], dtype=torch.bool)
    mask = (probability > 0).any(-1)
    return {
        "successor": successor,
        "probability": probability,
        "reward": reward,
        "ended": ended,
        "goal": goal,
        "unsafe": unsafe,
        "mask": mask,
        "terminal": ~mask.any(-1),
    }


def with_ends(
    rows: list[list[list[Transition]]], layout: tuple[str, ...] | None
) -> list[list[list[Transition]]]:
    """Let unsafe transitions end, on a cliff in the cell beside the one that was left.

    Args:
        rows: the outcomes of each state and action.
        layout: rows of letters, or ``None``.

    Returns:
        The same with these ends.
    """

    def ends(t: Transition) -> Transition:
        return t.ending(_cliff_beside(t, layout)) if t.unsafe and not t.ended else t

    cliff = {
        s for s, letter in enumerate("".join(layout or ())) if letter == "C"
    }  # nobody ever stands there
    return [
        [[] if s in cliff else merged_outcomes(map(ends, outcomes)) for outcomes in actions]
        for s, actions in enumerate(rows)
    ]


def _cliff_beside(t: Transition, layout: tuple[str, ...] | None) -> int:
    if layout is not None:
        height, width = len(layout), len(layout[0])
        row, column = divmod(t.state, width)
        for r, c in ((row + 1, column), (row, column + 1), (row, column - 1), (row - 1, column)):
            if 0 <= r < height and 0 <= c < width and layout[r][c] == "C":
                return r * width + c
    return t.successor
