"""The zoo: the finite groups one meets first, each with its identity at 0."""

from __future__ import annotations

import math

import numpy as np

from coset.core.errors import DomainError
from coset.groups.elements import integer
from coset.groups.group import Group
from coset.groups.orders import prime_factors
from coset.groups.products import direct_product
from coset.groups.tables import check_order

__all__ = [
    "abelian",
    "addition_table",
    "alternating",
    "cyclic",
    "dicyclic",
    "dihedral",
    "elementary_abelian",
    "metacyclic",
    "quaternion",
    "read_count",
    "symmetric",
]


def read_count(value: int, what: str, least: int = 1) -> int:
    """Read a positive parameter of a group.

    Args:
        value: an integer.
        what: what it is, for the message.
        least: the smallest allowed.

    Returns:
        The number.

    Raises:
        DtypeError: if it is not an integer.
        DomainError: if it is too small.
    """
    number = integer(value, what)
    if number < least:
        raise DomainError(f"{what} must be at least {least}; given {number}")
    return number


def addition_table(n: int) -> np.ndarray:
    """Return (a + b) mod n for all a, b.

    Args:
        n: the modulus, at least 1.

    Returns:
        (n, n) int32.

    Complexity: O(n²) copies: row a is 0 … n − 1, 0 … n − 1 read from place a on.
    """
    twice = np.tile(np.arange(n, dtype=np.int32), 2)
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(twice, n)[:n])


def _metacyclic_table(n: int, k: int, r: int, twist: int) -> np.ndarray:
    """Return the table of aⁱ·bʲ ↦ i·k + j with aⁿ = e, bᵏ = a^twist, b·a·b⁻¹ = aʳ."""
    add, j = addition_table(n), np.arange(k)
    images = np.array([pow(r, int(e), n) for e in j])[:, None] * np.arange(n) % n
    # aⁱ·bʲ·aⁱ' = a^(i + rʲ·i')·bʲ, for (i, j, i').
    exponent = add[:, images]
    shifted = add[twist % n][exponent]
    table = np.empty((n, k, n, k), dtype=np.int32)
    for last in range(k):
        carry, total = np.divmod(j + last, k)
        table[..., last] = np.where(carry[:, None], shifted, exponent) * np.int32(k)
        table[..., last] += total[:, None]
    whole: np.ndarray = table.reshape(n * k, n * k)
    return whole


def cyclic(n: int) -> Group:
    """Return Z_n, the integers 0 … n − 1 under addition mod n.

    Args:
        n: the order, 1 … 8192.

    Returns:
        The group; element a is the number a.

    Raises:
        DtypeError: if n is not an integer.
        DomainError: if it is out of range.

    Example:
        >>> cyclic(6)
        Z6 (order 6)
    """
    n = read_count(n, "the order of a cyclic group")
    check_order(n, f"Z{n}")
    return Group(addition_table(n), 0, name=f"Z{n}", generators=[1 % n])


def abelian(*moduli: int) -> Group:
    """Return Z_{m₁} × … × Z_{m_r}.

    Args:
        *moduli: the orders of the factors; none give the trivial group.

    Returns:
        The group; elements are numbered in lexicographic order of their coordinates.

    Raises:
        DtypeError: if a modulus is not an integer.
        DomainError: if one is below 1, or the product above 8192.

    Example:
        >>> abelian(2, 4).labels[:3]
        ('(0, 0)', '(0, 1)', '(0, 2)')
    """
    return direct_product(*(cyclic(m) for m in moduli)) if moduli else cyclic(1)


def elementary_abelian(p: int, rank: int) -> Group:
    """Return Z_p^rank for a prime p.

    Args:
        p: a prime.
        rank: how many factors, at least 1.

    Returns:
        The group.

    Raises:
        DtypeError: if an argument is not an integer.
        DomainError: if p is not prime, or the order above 8192.

    Example:
        >>> elementary_abelian(2, 3)
        Z2^3 (order 8)
    """
    p, rank = read_prime(p), read_count(rank, "the rank")
    name = f"Z{p}^{rank}" if rank > 1 else f"Z{p}"
    check_order(p ** min(rank, 64), name)
    group = abelian(*[p] * rank)
    return group if rank == 1 else group.renamed(name)


def read_prime(p: int) -> int:
    """Read a prime.

    Args:
        p: an integer.

    Returns:
        The prime.

    Raises:
        DtypeError: if it is not an integer.
        DomainError: if it is not a prime below 2¹⁵.
    """
    p = read_count(p, "p")
    if not 2 <= p < 2**15 or prime_factors(p) != {p: 1}:
        raise DomainError(f"p must be a prime below {2**15}; given {p}")
    return p


def _cycle(degree: int, points: list[int]) -> list[int]:
    found = list(range(degree))
    for a, b in zip(points, points[1:] + points[:1], strict=True):
        found[a] = b
    return found


def symmetric(n: int) -> Group:
    """Return S_n, all permutations of n points, in lexicographic order.

    Args:
        n: number of points, 1 … 7.

    Returns:
        The group; its generators are (0 1) and (0 1 … n−1), its forms the permutations.

    Raises:
        DtypeError: if n is not an integer.
        DomainError: if it is out of range.

    Example:
        >>> symmetric(4).labels[1]
        '(2 3)'
    """
    n = read_count(n, "the degree of a symmetric group")
    check_order(math.factorial(min(n, 20)), f"S{n}")
    gens = [list(range(n))] if n < 2 else [_cycle(n, [0, 1]), _cycle(n, list(range(n)))]
    return Group.from_permutations(gens, name=f"S{n}")


