"""Results that hold fractions, lotteries and event sequences, and still become JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.results import Record
from coset.decisions.preferences.lottery import EventSequence, Lottery
from coset.decisions.preferences.readable_record import changed_to_json

__all__ = ["ExactRecord"]


@dataclass(frozen=True)
class _StoredFraction(Record):
    numerator: int
    denominator: int


@dataclass(frozen=True)
class _StoredLottery(Record):
    outcomes: tuple[Any, ...]
    weights: tuple[Any, ...]


@dataclass(frozen=True)
class _StoredSequence(Record):
    events: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ExactRecord(Record):
    """A record whose fields may hold fractions, lotteries and event sequences.

    Examples:
        >>> @dataclass(frozen=True)
        ... class Half(ExactRecord):
        ...     value: Fraction
        >>> Record.from_json(Half(Fraction(1, 2)).to_json()).value
        Fraction(1, 2)
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _revived(getattr(self, field.name)))

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values; as `Record.to_json`, with exact numbers besides.

        Returns:
            ``{"class": "module:Name", "fields": {...}}``.

        Raises:
            TypeError: if an outcome is neither text, a number, a tuple nor an event sequence.
        """
        return changed_to_json(self, _storable)


def _storable(value: Any) -> Any:
    if isinstance(value, Fraction):
        return _StoredFraction(value.numerator, value.denominator)
    if isinstance(value, Lottery):
        return _StoredLottery(_storable(value.outcomes), _storable(value.weights))
    if isinstance(value, EventSequence):
        return _StoredSequence(value.events)
    return _inside(value, _storable)


def _revived(value: Any) -> Any:
    if isinstance(value, _StoredFraction):
        return Fraction(value.numerator, value.denominator)
    if isinstance(value, _StoredLottery):
        return Lottery(_revived(value.outcomes), _revived(value.weights))
    if isinstance(value, _StoredSequence):
        return EventSequence(value.events)
    return _inside(value, _revived)


def _inside(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change what a tuple or a mapping holds; anything else stays."""
    if isinstance(value, tuple):
        return tuple(change(v) for v in value)
    if isinstance(value, Mapping):
        return {change(k): change(v) for k, v in value.items()}
    return value
