"""Call the compiled kernels on tensors: work arrays, threads, extreme magnitudes."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.sharing.kernels.team import LongRow
from coset.sharing.magnitude import DOWN, HUGE, scaled_strength

__all__ = ["bucket_rows", "pava_rows"]

# Rows are shared among threads from this many elements on: starting a thread costs about 50 µs.
_THREADING = 100_000
# One row is shared from this many on: it takes a dozen steps, at each of which threads meet.
_SHARING = 1_000_000
# A row of at most this many bytes is one bucket (buckets.ONE_BUCKET, which needs numba to import).
_ONE_BUCKET = 1 << 18

Arrays = tuple[np.ndarray, ...]

# By dtype: integers of its width, all bits but the sign, infinity, too large, and "no check".
_PATTERNS: dict[Any, tuple[Any, ...]] = {
    np.dtype(np.float32): (np.int32, *map(np.int32, (0x7FFFFFFF, 0x7F800000, 0, 0))),
    np.dtype(np.float64): (
        np.int64,
        *map(np.int64, (0x7FFFFFFFFFFFFFFF, 0x7FF << 52, (1023 + 700) << 52, 0)),
    ),
}


def _work(d: int, dtype: np.dtype) -> Arrays:
    """Allocate by NumPy, which asks for huge pages: scattering into small ones is slower."""
    return (
        np.empty(d if d * dtype.itemsize > _ONE_BUCKET else 0, np.uint16),
        np.empty(d, np.uint32),
        np.empty(d, dtype),
        np.empty(d // 2 + 1),
    )


def _run_rows(arrays: Arrays, keep: float, check_finite: bool, start: int, stop: int) -> int:
    """Run the kernel on rows start … stop − 1; return the first row that is not finite, or −1."""
    from coset.sharing.kernels import cpu

    compiled: Any = cpu.prox_rows

    x, strength, l1, *results = arrays
    whole, mask, infinity, huge, off = _PATTERNS[x.dtype]
    infinity = infinity if check_finite else off
    work = _work(x.shape[1], x.dtype)
    row: int = start
    while row < stop:
        rows = slice(row, stop)
        options = (strength[rows], l1[rows], keep)
        targets = [a[rows] for a in results]
        limits = (mask, infinity, huge)
        status, bad = compiled(x[rows], x[rows].view(whole), limits, *options, *targets, work)
        if status == 0:
            break
        row += int(bad)
        if status == 1:
            return row
        rows = slice(row, row + 1)
        targets = [a[rows] for a in results]
        small, limits = x[rows] * DOWN, (mask, infinity, off)
        weak = scaled_strength(torch.from_numpy(strength[rows]), DOWN).numpy()
        options = (weak, l1[rows] * DOWN, keep)
        compiled(small, small.view(whole), limits, *options, *targets, work)
        targets[0] /= DOWN
        row += 1
    return -1


def _run_long_rows(arrays: Arrays, keep: float, check_finite: bool, threads: int) -> int:
    """Run rows one after the other, each by all threads; return the first not finite, or −1."""
    from coset.sharing.kernels import cpu

    find_direction: Any = cpu.find_direction

    x, strength, l1, out, index, tests = arrays
    whole, mask, infinity, huge, _ = _PATTERNS[x.dtype]
    work = _work(x.shape[1], x.dtype)
    with ThreadPoolExecutor(threads) as pool:
        for r in range(len(x)):
            g, limit = float(strength[r]), float(l1[r])
            row = LongRow(x[r], x[r].view(whole), mask, work, pool, threads)
            largest = row.largest_pattern()
            if check_finite and largest >= infinity:
                return r
            special = 0 < huge <= largest or g == limit == 0.0
            if special or find_direction(x[r], g):
                _run_rows(arrays, keep, check_finite, r, r + 1)
            else:
                tests[r] = row.prox(g, limit, keep, out[r], index[r])
    return -1


def bucket_rows(
    w: Tensor, strength: Tensor, l1: Tensor, keep: float, *, with_index: bool, check_finite: bool
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return the prox of each row by the bucket pipeline, in at most torch.get_num_threads threads.

    Many rows are shared out among threads, a few long ones are worked on by all threads together;
    the results have the same bits for any number of threads.

    Args:
        w: (rows, d) float32 or float64, contiguous, d ≥ 2.
        strength: (rows,) float64, ≥ 0.
        l1: (rows,) float64, ≥ 0.
        keep: 1 − rewind.
        with_index: whether block numbers are wanted.
        check_finite: whether to look for NaN and infinity.

    Returns:
        The prox (rows, d), block numbers (rows, d) int32 or (rows, 0), merge tests (rows,) int64,
        and the number of a row that is not finite, or −1.
    """
    rows, d = w.shape
    x = w.detach().numpy()
    # NumPy's memory: in huge pages where it is large.
    out, tests = np.empty((rows, d), x.dtype), np.zeros(rows, np.int64)
    index = np.empty((rows, d if with_index else 0), np.int32)
    options = (strength.detach().contiguous().numpy(), l1.detach().contiguous().numpy())
    arrays = (x, *options, out, index, tests)
    threads = torch.get_num_threads() if x.size >= _THREADING else 1
    if threads > 1 and rows < threads and d >= _SHARING:
        bad = _run_long_rows(arrays, keep, check_finite, threads)
    elif min(rows, threads) == 1:
        bad = _run_rows(arrays, keep, check_finite, 0, rows)
    else:
        bad = _run_shares(arrays, keep, check_finite, min(rows, threads))
    return torch.from_numpy(out), torch.from_numpy(index), torch.from_numpy(tests), bad