def alternating(n: int) -> Group:
    """Return A_n, the even permutations of n points, in lexicographic order.

    Args:
        n: number of points, 1 … 7.

    Returns:
        The group; its forms are the permutations.

    Raises:
        DtypeError: if n is not an integer.
        DomainError: if it is out of range.

    Example:
        >>> alternating(5).derived_length
        inf
    """
    n = read_count(n, "the degree of an alternating group")
    check_order(math.factorial(min(n, 20)) // 2, f"A{n}")
    gens = [list(range(n))]
    if n >= 3:
        gens = [_cycle(n, [0, 1, 2])]
    if n > 3:
        gens.append(_cycle(n, list(range(1 - n % 2, n))))
    return Group.from_permutations(gens, name=f"A{n}")


def dihedral(n: int) -> Group:
    """Return D_n, the 2n symmetries of a regular n-gon: rⁿ = s² = e, s·r·s = r⁻¹.

    Args:
        n: number of corners, 1 … 4096; D1 is Z2 and D2 is Z2 × Z2.

    Returns:
        The group; element 2k + j is r^k·s^j.

    Raises:
        DtypeError: if n is not an integer.
        DomainError: if it is out of range.

    Example:
        >>> dihedral(4).labels
        ('e', 's', 'r', 'r s', 'r^2', 'r^2 s', 'r^3', 'r^3 s')
    """
    n = read_count(n, "the number of corners of a dihedral group")
    check_order(2 * n, f"D{n}")
    table, gens = _metacyclic_table(n, 2, n - 1, 0), [2, 1] if n > 1 else [1]
    labels = _word_labels(n, 2, "r", "s")
    return Group(table, 0, name=f"D{n}", labels=labels, generators=gens)


def _word_labels(n: int, k: int, first: str, second: str) -> list[str]:
    def power(letter: str, exponent: int) -> str:
        return "" if not exponent else letter if exponent == 1 else f"{letter}^{exponent}"

    ends = [power(second, j) for j in range(k)]
    starts = [power(first, i) for i in range(n)]
    return [f"{start} {end}".strip() or "e" for start in starts for end in ends]


def dicyclic(n: int) -> Group:
    """Return Dic_n of order 4n: a²ⁿ = e, x² = aⁿ, x·a·x⁻¹ = a⁻¹.

    Args:
        n: 1 … 2048; Dic1 is Z4, Dic2 is the quaternion group.

    Returns:
        The group; element 2k + j is a^k·x^j.

    Raises:
        DtypeError: if n is not an integer.
        DomainError: if it is out of range.

    Example:
        >>> dicyclic(3)
        Dic3 (order 12)
    """
    n = read_count(n, "n of a dicyclic group")
    check_order(4 * n, f"Dic{n}")
    table = _metacyclic_table(2 * n, 2, 2 * n - 1, n)
    labels = _word_labels(2 * n, 2, "a", "x")
    return Group(table, 0, name=f"Dic{n}", labels=labels, generators=[2, 1])


def quaternion(order: int = 8) -> Group:
    """Return the (generalized) quaternion group of an order 8, 16, 32 and so on.

    Args:
        order: a power of 2, 8 … 8192.

    Returns:
        The group; of order 8 its elements are 1, j, i, k, −1, −j, −i, −k.

    Raises:
        DtypeError: if the order is not an integer.
        DomainError: if it is not such a power.

    Example:
        >>> q8 = quaternion()
        >>> q8.labels[q8.product(q8.element("i"), q8.element("j"))]
        'k'
    """
    order = read_count(order, "the order of a quaternion group")
    check_order(order, f"Q{order}")
    if order < 8 or order & (order - 1):
        raise DomainError(
            f"the order of a quaternion group must be 8, 16, 32, …; given {order}; "
            f"use dicyclic for other multiples of 4"
        )
    group = dicyclic(order // 4)
    labels = ("1", "j", "i", "k", "-1", "-j", "-i", "-k") if order == 8 else group.labels
    return group.renamed(f"Q{order}", labels)


def metacyclic(n: int, k: int, r: int) -> Group:
    """Return Z_n ⋊ Z_k: aⁿ = bᵏ = e, b·a·b⁻¹ = aʳ.

    Args:
        n: order of the normal factor.
        k: order of the factor that acts.
        r: the action a ↦ aʳ; rᵏ ≡ 1 mod n.

    Returns:
        The group; element i·k + j is aⁱ·bʲ.

    Raises:
        DtypeError: if an argument is not an integer.
        DomainError: if rᵏ is not 1 mod n, or the order above 8192.

    Example:
        >>> metacyclic(7, 3, 2)
        M(7,3,2) (order 21)
    """
    n, k, r = (read_count(v, "n, k and r of a metacyclic group") for v in (n, k, r))
    check_order(n * k, f"M({n},{k},{r})")
    if pow(r, k, n) != 1 % n:
        raise DomainError(
            f"b ↦ (a ↦ aʳ) must be an action: rᵏ ≡ 1 mod n; given {r}^{k} ≡ {pow(r, k, n)} mod {n}"
        )
    table = _metacyclic_table(n, k, r, 0)
    gens = ([k] if n > 1 else []) + ([1] if k > 1 else [])
    labels = _word_labels(n, k, "a", "b")
    return Group(table, 0, name=f"M({n},{k},{r})", labels=labels, generators=gens)
