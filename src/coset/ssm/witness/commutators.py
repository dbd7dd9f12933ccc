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

from coset.core.errors import DomainError, RangeError
from coset.ssm.witness.words import Word

__all__ = ["commutator_pair"]


@dataclass(frozen=True, eq=False)
class _Level:
    """The shortest known words of one level, one for each value that it reaches.

    Attributes:
        lengths: (n,) float64, as words of many levels are longer than an integer holds; infinite
            where no word of the level has the value.
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
        The two words, or ``None`` if there are none (of fewer than 10³⁰⁸ tokens).

    Raises:
        DomainError: if a modulus is < 1, or the table is that of no group.
        RangeError: if a token's element is not in the table.

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
    identity, orders = _orders(mul)
    recipes: dict[int, tuple[int, ...]] = {}
    for token, value in enumerate(np.asarray(alphabet, dtype=np.int64).tolist()):
        if not 0 <= value < len(mul):
            raise RangeError(f"elements must lie in 0 … {len(mul) - 1}; given {value}")
        recipes.setdefault(value, (token,))
    levels = [_closure(mul, identity, recipes, dict.fromkeys(recipes, 1.0))]
    for modulus in moduli[:-1]:
        recipes, costs = _commutators(mul, orders, levels[-1], modulus)
        levels.append(_closure(mul, identity, recipes, costs))
    top = levels[-1].lengths
    # Without a layer there is no state: any word of another value is one.
    differ = mul != mul.T if moduli else ~np.eye(len(mul), dtype=bool)
    price = np.where(differ, top[:, None] + top[None, :], np.inf)
    p, q = (int(i) for i in np.unravel_index(int(price.argmin()), price.shape))
    if np.isinf(price[p, q]):
        return None
    known: dict[tuple[int, int], Word] = {}
    first, second = (_word(levels, len(levels) - 1, value, known) for value in (p, q))
    return (first + second, second + first) if moduli else (first, second)


def _orders(mul: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the identity and the order of each element."""
    elements = np.arange(len(mul))
    neutral = np.flatnonzero((mul == elements).all(axis=1))
    orders = np.zeros(len(mul), dtype=np.int64)
    power = elements
    for n in range(1, len(mul) + 1 if neutral.size else 1):
        orders[(power == neutral[0]) & (orders == 0)] = n
        if orders.all():
            return int(neutral[0]), orders
        power = mul[power, elements]
    raise DomainError(
        f"mul must be the multiplication table of a group, where a power of each element is the "
        f"identity; given one of {len(mul)} elements where it is not; use Group.mul"
    )


def _commutators(
    mul: np.ndarray, orders: np.ndarray, level: _Level, modulus: int
) -> tuple[dict[int, tuple[int, ...]], dict[int, float]]:
    """Return the cheapest words p q p^(m−1) q^(m'−1) over a level, one for each value."""
    values = np.flatnonzero(np.isfinite(level.lengths))
    periods = [math.lcm(modulus, int(orders[v])) for v in values]
    costs = level.lengths[values] * np.array([float(period) for period in periods])
    inverses = _inverses(mul, orders)
    p, q = values[:, None], values[None, :]
    commutator = mul[mul[p, q], mul[inverses[p], inverses[q]]]
    total = (costs[:, None] + costs[None, :]).reshape(-1)
    order = np.argsort(total, kind="stable")
    found, first = np.unique(commutator.reshape(-1)[order], return_index=True)
    recipes: dict[int, tuple[int, ...]] = {}
    price: dict[int, float] = {}
    for value, at in zip(found.tolist(), order[first].tolist(), strict=True):
        i, j = divmod(at, len(values))
        if np.isfinite(total[at]):
            recipes[value] = (
                int(values[i]),
                int(values[j]),
                periods[i] - 1,
                periods[j] - 1,
            )
            price[value] = float(total[at])
    return recipes, price


def _inverses(mul: np.ndarray, orders: np.ndarray) -> np.ndarray:
    identity = int(np.flatnonzero(orders == 1)[0])
    inverses: np.ndarray = (mul == identity).argmax(axis=1)
    return inverses


def _closure(
    mul: np.ndarray,
    identity: int,
    recipes: dict[int, tuple[int, ...]],
    costs: dict[int, float],
) -> _Level:
    """Close words under products: the cheapest product of each value (Dijkstra)."""
    n = len(mul)
    lengths = np.full(n, np.inf)
    before, factor = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    lengths[identity] = 0
    factors = np.array([v for v in recipes if v != identity], dtype=np.int64)
    prices = np.array([costs[int(v)] for v in factors])
    done = np.zeros(n, dtype=bool)
    queue = [(0.0, identity)]
    while queue and factors.size:
        length, value = heapq.heappop(queue)
        if done[value]:
            continue
        done[value] = True
        after, total = mul[value, factors], length + prices
        for i in np.flatnonzero(total < lengths[after]).tolist():
            target = int(after[i])
            if total[i] < lengths[target]:
                lengths[target], before[target], factor[target] = total[i], value, factors[i]
                heapq.heappush(queue, (float(total[i]), target))
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
