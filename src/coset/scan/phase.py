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


def _read_modulus(modulus: int | Tensor, increments: Tensor, width: int) -> Tensor:
    """Return the moduli (width,) of the dtype of the increments."""
    if isinstance(modulus, bool) or not isinstance(modulus, (int, Tensor)):
        raise DtypeError(f"modulus must be an integer or a tensor of them; given {modulus!r}")
    largest = torch.iinfo(increments.dtype).max
    if isinstance(modulus, Tensor):
        _check_integers("modulus", modulus)
        if modulus.dim() > 1 or (modulus.dim() == 1 and modulus.shape[0] != width):
            raise ShapeError(
                f"modulus must be one integer or one for each of {width} coordinates; given shape "
                f"{tuple(modulus.shape)}"
            )
        low, high = (int(modulus.min()), int(modulus.max())) if modulus.numel() else (1, 1)
    else:
        low = high = modulus
    if low < 1:
        raise DomainError(f"modulus must be ≥ 1; given {low}")
    if high > largest:
        raise DomainError(
            f"modulus must fit the dtype of the increments, {increments.dtype}; given {high}; "
            "pass increments.to(torch.int64)"
        )
    if isinstance(modulus, Tensor):
        return modulus.to(increments.device, increments.dtype).expand(width).contiguous()
    return torch.full((width,), modulus, dtype=increments.dtype, device=increments.device)


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
        place = tuple(bad.nonzero()[0].tolist())
        _raise_phase(name, int(x[place]), int(modulus[place[-1]]), place, lowest)


def _raise_phase(name: str, value: int, m: int, place: tuple[int, ...], lowest: int) -> None:
    keep = " or −1 to keep the step" if lowest < 0 else ""
    raise RangeError(f"{name} must lie in [0, {m}){keep}; given {value} at {place}")


def _add(earlier: Tensor, later: Tensor, modulus: Tensor) -> Tensor:
    """Add phases in [0, m) without overflow, however large m is."""
    rest = modulus - later
    return torch.where(earlier >= rest, earlier - rest, earlier + later)


def _eager(theta: Tensor, modulus: Tensor, start: Tensor, resets: Tensor | None) -> Tensor:
    """Compose the maps "add v" and "become v" by doubling."""
    value = theta.remainder(modulus)
    fixed = torch.zeros_like(value, dtype=torch.bool)
    if resets is not None:
        fixed = resets >= 0
        value = torch.where(fixed, resets, value)
    span = 1
    while span < value.shape[1]:
        joined = _add(value[:, :-span], value[:, span:], modulus)
        kept = torch.where(fixed[:, span:], value[:, span:], joined)
        value = torch.cat([value[:, :span], kept], 1)
        fixed = torch.cat([fixed[:, :span], fixed[:, span:] | fixed[:, :-span]], 1)
        span *= 2
    return torch.where(fixed, value, _add(start.unsqueeze(1), value, modulus))


def _numba(theta: Tensor, modulus: Tensor, start: Tensor, resets: Tensor | None) -> Tensor:
    from coset.scan.kernels.launch import phases_numba

    out, place = phases_numba(theta, modulus, start, resets)
    if place >= 0 and resets is not None:
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), theta.shape))
        _raise_phase("resets", int(resets[index]), int(modulus[index[-1]]), index, -1)
    return out


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
        modulus: m ≥ 1, one integer or one for each coordinate, (D,); the largest value of the
            dtype of the increments at most.
        start: phase before the first step, in [0, m), an integer or a tensor that broadcasts to
            (…, D); None: 0.
        resets: of the shape of `increments`, integers: −1 keeps the step, a phase in [0, m)
            replaces its result.
        dim: where time lies; the coordinates of `modulus` are the last dimension then left, or one
            coordinate if time is last.
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
    _check_integers("increments", increments)
    if (backend or "auto") not in BACKENDS:
        raise UnsupportedError(f"backend must be one of {', '.join(BACKENDS)}; given {backend!r}")
    name = resolve_backend(OP, backend or "auto", increments.device)
    if not isinstance(dim, int) or not -increments.dim() <= dim < increments.dim():
        raise RangeError(
            f"dim must be an integer in [{-increments.dim()}, {increments.dim() - 1}]; given {dim}"
        )
    if resets is not None:
        _check_integers("resets", resets)
        if resets.shape != increments.shape:
            raise ShapeError(
                f"resets must have the shape of the increments, {tuple(increments.shape)}; given "
                f"{tuple(resets.shape)}"
            )
    place = dim % increments.dim()
    last = place == increments.dim() - 1
    moved = [x if x is None or last else x.movedim(place, -2) for x in (increments, resets)]
    theta, fixed = (x.unsqueeze(-1) if x is not None and last else x for x in moved)
    assert theta is not None
    num_steps, width = theta.shape[-2:]
    m = _read_modulus(modulus, increments, width)
    state = (*theta.shape[:-2], width)
    begin = _read_start(start, m, state if not last else (*theta.shape[:-2],)).reshape(-1, width)
    rows = math.prod(theta.shape[:-2])
    flat = theta.reshape(rows, num_steps, width)
    if fixed is not None:
        fixed = fixed.reshape(rows, num_steps, width)
        if name != "numba":
            _check_phases("resets", fixed, m, lowest=-1)
        fixed = fixed.to(theta.dtype)
    run = {"numba": _numba, "eager": _eager, "reference": _reference}[name]
    out = run(flat, m, begin, fixed).reshape(theta.shape)
    return out.squeeze(-1) if last else out.movedim(-2, place)


def _reference(theta: Tensor, modulus: Tensor, start: Tensor, resets: Tensor | None) -> Tensor:
    return phase_scan_reference(theta, modulus, start, resets=resets)
