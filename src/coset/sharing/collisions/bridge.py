"""Bridge merges: pool chunks of ranks by a stack, then join neighboring hulls by their bridge."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["bridge_starts"]

LEAF = 1024  # ranks pooled by one stack
# From this many ranks on, the parts of a row, or rows, are shared among threads.
_THREADING = 500_000


def _solve_in_parts(
    leaf: int, threads: int, strength: float, x: Any, prefix: Any, parent: Any
) -> tuple[int, int, int]:
    """Solve one row with a thread for each of its parts, merged at the end; return its counts.

    The tree of merges does not depend on the number of threads.
    """
    from coset.sharing.kernels import bridge

    kernels: Any = bridge
    d, exact = parent.size, x.size == 0
    part, level = leaf, 0
    while part * threads < d:
        part, level = 2 * part, level + 1
    num = -(-d // leaf)
    local = np.zeros((2, 0 if exact else d + 1))
    before = np.zeros((2, num + 1))
    end, edges = np.empty(d, np.int32), range(0, d, part)
    deepest = np.zeros((len(edges), 64), np.int64)
    sums = (exact, leaf, strength, d - 1.0, x, local, before, prefix)

    def add_up(a: int) -> None:
        first = a // leaf
        kernels.sum_leaves(x, leaf, first, min(num, first + part // leaf), local, before)

    def solve(number: int) -> tuple[int, int]:
        a = edges[number]
        stop = min(d, a + part)
        most, work = kernels.solve_leaves(a, stop, sums, parent, end)
        probes = kernels.merge_levels(a, stop, leaf, part, sums, parent, end, deepest[number])
        return most, work + probes

    with ThreadPoolExecutor(threads) as pool:
        if not exact:
            list(pool.map(add_up, edges))
            kernels.chain(before)
        most, work = np.array(list(pool.map(solve, range(len(edges))))).T
    by_level = deepest.max(0)
    last = kernels.merge_levels(0, d, part, d, sums, parent, end, by_level[level:])
    return int((by_level > 0).sum()), int(most.max() + by_level.sum()), int(work.sum() + last)


def bridge_starts(
    x: Tensor, strength: Tensor, integers: Tensor | None = None, leaf: int = LEAF
) -> tuple[Tensor, Tensor]:
    """Find the blocks of sorted rows by leaves and bridge merges, in threads where they pay.

    A probe compares the means of two ranges of ranks by their prefix sums. The bridge of two hulls
    is found by a binary search for its left end, with one for its right end inside.

    Args:
        x: (rows, d) float64, sorted; not read if there are `integers`.
        strength: (rows,) float64, positive and finite; not read if there are `integers`.
        integers: (rows, d) int64: fixed-point end positions, which then decide exactly.
        leaf: ranks in a leaf; d or more: one stack for the whole row.

    Returns:
        (rows, d) bool, true at the first rank of each block; and (rows, 3) int64: levels of merges;
        depth, the most tests of a leaf plus the most probes of a merge on each level; work, all
        tests and probes. The same for any number of threads.

    Complexity: O(d) for the leaves; O(log² d) probes for a merge, O(d) for all of them.

    Claims: sharing.C15.
    """
    from coset.sharing.kernels import bridge

    solve_rows: Any = bridge.solve_rows
    rows, d = x.shape
    leaf = min(leaf, d)
    parent = torch.empty((rows, d), dtype=torch.int32)
    counts = torch.zeros((rows, 3), dtype=torch.int64)
    if integers is None:
        prefix = torch.zeros((rows, 0), dtype=torch.int64)
    else:
        prefix, x = torch.nn.functional.pad(integers.cumsum(1), (1, 0)), x[:, :0]
    tensors = (strength, x, prefix, parent, counts)
    arrays = [tensor.detach().contiguous().numpy() for tensor in tensors]
    threads = torch.get_num_threads() if rows * d >= _THREADING else 1

    def solve(a: int, b: int) -> None:
        solve_rows(integers is not None, leaf, *(array[a:b] for array in arrays))

    if threads > 1 and rows < threads and leaf < d:
        for r in range(rows):
            strength_r, *row, found = (array[r] for array in arrays)
            found[:] = _solve_in_parts(leaf, threads, float(strength_r), *row)
    elif threads > 1:
        cuts = [rows * t // threads for t in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(solve, cuts[:-1], cuts[1:]))
    else:
        solve(0, rows)
    return parent == torch.arange(d, dtype=torch.int32), counts
