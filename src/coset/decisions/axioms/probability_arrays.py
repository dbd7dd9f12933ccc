"""Pairs of lotteries given as dense arrays of probabilities, checked and packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from coset.core.errors import DomainError, DtypeError, ShapeError

__all__ = ["PackedArrays", "pack_arrays"]

_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class PackedArrays:
    """The different lotteries of two arrays, and which of them stands where.

    Attributes:
        shape: (N, n).
        lotteries: indptr, indices, weights and denominators, as in `Preferences`.
        sides: for each pair the number of its first and of its second lottery, (N,) int64.
    """

    shape: tuple[int, int]
    lotteries: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]
    sides: tuple[np.ndarray, np.ndarray]


def pack_arrays(preferred: Any, other: Any, denominator: int | None) -> PackedArrays:
    """Check two arrays of lotteries and store each different lottery once.

    Args:
        preferred: (N, n) floats, or integers over `denominator`.
        other: (N, n).
        denominator: what rows of integers sum to, or ``None`` for floats.

    Returns:
        The packed lotteries.

    Raises:
        ShapeError: if the arrays are not two of one shape (N, n).
        DomainError: if an entry or a row's sum is wrong; names the row.
        DtypeError: if floats come with a denominator, or integers without.
    """
    first = _checked(preferred, "preferred", denominator)
    second = _checked(other, "other", denominator)
    if first.shape != second.shape:
        raise ShapeError(
            f"preferred and other must have one shape (N, n); given {first.shape} and "
            f"{second.shape}"
        )
    rows = np.concatenate([first, second])
    kept, numbers = _distinct_rows(rows)
    table = rows[kept]
    at, indices = np.nonzero(table)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=len(table)))])
    denominators = None
    if denominator is not None:
        denominators = np.full(len(table), denominator, dtype=np.int64)
    half = len(first)
    return PackedArrays(
        (first.shape[0], first.shape[1]),
        (indptr.astype(np.int64), indices.astype(np.int64), table[at, indices], denominators),
        (numbers[:half], numbers[half:]),
    )


def _checked(values: Any, name: str, denominator: int | None) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{name} must have shape (N, n); its rows differ in length") from error
    if array.ndim != 2:
        raise ShapeError(f"{name} must have shape (N, n); given {array.shape}")
    wanted = np.floating if denominator is None else np.integer
    if not np.issubdtype(array.dtype, wanted) and array.size:
        raise DtypeError(
            f"{name} must hold {'floats' if denominator is None else 'integers'}"
            f"{' (or pass the denominator of integers)' if denominator is None else ''}; given "
            f"{array.dtype}"
        )
    whole = 1 if denominator is None else _denominator(denominator)
    # Integers beyond the denominator could overflow in the sum, and come out right.
    high = np.inf if denominator is None else whole
    bad = ~(np.isfinite(array) & (array >= 0) & (array <= high)).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DomainError(
            f"{name}[{row}] must have finite entries ≥ 0"
            f"{'' if denominator is None else f' and ≤ {whole}'}; given {array[row]}"
        )
    array = array.astype(np.float64 if denominator is None else np.int64)
    off = np.abs(array.sum(axis=1) - whole) > (_SUM_TOLERANCE if denominator is None else 0)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        advice = (
            "" if denominator else "; divide float64 rows by their sums if float32 rounded them"
        )
        raise DomainError(
            f"{name}[{row}] must sum to {whole}; it sums to {array[row].sum()}{advice}"
        )
    return array


def _denominator(denominator: Any) -> int:
    if isinstance(denominator, bool) or not isinstance(denominator, int | np.integer):
        raise DtypeError(f"denominator must be an integer; given {denominator!r}")
    if not 1 <= denominator < 2**31:
        raise DomainError(f"denominator must be 1 … 2³¹ − 1; given {denominator}")
    return int(denominator)


def _distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each different row stands first, and for every row the number of its like."""
    seen: dict[bytes, int] = {}
    first: list[int] = []
    numbers = np.empty(len(rows), dtype=np.int64)
    plain = np.ascontiguousarray(rows) + 0  # −0.0 becomes 0.0
    for place in range(len(rows)):
        number = seen.setdefault(plain[place].tobytes(), len(first))
        if number == len(first):
            first.append(place)
        numbers[place] = number
    return np.array(first, dtype=np.int64), numbers
