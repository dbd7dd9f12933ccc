"""Imminent collisions: merge every run of touching neighbors at once, until none touch."""

from __future__ import annotations

import torch
from torch import Tensor

from coset.sharing.collisions.arithmetic import Blocks, Rule, ceil_log2

__all__ = ["imminent_starts"]


def _merge_runs(blocks: Blocks, joins: Tensor, first: Tensor) -> Blocks:
    """Merge each block with its left neighbor where `joins` says so; `first` are the others."""
    run = (~joins).cumsum(0) - 1
    position, num = blocks.position[first], first.numel()
    shifted = blocks.total + (blocks.position - position[run]) * blocks.mass
    return Blocks(
        position,
        blocks.mass.new_zeros(num).scatter_add_(0, run, blocks.mass),
        blocks.total.new_zeros(num).scatter_add_(0, run, shifted),
    )


def imminent_starts(particles: Blocks, rule: Rule) -> tuple[Tensor, Tensor]:
    """Find the blocks of sorted rows by rounds: every maximal run of touching blocks becomes one.

    Args:
        particles: (rows, d) each, of mass 1, in the order of ranks.
        rule: when neighbors touch.

    Returns:
        (rows, d) bool, true at the first rank of each block; and (rows, 3) int64: rounds that
        merged something; depth, counting ⌈log2 n⌉ + 1 for each of the two scans (the numbers of
        the runs, their sums) of a round over n blocks, the last round included, which finds nothing
        to merge; work, the blocks that all rounds together looked at.

    Complexity: at most d − 1 rounds, which some rows need; O(d) work each.

    Claims: sharing.C13, sharing.C18.
    """
    rows, d = particles.mass.shape
    device = particles.mass.device
    blocks = Blocks(*(part.reshape(-1) for part in particles))
    row = torch.arange(rows, device=device).repeat_interleave(d)
    counts = torch.zeros((rows, 3), dtype=torch.int64, device=device)
    size = torch.full((rows,), d, device=device)
    active = torch.ones(rows, dtype=torch.bool, device=device)
    while bool(active.any()):
        left, right = (Blocks(*(p[cut] for p in blocks)) for cut in (slice(-1), slice(1, None)))
        joins = torch.zeros_like(row, dtype=torch.bool)
        joins[1:] = rule.touches(left, right, row[1:]) & (row[1:] == row[:-1])
        merged = row[joins].bincount(minlength=rows)
        counts[:, 1] += active * 2 * (ceil_log2(size) + 1)
        counts[:, 2] += active * size
        active = merged > 0
        counts[:, 0] += active
        size = size - merged
        first = (~joins).nonzero().squeeze(1)
        blocks, row = _merge_runs(blocks, joins, first), row[first]
    starts = torch.zeros(rows * d, dtype=torch.bool, device=device)
    starts[blocks.mass.cumsum(0) - blocks.mass] = True
    return starts.reshape(rows, d), counts
