"""Words that make one diagonal layer's state grow without bound.

Level B, first half. In a coordinate that is not constant: |a(x)| > 1, or a(x) = 1 with b(x) ≠ 0,
makes xⁿ unbounded; two letters of modulus 1 that turn about different centers c ≠ c′ walk outward,
because a turn about c to the side away from c′ gains |c − c′| of distance from c′.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from coset.ssm.witness.tables import LayerTables
from coset.ssm.witness.words import Word

__all__ = ["Growth", "growing_words", "is_constant", "is_unit"]

_MAX_TURN = 4096
_LEAST = 1e-9  # below it a shift or a distance of centers is rounding


@dataclass(frozen=True)
class Growth:
    """A word after which the state lies outside of the radius.

    Attributes:
        word: the word.
        coordinate: which coordinate grows.
        reason: why it does, in words.
    """

    word: Word
    coordinate: int
    reason: str


def is_constant(tables: LayerTables) -> np.ndarray:
    """Return which coordinates no word moves: b(x) = (1 − a(x)) h₀ for all x.

    Args:
        tables: the layer.

    Returns:
        (d,) bool.
    """
    moved = tables.b - (1 - tables.a) * tables.start
    scale = np.maximum(1.0, np.abs(tables.start) + np.abs(tables.b).max(axis=0, initial=0.0))
    still: np.ndarray = np.abs(moved).max(axis=0, initial=0.0) <= 1e-12 * scale
    return still


def is_unit(a: np.ndarray, max_length: int) -> np.ndarray:
    """Return where |a| counts as 1: where max_length steps neither grow nor shrink it.

    Args:
        a: complex array.
        max_length: the longest word of interest.

    Returns:
        bool array of the same shape.
    """
    unit: np.ndarray = np.abs(np.abs(a) - 1.0) <= 1.0 / max_length
    return unit


def growing_words(tables: LayerTables, radius: float, max_length: int) -> Iterator[Growth]:
    """Give words after which some coordinate exceeds the radius, at most one a cause.

    Args:
        tables: the layer.
        radius: R; the words end with |h|_∞ > R.
        max_length: words are no longer.

    Yields:
        Words with the reasons.

    Claims: ssm.C1.
    """
    moving = np.flatnonzero(~is_constant(tables)).tolist()
    for j in moving:
        for x in range(tables.num_tokens):
            a, b = tables.a[x, j], tables.b[x, j]
            unit = bool(is_unit(a, max_length))
            if abs(a) > 1 and not unit:
                reason = f"token {x} expands coordinate {j}: |a| = {abs(a):.6g}"
            elif unit and abs(a - 1) <= 1.0 / max_length and abs(b) > _LEAST:
                reason = f"token {x} shifts coordinate {j}: a = 1, |b| = {abs(b):.6g}"
            else:
                continue
            word = _repeat(tables, x, j, radius, max_length)
            if word is not None:
                yield Growth(word, j, reason)
    for j in moving:
        yield from _two_centers(tables, j, radius, max_length)


def _repeat(tables: LayerTables, x: int, j: int, radius: float, max_length: int) -> Word | None:
    """Return u xⁿ outside of the radius, n by bisection, u moving off a fixed point."""
    one = LayerTables(tables.a[:, j : j + 1], tables.b[:, j : j + 1], tables.start[j : j + 1])
    for prefix in (Word(), *(Word.of([y]) for y in range(tables.num_tokens))):
        low, high = 0, 1

        def outside(n: int, prefix: Word = prefix) -> bool:
            size = abs(one.state(prefix + Word.of([x]) ** n)[0])
            return not size <= radius  # beyond float64 it is NaN or infinite

        while high <= max_length - prefix.length and not outside(high):
            low, high = high, 2 * high
        high = min(high, max_length - prefix.length)
        if high < 1 or not outside(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if outside(middle) else (middle, high)
        return prefix + Word.of([x]) ** high
    return None


def _two_centers(tables: LayerTables, j: int, radius: float, max_length: int) -> Iterator[Growth]:
    a, b = tables.a[:, j], tables.b[:, j]
    turning = np.flatnonzero(is_unit(a, max_length) & (np.abs(a - 1) > 1.0 / max_length))
    if turning.size < 2:
        return
    centers = b[turning] / (1 - a[turning])
    apart = np.abs(centers[:, None] - centers[None, :])
    scale = max(1.0, float(np.abs(centers).max()))
    for at in np.argsort(-apart, axis=None)[:8].tolist():
        x, y = (int(turning[i]) for i in divmod(at, turning.size))
        if apart.flat[at] <= _LEAST * scale:
            return
        runs = _walk(a[[x, y]], b[[x, y]], tables.start[j], radius, max_length)
        if runs is not None:
            word = Word.join((Word.of([(x, y)[which]]), times) for which, times in runs)
            centers_text = f"distance {apart.flat[at]:.6g}"
            yield Growth(
                word, j, f"tokens {x} and {y} turn coordinate {j} about centers at {centers_text}"
            )
            return


def _walk(
    a: np.ndarray, b: np.ndarray, h: complex, radius: float, max_length: int
) -> list[tuple[int, int]] | None:
    """Turn about two centers in turn, each time to the side away from the other center."""
    centers = b / (1 - a)
    runs: list[tuple[int, int]] = []
    left, which, stuck = max_length, 0, 0
    while stuck < 4:
        turns = min(left, _MAX_TURN, int(np.ceil(2 * np.pi / abs(np.angle(a[which])))) + 1)
        if turns < 1:
            return None
        steps = np.arange(1, turns + 1)
        orbit = centers[which] + a[which] ** steps * (h - centers[which])
        out = np.flatnonzero(np.abs(orbit) > radius)
        if out.size:
            return [*runs, (which, int(steps[out[0]]))]
        gain = np.abs(orbit - centers[1 - which]) - abs(h - centers[1 - which])
        if gain.max() > _LEAST:
            at = int(np.flatnonzero(gain >= 0.8 * gain.max())[0])
            runs.append((which, int(steps[at])))
            h, left, stuck = complex(orbit[at]), left - int(steps[at]), 0
        else:
            stuck += 1
        which = 1 - which
    return None
