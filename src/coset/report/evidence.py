"""A judge's further figures: names with texts, and small tables where they are nested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coset.report.formats import as_text, number

__all__ = ["Evidence", "EvidenceTable", "view_evidence"]

MAX_ROWS = 50


@dataclass(frozen=True)
class EvidenceTable:
    """Nested figures: one row an entry.

    Attributes:
        title: the name under which they were stored, "" for entries of the record itself.
        columns: the names of the figures.
        rows: each entry's name with its texts, an en dash where it has no such figure.
        num_left_out: how many entries only the stored record shows.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    num_left_out: int


@dataclass(frozen=True)
class Evidence:
    """What is displayed of the stored figures, floats to four significant digits.

    Attributes:
        facts: names and texts of the figures that stand alone.
        tables: the nested ones.
    """

    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[EvidenceTable, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.facts or self.tables)


def view_evidence(stored: Mapping[str, Any]) -> Evidence:
    """Sort a record's figures into facts and tables.

    Args:
        stored: the decoded evidence; any JSON.

    Returns:
        Both; each entry appears once.
    """
    facts: list[tuple[str, str]] = []
    alike: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}
    tables: list[EvidenceTable] = []
    for name, value in stored.items():
        entries = _entries(value)
        if entries is not None:
            tables.append(_table(str(name), entries))
        elif isinstance(value, Mapping) and value:
            alike.setdefault(tuple(value), {})[str(name)] = value
        else:
            facts.append((str(name), _shown(value)))
    own = [_table("", entries) for entries in alike.values()]
    return Evidence(tuple(facts), (*own, *tables))


def _entries(value: Any) -> Mapping[str, Mapping[str, Any]] | None:
    """Return the rows of a value that is a table by itself: objects in an object or in a list."""
    if isinstance(value, list):
        value = {str(position): entry for position, entry in enumerate(value, 1)}
    if not isinstance(value, Mapping) or not value:
        return None
    return value if all(isinstance(v, Mapping) and v for v in value.values()) else None


def _table(title: str, entries: Mapping[str, Mapping[str, Any]]) -> EvidenceTable:
    names = list(entries)[:MAX_ROWS]
    columns = tuple(dict.fromkeys(column for name in names for column in entries[name]))
    rows = tuple((name, tuple(_shown(entries[name].get(c)) for c in columns)) for name in names)
    return EvidenceTable(title, columns, rows, len(entries) - len(names))


def _shown(value: Any) -> str:
    return as_text(_rounded(value)) if isinstance(value, list | Mapping) else number(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(part) for part in value]
    return value
