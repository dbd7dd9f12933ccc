"""Reading files that others wrote: bounded in size, strict in form, with errors that say where."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coset.core.errors import FileFormatError

__all__ = ["distinct_keys", "parse_json", "read_strict_json", "read_text", "show"]

# A key is shown up to here.
_SHOWN = 200


def read_text(path: Path, max_bytes: int, too_large: str, encoding: str = "utf-8") -> str:
    """Read a file of text that may have only so many bytes.

    Args:
        path: the file, or a pipe.
        max_bytes: the most bytes.
        too_large: what an error says of a larger one, after its path.
        encoding: "utf-8", or "utf-8-sig" to pass over a mark at the beginning.

    Returns:
        The text.

    Raises:
        FileFormatError: if it cannot be read, is too large or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)  # a pipe does not tell its size
        if len(content) > max_bytes:
            raise FileFormatError(f"{path} {too_large}")
        return content.decode(encoding)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} must be UTF-8 text; byte {error.start} is not") from error


def read_strict_json(
    path: Path,
    max_bytes: int,
    too_large: str,
    parse_float: Callable[[str], Any] | None = None,
) -> Any:
    """Read a file of strict JSON: finite numbers, and each key of an object once.

    Args:
        path: the file, or a pipe.
        max_bytes: the most bytes.
        too_large: what an error says of a larger one, after its path.
        parse_float: as of `parse_json`.

    Returns:
        The decoded value.

    Raises:
        FileFormatError: as `read_text`, or if it is not strict JSON; names line and column.
    """
    text = read_text(path, max_bytes, too_large)
    try:
        return parse_json(text, parse_float)
    except json.JSONDecodeError as error:
        raise FileFormatError(
            f"{path} must be JSON; line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} must be JSON: {error}") from error


def parse_json(text: str, parse_float: Callable[[str], Any] | None = None) -> Any:
    """Parse strict JSON: finite numbers, and each key of an object once.

    Args:
        text: the JSON.
        parse_float: what becomes of a number with a point or an exponent; by default a finite
            float.

    Returns:
        The decoded value.

    Raises:
        ValueError: if it is anything else.
        RecursionError: if it is nested too deeply to be parsed at all.

    Example:
        >>> parse_json('{"a": [1, 2.5]}')
        {'a': [1, 2.5]}
    """
    return json.loads(
        text,
        parse_constant=_refuse,
        parse_float=parse_float or _finite,
        object_pairs_hook=distinct_keys,
    )


def distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the entries of a JSON object, each key of which may be there once.

    Args:
        pairs: the entries, as ``json`` gives them to its ``object_pairs_hook``.

    Returns:
        Key to value.

    Raises:
        ValueError: if a key is there twice.
    """
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"an object names {key[:_SHOWN]!r} twice")
        result[key] = value
    return result


def show(value: Any) -> str:
    """Return a value for an error, at most 60 characters of it.

    Args:
        value: any.

    Returns:
        The text.
    """
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is too large")
    return value
