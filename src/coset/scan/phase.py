"""Phases that add modulo m, with resets: exact integers at every length."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import (
    DomainError,
    DtypeError,
    RangeError,
    ShapeError,
    UnsupportedError,
)
from coset.scan.dispatch import register_backends, resolve_backend
from coset.scan.reference import phase_scan_reference

__all__ = ["phase_scan"]

OP = "scan.phase"
BACKENDS = ("auto", "numba", "eager", "reference")
_DTYPES = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)

register_backends(OP, "one loop in integers")


def _check_integers(name: str, x: Any) -> None:
    if not isinstance(x, Tensor) or x.dtype not in _DTYPES:
        given = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise DtypeError(
            f"{name} must be a tensor of int8, uint8, int16, int32 or int64; given {given}"
        )


def _check_sequences(
    increments: Tensor, resets: Tensor | None, dim: int
) -> tuple[torch.Size, int, torch.Size]:
    """Return the shape before time, the number of steps, and the shape after it."""
    _check_integers("increments", increments)
    rank = increments.dim()
    if not isinstance(dim, int) or not -rank <= dim < rank:
        raise RangeError(f"dim must be an integer in [{-rank}, {rank - 1}]; given {dim}")
    if resets is not None:
        _check_integers("resets", resets)
        if resets.shape != increments.shape:
            raise ShapeError(
                f"resets must have the shape of the increments, {tuple(increments.shape)}; given "
                f"{tuple(resets.shape)}"
            )
    place = dim % rank
    return increments.shape[:place], increments.shape[place], increments.shape[place + 1 :]


def _read_modulus(modulus: int | Tensor, increments: Tensor, after: tuple[int, ...]) -> Tensor:
    """Return the moduli of the coordinates `after`, of the dtype of the increments."""
    if isinstance(modulus, bool) or not isinstance(modulus, (int, Tensor)):
        raise DtypeError(f"modulus must be an integer or a tensor of them; given {modulus!r}")
    dtype, device = increments.dtype, increments.device
    if isinstance(modulus, Tensor):
        _check_integers("modulus", modulus)
        if modulus.dim() > 1 or (modulus.dim() == 1 and modulus.shape != after[-1:]):
            wanted = f"or one for each of {after[-1]} coordinates" if after else "a single one"
            raise ShapeError(
                f"modulus must be one integer {wanted}; given shape {tuple(modulus.shape)}"
            )
        low, high = (int(modulus.min()), int(modulus.max())) if modulus.numel() else (1, 1)
    else:
        low = high = modulus
    if low < 1:
        raise DomainError(f"modulus must be ≥ 1; given {low}")
    if high > torch.iinfo(dtype).max:
        raise DomainError(
            f"modulus must fit the dtype of the increments, {dtype}; given {high}; pass "
            "increments.to(torch.int64)"
        )
    return torch.as_tensor(modulus).to(device, dtype).expand(after)


def _read_start(start: int | Tensor | None, modulus: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the phase before the first step, of that shape."""
    if start is None:
        return modulus.new_zeros(shape)
    if isinstance(start, bool) or not isinstance(start, (int, Tensor)):
        raise DtypeError(f"start must be an integer or a tensor of them; given {start!r}")
    if isinstance(start, Tensor):
        _check_integers("start", start)
    wide = torch.as_tensor(start, device=modulus.device)
    try:
        wide = wide.expand(shape)
    except RuntimeError:
        raise ShapeError(
            f"start must broadcast to one state, shape {tuple(shape)}; given {tuple(wide.shape)}"
        ) from None
    _check_phases("start", wide, modulus, lowest=0)
    return wide.to(modulus.dtype)


def _check_phases(name: str, x: Tensor, modulus: Tensor, *, lowest: int) -> None:
    bad = (x < lowest) | (x >= modulus)
    if bool(bad.any()):
        _raise_phase(name, x, modulus, int(bad.flatten().nonzero()[0]), lowest)


def _raise_phase(name: str, x: Tensor, modulus: Tensor, place: int, lowest: int) -> None:
    """Refuse the entry at a flat place."""
    keep = " or −1 to keep the step" if lowest < 0 else ""
    value, m = int(x.reshape(-1)[place]), int(modulus.expand(x.shape).reshape(-1)[place])
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), x.shape))
    raise RangeError(f"{name} must lie in [0, {m}){keep}; given {value} at {index}")


def _add(earlier: Tensor, later: Tensor, modulus: Tensor) -> Tensor:
    """Add phases in [0, m) without overflow, however large m is."""
    rest = modulus - later
    return torch.where(earlier >= rest, earlier - rest, earlier + later)


