"""The transition monoid of an automaton: every map of its states that some word makes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coset.core.errors import DomainError, RangeError, UnsupportedError
from coset.ssm.automata.transitions import as_table, check_delta

__all__ = ["MaximalSubgroup", "TransitionMonoid", "strong_components"]


@dataclass(frozen=True, eq=False)
class MaximalSubgroup:
    """The group around an idempotent e: what is invertible among the elements e·m·e.

    Attributes:
        idempotent: the element e.
        elements: (g,) int64 elements of the monoid, e among them, sorted.
        points: (rank,) int64: the states of e's image, sorted.
        permutations: (g, rank): where each element sends points, as indices of points.
    """

    idempotent: int
    elements: np.ndarray
    points: np.ndarray
    permutations: np.ndarray

    def __repr__(self) -> str:
        return f"maximal subgroup of order {self.order} on {len(self.points)} states"

    @property
    def order(self) -> int:
        """How many elements it has."""
        return len(self.elements)


@dataclass(frozen=True, eq=False)
class TransitionMonoid:
    """Maps m of states with (a·b)[q] = b[a[q]]: "a, then b"; element 0 is the empty word's.

    Attributes:
        maps: (M, n): the state that each element sends each state to.
        right: (M, X) int64: the element m·x.
        parents: (M,) int64: an element m' with m'·x = m one letter before, −1 for the empty word.
        letters: (M,) int64: that letter x.

    Example:
        >>> flip_flop = np.array([[0, 0, 1], [1, 0, 1]])  # hold, set 0, set 1
        >>> monoid = TransitionMonoid.from_delta(flip_flop)
        >>> monoid.size, monoid.idempotents.tolist(), monoid.is_aperiodic
        (3, [0, 1, 2], True)
    """

    maps: np.ndarray
    right: np.ndarray
    parents: np.ndarray
    letters: np.ndarray

    @classmethod
    def from_delta(cls, delta: np.ndarray, max_size: int = 100_000) -> TransitionMonoid:
        """Find all elements, breadth first, so that each has a shortest word.

        Args:
            delta: (n, X) int64 in 0 … n − 1.
            max_size: where to stop, at least 1.

        Returns:
            The monoid.

        Raises:
            ShapeError, DtypeError, RangeError: if `delta` is no table of states.
            DomainError: if `max_size` is not positive.
            UnsupportedError: if there are more elements than `max_size`.

        Complexity: O(M X n) time, O(M (n + X)) memory.
        """
        if max_size < 1:
            raise DomainError(f"max_size must be at least 1; given {max_size}")
        delta = check_delta(as_table(delta))
        num_states = len(delta)
        small = np.min_scalar_type(num_states - 1)
        generators = np.ascontiguousarray(delta.T, dtype=small)
        frontier = np.arange(num_states, dtype=small)[None]
        index = {frontier.tobytes(): 0}
        maps, right, parents, letters = [frontier], [], [np.array([-1])], [np.array([-1])]
        first = 0
        while len(frontier):
            products = np.ascontiguousarray(generators[:, frontier].transpose(1, 0, 2))
            row: list[int] = []
            fresh: list[int] = []
            for place, key in enumerate(_keys(products)):
                found = index.setdefault(key, len(index))
                if found == len(index) - 1 and found >= first + len(frontier) + len(fresh):
                    fresh.append(place)
                row.append(found)
            if len(index) > max_size:
                raise UnsupportedError(
                    f"the transition monoid may have {max_size:,} elements; it has more; raise "
                    f"max_size, or ask verdict(), which does not list it"
                )
            right.append(np.array(row, dtype=np.int64).reshape(len(frontier), -1))
            chosen = np.array(fresh, dtype=np.int64)
            parents.append(first + chosen // len(generators))
            letters.append(chosen % len(generators))
            first += len(frontier)
            frontier = products.reshape(-1, num_states)[chosen]
            maps.append(frontier)
        tables = (np.concatenate(part) for part in (maps, right, parents, letters))
        return cls(*(_frozen(table) for table in tables))

    def __repr__(self) -> str:
        return f"transition monoid of {self.size} maps of {self.maps.shape[1]} states"

    @property
    def size(self) -> int:
        """How many elements it has."""
        return len(self.maps)

    @cached_property
    def idempotents(self) -> np.ndarray:
        """The elements with e·e = e, (k,) int64."""
        squares = np.take_along_axis(self.maps, self.maps.astype(np.intp), axis=1)
        return np.flatnonzero((squares == self.maps).all(1))

    @cached_property
    def ranks(self) -> np.ndarray:
        """How many states each element's image has, (M,) int64."""
        ordered = np.sort(self.maps, axis=1)
        ranks: np.ndarray = 1 + (ordered[:, 1:] != ordered[:, :-1]).sum(1)
        return ranks

    @cached_property
    def left(self) -> np.ndarray:
        """(M, X) int64: the element x·m."""
        left = np.empty_like(self.right)
        left[0] = self.right[0]
        depth = np.zeros(self.size, dtype=np.int64)
        for m in range(1, self.size):  # a parent comes before its children
            depth[m] = depth[self.parents[m]] + 1
        for level in range(1, int(depth.max()) + 1):
            here = np.flatnonzero(depth == level)
            # x·(m'·y) = (x·m')·y
            left[here] = self.right[left[self.parents[here]], self.letters[here, None]]
        return _frozen(left)

    def word(self, element: int) -> tuple[int, ...]:
        """Return a shortest word of tokens that makes an element.

        Args:
            element: in 0 … size − 1.

        Returns:
            Its tokens, first to last.

        Raises:
            RangeError: if there is no such element.
        """
        if not 0 <= element < self.size:
            raise RangeError(f"an element must lie in 0 … {self.size - 1}; given {element}")
        tokens = []
        while self.parents[element] >= 0:
            tokens.append(int(self.letters[element]))
            element = int(self.parents[element])
        return tuple(reversed(tokens))

    @cached_property
    def _h_classes(self) -> np.ndarray:
        """(M,) int64: equal for elements that generate the same right and the same left ideal."""
        both = np.stack([strong_components(self.right), strong_components(self.left)], 1)
        return np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)

    @cached_property
    def d_classes(self) -> np.ndarray:
        """(M,) int64: the class of each element; in one class all maximal groups are isomorphic."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        right, left = strong_components(self.right), strong_components(self.left)
        count = int(right.max()) + 1
        shape = (count + int(left.max()) + 1,) * 2
        graph = coo_array((np.ones(self.size), (right, count + left)), shape=shape)
        labels: np.ndarray = connected_components(graph, directed=False)[1].astype(np.int64)
        found: np.ndarray = labels[right]
        return found

    @cached_property
    def is_aperiodic(self) -> bool:
        """Whether all groups inside are trivial: the automaton only sets, holds and forgets."""
        counts = np.bincount(self._h_classes)
        return bool((counts[self._h_classes[self.idempotents]] == 1).all())

    def maximal_subgroups(self, *, trivial: bool = False) -> tuple[MaximalSubgroup, ...]:
        """Return one maximal group of each regular class, largest rank first.

        Args:
            trivial: list those of order 1 too.

        Returns:
            The groups; those around other idempotents of a class are isomorphic to its one.

        Claims: ssm.C9.
        """
        _, chosen = np.unique(self.d_classes[self.idempotents], return_index=True)
        found = []
        for e in sorted(self.idempotents[chosen], key=lambda e: (-self.ranks[e], e)):
            elements = np.flatnonzero(self._h_classes == self._h_classes[e])
            if len(elements) > 1 or trivial:
                points = np.unique(self.maps[e]).astype(np.int64)
                permutations = np.searchsorted(points, self.maps[elements][:, points])
                found.append(MaximalSubgroup(int(e), elements, points, permutations))
        return tuple(found)


def _keys(rows: np.ndarray) -> list[bytes]:
    """Return the bytes of each row of the last dimension."""
    width = rows.dtype.itemsize * rows.shape[-1]
    keys: list[bytes] = rows.reshape(-1, rows.shape[-1]).view(f"V{width}").reshape(-1).tolist()
    return keys


def _frozen(table: np.ndarray) -> np.ndarray:
    table.setflags(write=False)
    return table


def strong_components(steps: np.ndarray) -> np.ndarray:
    """Return which nodes of a graph lead to each other.

    Args:
        steps: (M, X) int64: the nodes that each node leads to.

    Returns:
        (M,) int64: equal for nodes of one strongly connected component.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    source = np.repeat(np.arange(len(steps)), steps.shape[1])
    graph = coo_array((np.ones(steps.size), (source, steps.reshape(-1))), shape=(len(steps),) * 2)
    labels: np.ndarray = connected_components(graph, directed=True, connection="strong")[1]
    return labels.astype(np.int64)
