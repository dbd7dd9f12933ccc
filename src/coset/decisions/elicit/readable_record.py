"""Records whose numbers may be fractions: as JSON they are text such as "9/10", never rounded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.results import Record
from coset.decisions.preferences.exact_numbers import exact_number
from coset.decisions.preferences.lottery import Number

__all__ = ["Interval", "ReadableRecord", "numbers"]

Interval = tuple[Number, Number]


@dataclass(frozen=True, eq=False)
class ReadableRecord(Record):
    """A record that writes fractions as text; its subclasses read them back with `numbers`."""

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values.

        Returns:
            What `from_json` takes.

        Raises:
            TypeError: if a field holds something that is no JSON value.
        """
        # Filled without the checks of the constructor, which would make numbers of the text.
        text = object.__new__(type(self))
        for field in dataclasses.fields(self):
            object.__setattr__(text, field.name, _as_text(getattr(self, field.name)))
        return Record.to_json(text)


def _as_text(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _as_text(x) for key, x in value.items()}
    if isinstance(value, tuple):
        return tuple(_as_text(x) for x in value)
    return value


def numbers(value: Any) -> Any:
    """Read text as fractions inside tuples and the values of mappings; floats stay.

    Args:
        value: a number, text, or a tuple or mapping of such values.

    Returns:
        The same with fractions for text.

    Raises:
        DomainError: if some text is not a number.

    Examples:
        >>> numbers({"a": ("1/3", 0.5)})
        {'a': (Fraction(1, 3), 0.5)}
    """
    if isinstance(value, str):
        return exact_number(value)
    if isinstance(value, Mapping):
        return {key: numbers(x) for key, x in value.items()}
    if isinstance(value, tuple):
        return tuple(numbers(x) for x in value)
    return value
