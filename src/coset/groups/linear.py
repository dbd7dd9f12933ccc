"""Groups of matrices over prime fields, and Heisenberg groups."""

from __future__ import annotations

import numpy as np

from coset.groups.group import Group
from coset.groups.orders import prime_factors
from coset.groups.tables import check_order
from coset.groups.zoo import addition_table, read_count, read_prime

__all__ = ["general_linear", "heisenberg", "linear_order", "special_linear"]


def linear_order(d: int, p: int, *, special: bool) -> int:
    """Return the order of GL(d, p) = ∏ (p^d − p^i), or of SL(d, p), that divided by p − 1.

    Args:
        d: size of the matrices; above 16 any order is too large, and 16 is used.
        p: a prime.
        special: of SL.

    Returns:
        The number.

    Example:
        >>> linear_order(2, 3, special=False)
        48
    """
    d, order = min(d, 16), 1
    for i in range(d):
        order *= p**d - p**i
    return order // (p - 1) if special else order


def _transvections(d: int) -> list[np.ndarray]:
    """Return I + E_{i,i+1} and I + E_{i+1,i}, which generate SL(d, p)."""
    found = []
    for i in range(d - 1):
        for a, b in ((i, i + 1), (i + 1, i)):
            matrix = np.eye(d, dtype=np.int64)
            matrix[a, b] = 1
            found.append(matrix)
    return found


def _primitive_root(p: int) -> int:
    factors = prime_factors(p - 1)
    return next(g for g in range(1, p) if all(pow(g, (p - 1) // q, p) != 1 for q in factors))


def special_linear(d: int, p: int) -> Group:
    """Return SL(d, p), the d × d matrices over Z/p of determinant 1.

    Args:
        d: size of the matrices, at least 1.
        p: a prime.

    Returns:
        The group; its forms are the matrices.

    Raises:
        DtypeError: if an argument is not an integer.
        DomainError: if p is not prime, or the order above 8192.

    Example:
        >>> special_linear(2, 3).derived_length
        3
    """
    d, p = read_count(d, "the size of matrices"), read_prime(p)
    name = f"SL({d},{p})"
    check_order(linear_order(d, p, special=True), name)
    gens = _transvections(d) or [np.eye(1, dtype=np.int64)]
    return Group.from_matrices(gens, p, name=name)


def general_linear(d: int, p: int) -> Group:
    """Return GL(d, p), the invertible d × d matrices over Z/p.

    Args:
        d: size of the matrices, at least 1.
        p: a prime.

    Returns:
        The group; its forms are the matrices.

    Raises:
        DtypeError: if an argument is not an integer.
        DomainError: if p is not prime, or the order above 8192.

    Example:
        >>> general_linear(2, 3).derived_length
        4
    """
    d, p = read_count(d, "the size of matrices"), read_prime(p)
    name = f"GL({d},{p})"
    check_order(linear_order(d, p, special=False), name)
    scaling = np.eye(d, dtype=np.int64)
    scaling[0, 0] = _primitive_root(p)
    return Group.from_matrices([*_transvections(d), scaling], p, name=name)


def heisenberg(m: int) -> Group:
    """Return the upper unitriangular 3 × 3 matrices over Z/m.

    Args:
        m: the modulus, 2 … 20.

    Returns:
        The group of order m³; its forms are the matrices.

    Raises:
        DtypeError: if m is not an integer.
        DomainError: if it is out of range.

    Example:
        >>> heisenberg(3).exponent
        3
    """
    m = read_count(m, "the modulus of a Heisenberg group", 2)
    check_order(m**3, f"Heis({m})")
    a, b, c = np.unravel_index(np.arange(m**3), (m, m, m))
    forms = np.zeros((m**3, 3, 3), dtype=np.int64)
    forms[:, [0, 1, 2], [0, 1, 2]] = 1
    # Lexicographic in the entries (0, 1), (0, 2), (1, 2).
    forms[:, 0, 1], forms[:, 0, 2], forms[:, 1, 2] = a, b, c
    add, own = addition_table(m), np.arange(m)
    # The product has a + a', b + b' + a·c', c + c'; axes are (a, b, c, a', b', c').
    corner = add[add[:, :, None], (own[:, None] * own % m)[:, None, None, :]]
    table = add[:, None, None, :, None, None] * np.int32(m * m)
    table = table + np.int32(m) * corner[:, :, None, None] + add[:, None, None, :]
    return Group(
        table.reshape(m**3, m**3), 0, name=f"Heis({m})", forms=forms, generators=[m * m, 1]
    )
