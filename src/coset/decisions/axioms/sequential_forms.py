"""The form of the comparisons that each sequential axiom speaks of."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from coset.decisions.preferences.lottery import EventSequence, Lottery, mix

__all__ = ["FORMS", "Comparison", "delayed_swap", "later"]

Comparison = tuple[Lottery, Lottery]


def later(event: str, comparison: Comparison) -> Comparison:
    """Return a comparison as it is after an event.

    Args:
        event: e.
        comparison: p and q.

    Returns:
        e∘p and e∘q.
    """
    return comparison[0].prepend(event), comparison[1].prepend(event)


def delayed_swap(
    event: str, first: EventSequence, second: EventSequence, gamma: Fraction
) -> Comparison:
    """Return the two sides of temporal γ-indifference.

    Args:
        event: e.
        first: τ₁.
        second: τ₂.
        gamma: γ ≥ 0.

    Returns:
        1/(γ+1) e∘τ₁ + γ/(γ+1) τ₂, and the same with τ₁ and τ₂ exchanged.

    Claims: decisions.C6.
    """
    share = 1 / (gamma + 1)
    sure = Lottery.sure
    return (
        mix(share, sure(first.prepend(event)), sure(second)),
        mix(share, sure(second.prepend(event)), sure(first)),
    )


def _prefixed(comparisons: Sequence[Comparison], event: str) -> bool:
    """Each second comparison is the one before it, after the event."""
    pairs = list(zip(comparisons[0::2], comparisons[1::2], strict=False))
    return 2 * len(pairs) == len(comparisons) > 0 and all(
        later(event, before) == after for before, after in pairs
    )


def _trade_off(comparisons: Sequence[Comparison], event: str) -> bool:
    """One trade-off after the event, the same without it, and two futures of the event."""
    if len(comparisons) != 3:
        return False
    delayed, now, alive = comparisons
    shares = [_moved(x, y, event) for x, y in zip(delayed, now, strict=True)]
    begun = all(len(_tails(side, event)) == len(side.outcomes) for side in alive)
    return begun and shares[0] is not None and shares[0] == shares[1]


def _moved(delayed: Lottery, now: Lottery, event: str) -> Fraction | None:
    """Return s with delayed = s e∘A + (1 − s) C and now = s A + (1 − s) C, if there are A and C."""
    outcomes: list[Any] = sorted(delayed.support | now.support, key=len)
    moved: dict[EventSequence, Any] = {}
    for outcome in outcomes:
        change = delayed.probability(outcome) - now.probability(outcome)
        begins = outcome.events[:1] == (event,)
        moved[outcome] = (moved.get(_tail(outcome), 0) if begins else 0) - change
        if not 0 <= moved[outcome] <= now.probability(outcome):
            return None
        if moved[outcome] and outcome.prepend(event) not in delayed.support:
            return None
    return sum(moved.values(), Fraction(0))


def _one_swap(comparisons: Sequence[Comparison], event: str) -> bool:
    return len(comparisons) == 1 and bool(_gammas(comparisons[0], event))


def _two_swaps(comparisons: Sequence[Comparison], event: str) -> bool:
    """Two certain futures, their swap by some event, two others, and theirs with the same γ."""
    if len(comparisons) != 4:
        return False
    order, swap, other, other_swap = comparisons
    events = {o.events[:1] for side in swap for o in side.outcomes}  # type: ignore[attr-defined]
    known = {g for first in events for e in first for g in _gammas(swap, e, order)}
    return bool(known & _gammas(other_swap, event, other))


def _gammas(swap: Comparison, event: str, order: Comparison | None = None) -> set[Fraction]:
    """Return each γ with which this is a swap by the event, of the two futures if given."""
    p, q = swap
    gammas = {1 / Fraction(share) - 1 for share in (*p.weights, *q.weights)}
    return {
        gamma
        for gamma in gammas
        for first, second in itertools.product(_tails(p, event), _tails(q, event))
        if order is None or order == (Lottery.sure(first), Lottery.sure(second))
        if delayed_swap(event, first, second, gamma) == swap
    }


def _tails(lottery: Lottery, event: str) -> list[EventSequence]:
    """Return what follows the event in those outcomes that begin with it."""
    outcomes: tuple[Any, ...] = lottery.outcomes
    return [_tail(o) for o in outcomes if o.events[:1] == (event,)]


def _tail(outcome: Any) -> EventSequence:
    return EventSequence(outcome.events[1:])


def _two_paths(comparisons: Sequence[Comparison], event: str) -> bool:
    return len(comparisons) == 1 and all(len(side.outcomes) == 1 for side in comparisons[0])


# Axiom → whether comparisons, with the event at which it is said to fail, are what it speaks of.
FORMS: Mapping[str, Callable[[Sequence[Comparison], str], bool]] = {
    "memorylessness": _prefixed,
    "additivity": _trade_off,
    "gamma-indifference": _one_swap,
    "one gamma": _two_swaps,
    "path independence": _two_paths,
}
