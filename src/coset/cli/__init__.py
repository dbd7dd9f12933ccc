"""Floor 5: the one command line; its help loads the standard library, tyro and rich only."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from coset.cli.dispatch import run_command
from coset.core.errors import CosetError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after ``coset``; default those of the process.

    Returns:
        0 as expected, 1 not as expected, 2 wrong use, 130 stopped by Ctrl-C, 141 if the reader of
        the output went away (as a shell says it of SIGPIPE).
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _run(words)
        finally:
            # Here, not when the interpreter ends: the pipe of a short output breaks only now.
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return 141


def _run(words: Sequence[str]) -> int:
    try:
        return run_command(words)
    except CosetError as error:
        from coset.core.terminal import printable

        # A message may quote a name out of a file.
        lines = [printable(line) for line in str(error).split("\n")]
        print("coset: " + "\n".join(lines), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\ncoset: stopped; nothing that was stored is lost, the same command resumes",
            file=sys.stderr,
        )
        return 130


def _discard_output() -> None:
    """Let what is still buffered go nowhere, so that the interpreter ends without a complaint."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
