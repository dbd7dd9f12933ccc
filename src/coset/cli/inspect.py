"""``coset inspect``: what a model file holds, from its header alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.markup import escape

from coset.cli.output import console, print_json, table
from coset.core.terminal import printable

__all__ = ["COMMAND"]


def inspect(file: Annotated[Path, tyro.conf.Positional], /, json: bool = False) -> int:
    """Show a model file's class, arguments and tensors; loads no tensor, runs no code of the file.

    Example: coset inspect model.safetensors

    Args:
        file: a safetensors file.
        json: print JSON.
    """
    from coset.core.model_files import inspect_file

    summary = inspect_file(file)
    if json:
        print_json(
            {
                "path": str(summary.path),
                "class": summary.model_class,
                "arguments": dict(summary.arguments),
                "format_version": summary.format_version,
                "num_bytes": summary.num_bytes,
                "metadata": dict(summary.metadata),
                "tensors": [vars(tensor) for tensor in summary.tensors],
            }
        )
        return 0
    out = console()
    name = summary.model_class or "no coset header: a plain safetensors file"
    out.print(f"[bold]{escape(printable(str(summary.path)))}[/bold]  {escape(name)}")
    for key, value in summary.arguments.items():
        out.print(f"  {escape(printable(key))} = {escape(repr(value))}")
    rows = [
        (
            escape(printable(t.name)),
            t.dtype,
            "×".join(map(str, t.shape)) or "scalar",
            f"{t.num_bytes:,}",
        )
        for t in summary.tensors
    ]
    out.print(table(("tensor", "dtype", "shape", "bytes"), rows, fold_first=True))
    out.print(f"{len(rows)} tensors, {summary.num_bytes:,} bytes")
    return 0


COMMAND = inspect
