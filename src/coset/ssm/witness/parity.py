"""Parity in one diagonal layer: which of the four kinds can, and words that fool the other three.

A layer whose a does not depend on the token fades (|λ| < 1) or only counts positions (|λ| = 1); one
with a ≥ 0 that does depend on it becomes monotone. Both at once, input dependence and a negative
eigenvalue, are enough: a(1) = −1, a(0) = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from coset.core.errors import DomainError, ShapeError
from coset.ssm.witness.tables import LayerTables
from coset.ssm.witness.words import Word

__all__ = ["nonnegative_pair", "parity_tables", "time_invariant_pair"]


def parity_tables() -> LayerTables:
    """Return the layer that tracks parity: one real coordinate, a(0) = 1, a(1) = −1, b = 0, h₀ = 1.

    Returns:
        The layer; after a word its state is −1 to the number of ones.

    Claims: ssm.C6.

    Example:
        >>> parity_tables().state(Word.of([1, 0, 1, 1])).real.tolist()
        [-1.0]
    """
    return LayerTables(np.array([[1.0], [-1.0]]), np.zeros((2, 1)), np.ones(1))


def time_invariant_pair(
    eigenvalues: Sequence[complex] | np.ndarray, resolution: float = 1e-3
) -> tuple[Word, Word]:
    """Return 1·0ⁿ and 0·0ⁿ, of different parity, that a fading layer cannot tell apart.

    Their states differ by λⁿ (b(1) − b(0)); n = ⌈log ε / log max|λ|⌉ for |b(1) − b(0)| ≤ 1.

    Args:
        eigenvalues: (d,) complex λ, the multipliers of a layer that does not see its input.
        resolution: ε in (0, 1).

    Returns:
        The two words, of length n + 1.

    Raises:
        DomainError: if some |λ| ≥ 1 or is NaN, or the resolution is out of range.

    Claims: ssm.C6, ssm.C6b.

    Example:
        >>> [str(word) for word in time_invariant_pair([0.999])]
        ['1 0^6905', '0^6906']
    """
    _check_resolution(resolution)
    sizes = np.abs(np.asarray(eigenvalues))
    if not (sizes < 1).all():
        raise DomainError(f"every eigenvalue must have |λ| < 1; given {eigenvalues}")
    largest = float(sizes.max(initial=0.0))
    n = math.ceil(math.log(resolution) / math.log(largest)) if largest > 0 else 1
    end = Word.of([0]) ** max(n, 1)
    return Word.of([1]) + end, Word.of([0]) + end


def nonnegative_pair(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    resolution: float = 1e-3,
    start: Sequence[float] | np.ndarray | None = None,
) -> tuple[Word, Word]:
    """Return 1ⁿ and 1ⁿ⁺¹, of different parity, that a non-negative layer cannot tell apart.

    Reading ones, a coordinate with 0 ≤ a < 1 tends to b/(1 − a) monotonically: two states in
    succession differ by aⁿ |b − (1 − a) h₀|. n is the least with a difference of at most ε.

    Args:
        a: (d,) multipliers of the token 1, in [0, 1).
        b: (d,) inputs of the token 1.
        resolution: ε in (0, 1).
        start: (d,) h₀; zeros if ``None``.

    Returns:
        The two words.

    Raises:
        DomainError: if some a lies outside of [0, 1), a number is not finite, or the resolution is
            out of range.
        ShapeError: if shapes differ.

    Claims: ssm.C6, ssm.C6b.

    Example:
        >>> [str(word) for word in nonnegative_pair([0.3, 0.95], [1.0, 0.2])]
        ['1^104', '1^105']
    """
    _check_resolution(resolution)
    slope, shift = np.asarray(a, float), np.asarray(b, float)
    first = np.zeros_like(slope) if start is None else np.asarray(start, float)
    if slope.ndim != 1 or shift.shape != slope.shape or first.shape != slope.shape:
        raise ShapeError(
            f"a, b and start must have shape (d,); given {slope.shape}, {shift.shape}, "
            f"{first.shape}"
        )
    if not ((slope >= 0) & (slope < 1)).all() or not np.isfinite([shift, first]).all():
        raise DomainError(f"a must lie in [0, 1) and b, start be finite; given {a}, {b}, {start}")
    move = np.abs(shift - (1 - slope) * first)
    n = 0
    for size, fade in zip(move.tolist(), slope.tolist(), strict=True):
        if size > resolution:
            n = max(n, 1 if fade == 0 else math.ceil(math.log(resolution / size) / math.log(fade)))
    one = Word.of([1])
    return one**n, one ** (n + 1)


def _check_resolution(resolution: float) -> None:
    if not 0 < resolution < 1:
        raise DomainError(f"resolution must lie in (0, 1); given {resolution}")
