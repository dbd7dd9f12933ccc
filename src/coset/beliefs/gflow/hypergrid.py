"""The hypergrid: start at the origin, raise one coordinate at a time, stop anywhere, be paid."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, get_args

import torch
from torch import Tensor

from coset.beliefs.gflow.rewards import (
    coprime_reward,
    cosine_reward,
    original_reward,
    xor_reward,
)
from coset.core.errors import DomainError, DtypeError, RangeError

__all__ = ["HyperGrid", "RewardName"]

RewardName = Literal["original", "cosine", "xor", "coprime"]

_REWARDS = {
    "original": (original_reward, 0.1),
    "cosine": (cosine_reward, 0.1),
    "xor": (xor_reward, 0.0),
    "coprime": (coprime_reward, 0.0),
}
_MOST_STATES = 2**24  # a table of numbers of them takes 128 MiB


class HyperGrid:
    """The grid {0 … H−1}ᴰ as an environment of a generative flow network.

    States are numbered in row-major order, the origin is 0. Action i < D raises coordinate i,
    action D stops; the trajectory to x therefore has Σ xᵢ + 1 actions. All tables are float64.

    Args:
        height: H ≥ 2 values a coordinate.
        dims: D ≥ 1 coordinates.
        reward: name of the reward.
        reward_floor: R₀ ≥ 0, added everywhere; that of the literature if ``None``: 0.1 for
            "original" and "cosine", 0 for "xor" and "coprime".
        log_reward_floor: log R is raised to this where it is less, R = 0 included. The default
            adds at most e⁻¹⁰ to the reward of a state.
        device: where the tables are.

    Raises:
        DomainError: if a size is no integer or too small, the grid too large, the reward unknown,
            or a floor no finite number (R₀ negative).

    Example:
        >>> grid = HyperGrid(8, 2)
        >>> grid.num_states, grid.num_actions, grid.longest
        (64, 3, 15)
        >>> round(float(grid.target.sum()), 12)
        1.0
    """

    def __init__(
        self,
        height: int,
        dims: int,
        reward: RewardName = "original",
        *,
        reward_floor: float | None = None,
        log_reward_floor: float = -10.0,
        device: torch.device | str | None = None,
    ) -> None:
        if not isinstance(height, int) or not isinstance(dims, int) or height < 2 or dims < 1:
            raise DomainError(
                f"height must be an integer ≥ 2 and dims one ≥ 1; given {height} and {dims}"
            )
        if reward not in get_args(RewardName):
            raise DomainError(f"reward must be one of {get_args(RewardName)}; given {reward!r}")
        self.height, self.dims, self.reward = height, dims, reward
        floor = _REWARDS[reward][1] if reward_floor is None else reward_floor
        if not 0 <= floor < float("inf") or not abs(log_reward_floor) < float("inf"):
            raise DomainError(
                f"reward_floor must be finite and ≥ 0 and log_reward_floor finite; given {floor} "
                f"and {log_reward_floor}"
            )
        if dims > 64 or height**dims > _MOST_STATES:
            raise DomainError(
                f"height ** dims must be at most {_MOST_STATES} states, all of which are in "
                f"tables; given {height} ** {dims}; take a smaller grid"
            )
        self.reward_floor, self.log_reward_floor = floor, log_reward_floor
        self.device = torch.device(device or "cpu")

    @property
    def num_states(self) -> int:
        """Hᴰ."""
        return int(self.height**self.dims)

    @property
    def num_actions(self) -> int:
        """D + 1; the last one stops."""
        return self.dims + 1

    @property
    def longest(self) -> int:
        """Actions of the longest trajectory, the stop included: D (H − 1) + 1."""
        return self.dims * (self.height - 1) + 1

    @cached_property
    def strides(self) -> Tensor:
        """(D + 1,) int64: what each action adds to the number of a state; 0 for the stop."""
        powers = [self.height**i for i in reversed(range(self.dims))]
        return torch.tensor([*powers, 0], device=self.device)

    @cached_property
    def all_coordinates(self) -> Tensor:
        """(Hᴰ, D) int64: the coordinates of each state."""
        return self.coordinates(torch.arange(self.num_states, device=self.device))

    def coordinates(self, states: Tensor) -> Tensor:
        """Return the coordinates of states.

        Args:
            states: (…) int64, numbers of states; they are not checked.

        Returns:
            (…, D) int64.
        """
        return states[..., None] // self.strides[:-1] % self.height

    def state_numbers(self, coordinates: Tensor) -> Tensor:
        """Return the numbers of states.

        Args:
            coordinates: (…, D) integers.

        Returns:
            (…) int64.

        Raises:
            RangeError: if the last axis is not D long, or a coordinate is outside of the grid.
            DtypeError: if coordinates are floating.
        """
        if coordinates.is_floating_point():
            raise DtypeError(f"coordinates must be integers; given {coordinates.dtype}")
        fits = coordinates.shape[-1:] == (self.dims,)
        if not fits or ((coordinates < 0) | (coordinates >= self.height)).any():
            raise RangeError(
                f"states must have {self.dims} coordinates in 0 … {self.height - 1}; given shape "
                f"{tuple(coordinates.shape)}"
                + (f", {coordinates.min()} … {coordinates.max()}" if fits else "")
            )
        return (coordinates.long() * self.strides[:-1]).sum(-1)

    @cached_property
    def forward_mask(self) -> Tensor:
        """(Hᴰ, D + 1) bool: the actions that stay on the grid; the stop always does."""
        inside = self.all_coordinates < self.height - 1
        return torch.cat([inside, torch.ones_like(inside[:, :1])], dim=1)

    @cached_property
    def backward_mask(self) -> Tensor:
        """(Hᴰ, D) bool: the coordinates that can have been raised last."""
        return self.all_coordinates > 0

    @cached_property
    def rewards(self) -> Tensor:
        """(Hᴰ,): R of each state, exact zeros included."""
        function, _ = _REWARDS[self.reward]
        return function(self.all_coordinates, self.height, self.reward_floor)

    @cached_property
    def log_rewards(self) -> Tensor:
        """(Hᴰ,): log R, raised to `log_reward_floor` where it is less."""
        return self.rewards.log().clamp(min=self.log_reward_floor)

    @cached_property
    def target(self) -> Tensor:
        """(Hᴰ,): R / Σ R, of the rewards as they are (Σ R > 0 for each of the four)."""
        return self.rewards / self.rewards.sum()

    @cached_property
    def levels(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """For each sum of coordinates in order: (n,) its states; (n, D) where they come from.

        An entry of the latter is (place of the parent in its level) · D + axis; where there is no
        parent, it is D times the size of the level before.
        """
        sums = self.all_coordinates.sum(1)
        order = sums.argsort(stable=True)
        levels: list[tuple[Tensor, Tensor]] = []
        place = torch.empty_like(order)
        axes = torch.arange(self.dims, device=self.device)
        for states in torch.split(order, torch.bincount(sums).tolist()):
            none = self.dims * len(levels[-1][0]) if levels else 0
            parents = (states[:, None] - self.strides[:-1]).clamp(min=0)
            sources = place[parents] * self.dims + axes
            sources = torch.where(self.backward_mask[states], sources, none)
            levels.append((states, sources))
            place[states] = torch.arange(len(states), device=self.device)
        return tuple(levels)

    def __repr__(self) -> str:
        return f"HyperGrid({self.height}, {self.dims}, reward={self.reward!r})"
