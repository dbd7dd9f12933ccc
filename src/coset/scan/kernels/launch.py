"""Call the compiled loops on tensors: strides, directions, threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["backward_numba", "forward_numba", "matrices_numba", "phases_numba", "run_boxes"]

# Work is shared among threads from this many elements on: starting a thread costs about 50 µs.
_THREADING = 200_000
# Columns are cut at multiples of this, one cache line of the smallest type.
_LINE = 16
# Rows of fewer bytes than this are taken number by number.
_NARROW = 256

Places = tuple[int, int, int]
Box = tuple[int, int, int, int]


def _flat(x: Tensor) -> np.ndarray:
    """Return the memory from the first element of x to its last as one line."""
    x = x.detach()
    extent = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True))
    return x.as_strided((extent,), (1,)).numpy()


def _readable(x: Tensor) -> Tensor:
    """Return x with neighboring columns side by side and no lazy conjugate."""
    x = x.resolve_conj().resolve_neg()
    return x if x.shape[-1] <= 1 or x.stride(-1) == 1 else x.contiguous()


def _places(x: Tensor, reverse: bool) -> Places:
    """Return offset, row stride and step stride of (N, T, D), the steps perhaps backwards."""
    row, step, _ = x.stride()
    return ((x.shape[1] - 1) * step, row, -step) if reverse else (0, row, step)


def _boxes(rows: int, width: int, parts: int) -> list[Box]:
    """Cut (rows, columns) into about `parts` boxes of equal size, by rows first."""
    by_row = min(rows, parts)
    by_column = max(1, min(parts // by_row, width // _LINE))
    row_cuts = [rows * i // by_row for i in range(by_row + 1)]
    column_cuts = [width * i // by_column // _LINE * _LINE for i in range(by_column)] + [width]
    return [
        (*rows_pair, *columns_pair)
        for rows_pair in itertools.pairwise(row_cuts)
        for columns_pair in itertools.pairwise(column_cuts)
    ]


def run_boxes(work: Callable[[Box], Any], shape: tuple[int, ...]) -> list[Any]:
    """Call `work` on boxes that cover all rows and columns, in up to torch's number of threads.

    Args:
        work: takes (first row, end, first column, end); releases the interpreter's lock.
        shape: (N, T, D).

    Returns:
        What `work` returned for each box.
    """
    rows, num_steps, width = shape
    threads = torch.get_num_threads() if rows * num_steps * width >= _THREADING else 1
    if threads == 1:
        return [work((0, rows, 0, width))]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, _boxes(rows, width, threads)))


def _kernel(name: str, x: Tensor) -> Any:
    from coset.scan.kernels import cpu, narrow

    return getattr(narrow if x.shape[-1] * x.element_size() < _NARROW else cpu, name)


def _empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Allocate by NumPy, which asks for huge pages: touching small ones costs more than the sum."""
    return torch.from_numpy(np.empty(shape, like.detach()[:0].resolve_conj().numpy().dtype))


def forward_numba(
    a: Tensor, b: Tensor, h0: Tensor, reverse: bool, *, out: Tensor | None = None
) -> Tensor:
    """Return the states of h_t = a_t h_{t−1} + b_t.

    Args:
        a: (N, T, D) float32, float64, complex64 or complex128, on the CPU, any strides.
        b: (N, T, D), of the dtype of `a`.
        h0: (N, D), of the dtype of `a`.
        reverse: run from the last step to the first.
        out: (N, T, D) contiguous, to be written; None allocates it.

    Returns:
        (N, T, D), contiguous.
    """
    h = _empty(tuple(a.shape), a) if out is None else out
    if a.numel() == 0:
        return h
    kernel = _kernel("forward", a)
    a, b, h0 = _readable(a), _readable(b), _readable(h0)
    arrays = [_flat(x) for x in (a, b, h, h0)]
    places = [_places(x, reverse) for x in (a, b, h)]
    run_boxes(
        lambda box: kernel(*arrays, *places, (0, h0.stride(0)), box, a.shape[1]), tuple(a.shape)
    )
    return h


def backward_numba(
    g: Tensor,
    a: Tensor,
    h: Tensor,
    h0: Tensor,
    reverse: bool,
    *,
    out: tuple[Tensor, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of factors, input terms and start, in one pass over the tensors.

    Args:
        g: (N, T, D) gradient of the states, of the dtype of `a`.
        a: (N, T, D) factors.
        h: (N, T, D) states.
        h0: (N, D) start.
        reverse: direction of the forward recurrence.
        out: contiguous tensors for the results; None allocates them.

    Returns:
        da (N, T, D), db (N, T, D) and dh0 (N, D), contiguous.
    """
    shape = tuple(a.shape)
    rows, num_steps, width = shape
    if out is None:
        out = (_empty(shape, a), _empty(shape, a), _empty((rows, width), a))
    if a.numel() == 0:
        out[2].zero_()
        return out
    kernel = _kernel("backward", a)
    g, a, h, h0 = (_readable(x) for x in (g, a, h, h0))
    arrays = [_flat(x) for x in (g, a, h, h0, *out)]
    places = [_places(x, reverse) for x in (g, a, h)]
    start, results = (0, h0.stride(0)), _places(out[0], reverse)
    run_boxes(
        lambda box: kernel(*arrays, *places, start, results, (0, width), box, num_steps), shape
    )
    return out


def phases_numba(
    theta: Tensor, modulus: Tensor, start: Tensor, resets: Tensor | None
) -> tuple[Tensor, int]:
    """Return the phases of s_t = (s_{t−1} + θ_t) mod m.

    Args:
        theta: (N, T, D) integers on the CPU.
        modulus: (D,) integers ≥ 1 of the same dtype.
        start: (N, D) phases of the same dtype.
        resets: (N, T, D) int32 or int64, −1 or a phase; or None.

    Returns:
        (N, T, D) phases, and −1; or, if a reset is no phase, its flat place instead of −1.
    """
    from coset.scan.kernels import narrow

    kernel: Any = narrow.phases
    out = _empty(tuple(theta.shape), theta)
    if theta.numel() == 0:
        return out, -1
    fixed = theta.new_empty((0, 0, 0)) if resets is None else resets.contiguous()
    parts = [x.contiguous().numpy() for x in (theta, modulus, start, fixed, out)]
    shape = tuple(theta.shape)
    places = run_boxes(lambda box: kernel(*parts, shape[1], box), shape)
    return out, max(int(place) for place in places)


def matrices_numba(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> Tensor:
    """Return the states of h_t = A_t h_{t−1} + b_t.

    Args:
        a: (N, T, n, n) float32, float64, complex64 or complex128, on the CPU.
        b: (N, T, n), of the dtype of `a`.
        h0: (N, n), of the dtype of `a`.
        reverse: run from the last step to the first.

    Returns:
        (N, T, n), contiguous.
    """
    from coset.scan.kernels import narrow

    kernel: Any = narrow.matrices
    out = _empty(tuple(b.shape), b)
    if b.numel() == 0:
        return out
    parts = [x.detach().resolve_conj().resolve_neg().contiguous().numpy() for x in (a, b, h0, out)]
    first, step = (b.shape[1] - 1, -1) if reverse else (0, 1)

    def work(box: Box) -> None:
        rows = slice(box[0], box[1])
        kernel(*(part[rows] for part in parts), first, step)

    # All columns of a row belong together.
    run_boxes(work, (b.shape[0], a[0].numel() if len(a) else 0, 1))
    return out