def _eager(
    theta: Tensor, modulus: Tensor, start: Tensor, resets: Tensor | None
) -> tuple[Tensor, int]:
    """Compose the maps "add v" and "become v" by doubling."""
    value = theta.remainder(modulus)
    fixed = torch.zeros_like(value, dtype=torch.bool)
    if resets is not None:
        fixed = resets >= 0
        value = torch.where(fixed, resets.to(value.dtype), value)
    span = 1
    while span < value.shape[1]:
        joined = _add(value[:, :-span], value[:, span:], modulus)
        kept = torch.where(fixed[:, span:], value[:, span:], joined)
        value = torch.cat([value[:, :span], kept], 1)
        fixed = torch.cat([fixed[:, :span], fixed[:, span:] | fixed[:, :-span]], 1)
        span *= 2
    return torch.where(fixed, value, _add(start.unsqueeze(1), value, modulus)), -1


def _numba(
    theta: Tensor, modulus: Tensor, start: Tensor, resets: Tensor | None
) -> tuple[Tensor, int]:
    from coset.scan.kernels.launch import phases_numba

    # Two compiled versions are enough.
    wide = torch.int64 if theta.dtype == torch.int64 else torch.int32
    fixed = None
    if resets is not None:
        fixed = resets.to(torch.int64) if resets.dtype == torch.int64 else resets.to(torch.int32)
    out, place = phases_numba(theta.to(wide), modulus.to(wide), start.to(wide), fixed)
    return out.to(theta.dtype), place


def phase_scan(
    increments: Tensor,
    modulus: int | Tensor,
    start: int | Tensor | None = None,
    *,
    resets: Tensor | None = None,
    dim: int = -2,
    backend: str | None = None,
) -> Tensor:
    """Return every phase of a counter modulo m, exactly, at any length.

    s_t = (s_{t−1} + θ_t) mod m, or s_t = r_t where a reset r_t ≥ 0 is given. This is `scan` with
    a_t = exp(2πi θ_t/m) and b = 0 (a_t = 0 and b_t = exp(2πi r_t/m) at a reset), without rounding.

    Args:
        increments: (…, T, D) integers of any sign and size: θ; int8, uint8, int16, int32 or int64.
        modulus: m ≥ 1, one integer, or one for each coordinate (the last dimension, if that is not
            time); the largest value of the dtype of the increments at most.
        start: phase before the first step, in [0, m), an integer or a tensor that broadcasts to
            (…, D); None: 0.
        resets: of the shape of `increments`, integers: −1 keeps the step, a phase in [0, m)
            replaces its result.
        dim: where time lies.
        backend: "numba", "eager" or "reference"; None or "auto": the choice of `coset backends`.

    Returns:
        Phases in [0, m), of the shape and dtype of `increments`. Nothing overflows: sums are
        reduced at every step. Empty for T = 0; all 0 for m = 1.

    Raises:
        DtypeError: if an input is not of integers (bool is not).
        DomainError: if a modulus is below 1, or does not fit the dtype.
        RangeError: if a start or reset is no phase, or `dim` is out of range.
        ShapeError: if shapes disagree.
        UnsupportedError: for an unknown backend.
        UnavailableError: if the backend cannot be used here.

    Complexity: O(T·D), one pass; by "eager" O(T·D·log T).

    Claims: ssm.C8.

    Example:
        >>> phase_scan(torch.tensor([[1], [2], [-1], [2]]), 3).flatten()
        tensor([1, 0, 2, 1])
        >>> keep_or_set = torch.tensor([[-1], [-1], [0], [-1]])
        >>> phase_scan(torch.tensor([[1], [2], [-1], [2]]), 3, resets=keep_or_set).flatten()
        tensor([1, 0, 0, 2])
    """
    if (backend or "auto") not in BACKENDS:
        raise UnsupportedError(f"backend must be one of {', '.join(BACKENDS)}; given {backend!r}")
    before, num_steps, after = _check_sequences(increments, resets, dim)
    rows, width = math.prod(before), math.prod(after)
    m = _read_modulus(modulus, increments, after)
    begin = _read_start(start, m, (*before, *after)).reshape(rows, width)
    theta = increments.reshape(rows, num_steps, width)
    name = resolve_backend(OP, backend or "auto", increments.device)
    fixed = None
    if resets is not None:
        if name != "numba":
            _check_phases("resets", resets, _at_times(m, num_steps), lowest=-1)
        fixed = resets.reshape(rows, num_steps, width)
    run = {"numba": _numba, "eager": _eager, "reference": _reference}[name]
    out, bad = run(theta, m.reshape(width), begin, fixed)
    if bad >= 0 and resets is not None:
        _raise_phase("resets", resets, _at_times(m, num_steps), bad, -1)
    return out.reshape(increments.shape)


def _at_times(modulus: Tensor, num_steps: int) -> Tensor:
    """Return the moduli of a state for each of the steps before it."""
    return modulus.unsqueeze(0).expand(num_steps, *modulus.shape)


def _reference(
    theta: Tensor, modulus: Tensor, start: Tensor, resets: Tensor | None
) -> tuple[Tensor, int]:
    return phase_scan_reference(theta, modulus, start, resets=resets), -1
