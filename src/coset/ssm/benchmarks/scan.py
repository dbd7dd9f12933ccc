"""Benchmarks of the scan, h_t = a_t h_{t−1} + b_t, against other people's, a product and a copy."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from coset.bench import Case, Contestant, Limit, benchmark
from coset.core.errors import UnavailableError
from coset.core.numerics import tolerance

__all__ = ["ScanInputs", "ScanVariant", "prepare_scan", "scan_case", "scan_cuda_case"]

ROWS, WIDTH = 8, 256
CUDA_WIDTH = 2048

Kind = Literal["forward", "backward", "training"]
Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class ScanVariant:
    """Which part of the work, in which precision.

    Attributes:
        kind: "forward": the states; "backward": the gradients of a, b and h0, given the states and
            their gradient; "training": both, through autograd.
        dtype: "float32" or "complex64".
        device: "cpu" or "cuda".
    """

    kind: Kind
    dtype: Literal["float32", "complex64"]
    device: Literal["cpu", "cuda"] = "cpu"


@dataclass(frozen=True)
class ScanInputs:
    """Factors of modulus 0.5 … 1, terms, gradients and states (8, T, D), and the start (8, D)."""

    a: Tensor
    b: Tensor
    h0: Tensor
    g: Tensor
    h: Tensor
    kind: Kind


def _variants(device: Literal["cpu", "cuda"]) -> dict[str, ScanVariant]:
    kinds: tuple[Kind, ...] = ("forward", "backward", "training")
    return {
        f"{kind}-{dtype}": ScanVariant(kind, dtype, device)
        for dtype in ("float32", "complex64")
        for kind in kinds
    }


def prepare_scan(size: int, variant: ScanVariant, generator: torch.Generator) -> ScanInputs:
    """Make sequences of a given length.

    Args:
        size: number of steps T, at least 0.
        variant: kind, precision and device.
        generator: source of randomness; the same one gives the same inputs.

    Returns:
        The inputs, of 256 columns on the CPU and 2048 on a GPU.

    Raises:
        UnavailableError: if the variant needs a GPU and there is none.
    """
    from coset.scan import scan

    if variant.device == "cuda" and not torch.cuda.is_available():
        raise UnavailableError(
            "ssm.scan-cuda needs a CUDA device; torch sees none; run ssm.scan for the CPU"
        )
    width = WIDTH if variant.device == "cpu" else CUDA_WIDTH
    shape, dtype = (ROWS, size, width), getattr(torch, variant.dtype)
    radius = torch.rand(shape, generator=generator) / 2 + 0.5
    a = radius.to(dtype)
    if dtype.is_complex:
        a = torch.polar(radius, torch.rand(shape, generator=generator) * (2 * torch.pi))
    b, g = (torch.randn(shape, dtype=dtype, generator=generator) for _ in range(2))
    h0 = torch.randn(ROWS, width, dtype=dtype, generator=generator)
    a, b, h0, g = (x.to(variant.device) for x in (a, b, h0, g))
    return ScanInputs(a, b, h0, g, scan(a, b, h0), variant.kind)


def _before(h: Tensor, h0: Tensor) -> Tensor:
    return torch.cat([h0.unsqueeze(1), h], 1)[:, : h.shape[1]]


def _after(a: Tensor) -> Tensor:
    """Return conj(a_{t+1}), 0 at the end."""
    return torch.cat([a, torch.zeros_like(a[:, :1])], 1)[:, 1:].conj() if a.shape[1] else a


def _work(inputs: ScanInputs, states: Callable[..., Tensor]) -> Tensors:
    """Do the work of a variant, given what computes the states (perhaps backwards in time)."""
    a, b, h0, g, h = inputs.a, inputs.b, inputs.h0, inputs.g, inputs.h
    if inputs.kind == "forward":
        return (states(a, b, h0, False),)
    if inputs.kind == "training":
        leaves = [x.detach().requires_grad_() for x in (a, b, h0)]
        if not a.shape[1]:
            return tuple(map(torch.zeros_like, leaves))
        return torch.autograd.grad(states(*leaves, False), leaves, g)
    db = states(_after(a), g, torch.zeros_like(h0), True)
    start = a[:, 0].conj() * db[:, 0] if a.shape[1] else torch.zeros_like(h0)
    return db * _before(h, h0).conj(), db, start


def _scan(inputs: ScanInputs) -> Tensors:
    from coset.scan import scan
    from coset.scan.autograd import call_backward

    if inputs.kind == "backward":
        return call_backward(inputs.g, inputs.a, inputs.h, inputs.h0, False, "auto")
    return _work(inputs, lambda a, b, h0, _: scan(a, b, h0))


def _buffers(inputs: ScanInputs) -> tuple[ScanInputs, Tensors]:
    """Return the inputs with touched memory for the results."""
    full, state = torch.ones_like(inputs.a), torch.ones_like(inputs.h0)
    return inputs, (full,) if inputs.kind == "forward" else (full, full.clone(), state)


def _fused(state: tuple[ScanInputs, Tensors]) -> Tensors:
    from coset.scan.kernels.launch import backward_numba, forward_numba

    inputs, out = state
    if inputs.kind == "forward":
        return (forward_numba(inputs.a, inputs.b, inputs.h0, False, out=out[0]),)
    tensors = (inputs.g, inputs.a, inputs.h, inputs.h0)
    return backward_numba(*tensors, False, out=(out[0], out[1], out[2]))


def _associative(inputs: ScanInputs, mode: str = "generic") -> Tensors:
    from torch._higher_order_ops import associative_scan

    call: Any = associative_scan

    def compose(earlier: Tensors, later: Tensors) -> Tensors:
        return later[0] * earlier[0], later[0] * earlier[1] + later[1]

    def states(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> Tensor:
        if not a.shape[1]:
            return torch.zeros_like(b)
        factor, term = call(compose, (a, b), dim=1, reverse=reverse, combine_mode=mode)
        h: Tensor = factor * h0.unsqueeze(1) + term
        return h

    return _work(inputs, states)


def _loop(inputs: ScanInputs) -> Tensors:
    from coset.scan import scan_reference

    return _work(inputs, lambda a, b, h0, reverse: scan_reference(a, b, h0, reverse=reverse))


def _accelerated(module: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return set-up and work of accelerated-scan, whose layout is (rows, columns, steps)."""

    def prepare(inputs: ScanInputs) -> tuple[ScanInputs, Tensors]:
        term = inputs.b
        if term.shape[1]:
            # It knows no start: the first term takes it in.
            term = term.clone()
            term[:, 0] += inputs.a[:, 0] * inputs.h0
        return inputs, tuple(x.transpose(1, 2).contiguous() for x in (inputs.a, term))

    def run(state: tuple[ScanInputs, Tensors]) -> Tensors:
        call: Any = importlib.import_module(module).scan
        _, (a, b) = state
        # Its reference knows no single step.
        return ((call(a, b) if a.shape[2] > 1 else b).transpose(1, 2),)

    return prepare, run


