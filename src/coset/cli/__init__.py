"""Floor 5: the one command line; its help loads the standard library, tyro and rich only."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from coset.cli.dispatch import run_command
from coset.core.errors import CosetError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after ``coset``; default those of the process.

    Returns:
        0 as expected, 1 not as expected, 2 wrong use, 130 stopped by Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return run_command(words)
    except CosetError as error:
        print(f"coset: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\ncoset: stopped; nothing that was stored is lost, the same command resumes",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
