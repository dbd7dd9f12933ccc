"""Reading generators from users: permutations and invertible matrices over Z/m."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.groups.elements import integer, integer_array
from coset.groups.errors import NotAGroupError

__all__ = [
    "check_max_order",
    "check_modulus",
    "compose_permutations",
    "determinant",
    "read_matrices",
    "read_permutations",
]


def check_max_order(max_order: int, limit: int) -> int:
    """Read the largest order that a caller allows.

    Args:
        max_order: a positive integer.
        limit: above which no table is built.

    Returns:
        The smaller of the two.

    Raises:
        DtypeError: if it is not an integer.
        DomainError: if it is below 1.
    """
    value = integer(max_order, "max_order")
    if value < 1:
        raise DomainError(f"max_order must be at least 1; given {value}")
    return min(value, limit)


def read_permutations(generators: Sequence[Any]) -> np.ndarray:
    """Read permutations of the points 0 … degree − 1.

    Args:
        generators: p with p[i] the image of i, all of one degree; none make the trivial group.

    Returns:
        (r, degree) int32.

    Raises:
        DtypeError: if they are not integers.
        ShapeError: if they are not of one degree.
        NotAGroupError: if one is not a permutation; the message names the repeated image.
    """
    if not isinstance(generators, Iterable):
        raise DtypeError(f"generators must be a list of permutations; given {generators!r}")
    rows = [integer_array(row, "permutations") for row in generators]
    if not rows:
        return np.zeros((0, 0), dtype=np.int32)
    if any(row.ndim != 1 for row in rows) or len({row.size for row in rows}) > 1:
        raise ShapeError(
            "permutations must be flat and have one degree; "
            f"given shapes {[row.shape for row in rows]}"
        )
    degree = rows[0].size
    for row in (row.tolist() for row in rows):
        if sorted(row) != list(range(degree)):
            outside = [p for p in row if not 0 <= p < degree]
            fault = (
                f"{outside[0]} is no point"
                if outside
                else f"{next(p for p in row if row.count(p) > 1)} is the image of two points"
            )
            raise NotAGroupError(
                f"a permutation must hold each of 0 … {degree - 1} once; in {tuple(row)} {fault}"
            )
    return np.stack(rows).astype(np.int32)


def compose_permutations(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Return the products "first, then `then`": (p·q)[i] = q[p[i]].

    Args:
        first: (…, degree).
        then: (degree,).

    Returns:
        (…, degree).
    """
    products: np.ndarray = then[first]
    return products


def check_modulus(modulus: int) -> int:
    """Read the modulus of matrices.

    Args:
        modulus: 2 … 2¹⁵, so that no product of entries overflows.

    Returns:
        The number.

    Raises:
        DtypeError: if it is not an integer.
        DomainError: if it is out of range.
    """
    value = integer(modulus, "the modulus")
    if not 2 <= value <= 2**15:
        raise DomainError(f"the modulus must lie in 2 … {2**15}; given {value}")
    return value


def determinant(matrix: list[list[int]]) -> int:
    """Return the determinant of an integer matrix, exactly (Bareiss's elimination).

    Args:
        matrix: (d, d) Python integers.

    Returns:
        The determinant.

    Complexity: O(d³) products.

    Example:
        >>> determinant([[2, 1], [1, 1]])
        1
    """
    rows, sign, before = [list(row) for row in matrix], 1, 1
    for k in range(len(rows) - 1):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            rows[k], rows[pivot], sign = rows[pivot], rows[k], -sign
        for i in range(k + 1, len(rows)):
            for j in range(k + 1, len(rows)):
                rows[i][j] = (rows[i][j] * rows[k][k] - rows[i][k] * rows[k][j]) // before
        before = rows[k][k]
    return sign * rows[-1][-1] if rows else 1


def read_matrices(generators: Sequence[Any], modulus: int) -> np.ndarray:
    """Read invertible matrices over Z/m.

    Args:
        generators: (r, d, d) integers, r ≥ 1, 1 ≤ d ≤ 64; reduced mod m.
        modulus: m.

    Returns:
        (r, d, d) int64 in 0 … m − 1.

    Raises:
        DtypeError: if they are not integers.
        ShapeError: if they are not square matrices of one size, or none.
        NotAGroupError: if a determinant has a common factor with m.
    """
    found = integer_array(generators, "matrices")
    if found.ndim != 3 or found.shape[1] != found.shape[2] or not 1 <= found.shape[1] <= 64:
        raise ShapeError(
            "matrices must be square, of one size from 1 to 64, and at least one; "
            f"given shape {found.shape}"
        )
    # Reduced first: entries of uint64 need not fit int64.
    found = (found % modulus).astype(np.int64)
    for matrix in found.tolist():
        factor = math.gcd(determinant(matrix), modulus)
        if factor != 1:
            raise NotAGroupError(
                f"a matrix of a group must be invertible mod {modulus}; the determinant of "
                f"{matrix} has the common factor {factor} with it"
            )
    return found
