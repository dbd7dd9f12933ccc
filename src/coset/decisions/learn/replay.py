"""A memory of past steps with vector rewards and their multipliers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, ShapeError

__all__ = ["ReplayBuffer"]


class ReplayBuffer:
    """The last steps (s, a, r, Γ, s'), in arrays that are filled round and round.

    Whether a step was terminal is part of Γ, which is then 0.

    Args:
        capacity: steps that are kept, ≥ 1.
        observation_shape: of one observation; () for numbered states.
        num_objectives: d ≥ 1.
        dtype: of observations.

    Raises:
        DomainError: if a size is < 1.

    Claims: decisions.C15.

    Example:
        >>> memory = ReplayBuffer(100, (), 2, dtype=torch.int64)
        >>> states, actions = torch.tensor([0, 1]), torch.tensor([1, 1])
        >>> memory.append(states, actions, torch.zeros(2, 2), torch.zeros(2, 2, 2), states + 1)
        >>> len(memory), memory.sample(3, torch.Generator().manual_seed(0))[2].shape
        (2, torch.Size([3, 2]))
    """

    def __init__(
        self,
        capacity: int,
        observation_shape: tuple[int, ...],
        num_objectives: int,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if capacity < 1 or num_objectives < 1:
            raise DomainError(
                f"capacity and num_objectives must be ≥ 1; given {capacity}, {num_objectives}"
            )
        d = num_objectives
        self.capacity, self.num_added = capacity, 0
        shapes = (observation_shape, (), (d,), (d, d), observation_shape)
        dtypes = (dtype, torch.int64, torch.float32, torch.float32, dtype)
        self._columns = [
            torch.zeros((capacity, *shape), dtype=kind)
            for shape, kind in zip(shapes, dtypes, strict=True)
        ]

    def __len__(self) -> int:
        return min(self.num_added, self.capacity)

    def append(
        self, observation: Tensor, action: Tensor, reward: Tensor, multiplier: Tensor, after: Tensor
    ) -> None:
        """Add N steps; the oldest make room.

        Args:
            observation: (N, *observation_shape).
            action: (N,) int64.
            reward: (N, d).
            multiplier: (N, d, d), 0 where the step was terminal.
            after: (N, *observation_shape).

        Raises:
            ShapeError: if a shape is wrong.
        """
        given = (observation, action, reward, multiplier, after)
        num = len(observation)
        for column, value in zip(self._columns, given, strict=True):
            if value.shape != (num, *column.shape[1:]):
                raise ShapeError(
                    f"steps must be of shape {(num, *column.shape[1:])}; given {tuple(value.shape)}"
                )
        skipped = max(0, num - self.capacity)  # they would be overwritten by this very call
        place = (torch.arange(skipped, num) + self.num_added) % self.capacity
        for column, value in zip(self._columns, given, strict=True):
            column[place] = value[skipped:].to(column.dtype)
        self.num_added += num

    def sample(self, num: int, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """Draw steps uniformly, with replacement.

        Args:
            num: how many, ≥ 1.
            generator: source of randomness.

        Returns:
            observation, action, reward, multiplier, next observation: `num` rows each.

        Raises:
            DomainError: if the memory is empty.
        """
        if not len(self):
            raise DomainError("the memory must hold a step to draw from; it is empty; append first")
        chosen = torch.randint(len(self), (num,), generator=generator)
        return tuple(column[chosen] for column in self._columns)

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept, for a checkpoint."""
        kept = [column[: len(self)].clone() for column in self._columns]
        return {"num_added": self.num_added, "columns": kept}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Take what a checkpoint kept.

        Args:
            state: what `state_dict` returned, of a memory of the same capacity and shapes.

        Raises:
            ShapeError: if it does not fit.
        """
        self.num_added = int(state["num_added"])
        for column, kept in zip(self._columns, state["columns"], strict=True):
            if kept.shape != (len(self), *column.shape[1:]):
                raise ShapeError(
                    f"the stored memory must be of shape {(len(self), *column.shape[1:])}; given "
                    f"{tuple(kept.shape)}"
                )
            column[: len(self)] = kept
