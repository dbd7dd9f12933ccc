"""A memory of past trajectories, from which part of a batch is drawn again."""

from __future__ import annotations

import torch
from torch import Tensor

from coset.core.errors import DomainError, ShapeError

__all__ = ["TrajectoryReplay"]


class TrajectoryReplay:
    """The last trajectories of each of M members, as actions, filled round and round.

    Args:
        capacity: trajectories that are kept of each member, ≥ 1.
        longest: actions of the longest trajectory.
        num_members: M ≥ 1.
        stop: number of the action that stops, at most 127; it pads.
        device: where they are kept.

    Raises:
        DomainError: if a size is < 1 or `stop` does not fit.

    Example:
        >>> memory = TrajectoryReplay(10, 3, 1, stop=1)
        >>> memory.append(torch.tensor([[[0, 1], [1, 1]]]))
        >>> memory.sample(4, [torch.Generator().manual_seed(0)]).shape
        torch.Size([1, 4, 3])
    """

    def __init__(
        self,
        capacity: int,
        longest: int,
        num_members: int,
        *,
        stop: int,
        device: torch.device | str | None = None,
    ) -> None:
        if min(capacity, longest, num_members) < 1 or not 0 <= stop <= 127:
            raise DomainError(
                f"capacity, longest and num_members must be ≥ 1 and stop in 0 … 127; given "
                f"{capacity}, {longest}, {num_members}, {stop}"
            )
        self.capacity, self.num_added = capacity, 0
        shape = (num_members, capacity, longest)
        self._actions = torch.full(shape, stop, dtype=torch.int8, device=device)
        self._stop = stop

    def __len__(self) -> int:
        return min(self.num_added, self.capacity)

    def append(self, actions: Tensor) -> None:
        """Add N trajectories of each member; the oldest make room.

        Args:
            actions: (M, N, L) int64, L at most `longest`.

        Raises:
            ShapeError: if the shape does not fit.
        """
        members, _, longest = self._actions.shape
        if actions.dim() != 3 or len(actions) != members or actions.shape[-1] > longest:
            raise ShapeError(
                f"actions must be ({members}, N, at most {longest}); given {tuple(actions.shape)}"
            )
        num = actions.shape[1]
        kept = actions[:, max(0, num - self.capacity) :]  # earlier ones would be overwritten
        place = torch.arange(num - kept.shape[1], num, device=actions.device) + self.num_added
        padding = (0, longest - actions.shape[-1])
        padded = torch.nn.functional.pad(kept, padding, value=self._stop)
        self._actions[:, place % self.capacity] = padded.to(torch.int8)
        self.num_added += num

    def sample(self, num: int, generators: list[torch.Generator]) -> Tensor:
        """Draw trajectories of each member, uniformly and with replacement.

        Args:
            num: how many of each.
            generators: one CPU generator a member.

        Returns:
            (M, num, longest) int64 actions, padded with stops.

        Raises:
            DomainError: if the memory is empty.
        """
        if not len(self):
            raise DomainError("the memory must hold a trajectory to draw one; append first")
        draws = [torch.randint(len(self), (num,), generator=g) for g in generators]
        place = torch.stack(draws).to(self._actions.device)
        return torch.take_along_dim(self._actions, place[..., None], dim=1).long()
