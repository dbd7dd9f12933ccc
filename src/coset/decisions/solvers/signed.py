"""Negative multipliers: events that reverse preferences, solved on states with a sign."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.errors import DomainError, ShapeError
from coset.core.results import Record
from coset.decisions.processes.mdp import MDP

__all__ = ["SignedMDP", "signed"]


@dataclass(frozen=True, eq=False)
class SignedMDP(Record):
    """An ordinary process on pairs (s, σ), where σ is the sign of the product of past multipliers.

    State s with σ = +1 has number s, with σ = −1 number S + s. The agent maximizes the return that
    follows at σ = +1 and minimizes it at σ = −1. Its plan is not consistent in time: an agent that
    forgets σ and starts again at s plans differently.

    Attributes:
        mdp: the process with 2 S states and multipliers |m|.

    Claims: decisions.C11.
    """

    mdp: MDP

    @property
    def num_states(self) -> int:
        """S, of the process without signs."""
        return self.mdp.num_states // 2

    def values(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return V⁺(s) = max E[return] and V⁻(s) = min E[return].

        Args:
            value: (2 S,) or (2 S, 1): the solution of `mdp`.

        Returns:
            Two tensors (S,).

        Raises:
            ShapeError: if there are not 2 S numbers.
        """
        flat = self._halves(value)
        return flat[0], -flat[1]

    def policy(self, policy: Tensor) -> Tensor:
        """Return which action is taken at s while the sign is +1, and while it is −1.

        Args:
            policy: (2 S,): the policy of `mdp`.

        Returns:
            (S, 2), column 0 for σ = +1 and column 1 for σ = −1.

        Raises:
            ShapeError: if there are not 2 S numbers.
        """
        return self._halves(policy).T.contiguous()

    def _halves(self, numbers: Tensor) -> Tensor:
        if numbers.numel() != self.mdp.num_states:
            raise ShapeError(
                f"there must be one number a state and sign, {self.mdp.num_states}; given "
                f"{tuple(numbers.shape)}"
            )
        return numbers.reshape(2, self.num_states)


def signed(mdp: MDP) -> SignedMDP:
    """Make multipliers positive: reward σ r, multiplier |m|, next sign σ · sign(m).

    With m = m⁺ − m⁻ the optimum solves V⁺(s) = max_a E[r + m⁺ V⁺(s') − m⁻ V⁻(s')] and
    V⁻(s) = min_a E[r + m⁺ V⁻(s') − m⁻ V⁺(s')]; the Bellman equation with a signed m does not.
    A best policy looks at (s, σ), nothing else of the past. [derived]

    Args:
        mdp: a process of one objective; multipliers of any sign.

    Returns:
        The process on (s, σ).

    Raises:
        DomainError: if there are several objectives.

    Claims: decisions.C11.

    Examples:
        >>> mdp = MDP(
        ...     [[[1], [1]], [[1], [1]]],
        ...     torch.ones(2, 2, 1),
        ...     [[0.0, 0.0], [1.0, 3.0]],
        ...     [[[-1.0], [-1.0]], [[0.0], [0.0]]],
        ... )
        >>> doubled = signed(mdp)
        >>> level = doubled.mdp.level(0)
        >>> value = level.backup(level.backup(torch.zeros(4, dtype=torch.float64)))
        >>> [v.tolist() for v in doubled.values(value)]
        [[-1.0, 3.0], [-3.0, 1.0]]
    """
    if mdp.num_objectives != 1:
        raise DomainError(
            f"negative multipliers are defined for one objective; given {mdp.num_objectives}"
        )
    multiplier = mdp.entry(0, 0)
    flips = (multiplier < 0).expand(mdp.successor.shape) & (mdp.probability != 0)
    offset = flips.to(mdp.successor.dtype) * mdp.num_states
    plus = mdp.successor + offset
    minus = mdp.successor + (mdp.num_states - offset)
    size = multiplier.abs()
    doubled = torch.cat((size, size)) if size.shape[0] > 1 else size
    return SignedMDP(
        MDP(
            torch.cat((plus, minus)),
            torch.cat((mdp.probability, mdp.probability)),
            torch.cat((mdp.reward, -mdp.reward)),
            doubled,
            mask=torch.cat((mdp.allowed, mdp.allowed)),
            terminal=torch.cat((_terminal(mdp), _terminal(mdp))),
        )
    )


def _terminal(mdp: MDP) -> Tensor:
    assert isinstance(mdp.terminal, Tensor)
    return mdp.terminal
