"""Run a body in a forked process and kill it at its n-th touch of the disk."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

_EVENTS = (
    "open",
    "os.rename",
    "os.remove",
    "os.truncate",
    "os.mkdir",
    "os.rmdir",
    "os.chmod",
    "fcntl.flock",
)


def in_fork(body: Callable[[], object], prepare: Callable[[], object] | None = None) -> int:
    """Return the exit code: 0, 7 for the error it raised (printed), or minus the signal."""
    pid = os.fork()
    if pid == 0:
        code = 7
        try:
            if prepare:
                prepare()
            body()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def killed_at(number: int, root: Path, body: Callable[[], object]) -> bool:
    """Run `body`, killed before its n-th change below `root`; tell whether it was killed."""

    def arm() -> None:
        count = 0

        def touch() -> None:
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

        def hook(event: str, args: tuple) -> None:
            if event in _EVENTS and (
                isinstance(args[0], int) or str(args[0]).startswith(str(root))
            ):
                touch()

        sys.addaudithook(hook)
        real_write, real_sync = os.write, os.fsync

        def write(descriptor: int, data: bytes) -> int:
            half = real_write(descriptor, bytes(data)[: len(data) // 2])
            touch()
            return half + real_write(descriptor, bytes(data)[half:])

        def sync(descriptor: int) -> None:
            touch()
            real_sync(descriptor)

        os.write, os.fsync = write, sync

    code = in_fork(body, arm)
    assert code in (0, -signal.SIGKILL)
    return code != 0
