"""Decision processes in npz files: the arrays of an `MDP` by their names, for large ones.

The file holds "successor" (S, A, K), "probability" (S, A, K) and "reward", and may hold
"multiplier", "mask" and "terminal", all as `MDP` takes them; "states", "actions" and "objectives",
arrays of text; "start", a state's number; and "name". Nothing is unpickled.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from coset.core.errors import CosetError, FileFormatError
from coset.core.files import write_atomic
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.mdp_fields import MAX_LABEL
from coset.decisions.processes.named_mdp import NamedMDP

__all__ = ["MAX_BYTES", "read", "write"]

MAX_BYTES = 8 * 2**30  # when unpacked: a small file can declare an endless array
_ARRAYS = ("successor", "probability", "reward", "multiplier", "mask", "terminal")
_NAMES = ("states", "actions", "objectives")


def read(path: Path) -> NamedMDP:
    """Read a decision process from an npz file.

    Args:
        path: the file, at most 8 GiB when unpacked.

    Returns:
        The process, named by numbers where the file has no names.

    Raises:
        FileFormatError: if the file is missing, too large, no npz, holds objects, or an array is
            missing, unknown or wrong.
    """
    found = _load(path)
    missing = [name for name in _ARRAYS[:3] if name not in found]
    if missing:
        raise FileFormatError(
            f"{path}: array {missing[0]} is missing; a decision process has successor, probability "
            f"and reward, and may have {', '.join((*_ARRAYS[3:], *_NAMES))}, start and name"
        )
    try:
        given: dict[str, Any] = {name: found[name] for name in _ARRAYS if name in found}
        named = NamedMDP.of(MDP(**given))
        changes: dict[str, Any] = {
            field: _texts(found[field], field, path) for field in _NAMES if field in found
        }
        start = _scalar(found.get("start", np.array(0)), "start", "iu", path)
        title = _scalar(found.get("name", np.array("")), "name", "U", path)
        return replace(named, **changes, start=int(start), name=str(title)[:MAX_LABEL])
    except FileFormatError:
        raise
    except CosetError as error:
        raise FileFormatError(f"{path}: {error}") from error


def _load(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file, refused before they are unpacked if they are too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if size > MAX_BYTES:
                raise FileFormatError(
                    f"{path} may unpack to {MAX_BYTES:,} bytes; it declares {size:,}"
                )
            known = {f"{name}.npy" for name in (*_ARRAYS, *_NAMES, "start", "name")}
            unknown = [member.filename for member in members if member.filename not in known]
            if unknown:
                raise FileFormatError(
                    f"{path}: array {unknown[0][:MAX_LABEL]!r} is unknown; known: "
                    f"{', '.join(sorted(known))}"
                )
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        foreign = [name for name, array in found.items() if not isinstance(array, np.ndarray)]
        if foreign:
            raise FileFormatError(
                f"{path} must be an npz file of plain arrays; {foreign[0]} is none"
            )
        return found
    except FileFormatError:
        raise
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, SyntaxError) as error:
        raise FileFormatError(f"{path} must be an npz file of plain arrays: {error}") from error
    except (NotImplementedError, RuntimeError, OverflowError, MemoryError) as error:
        raise FileFormatError(f"{path} cannot be unpacked: {error}") from error


def _texts(array: np.ndarray, field: str, path: Path) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind != "U":
        raise FileFormatError(
            f"{path}: {field} must be one row of text; given shape {array.shape} of {array.dtype}"
        )
    names = tuple(str(name) for name in array)
    long = next((i for i, name in enumerate(names) if len(name) > MAX_LABEL), None)
    if long is not None:
        raise FileFormatError(
            f"{path}: {field}[{long}] must have at most {MAX_LABEL} characters; it has "
            f"{len(names[long]):,}"
        )
    return names


def _scalar(array: np.ndarray, field: str, kinds: str, path: Path) -> Any:
    if array.ndim or array.dtype.kind not in kinds:
        what = "text" if kinds == "U" else "a whole number"
        raise FileFormatError(
            f"{path}: {field} must be {what}; given shape {array.shape} of {array.dtype}"
        )
    return array[()]


def write(path: Path, named: NamedMDP) -> None:
    """Write a decision process as npz that `read` reads.

    Args:
        path: the file.
        named: the process; exact numbers are rounded to the floats of its arrays.

    Raises:
        StorageError: if the file cannot be written.
    """
    arrays: dict[str, Any] = {name: np.asarray(getattr(named.mdp, name).cpu()) for name in _ARRAYS}
    arrays |= {field: np.array(getattr(named, field)) for field in _NAMES}
    arrays |= {"start": np.array(named.start), "name": np.array(named.name)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomic(path, buffer.getvalue())
