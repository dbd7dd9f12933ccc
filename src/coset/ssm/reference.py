"""The algorithms of compiled trackers literally: loops, sets and dictionaries of Python integers.

Slow and obviously right, for tests and benchmarks. A group is given by its table of products.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from coset.core.errors import DomainError
from coset.ssm.cascade import Cascade
from coset.ssm.phase_layer import PhaseLayer

__all__ = [
    "check_reference",
    "compile_reference",
    "derived_series_reference",
    "run_reference",
    "tracking_depth_reference",
]

Table = Sequence[Sequence[int]]


def _identity(mul: Table) -> int:
    return next(e for e in range(len(mul)) if all(mul[e][y] == y for y in range(len(mul))))


def _inverses(mul: Table, identity: int) -> list[int]:
    return [row.index(identity) for row in map(list, mul)]


def _closure(mul: Table, elements: set[int]) -> set[int]:
    """Multiply until nothing new appears."""
    found = set(elements)
    while True:
        more = found | {mul[a][b] for a in found for b in elements}
        if more == found:
            return found
        found = more


def derived_series_reference(mul: Table) -> list[set[int]]:
    """Return G, [G, G], … until it stays, from all commutators a⁻¹b⁻¹ab of all pairs.

    Args:
        mul: n rows of n products.

    Returns:
        The subgroups, the last one perfect: {e} iff the group is solvable.

    Complexity: O(k·n³).

    Example:
        >>> derived_series_reference([[0, 1], [1, 0]])
        [{0, 1}, {0}]
    """
    identity = _identity(mul)
    inverse = _inverses(mul, identity)
    series = [set(range(len(mul)))]
    while True:
        now = series[-1]
        pairs = itertools.product(now, repeat=2)
        commutators = {mul[mul[inverse[a]][inverse[b]]][mul[a][b]] for a, b in pairs}
        after = _closure(mul, commutators | {identity})
        if after == now:
            return series
        series.append(after)


def tracking_depth_reference(mul: Table) -> int | float:
    """Return how many complex layers the group needs, or ∞.

    Args:
        mul: n rows of n products.

    Returns:
        The derived length.

    Claims: ssm.C3.
    """
    series = derived_series_reference(mul)
    return len(series) - 1 if len(series[-1]) == 1 else math.inf


def _coordinates(
    mul: Table, upper: set[int], lower: set[int], identity: int
) -> tuple[list[int], dict[int, tuple[int, ...]]]:
    """Split upper/lower, Abelian, into cyclic factors; return their orders and all coordinates.

    Classes of largest order whose powers meet the subgroup spanned so far in 1 only are taken one
    after another: each of them spans a direct summand.
    """
    class_of = {n: min(mul[m][n] for m in lower) for n in upper}
    one = class_of[identity]

    def powers(a: int) -> list[int]:
        found, now = [one], class_of[a]
        while now != one:
            found.append(now)
            now = class_of[mul[now][a]]
        return found

    moduli: list[int] = []
    spanned: dict[int, tuple[int, ...]] = {one: ()}
    while len(spanned) < len(set(class_of.values())):
        free = [
            (len(powers(a)), -a)
            for a in sorted(set(class_of.values()))
            if a != one and not set(powers(a)[1:]) & set(spanned)
        ]
        order, a = max(free)
        spanned = {
            class_of[mul[h][p]]: (*place, j)
            for h, place in spanned.items()
            for j, p in enumerate(powers(-a))
        }
        moduli.append(order)
    return moduli, {n: spanned[c] for n, c in class_of.items()}


def compile_reference(mul: Table) -> Cascade:
    """Compile a group along its derived series, entry by entry, over the alphabet of all elements.

    Args:
        mul: n rows of n products.

    Returns:
        The cascade; its codes name the elements.

    Raises:
        DomainError: if the group is not solvable.

    Claims: ssm.C2.
    """
    identity, order = _identity(mul), len(mul)
    inverse = _inverses(mul, identity)
    series = derived_series_reference(mul)
    if len(series[-1]) > 1:
        raise DomainError(f"the group must be solvable; its residual has order {len(series[-1])}")
    cell_of, num_cells = {y: 0 for y in range(order)}, 1
    layers: list[PhaseLayer] = []
    for upper, lower in itertools.pairwise(series):
        moduli, coordinates = _coordinates(mul, upper, lower, identity)
        chosen: dict[int, int] = {cell_of[identity]: identity}
        for y in range(order):
            chosen.setdefault(cell_of[y], y)
        increments = np.zeros((num_cells, order, len(moduli)), dtype=np.int64)
        for cell, r in chosen.items():
            for x in range(order):
                moved = mul[r][x]
                increments[cell, x] = coordinates[mul[moved][inverse[chosen[cell_of[moved]]]]]
        layers.append(PhaseLayer(tuple(moduli), increments))
        places = {y: coordinates[mul[y][inverse[chosen[cell_of[y]]]]] for y in range(order)}
        for y, place in places.items():
            for m, s in zip(moduli, place, strict=True):
                cell_of[y] = cell_of[y] * m + s
        num_cells *= math.prod(moduli)
    return Cascade(tuple(layers), order)


def run_reference(cascade: Cascade, tokens: Sequence[int]) -> list[int]:
    """Return the code after each token, phase by phase.

    Args:
        cascade: any cascade, with or without resets.
        tokens: a word.

    Returns:
        The codes.
    """
    states = [[0] * layer.num_phases for layer in cascade.layers]
    codes = []
    for x in tokens:
        cell = code = 0
        for layer, state in zip(cascade.layers, states, strict=True):
            before = list(state)
            for j, m in enumerate(layer.moduli):
                state[j] = (state[j] + int(layer.increments[cell, x, j])) % m
                if layer.resets is not None and layer.resets[cell, x, j] >= 0:
                    state[j] = int(layer.resets[cell, x, j])
            for j, m in enumerate(layer.moduli):
                cell = cell * m + before[j]
                code = code * m + state[j]
        codes.append(code)
    return codes


def check_reference(
    cascade: Cascade, mul: Table, alphabet: Sequence[int], identity: int
) -> Mapping[int, int] | None:
    """Search all reachable (code, value) pairs, one at a time.

    Args:
        cascade: any cascade.
        mul: n rows of n products.
        alphabet: the element of each token.
        identity: the element of the empty word.

    Returns:
        The value of each reachable code, or ``None`` if some code is reached with two.

    Claims: ssm.C2.
    """
    value_of, waiting = {0: identity}, [0]
    while waiting:
        code = waiting.pop()
        for x, element in enumerate(alphabet):
            after = int(cascade.step(np.array(code), np.array(x)))
            value = mul[value_of[code]][element]
            if after not in value_of:
                waiting.append(after)
            if value_of.setdefault(after, value) != value:
                return None
    return value_of
