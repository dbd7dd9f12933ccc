"""``coset backends``: which implementation of each operation is used, and why not another."""

from __future__ import annotations

from rich.markup import escape

from coset.cli.output import console, print_json, table

__all__ = ["COMMAND"]


def backends(json: bool = False) -> int:
    """Show each operation's implementations: available, chosen, and the reason.

    Example: coset backends --json

    Args:
        json: print JSON.
    """
    import importlib

    from coset.core.backends import backends as rows
    from coset.core.registry import built_subjects

    for subject in built_subjects():
        importlib.import_module(f"coset.{subject.name}")
    found = rows()
    if json:
        print_json([row.to_json() for row in found])
        return 0
    cells = [
        (
            row.op,
            row.name,
            row.device,
            "[green]chosen[/green]" if row.chosen else "yes" if row.available else "[red]no[/red]",
            escape(row.reason),
        )
        for row in found
    ]
    console().print(table(("operation", "backend", "device", "available", "why"), cells))
    return 0


COMMAND = backends
