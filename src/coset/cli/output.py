"""What all commands print alike: JSON for machines, tables of at most 80 columns for people."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from coset.core.files import dump_json

__all__ = ["MARKS", "console", "print_json", "table"]

# Each verdict has a word, a sign and a color: none of them alone carries the meaning.
MARKS = {
    "holds": "[green]✓ holds[/green]",
    "refuted": "[yellow]✗ refuted[/yellow]",
    "open": "[dim]○ open[/dim]",
    "unavailable": "[dim]– unavailable[/dim]",
    "error": "[red]! error[/red]",
    "unreadable": "[red]? unreadable[/red]",
}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave a broken pipe to the command line; rich would exit with code 1, a verdict."""
        raise BrokenPipeError(errno.EPIPE, "the reader of standard output is gone")


def console() -> Console:
    """Return a console on standard output; plain text when that is not a terminal."""
    return _Console(highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    """Print one JSON document on standard output.

    Args:
        value: JSON values.
    """
    print(dump_json(value), end="")


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str = "",
    fold_first: bool = False,
) -> Table:
    """Return a table without a frame; every column but the first may wrap.

    Args:
        columns: the headings.
        rows: the cells, as rich markup.
        title: printed above.
        fold_first: the first column may wrap, too: for names of any length.

    Returns:
        The table.
    """
    result = Table(title=title or None, box=None, padding=(0, 1), title_justify="left")
    for number, column in enumerate(columns):
        result.add_column(column, no_wrap=number == 0 and not fold_first, overflow="fold")
    for row in rows:
        result.add_row(*row)
    return result
