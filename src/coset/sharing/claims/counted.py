"""The parallel algorithms with counters, literally, and near misses of them: one term is wrong.

They exist so that the claims about rounds, depth and work can be seen to fail. Each takes sorted or
unsorted float64 weights and a strength, and returns counts and the first ranks of the blocks.

Legend: x = sorted weights; a block is (first rank, mass, total), total = sum of x_r − x of its
first rank; reach(i) = last minimizer j of mean(z_i … z_j), z = end positions of free flight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

__all__ = [
    "BridgeFlaw",
    "ImminentFlaw",
    "SearchFlaw",
    "counted_bridge",
    "counted_imminent",
    "counted_search",
]


@dataclass(frozen=True)
class ImminentFlaw:
    """Which term of imminent collisions is wrong; the defaults are right.

    Attributes:
        cascade: a block that grew goes on merging within the same round.
        one_merge: only one touching pair of blocks merges in a round.
        full_mass: the merge rule uses m_A + m_B (else m_A alone).
        single_precision: positions are rounded to float32 first.
    """

    cascade: bool = False
    one_merge: bool = False
    full_mass: bool = True
    single_precision: bool = False


def _run_numbers(joins: np.ndarray) -> np.ndarray:
    """Return the number of the run of each block, given which blocks join their left neighbor."""
    number: np.ndarray = np.concatenate([[0], (~joins).cumsum()])
    return number


def counted_imminent(w: Tensor, strength: float, flaw: ImminentFlaw) -> tuple[int, list[int]]:
    """Merge touching neighbors, round by round.

    Args:
        w: (d,) float64.
        strength: g > 0.
        flaw: what is wrong.

    Returns:
        The rounds that merged something, and the first ranks of the blocks.
    """
    x = w.sort().values.numpy()
    if flaw.single_precision:
        x = x.astype(np.float32).astype(np.float64)
    d = len(x)
    start: np.ndarray = np.arange(d)
    mass: np.ndarray = np.ones(d)
    total: np.ndarray = np.zeros(d)
    rounds = 0
    while True:
        m, other = mass[:-1], mass[1:]
        # Multiplied through by the masses: exact on integers, contacts included.
        lead = (x[start[1:]] - x[start[:-1]]) * m * other + total[1:] * m - total[:-1] * other
        reach = m + other if flaw.full_mass else m
        joins = lead * (d - 1) <= strength * m * other * reach
        if not joins.any():
            break
        run = _run_numbers(joins)
        first = start[np.concatenate([[True], ~joins])]
        total = np.bincount(run, total + (x[start] - x[first][run]) * mass)
        mass, start, rounds = np.bincount(run, mass), first, rounds + 1
    if flaw.cascade:
        rounds = min(rounds, 1)
    if flaw.one_merge:  # each of them leaves one block less
        rounds = d - len(start)
    return rounds, start.tolist()


@dataclass(frozen=True)
class SearchFlaw:
    """Which term of search collisions is wrong; the defaults are right.

    Attributes:
        linear: the first slot that reaches the right half is looked for one by one.
        first_minimum: reach(i) is the first minimizer instead of the last.
        dead_slots: a pool is counted from the slot that was found, though it may be a dead one.
    """

    linear: bool = False
    first_minimum: bool = False
    dead_slots: bool = False


class _Pairs:
    """Pairs of neighboring solved segments: (pairs, width) positions, masses and totals."""

    def __init__(self, parts: list[np.ndarray], step: float, flaw: SearchFlaw) -> None:
        self.position, self.mass, self.total = parts
        self.step, self.flaw = step, flaw
        self.place = np.arange(self.mass.shape[1])

    def pools(self, slot: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return total, mass and which slots count, of the pools from a slot of each pair on."""
        live = (self.place >= slot) & (self.mass > 0)
        far = self.position - np.take_along_axis(self.position, slot, 1)
        totals = np.where(live, self.total + far * self.mass, 0).cumsum(1)
        return totals, np.where(live, self.mass, 0).cumsum(1), live

    def reach(self, slot: np.ndarray) -> np.ndarray:
        """Return the last minimizer of the mean from a slot of each pair on, −1 if none counts."""
        totals, masses, live = self.pools(slot)
        m = np.maximum(masses, 1)
        mean = np.where(live, totals / m - self.step * (m - 1), np.inf)
        least = live & (mean == mean.min(1, keepdims=True))
        places = np.where(least, self.place, self.place[-1] + 1 if self.flaw.first_minimum else -1)
        found = places.min(1) if self.flaw.first_minimum else places.max(1)
        kept: np.ndarray = np.where(live.any(1), found, -1)[:, None]
        return kept

    def last_live(self) -> np.ndarray:
        """Return the slot of the last block of each left half."""
        left = self.mass[:, : len(self.place) // 2] > 0
        last: np.ndarray = np.where(left, self.place[: left.shape[1]], 0).max(1)[:, None]
        return last

    def first_crossing(self, edge: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the first slot that reaches the right half, as `edge` does, and the probes."""
        half = len(self.place) // 2
        low, high = np.zeros_like(edge), edge
        probes = half.bit_length() - 1
        for _ in range(probes):
            middle = (low + high) // 2
            crosses = self.reach(middle) >= half
            low, high = np.where(crosses, low, middle + 1), np.where(crosses, middle, high)
        if self.flaw.linear:  # as many as there are slots before it; the last needs no probe
            probes = int(np.minimum(high + 1, edge).max())
        return high, probes

    def join(self, slot: np.ndarray) -> None:
        """Pool slot … reach(slot) of each pair into one block."""
        live = (self.place >= slot) & (self.mass > 0)
        start = np.where(live, self.place, len(self.place)).min(1)[:, None]
        totals, masses, _ = self.pools(start)
        last = self.reach(start)
        self.mass[(self.place >= start) & (self.place <= last)] = 0
        # Put into a dead slot, a block is right but for where it seems to begin.
        place = slot if self.flaw.dead_slots else start
        shift = np.take_along_axis(self.position, start, 1)
        np.put_along_axis(self.position, place, shift, 1)
        np.put_along_axis(self.mass, place, np.take_along_axis(masses, last, 1), 1)
        np.put_along_axis(self.total, place, np.take_along_axis(totals, last, 1), 1)


def counted_search(w: Tensor, strength: float, flaw: SearchFlaw) -> tuple[list[int], int, int]:
    """Join neighboring segments of 1, 2, 4, … ranks.

    Args:
        w: (d,) float64, d ≥ 2.
        strength: g > 0.
        flaw: what is wrong.

    Returns:
        The first ranks of the blocks; depth: 2 (l + 1) for each probe on level l, one probe for
        every level, and more if any pair merges; work: the slots that all probes looked at.
    """
    x = w.sort().values.numpy()
    d, levels = len(x), (len(x) - 1).bit_length()
    parts = [np.pad(part, (0, 2**levels - d)) for part in (x, np.ones(d, np.int64), np.zeros(d))]
    depth = work = 0
    for level in range(1, levels + 1):
        width = 2**level
        slots = [part.reshape(-1, width) for part in parts]
        every = _Pairs(slots, strength / (d - 1), flaw)
        edge = every.last_live()
        crossing = (every.reach(edge) >= width // 2)[:, 0]
        depth, work = depth + 2 * (level + 1), work + 2**levels
        if not crossing.any():
            continue
        pairs = _Pairs([part[crossing] for part in slots], strength / (d - 1), flaw)
        slot, probes = pairs.first_crossing(edge[crossing])
        pairs.join(slot)
        for part, new in zip(slots, (pairs.position, pairs.mass, pairs.total), strict=True):
            part[crossing] = new
        depth += 2 * (level + 1) * (probes + 1)
        work += int(crossing.sum()) * (probes + 1) * width
    if flaw.dead_slots:
        return np.flatnonzero(parts[1][:d]).tolist(), depth, work
    masses = parts[1][parts[1] > 0]
    return (masses.cumsum() - masses).tolist(), depth, work


@dataclass(frozen=True)
class BridgeFlaw:
    """Which term of bridge merges is wrong; the defaults are right.

    Attributes:
        linear: the left end of a bridge is looked for block by block from the far end.
        fresh_sums: a merge that pools sums its ranks anew, a unit of work for each of them.
        right_only: the last left block absorbs; no block left of it is looked at.
    """

    linear: bool = False
    fresh_sums: bool = False
    right_only: bool = False


class _Hulls:
    """Blocks of sorted weights by the rank at which they start; merges count their probes."""

    def __init__(self, x: np.ndarray, strength: float, flaw: BridgeFlaw) -> None:
        self.prefix: list[float] = [0.0, *(x - x[0]).cumsum().tolist()]
        self.strength, self.span, self.flaw = strength, len(x) - 1, flaw
        self.parent = list(range(len(x)))
        self.end = list(range(1, len(x) + 1))
        self.work = 0

    def find(self, rank: int) -> int:
        """Return the start of the block that holds a rank."""
        while self.parent[rank] != rank:
            self.parent[rank] = self.parent[self.parent[rank]]
            rank = self.parent[rank]
        return rank

    def touch(self, a: int, k: int, b: int) -> bool:
        """Tell, in one probe, whether mean z over [a, k) is at least that over [k, b)."""
        self.work += 1
        left, right = self.prefix[k] - self.prefix[a], self.prefix[b] - self.prefix[k]
        # Multiplied through by the masses: exact on integers, contacts included.
        lead = (right * (k - a) - left * (b - k)) * self.span
        return lead <= self.strength * (k - a) * (b - k) * (b - a)

    def absorb(self, a: int, b: int, stop: int) -> int:
        """Return the end of the blocks of [b, stop) that the pool from a absorbs."""
        low, high = b, stop
        while low < high:
            q = self.find((low + high) // 2)
            if self.touch(a, q, self.end[q]):
                low = self.end[q]
            else:
                high = q
        return low

    def merge(self, start: int, b: int, stop: int) -> None:
        """Merge the solved [start, b) and [b, stop)."""
        high = self.find(b - 1)
        if not self.touch(high, b, self.end[b]):
            return
        if self.flaw.fresh_sums:
            self.work += stop - start
        low = high if self.flaw.right_only else start
        while low < high:
            block = low if self.flaw.linear else self.find((low + high) // 2)
            after = self.absorb(self.end[block], b, stop)
            if self.touch(block, self.end[block], after):
                high = block
            else:
                low = self.end[block]
        after, dying = self.absorb(low, b, stop), self.end[low]
        while dying < after:
            self.parent[dying], dying = low, self.end[dying]
        self.end[low] = after


def counted_bridge(w: Tensor, strength: float, flaw: BridgeFlaw) -> tuple[list[int], int, int]:
    """Join neighboring hulls of 1, 2, 4, … ranks by their bridges.

    Args:
        w: (d,) float64, d ≥ 2.
        strength: g > 0.
        flaw: what is wrong.

    Returns:
        The first ranks of the blocks; depth: the most probes of a merge, summed over levels; work:
        the probes of all merges, each of which compares the means of two ranges of ranks.
    """
    x = w.sort().values.numpy()
    d, width = len(x), 1
    hulls, depth = _Hulls(x, strength, flaw), 0
    while width < d:
        most = 0
        for a in range(0, d - width, 2 * width):
            before = hulls.work
            hulls.merge(a, a + width, min(d, a + 2 * width))
            most = max(most, hulls.work - before)
        width, depth = 2 * width, depth + most
    return [r for r in range(d) if hulls.parent[r] == r], depth, hulls.work
