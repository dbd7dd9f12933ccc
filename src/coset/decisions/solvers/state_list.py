"""States by number in the text of an error or an explanation."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

__all__ = ["list_states"]

# So many are named; what follows is "…".
_MOST = 8


def list_states(states: Iterable[int]) -> str:
    """Return the first states of a list, as text.

    Args:
        states: their numbers.

    Returns:
        At most eight of them, with "…" behind if there are more.

    Examples:
        >>> list_states(range(3)), list_states(range(9))
        ('0, 1, 2', '0, 1, 2, 3, 4, 5, 6, 7 …')
    """
    first = [str(int(s)) for s in islice(states, _MOST + 1)]
    return ", ".join(first[:_MOST]) + (" …" if len(first) > _MOST else "")
