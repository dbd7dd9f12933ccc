"""Checks that the searches share: widths, error probabilities, counts, lists of names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

from coset.core.errors import DomainError, DtypeError

__all__ = ["check_count", "check_distinct", "check_share"]


def check_share(name: str, value: Any) -> Fraction:
    """Return a number in (0, 1), such as a tolerance or an error probability.

    Args:
        name: of the setting, for the message.
        value: a number.

    Returns:
        Its exact value.

    Raises:
        DtypeError: if it is no number.
        DomainError: if it is outside.
    """
    if not isinstance(value, Real):
        raise DtypeError(f"{name} must be a number in (0, 1); given {value!r:.60}")
    # First as it is, for float(10**400) overflows; then as a float, which may round to an end.
    number: Any = value  # for mypy no float is a Real
    if not 0 < number < 1 or not 0 < float(number) < 1:
        raise DomainError(f"{name} must lie in (0, 1); given {number!s:.60}")
    return number if isinstance(number, Fraction) else Fraction(float(number))


def check_count(name: str, value: Any, least: int = 1, most: float = math.inf) -> int:
    """Return an integer setting.

    Args:
        name: of the setting, for the message.
        value: an integer, Python's or NumPy's.
        least: the smallest that is allowed.
        most: the largest that is allowed.

    Returns:
        The integer.

    Raises:
        DomainError: if it is no integer, or outside.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= value <= most:
        allowed = f"≥ {least}" if most == math.inf else f"in {least}…{most}"
        raise DomainError(f"{name} must be an integer {allowed}; given {value!r:.60}")
    return int(value)


def check_distinct(what: str, values: Any) -> list[Any]:
    """Return events or outcomes as a list.

    Args:
        what: "event" or "outcome", for the message.
        values: distinct hashable things, at least one.

    Returns:
        The list.

    Raises:
        DomainError: if there is none, or one is named twice.
        DtypeError: if they are not hashable things in a list; a text is not taken apart.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise DtypeError(f"{what}s must be a list; given {values!r:.60}")
    listed = list(values)
    if not listed:
        raise DomainError(f"there must be at least one {what}; given none")
    try:
        repeated = [x for x, times in Counter(listed).items() if times > 1]
    except TypeError as error:
        raise DtypeError(f"{what}s must be hashable: {error}; use names or tuples") from error
    if repeated:
        raise DomainError(f"each {what} is named once; {repeated[0]!r} is given twice")
    return listed
