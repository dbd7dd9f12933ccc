"""The recurrence of (N, T, D) tensors as torch operators: backends, fake tensors, derivatives.

With h_t = a_t h_{t−1} + b_t and g the gradient of h, in torch's complex convention:
db_t = g_t + conj(a_{t+1}) db_{t+1}, da_t = db_t conj(h_{t−1}), dh0 = conj(a_1) db_1.
The derivative of these is again a scan, so that every order of differentiation stays parallel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coset.core.errors import UnsupportedError
from coset.scan.dispatch import (
    call_operator,
    mapped,
    register_backends,
    resolve_backend,
    unwatched,
)
from coset.scan.eager import backward_eager, forward_eager, previous_states
from coset.scan.reference import scan_reference

__all__ = ["BACKENDS", "affine_scan", "affine_scan_backward", "call_scan"]

OP = "scan.affine"
BACKENDS = ("auto", "numba", "triton", "eager", "reference")

register_backends(OP, "one fused loop a direction", triton="fused, in blocks of steps")


def _forward(a: Tensor, b: Tensor, h0: Tensor, reverse: bool, backend: str) -> Tensor:
    name = resolve_backend(OP, backend, a.device)
    if name == "numba":
        from coset.scan.kernels.launch import forward_numba

        return forward_numba(a, b, h0, reverse)
    if name == "triton":
        from coset.scan.kernels import cuda

        states: Tensor = cuda.forward_triton(a, b, h0, reverse)
        return states
    if name == "reference":
        return scan_reference(a, b, h0, reverse=reverse)
    return forward_eager(a, b, h0, reverse)


def _gradients(
    g: Tensor, a: Tensor, h: Tensor, h0: Tensor, reverse: bool, backend: str
) -> tuple[Tensor, Tensor, Tensor]:
    name = resolve_backend(OP, backend, a.device)
    if name == "numba":
        from coset.scan.kernels.launch import backward_numba

        return backward_numba(g, a, h, h0, reverse)
    if name == "triton":
        from coset.scan.kernels import cuda

        found: tuple[Tensor, Tensor, Tensor] = cuda.backward_triton(g, a, h, h0, reverse)
        return found
    return backward_eager(g, a, h, h0, reverse)


@torch.library.custom_op("coset::affine_scan", mutates_args=())
def affine_scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool, backend: str) -> Tensor:
    """Return the states (N, T, D) of h_t = a_t h_{t−1} + b_t; see `coset.scan.scan`."""
    return _forward(a, b, h0, reverse, backend)


@torch.library.custom_op("coset::affine_scan_backward", mutates_args=())
def affine_scan_backward(
    g: Tensor, a: Tensor, h: Tensor, h0: Tensor, reverse: bool, backend: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a, b and h0, given that of the states."""
    return _gradients(g, a, h, h0, reverse, backend)


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@affine_scan.register_fake
def _fake(a: Tensor, b: Tensor, h0: Tensor, reverse: bool, backend: str) -> Tensor:
    return _like(b)


@affine_scan_backward.register_fake
def _fake_backward(
    g: Tensor, a: Tensor, h: Tensor, h0: Tensor, reverse: bool, backend: str
) -> tuple[Tensor, Tensor, Tensor]:
    return _like(g), _like(g), _like(h0)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, _, h0, ctx.reverse, ctx.backend = inputs
    ctx.save_for_backward(a, output, h0)


