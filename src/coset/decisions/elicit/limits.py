"""Checks of the settings that the searches share: widths, error probabilities, counts."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

from coset.core.errors import DomainError, DtypeError

__all__ = ["check_count", "check_share"]


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
    if not 0 < float(value) < 1:
        raise DomainError(f"{name} must lie in (0, 1); given {value!r}")
    return value if isinstance(value, Fraction) else Fraction(float(value))


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
