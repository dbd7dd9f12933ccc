"""The sharing prox of the rows of a matrix as one torch operator: dispatch, fake tensor, gradients.

Legend: rows = number of groups, d = weights in a group; index = number, in increasing order of
value, of the block that an element belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from coset.core.backends import (
    Backend,
    always,
    chosen_backend,
    register_backend,
    requires_module,
)
from coset.core.errors import DomainError, UnsupportedError
from coset.sharing.collisions import collision_rows
from coset.sharing.kernels.launch import bucket_rows, pava_rows
from coset.sharing.reference import prox_sharing_reference, sharing_blocks_reference

__all__ = ["ARITHMETICS", "METHODS", "ProxRows", "call_prox", "prox_rows"]

OP = "sharing.prox"
METHODS = ("auto", "pava", "bucket", "imminent", "end", "search", "bridge", "reference")
ARITHMETICS = ("float64", "fixed")
# Methods that count merge tests only, unless in fixed point.
_ONE_PASS = ("auto", "pava", "bucket", "reference")

register_backend(
    Backend(
        OP,
        "numba",
        "cpu",
        requires_module("numba", "install it with: pip install numba"),
        "bucket sort and lazy stack of blocks",
    )
)
register_backend(Backend(OP, "reference", "cpu", always, "literal, slow"))


def _check(w: Tensor, strength: Tensor, l1: Tensor) -> None:
    for name, value in (("strength", strength), ("l1", l1)):
        # The minimum is NaN if any value is, and NaN is not ≥ 0.
        # One number is read as it is: reducing it would cost three times as much.
        one, some = value.numel() == 1, value.numel() > 0
        smallest = (value if one else value.min()).item() if some else 0.0
        if not smallest >= 0:
            raise DomainError(f"{name} must be a number ≥ 0; given {smallest}")
    if w.shape[1] >= 2**31:
        raise UnsupportedError(
            f"a group must hold fewer than 2^31 weights; given {w.shape[1]}; split it into groups"
        )


def _raise_not_finite(w: Tensor) -> None:
    row, column = (~torch.isfinite(w)).nonzero()[0].tolist()
    raise DomainError(
        f"weights must be finite; given {float(w[row, column])} at position {column} of group "
        f"{row}; remove it first (check_finite=False skips the test and leaves the group undefined)"
    )


def _single(w: Tensor, l1: Tensor, keep: float) -> Tensor:
    """Return the prox of groups of one weight: soft thresholding."""
    y, limit = w.to(torch.float64), l1[:, None]
    pulled = torch.where(y.abs() < limit, 0.0, y - keep * limit * y.sign())
    return torch.where(limit > 0, pulled.to(w.dtype), w)


def _reference_rows(
    w: Tensor, strength: Tensor, l1: Tensor, rewind: float
) -> tuple[Tensor, Tensor, Tensor]:
    out = torch.empty_like(w)
    index = torch.empty(w.shape, dtype=torch.int32)
    for r in range(w.shape[0]):
        g = float(strength[r])
        out[r] = prox_sharing_reference(w[r], g, l1=float(l1[r]), rewind=rewind)
        x, order = w[r].to(torch.float64).sort(stable=True)
        blocks = sharing_blocks_reference(x.tolist(), g)
        masses = torch.tensor([b - a for a, b in blocks])
        index[r, order] = torch.arange(len(blocks), dtype=torch.int32).repeat_interleave(masses)
    tests = torch.full((w.shape[0],), w.shape[1] - 1)
    return out, index, tests


def _counts_shape(rows: int, method: str, arithmetic: str) -> tuple[int, ...]:
    one_pass = method in _ONE_PASS and arithmetic == "float64"
    return (rows,) if one_pass else (rows, 3)


def _solve(
    w: Tensor,
    strength: Tensor,
    l1: Tensor,
    rewind: float,
    has_l1: bool,
    with_index: bool,
    check_finite: bool,
    method: str,
    arithmetic: str = "float64",
) -> tuple[Tensor, Tensor, Tensor]:
    _check(w, strength, l1)
    rows, d = w.shape
    w, keep = w.contiguous(), 1.0 - rewind
    if method == "auto":
        method = "reference" if chosen_backend(OP, "cpu") == "reference" else "bucket"
    if check_finite and (d < 2 or method != "bucket") and not bool(torch.isfinite(w).all()):
        _raise_not_finite(w)
    if d < 2 or rows == 0:
        index = torch.zeros((rows, d if with_index else 0), dtype=torch.int32)
        counts = torch.zeros(_counts_shape(rows, method, arithmetic), dtype=torch.int64)
        return _single(w, l1, keep).clone(), index, counts
    if len(_counts_shape(rows, method, arithmetic)) == 2:
        options = {"method": method, "arithmetic": arithmetic}
        return collision_rows(w, strength, l1, keep, with_index=with_index, **options)
    if method == "reference":
        out, index, tests = _reference_rows(w, strength, l1, rewind)
        return out, index if with_index else index[:, :0].clone(), tests
    if method == "pava":
        return pava_rows(w, strength, l1, keep, with_index=with_index)
    out, index, tests, bad = bucket_rows(
        w, strength, l1, keep, with_index=with_index, check_finite=check_finite
    )
    if bad >= 0:
        _raise_not_finite(w)
    return out, index, tests


@torch.library.custom_op("coset::sharing_prox", mutates_args=(), device_types="cpu")
def prox_rows(
    w: Tensor,
    strength: Tensor,
    l1: Tensor,
    rewind: float,
    has_l1: bool,
    with_index: bool,
    check_finite: bool,
    method: str,
    arithmetic: str = "float64",
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the prox of each row, its block numbers, and what was counted on the way.

    Counted are merge tests (rows,), or rounds, depth and work (rows, 3) by methods of several
    rounds and in fixed point. Differentiable in `w`, `strength` and `l1` if `with_index`; the
    arguments are those of `coset.sharing.prox_sharing`, with one strength and one l1 (float64) for
    each row.
    """
    return _solve(w, strength, l1, rewind, has_l1, with_index, check_finite, method, arithmetic)