def _scan_gradients(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    a, h, h0 = ctx.saved_tensors
    return *call_backward(grad, a, h, h0, ctx.reverse, ctx.backend), None, None


def _save_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, a, h, h0, ctx.reverse, ctx.backend = inputs
    ctx.save_for_backward(a, h, h0, output[1])


def _second_gradients(
    ctx: Any, along_a: Tensor, along_b: Tensor, along_start: Tensor
) -> tuple[Any, ...]:
    """Differentiate the backward pass: P_t = a_t P_{t−1} + along_b_t + along_a_t h_{t−1}."""
    a, h, h0, db = ctx.saved_tensors
    before = previous_states(h, h0, ctx.reverse)
    p = call_scan(a, along_b + along_a * before, along_start, ctx.reverse, ctx.backend)
    to_a = db * previous_states(p, along_start, ctx.reverse).conj()
    to_before = db * along_a.conj()
    # The state before step t + 1 is the state after step t.
    none = torch.zeros_like(h0)
    to_h = previous_states(to_before, none, not ctx.reverse)
    first = -1 if ctx.reverse else 0
    to_start = to_before[:, first] if h.shape[1] else none
    return p, to_a, to_h, to_start, None, None


affine_scan.register_autograd(_scan_gradients, setup_context=_save)
affine_scan_backward.register_autograd(_second_gradients, setup_context=_save_backward)


@affine_scan.register_vmap
def _vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
    return mapped(affine_scan, info, in_dims, inputs)


@affine_scan_backward.register_vmap
def _vmap_backward(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
    return mapped(affine_scan_backward, info, in_dims, inputs)


class AffineScan(torch.autograd.Function):
    """`affine_scan` for eager code: torch.func differentiates functions, not operators."""

    @staticmethod
    def forward(*inputs: Any) -> Any:
        """Call the operator."""
        return _forward(*inputs) if unwatched(inputs[:3]) else affine_scan(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save what backward and jvp read."""
        _save(ctx, inputs, output)
        ctx.save_for_forward(inputs[0], output, inputs[2])

    backward = staticmethod(_scan_gradients)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        """Move along tangents of a, b and h0: again a scan with the factors a."""
        a, h, h0 = ctx.saved_tensors
        along_a, along_b, along_start = tangents[:3]
        term = torch.zeros_like(h) if along_b is None else along_b
        if along_a is not None:
            term = term + along_a * previous_states(h, h0, ctx.reverse)
        start = torch.zeros_like(h0) if along_start is None else along_start
        return call_scan(a, term, start, ctx.reverse, ctx.backend)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
        """Treat the mapped dimension as more rows."""
        return mapped(AffineScan.apply, info, in_dims, inputs)


class AffineScanBackward(torch.autograd.Function):
    """`affine_scan_backward` for eager code."""

    @staticmethod
    def forward(*inputs: Any) -> Any:
        """Call the operator."""
        return _gradients(*inputs) if unwatched(inputs[:4]) else affine_scan_backward(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Save what backward and jvp read."""
        _save_backward(ctx, inputs, output)
        ctx.save_for_forward(*inputs[1:4], output[1])

    backward = staticmethod(_second_gradients)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Move along tangents of g, a, h and h0."""
        a, h, h0, db = ctx.saved_tensors
        along_g, along_a, along_h, along_start = (
            torch.zeros_like(like) if x is None else x
            for x, like in zip(tangents[:4], (db, a, h, h0), strict=True)
        )
        moved = along_a.conj() * db
        later = previous_states(moved, torch.zeros_like(h0), not ctx.reverse)
        options = (ctx.reverse, ctx.backend)
        to_a, to_b, to_start = call_backward(along_g + later, a, h, h0, *options)
        if h.shape[1]:
            to_start = to_start + moved[:, -1 if ctx.reverse else 0]
        to_a = to_a + db * previous_states(along_h, along_start, ctx.reverse).conj()
        return to_a, to_b, to_start

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
        """Treat the mapped dimension as more rows."""
        return mapped(AffineScanBackward.apply, info, in_dims, inputs)


def call_scan(a: Tensor, b: Tensor, h0: Tensor, reverse: bool, backend: str) -> Tensor:
    """Call the scan in the way that the situation asks for: compiled, differentiated or plain.

    Args:
        a: (N, T, D) float32, float64, complex64 or complex128.
        b: (N, T, D), of the dtype of `a`.
        h0: (N, D), of the dtype of `a`.
        reverse: run from the last step to the first.
        backend: one of `BACKENDS`.

    Returns:
        The states (N, T, D).
    """
    if backend not in BACKENDS:
        raise UnsupportedError(f"backend must be one of {', '.join(BACKENDS)}; given {backend!r}")
    out: Tensor = call_operator(affine_scan, AffineScan, _forward, (a, b, h0), reverse, backend)
    return out


def call_backward(
    g: Tensor, a: Tensor, h: Tensor, h0: Tensor, reverse: bool, backend: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Call the backward pass in the way that the situation asks for.

    Args:
        g: (N, T, D) gradient of the states.
        a: (N, T, D) factors.
        h: (N, T, D) states.
        h0: (N, D) start.
        reverse: direction of the forward recurrence.
        backend: one of `BACKENDS`.

    Returns:
        The gradients of a, b (N, T, D) and h0 (N, D).
    """
    tensors = (g, a, h, h0)
    out: tuple[Tensor, Tensor, Tensor] = call_operator(
        affine_scan_backward, AffineScanBackward, _gradients, tensors, reverse, backend
    )
    return out
