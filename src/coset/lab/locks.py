"""One writer per run folder: a file lock that the operating system drops when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path

from coset.core.errors import RunLockedError
from coset.core.files import storage_errors

__all__ = ["is_locked", "run_lock"]

LOCK_NAME = ".lock"

# A killed holder's memory is freed before its lock; and `is_locked` holds it for an instant.
_PATIENCE_S = 1.0
_PAUSE_S = 0.05

_HELD: set[int] = set()


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; made for ``with``.

    The lock belongs to this process alone: children made by fork close their copy, so that a
    killed run is free again even while a data-loading child lives on for an instant.

    Args:
        folder: the run folder; made if it is missing.

    Yields:
        Nothing.

    Raises:
        RunLockedError: if another process holds it for longer than a second.
        StorageError: if the folder cannot be written.
    """
    path = folder / LOCK_NAME
    owner = os.getpid()
    with storage_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with storage_errors(path):
            _acquire(descriptor, folder)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        _watch_forks()
        _HELD.add(descriptor)
        yield
    finally:
        if os.getpid() == owner:
            _HELD.discard(descriptor)
            os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Tell whether some process is writing to the run folder now.

    Args:
        folder: the run folder; it need not exist.

    Returns:
        Whether its lock is held.
    """
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _acquire(descriptor: int, folder: Path) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < give_up:
                time.sleep(_PAUSE_S)
                continue
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise RunLockedError(
                f"only one process may write to the run folder {folder}; process {holder} does; "
                f"wait until it ends, or stop it, and run the same command again"
            ) from None
        else:
            return


@functools.cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_close_inherited)


def _close_inherited() -> None:
    for descriptor in _HELD:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _HELD.clear()