def _reference(inputs: ScanInputs) -> Tensors:
    wide = torch.complex128 if inputs.a.is_complex() else torch.float64
    tensors = (inputs.a, inputs.b, inputs.h0, inputs.g, inputs.h)
    a, b, h0, g, h = (x.cpu().to(wide) for x in tensors)
    return _loop(ScanInputs(a, b, h0, g, h, inputs.kind))


def _compare(inputs: ScanInputs, output: Any, expected: Any) -> str | None:
    """Compare tensor by tensor; sums of decaying terms: about 2 · |h| numbers enter each result."""
    names = ("h",) if inputs.kind == "forward" else ("da", "db", "dh0")
    if len(output) != len(names):
        return f"{len(output)} tensors instead of {len(names)}"
    for name, found, right in zip(names, output, expected, strict=True):
        if found.shape != right.shape:
            return f"{name} has shape {tuple(found.shape)} instead of {tuple(right.shape)}"
        error = (found.cpu() - right.cpu()).abs()
        scale = float(right.abs().max()) if right.numel() else 1.0
        allowed = tolerance(inputs.a.real.dtype, 30, "mean", scale=1.0 + scale)
        if error.numel() and not error.max() <= allowed:  # a NaN is refused too
            return f"{name} differs by {float(error.max()):.3g}, allowed {allowed:.3g}"
    return None


def _product(state: tuple[ScanInputs, Tensors]) -> Tensor:
    inputs, out = state
    return torch.mul(inputs.a, inputs.b, out=out[0])


def _verify_product(inputs: ScanInputs, output: Any) -> str | None:
    return None if torch.equal(output, inputs.a * inputs.b) else "not the product"


