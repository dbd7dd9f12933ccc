"""The prox of one long row by several threads, with the same bits as by one thread alone.

The row is classified, scattered and gathered in parts of equal length; buckets are sorted and
unsorted, and ranks moved, by whoever is free. Blocks are found by one thread: a tenth of the work.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Any

import numpy as np

__all__ = ["LongRow"]

# Buckets and ranks are handed out in so many pieces a thread, since they differ in difficulty.
_PIECES = 4

Pair = tuple[int, int]


def _even_cuts(n: int, parts: int) -> list[int]:
    return [n * t // parts for t in range(parts + 1)]


def _between_blocks(cuts: Iterable[int], first: np.ndarray, last: np.ndarray) -> list[Pair]:
    """Return each cut, put off to the end of a block that it splits, and how many blocks end by it.

    Example:
        >>> _between_blocks([0, 4, 9], np.array([3, 7]), np.array([6, 9]))
        [(0, 0), (6, 1), (9, 2)]
    """
    found = []
    for cut in cuts:
        before = int(np.searchsorted(last, cut, side="right"))
        if before < len(first) and first[before] < cut:
            cut, before = int(last[before]), before + 1
        found.append((cut, before))
    return found


class LongRow:
    """One row that threads share; each step waits for the one before it.

    Args:
        x: (n,) float32 or float64, n ≥ 2, more than one bucket can hold.
        bits: x's memory as signed integers of the same width.
        mask: all bits but the sign, of bits' type.
        work: as in `cpu.prox_rows`.
        executor: a pool of threads.
        threads: how many.
    """

    def __init__(
        self,
        x: np.ndarray,
        bits: np.ndarray,
        mask: Any,
        work: tuple[np.ndarray, ...],
        executor: Executor,
        threads: int,
    ) -> None:
        from coset.sharing.kernels import buckets, cpu, sorting

        self._cpu: Any = cpu
        self._sorting: Any = sorting
        self._buckets: Any = buckets
        self._x, self._bits, self._mask = x, bits, mask
        self._bucket, self._order, self._stream, self._sums = work
        self._executor, self._threads = executor, threads
        self._parts = list(itertools.pairwise(_even_cuts(x.size, threads)))

    def _each(self, step: Callable[[Any], Any], pieces: Iterable[Any]) -> list[Any]:
        return list(self._executor.map(step, pieces))

    def _split(self, step: Callable[[int, slice], Any]) -> list[Any]:
        """Call with the number and the place of each part of the row."""
        return self._each(lambda t: step(t, slice(*self._parts[t])), range(self._threads))

    def largest_pattern(self) -> Any:
        """Return the bit pattern of the largest magnitude."""
        mask = self._mask
        return max(self._split(lambda _, at: self._cpu.largest_pattern(self._bits[at], mask)))

    def prox(self, g: float, l1: float, keep: float, out: np.ndarray, index: np.ndarray) -> int:
        """Write the prox and (if `index` is not empty) the block numbers; return merge tests."""
        self._sort(out)
        n = out.size
        spare = self._stream.view(np.int32)
        first, last = spare[: n // 2], spare[n // 2 : 2 * (n // 2)]
        count, tests = self._cpu.pool(out, g, first, last, self._sums) if g > 0 else (0, 0)
        cuts = _between_blocks(_even_cuts(n, _PIECES * self._threads), first[:count], last[:count])
        ranges = list(itertools.pairwise(cuts))
        self._move(out, ranges, (g, l1, keep), (first, last))
        labels = self._sums.view(np.int32)[: index.size]
        if index.size:
            self._each(lambda r: self._label(labels, r, (first, last)), ranges)
        self._bring_back(out, self._stream, out)
        if index.size:
            self._bring_back(labels, spare[:n], index)
        return int(tests)

    def _sort(self, out: np.ndarray) -> None:
        x, bits, mask, bucket, stream = self._x, self._bits, self._mask, self._bucket, self._stream
        sorting, buckets = self._sorting, self._buckets
        num, *edges = buckets.plan_buckets(x, bits, mask)
        # Numbers of x's type, as one thread has them: the buckets must be the same.
        plan = (num, *map(x.dtype.type, edges[:4]), *edges[4:])
        counts = np.zeros((self._threads, num), np.uint32)
        self._split(
            lambda t, at: buckets.classify(x[at], bits[at], mask, plan, bucket[at], counts[t])
        )
        self._starts, self._cursors = sorting.arrange(counts), counts
        cursors = counts.copy()
        self._split(lambda t, at: sorting.scatter(x[at], bucket[at], cursors[t], stream))
        cuts = np.searchsorted(self._starts[:-1], _even_cuts(x.size, _PIECES * self._threads))
        self._shares = list(itertools.pairwise(cuts.tolist()))
        patterns, starts, order = stream.view(bits.dtype), self._starts, self._order
        self._each(
            lambda s: sorting.sort_buckets(patterns, mask, starts, *s, order, out), self._shares
        )

    def _move(
        self,
        out: np.ndarray,
        ranges: list[tuple[Pair, Pair]],
        options: tuple[float, float, float],
        blocks: tuple[np.ndarray, np.ndarray],
    ) -> None:
        def move(piece: tuple[Pair, Pair]) -> Any:
            (a, low), (b, high) = piece
            return self._cpu.move_ranks(out, a, b, (low, high), *options, *blocks, self._sums)

        ordered = all(self._each(move, ranges))
        joints = np.array([a for (a, _), _ in ranges if 0 < a < out.size], np.int64)
        ordered = ordered and not (out[joints] < out[joints - 1]).any()
        _, l1, keep = options
        if not ordered and (l1 == 0.0 or keep == 1.0):
            self._cpu.restore_order(out)

    def _label(
        self, labels: np.ndarray, piece: tuple[Pair, Pair], blocks: tuple[np.ndarray, np.ndarray]
    ) -> None:
        (a, low), (b, high) = piece
        self._cpu.label_ranks(labels[a:b], a, (low, high), *blocks)

    def _bring_back(self, ranked: np.ndarray, arrived: np.ndarray, target: np.ndarray) -> None:
        sorting, bucket, starts, order = self._sorting, self._bucket, self._starts, self._order
        self._each(
            lambda s: sorting.unsort_buckets(ranked, starts, *s, order, arrived), self._shares
        )
        cursors = self._cursors.copy()
        self._split(lambda t, at: sorting.gather_back(arrived, bucket[at], cursors[t], target[at]))
