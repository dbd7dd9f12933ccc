"""The parallel collision algorithms, literally, on lists of Python numbers: exact on rationals.

Legend: z = end positions of free flight, in the order of ranks; blocks = half-open ranges of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["REFERENCE_BLOCKS", "end_blocks", "imminent_blocks", "pooled_blocks", "search_blocks"]

Ranges = list[tuple[int, int]]


def pooled_blocks(z: Sequence[Any]) -> Ranges:
    """Return the blocks of the isotonic regression of z by a stack of blocks.

    Neighbors are pooled while mean(left) ≥ mean(right).

    Args:
        z: integers, fractions or floats.

    Returns:
        Half-open ranges of ranks, in order.

    Complexity: O(d).

    Example:
        >>> pooled_blocks([0, 2, 1, 3])
        [(0, 1), (1, 3), (3, 4)]
    """
    blocks: list[tuple[int, int, Any]] = []
    for r, value in enumerate(z):
        blocks.append((r, r + 1, value))
        while len(blocks) > 1:
            (a, k, left), (_, b, right) = blocks[-2:]
            if left * (b - k) < right * (k - a):
                break
            blocks[-2:] = [(a, b, left + right)]
    return [(a, b) for a, b, _ in blocks]


def imminent_blocks(z: Sequence[Any]) -> Ranges:
    """Return the same blocks by rounds that pool every maximal non-increasing run.

    Args:
        z: integers, fractions or floats.

    Returns:
        Half-open ranges of ranks, in order.

    Complexity: O(d) a round, at most d − 1 rounds, which some inputs need.

    Claims: sharing.C13.

    Example:
        >>> imminent_blocks([0, 2, 1, 3])
        [(0, 1), (1, 3), (3, 4)]
    """
    blocks = [(r, r + 1, value) for r, value in enumerate(z)]
    while True:
        runs: list[list[tuple[int, int, Any]]] = []
        for block in blocks:
            a, b, total = block
            if runs:
                left, right, before = runs[-1][-1]
                if before * (b - a) >= total * (right - left):
                    runs[-1].append(block)
                    continue
            runs.append([block])
        if len(runs) == len(blocks):
            return [(a, b) for a, b, _ in blocks]
        blocks = [(run[0][0], run[-1][1], sum(total for *_, total in run)) for run in runs]


def _last_minimizer(totals: Sequence[Any], masses: Sequence[int], start: int) -> int:
    """Return the last j ≥ start of positive mass that minimizes the mean of start … j."""
    total, mass, least, found = 0, 0, (0, 0), start
    for j in range(start, len(totals)):
        total, mass = total + totals[j], mass + masses[j]
        if masses[j] > 0 and total * least[1] <= least[0] * mass:
            least, found = (total, mass), j
    return found


def end_blocks(z: Sequence[Any]) -> Ranges:
    """Return the same blocks from left to right: each ends at the last least mean.

    Args:
        z: integers, fractions or floats.

    Returns:
        Half-open ranges of ranks, in order.

    Complexity: O(d) for each block.

    Example:
        >>> end_blocks([0, 2, 1, 3])
        [(0, 1), (1, 3), (3, 4)]
    """
    blocks, i, ones = [], 0, [1] * len(z)
    while i < len(z):
        j = _last_minimizer(z, ones, i)
        blocks.append((i, j + 1))
        i = j + 1
    return blocks


def _join_halves(totals: list[Any], masses: list[int], start: int, stop: int) -> None:
    """Pool, in place, the run that crosses the middle of slots start … stop − 1, if there is one.

    The slot it is put in may be a dead one of the block to its left.
    """
    middle = (start + stop) // 2
    part = totals[start:stop], masses[start:stop]

    def reach(i: int) -> int:
        return start + _last_minimizer(*part, i - start)

    low, high = start, middle
    while low < high:
        probe = (low + high) // 2
        if reach(probe) >= middle:
            high = probe
        else:
            low = probe + 1
    if low == middle:
        return
    last = reach(low)
    totals[low], masses[low] = sum(totals[low : last + 1]), sum(masses[low : last + 1])
    for j in range(low + 1, last + 1):
        totals[j], masses[j] = 0, 0


def search_blocks(z: Sequence[Any]) -> Ranges:
    """Return the same blocks by joining neighboring segments of 1, 2, 4, … ranks.

    Args:
        z: integers, fractions or floats.

    Returns:
        Half-open ranges of ranks, in order.

    Complexity: O(d log² d).

    Claims: sharing.C14.

    Example:
        >>> search_blocks([0, 2, 1, 3])
        [(0, 1), (1, 3), (3, 4)]
    """
    d = len(z)
    size = 1 << max(0, d - 1).bit_length()
    totals, masses = [*z, *[0] * (size - d)], [1] * d + [0] * (size - d)
    width = 2
    while width <= size:
        for start in range(0, size, width):
            _join_halves(totals, masses, start, start + width)
        width *= 2
    blocks, first = [], 0
    for mass in masses:
        if mass > 0:
            blocks.append((first, first + mass))
            first += mass
    return blocks


REFERENCE_BLOCKS: dict[str, Callable[[Sequence[Any]], Ranges]] = {
    "pava": pooled_blocks,
    "imminent": imminent_blocks,
    "end": end_blocks,
    "search": search_blocks,
}
