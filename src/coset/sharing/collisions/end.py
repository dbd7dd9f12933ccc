"""End collisions: from the left, pool up to where the mean end position is least."""

from __future__ import annotations

import torch
from torch import Tensor

from coset.sharing.collisions.arithmetic import Blocks, Rule, ceil_log2

__all__ = ["end_starts"]


def end_starts(particles: Blocks, rule: Rule) -> tuple[Tensor, Tensor]:
    """Find the blocks of sorted rows from left to right: one block a step, in each row.

    The block that starts at rank i ends at the last j that minimizes mean(z_i … z_j).

    Args:
        particles: (rows, d) each, of mass 1, in the order of ranks.
        rule: which mean is least.

    Returns:
        (rows, d) bool, true at the first rank of each block; and (rows, 3) int64: steps (a last
        single particle takes none); depth, counting ⌈log2 n⌉ + 1 each for the scan and the minimum
        of a step over the n particles left; work, the particles that all steps together looked at.

    Complexity: O(d) work a step and a step for each block: slow where few particles collide.
    """
    rows, d = particles.mass.shape
    device = particles.mass.device
    rank = torch.arange(d, device=device)
    row = torch.arange(rows, device=device)[:, None]
    starts = torch.ones((rows, d), dtype=torch.bool, device=device)
    counts = torch.zeros((rows, 3), dtype=torch.int64, device=device)
    here = torch.zeros((rows, 1), dtype=torch.int64, device=device)
    while (first := int(here.min())) < d - 1:
        position, _, total = (part[:, first:] for part in particles)
        place = rank[first:]
        live = place >= here
        distance = position - particles.position.gather(1, here.clamp(max=d - 1))
        totals = torch.where(live, total + distance, 0).cumsum(1)
        last = first + rule.last_minimum(totals, place - here + 1, live, row)[:, None]
        last = last.maximum(here)  # NaN has no minimum
        starts[:, first:] &= (place <= here) | (place > last)
        active = here < d - 1
        left = (d - here).clamp(min=1)
        cost = torch.cat([torch.ones_like(left), 2 * (ceil_log2(left) + 1), left], 1)
        counts += active * cost
        here = torch.where(active, last + 1, here)
    return starts, counts
