"""Where things come from: processor, package versions, git's answers, a function's place."""

from __future__ import annotations

import inspect
import platform
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["cpu_model", "git", "package_version", "source_place"]


def cpu_model() -> str:
    """Return the processor's name as the operating system gives it, or "unknown"."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def package_version(name: str) -> str | None:
    """Return the installed version of a package.

    Args:
        name: the distribution's name.

    Returns:
        The version, or ``None`` if it is not installed.
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def git(folder: Path, *words: str) -> str | None:
    """Ask git about a folder.

    Args:
        folder: where to ask.
        *words: the command and its arguments.

    Returns:
        What it printed, without the final newline; ``None`` if git is missing, slow or refuses.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.rstrip("\n")


def source_place(function: Callable[..., Any]) -> tuple[str, int]:
    """Return where a function is written.

    Args:
        function: a Python function.

    Returns:
        Its file, from the package's name on ("coset/sharing/prox.py"; the bare file name outside
        of the package), and its first line, decorators included.
    """
    parts = Path(inspect.getsourcefile(function) or "?").parts
    start = len(parts) - 1 - parts[::-1].index("coset") if "coset" in parts else len(parts) - 1
    return "/".join(parts[start:]), function.__code__.co_firstlineno
