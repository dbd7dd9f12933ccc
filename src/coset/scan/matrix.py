"""The affine recurrence with matrices, h_t = A_t h_{t−1} + b_t, for small dense systems."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import ShapeError, UnsupportedError
from coset.scan.affine import HALF, Affine, check_tensors, start_state
from coset.scan.dispatch import (
    call_operator,
    mapped,
    register_backends,
    resolve_backend,
    unwatched,
)
from coset.scan.eager import forward_eager, previous_states
from coset.scan.reference import matrix_scan_reference

__all__ = ["matrix_compose", "matrix_scan"]

OP = "scan.matrix"
BACKENDS = ("auto", "numba", "eager", "reference")

register_backends(OP, "one loop over the steps of each row")


def _forward(a: Tensor, b: Tensor, h0: Tensor, reverse: bool, backend: str) -> Tensor:
    name = resolve_backend(OP, backend, a.device)
    if name == "numba":
        from coset.scan.kernels.launch import matrices_numba

        return matrices_numba(a, b, h0, reverse)
    if name == "reference":
        return matrix_scan_reference(a, b, h0, reverse=reverse)
    return forward_eager(a, b, h0, reverse)


@torch.library.custom_op("coset::matrix_scan", mutates_args=())
def matrix_scan_rows(a: Tensor, b: Tensor, h0: Tensor, reverse: bool, backend: str) -> Tensor:
    """Return the states (N, T, n) of h_t = A_t h_{t−1} + b_t; see `coset.scan.matrix_scan`."""
    return _forward(a, b, h0, reverse, backend)


@matrix_scan_rows.register_fake
def _fake(a: Tensor, b: Tensor, h0: Tensor, reverse: bool, backend: str) -> Tensor:
    return torch.empty_like(b, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, _, h0, ctx.reverse, ctx.backend = inputs
    ctx.save_for_backward(a, output, h0)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    """Run the adjoint recurrence, db_t = g_t + A*_{t+1} db_{t+1}: again a scan with matrices."""
    a, h, h0 = ctx.saved_tensors
    if h.shape[1] == 0:
        return torch.zeros_like(a), torch.zeros_like(grad), torch.zeros_like(h0), None, None
    adjoint = a.mH
    first = -1 if ctx.reverse else 0
    following = previous_states(adjoint, torch.zeros_like(a[:, 0]), not ctx.reverse)
    zero = torch.zeros_like(h0)
    db = call_matrix_scan(following, grad, zero, not ctx.reverse, ctx.backend)
    before = previous_states(h, h0, ctx.reverse)
    da = db.unsqueeze(-1) * before.conj().unsqueeze(-2)
    start = (adjoint[:, first] @ db[:, first].unsqueeze(-1)).squeeze(-1)
    return da, db, start, None, None


matrix_scan_rows.register_autograd(_gradients, setup_context=_save)


@matrix_scan_rows.register_vmap
def _vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
    return mapped(matrix_scan_rows, info, in_dims, inputs)


class MatrixScan(torch.autograd.Function):
    """`matrix_scan_rows` for eager code: torch.func differentiates functions, not operators."""

    @staticmethod
    def forward(*inputs: Any) -> Any:
        """Call the operator."""
        return _forward(*inputs) if unwatched(inputs[:3]) else matrix_scan_rows(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save what backward and jvp read."""
        _save(ctx, inputs, output)
        ctx.save_for_forward(inputs[0], output, inputs[2])

    backward = staticmethod(_gradients)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        """Move along tangents of A, b and h0: again a scan with the matrices A."""
        a, h, h0 = ctx.saved_tensors
        along_a, along_b, along_start = tangents[:3]
        term = torch.zeros_like(h) if along_b is None else along_b
        if along_a is not None:
            before = previous_states(h, h0, ctx.reverse)
            term = term + (along_a @ before.unsqueeze(-1)).squeeze(-1)
        start = torch.zeros_like(h0) if along_start is None else along_start
        return call_matrix_scan(a, term, start, ctx.reverse, ctx.backend)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
        """Treat the mapped dimension as more rows."""
        return mapped(MatrixScan.apply, info, in_dims, inputs)


def call_matrix_scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool, backend: str) -> Tensor:
    """Call the scan in the way that the situation asks for: compiled, differentiated or plain.

    Args:
        a: (N, T, n, n) float32, float64, complex64 or complex128.
        b: (N, T, n), of the dtype of `a`.
        h0: (N, n), of the dtype of `a`.
        reverse: run from the last step to the first.
        backend: "auto", "numba", "eager" or "reference".

    Returns:
        The states (N, T, n).
    """
    tensors = (a, b, h0)
    out: Tensor = call_operator(matrix_scan_rows, MatrixScan, _forward, tensors, reverse, backend)
    return out


