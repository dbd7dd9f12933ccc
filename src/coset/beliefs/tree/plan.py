"""Which tables hold a joint of many variables, how they hang together, and passes over them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from coset.beliefs.errors import WidthError, rounded_count
from coset.beliefs.tree.elimination import best_clusters

__all__ = ["MAX_BYTES", "Attached", "TreePlan"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Maps = tuple[Ints, Ints, Ints]

# The tables of a calibrated tree (log conditionals and probabilities) may take so much.
MAX_BYTES = 2**31


def _offsets(sizes: Iterable[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(np.fromiter(sizes, np.int64))]).astype(np.int64)


def _flat(lists: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    values = np.fromiter(chain.from_iterable(lists), np.int64)
    return _offsets(map(len, lists)), values


@dataclass(frozen=True, eq=False)
class TreePlan:
    """A junction tree: clusters of variables, each with a separator that its parent holds as well.

    A joint is held as log μ(rest | separator) of each cluster, one table after the other: their
    sum is log μ. Made once for a structure, it serves any numbers.

    Args:
        cards: the number of values of each variable.
        clusters: the variables of each, those of the separator first; children before parents.
        parents: the place of the parent, −1 for a root.

    Attributes:
        at: where each cluster's table begins in an array of all of them, and where the last ends.
        home: for each variable the cluster in which it is not in the separator.

    Complexity: passes are linear in the entries of all clusters, of which each variable is in one
        at least; memory is 8 bytes an entry and array.
    """

    cards: tuple[int, ...]
    clusters: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]
    at: Ints = field(init=False, repr=False)
    home: Ints = field(init=False, repr=False)
    _card_array: Ints = field(init=False, repr=False)
    _cluster_lists: tuple[Ints, Ints] = field(init=False, repr=False)
    _tree: tuple[Any, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("_card_array", np.array(self.cards, np.int64))
        put("_cluster_lists", _flat(self.clusters))
        put("at", _offsets(math.prod(self.cards[v] for v in c) for c in self.clusters))
        home = np.zeros(len(self.cards), np.int64)
        separators: list[tuple[int, ...]] = []
        for c, (cluster, parent) in enumerate(zip(self.clusters, self.parents, strict=True)):
            above = set(self.clusters[parent]) if parent >= 0 else ()
            width = 0
            for v in cluster:
                if v in above:
                    width += 1
                else:
                    home[v] = c
            separators.append(cluster[:width])
        put("home", home)
        parents = np.array(self.parents, np.int64)
        hosts = np.where(parents >= 0, parents, np.arange(len(parents)))
        attached = self.attach(separators, hosts)
        put("_tree", (parents, attached.at, attached.maps))

    @classmethod
    def of(
        cls,
        cards: Sequence[int],
        scopes: Sequence[Sequence[int]],
        *,
        roots: Sequence[Sequence[int]] = (),
        max_bytes: int = MAX_BYTES,
        copies: int = 2,
    ) -> TreePlan:
        """Find clusters that hold given sets of variables, by greedy elimination.

        Args:
            cards: the number of values of each variable.
            scopes: sets of variables, by their places, each to lie in one cluster.
            roots: those of them whose clusters become roots, at most one in connected variables.
            max_bytes: how much `copies` arrays of all clusters may take.
            copies: how many will be held at once.

        Returns:
            The plan.

        Raises:
            WidthError: if they take more; width and bytes are those of the best order found, or
                what a hopeless one has come to.
        """
        max_entries = max_bytes // (8 * copies)
        order, entries = best_clusters(cards, scopes, max_entries)
        width = max((len(around) for _, around in order), default=0)
        if len(order) == len(cards):
            clusters, parents = _merge(order)
            entries = sum(math.prod(cards[v] for v in c) for c in clusters)
        if entries > max_entries:
            raise WidthError(
                f"the junction tree has width {width} (clusters of up to {width + 1} variables); "
                f"its tables need {rounded_count(8 * entries * copies)} bytes, and max_bytes "
                f"allows {max_bytes:.3g}; observe more, leave arcs out, or raise max_bytes",
                width,
                8 * entries * copies,
            )
        for root in roots:
            _reroot(parents, next(i for i, c in enumerate(clusters) if c.issuperset(root)))
        return cls(tuple(map(int, cards)), *_in_order(clusters, parents))

    def _passes(self) -> tuple[Any, ...]:
        # Messages are new each time, so that threads can share a plan.
        parents, message_at, maps = self._tree
        return parents, np.empty(message_at[-1]), message_at, *maps

    @property
    def width(self) -> int:
        """The number of variables of the largest cluster, less one."""
        return max(map(len, self.clusters), default=0) - 1

    @property
    def num_entries(self) -> int:
        """The number of entries of all clusters."""
        return int(self.at[-1])

    def attach(self, scopes: Sequence[Sequence[int]], hosts: Ints | None = None) -> Attached:
        """Say where smaller tables belong.

        Args:
            scopes: their variables, in the order of their axes; each set lies in one cluster
                (a number alone, without variables, in the last).
            hosts: the clusters, if known.

        Returns:
            What adds such tables to the clusters, and sums clusters out to them.
        """
        from coset.beliefs.tree.kernels import make_maps

        start, variables = _flat(scopes)
        if hosts is None:
            # The tops of the clusters of each variable lie on one path; the lowest has them all.
            hosts = np.full(len(scopes), len(self.clusters) - 1, np.int64)
            scope = np.repeat(np.arange(len(scopes)), np.diff(start))
            np.minimum.at(hosts, scope, self.home[variables])
        sizes = self._card_array[variables]
        maps = make_maps(hosts, *self._cluster_lists, start, variables, sizes, self._card_array)
        products = [math.prod(self.cards[v] for v in scope) for scope in scopes]
        return Attached(self, hosts, _offsets(products), maps)

    def host(self, names: Iterable[int]) -> int | None:
        """Return a cluster with all these variables, or ``None``."""
        wanted = set(names)
        lowest = min((int(self.home[v]) for v in wanted), default=0)
        return lowest if wanted.issubset(self.clusters[lowest]) else None

    def zeros(self) -> Floats:
        """Return tables of zeros for all clusters."""
        return np.zeros(self.num_entries)

    def collect(self, log_weights: Floats) -> float:
        """Make log conditionals of log weights, in place.

        Args:
            log_weights: (num_entries,): Σ over clusters is log w, −∞ where a world is forbidden.

        Returns:
            log Σ w; −∞ if no world is allowed.
        """
        from coset.beliefs.tree.kernels import collect

        return float(collect(log_weights, self.at, *self._passes()))

    def distribute(self, log_conditional: Floats, out: Floats | None = None) -> Floats:
        """Return the probabilities of the clusters.

        Args:
            log_conditional: (num_entries,), of `collect`.
            out: where to write them.

        Returns:
            (num_entries,).
        """
        from coset.beliefs.tree.kernels import distribute

        mass = np.empty_like(log_conditional) if out is None else out
        distribute(log_conditional, mass, self.at, *self._passes())
        return mass

    def least(self, costs: Floats) -> float:
        """Return min over worlds of the sum of costs; roots become least costs of their values.

        Args:
            costs: (num_entries,), changed in place; +∞ where a world is forbidden.

        Returns:
            The minimum.
        """
        from coset.beliefs.tree.kernels import collect_least

        return float(collect_least(costs, self.at, *self._passes()))

    def center(self, tables: Floats, mass: Floats, log_conditional: Floats) -> None:
        """Move E[table | separator] to the parents, in place; roots gather what is moved.

        Args:
            tables: (num_entries,), finite.
            mass: (num_entries,), the probabilities of the clusters.
            log_conditional: (num_entries,), for rows without probability.
        """
        from coset.beliefs.tree.kernels import center

        center(tables, mass, log_conditional, self.at, *self._passes())

    def root_marginal(self, log_conditional: Floats, root: int, variables: Sequence[int]) -> Floats:
        """Return the distribution of variables of a root, axes in their order."""
        mass = np.exp(self.table(log_conditional, root))
        axes = self.clusters[root]
        mass = mass.sum(tuple(i for i, v in enumerate(axes) if v not in variables))
        kept = [v for v in axes if v in variables]
        found: Floats = mass.transpose([kept.index(v) for v in variables])
        return found

    def table(self, flat: Floats, cluster: int) -> Floats:
        """Return a cluster's table with one axis a variable, a view."""
        sizes = [self.cards[v] for v in self.clusters[cluster]]
        return flat[self.at[cluster] : self.at[cluster + 1]].reshape(sizes)


