"""Nested commutator words: they return the lower layers to their start and keep moving the value.

This is level C. For words p and q that bring the first i layers back, whatever state those are in,
p q p^(m−1) q^(m'−1) brings back i + 1 layers if M divides m and m': the updates of layer i + 1 are
rotations about fixed centers by angles 2π/M, so they commute and add up to m θ_p + m' θ_q ≡ 0.
With m a multiple also of the order of p's value, the word's value is the commutator p q p⁻¹ q⁻¹.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coset.core.errors import DomainError
from coset.ssm.witness.words import Word

__all__ = ["commutator_pair"]

_FAR = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, eq=False)
class _Level:
    """The shortest known words of one level, one for each value that it reaches.

    Attributes:
        lengths: (n,) int64; _FAR where no word of the level has the value.
        before: (n,) the value before the last factor; −1 for the empty word.
        factor: (n,) the last factor's value.
        recipes: factor's value to (p, q, m − 1, m' − 1) over the level below, or to a token.
    """

    lengths: np.ndarray
    before: np.ndarray
    factor: np.ndarray
    recipes: dict[int, tuple[int, ...]]


def commutator_pair(
    mul: np.ndarray,
    alphabet: Sequence[int] | np.ndarray,
    moduli: Sequence[int],
) -> tuple[Word, Word] | None:
    """Return two words of different value that end in the same state of every layer.

    The model has one layer for each modulus; each layer's coordinates turn about fixed centers by
    multiples of 2π/M, depending on the token and on the layers below in any way. The words are p q
    and q p for the cheapest p, q of level k − 1 with values that do not commute. They exist iff the
    derived length of the group that the alphabet generates is more than k.

    Args:
        mul: (n, n) multiplication table, "a, then b".
        alphabet: (X,) the element of each token.
        moduli: M for each layer, bottom to top, each ≥ 1.

    Returns:
        The two words, or ``None`` if there are none.

    Raises:
        DomainError: if a modulus is < 1.

    Complexity: O(k n²) time and memory, whatever the words' length.

    Claims: ssm.C1, ssm.C2.

    Example:
        >>> from coset.groups import symmetric
        >>> s3 = symmetric(3)
        >>> [w.length for w in commutator_pair(s3.mul, range(6), [12])]
        [2, 2]
        >>> commutator_pair(s3.mul, range(6), [12, 12]) is None
        True
    """
    if any(m < 1 for m in moduli):
        raise DomainError(f"moduli must be ≥ 1; given {tuple(moduli)}")
    mul = np.asarray(mul, dtype=np.int64)
    identity = int(np.flatnonzero((mul == np.arange(len(mul))).all(axis=1))[0])
    orders = _orders(mul, identity)
    recipes: dict[int, tuple[int, ...]] = {}
    for token, value in enumerate(np.asarray(alphabet).tolist()):
        recipes.setdefault(value, (token,))
    levels = [_closure(mul, identity, recipes, dict.fromkeys(recipes, 1))]
    for modulus in moduli[:-1]:
        recipes, costs = _commutators(mul, orders, levels[-1], modulus)
        levels.append(_closure(mul, identity, recipes, costs))
    top = np.minimum(levels[-1].lengths, _FAR)
    price = np.where(mul != mul.T, top[:, None] + top[None, :], _FAR)
    if not moduli:  # no layer, no state: any word of another value is one
        price = np.where(np.eye(len(mul), dtype=bool), _FAR, top[:, None] + top[None, :])
    p, q = (int(i) for i in np.unravel_index(int(price.argmin()), price.shape))
    if price[p, q] >= _FAR:
        return None
    known: dict[tuple[int, int], Word] = {}
    first, second = (_word(levels, len(levels) - 1, value, known) for value in (p, q))
    return (first + second, second + first) if moduli else (first, second)


def _orders(mul: np.ndarray, identity: int) -> np.ndarray:
    """Return the order of each element."""
    elements = np.arange(len(mul))
    orders = np.zeros(len(mul), dtype=np.int64)
    power, n = elements.copy(), 1
    while (orders == 0).any():
        orders[(power == identity) & (orders == 0)] = n
        power, n = mul[power, elements], n + 1
    return orders


def _commutators(
    mul: np.ndarray, orders: np.ndarray, level: _Level, modulus: int
) -> tuple[dict[int, tuple[int, ...]], dict[int, int]]:
    """Return the cheapest words p q p^(m−1) q^(m'−1) over a level, one for each value."""
    values = np.flatnonzero(level.lengths < _FAR)
    periods = np.array([math.lcm(int(modulus), int(orders[v])) for v in values], dtype=np.int64)
    costs = np.minimum(level.lengths[values].astype(np.float64) * periods, float(_FAR)).astype(
        np.int64
    )
    inverses = _inverses(mul, orders)
    p, q = values[:, None], values[None, :]
    commutator = mul[mul[p, q], mul[inverses[p], inverses[q]]]
    total = np.minimum(costs[:, None] + costs[None, :], _FAR).reshape(-1)
    order = np.argsort(total, kind="stable")
    found, first = np.unique(commutator.reshape(-1)[order], return_index=True)
    recipes: dict[int, tuple[int, ...]] = {}
    price: dict[int, int] = {}
    for value, at in zip(found.tolist(), order[first].tolist(), strict=True):
        i, j = divmod(at, len(values))
        if total[at] < _FAR:
            recipes[value] = (
                int(values[i]),
                int(values[j]),
                int(periods[i]) - 1,
                int(periods[j]) - 1,
            )
            price[value] = int(total[at])
    return recipes, price


def _inverses(mul: np.ndarray, orders: np.ndarray) -> np.ndarray:
    identity = int(np.flatnonzero(orders == 1)[0])
    inverses: np.ndarray = (mul == identity).argmax(axis=1)
    return inverses


def _closure(
    mul: np.ndarray,
    identity: int,
    recipes: dict[int, tuple[int, ...]],
    costs: dict[int, int],
) -> _Level:
    """Close words under products: the cheapest product of each value (Dijkstra)."""
    n = len(mul)
    lengths = np.full(n, _FAR, dtype=np.int64)
    before, factor = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    lengths[identity] = 0
    factors = np.array([v for v in recipes if v != identity], dtype=np.int64)
    prices = np.array([costs[int(v)] for v in factors], dtype=np.int64)
    done = np.zeros(n, dtype=bool)
    queue = [(0, identity)]
    while queue and factors.size:
        length, value = heapq.heappop(queue)
        if done[value]:
            continue
        done[value] = True
        after, total = mul[value, factors], np.minimum(length + prices, _FAR)
        for i in np.flatnonzero(total < lengths[after]).tolist():
            target = int(after[i])
            if total[i] < lengths[target]:
                lengths[target], before[target], factor[target] = total[i], value, factors[i]
                heapq.heappush(queue, (int(total[i]), target))
    return _Level(lengths, before, factor, recipes)


def _word(
    levels: Sequence[_Level], number: int, value: int, known: dict[tuple[int, int], Word]
) -> Word:
    """Write out the word of a value at a level, in power form."""
    key = (number, value)
    if key not in known:
        level, factors, at = levels[number], [], value
        while level.before[at] >= 0:
            factors.append(int(level.factor[at]))
            at = int(level.before[at])
        known[key] = Word.join((_factor(levels, number, f, known), 1) for f in factors[::-1])
    return known[key]


def _factor(
    levels: Sequence[_Level], number: int, value: int, known: dict[tuple[int, int], Word]
) -> Word:
    recipe = levels[number].recipes[value]
    if number == 0:
        return Word.of(recipe)
    p, q, back_p, back_q = recipe
    first, second = (_word(levels, number - 1, v, known) for v in (p, q))
    return Word.join(((first, 1), (second, 1), (first, back_p), (second, back_q)))
