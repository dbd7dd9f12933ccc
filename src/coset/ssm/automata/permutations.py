"""Permutation groups of any order by stabilizer chains: order and derived length, no table.

The groups inside an automaton can be far too large to list (ten states allow order 3,628,800); a
chain of stabilizers (Schreier and Sims) answers what a verdict needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from coset.core.errors import DomainError

__all__ = ["StabilizerChain", "derived_orders", "order_text"]

# Random products looked at; about one in log₂ n shows a symmetric group.
_TRIALS = 100


@dataclass
class _Level:
    """The stabilizer of the base points above: one base point, its orbit, and generators."""

    point: int
    generators: list[np.ndarray] = field(default_factory=list)
    # orbit point → (u with u[point] = orbit point, u⁻¹)
    transversal: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


class StabilizerChain:
    """A permutation group as a chain of point stabilizers; p·q means "p, then q".

    Args:
        degree: n: the number of points.
        generators: (n,) permutations with p[i] the image of i.

    Raises:
        DomainError: if a generator is not a permutation of 0 … n − 1.

    Example:
        >>> chain = StabilizerChain(4, [(1, 0, 2, 3), (1, 2, 3, 0)])
        >>> chain.order, (1, 0, 3, 2) in chain
        (24, True)
    """

    def __init__(self, degree: int, generators: Iterable[Sequence[int] | np.ndarray] = ()) -> None:
        self.degree = degree
        self.generators: list[np.ndarray] = []
        self._levels: list[_Level] = []
        for generator in generators:
            self.add(generator)

    def add(self, permutation: Sequence[int] | np.ndarray) -> bool:
        """Enlarge the group until it holds a permutation.

        Args:
            permutation: (n,).

        Returns:
            Whether the group grew.
        """
        p = self.check(permutation)
        if self._sift(0, p) is None:
            return False
        self.generators.append(p)
        self._extend(0, p)
        return True

    @property
    def order(self) -> int:
        """How many permutations the group holds: the product of the orbits' lengths."""
        return math.prod(len(level.transversal) for level in self._levels)

    def __contains__(self, permutation: Sequence[int] | np.ndarray) -> bool:
        return self._sift(0, self.check(permutation)) is None

    def derived(self) -> StabilizerChain:
        """Return the subgroup of all products of commutators p⁻¹·q⁻¹·p·q.

        Returns:
            The normal closure of the commutators of the generators.
        """
        pairs = [(p, q) for i, p in enumerate(self.generators) for q in self.generators[:i]]
        waiting = [q[p[_inverse(q)[_inverse(p)]]] for p, q in pairs]
        result = StabilizerChain(self.degree)
        while waiting:
            c = waiting.pop()
            if result.add(c):
                waiting += [g[c[_inverse(g)]] for g in self.generators]
        return result

    def check(self, permutation: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return a permutation as an array.

        Args:
            permutation: (n,).

        Returns:
            (n,) int64.

        Raises:
            DomainError: if it is none of 0 … n − 1.
        """
        p = np.asarray(permutation)
        if p.shape != (self.degree,) or not np.array_equal(np.sort(p), np.arange(self.degree)):
            raise DomainError(
                f"a generator must be a permutation of 0 … {self.degree - 1}; given {p.tolist()}"
            )
        return p.astype(np.int64)

    def _sift(self, first: int, p: np.ndarray) -> np.ndarray | None:
        """Return what is left of p when the chain from a level on is divided out; None if none."""
        for level in self._levels[first:]:
            found = level.transversal.get(int(p[level.point]))
            if found is None:
                return p
            p = found[1][p]
        return None if np.array_equal(p, np.arange(self.degree)) else p

    def _extend(self, place: int, p: np.ndarray) -> None:
        """Let the group of one level hold p, and every level below what follows from it."""
        if place == len(self._levels):
            identity = np.arange(self.degree)
            point = int(np.flatnonzero(p != identity)[0])
            self._levels.append(_Level(point, [], {point: (identity, identity)}))
        level = self._levels[place]
        level.generators.append(p)
        waiting = [(q, p) for q in level.transversal]
        while waiting:
            q, s = waiting.pop()
            onward = s[level.transversal[q][0]]
            after = int(onward[level.point])
            if after not in level.transversal:
                level.transversal[after] = (onward, _inverse(onward))
                waiting += [(after, generator) for generator in level.generators]
                continue
            schreier = level.transversal[after][1][onward]
            rest = self._sift(place + 1, schreier)
            if rest is not None:
                self._extend(place + 1, schreier)


def _inverse(p: np.ndarray) -> np.ndarray:
    q = np.empty_like(p)
    q[p] = np.arange(len(p))
    return q


def _alternating_orders(degree: int, generators: list[np.ndarray]) -> tuple[int, ...] | None:
    """Return the orders of a symmetric or alternating group without its chain, if it is seen.

    A transitive group that holds a cycle of prime length p with n/2 < p < n − 2, all other points
    fixed, holds every even permutation (Jordan). Some power of g is such a cycle if exactly one
    cycle of g has a length divisible by p, which is p itself: 2p > n leaves room for no other.
    """
    moves = [StabilizerChain(degree).check(p) for p in generators]
    if degree < 8 or not moves or not _is_transitive(degree, moves):
        return None
    source, word = np.random.default_rng(0), np.arange(degree)
    primes = {p for p in range(degree // 2 + 1, degree - 2) if _is_prime(p)}
    for _ in range(_TRIALS):
        for which in source.integers(len(moves), size=2 * degree.bit_length()):
            word = moves[which][word]
        if primes & set(_cycle_lengths(word)):
            odd = any((degree - len(_cycle_lengths(p))) % 2 for p in moves)
            whole = math.factorial(degree)
            return (whole, whole // 2) if odd else (whole // 2,)
    return None


def _is_transitive(degree: int, moves: list[np.ndarray]) -> bool:
    seen, waiting = {0}, [0]
    while waiting:
        here = waiting.pop()
        fresh = {int(p[here]) for p in moves} - seen
        seen |= fresh
        waiting += fresh
    return len(seen) == degree


def _cycle_lengths(p: np.ndarray) -> list[int]:
    lengths, left, images = [], set(range(len(p))), p.tolist()
    while left:
        here, length = left.pop(), 1
        while (here := images[here]) in left:
            left.remove(here)
            length += 1
        lengths.append(length)
    return lengths


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % d for d in range(2, math.isqrt(number) + 1))


def derived_orders(degree: int, generators: Iterable[np.ndarray]) -> tuple[int, ...]:
    """Return the orders along the derived series of a permutation group.

    Args:
        degree: n.
        generators: (n,) permutations.

    Returns:
        The orders, the group's first; the last is 1 if it is solvable, else that of the perfect
        residual. The derived length is one less than their number.

    Raises:
        DomainError: if a generator is not a permutation.

    Claims: ssm.C3.

    Example:
        >>> derived_orders(4, [(1, 0, 2, 3), (1, 2, 3, 0)])
        (24, 12, 4, 1)
        >>> derived_orders(5, [(1, 0, 2, 3, 4), (1, 2, 3, 4, 0)])
        (120, 60)
    """
    generators = list(generators)
    large = _alternating_orders(degree, generators)
    if large is not None:
        return large
    chain = StabilizerChain(degree, generators)
    orders = [chain.order]
    while orders[-1] > 1:
        chain = chain.derived()
        if chain.order == orders[-1]:
            break
        orders.append(chain.order)
    return tuple(orders)


def order_text(order: int) -> str:
    """Return the order of a group in a few characters.

    Args:
        order: at least 1, of any size.

    Returns:
        All digits, or "about" a power of ten where they are many.

    Example:
        >>> order_text(5040), order_text(math.factorial(70))
        ('5,040', 'about 10^100')
    """
    return f"{order:,}" if order < 10**15 else f"about 10^{round(math.log10(order))}"
