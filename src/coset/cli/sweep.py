"""``coset sweep`` lives beside ``coset run``, with which it shares its printing."""

from __future__ import annotations

from coset.cli.run import sweep

__all__ = ["COMMAND"]

COMMAND = sweep
