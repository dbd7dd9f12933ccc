"""The claims of weight-sharing regularization, with their near misses."""

from __future__ import annotations

from coset.sharing.claims import blocks, laws, proximal

__all__ = ["blocks", "laws", "proximal"]