@prox_rows.register_fake
def _fake(
    w: Tensor,
    strength: Tensor,
    l1: Tensor,
    rewind: float,
    has_l1: bool,
    with_index: bool,
    check_finite: bool,
    method: str,
    arithmetic: str = "float64",
) -> tuple[Tensor, Tensor, Tensor]:
    rows, d = w.shape
    out = torch.empty_like(w, memory_format=torch.contiguous_format)
    index = w.new_empty((rows, d if with_index else 0), dtype=torch.int32)
    return out, index, w.new_empty(_counts_shape(rows, method, arithmetic), dtype=torch.int64)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    w, strength, l1, ctx.rewind, ctx.has_l1, with_index, *_ = inputs
    index = output[1]
    ctx.mark_non_differentiable(index, output[2])
    ctx.set_materialize_grads(False)
    ctx.differentiable, ctx.dtype = with_index, w.dtype
    ctx.save_for_backward(*((index, w, strength, l1) if ctx.has_l1 else (index,)))


def _averages(values: Tensor, index: Tensor, masses: Tensor) -> Tensor:
    """Return the mean over its block for each element, accumulated in float64."""
    sums = torch.zeros_like(masses).scatter_add(1, index, values)
    return (sums / masses.clamp(min=1)).gather(1, index)


def _motion(ctx: Any) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return each element's block, the masses by block, each element's velocity, and its sign.

    The sign is that of the output, NaN where l1 makes it zero; None without l1.
    """
    if not ctx.differentiable:
        raise UnsupportedError("the prox without block numbers has no gradient; use with_index")
    index = ctx.saved_tensors[0].to(torch.int64)
    d = index.shape[1]
    ones = torch.ones_like(index, dtype=torch.float64)
    masses = torch.zeros_like(ones).scatter_add(1, index, ones)
    velocity = (d - 2.0 * masses.cumsum(1) + masses) / max(1, d - 1)
    velocity = velocity.gather(1, index)
    if not ctx.has_l1:
        return index, masses, velocity, None
    _, w, strength, l1 = (t.detach() for t in ctx.saved_tensors)
    drift = torch.where(velocity == 0, 0.0, strength[:, None] * velocity)
    y = _averages(w.to(torch.float64), index, masses) + drift
    return index, masses, velocity, torch.where(y.abs() < l1[:, None], torch.nan, y.sign())


def _backward(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    """Average over blocks; all steps are torch's own, so that they are differentiable again."""
    index, masses, velocity, sign = _motion(ctx)
    if grad is None:
        return (None,) * 9
    wide, keep, grad_l1 = grad.to(torch.float64), 1.0 - ctx.rewind, None
    if sign is not None:
        wide = wide * ~sign.isnan()
        grad_l1 = -keep * (wide * sign.nan_to_num()).sum(1)
    grad_w = _averages(wide, index, masses).to(grad.dtype)
    return grad_w, keep * (wide * velocity).sum(1), grad_l1, *(None,) * 6


