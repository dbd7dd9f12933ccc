"""Call the compiled kernels on tensors: work arrays, threads over rows, extreme magnitudes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["bucket_rows", "pava_rows"]

# Rows are shared among threads from this many elements on: starting a thread costs about 50 µs.
_THREADING = 100_000
# Float64 magnitudes from 2^700 on are scaled by 2^-600 first, so that products with masses are
# finite. The prox commutes with scaling (sharing.C6), and scaling by a power of two is exact.
_HUGE, _DOWN = 2.0**700, 2.0**-600

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
    blocks = d // 2 + 1
    return (
        np.empty(d, np.uint16),
        np.empty(d, np.uint32),
        np.empty(d, dtype),
        np.empty(d, dtype),
        np.empty(blocks, np.int32),
        np.empty(blocks, np.int32),
        np.empty(blocks, np.float64),
    )


def _run_rows(arrays: Arrays, keep: float, check_finite: bool, start: int, stop: int) -> int:
    """Run the kernel on rows start … stop − 1; return the first row that is not finite, or −1."""
    from coset.sharing.kernels import cpu

    compiled: Any = cpu.prox_rows

    whole, mask, infinity, huge, off = _PATTERNS[arrays[0].dtype]
    infinity = infinity if check_finite else off

    def kernel(parts: Sequence[np.ndarray], huge: Any) -> Any:
        x, strength, l1, *rest = parts
        limits = (mask, infinity, huge)
        return compiled(x, x.view(whole), limits, strength, l1, keep, *rest, work)

    work = _work(arrays[0].shape[1], arrays[0].dtype)
    row: int = start
    while row < stop:
        status, bad = kernel([a[row:stop] for a in arrays], huge)
        if status == 0:
            break
        row += int(bad)
        parts = [a[row : row + 1] for a in arrays]
        if status == 2:
            parts[:3] = [part * _DOWN for part in parts[:3]]
            status, _ = kernel(parts, off)
            parts[3] /= _DOWN
        if status == 1:
            return row
        row += 1
    return -1


def bucket_rows(
    w: Tensor, strength: Tensor, l1: Tensor, keep: float, *, with_index: bool, check_finite: bool
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return the prox of each row by the bucket pipeline, one thread a range of rows.

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
    out = torch.empty_like(w)
    index = torch.empty((rows, d if with_index else 0), dtype=torch.int32)
    tests = torch.zeros(rows, dtype=torch.int64)
    tensors = (w, strength.contiguous(), l1.contiguous(), out, index, tests)
    arrays = tuple(tensor.detach().numpy() for tensor in tensors)
    threads = min(rows, torch.get_num_threads()) if w.numel() >= _THREADING else 1
    if threads == 1:
        return out, index, tests, _run_rows(arrays, keep, check_finite, 0, rows)
    cuts = [rows * t // threads for t in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        futures = [
            pool.submit(_run_rows, arrays, keep, check_finite, a, b)
            for a, b in itertools.pairwise(cuts)
        ]
        bad = [found for future in futures if (found := future.result()) >= 0]
    return out, index, tests, bad[0] if bad else -1


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

    huge = w.abs().amax(1) >= _HUGE
    scale = torch.ones(w.shape[0], dtype=torch.float64).masked_fill(huge, _DOWN)
    x, order = w.sort(dim=1, stable=True)
    # Adding zero turns -0.0 into +0.0; scaling by one changes nothing.
    x = (x * scale[:, None]).to(w.dtype) + 0.0
    labels = torch.empty(x.shape if with_index else (0, 0), dtype=torch.int32)
    tests = torch.zeros(x.shape[0], dtype=torch.int64)
    tensors = (x, strength * scale, l1 * scale)
    arrays = [tensor.detach().contiguous().numpy() for tensor in tensors]
    compiled(*arrays, keep, labels.numpy(), tests.numpy())
    moved = (torch.from_numpy(arrays[0]).to(torch.float64) / scale[:, None]).to(w.dtype)
    out = torch.empty_like(w).scatter_(1, order, moved)
    identity = ((strength == 0) & (l1 == 0))[:, None]
    out = torch.where(identity, w, out)
    if not with_index:
        return out, torch.empty((w.shape[0], 0), dtype=torch.int32), tests
    return out, torch.empty_like(labels).scatter_(1, order, labels), tests
