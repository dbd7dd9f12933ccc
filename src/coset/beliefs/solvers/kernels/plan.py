"""How marginals are taken of a joint whose logarithm is a sum of tables, without the joint.

Variables are eliminated one after the other: the tables that depend on one are added up over the
union of their variables, and what no other table depends on is summed out; the result is a table
again. Going back the same way, each table gets its marginal. A dense joint of n worlds is then
never touched, unless the tables need one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["EliminationPlan", "Scope", "elimination_plan"]

Scope = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class EliminationPlan:
    """Rows of one long array: the tables that are given (leaves), then those that are made.

    Attributes:
        scopes: the variables of each leaf, ascending.
        leaf_first: the first row of each leaf, and behind them the number of rows of leaves.
        num_rows: all rows.
        steps: for each elimination: where its entries begin, how many there are, where its `parts`
            begin, how many parts, its first row, how many rows, (steps, 6).
        parts: for each part of a step and each entry, the row that is added.
        into: for each entry, the row that it is summed into.
        roots: the rows of the tables of no variable that are left.
        links: (first row of one leaf, of another, where the indices of each begin in `shared`,
            entries of each, entries over the variables that both have), (links, 7); the sum of
            tables stays the same if a function of these variables goes from one to the other.
        shared: for the leaves of a link, the entry over their common variables that a row lies in.
    """

    scopes: tuple[Scope, ...]
    leaf_first: tuple[int, ...]
    num_rows: int
    steps: NDArray[np.int64]
    parts: NDArray[np.int64]
    into: NDArray[np.int64]
    roots: NDArray[np.int64]
    links: NDArray[np.int64]
    shared: NDArray[np.int64]

    @property
    def num_leaf_rows(self) -> int:
        """How many rows the tables of beliefs have."""
        return self.leaf_first[-1]

    def arrays(self) -> tuple[NDArray[np.int64], ...]:
        """Return what the compiled loops read."""
        return self.steps, self.parts, self.into, self.roots


@lru_cache(maxsize=64)
def elimination_plan(cards: tuple[int, ...], scopes: tuple[Scope, ...]) -> EliminationPlan:
    """Eliminate first what makes the smallest table.

    Args:
        cards: the numbers of values of the variables.
        scopes: distinct sets of variables, ascending, at least one.

    Returns:
        The plan.

    Complexity: O(variables² · scopes), and the entries of all steps.
    """
    sizes = [_size(cards, scope) for scope in scopes]
    leaf_first = np.concatenate([[0], np.cumsum(sizes)])
    tables = [(scope, int(row)) for scope, row in zip(scopes, leaf_first, strict=False)]
    num_rows, num_entries, at = int(leaf_first[-1]), 0, 0
    steps, parts, into = [], [], []
    while any(scope for scope, _ in tables):
        union, kept = _cheapest([scope for scope, _ in tables], cards)
        merged = [t for t in tables if t[0] and set(t[0]) <= set(union)]
        size, rows = _size(cards, union), _size(cards, kept)
        steps.append((num_entries, size, at, len(merged), num_rows, rows))
        parts += [row + positions(cards, union, scope) for scope, row in merged]
        into.append(num_rows + positions(cards, union, kept))
        tables = [t for t in tables if t not in merged] + [(kept, num_rows)]
        num_entries, at, num_rows = num_entries + size, at + size * len(merged), num_rows + rows
    return EliminationPlan(
        scopes,
        tuple(int(i) for i in leaf_first),
        num_rows,
        np.array(steps, dtype=np.int64).reshape(-1, 6),
        np.concatenate([np.zeros(0, dtype=np.int64), *parts]),
        np.concatenate([np.zeros(0, dtype=np.int64), *into]),
        np.array([row for _, row in tables], dtype=np.int64),
        *_links(cards, scopes, leaf_first),
    )


def _size(cards: Sequence[int], scope: Scope) -> int:
    return math.prod(cards[v] for v in scope)


def _cheapest(scopes: Sequence[Scope], cards: Sequence[int]) -> tuple[Scope, Scope]:
    """Return the smallest union of all tables that share a variable, and what of it is kept."""
    unions = []
    for variable in sorted({v for scope in scopes for v in scope}):
        joined = {v for scope in scopes if variable in scope for v in scope}
        unions.append(tuple(sorted(joined)))
    union = min(unions, key=lambda scope: _size(cards, scope))
    others = {v for scope in scopes if not set(scope) <= set(union) for v in scope}
    return union, tuple(v for v in union if v in others)


def positions(cards: Sequence[int], scope: Scope, part: Scope) -> NDArray[np.int64]:
    """Return, for each entry over `scope`, the entry over `part` that it lies in."""
    entries = np.arange(_size(cards, part)).reshape([cards[v] for v in part])
    shape = [cards[v] if v in part else 1 for v in scope]
    spread = np.broadcast_to(entries.reshape(shape), [cards[v] for v in scope])
    return spread.reshape(-1).astype(np.int64)


def _links(
    cards: tuple[int, ...], scopes: Sequence[Scope], first: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Link each leaf to those before it with which it shares variables, and to the first one."""
    rows, shared, at = [], [np.zeros(0, dtype=np.int64)], 0
    for b in range(len(scopes) - 1, 0, -1):
        common = [(tuple(v for v in scopes[a] if v in scopes[b]), a) for a in range(b)]
        for both, a in sorted(common, key=lambda pair: -len(pair[0])):
            if both or a == 0:
                ours, theirs = (positions(cards, scopes[i], both) for i in (a, b))
                size = _size(cards, both)
                rows.append((first[a], first[b], at, at + len(ours), len(ours), len(theirs), size))
                shared += [ours, theirs]
                at += len(ours) + len(theirs)
    return np.array(rows, dtype=np.int64).reshape(-1, 7), np.concatenate(shared)