def _jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, None, None]:
    """Move along tangents of w, strength and l1, of which any may be None."""
    index, masses, velocity, sign = _motion(ctx)
    along_w, along_strength, along_l1 = tangents[:3]
    keep, out = 1.0 - ctx.rewind, torch.zeros_like(velocity)
    if along_w is not None:
        out = _averages(along_w.to(torch.float64), index, masses)
    if along_strength is not None:
        out = out + keep * along_strength[:, None] * velocity
    if sign is not None and along_l1 is not None:
        out = out - keep * along_l1[:, None] * sign
    if sign is not None:
        out = torch.where(sign.isnan(), 0.0, out)
    return out.to(ctx.dtype), None, None


prox_rows.register_autograd(_backward, setup_context=_setup_context)


def _mapped(
    call: Callable[..., tuple[Tensor, ...]], info: Any, in_dims: tuple[Any, ...], inputs: Any
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Treat a mapped dimension as more rows."""
    size = info.batch_size
    parts = [
        part.expand(size, *part.shape) if dim is None else part.movedim(dim, 0)
        for part, dim in zip(inputs[:3], in_dims[:3], strict=True)
    ]
    rows = parts[0].shape[1]
    outputs = call(*(part.reshape(size * rows, *part.shape[2:]) for part in parts), *inputs[3:])
    return tuple(o.reshape(size, rows, *o.shape[1:]) for o in outputs), (0, 0, 0)


@prox_rows.register_vmap
def _vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
    return _mapped(prox_rows, info, in_dims, inputs)


class ProxRows(torch.autograd.Function):
    """`prox_rows` for eager code: torch.func differentiates functions, not operators."""

    @staticmethod
    def forward(*inputs: Any) -> Any:
        """Call the operator."""
        return _call_plainly(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Save what backward and jvp read."""
        _setup_context(ctx, inputs, output)
        ctx.save_for_forward(*((output[1], *inputs[:3]) if ctx.has_l1 else (output[1],)))

    backward = staticmethod(_backward)
    jvp = staticmethod(_jvp)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
        """Treat the mapped dimension as more rows."""
        return _mapped(ProxRows.apply, info, in_dims, inputs)


def _call_plainly(*inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Call the operator, or what it does where no one looks: dispatching costs 20 µs."""
    inspect: Any = torch._C
    tracing: Any = torch.jit
    watched = (
        inspect._len_torch_dispatch_stack() > 0
        or inspect._are_functorch_transforms_active()
        or tracing.is_tracing()
        or any(type(tensor) not in (Tensor, torch.nn.Parameter) for tensor in inputs[:3])
    )
    return prox_rows(*inputs) if watched else _solve(*inputs)


def call_prox(
    w: Tensor, strength: Tensor, l1: Tensor, *options: Any, with_index: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Call `prox_rows` in the way that the situation asks for: compiled, differentiated or plain.

    Args:
        w: (rows, d) float32 or float64.
        strength: (rows,) float64.
        l1: (rows,) float64.
        *options: rewind, has_l1, check_finite, method and arithmetic of `prox_rows`.
        with_index: whether block numbers are wanted even if nothing is differentiated.

    Returns:
        As `prox_rows`.
    """
    tensors, (rewind, has_l1, *rest) = (w, strength, l1), options
    needs_grad = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    compiled = torch.compiler.is_compiling()
    if not (compiled or needs_grad):
        unpack: Any = unpack_dual
        needs_grad = any(unpack(t).tangent is not None for t in tensors)
    call: Any = _call_plainly
    if compiled:
        call = prox_rows
    elif needs_grad:
        call = ProxRows.apply
    out, index, counts = call(*tensors, rewind, has_l1, needs_grad or with_index, *rest)
    return out, index, counts
