"""``coset report``: the HTML report from what is stored."""

from __future__ import annotations

from pathlib import Path

__all__ = ["COMMAND"]


def report(out: Path | None = None) -> int:
    """Write the HTML report from stored verdicts, runs and benchmarks, and print its path.

    Example: coset report

    Args:
        out: the report's folder; default ``report`` in the output folder.
    """
    from coset.report import build_report

    print(build_report(out) if out is not None else build_report())
    return 0


COMMAND = report
