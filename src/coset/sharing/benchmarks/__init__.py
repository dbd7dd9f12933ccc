"""The hot paths of sharing: the proximal map."""

from __future__ import annotations

from coset.sharing.benchmarks.prox import prox_case

__all__ = ["prox_case"]
