"""The rows of a preset at a glance: the settings that vary and a few results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coset.report.formats import as_text, number
from coset.report.runs import RunGroup, StoredRun

__all__ = ["CompactTable", "compact_table", "compared_columns"]

MAX_RESULTS = 5
MAX_ROWS = 30
EXCERPT_ROWS = 12


@dataclass(frozen=True)
class CompactTable:
    """A few columns of the rows of one preset.

    Attributes:
        settings: the configuration fields that vary between the runs.
        results: the columns of the rows that are shown.
        rows: the anchor of each row's run with the row's texts, settings first.
        num_left_out: how many rows only the full table shows.
    """

    settings: tuple[str, ...]
    results: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    num_left_out: int

    @property
    def columns(self) -> tuple[str, ...]:
        """All its columns."""
        return self.settings + self.results


def compared_columns(experiment: str, published: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns of an experiment that stand beside published numbers.

    Args:
        experiment: its id.
        published: the decoded ``published.json`` of each subject; malformed entries are passed by.

    Returns:
        Each column once, in the order of the numbers.
    """
    queries = [
        entry["ours"]
        for content in published
        for entry in content.get("numbers", ())
        if isinstance(entry, dict) and isinstance(entry.get("ours"), dict)
    ]
    named = [q.get("column") for q in queries if q.get("experiment") == experiment]
    return list(dict.fromkeys(column for column in named if isinstance(column, str)))


def compact_table(group: RunGroup, preferred: Sequence[str]) -> CompactTable:
    """Choose columns and return the table: preferred results first, then the first that vary.

    Args:
        group: the runs of one preset.
        preferred: result columns to show first, where they exist.

    Returns:
        The table, with at most `MAX_RESULTS` results; of more than `MAX_ROWS` rows an excerpt.
    """
    pairs = [(run, row) for run in group.finished for row in run.rows]
    first = [name for name in preferred if any(name in row for _, row in pairs)]
    others = [n for n in group.row_columns if _varies([row.get(n) for _, row in pairs])]
    results = tuple(dict.fromkeys([*first, *others]))[:MAX_RESULTS]
    fields = [n for n in group.config_columns if _varies([r.config.get(n) for r in group.runs])]
    settings = tuple(name for name in fields if name not in results)
    rows = tuple(
        (
            run.anchor,
            (
                *(number(run.config.get(name), 8) for name in settings),
                *(number(row.get(name)) for name in results),
            ),
        )
        for run, row in _shown(group, len(pairs))
    )
    return CompactTable(settings, results, rows, len(pairs) - len(rows))


def _shown(group: RunGroup, num_rows: int) -> list[tuple[StoredRun, Mapping[str, Any]]]:
    """Return all rows, or the first few of each run where the whole would be no summary."""
    most = num_rows if num_rows <= MAX_ROWS else max(1, EXCERPT_ROWS // len(group.finished))
    return [(run, row) for run in group.finished for row in run.rows[:most]][:MAX_ROWS]


def _varies(values: Sequence[Any]) -> bool:
    return len({as_text(value) for value in values}) > 1
