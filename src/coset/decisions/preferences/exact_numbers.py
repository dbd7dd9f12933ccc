"""Exact numbers from what users write, and the little linear algebra that is done with them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Rational, Real
from typing import Any

import numpy as np
import torch

from coset.core.errors import DomainError, DtypeError, ShapeError

__all__ = [
    "Matrix",
    "Vector",
    "apply",
    "exact_matrix",
    "exact_number",
    "exact_vector",
    "identity",
    "is_order_preserving",
    "row_reduce",
]

Vector = tuple[Fraction, ...]
Matrix = tuple[Vector, ...]

# No exponents: "1e999999999" would be a number of a billion digits.
_TEXT = re.compile(r"\s*[+-]?(\d{1,4000}(/\d{1,4000})?|\d{0,4000}\.\d{1,4000}|\d{1,4000}\.)\s*")


def exact_number(value: Any, what: str = "a number") -> Fraction:
    """Return a number as a fraction, without rounding.

    Args:
        value: an integer, a fraction, a float (read as the dyadic rational that it is), text such
            as "1/3" or "-0.25", or a NumPy or torch scalar.
        what: its name in messages.

    Returns:
        The fraction.

    Raises:
        DomainError: if it is NaN or infinite, or text of another form.
        DtypeError: if it is not a number.

    Examples:
        >>> exact_number("0.1"), exact_number(0.5)
        (Fraction(1, 10), Fraction(1, 2))
        >>> exact_number(0.1) == Fraction(1, 10)
        False
    """
    if isinstance(value, str):
        if not _TEXT.fullmatch(value) or re.search(r"/0+\s*$", value):
            raise DomainError(f"{what} must be written like 3, -1/3 or 0.25; given {value[:60]!r}")
        return Fraction(value)
    if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise DtypeError(f"{what} must be a real number; given {value!r}")
    if isinstance(value, Rational):
        # A fraction made from a NumPy integer would keep its 64 bits inside, and overflow.
        return Fraction(int(value.numerator), int(value.denominator))
    if not math.isfinite(value):
        raise DomainError(f"{what} must be finite; given {value}")
    # Not by way of float, which has fewer digits than NumPy's long doubles.
    number: Any = value
    return Fraction(*number.as_integer_ratio())


def exact_vector(values: Iterable[Any], what: str = "a vector") -> Vector:
    """Return numbers as a tuple of fractions.

    Args:
        values: numbers as in `exact_number`, in a sequence, array or tensor of one dimension.
        what: their name in messages.

    Returns:
        The fractions.

    Raises:
        ShapeError: if it is not a sequence of numbers.
        DomainError: if a number is not finite.
        DtypeError: if one is none.
    """
    if isinstance(values, torch.Tensor | np.ndarray):
        values = values.tolist()
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ShapeError(f"{what} must be a sequence of numbers; given {values!r}")
    return tuple(exact_number(x, f"{what}, entry {i}") for i, x in enumerate(values))


def exact_matrix(values: Any, size: int, what: str = "a matrix") -> Matrix:
    """Return a square matrix of fractions.

    Args:
        values: `size` rows of `size` numbers, or one number γ for γI.
        size: d.
        what: its name in messages.

    Returns:
        The rows.

    Raises:
        ShapeError: if it is not d × d.
        DomainError: if a number is not finite.
        DtypeError: if one is none.

    Examples:
        >>> exact_matrix("1/2", 2)
        ((Fraction(1, 2), Fraction(0, 1)), (Fraction(0, 1), Fraction(1, 2)))
    """
    scalar = isinstance(values, Real | str) or getattr(values, "ndim", None) == 0
    if scalar:
        diagonal = exact_number(values, what)
        return tuple(tuple(diagonal * x for x in row) for row in identity(size))
    if not isinstance(values, Iterable):
        raise ShapeError(f"{what} must be {size} × {size}, or one number; given {values!r}")
    rows = [exact_vector(row, f"{what}, row {i}") for i, row in enumerate(values)]
    if len(rows) != size or any(len(row) != size for row in rows):
        raise ShapeError(
            f"{what} must be {size} × {size}, or one number; given {len(rows)} rows of "
            f"{sorted({len(row) for row in rows})} numbers"
        )
    return tuple(rows)


def identity(size: int) -> Matrix:
    """Return the identity matrix.

    Args:
        size: d ≥ 0.

    Returns:
        Its rows.
    """
    return tuple(tuple(Fraction(int(i == j)) for j in range(size)) for i in range(size))


def apply(matrix: Sequence[Sequence[Fraction]], vector: Sequence[Fraction]) -> Vector:
    """Return the product of a matrix with a vector.

    Args:
        matrix: rows as long as the vector.
        vector: numbers.

    Returns:
        One number a row.
    """
    return tuple(
        sum((a * x for a, x in zip(row, vector, strict=True)), Fraction(0)) for row in matrix
    )


def is_order_preserving(matrix: Sequence[Sequence[Fraction]]) -> bool:
    """Tell whether a matrix is lower triangular with a positive diagonal: of the group L₊.

    Exactly these linear maps keep the lexicographic order of Rᵈ.

    Args:
        matrix: d rows of d numbers.

    Returns:
        Whether it is.

    Claims: decisions.C2.
    """
    return all(
        row[i] > 0 and not any(row[i + 1 :]) and len(row) == len(matrix)
        for i, row in enumerate(matrix)
    )


def row_reduce(rows: Iterable[Sequence[Fraction]]) -> tuple[list[list[Fraction]], list[int]]:
    """Return the reduced row echelon form without zero rows, and the columns of its pivots.

    Args:
        rows: equally long sequences of fractions; they are not changed.

    Returns:
        Rows with a 1 in their pivot's column, where all others have 0; and the columns, ascending.

    Examples:
        >>> row_reduce([[Fraction(0), Fraction(2)], [Fraction(0), Fraction(1)]])
        ([[Fraction(0, 1), Fraction(1, 1)]], [1])
    """
    reduced: list[list[Fraction]] = []
    pivots: list[int] = []
    for given in rows:
        row = list(given)
        for known, pivot in zip(reduced, pivots, strict=True):
            if row[pivot]:
                row = _less(row, row[pivot], known)
        lead = next((column for column, x in enumerate(row) if x), None)
        if lead is None:
            continue
        row = [x / row[lead] for x in row]
        reduced = [_less(known, known[lead], row) if known[lead] else known for known in reduced]
        place = sum(pivot < lead for pivot in pivots)
        reduced.insert(place, row)
        pivots.insert(place, lead)
    return reduced, pivots


def _less(row: Sequence[Fraction], factor: Fraction, other: Sequence[Fraction]) -> list[Fraction]:
    return [x - factor * y for x, y in zip(row, other, strict=True)]