def _num_bytes(inputs: ScanInputs) -> int:
    tensors = {"forward": 3, "backward": 5, "training": 8}[inputs.kind]
    return tensors * inputs.a.numel() * inputs.a.element_size()


def _accelerated_peer(module: str, applies: Callable[[ScanVariant], bool]) -> Contestant:
    installed = importlib.util.find_spec("accelerated_scan") is not None
    prepare, run = _accelerated(module)
    return Contestant(run, setup=prepare, applies=lambda variant: installed and applies(variant))


def _forward_float(variant: ScanVariant) -> bool:
    return variant.kind == "forward" and variant.dtype == "float32"


@benchmark(
    "ssm.scan",
    title="diagonal recurrence h_t = a_t h_{t−1} + b_t over T steps, 8 rows of 256 columns",
    sizes=(4096,),
    variants=_variants("cpu"),
    small_sizes=(0, 1, 2, 63, 64, 65, 200),
)
def scan_case() -> Case:
    """Build the case: `scan` against torch's associative scan, a loop, a product, and a copy.

    Returns:
        The case. accelerated-scan's reference takes part where that package is installed.
    """
    return Case(
        prepare=prepare_scan,
        reference=_reference,
        compare=_compare,
        ours={
            "scan": Contestant(_scan),
            "scan, preallocated": Contestant(
                _fused,
                setup=_buffers,
                allocation="preallocated",
                applies=lambda variant: variant.kind != "training",
            ),
        },
        peers={
            "torch loop, unbind": Contestant(_loop),
            "torch associative_scan, generic": Contestant(_associative),
            "accelerated-scan reference": _accelerated_peer("accelerated_scan.ref", _forward_float),
            "torch.mul": Contestant(
                _product,
                setup=_buffers,
                partial="product a·b only: two tensors read, one written",
                verify=_verify_product,
                allocation="preallocated",
            ),
        },
        limits={
            "copy": Limit(
                "copy",
                _num_bytes,
                "tensors read or written once (forward 3, backward 5, training 8 of 8 · T · 256 "
                "numbers) ÷ copy bandwidth measured at the same footprint",
            )
        },
        tests=("tests/scan/test_affine.py", "tests/scan/test_kernels.py"),
    )


def _synchronized(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def finish(state: Any) -> Any:
        output = run(state)
        torch.cuda.synchronize()
        return output

    return finish


def _copies(inputs: ScanInputs) -> Tensors:
    """Read and write as many bytes as the work does; a copy moves two tensors' worth."""
    source, target = inputs.a, torch.empty_like(inputs.a)
    for _ in range({"forward": 3, "backward": 5, "training": 8}[inputs.kind]):
        target.copy_(source)
    return source, target


def _verify_copy(inputs: ScanInputs, output: Any) -> str | None:
    return None if torch.equal(output[0], output[1]) else "not a copy"


@benchmark(
    "ssm.scan-cuda",
    title="diagonal recurrence on a GPU over T steps, 8 rows of 2048 columns",
    sizes=(8192,),
    variants=_variants("cuda"),
    small_sizes=(0, 1, 2, 63, 64, 65, 200),
)
def scan_cuda_case() -> Case:
    """Build the case: the Triton kernels against torch's and accelerated-scan's, and copies.

    Returns:
        The case; its inputs need a CUDA device. The copies move twice the bytes of the scan, so
        that 75 % of copy bandwidth is reached where the scan takes less than two thirds of them.
    """
    prepare, run = _accelerated("accelerated_scan.scalar")
    installed = importlib.util.find_spec("accelerated_scan") is not None
    return Case(
        prepare=prepare_scan,
        reference=_reference,
        compare=_compare,
        ours={"scan": Contestant(_synchronized(_scan))},
        peers={
            "torch associative_scan, pointwise": Contestant(
                _synchronized(lambda inputs: _associative(inputs, "pointwise")),
                applies=lambda variant: variant.kind != "training",
            ),
            "accelerated-scan": Contestant(
                _synchronized(run),
                setup=prepare,
                applies=lambda variant: installed and _forward_float(variant),
            ),
            "copies of twice the bytes": Contestant(
                _synchronized(_copies), partial="copies only", verify=_verify_copy
            ),
        },
        limits={},
        tests=("tests/scan/test_triton.py",),
    )
