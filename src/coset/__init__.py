"""coset: structure in machine learning, with every theorem a check that anyone can run.

Importing this module loads the standard library only; a subject is loaded at its first use::

    import coset

    coset.sharing.prox_sharing(weights, strength=1e-3)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_LAZY_MODULES = ("bench", "core", "data", "lab", "report", "sharing", "train")

__all__ = [*_LAZY_MODULES, "__version__"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return importlib.import_module(f"coset.{name}")
    raise AttributeError(f"module 'coset' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
