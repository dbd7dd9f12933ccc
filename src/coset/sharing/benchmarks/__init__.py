"""The hot paths of sharing: the proximal map, and its whole path."""

from __future__ import annotations

from coset.sharing.benchmarks.path import path_case
from coset.sharing.benchmarks.prox import prox_case

__all__ = ["path_case", "prox_case"]
