"""Files that are either whole or absent, and the two folders that coset writes to."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coset.core.errors import FileFormatError, StorageError

__all__ = [
    "cache_folder",
    "dump_json",
    "output_folder",
    "read_json",
    "storage_errors",
    "write_atomic",
    "write_json",
]


def output_folder() -> Path:
    """Return the folder for runs and reports: ``$COSET_OUT``, or ``out`` in the working folder.

    Returns:
        The path; the folder need not exist.
    """
    return Path(os.environ.get("COSET_OUT") or "out")


def cache_folder() -> Path:
    """Return the folder for downloads: ``$COSET_CACHE``, or ``coset`` in the XDG cache folder.

    Returns:
        The path; the folder need not exist.
    """
    if given := os.environ.get("COSET_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "coset"


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn operating-system errors while writing `path` into `StorageError` with advice.

    Args:
        path: the file or folder being written.

    Yields:
        Nothing.

    Raises:
        StorageError: if the body raises ``OSError``.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        advice = (
            "free some space or set COSET_OUT (runs) or COSET_CACHE (data) to a larger disk, "
            "then run the same command again: it resumes"
            if full
            else "choose a place you may write to (runs: COSET_OUT, data: COSET_CACHE)"
        )
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StorageError(
            f"cannot write {path}: {reason}; what was stored before is intact; {advice}"
        ) from error


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a whole file or nothing: a reader sees the old content or the new, never a part.

    The content goes to a temporary file beside `path`, is synced, and is renamed over it.

    Args:
        path: the file; missing parent folders are made.
        content: bytes, or text that is stored as UTF-8.

    Raises:
        StorageError: if the folder cannot be written or the disk is full.
    """
    data = content.encode() if isinstance(content, str) else content
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def dump_json(value: Any, *, indent: int | None = 2) -> str:
    """Return `value` as strict JSON: sorted keys, a final newline, no NaN or infinity.

    Args:
        value: anything that ``json`` can write.
        indent: spaces a level; ``None`` gives one line.

    Returns:
        The text.
    """
    text = json.dumps(value, indent=indent, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return text + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all.

    Args:
        path: the file.
        value: anything that ``json`` can write; NaN and infinity are refused.

    Raises:
        StorageError: as `write_atomic`.
    """
    write_atomic(path, dump_json(value))


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Args:
        path: the file.

    Returns:
        The decoded value.

    Raises:
        FileFormatError: if the content is not JSON in UTF-8; names line and column.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise FileFormatError(
            f"{path} must be JSON; line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} must be UTF-8 text; byte {error.start} is not") from error
