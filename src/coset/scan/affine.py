"""The affine recurrence h_t = a_t h_{t−1} + b_t, for tensors of any shape."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import DtypeError, RangeError, ShapeError, UnsupportedError
from coset.scan.autograd import call_scan

__all__ = ["Affine", "affine_compose", "scan", "step"]

Affine = tuple[Tensor, Tensor]

HALF = (torch.float16, torch.bfloat16)
_DTYPES = (*HALF, torch.float32, torch.float64, torch.complex64, torch.complex128)


def check_tensors(**tensors: Tensor) -> torch.dtype:
    """Return the common dtype of tensors of real or complex numbers on one device.

    Args:
        **tensors: the tensors by the name that a message calls them.

    Returns:
        The dtype to which they are promoted.

    Raises:
        DtypeError: if one is no tensor, or of integers, or of an unknown precision.
        UnsupportedError: if they lie on several devices, or one is sparse.
    """
    dtype: torch.dtype | None = None
    device = None
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            raise DtypeError(f"{name} must be a tensor; given {type(x).__name__}")
        if x.dtype not in _DTYPES:
            raise DtypeError(
                f"{name} must be float16, bfloat16, float32, float64, complex64 or complex128; "
                f"given {x.dtype}; convert it first (exact integers: phase_scan)"
            )
        if x.layout != torch.strided:
            raise UnsupportedError(f"{name} must be dense; given layout {x.layout}; use to_dense()")
        if device is not None and x.device != device:
            raise UnsupportedError(
                f"all tensors must lie on one device; given {name} on {x.device} beside {device}; "
                "move it first"
            )
        device = x.device
        dtype = x.dtype if dtype is None else torch.promote_types(dtype, x.dtype)
    assert dtype is not None
    return dtype


def _shape(dim: int, **shapes: torch.Size) -> tuple[torch.Size, int]:
    """Return the broadcast shape and the position of time in it."""
    broadcast: Any = torch.broadcast_shapes
    try:
        shape: torch.Size = broadcast(*shapes.values())
    except RuntimeError:
        given = ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())
        raise ShapeError(f"shapes must broadcast; given {given}") from None
    if not isinstance(dim, int) or isinstance(dim, bool):
        raise DtypeError(f"dim must be an integer; given {dim!r}")
    if not -len(shape) <= dim < len(shape):
        raise RangeError(
            f"dim must lie in [{-len(shape)}, {len(shape) - 1}] for shape {tuple(shape)}; given "
            f"{dim}; sequences are (…, T, D) with time at dim=-2, or name another dim"
        )
    return shape, dim % len(shape)


def start_state(h0: Tensor | None, like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the state before the first step, zeros unless given.

    Args:
        h0: a tensor that broadcasts to `shape`, or None.
        like: gives dtype and device.
        shape: shape of a state.

    Returns:
        The start, of that shape.

    Raises:
        ShapeError: if `h0` does not broadcast.
    """
    if h0 is None:
        return like.new_zeros(shape)
    try:
        return h0.to(like.dtype).expand(shape)
    except RuntimeError:
        raise ShapeError(
            f"h0 must broadcast to one state, shape {tuple(shape)}; given {tuple(h0.shape)}"
        ) from None


