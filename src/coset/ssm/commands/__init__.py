"""The front doors of the subject, ``coset ssm …``."""

from __future__ import annotations

from typing import Any

__all__ = ["COMMANDS"]

COMMANDS: dict[str, Any] = {}
