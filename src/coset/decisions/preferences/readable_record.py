"""Records that change their values on the way to JSON: fractions become text, never rounded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from coset.core.results import Record

__all__ = ["ReadableRecord", "changed_to_json"]


@dataclass(frozen=True, eq=False)
class ReadableRecord(Record):
    """A record that writes fractions as text, in tuples and the values of mappings as well.

    Its subclasses read them back from the text.
    """

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values; numbers are text such as "9/10", nothing is rounded.

        Returns:
            What `from_json` takes.

        Raises:
            TypeError: if a field or an outcome is something other than a JSON value or a tuple of
                them.
        """
        return changed_to_json(self, _as_text)


def changed_to_json(record: Record, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a record as JSON values, each field changed before.

    Args:
        record: any.
        change: makes of a field's value one that `Record.to_json` stores.

    Returns:
        What `Record.to_json` returns of a record with the changed values.

    Raises:
        TypeError: if a changed value is none that can be stored.
    """
    # Filled without the checks of the constructor, which would turn the changes back.
    changed = object.__new__(type(record))
    for field in dataclasses.fields(record):
        object.__setattr__(changed, field.name, change(getattr(record, field.name)))
    return Record.to_json(changed)


def _as_text(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _as_text(x) for key, x in value.items()}
    if isinstance(value, tuple):
        return tuple(_as_text(x) for x in value)
    return value
