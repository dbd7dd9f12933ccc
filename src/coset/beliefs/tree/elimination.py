"""In which order variables are summed out, so that the tables in between stay small."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

__all__ = ["Clusters", "best_clusters", "eliminate"]

# Below so many entries there is nothing to gain from trying other orders.
_SMALL = 2**16
# One more order is tried for so many entries and variable (it costs as long as using them does),
# with costs that are changed at random by up to so much.
_ENTRIES_A_TRIAL = 2000
_MAX_TRIALS = 40
_NOISE = 0.3
# No order of elimination is better than another by so much.
_HOPELESS = 1024

Cost = Callable[[list[set[int]], Sequence[float], int], float]
Neighbors = list[set[int]]
Clusters = list[tuple[int, tuple[int, ...]]]


def _fill(neighbors: Neighbors, sizes: Sequence[float], v: int) -> float:
    """Return how many edges are missing among the neighbors of v."""
    around = neighbors[v]
    degree = len(around)
    if degree < 2:
        return 0.0
    present = sum(len(around & neighbors[u]) for u in around)
    return (degree * (degree - 1) - present) / 2


def _weight(neighbors: Neighbors, sizes: Sequence[float], v: int) -> float:
    """Return the logarithm of the entries of the table of v and its neighbors."""
    return sizes[v] + sum(sizes[u] for u in neighbors[v])


def _weighted_fill(neighbors: Neighbors, sizes: Sequence[float], v: int) -> float:
    """Return Σ of the products of the numbers of values over missing edges."""
    around = neighbors[v]
    total = 0.0
    for u in around:
        missing = around - neighbors[u]
        if len(missing) > 1:
            total += math.exp(sizes[u]) * sum(math.exp(sizes[w]) for w in missing if w != u)
    return total / 2


_COSTS: tuple[Cost, ...] = (_fill, _weighted_fill, _weight)


def eliminate(
    cards: Sequence[int],
    scopes: Iterable[Sequence[int]],
    cost: Cost = _fill,
    limit: float = math.inf,
) -> tuple[Clusters, int]:
    """Sum out variables greedily, the one of the least cost first.

    Args:
        cards: the number of values of each variable.
        scopes: sets of variables that must come to lie in one table.
        cost: of a variable with its neighbors.
        limit: stop where the tables have more entries.

    Returns:
        For each variable in the order of elimination, it and its neighbors at that time; and the
        entries of all these tables. If these are more than `limit`, variables are missing.

    Complexity: O(n d log n) set operations for n variables with d neighbors.
    """
    neighbors: Neighbors = [set() for _ in cards]
    for scope in scopes:
        for v in scope:
            neighbors[v].update(scope)
    for v, around in enumerate(neighbors):
        around.discard(v)
    sizes = [math.log(card) for card in cards]
    costs = [cost(neighbors, sizes, v) for v in range(len(cards))]
    heap = [(c, sizes[v], v) for v, c in enumerate(costs)]
    heapq.heapify(heap)
    alive = [True] * len(cards)
    order: Clusters = []
    entries = 0
    while heap:
        known, _, v = heapq.heappop(heap)
        if not alive[v] or known != costs[v]:
            continue
        alive[v] = False
        left = tuple(sorted(neighbors[v]))
        order.append((v, left))
        entries += cards[v] * math.prod(cards[u] for u in left)
        if entries > limit:
            break
        for u in _connect(neighbors, v, left):
            costs[u] = cost(neighbors, sizes, u)
            heapq.heappush(heap, (costs[u], sizes[u], u))
    return order, entries


def _connect(neighbors: Neighbors, v: int, around: tuple[int, ...]) -> set[int]:
    """Take v away and join its neighbors; return the variables whose cost may have changed."""
    changed = set(around)
    for u in around:
        neighbors[u].discard(v)
    if len(around) > 1:
        for a, b in combinations(around, 2):
            if b not in neighbors[a]:
                neighbors[a].add(b)
                neighbors[b].add(a)
                changed |= neighbors[a] & neighbors[b]
    return changed


def best_clusters(
    cards: Sequence[int], scopes: Sequence[Sequence[int]], max_entries: int
) -> tuple[Clusters, int]:
    """Return the elimination with the fewest entries among those by several costs.

    The costs are the number of missing edges (min-fill), the same weighted by numbers of values,
    and the size of the table (min-weight); then all three with noise, from a fixed seed, the more
    often the larger the tables. Only the first is tried where tables are small.

    Args:
        cards: the number of values of each variable.
        scopes: sets of variables that must come to lie in one table.
        max_entries: of interest; where the first order has many times more, it is the only one,
            and stops there.

    Returns:
        As `eliminate`.
    """
    best, entries = eliminate(cards, scopes, limit=_HOPELESS * max_entries)
    if not max(_SMALL, 8 * sum(cards)) < entries <= _HOPELESS * max_entries:
        return best, entries
    source = random.Random(0)
    costs = list(_COSTS[1:])
    trials = min(_MAX_TRIALS, entries // (_ENTRIES_A_TRIAL * len(cards)))
    costs += [_noisy(_COSTS[i % len(_COSTS)], source) for i in range(trials)]
    for cost in costs:
        order, fewer = eliminate(cards, scopes, cost, entries)
        if fewer < entries:
            best, entries = order, fewer
    return best, entries


def _noisy(cost: Cost, source: random.Random) -> Cost:
    def noisy(neighbors: Neighbors, sizes: Sequence[float], v: int) -> float:
        return cost(neighbors, sizes, v) * (1 + _NOISE * source.random())

    return noisy