def scan(
    a: Tensor,
    b: Tensor,
    h0: Tensor | None = None,
    *,
    dim: int = -2,
    reverse: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Return every state of the diagonal affine recurrence.

    h_t = a_t h_{t−1} + b_t for t = 1 … T, from h_0; with `reverse` h_t = a_t h_{t+1} + b_t for
    t = T … 1, from h_{T+1} = h0. A segment begins where a_t = 0: nothing finite leaks across it.

    Args:
        a: (…, T, D) real or complex: factors. `a` and `b` broadcast, also along time, so that a
            constant factor may be (D,) and is then not copied.
        b: (…, T, D) real or complex: input terms.
        h0: state before the first step, anything that broadcasts to (…, D); None: zeros.
        dim: where time lies in the broadcast shape.
        reverse: run from the last step to the first.
        backend: "numba", "triton", "eager" or "reference"; None or "auto": the choice of
            `coset backends`.

    Returns:
        (…, T, D) states, of the promoted dtype of the inputs; float16 and bfloat16 are computed in
        float32 and rounded at the end. NaN and infinity propagate as in a·h + b. Empty for T = 0.
        Differentiable in a, b and h0: backward (each order is again a scan), forward, vmap.

    Raises:
        DtypeError: if an input is no tensor, or holds integers.
        ShapeError: if the shapes do not broadcast.
        RangeError: if `dim` is out of range.
        UnsupportedError: for several devices, sparse tensors, or an unknown backend.
        UnavailableError: if the backend cannot be used here.

    Complexity: O(T·D) work; on the CPU one fused pass over the memory that runs in torch's number
    of threads with the same bits for any number; saves a and h for the backward pass.

    Example:
        >>> a = torch.tensor([[0.5], [2.0], [-1.0]])
        >>> scan(a, torch.ones(3, 1)).flatten()
        tensor([ 1.,  3., -2.])
        >>> scan(a, torch.ones(3, 1), reverse=True).flatten()
        tensor([2.5000, 3.0000, 1.0000])
    """
    given = {"a": a, "b": b} if h0 is None else {"a": a, "b": b, "h0": h0}
    dtype = check_tensors(**given)
    wide = torch.float32 if dtype in HALF else dtype
    shape, place = _shape(dim, a=a.shape, b=b.shape)
    before, num_steps, after = shape[:place], shape[place], shape[place + 1 :]
    rows, width = math.prod(before), math.prod(after)
    factor, term = (x.to(wide).expand(shape).reshape(rows, num_steps, width) for x in (a, b))
    start = start_state(h0, factor, (*before, *after)).reshape(rows, width)
    out = call_scan(factor, term, start, bool(reverse), backend or "auto")
    return out.reshape(shape).to(dtype)


def step(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Advance a state by one step, h ↦ a h + b: the streaming form of `scan`.

    Args:
        a: (…, D) real or complex: factor of this step.
        b: (…, D) real or complex: input term of this step.
        h: (…, D) real or complex: state; keep it in float32 for inputs of 16 bits, as `scan` does.

    Returns:
        The next state, of the promoted dtype; 16-bit inputs are computed in float32.

    Raises:
        DtypeError: if an input is no tensor, or holds integers.
        ShapeError: if the shapes do not broadcast.
        UnsupportedError: for several devices or sparse tensors.

    Example:
        >>> step(torch.tensor([0.5]), torch.tensor([1.0]), torch.tensor([4.0]))
        tensor([3.])
    """
    dtype = check_tensors(a=a, b=b, h=h)
    _shape(-1, a=a.shape, b=b.shape, h=h.shape, state=torch.Size([1]))
    if dtype in HALF:
        return (a.float() * h.float() + b.float()).to(dtype)
    return a * h + b


def affine_compose(first: Affine, second: Affine) -> Affine:
    """Compose two affine maps h ↦ a h + b, the first one applied first.

    (a₁, b₁) then (a₂, b₂) is (a₂ a₁, a₂ b₁ + b₂); associative, with identity (1, 0).

    Args:
        first: a and b, tensors that broadcast.
        second: a and b, tensors that broadcast.

    Returns:
        a and b of the composition.

    Raises:
        DtypeError: if one is no tensor, or holds integers.
        ShapeError: if the shapes do not broadcast.
        UnsupportedError: for several devices or sparse tensors.

    Example:
        >>> pair = lambda a, b: (torch.tensor(a), torch.tensor(b))
        >>> affine_compose(pair(2.0, 1.0), pair(3.0, 5.0))
        (tensor(6.), tensor(8.))
    """
    (a1, b1), (a2, b2) = first, second
    check_tensors(a1=a1, b1=b1, a2=a2, b2=b2)
    one = torch.Size([1])
    _shape(-1, a1=a1.shape, b1=b1.shape, a2=a2.shape, b2=b2.shape, number=one)
    return a2 * a1, a2 * b1 + b2
