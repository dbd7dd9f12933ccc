"""Subnormal series found by trying all of them: the oracle of the claims about depth."""

from __future__ import annotations

import itertools
import math
from functools import cache

from coset.groups import Group, named_groups

__all__ = ["SeriesSearch", "clocked_values", "search_series", "small_groups"]

Subset = frozenset[int]


class SeriesSearch:
    """All subnormal series of one group whose factors its layers may have, by brute force.

    Args:
        group: a small group.
    """

    def __init__(self, group: Group) -> None:
        self.mul = group.mul.tolist()
        self.inverse = group.inverse.tolist()
        self.trivial: Subset = frozenset([int(group.identity)])
        self.whole: Subset = frozenset(range(group.order))
        self._depth = cache(self._shortest)
        self._tracked = cache(self._typed)
        self._above = cache(self._all_above)

    def depth(self) -> int | float:
        """Return the length of the shortest subnormal series with Abelian factors, or ∞.

        Returns:
            The number of factors.
        """
        return self._depth(self.whole)

    def tracked(self, layers: str) -> bool:
        """Tell whether some subnormal series has the factors that the layers may take, in order.

        A layer c may take any Abelian factor, r one of exponent 2, p and t none but the trivial.

        Args:
            layers: classes from bottom to top.

        Returns:
            Whether there is one.
        """
        return self._tracked(self.whole, layers)

    def _shortest(self, upper: Subset) -> int | float:
        if upper == self.trivial:
            return 0
        below = [m for m in self._above(upper, self._commutators(upper)) if m != upper]
        return min((1 + self._depth(m) for m in below), default=math.inf)

    def _typed(self, upper: Subset, layers: str) -> bool:
        if upper == self.trivial:
            return True
        if not layers:
            return False
        if layers[0] in "pt":
            return self._tracked(upper, layers[1:])
        least = self._commutators(upper)
        if layers[0] == "r":
            least = self._closure(least | {self.mul[h][h] for h in upper})
        return any(self._tracked(m, layers[1:]) for m in self._above(upper, least))

    def _commutators(self, upper: Subset) -> Subset:
        mul, inverse = self.mul, self.inverse
        pairs = itertools.product(upper, repeat=2)
        return self._closure({mul[mul[inverse[a]][inverse[b]]][mul[a][b]] for a, b in pairs})

    def _closure(self, elements: set[int] | Subset) -> Subset:
        found, waiting = set(self.trivial), list(self.trivial)
        while waiting:
            a = waiting.pop()
            fresh = {self.mul[a][b] for b in elements} - found
            found |= fresh
            waiting += fresh
        return frozenset(found)

    def _all_above(self, upper: Subset, least: Subset) -> frozenset[Subset]:
        """Return all subgroups between a normal one with Abelian factor and the whole."""
        found, waiting = {least}, [least]
        while waiting:
            now = waiting.pop()
            for x in upper - now:
                more, power = set(now), x
                while power not in now:
                    more |= {self.mul[s][power] for s in now}
                    power = self.mul[power][x]
                larger = frozenset(more)
                if larger not in found:
                    found.add(larger)
                    waiting.append(larger)
        return frozenset(found)


@cache
def small_groups(max_order: int) -> tuple[Group, ...]:
    """Return `named_groups`, the same objects at each call: a judge and its mutants share them.

    Args:
        max_order: up to which order.

    Returns:
        The groups.
    """
    return named_groups(max_order)


@cache
def search_series(group: Group) -> SeriesSearch:
    """Return the search of a group, with all that it found before.

    Args:
        group: a small group.

    Returns:
        The search.
    """
    return SeriesSearch(group)


def clocked_values(group: Group, alphabet: list[int], layers: str, modulus: int) -> set[int]:
    """Return the values that layers leave open when they may count positions, by sets of pairs.

    P_0 = the pairs (value, length mod M) of all words; c leaves the commutators, r the squares and
    commutators, t the pairs of length 0, p all.

    Args:
        group: a small group.
        alphabet: element ids.
        layers: classes from bottom to top.
        modulus: M.

    Returns:
        The values of what is left above the last layer.
    """
    mul, inverse = group.mul.tolist(), group.inverse.tolist()
    identity = (int(group.identity), 0)

    def times(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        return mul[a[0]][b[0]], (a[1] + b[1]) % modulus

    def back(a: tuple[int, int]) -> tuple[int, int]:
        return inverse[a[0]], -a[1] % modulus

    def closure(pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
        found, waiting = {identity}, [identity]
        while waiting:
            a = waiting.pop()
            fresh = {times(a, b) for b in pairs} - found
            found |= fresh
            waiting += fresh
        return found

    left = closure({(x, 1 % modulus) for x in alphabet})
    for letter in layers:
        if letter == "t":
            left = {pair for pair in left if pair[1] == 0}
        elif letter in "rc":
            both = itertools.product(left, repeat=2)
            more = {times(times(back(a), back(b)), times(a, b)) for a, b in both}
            left = closure(more | ({times(a, a) for a in left} if letter == "r" else set()))
    return {value for value, _ in left}
