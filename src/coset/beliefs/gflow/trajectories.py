"""Trajectories on the hypergrid: sampled in lockstep, all of them, and their log-probabilities."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.beliefs.gflow.hypergrid import HyperGrid
from coset.core.errors import DomainError, DtypeError, ShapeError

__all__ = [
    "Trajectories",
    "all_trajectories",
    "look_up",
    "sample_trajectories",
    "step_log_probabilities",
]

_MOST_TRAJECTORIES = 100_000


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Trajectories of at most L actions, the shorter ones padded with further stops.

    Attributes:
        actions: (…, L) int64.
        states: (…, L + 1) int64: before each action, and after the last; stops do not move.
        lengths: (…) int64: actions up to and including the first stop.
        dims: D, which is also the number of the action that stops.
    """

    actions: Tensor
    states: Tensor
    lengths: Tensor
    dims: int

    def __repr__(self) -> str:
        return (
            f"Trajectories({tuple(self.lengths.shape)}, at most {self.actions.shape[-1]} actions)"
        )

    @classmethod
    def of_actions(cls, grid: HyperGrid, actions: Tensor) -> Trajectories:
        """Follow actions from the origin.

        Args:
            grid: the environment.
            actions: (…, L) int64; from the first stop on all must be stops, and there must be one.

        Returns:
            The trajectories.

        Raises:
            ShapeError: if there are no actions.
            DtypeError: if they are not int64.
            DomainError: if a trajectory does not stop, goes on after it, or leaves the grid, or if
                there is no such action.
        """
        if actions.dtype != torch.int64:
            raise DtypeError(f"actions must be int64; given {actions.dtype}")
        if not actions.dim() or not actions.shape[-1]:
            raise ShapeError(f"actions must be (…, L) with L ≥ 1; given {tuple(actions.shape)}")
        if ((actions < 0) | (actions > grid.dims)).any():
            raise DomainError(
                f"actions must be in 0 … {grid.dims}, the last of which stops; given "
                f"{actions.min()} … {actions.max()}"
            )
        stops = actions == grid.dims
        moved = torch.stack([(actions == i).sum(-1) for i in range(grid.dims)], dim=-1)
        goes_on = (stops[..., :-1] & ~stops[..., 1:]).any()
        if not stops[..., -1].all() or goes_on or (moved >= grid.height).any():
            raise DomainError(
                f"a trajectory must stop (action {grid.dims}), not move after it, and raise no "
                f"coordinate beyond {grid.height - 1}"
            )
        steps = grid.strides[actions]
        states = torch.cat([torch.zeros_like(steps[..., :1]), steps.cumsum(-1)], dim=-1)
        return cls(actions, states, (~stops).sum(-1) + 1, grid.dims)

    @property
    def terminal(self) -> Tensor:
        """(…) int64: where they stop."""
        return self.states[..., -1]


def sample_trajectories(
    grid: HyperGrid,
    cumulative: Callable[[Tensor], Tensor],
    num: int,
    generators: Sequence[torch.Generator],
) -> Trajectories:
    """Sample from several policies at once, each with its own randomness.

    Args:
        grid: the environment.
        cumulative: from (M, num) states to (M, num, D + 1), the cumulative sums of P_F over
            actions; an action that leaves the grid adds 0.
        num: trajectories of each policy, ≥ 1.
        generators: M ≥ 1 CPU generators; a policy draws the same alone and among others.

    Returns:
        (M, num) trajectories, as long as the longest of them.

    Raises:
        DomainError: if num or M is 0.
    """
    if num < 1 or not generators:
        raise DomainError(
            f"num must be ≥ 1, with a generator a policy; given {num} and {len(generators)}"
        )
    draws = [torch.rand(num, grid.longest, generator=g) for g in generators]
    uniform = torch.stack(draws).to(grid.device)
    state = torch.zeros((len(generators), num), dtype=torch.int64, device=grid.device)
    stopped = torch.zeros_like(state, dtype=torch.bool)
    states, actions = [state], []
    for step in range(grid.longest):
        # The stop is always allowed: without its own sum, rounding of that goes to it.
        passed = cumulative(state)[..., :-1] <= uniform[..., step, None]
        action = passed.sum(-1).masked_fill_(stopped, grid.dims)
        stopped = action == grid.dims
        state = state + grid.strides[action]
        actions.append(action)
        states.append(state)
        if stopped.all():
            break
    taken = torch.stack(actions, dim=-1)
    lengths = (taken != grid.dims).sum(-1) + 1
    return Trajectories(taken, torch.stack(states, dim=-1), lengths, grid.dims)


def all_trajectories(grid: HyperGrid) -> Trajectories:
    """List every trajectory of a small grid.

    Args:
        grid: the environment.

    Returns:
        (N,) trajectories.

    Raises:
        DomainError: if there would be more than 100,000.

    Example:
        >>> all_trajectories(HyperGrid(2, 2)).actions.tolist()
        [[2, 2, 2], [0, 2, 2], [1, 2, 2], [0, 1, 2], [1, 0, 2]]
    """
    stop, longest = grid.dims, grid.longest
    sequences: list[tuple[int, ...]] = []
    open_ends: list[tuple[int, ...]] = [()]
    while open_ends:
        if len(sequences) + len(open_ends) > _MOST_TRAJECTORIES:
            raise DomainError(
                f"a grid must have at most {_MOST_TRAJECTORIES} trajectories to be listed; "
                f"{grid!r} has more; take a smaller one"
            )
        sequences += [(*moves, *[stop] * (longest - len(moves))) for moves in open_ends]
        open_ends = [
            (*moves, axis)
            for moves, axis in itertools.product(open_ends, range(grid.dims))
            if moves.count(axis) < grid.height - 1
        ]
    return Trajectories.of_actions(grid, torch.tensor(sequences, device=grid.device))


def look_up(table: Tensor, states: Tensor) -> Tensor:
    """Return the rows of a table for states.

    Args:
        table: (*B, n, K).
        states: (*B, …) int64.

    Returns:
        (*B, …, K).
    """
    batch, num = table.shape[:-2], table.shape[-2]
    offsets = torch.arange(math.prod(batch), device=table.device) * num
    flat = states + offsets.reshape(*batch, *[1] * (states.dim() - len(batch)))
    # An embedding, since its backward pass adds rows faster than that of an index.
    return torch.nn.functional.embedding(flat, table.flatten(0, -2))


def step_log_probabilities(
    trajectories: Trajectories, forward_rows: Tensor, backward_rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Return log P_F and log P_B of each step; 0 in the padding, and log P_B = 0 of the stop.

    Args:
        trajectories: (…) of them, of at most L actions.
        forward_rows: (…, L + 1, D + 1): log P_F(· | s) of each state that is visited.
        backward_rows: (…, L + 1, D): log P_B(· | s), by the coordinate that was raised.

    Returns:
        Two tensors (…, L).
    """
    actions = trajectories.actions
    place = torch.arange(actions.shape[-1], device=actions.device)
    taken = forward_rows[..., :-1, :].gather(-1, actions[..., None])[..., 0]
    taken = torch.where(place < trajectories.lengths[..., None], taken, 0.0)
    raised = actions.clamp(max=trajectories.dims - 1)[..., None]
    undone = backward_rows[..., 1:, :].gather(-1, raised)[..., 0]
    return taken, torch.where(actions != trajectories.dims, undone, 0.0)
