"""Witnesses against models that are given exactly: cascades, one layer, fading stacks."""

from __future__ import annotations

import math

import numpy as np

from coset.core.errors import UnsupportedError
from coset.ssm.cascade import Cascade
from coset.ssm.witness.commutators import commutator_pair
from coset.ssm.witness.fading import FadingStack
from coset.ssm.witness.finite import MAX_STATES, trace_labels
from coset.ssm.witness.growth import growing_words
from coset.ssm.witness.one_layer import closest_pair
from coset.ssm.witness.result import WitnessSearch
from coset.ssm.witness.tables import LayerTables
from coset.ssm.witness.task import TrackingTask
from coset.ssm.witness.words import Word

__all__ = ["refute_cascade", "refute_fading", "refute_layer", "with_common_end"]


def with_common_end(words: tuple[Word, Word]) -> tuple[Word, Word]:
    """Append one token to both words unless they end with the same one.

    Equal states stay equal and different values different; a decoder that also reads the last token
    then gains nothing from it.

    Args:
        words: two words.

    Returns:
        Two words with one last token.
    """
    first, second = words
    if first.last == second.last and first.last is not None:
        return words
    token = first.last if first.last is not None else second.last
    end = Word.of([token or 0])
    return first + end, second + end


def _layer_moduli(cascade: Cascade) -> list[int]:
    return [math.lcm(*layer.moduli) for layer in cascade.layers]


def _cascade_words(
    cascade: Cascade, task: TrackingTask, levels: str, tried: list[str]
) -> tuple[tuple[Word, Word], str] | bool:
    """Return two words that meet in one code and the level; True if there are none at all."""
    if "A" in levels:
        try:
            found = trace_labels(
                cascade.step,
                cascade.num_codes,
                task.label_table,
                start_label=task.group.identity,
            )
        except UnsupportedError:
            tried.append(f"A: more than {MAX_STATES:,} codes")
        else:
            if found.conflict is None:
                tried.append(f"A: all {found.num_reached} states, each with one value")
                return True
            words = with_common_end(found.conflict)
            longest = max(word.length for word in words)
            if longest <= task.max_length:
                return words, "A"
            tried.append(f"A: the shortest words have {longest:,} tokens")
            return False
    if "C" not in levels:
        return False
    if any(layer.resets is not None for layer in cascade.layers):
        tried.append("C: not for layers that reset")
        return False
    pair = commutator_pair(task.group.mul, task.letters, _layer_moduli(cascade))
    if pair is None:
        depth = len(cascade.layers)
        tried.append(f"C: the derived length is at most {depth}, so no commutator word is left")
        return False
    words = with_common_end(pair)
    longest = max(word.length for word in words)
    if longest > task.max_length:
        tried.append(f"C: its words have {longest:,} tokens")
        return False
    return words, "C"


def refute_cascade(cascade: Cascade, task: TrackingTask, levels: str = "ABCD") -> WitnessSearch:
    """Look for two words of different value after which a cascade is in one state.

    Args:
        cascade: the exact model.
        task: what it should track.
        levels: "A" allows the search of all states, which decides; "C" commutator words.

    Returns:
        The witness; or what was tried, and whether that proves that there is none.

    Claims: ssm.C2.
    """
    tried: list[str] = []
    found = _cascade_words(cascade, task, levels, tried)
    if isinstance(found, bool):
        return WitnessSearch(None, tuple(tried), proved=found)
    words, level = found
    reason = {
        "A": "no shorter pair meets in one state",
        "C": f"each of the {len(cascade.layers)} layers is back where it was",
    }[level]
    witness = task.witness("same state", words, level, reason, distance=0.0)
    return WitnessSearch(witness, (*tried, f"{level}: found"))


def refute_layer(tables: LayerTables, task: TrackingTask) -> WitnessSearch:
    """Look for a word that makes one layer's state grow, or two words that bring states together.

    Args:
        tables: the layer.
        task: what it should track.

    Returns:
        The witness; or what was tried.

    Claims: ssm.C1.
    """
    for growth in growing_words(tables, task.radius, task.max_length):
        # The first of the two words is only a beginning, to show where the growth started.
        begin = Word((growth.word.rules[-1][:1],))
        size = float(np.abs(tables.state(growth.word)).max())
        witness = task.witness(
            "unbounded",
            (begin, growth.word),
            "B",
            growth.reason,
            growth=size if size == size else math.inf,
        )
        return WitnessSearch(witness, ("B: a state grows",))
    tried = ["B: no state grows beyond the radius"]
    mul = np.asarray(task.group.mul)
    found = closest_pair(
        tables,
        mul,
        task.letters,
        task.group.identity,
        resolution=task.resolution,
        max_length=task.max_length,
    )
    if found is None:
        tried.append("B: no pair of words with equal turns and different values came close")
        return WitnessSearch(None, tuple(tried))
    first, second, distance = found
    reason = "turns about one center commute, and all other coordinates forget"
    witness = task.witness("too close", (first, second), "B", reason, distance=distance)
    return WitnessSearch(witness, (*tried, "B: found"))


def refute_fading(stack: FadingStack, task: TrackingTask, levels: str = "ABCD") -> WitnessSearch:
    """Look for two words that leave equal phases, and an ending that makes the rest fade.

    Args:
        stack: the model.
        task: what it should track.
        levels: as in `refute_cascade`.

    Returns:
        The witness; or what was tried.

    Claims: ssm.C2.
    """
    tried: list[str] = []
    found = _cascade_words(stack.cascade, task, levels, tried)
    if isinstance(found, bool):
        bounded = stack.largest_state() <= task.radius
        if not bounded:
            tried.append(f"a state may be as large as {stack.largest_state():.3g}")
        return WitnessSearch(None, tuple(tried), proved=found and bounded)
    words, level = found
    closed = _fade(stack, words, task)
    if closed is None:
        tried.append(f"{level}: its ending needs more than {task.max_length:,} tokens")
        return WitnessSearch(None, tuple(tried))
    pair, distance = closed
    reason = "the phases of all layers are equal, and all other coordinates fade"
    witness = task.witness("too close", pair, level, reason, distance=distance)
    return WitnessSearch(witness, (*tried, f"{level}: found"))


def _fade(
    stack: FadingStack, words: tuple[Word, Word], task: TrackingTask
) -> tuple[tuple[Word, Word], float] | None:
    """Append the shortest power of token 0 that brings the fading coordinates close."""
    tail = Word.of([0])
    reached = [stack.state(word) for word in words]

    def distance(n: int) -> float:
        ends = [stack.state(tail**n, start)[1] for start in reached]
        return float(np.abs(ends[0] - ends[1]).max(initial=0.0))

    most = task.max_length - max(word.length for word in words)
    low, high = -1, 0
    while high <= most and distance(high) > task.resolution:
        low, high = high, max(1, 2 * high)
    high = min(high, most)
    if high < 0 or distance(high) > task.resolution:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if distance(middle) <= task.resolution else (middle, high)
    first, second = words
    return (first + tail**high, second + tail**high), distance(high)
