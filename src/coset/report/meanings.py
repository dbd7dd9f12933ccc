"""What the columns of an experiment's rows mean, in the words of its own docstrings."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Meanings", "column_meanings"]

_SECTION = re.compile(r"[A-Z][a-z]+:")
_FIELD = re.compile(r"(\w+)(?: \([^)]*\))?:\s+(.+)")
_WANTED = ("", "Yields", "Returns")


@dataclass(frozen=True)
class Meanings:
    """What the settings and the rows of an experiment mean.

    Attributes:
        settings: each configuration field with its description.
        rows: what the run function's docstring says of its rows.
    """

    settings: tuple[tuple[str, str], ...] = ()
    rows: str = ""

    def __bool__(self) -> bool:
        return bool(self.settings or self.rows)


def column_meanings(item: Any) -> Meanings:
    """Read the docstrings of an experiment's configuration class and run function.

    Args:
        item: a registered experiment, or ``None``.

    Returns:
        What they say; empty where they say nothing.
    """
    config_class, run = getattr(item, "config_class", None), getattr(item, "run", None)
    fields = _sections(config_class).get("Attributes", "") if config_class else ""
    told = _sections(run) if run else {}
    rows = "\n\n".join(told[name] for name in _WANTED if told.get(name))
    return Meanings(_parse_fields(fields), rows)


def _sections(owner: Any) -> dict[str, str]:
    """Return the docstring's sections by name, each dedented; what is in none is under ""."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in (inspect.getdoc(owner) or "").splitlines():
        if _SECTION.fullmatch(line):
            name = line[:-1]
            continue
        if line.startswith("Claims:"):  # the page links them
            continue
        if line and not line[0].isspace():
            name = ""
        found.setdefault(name, []).append(line)
    texts = {name: inspect.cleandoc("\n".join(["", *lines])) for name, lines in found.items()}
    return {name: re.sub(r"\n{3,}", "\n\n", text) for name, text in texts.items()}


def _parse_fields(text: str) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        match = _FIELD.fullmatch(line)
        if match:
            found.append((match[1], match[2]))
        elif found and line.strip():  # an indented line continues the one above
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
    return tuple(found)
