"""Multiplication tables: the proof that one is a group, and building one from generators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coset.core.errors import DomainError, ShapeError
from coset.groups.elements import integer_array
from coset.groups.errors import NotAGroupError

__all__ = ["MAX_ORDER", "check_order", "check_table", "table_of_cayley_graph"]

# The largest order of a group with a table: 8192² entries of 4 bytes are 256 MB.
MAX_ORDER = 8192


def check_order(order: int, what: str) -> None:
    """Refuse an order that is too large for a table, before anything is built.

    Args:
        order: number of elements.
        what: the group, as the message names it.

    Raises:
        DomainError: if the order is above 8192.
    """
    if order > MAX_ORDER:
        raise DomainError(
            f"a group here may have at most {MAX_ORDER} elements (its table then takes 256 MB); "
            f"{what} has {order if order < 10**15 else 'more than 10^15'}; use a smaller group"
        )


def _check_entries(mul: np.ndarray) -> np.ndarray:
    table = integer_array(mul, "the entries of a multiplication table")
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ShapeError(f"a multiplication table must be square, (n, n); given {table.shape}")
    n = len(table)
    if n == 0:
        raise NotAGroupError("a group has at least one element, its identity; given an empty table")
    check_order(n, "the table given")
    if table.min() < 0 or table.max() >= n:
        a, b = np.argwhere((table < 0) | (table >= n))[0]
        raise NotAGroupError(
            f"each product must be an element, 0 … {n - 1}; given mul[{a}, {b}] = {table[a, b]}"
        )
    return np.array(table, dtype=np.int32, order="C")


def _check_identity(mul: np.ndarray) -> int:
    own = np.arange(len(mul))
    left = np.flatnonzero((mul == own).all(1))
    right = np.flatnonzero((mul == own[:, None]).all(0))
    sides = (("left", left), ("right", right))
    for side, found in sides:
        if found.size > 1:
            raise NotAGroupError(
                f"the identity must be unique; {found[0]} and {found[1]} both are {side} identities"
            )
    for side, found in sides:
        if not found.size:
            raise NotAGroupError(
                f"there must be an identity e with e·a = a·e = a for all a; no element is a {side} "
                f"identity"
            )
    return int(left[0])


def _check_latin(mul: np.ndarray, line: str) -> None:
    n = len(mul)
    seen = np.zeros((n, n), dtype=bool)
    seen[np.arange(n)[:, None], mul] = True
    if seen.all():
        return
    place = int(np.flatnonzero(~seen.all(1))[0])
    values, counts = np.unique(mul[place], return_counts=True)
    double = int(values[counts > 1][0])
    first, second = np.flatnonzero(mul[place] == double)[:2]
    raise NotAGroupError(
        f"each element must stand once in each {line} of the table; {line} {place} has "
        f"{double} at {first} and at {second}"
    )


def _magma_generators(mul: np.ndarray, identity: int) -> list[int]:
    """Return elements whose products, bracketed to the left, are all elements."""
    seen = np.zeros(len(mul), dtype=bool)
    seen[identity] = True
    members, generators = np.array([identity]), []
    while members.size < len(mul):
        generators.append(int(np.flatnonzero(~seen)[0]))
        frontier = members
        while frontier.size:
            after = np.unique(mul[frontier[:, None], generators])
            frontier = after[~seen[after]]
            seen[frontier] = True
        members = np.flatnonzero(seen)
    return generators


def _check_associative(mul: np.ndarray, identity: int) -> None:
    """Light's test: the g with (a·g)·b = a·(g·b) for all a, b are closed under products."""
    rows = max(1, 2**22 // len(mul))
    for g in _magma_generators(mul, identity):
        after = mul[g]
        for first in range(0, len(mul), rows):
            block = slice(first, first + rows)
            wrong = mul[mul[block, g]] != mul[block][:, after]
            if wrong.any():
                a, b = np.argwhere(wrong)[0]
                a = int(a) + first
                raise NotAGroupError(
                    f"the product must be associative; (a·b)·c = {mul[mul[a, g], b]} but a·(b·c) = "
                    f"{mul[a, mul[g, b]]} for (a, b, c) = ({a}, {g}, {b})"
                )


def check_table(mul: np.ndarray) -> tuple[np.ndarray, int]:
    """Prove that a table is the multiplication table of a group.

    A unique identity, rows and columns that are permutations, and Light's test of associativity on
    a generating set.

    Args:
        mul: (n, n) integers; mul[a, b] is "a, then b".

    Returns:
        The table as int32, C-contiguous, and its identity.

    Raises:
        ShapeError: if it is not square.
        DtypeError: if it does not hold integers.
        NotAGroupError: if it is not a group; the message holds the witness.
        DomainError: if it has more than 8192 rows.

    Complexity: O(r n²) for r ≤ log₂ n generators.
    """
    table = _check_entries(mul)
    identity = _check_identity(table)
    _check_latin(table, "row")
    _check_latin(np.ascontiguousarray(table.T), "column")
    _check_associative(table, identity)
    return table, identity


def table_of_cayley_graph(
    graph: np.ndarray, levels: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Return the whole table from right multiplication by generators.

    Column x of the table follows from its parent's: a·(p·g) = (a·p)·g.

    Args:
        graph: (r, n) with graph[i, a] = a·gᵢ.
        levels: a breadth-first tree from the identity: for each level its elements, their parents
            and the index of the generator between them; level 0 is (identity, –, –).

    Returns:
        (n, n) int32 with mul[a, b] = a·b.
    """
    n = graph.shape[1]
    columns = np.empty((n, n), dtype=np.int32)
    columns[levels[0][0]] = np.arange(n)
    for elements, parents, steps in levels[1:]:
        columns[elements] = graph[steps[:, None], columns[parents]]
    return np.ascontiguousarray(columns.T)
