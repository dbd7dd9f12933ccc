"""Random levels for the tests of sweeps: sizes, dtypes, masks, multipliers."""

from __future__ import annotations

import torch

from coset.decisions.processes.level import ScalarLevel

SHAPES = ((1, 1, 1), (2, 1, 3), (63, 2, 1), (64, 3, 2), (65, 4, 5), (300, 2, 4))


def make_level(
    shape, *, seed=0, weight=torch.float64, scale=0.9, allowed=1.0, spread=0.0, local=False
):
    """Return a level of (S, A, K); `spread` varies the row sums, `local` keeps successors near."""
    num_states = shape[0]
    generator = torch.Generator().manual_seed(seed)
    if local:
        steps = torch.randint(-2, 3, shape, generator=generator)
        successor = (torch.arange(num_states)[:, None, None] + steps).clamp(0, num_states - 1)
    else:
        successor = torch.randint(0, max(1, num_states), shape, generator=generator)
    mass = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.01
    mass /= mass.sum(-1, keepdim=True)
    factor = 1 - spread * torch.rand(shape[:2], generator=generator, dtype=torch.float64)
    mass *= factor[..., None]
    reward = torch.randn(shape[:2], generator=generator, dtype=torch.float64)
    mask = torch.rand(shape[:2], generator=generator) < allowed
    return ScalarLevel(successor.int(), mass.to(weight), reward, mask, scale)


def random_values(num_states, dtype=torch.float64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_states, generator=generator, dtype=torch.float64).to(dtype)
