"""One objective of a decision process as a scalar problem of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["BLOCK", "ScalarLevel"]

# States handled at once by the plain torch code: bounds the temporaries of a million-state sweep.
BLOCK = 1 << 16


@dataclass(frozen=True, eq=False, repr=False)
class ScalarLevel:
    """The fixed-point problem V(s) = max over allowed a of r(s, a) + c Σ_k w(s, a, k) V(succ).

    V is 0 at states without an allowed action. It is what remains of one objective of an `MDP`
    once the objectives above it are solved; it validates nothing (the `MDP` did).

    Attributes:
        successor: (S, A, K) int32, each in 0…S−1.
        weight: (S, A, K) float32 or float64, ≥ 0: probabilities, or probabilities times
            multipliers; 0 where there is no transition.
        reward: (S, A) float64; where the action is not allowed it is not read.
        allowed: (S, A) bool, not to be changed afterwards.
        scale: c ≥ 0, a multiplier shared by all transitions, so that no array is copied.
    """

    successor: Tensor
    weight: Tensor
    reward: Tensor
    allowed: Tensor
    scale: float = 1.0

    def __repr__(self) -> str:
        num_states, num_actions, num_successors = self.successor.shape
        return (
            f"ScalarLevel({num_states:,} states, {num_actions:,} actions, "
            f"{num_successors:,} successors, scale {self.scale:g})"
        )

    @property
    def num_states(self) -> int:
        """S."""
        return self.successor.shape[0]

    @property
    def num_actions(self) -> int:
        """A."""
        return self.successor.shape[1]

    @cached_property
    def active(self) -> Tensor:
        """(S,) bool: the states that have an allowed action."""
        return self.allowed.any(1)

    def restrict(self, allowed: Tensor) -> ScalarLevel:
        """Return the same problem with fewer actions.

        Args:
            allowed: (S, A) bool; an action must be allowed in both.

        Returns:
            The restricted problem; arrays are shared.
        """
        return replace(self, allowed=self.allowed & allowed)

    def row_sums(self) -> Tensor:
        """Return c Σ_k w(s, a, k).

        Returns:
            (S, A) float64.
        """
        return self.weight.sum(-1, dtype=torch.float64) * self.scale

    def action_values(self, value: Tensor) -> Tensor:
        """Return Q(s, a) = r(s, a) + c Σ_k w(s, a, k) V(succ), −inf where a is not allowed.

        Args:
            value: (S,) float64.

        Returns:
            (S, A) float64.

        Complexity: S A K gathers; temporaries of `BLOCK` states.
        """
        q = torch.empty(self.reward.shape, dtype=torch.float64, device=self.reward.device)
        for start in range(0, self.num_states, BLOCK):
            rows = slice(start, start + BLOCK)
            gathered = value.index_select(0, self.successor[rows].reshape(-1))
            moved = self.weight[rows] * gathered.reshape(self.successor[rows].shape)
            q[rows] = self.reward[rows] + self.scale * moved.sum(-1, dtype=torch.float64)
        return q.masked_fill_(~self.allowed, -torch.inf)

    def backup(self, value: Tensor) -> Tensor:
        """Return TV, the best action value of each state.

        Args:
            value: (S,) float64.

        Returns:
            (S,) float64, 0 at states without an allowed action.
        """
        best = self.action_values(value).amax(1)
        return torch.where(self.active, best, torch.zeros_like(best))
