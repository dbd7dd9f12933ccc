"""coset: structure in machine learning, with every theorem a check that anyone can run.

Importing this module loads the standard library only; a subject is loaded at its first use::

    import coset

    coset.sharing.prox_sharing(weights, strength=1e-3)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_FOUNDATIONS = ("bench", "core", "data", "groups", "lab", "report", "scan", "train")


def _names() -> list[str]:
    from coset.core.registry import built_subjects

    return [*_FOUNDATIONS, *(subject.name for subject in built_subjects())]


def __getattr__(name: str) -> Any:
    if not name.startswith("_") and name in _names():
        return importlib.import_module(f"coset.{name}")
    raise AttributeError(f"module 'coset' has no attribute {name!r}; it has {', '.join(_names())}")


def __dir__() -> list[str]:
    return sorted([*_names(), "__version__"])
