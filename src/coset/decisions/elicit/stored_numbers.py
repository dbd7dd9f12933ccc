"""Numbers read back from text such as "9/10", as records with fractions store them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coset.decisions.preferences.exact_numbers import exact_number
from coset.decisions.preferences.lottery import Number

__all__ = ["Interval", "numbers"]

Interval = tuple[Number, Number]


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
