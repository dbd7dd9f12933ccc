"""What a terminal may be shown of text that comes from files."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    r"""Return foreign text so that it cannot steer a terminal.

    Args:
        text: any text.

    Returns:
        The text with every character that is not printable as its escape.

    Example:
        >>> printable("a\x1b[2J")
        'a\\x1b[2J'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
