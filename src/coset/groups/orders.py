"""Powers and orders of elements, and small generating sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from coset.groups.span import Span

if TYPE_CHECKING:
    from coset.groups.arithmetic import GroupTable
    from coset.groups.group import Group

__all__ = ["commutators", "element_orders", "powers", "prime_factors", "small_generating_set"]


def prime_factors(number: int) -> dict[int, int]:
    """Return the primes of a positive integer with their multiplicities.

    Args:
        number: n ≥ 1.

    Returns:
        {p: k} with n = ∏ p^k, primes increasing.

    Complexity: O(√n).

    Example:
        >>> prime_factors(60)
        {2: 2, 3: 1, 5: 1}
    """
    factors: dict[int, int] = {}
    p = 2
    while p * p <= number:
        while number % p == 0:
            factors[p] = factors.get(p, 0) + 1
            number //= p
        p += 1
    if number > 1:
        factors[number] = factors.get(number, 0) + 1
    return factors


def powers(group: GroupTable, elements: np.ndarray, exponent: int) -> np.ndarray:
    """Return aᵏ for many elements by repeated squaring.

    Args:
        group: the group.
        elements: (…) element ids.
        exponent: k ≥ 0.

    Returns:
        (…) element ids.

    Complexity: O(log k) gathers.
    """
    mul, square = group.mul, np.asarray(elements)
    result: np.ndarray | None = None
    while exponent:
        if exponent & 1:
            result = square if result is None else mul[result, square]
        exponent >>= 1
        if exponent:
            square = mul[square, square]
    return np.full(square.shape, group.identity) if result is None else result


def commutators(group: GroupTable, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return [a, b] = a⁻¹·b⁻¹·a·b for all pairs.

    Args:
        group: the group.
        first: (r,) element ids a.
        second: (s,) element ids b.

    Returns:
        (r, s) element ids.
    """
    mul, inverse, a, b = group.mul, group.inverse, first[:, None], second[None]
    found: np.ndarray = mul[mul[inverse[a], inverse[b]], mul[a, b]]
    return found


def element_orders(group: GroupTable) -> np.ndarray:
    """Return the order of every element.

    Args:
        group: the group.

    Returns:
        (n,) int64.

    Complexity: O(log² n) gathers of n: for each prime p of n, with n = p^k·m, the p-part of the
    order of a is that of a^m.
    """
    n = group.order
    found = np.ones(n, dtype=np.int64)
    for p, k in prime_factors(n).items():
        part = powers(group, np.arange(n), n // p**k)
        for _ in range(k):
            alive = part != group.identity
            if not alive.any():
                break
            found[alive] *= p
            part = powers(group, part, p)
    return found


def small_generating_set(group: Group) -> tuple[int, ...]:
    """Return a generating set from which no element can be left out.

    Elements of large order come first, equal orders by number.

    Args:
        group: the group.

    Returns:
        At most log₂ n element ids.
    """
    by_order = np.argsort(-group.element_orders, kind="stable")
    found = Span(group, by_order).generators
    for g in list(found):
        rest = [h for h in found if h != g]
        if len(found) > 2 and Span(group, rest).members.size == group.order:
            found = rest
    return tuple(found)
