"""Phases as points of the unit circle, h = exp(2πi·s/m), and back to the nearest phase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from coset.ssm.cascade import Cascade

__all__ = ["circle_tables", "nearest_codes", "unit_points"]


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
