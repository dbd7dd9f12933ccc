"""Walks through a table of transitions for numba."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

from numba import njit

__all__ = ["walk"]


@njit(cache=True, nogil=True)
def walk(table, tokens, start, codes):
    """Write codes[i, t] = table[codes[i, t − 1], tokens[i, t]] from start[i] on, row by row.

    Returns the first row that meets a code outside of the table (one from a file, say), or −1.
    """
    num_codes = table.shape[0]
    for i in range(tokens.shape[0]):
        now = start[i]
        for t in range(tokens.shape[1]):
            if now < 0 or now >= num_codes:
                return i
            now = table[now, tokens[i, t]]
            codes[i, t] = now
    return -1