@dataclass(frozen=True, eq=False)
class Attached:
    """Smaller tables, one after the other, and the clusters to which they belong.

    Attributes:
        plan: the junction tree.
        hosts: the cluster of each.
        at: where each begins, and where the last ends.
        maps: how the axes of clusters go through them; see `coset.beliefs.tree.kernels`.
    """

    plan: TreePlan
    hosts: Ints
    at: Ints
    maps: Maps

    def add(self, tables: Floats, small: Floats, scale: float = 1.0) -> None:
        """Add `scale` times the smaller tables to those of the clusters, in place."""
        from coset.beliefs.tree.kernels import add_tables

        add_tables(tables, self.plan.at, self.hosts, small, self.at, scale, *self.maps)

    def sum_out(self, mass: Floats) -> Floats:
        """Return the sums of the clusters' tables over the axes that the smaller ones lack."""
        from coset.beliefs.tree.kernels import sum_out

        small = np.empty(self.at[-1])
        sum_out(mass, self.plan.at, self.hosts, small, self.at, *self.maps)
        return small


def _merge(order: list[tuple[int, tuple[int, ...]]]) -> tuple[list[set[int]], list[int]]:
    """Return the maximal ones of the sets that an elimination made, and their parents.

    A variable with its neighbors is no maximal set if they are all that is left of a set when its
    own variable went.
    """
    turn = {v: i for i, (v, _) in enumerate(order)}
    below: dict[int, list[int]] = {}
    clusters: list[set[int]] = []
    parents: list[int] = []
    separators: list[int] = []
    for v, around in order:
        children = below.pop(v, [])
        own = next((c for c in children if separators[c] == len(around) + 1), None)
        if own is None:
            own = len(clusters)
            clusters.append({v, *around})
            parents.append(-1)
            separators.append(0)
        separators[own] = len(around)
        for child in children:
            if child != own:
                parents[child] = own
        if around:
            below.setdefault(min(around, key=turn.__getitem__), []).append(own)
    return clusters, parents


def _reroot(parents: list[int], root: int) -> None:
    """Turn the arrows on the way from a cluster to its root, in place."""
    child, parent = -1, root
    while parent >= 0:
        parents[parent], child, parent = child, parent, parents[parent]


def _in_order(
    clusters: list[set[int]], parents: list[int]
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Put children before parents, and in each cluster the separator first, in one order."""
    below: dict[int, list[int]] = {}
    for child, parent in enumerate(parents):
        below.setdefault(parent, []).append(child)
    order = list(below.get(-1, []))
    axes: dict[int, tuple[int, ...]] = {}
    for c in order:  # grows while it is walked
        order += below.get(c, [])
        above = axes[parents[c]] if parents[c] >= 0 else ()
        shared = tuple(v for v in above if v in clusters[c])
        axes[c] = shared + tuple(sorted(clusters[c].difference(shared)))
    order.reverse()
    place = {c: i for i, c in enumerate(order)}
    place[-1] = -1
    return tuple(axes[c] for c in order), tuple(place[parents[c]] for c in order)
