"""What the commands ask of the files that they read and write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coset.core.errors import ConfigError, FileFormatError

if TYPE_CHECKING:
    from torch import Tensor

    from coset.core.model_files import ModelSummary

__all__ = ["check_output", "first_unsound", "inspect_dense", "open_checkpoint"]


def check_output(file: Path, output: Path) -> None:
    """Refuse to write over the file that is read.

    Args:
        file: what is read.
        output: what is to be written.

    Raises:
        ConfigError: if they are one file, or the output is a folder.
    """
    if output.is_dir():
        raise ConfigError(f"--output must name a file; given the folder {output}")
    if file.resolve() == output.resolve():
        raise ConfigError(f"--output must be another file than the one that is read, {file}")


def inspect_dense(file: Path) -> ModelSummary:
    """Read the header of a checkpoint and refuse one that holds tied tensors.

    Args:
        file: a safetensors file.

    Returns:
        What it holds.

    Raises:
        FileFormatError: if it is missing, damaged, foreign, or tied.
    """
    from coset.core.model_files import inspect_file
    from coset.sharing.tied_files import RESERVED_KEYS

    summary = inspect_file(file)  # refuses damaged files with a message that names the place
    if set(RESERVED_KEYS) & set(summary.metadata):
        raise FileFormatError(
            f"{file} must be dense; it holds tied tensors; "
            f"first: coset sharing expand {file} --output DENSE.safetensors"
        )
    return summary


@contextmanager
def open_checkpoint(file: Path) -> Iterator[Any]:
    """Open a safetensors file to read its tensors.

    Args:
        file: it passed `inspect_dense`.

    Yields:
        What ``safetensors.safe_open`` gives.

    Raises:
        FileFormatError: if safetensors refuses the file or one of its tensors.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="pt") as stored:
            yield stored
    except SafetensorError as error:
        raise FileFormatError(f"{file} is no readable safetensors file: {error}") from error


def first_unsound(w: Tensor) -> str:
    """Say where a tensor holds NaN or infinity first.

    Args:
        w: (any shape) float.

    Returns:
        "holds nan at index (0, 1)", or nothing if all is finite.
    """
    finite = w.isfinite()
    if bool(finite.all()):
        return ""
    place = tuple((~finite).nonzero()[0].tolist())
    return f"holds {float(w[place])} at index {place}"
