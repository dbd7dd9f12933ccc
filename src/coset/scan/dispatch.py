"""Which implementation runs, and by which of torch's doors a call enters."""

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
    use_backend,
)
from coset.core.errors import UnsupportedError

__all__ = ["call_operator", "mapped", "register_backends", "resolve_backend", "unwatched"]


def register_backends(op: str, numba: str, *, triton: str = "") -> None:
    """Register the implementations of an operation for `coset backends`.

    Args:
        op: "scan.name".
        numba: what the compiled loop does, in a few words.
        triton: what the CUDA kernel does; empty if there is none.
    """
    probe = requires_module("numba", "install it with: pip install numba")
    register_backend(Backend(op, "numba", "cpu", probe, numba))
    if triton:
        probe = requires_module("triton", "install it with: pip install triton")
        register_backend(Backend(op, "triton", "cuda", probe, triton))
    for device in ("cpu", "cuda"):
        note = "whole-tensor operations, O(log T) rounds"
        register_backend(Backend(op, "eager", device, always, note))
        register_backend(Backend(op, "reference", device, always, "literal, slow"))


def resolve_backend(op: str, backend: str, device: torch.device) -> str:
    """Return the implementation to be used on a device.

    Args:
        op: the operation.
        backend: a name, or "auto" to ask the registry.
        device: where the tensors lie; on others than CPU and CUDA "auto" is "eager".

    Returns:
        The name.

    Raises:
        UnknownNameError: if that operation has no such backend on that device.
        UnavailableError: if it cannot be used here.
        UnsupportedError: if the device needs tensor operations and the backend is another.
    """
    kind = device.type
    if kind not in ("cpu", "cuda"):
        if backend not in ("auto", "eager", "reference"):
            raise UnsupportedError(
                f"backend {backend!r} runs on cpu or cuda; given a tensor on {device}; use 'eager'"
            )
        return "eager" if backend == "auto" else backend
    if backend == "auto":
        return chosen_backend(op, kind)
    with use_backend(op, backend):
        return chosen_backend(op, kind)


def unwatched(tensors: tuple[Any, ...]) -> bool:
    """Tell whether nothing but the result is looked at: dispatching an operator costs 20 µs.

    Args:
        tensors: the arguments.

    Returns:
        False under tracing, torch.func, tensor subclasses and batched gradients.
    """
    inspect: Any = torch._C
    tracing: Any = torch.jit
    foreign = inspect.DispatchKey.AutogradOther
    return not (
        inspect._len_torch_dispatch_stack() > 0
        or inspect._are_functorch_transforms_active()
        or tracing.is_tracing()
        or any(type(tensor) not in (Tensor, torch.nn.Parameter) for tensor in tensors)
        # Gradients of many vectors at once, torch.autograd.grad(is_grads_batched=True).
        or any(inspect._dispatch_keys(tensor).has(foreign) for tensor in tensors)
    )


def _needs_function(tensors: tuple[Tensor, ...]) -> bool:
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return True
    unpack: Any = unpack_dual
    return any(unpack(t).tangent is not None for t in tensors)


def call_operator(
    operator: Any, function: Any, plain: Callable[..., Any], tensors: tuple[Tensor, ...], *rest: Any
) -> Any:
    """Call in the way that the situation asks for: compiled, differentiated or plain.

    Args:
        operator: the registered operator, for compiled code and tracing.
        function: the `torch.autograd.Function`, for eager code that is differentiated.
        plain: what the operator does, for all other calls.
        tensors: tensor arguments.
        *rest: the other arguments.

    Returns:
        What the operator returns.
    """
    if torch.compiler.is_compiling():
        return operator(*tensors, *rest)
    if _needs_function(tensors):
        return function.apply(*tensors, *rest)
    return plain(*tensors, *rest) if unwatched(tensors) else operator(*tensors, *rest)


def mapped(call: Callable[..., Any], info: Any, in_dims: tuple[Any, ...], inputs: Any) -> Any:
    """Treat a dimension that torch.func.vmap maps over as more rows.

    Args:
        call: the operation; its tensors have rows first.
        info: torch's, with the size of the dimension.
        in_dims: where it lies in each input, or None.
        inputs: tensors, then options.

    Returns:
        The outputs with the mapped dimension first, and where it lies.
    """
    size = info.batch_size
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    parts = [
        part.expand(size, *part.shape) if dim is None else part.movedim(dim, 0)
        for part, dim in zip(tensors, in_dims, strict=False)
    ]
    rows = parts[0].shape[1]
    folded = [part.reshape(size * rows, *part.shape[2:]) for part in parts]
    out = call(*folded, *inputs[len(tensors) :])
    if isinstance(out, Tensor):
        return out.reshape(size, rows, *out.shape[1:]), 0
    return tuple(o.reshape(size, rows, *o.shape[1:]) for o in out), (0,) * len(out)
