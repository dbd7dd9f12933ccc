"""Search collisions: join solved halves, level by level, each by a binary search.

Legend: pair = two neighboring solved segments of one size; slot = place in a pair; a block sits in
the slot of its first particle, the other slots of its particles are dead (mass 0); reach(i) = last
minimizer j of mean(z_i … z_j) over a pair.
"""

from __future__ import annotations

import torch
from torch import Tensor

from coset.sharing.collisions.arithmetic import Blocks, Rule

__all__ = ["search_starts"]


def _last_live(mass: Tensor) -> Tensor:
    """Return the last slot of positive mass of each row of slots, (n, 1), or 0."""
    slot = torch.arange(mass.shape[1], device=mass.device)
    return torch.where(mass > 0, slot, 0).amax(1, keepdim=True)


def _pools(pairs: Blocks, slot: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return total, mass and which slots count, of the pools from a slot of each pair on."""
    live = (torch.arange(pairs.mass.shape[1], device=slot.device) >= slot) & (pairs.mass > 0)
    distance = pairs.position - pairs.position.gather(1, slot)
    totals = torch.where(live, pairs.total + distance * pairs.mass, 0).cumsum(1)
    return totals, torch.where(live, pairs.mass, 0).cumsum(1), live


def _reach(pairs: Blocks, slot: Tensor, rule: Rule, row: Tensor) -> Tensor:
    return rule.last_minimum(*_pools(pairs, slot), row)[:, None]


def _join(pairs: Blocks, high: Tensor, rule: Rule, row: Tensor) -> Blocks:
    """Pool the run of blocks that crosses the middle of each pair; that from slot `high` does."""
    width = pairs.mass.shape[1]
    half = width // 2
    low = torch.zeros_like(high)
    for _ in range(half.bit_length() - 1):
        middle = (low + high) // 2
        crosses = _reach(pairs, middle, rule, row) >= half
        low, high = torch.where(crosses, low, middle + 1), torch.where(crosses, middle, high)
    place = torch.arange(width, device=row.device)
    live = (place >= high) & (pairs.mass > 0)
    start = torch.where(live, place, width).amin(1, keepdim=True)
    totals, masses, live = _pools(pairs, start)
    last = rule.last_minimum(totals, masses, live, row)[:, None]
    mass = pairs.mass.masked_fill((place > start) & (place <= last), 0)
    return Blocks(
        pairs.position,
        mass.scatter_(1, start, masses.gather(1, last)),
        pairs.total.scatter(1, start, totals.gather(1, last)),
    )


def search_starts(particles: Blocks, rule: Rule) -> tuple[Tensor, Tensor]:
    """Find the blocks of sorted rows by joining neighboring segments of 1, 2, 4, … ranks.

    "reach(i) lies in the right half" is monotone in i over the left half of a pair; the smallest
    such i is found by binary search, in all pairs at once, and i … reach(i) become one block.

    Args:
        particles: (rows, d) each, of mass 1, in the order of ranks.
        rule: which mean is least.

    Returns:
        (rows, d) bool, true at the first rank of each block; and (rows, 3) int64: levels that
        merged something; depth, counting 2 (l + 1) for a probe on level l (a scan and a minimum
        over 2^l slots), one probe for every level and l more if any pair merges; work, the slots
        that all probes together looked at.

    Complexity: O(log³ d) depth, O(d log² d) work.

    Claims: sharing.C14.
    """
    rows, d = particles.mass.shape
    levels = (d - 1).bit_length()
    padding = (0, (1 << levels) - d)
    slots = Blocks(*(torch.nn.functional.pad(part, padding) for part in particles))
    device = slots.mass.device
    counts = torch.zeros((rows, 3), dtype=torch.int64, device=device)
    for level in range(1, levels + 1):
        width = 1 << level
        pairs = Blocks(*(part.reshape(-1, width) for part in slots))
        row = torch.arange(rows, device=device).repeat_interleave(1 << (levels - level))[:, None]
        edge = _last_live(pairs.mass[:, : width // 2])
        crossing = (_reach(pairs, edge, rule, row) >= width // 2).squeeze(1)
        hit = Blocks(*(part[crossing] for part in pairs))
        joined = _join(hit, edge[crossing], rule, row[crossing])
        for part, new in zip(pairs, joined, strict=True):
            part[crossing] = new
        slots = Blocks(*(part.reshape(rows, -1) for part in pairs))
        num = row[crossing].flatten().bincount(minlength=rows)
        counts[:, 0] += num > 0
        counts[:, 1] += 2 * (level + 1) * (1 + level * (num > 0))
        counts[:, 2] += (1 << levels) + num * level * width
    return slots.mass[:, :d] > 0, counts
