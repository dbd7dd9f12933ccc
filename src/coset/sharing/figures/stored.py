"""What the pictures share: arrays of run folders, and logarithmic axes that a phone can show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from coset.lab.records import read_record

__all__ = ["ARRAYS_FILE", "array_files", "log_scale"]

ARRAYS_FILE = "arrays.safetensors"


def array_files(folders: Sequence[Path]) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """Give the configuration and the arrays' file of the run folders that have one.

    Args:
        folders: run folders.

    Yields:
        The configuration as JSON values, and the file.
    """
    for folder in folders:
        record, path = read_record(folder), folder / ARRAYS_FILE
        if record is not None and path.is_file():
            yield record.config, path


def log_scale(axis: Any, form: str) -> None:
    """Make an axis logarithmic with plain numbers: exponents are too small to read on a phone.

    Args:
        axis: of matplotlib.
        form: of a number, such as ``"{x:g}"``.
    """
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter(form)
    axis.set_minor_formatter("")
