"""Every group that a name can build, one of each kind, in a fixed order."""

from __future__ import annotations

import math
from collections.abc import Iterator

from coset.core.errors import DomainError
from coset.groups.group import Group
from coset.groups.isomorphism import fingerprint, is_isomorphic
from coset.groups.linear import linear_order
from coset.groups.orders import prime_factors
from coset.groups.parse import parse_group
from coset.groups.products import direct_product, factor_name
from coset.groups.zoo import read_count

__all__ = ["named_groups"]

MAX_NAMED = 200


def _partitions(number: int, largest: int) -> Iterator[tuple[int, ...]]:
    if number == 0:
        yield ()
    for part in range(min(number, largest), 0, -1):
        for rest in _partitions(number - part, part):
            yield (part, *rest)


def _abelian_names(order: int) -> Iterator[str]:
    """Yield the names of all Abelian groups of an order, as products of invariant factors."""
    choices: list[list[int]] = [[]]
    for p, k in prime_factors(order).items():
        grown = []
        for moduli in choices:
            for parts in _partitions(k, k):
                size = max(len(moduli), len(parts))
                old, new = moduli + [1] * size, [p**part for part in parts] + [1] * size
                grown.append([a * b for a, b in zip(old[:size], new[:size], strict=True)])
        choices = grown
    for moduli in sorted(choices, key=len):
        yield "x".join(f"Z{m}" for m in sorted(moduli)) or "Z1"


def _classic_names(order: int) -> Iterator[str]:
    """Yield the names of the families that are no products, most common names first."""
    for n in range(3, 8):
        if math.factorial(n) == order:
            yield f"S{n}"
        if n > 3 and math.factorial(n) // 2 == order:
            yield f"A{n}"
    if order % 2 == 0 and order >= 6:
        yield f"D{order // 2}"
    if order >= 8 and order & (order - 1) == 0:
        yield f"Q{order}"
    elif order % 4 == 0 and order >= 12:
        yield f"Dic{order // 4}"
    for d, p in ((2, 2), (2, 3), (2, 5), (3, 2), (2, 7)):
        if linear_order(d, p, special=True) == order:
            yield f"SL({d},{p})"
        if linear_order(d, p, special=False) == order:
            yield f"GL({d},{p})"
    for m in range(2, 6):
        if m**3 == order:
            yield f"Heis({m})"


def _metacyclic_names(order: int) -> Iterator[str]:
    """Yield Z_n ⋊ Z_k; powers of r that generate the same subgroup give the same group."""
    for k in range(2, order // 3 + 1):
        n, rest = divmod(order, k)
        if rest or n < 3:
            continue
        units = [j for j in range(1, k + 1) if math.gcd(j, k) == 1]
        for r in range(2, n):
            if math.gcd(r, n) == 1 and pow(r, k, n) == 1 and r == min(pow(r, j, n) for j in units):
                yield f"M({n},{k},{r})"


def _wreath_names(order: int, smaller: list[Group]) -> Iterator[str]:
    for top in smaller:
        # |A|^|B| ≥ 2^|B|, so the top is tiny.
        if not 1 < top.order < order.bit_length():
            continue
        for bottom in smaller:
            if bottom.order > 1 and bottom.order**top.order * top.order == order:
                yield f"{factor_name(bottom.name, 'wr')}wr{factor_name(top.name, 'wr')}"


def _candidates(order: int, smaller: list[Group]) -> Iterator[Group]:
    for name in _abelian_names(order):
        yield parse_group(name)
    for name in _classic_names(order):
        yield parse_group(name)
    by_order: dict[int, list[Group]] = {}
    for group in smaller:
        by_order.setdefault(group.order, []).append(group)
    for one in smaller:
        if not order % one.order and not one.is_abelian:
            for two in by_order.get(order // one.order, []):
                yield direct_product(one, two)
    for name in _metacyclic_names(order):
        yield parse_group(name)
    for name in _wreath_names(order, smaller):
        yield parse_group(name)


def named_groups(max_order: int) -> tuple[Group, ...]:
    """Return all groups that a name can build up to an order, one of each isomorphism type.

    These are all Abelian groups, the families of `parse_group`, their direct products and wreath
    products; groups that are none of these (the first have order 16) are missing.

    Args:
        max_order: 1 … 200.

    Returns:
        The groups by order, then Abelian ones first; `parse_group(group.name)` builds each again.

    Raises:
        DtypeError: if it is not an integer.
        DomainError: if it is out of range.

    Example:
        >>> [group.name for group in named_groups(8)][-5:]
        ['Z8', 'Z2xZ4', 'Z2xZ2xZ2', 'D4', 'Q8']
    """
    limit = read_count(max_order, "max_order")
    if limit > MAX_NAMED:
        raise DomainError(f"named groups are listed up to order {MAX_NAMED}; given {limit}")
    found: list[Group] = []
    for order in range(1, limit + 1):
        alike: dict[tuple[object, ...], list[Group]] = {}
        smaller = list(found)
        for group in _candidates(order, smaller):
            same = alike.setdefault(fingerprint(group), [])
            if not any(is_isomorphic(group, other) for other in same):
                same.append(group)
                found.append(group)
    return tuple(found)