def _run_shares(arrays: Arrays, keep: float, check_finite: bool, threads: int) -> int:
    """Run the rows in as many shares as threads; return the first row not finite, or −1."""
    rows = len(arrays[0])
    cuts = [rows * t // threads for t in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        futures = [
            pool.submit(_run_rows, arrays, keep, check_finite, a, b)
            for a, b in itertools.pairwise(cuts)
        ]
        found = [future.result() for future in futures]
    return next((bad for bad in found if bad >= 0), -1)


def pava_rows(
    w: Tensor, strength: Tensor, l1: Tensor, keep: float, *, with_index: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the prox of each row by torch's stable sort and the lazy stack of blocks.

    Args:
        w: (rows, d) float32 or float64, finite, d ≥ 2.
        strength: (rows,) float64, ≥ 0.
        l1: (rows,) float64, ≥ 0.
        keep: 1 − rewind.
        with_index: whether block numbers are wanted.

    Returns:
        The prox (rows, d), block numbers (rows, d) int32 or (rows, 0), merge tests (rows,) int64.
    """
    from coset.sharing.kernels import cpu

    compiled: Any = cpu.prox_sorted_rows

    huge = w.abs().amax(1) >= HUGE
    scale = torch.ones(w.shape[0], dtype=torch.float64).masked_fill(huge, DOWN)
    x, order = w.sort(dim=1, stable=True)
    # Adding zero turns -0.0 into +0.0; scaling by one changes nothing.
    x = (x * scale[:, None]).to(w.dtype) + 0.0
    labels = torch.empty(x.shape if with_index else (0, 0), dtype=torch.int32)
    tests = torch.zeros(x.shape[0], dtype=torch.int64)
    tensors = (x, scaled_strength(strength, scale), l1 * scale)
    arrays = [tensor.detach().contiguous().numpy() for tensor in tensors]
    compiled(*arrays, keep, labels.numpy(), tests.numpy())
    moved = (torch.from_numpy(arrays[0]).to(torch.float64) / scale[:, None]).to(w.dtype)
    out = torch.empty_like(w).scatter_(1, order, moved)
    identity = ((strength == 0) & (l1 == 0))[:, None]
    out = torch.where(identity, w, out)
    if not with_index:
        return out, torch.empty((w.shape[0], 0), dtype=torch.int32), tests
    return out, torch.empty_like(labels).scatter_(1, order, labels), tests
