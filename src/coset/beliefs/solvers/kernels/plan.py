"""How a joint is put together from the tables of beliefs, and how their marginals are taken.

log μ is a sum of tables, one for each set of variables that some belief is about, and mirror
descent needs only their marginals. Both go through a binary tree: two tables are merged into one
over the union of their variables until all are one. Merging the smallest union first, nearly all
work is at the root, two additions a world, however many beliefs there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["JointPlan", "Scope", "joint_plan", "positions"]

Scope = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class JointPlan:
    """Rows of one long array: the tables of leaves, then inner nodes, then a row that stays zero.

    Attributes:
        scopes: the variables of each leaf, ascending.
        leaf_first: the first row of each leaf, and behind them the number of rows of leaves.
        first: the first row of each inner node; the root, which comes last, has none of its own.
        size: the number of entries of each inner node.
        at: where the indices of each inner node begin in `left` and `right`.
        left: the row of one child for each entry of each inner node.
        right: likewise; the row of zeros where there is no other child.
        num_rows: all rows.
        links: (first row of one leaf, of another, where the indices of each begin in `shared`,
            entries of each, entries over the variables that both have), (links, 7); the sum of
            tables stays the same if a function of these variables goes from one to the other.
        shared: for the leaves of a link, the entry over their common variables that a row lies in.
    """

    scopes: tuple[Scope, ...]
    leaf_first: tuple[int, ...]
    first: NDArray[np.int64]
    size: NDArray[np.int64]
    at: NDArray[np.int64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    num_rows: int
    links: NDArray[np.int64]
    shared: NDArray[np.int64]

    @property
    def num_leaf_rows(self) -> int:
        """How many rows the tables of beliefs have."""
        return self.leaf_first[-1]


@lru_cache(maxsize=64)
def joint_plan(cards: tuple[int, ...], scopes: tuple[Scope, ...]) -> JointPlan:
    """Plan the tree.

    Args:
        cards: the numbers of values of the variables.
        scopes: distinct sets of variables, ascending, which together are all of them.

    Returns:
        The plan.

    Complexity: O(k² n) for k scopes of n variables, and the entries of all nodes.
    """
    sizes = [math.prod(cards[v] for v in scope) for scope in scopes]
    leaf_first = np.concatenate([[0], np.cumsum(sizes)])
    first = list(leaf_first[:-1])
    merges = _merges(np.array(cards, dtype=float), scopes)
    zero_row, inner, left, right = int(leaf_first[-1]), [], [], []
    nodes = list(scopes)
    for i, (a, b) in enumerate(merges):
        scope = nodes[a] if b < 0 else tuple(sorted({*nodes[a], *nodes[b]}))
        left.append(first[a] + positions(cards, scope, nodes[a]))
        # A lone leaf is merged with nothing
        right.append(
            np.full(len(left[-1]), -1) if b < 0 else first[b] + positions(cards, scope, nodes[b])
        )
        inner.append(zero_row)
        first.append(zero_row)
        nodes.append(scope)
        if i < len(merges) - 1:
            zero_row += len(left[-1])
    lengths = np.array([len(index) for index in left])
    joined = np.concatenate(right)
    joined[joined < 0] = zero_row
    return JointPlan(
        scopes,
        tuple(int(i) for i in leaf_first),
        np.array(inner, dtype=np.int64),
        lengths,
        np.cumsum(lengths) - lengths,
        np.concatenate(left).astype(np.int32),
        joined.astype(np.int32),
        zero_row + 1,
        *_links(cards, scopes, leaf_first),
    )


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
                size = math.prod(cards[v] for v in both)
                rows.append((first[a], first[b], at, at + len(ours), len(ours), len(theirs), size))
                shared += [ours, theirs]
                at += len(ours) + len(theirs)
    return np.array(rows, dtype=np.int64).reshape(-1, 7), np.concatenate(shared)


def _merges(cards: NDArray[np.float64], scopes: Sequence[Scope]) -> list[tuple[int, int]]:
    """Return which nodes are merged, smallest union first; (0, −1) if there is one scope."""
    if len(scopes) == 1:
        return [(0, -1)]
    total = 2 * len(scopes) - 1
    member = np.zeros((total, len(cards)), dtype=bool)
    for i, scope in enumerate(scopes):
        member[i, list(scope)] = True
    logs = np.log(np.maximum(cards, 1.0))
    cost = np.full((total, total), np.inf)
    for i in range(1, len(scopes)):
        cost[i, :i] = (member[:i] | member[i]) @ logs
    merges = []
    for new in range(len(scopes), total):
        a, b = divmod(int(cost.argmin()), total)
        merges.append((b, a))
        cost[[a, b]] = cost[:, [a, b]] = np.inf
        gone = {i for pair in merges for i in pair}
        alive = [i for i in range(new) if i not in gone]
        member[new] = member[a] | member[b]
        cost[new, alive] = (member[alive] | member[new]) @ logs
    return merges


def positions(cards: Sequence[int], scope: Scope, part: Scope) -> NDArray[np.int64]:
    """Return, for each entry over `scope`, the entry over `part` that it lies in."""
    entries = np.arange(math.prod(cards[v] for v in part)).reshape([cards[v] for v in part])
    shape = [cards[v] if v in part else 1 for v in scope]
    spread = np.broadcast_to(entries.reshape(shape), [cards[v] for v in scope])
    return spread.reshape(-1).astype(np.int64)
