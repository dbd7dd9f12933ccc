"""Messages between the runner and its workers: a length, then JSON; nothing is ever unpickled."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from coset.core.errors import FileFormatError

__all__ = ["LARGEST_MESSAGE", "encode", "read_message"]

LARGEST_MESSAGE = 1 << 20
_LENGTH = struct.Struct(">I")


def encode(message: dict[str, Any]) -> bytes:
    r"""Return a message as bytes: four bytes of length, big-endian, then UTF-8 JSON.

    Args:
        message: JSON values.

    Returns:
        The bytes to send.

    Example:
        >>> encode({"value": 1})
        b'\x00\x00\x00\x0c{"value": 1}'
    """
    body = json.dumps(message).encode()
    return _LENGTH.pack(len(body)) + body


def read_message(read_exactly: Callable[[int], bytes]) -> dict[str, Any]:
    """Read one message.

    Args:
        read_exactly: returns that many bytes, or raises ``EOFError``.

    Returns:
        The message.

    Raises:
        EOFError: if the stream ends before or inside a message.
        FileFormatError: if the message is too long or no JSON object.
    """
    (length,) = _LENGTH.unpack(read_exactly(_LENGTH.size))
    if length > LARGEST_MESSAGE:
        raise FileFormatError(
            f"a worker's message must be at most {LARGEST_MESSAGE} bytes; got {length}"
        )
    body = read_exactly(length)
    try:
        message = json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"a worker's message must be JSON; got {body[:60]!r}") from error
    if not isinstance(message, dict):
        raise FileFormatError(f"a worker's message must be an object; got {body[:60]!r}")
    return message
