"""Policies on the hypergrid: perceptrons that give P_F and P_B, many members side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coset.beliefs.gflow.hypergrid import HyperGrid
from coset.core.errors import DomainError, DtypeError, ShapeError

__all__ = ["GridPolicy", "masked_log_softmax"]

# What masked logits become before the softmax: finite, since a row of −inf would give NaN.
_FORBIDDEN = -1e30


class GridPolicy(nn.Module):
    """Perceptrons from a state, K-hot, to logarithms of P_F and P_B, which share all but a layer.

    Its members are independent networks, stacked: a member has the same weights, outputs and
    gradients alone and among others, up to rounding.

    Args:
        grid: the environment.
        hidden_sizes: widths of the hidden layers (ReLU), each ≥ 1.
        generators: one CPU generator a member, which draws its weights: uniform in ±1/√fan-in.

    Raises:
        DomainError: if a width is < 1 or there are no members.
        DtypeError: if `generators` is one generator.

    Example:
        >>> policy = GridPolicy(HyperGrid(8, 2), (64, 64), [torch.Generator().manual_seed(0)])
        >>> forward, backward = policy.tables()
        >>> forward.shape, backward.shape
        (torch.Size([1, 64, 3]), torch.Size([1, 64, 2]))
        >>> torch.allclose(forward.exp().sum(-1), torch.ones(1, 64))
        True
    """

    def __init__(
        self,
        grid: HyperGrid,
        hidden_sizes: Sequence[int],
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        if isinstance(generators, torch.Generator):
            raise DtypeError(
                "generators must be a list, one a member; given one: write [generator]"
            )
        if not generators or any(size < 1 for size in hidden_sizes):
            raise DomainError(
                f"hidden_sizes must be ≥ 1 and there must be a generator a member; given "
                f"{tuple(hidden_sizes)} and {len(generators)}"
            )
        self.grid = grid
        sizes = (grid.dims * grid.height, *hidden_sizes, grid.num_actions + grid.dims)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in itertools.pairwise(sizes):
            drawn = [torch.rand(fan_in + 1, fan_out, generator=g) for g in generators]
            layer = (2 * torch.stack(drawn) - 1) / math.sqrt(fan_in)
            self.weights.append(nn.Parameter(layer[:, :-1].clone()))
            self.biases.append(nn.Parameter(layer[:, -1:].clone()))
        self.to(grid.device)

    @property
    def num_members(self) -> int:
        """How many networks are stacked."""
        return len(self.weights[0])

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return log P_F and log P_B at states of each member's own.

        Args:
            states: (M, …) int64, numbers of states, not checked.

        Returns:
            (M, …, D + 1) and (M, …, D), −inf where the grid forbids; the latter is −inf at the
            origin throughout.

        Raises:
            ShapeError: if the first axis is not M long.
        """
        if states.shape[:1] != (self.num_members,):
            raise ShapeError(
                f"states must be ({self.num_members}, …), those of each member; given "
                f"{tuple(states.shape)}"
            )
        logits = self._logits(self._k_hot(states.reshape(self.num_members, -1)))
        return self._log_probabilities(logits.reshape(*states.shape, -1), states)

    def tables(self) -> tuple[Tensor, Tensor]:
        """Return log P_F and log P_B at all states of the grid, as `forward` does.

        Returns:
            (M, n, D + 1) and (M, n, D).
        """
        everywhere = torch.arange(self.grid.num_states, device=self.grid.device)
        logits = self._logits(self._k_hot(everywhere).expand(self.num_members, -1, -1))
        return self._log_probabilities(logits, everywhere)

    def _k_hot(self, states: Tensor) -> Tensor:
        digits = nn.functional.one_hot(self.grid.coordinates(states), self.grid.height)
        return digits.flatten(-2).to(self.weights[0].dtype)

    def _logits(self, activation: Tensor) -> Tensor:
        last = len(self.weights) - 1
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            activation = torch.baddbmm(bias, activation, weight)
            if place < last:
                activation = activation.relu()
        return activation

    def _log_probabilities(self, logits: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        grid = self.grid
        forward, backward = logits[..., : grid.num_actions], logits[..., grid.num_actions :]
        return (
            masked_log_softmax(forward, grid.forward_mask[states]),
            masked_log_softmax(backward, grid.backward_mask[states]),
        )


def masked_log_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Return log-probabilities over the allowed actions of each row.

    Args:
        logits: (…, K) floating.
        mask: (…, K) bool, what is allowed.

    Returns:
        (…, K), −inf where it is not allowed, without gradient there.

    Example:
        >>> masked_log_softmax(torch.zeros(3), torch.tensor([True, True, False])).exp().tolist()
        [0.5, 0.5, 0.0]
    """
    allowed = logits.masked_fill(~mask, _FORBIDDEN).log_softmax(-1)
    return allowed.masked_fill(~mask, -torch.inf)
