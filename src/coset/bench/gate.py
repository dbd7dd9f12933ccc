"""The gate before the clock: wrong answers and red tests stop a benchmark."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from coset.bench.case import BenchmarkRefusedError

__all__ = ["Gated", "check_tests", "pass_small"]


class Gated(Protocol):
    """What the gate asks of a session, here or in a worker."""

    def check_small(self, variant: str, names: list[str]) -> int:
        """Compare contestants with the reference at every small size."""


def check_tests(targets: Sequence[str], root: Path | None) -> str:
    """Run a case's tests in the checkout.

    Args:
        targets: pytest targets relative to `root`.
        root: the checkout; ``None`` for an installed package, which has no tests.

    Returns:
        What was run, or why nothing was.

    Raises:
        BenchmarkRefusedError: if a test fails or a target does not exist.
    """
    if not targets:
        return "the case names no tests"
    if root is None or importlib.util.find_spec("pytest") is None:
        return "not run: there is no checkout, or no pytest"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", *targets],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.strip().splitlines()[-3:] or done.stderr.strip().splitlines()[-3:]
    if done.returncode != 0:
        raise BenchmarkRefusedError(
            f"the tests of a benchmark must pass before anything is timed; pytest "
            f"{' '.join(targets)} ended with {done.returncode}: {' | '.join(last)}; repair them "
            "first"
        )
    return f"passed: {' '.join(targets)}"


def pass_small(
    sessions: Mapping[str, Gated],
    share: Callable[[str, str], list[str]],
    variants: Sequence[str],
    told: Callable[[str], None],
) -> dict[str, Any]:
    """Take every contestant through the small sizes of every variant.

    Args:
        sessions: by environment.
        share: takes environment and variant, returns the contestants that run there.
        variants: names.
        told: progress, one line each.

    Returns:
        The number of comparisons by variant.

    Raises:
        BenchmarkRefusedError: at the first wrong answer.
    """
    counts: dict[str, Any] = {}
    for variant in variants:
        told(f"checking {variant} against the reference at small sizes")
        counts[variant] = sum(
            session.check_small(variant, share(key, variant)) for key, session in sessions.items()
        )
    return counts
