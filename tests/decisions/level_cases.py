"""Random and known levels that several test files solve."""

from __future__ import annotations

import torch

from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP


def tensor(values) -> torch.Tensor:
    """Return float64 numbers."""
    return torch.tensor(values, dtype=torch.float64)


def growing(num_states: int, seed: int, top: float = 1.2, num_actions: int = 2) -> ScalarLevel:
    """Return a random level whose rows may sum to more than 1."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_states, num_actions, 3)
    return ScalarLevel(
        torch.randint(0, num_states, shape, generator=generator, dtype=torch.int32),
        top * torch.rand(shape, generator=generator, dtype=torch.float64) ** 3,
        torch.randn(shape[:2], generator=generator, dtype=torch.float64),
        torch.ones(shape[:2], dtype=torch.bool),
    )


def discounted(
    num_states: int, seed: int, discount: float = 0.95, num_terminal: int = 0, **kwargs
) -> MDP:
    """Return a random process with one discount; the last states are terminal."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_states, 3, 4)
    probability = torch.rand(shape, generator=generator, dtype=torch.float64)
    return MDP(
        torch.randint(0, num_states, shape, generator=generator),
        probability / probability.sum(-1, keepdim=True),
        torch.randn(shape[:2], generator=generator, dtype=torch.float64),
        discount,
        terminal=torch.arange(num_states) >= num_states - num_terminal,
        **kwargs,
    )


def walk(num_states: int, stay: float = 0.0) -> ScalarLevel:
    """Return a corridor with costs: a step on costs 1, and ends behind the last state."""
    number = torch.arange(num_states + 1)
    after = torch.stack((number, (number + 1).clamp(max=num_states)), -1)
    weight = tensor([stay, 1 - stay]).expand(num_states + 1, 2)
    return ScalarLevel(
        after[:, None].int(),
        weight[:, None].contiguous(),
        -torch.ones(num_states + 1, 1, dtype=torch.float64),
        (number < num_states)[:, None],
    )
