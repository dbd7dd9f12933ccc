"""Phases as points of the unit circle, h = exp(2πi·s/m), and back to the nearest phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from coset.ssm.cascade import Cascade

__all__ = ["circle_tables", "drift_horizon", "keep_complex", "nearest_codes", "unit_points"]


def unit_points(phases: np.ndarray, moduli: np.ndarray) -> np.ndarray:
    """Return exp(2πi·s/m) in double precision, exactly ±1 and ±i where that is the value.

    Args:
        phases: (…, r) int64.
        moduli: (r,) int64.

    Returns:
        (…, r) complex128.
    """
    points = np.exp(2j * np.pi * phases / moduli)
    quarter, rest = np.divmod(4 * phases, moduli)
    exact = np.array([1, 1j, -1, -1j])[quarter % 4]
    found: np.ndarray = np.where(rest == 0, exact, points)
    return found


def nearest_codes(state: Tensor, moduli: Sequence[int], codes: Tensor) -> Tensor:
    """Append the phases nearest to points of the circle to codes of the layers below.

    Args:
        state: (…, r) complex.
        moduli: r moduli.
        codes: (…) int64.

    Returns:
        (…) int64.
    """
    for j, m in enumerate(moduli):
        turns = state[..., j].angle() * (m / (2 * torch.pi))
        codes = codes * m + turns.round().long() % m
    return codes


def circle_tables(cascade: Cascade) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and values of each float table of the modes complex and real.

    Args:
        cascade: the cascade.

    Yields:
        "points", (num_codes, R, 2) real: where each code's phases lie; "rotations_ℓ" and, where a
        layer has resets, "targets_ℓ", (C, X, r) complex: a and b for current states below.

    Raises:
        UnsupportedError: if current states below a layer do not determine its action.
    """
    phases = cascade.decode(np.arange(cascade.num_codes))
    circle = unit_points(phases, np.array(cascade.moduli, dtype=np.int64))
    yield "points", torch.from_numpy(np.stack([circle.real, circle.imag], -1))
    for place, layer in enumerate(cascade.layers):
        moduli = np.array(layer.moduli, dtype=np.int64)
        turns = unit_points(cascade.current_increments(place), moduli)
        fixed = cascade.current_resets(place)
        if fixed is not None:
            targets = np.where(fixed >= 0, unit_points(fixed, moduli), 0)
            turns = np.where(fixed >= 0, 0, turns)
            yield f"targets_{place}", torch.from_numpy(targets)
        yield f"rotations_{place}", torch.from_numpy(turns)


def drift_horizon(margin: float, per_token: float, dtype: torch.dtype) -> int:
    """Return how many tokens the rounding of a phase needs, at worst, to use up a margin.

    A token costs a product of relative error ≤ √5·ε/2, and a factor that is itself rounded; errors
    add up, in whatever order the products are taken. First order in ε: an estimate, no proof.

    Args:
        margin: how far the phase may be off, in radians.
        per_token: the error of one token in units of ε.
        dtype: whose ε it is; real or complex.

    Returns:
        ⌊margin / (per_token·ε)⌋.

    Example:
        >>> drift_horizon(0.5, 2.0, torch.complex64)
        2097152
    """
    return int(margin / (per_token * torch.finfo(dtype).eps))


def keep_complex(convert: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Make a conversion of tensors treat complex numbers as pairs of real ones.

    Args:
        convert: what ``Module.to``, ``double``, ``cuda``, … do to one tensor.

    Returns:
        The same for real and complex tensors: the real dtype changes, complex stays complex, real
        stays real, and integers stay integers.
    """

    def converted(tensor: Tensor) -> Tensor:
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return convert(tensor).to(tensor.dtype)
        parts = convert(torch.view_as_real(tensor) if tensor.is_complex() else tensor)
        parts = parts.real.contiguous() if parts.is_complex() else parts
        return torch.view_as_complex(parts) if tensor.is_complex() else parts

    return converted