def _check_matrices(a: Tensor, b: Tensor, name_a: str, name_b: str) -> torch.Size:
    """Return the common shape of the leading dimensions of square matrices and vectors."""
    if a.dim() < 2 or b.dim() < 1 or a.shape[-1] != a.shape[-2] or a.shape[-1] != b.shape[-1]:
        raise ShapeError(
            f"{name_a} must be (…, n, n) and {name_b} (…, n); given {tuple(a.shape)} and "
            f"{tuple(b.shape)}"
        )
    broadcast: Any = torch.broadcast_shapes
    try:
        shape: torch.Size = broadcast(a.shape[:-2], b.shape[:-1])
    except RuntimeError:
        raise ShapeError(
            f"leading dimensions of {name_a} and {name_b} must broadcast; given "
            f"{tuple(a.shape[:-2])} and {tuple(b.shape[:-1])}"
        ) from None
    return shape


def matrix_scan(
    a: Tensor,
    b: Tensor,
    h0: Tensor | None = None,
    *,
    reverse: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Return every state of the affine recurrence with matrices.

    h_t = A_t h_{t−1} + b_t for t = 1 … T, from h_0; with `reverse` h_t = A_t h_{t+1} + b_t for
    t = T … 1, from h_{T+1} = h0, as values are computed from rewards and transitions.

    Args:
        a: (…, T, n, n) real or complex: matrices. Leading dimensions broadcast with those of `b`,
            so that one matrix may serve for all times.
        b: (…, T, n) real or complex: input terms.
        h0: the state before the first step, anything that broadcasts to (…, n); None: zeros.
        reverse: run from the last step to the first.
        backend: "numba", "eager" or "reference"; None or "auto": the choice of `coset backends`.

    Returns:
        (…, T, n) states, of the promoted dtype of the inputs; float16 and bfloat16 are computed in
        float32. Differentiable in a, b and h0: backward (each order is again a scan), forward,
        vmap. NaN and infinity propagate. Empty for T = 0.

    Raises:
        DtypeError: if an input is no tensor, or holds integers.
        ShapeError: if matrices are not square or shapes do not fit.
        UnsupportedError: for several devices, sparse tensors, or an unknown backend.
        UnavailableError: if the backend cannot be used here.

    Complexity: O(T·n²) by "numba"; by "eager" O(T·n³) in O(log T) rounds.

    Example:
        >>> discount = torch.full((3, 1, 1), 0.5)
        >>> matrix_scan(discount, torch.ones(3, 1), reverse=True).flatten()
        tensor([1.7500, 1.5000, 1.0000])
    """
    dtype = check_tensors(a=a, b=b) if h0 is None else check_tensors(a=a, b=b, h0=h0)
    if (backend or "auto") not in BACKENDS:
        raise UnsupportedError(f"backend must be one of {', '.join(BACKENDS)}; given {backend!r}")
    leading = _check_matrices(a, b, "a", "b")
    if not leading:
        raise ShapeError(
            "sequences must be (…, T, n, n) and (…, T, n); given one step, of shapes "
            f"{tuple(a.shape)} and {tuple(b.shape)}; unsqueeze them, or use a @ h + b"
        )
    wide = torch.float32 if dtype in HALF else dtype
    size = b.shape[-1]
    rows, num_steps = math.prod(leading[:-1]), leading[-1]
    matrices = a.to(wide).expand(*leading, size, size).reshape(rows, num_steps, size, size)
    term = b.to(wide).expand(*leading, size).reshape(rows, num_steps, size)
    start = start_state(h0, term, (*leading[:-1], size)).reshape(rows, size)
    out = call_matrix_scan(matrices, term, start, bool(reverse), backend or "auto")
    return out.reshape(*leading, size).to(dtype)


def matrix_compose(first: Affine, second: Affine) -> Affine:
    """Compose two affine maps h ↦ A h + b, the first one applied first.

    (A₁, b₁) then (A₂, b₂) is (A₂ A₁, A₂ b₁ + b₂); associative, with identity (I, 0).

    Args:
        first: A (…, n, n) and b (…, n), tensors whose leading dimensions broadcast.
        second: likewise.

    Returns:
        A and b of the composition.

    Raises:
        DtypeError: if one is no tensor, or holds integers.
        ShapeError: if shapes do not fit.
        UnsupportedError: for several devices or sparse tensors.

    Example:
        >>> swap = (torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.zeros(2))
        >>> move = (torch.eye(2), torch.tensor([1.0, 0.0]))
        >>> matrix_compose(move, swap)[1]
        tensor([0., 1.])
    """
    (a1, b1), (a2, b2) = first, second
    dtype = check_tensors(a1=a1, b1=b1, a2=a2, b2=b2)
    shapes = _check_matrices(a1, b1, "a1", "b1"), _check_matrices(a2, b2, "a2", "b2")
    _check_matrices(a1.expand(*shapes[0], *a1.shape[-2:]), b2, "a1", "b2")
    a1, b1, a2, b2 = (x.to(dtype) for x in (a1, b1, a2, b2))
    return a2 @ a1, (a2 @ b1.unsqueeze(-1)).squeeze(-1) + b2
