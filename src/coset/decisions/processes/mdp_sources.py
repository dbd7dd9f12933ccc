"""Decision processes from matrices, dense or sparse, and from lists of state-action pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, RangeError, ShapeError
from coset.decisions.processes.mdp_arrays import as_floats, as_integers

__all__ = ["from_dense", "from_pairs", "from_scipy"]


def from_dense(transition: Any, reward: Any, multiplier: Any, terminal: Any) -> dict[str, Any]:
    """Return the arguments of `MDP` for one matrix of probabilities for each action.

    Args:
        transition: (A, S, S).
        reward: (S, A), (S, A, 1, d) or (A, S, S).
        multiplier: a number, (d,), (d, d) or (A, S, S).
        terminal: (S,) bool or ``None``.

    Returns:
        The arguments by name.

    Raises:
        ShapeError: if transition is not (A, S, S).
    """
    chance = as_floats("transition", transition)
    if chance.ndim != 3 or chance.shape[1] != chance.shape[2] or 0 in chance.shape:
        raise ShapeError(f"transition must be (A, S, S); given {tuple(chance.shape)}")
    dense = tuple(chance.shape)
    count = int((chance != 0).sum(2).amax())
    # The nonzero places first, in the order of the states.
    order = torch.argsort((chance == 0).to(torch.uint8), dim=2, stable=True)[:, :, : max(count, 1)]

    def placed(name: str, value: Any) -> Any:
        array = None if value is None else as_floats(name, value)
        if array is None or tuple(array.shape) != dense:
            return value
        return array.gather(2, order).transpose(0, 1)

    return {
        "successor": order.transpose(0, 1),
        "probability": chance.gather(2, order).transpose(0, 1),
        "reward": placed("reward", reward),
        "multiplier": placed("multiplier", multiplier),
        "terminal": terminal,
    }


def from_scipy(
    transition: Sequence[Any], reward: Any, multiplier: Any, terminal: Any
) -> dict[str, Any]:
    """Return the arguments of `MDP` for one sparse matrix for each action.

    Args:
        transition: A matrices (S, S).
        reward: (S, A) or (S, A, 1, d).
        multiplier: a number, (d,) or (d, d).
        terminal: (S,) bool or ``None``.

    Returns:
        The arguments by name.

    Raises:
        ShapeError: if there is no matrix or they are not all (S, S).
    """
    rows = [matrix.tocsr() for matrix in transition]
    shapes = {tuple(m.shape) for m in rows}
    if len(shapes) != 1 or len(set(next(iter(shapes)))) != 1:
        raise ShapeError(f"transition must be matrices of one shape (S, S); given {shapes or '{}'}")
    num_states = rows[0].shape[0]
    width = max(1, max(int(np.diff(m.indptr).max(initial=0)) for m in rows))
    successor = np.zeros((num_states, len(rows), width), dtype=np.int32)
    probability = np.zeros((num_states, len(rows), width))
    for a, matrix in enumerate(rows):
        matrix.sum_duplicates()
        counts = np.diff(matrix.indptr)
        at = np.repeat(np.arange(num_states), counts)
        place = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], counts)
        successor[at, a, place] = matrix.indices
        probability[at, a, place] = matrix.data
    return {
        "successor": successor,
        "probability": probability,
        "reward": reward,
        "multiplier": multiplier,
        "terminal": terminal,
    }


def from_pairs(
    state: Any,
    action: Any,
    successor: Any,
    probability: Any,
    reward: Any,
    multiplier: Any,
    num_states: int | None,
    terminal: Any,
) -> dict[str, Any]:
    """Return the arguments of `MDP` for a list of state-action pairs.

    Args:
        state: (L,).
        action: (L,).
        successor: (L, K).
        probability: (L, K).
        reward: (L,), (L, K) or (L, K or 1, d).
        multiplier: a number, (d,), (d, d), or (L, K) with nothing, (d,) or (d, d) behind.
        num_states: S, or ``None``.
        terminal: (S,) bool or ``None``.

    Returns:
        The arguments by name.

    Raises:
        ShapeError: if the lengths differ.
        RangeError: if a state or an action is negative, or a state is not below S.
        DomainError: if a pair is listed twice.
    """
    s, a = as_integers("state", state).long(), as_integers("action", action).long()
    to, chance = as_integers("successor", successor), as_floats("probability", probability)
    length = s.shape[0] if s.ndim == 1 else -1
    if length < 1 or a.shape != s.shape or to.ndim != 2 or to.shape[0] != length:
        raise ShapeError(
            f"state and action must be (L,), successor and probability (L, K), L ≥ 1; given "
            f"{tuple(s.shape)}, {tuple(a.shape)}, {tuple(to.shape)}, {tuple(chance.shape)}"
        )
    count = int(max(s.max(), to.max())) + 1 if num_states is None else num_states
    if int(s.min()) < 0 or int(a.min()) < 0 or int(s.max()) >= count:
        raise RangeError(
            f"a pair names a state 0…{count - 1} and an action ≥ 0; the smallest are "
            f"{int(s.min())} and {int(a.min())}, the largest state {int(s.max())}"
        )
    num_actions = int(a.max()) + 1
    _refuse_twice(s * num_actions + a, num_actions)

    def placed(array: Tensor) -> Tensor:
        table = torch.zeros((count, num_actions, *array.shape[1:]), dtype=array.dtype)
        table[s, a] = array
        return table

    exists = torch.zeros(count, num_actions, dtype=torch.bool)
    exists[s, a] = True
    gamma = None if multiplier is None else as_floats("multiplier", multiplier)
    listed = gamma is not None and gamma.ndim >= 2 and tuple(gamma.shape[:2]) == tuple(to.shape)
    return {
        "successor": placed(to),
        "probability": placed(chance),
        "reward": placed(as_floats("reward", reward)),
        "multiplier": placed(gamma) if gamma is not None and listed else multiplier,
        "mask": exists,
        "terminal": ~exists.any(1) if terminal is None else terminal,
    }


def _refuse_twice(code: Tensor, num_actions: int) -> None:
    order = torch.argsort(code, stable=True)
    same = torch.nonzero(code[order][1:] == code[order][:-1]).flatten()
    if len(same):
        first, second = int(order[same[0]]), int(order[same[0] + 1])
        s, a = divmod(int(code[first]), num_actions)
        raise DomainError(
            f"a state and an action may be listed once; state {s}, action {a} stands at places "
            f"{first} and {second}; merge them into one row"
        )
