"""Two words that one diagonal layer cannot tell apart, found coordinate by coordinate.

Level B, second half, for a layer that no word makes grow (`growth`). Each coordinate that moves is
then either a rotation about one center, where all updates commute, or has a letter with |a| < 1,
where a long enough common ending forgets. So two words with equal rotations and different values
are told apart by nothing once the ending is long enough.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.witness.finite import trace_labels
from coset.ssm.witness.growth import is_constant, is_unit
from coset.ssm.witness.tables import LayerTables
from coset.ssm.witness.words import Word

__all__ = ["closest_pair", "common_moduli", "forgetting_letters", "rotating"]

_MAX_MODULUS = 1000
_MAX_PHASES = 2**20
_MAX_PAIRS = 16
_MAX_POWER = 10**5


def rotating(tables: LayerTables, max_length: int) -> np.ndarray:
    """Return the coordinates that only turn: every letter has |a| = 1.

    Args:
        tables: the layer.
        max_length: decides what counts as 1.

    Returns:
        Their numbers; constant coordinates are left out.
    """
    unit = is_unit(tables.a, max_length).all(axis=0)
    return np.flatnonzero(unit & ~is_constant(tables))


def forgetting_letters(tables: LayerTables, max_length: int) -> tuple[int, ...] | None:
    """Return letters that together shrink every coordinate that does not only turn.

    Args:
        tables: the layer.
        max_length: decides what counts as |a| < 1.

    Returns:
        Tokens in increasing order, at least one; ``None`` if a coordinate cannot be shrunk.
    """
    constant = is_constant(tables)
    fading = set(range(tables.width)) - set(rotating(tables, max_length).tolist())
    letters: set[int] = set()
    for j in sorted(fading):
        if constant[j]:
            continue
        x = int(np.abs(tables.a[:, j]).argmin())
        if is_unit(tables.a[x, j], max_length):
            return None
        letters.add(x)
    return tuple(sorted(letters)) or (0,)


def common_moduli(a: np.ndarray) -> tuple[int, ...] | None:
    """Return the least m_j ≤ 1000 with a[:, j]^m_j = 1, to 10⁻⁷ of a turn.

    Args:
        a: (X, d) complex of modulus 1.

    Returns:
        The moduli, or ``None`` if some coordinate has none.
    """
    turns = np.angle(a) / (2 * np.pi)
    moduli: list[int] = []
    for j in range(a.shape[1]):
        for m in range(1, _MAX_MODULUS + 1):
            if np.abs(turns[:, j] * m - np.round(turns[:, j] * m)).max() <= 1e-7 * m:
                moduli.append(m)
                break
        else:
            return None
    return tuple(moduli)


def _pairs(
    tables: LayerTables, mul: np.ndarray, letters: np.ndarray, identity: int, max_length: int
) -> Iterator[tuple[Word, Word]]:
    """Give pairs of words of different value that turn the rotating coordinates alike."""
    turning = rotating(tables, max_length)
    a = tables.a[:, turning]
    values = range(len(letters))
    wrong = ((x, y) for x in values for y in range(x) if _do_not_commute(mul, letters, x, y))
    for x, y in itertools.islice(wrong, _MAX_PAIRS):
        yield Word.of([x, y]), Word.of([y, x])
    alike = (
        (x, y)
        for x in values
        for y in range(x)
        if letters[x] != letters[y] and np.abs(a[x] - a[y]).max(initial=0.0) <= 1e-12
    )
    for x, y in itertools.islice(alike, _MAX_PAIRS):
        yield Word.of([x]), Word.of([y])
    moduli = common_moduli(a)
    if moduli is not None and np.prod([float(m) for m in moduli]) <= _MAX_PHASES:
        phases = np.round(np.angle(a) / (2 * np.pi) * np.array(moduli)).astype(np.int64)
        layer = PhaseLayer(moduli, (phases % np.array(moduli, dtype=np.int64))[None])
        cascade = Cascade((layer,), len(letters))
        table = mul[:, letters]
        found = trace_labels(cascade.step, cascade.num_codes, table, start_label=identity)
        if found.conflict is not None:
            yield found.conflict


def _do_not_commute(mul: np.ndarray, letters: np.ndarray, x: int, y: int) -> bool:
    return bool(mul[letters[x], letters[y]] != mul[letters[y], letters[x]])


def _powers(
    tables: LayerTables,
    mul: np.ndarray,
    letters: np.ndarray,
    identity: int,
    resolution: float,
    max_length: int,
) -> Iterator[tuple[Word, Word]]:
    """Give x^N and the empty word, N smallest with all rotations near 1 and a value that is not."""
    turning = rotating(tables, max_length)
    radii = np.abs(tables.start[turning])
    steps = np.arange(1, min(max_length, _MAX_POWER) + 1)
    for x, value in enumerate(letters.tolist()):
        order, power = 1, value
        while power != identity:
            power, order = int(mul[power, value]), order + 1
        if order == 1:
            continue
        far = np.zeros(steps.size)
        for angle, size in zip(np.angle(tables.a[x, turning]), radii, strict=True):
            far = np.maximum(far, np.abs(2 * np.sin(angle * steps / 2)) * max(1.0, size))
        near = np.flatnonzero((far <= resolution / 4) & (steps % order != 0))
        if near.size:
            yield Word.of([x]) ** int(steps[near[0]]), Word()


def closest_pair(
    tables: LayerTables,
    mul: np.ndarray,
    letters: Sequence[int] | np.ndarray,
    identity: int,
    *,
    resolution: float,
    max_length: int,
) -> tuple[Word, Word, float] | None:
    """Return two words of different value whose states are at most the resolution apart.

    Args:
        tables: a layer that no word makes grow.
        mul: (n, n) multiplication table, "a, then b".
        letters: (X,) the element of each token.
        identity: the neutral element.
        resolution: ε.
        max_length: words are no longer.

    Returns:
        The words, which end in the same letters, and their distance; or ``None``.

    Claims: ssm.C1.
    """
    mul, letters = np.asarray(mul), np.asarray(letters)
    ending = forgetting_letters(tables, max_length)
    if ending is None:
        return None
    tail = Word.of(ending)
    best: tuple[Word, Word, float] | None = None
    for first, second in _pairs(tables, mul, letters, identity, max_length):
        closed = _close(tables, first, second, tail, resolution, max_length)
        if closed is not None and (best is None or closed[0].length < best[0].length):
            best = closed
            if closed[0].length <= 3:
                break
    if best is not None:
        return best
    for first, second in _powers(tables, mul, letters, identity, resolution, max_length):
        closed = _close(tables, first, second, tail, resolution, max_length)
        if closed is not None:
            return closed
    return None


def _close(
    tables: LayerTables, first: Word, second: Word, tail: Word, resolution: float, max_length: int
) -> tuple[Word, Word, float] | None:
    """Append the shortest common power of the tail, at least one, that brings the words close."""

    def distance(n: int) -> float:
        ends = [tables.state(word + tail**n) for word in (first, second)]
        return float(np.abs(ends[0] - ends[1]).max(initial=0.0))

    most = (max_length - max(first.length, second.length)) // tail.length
    low, high = 0, 1
    while high <= most and not distance(high) <= resolution:
        low, high = high, 2 * high
    high = min(high, most)
    if high < 1 or not distance(high) <= resolution:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if distance(middle) <= resolution else (middle, high)
    return first + tail**high, second + tail**high, distance(high)
