"""How numbers, times and names are written in the report."""

from __future__ import annotations

import hashlib
import json
import math
import re
from datetime import UTC, datetime
from typing import Any

__all__ = ["as_text", "clip", "duration", "moment", "number", "plural", "signed", "slug"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def number(value: Any, digits: int = 4) -> str:
    """Write a figure with a few significant digits; anything that is no number as text.

    Args:
        value: a number, ``None``, or text such as "nan" that stands for one.
        digits: significant digits of a float.

    Returns:
        The text; an en dash for ``None``.

    Example:
        >>> number(0.000123456), number(120000), number(None), number(True)
        ('0.0001235', '120,000', '–', 'true')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else f"{value:.{digits}g}"
    if not isinstance(value, float):
        return as_text(value)
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 10**9:
        return f"{int(value):,}"
    if 10 ** (digits - 1) <= abs(value) < 10**9:
        return f"{value:,.1f}"
    return f"{value:.{digits}g}"


def signed(value: float, digits: int = 4) -> str:
    """Write a difference with its sign.

    Args:
        value: the difference.
        digits: significant digits.

    Returns:
        The text, with a true minus sign.

    Example:
        >>> signed(-9.9), signed(0.25)
        ('−9.9', '+0.25')
    """
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return sign + number(abs(value), digits)


def duration(seconds: Any) -> str:
    """Write a time span in the unit that a reader expects.

    Args:
        seconds: a number of seconds, or ``None``.

    Returns:
        The text.

    Example:
        >>> duration(0.00042), duration(2.5), duration(95), duration(7260)
        ('0.42 ms', '2.5 s', '1 min 35 s', '2 h 1 min')
    """
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return "–"
    if seconds < 1e-3:
        return f"{seconds * 1e3:.2g} ms" if seconds >= 1e-5 else f"{seconds * 1e6:.2g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def moment(value: Any) -> str:
    """Write a stored point in time to the minute.

    Args:
        value: ISO 8601 text with a time zone; anything else is shown as it is.

    Returns:
        The text.

    Example:
        >>> moment("2026-01-02T03:04:05+00:00"), moment(None)
        ('2026-01-02 03:04 UTC', 'time unknown')
    """
    if not value:
        return "time unknown"
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (TypeError, ValueError, OverflowError, OSError):
        return as_text(value)


def plural(value: int, noun: str, many: str | None = None) -> str:
    """Write a count with its noun.

    Args:
        value: the count.
        noun: the singular.
        many: the plural, if it is not the singular and an s.

    Returns:
        The text.

    Example:
        >>> plural(1, "claim"), plural(2, "claim"), plural(2, "study", "studies")
        ('1 claim', '2 claims', '2 studies')
    """
    return f"{value:,} {noun if value == 1 else many or noun + 's'}"


def clip(text: str, length: int = 120) -> str:
    """Shorten a text at a word's end.

    Args:
        text: the text; white space is collapsed.
        length: the most characters.

    Returns:
        The text, with an ellipsis if something was cut.

    Example:
        >>> clip("one two three", 9)
        'one two…'
    """
    words = " ".join(text.split())
    if len(words) <= length:
        return words
    cut = words[: length - 1]
    head = cut.rsplit(" ", 1)[0] if " " in cut[length // 2 :] else cut
    return head.rstrip(" ,;:") + "…"


def slug(text: str) -> str:
    """Return a file name or an anchor for a name, different for different names.

    Args:
        text: any name, hostile ones included.

    Returns:
        Letters, digits, dots, hyphens and underscores; the name itself if it is made of them.

    Example:
        >>> slug("sharing.C5"), slug("../x")
        ('sharing.C5', 'x-d6b96a97')
    """
    safe = _UNSAFE.sub("-", text).strip("-.")[:80]
    if safe and safe == text:
        return safe
    return f"{safe or 'name'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def as_text(value: Any, indent: int | None = None) -> str:
    """Write any JSON value as readable text.

    Args:
        value: the value.
        indent: spaces a level for objects and lists; ``None`` keeps one line.

    Returns:
        Strings as they are, all else as JSON.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    except ValueError:
        return str(value)
