"""The claims of weight-sharing regularization, with their near misses."""

from __future__ import annotations

from coset.sharing.claims import blocks, duality, laws, networks, proximal, rounds

__all__ = ["blocks", "duality", "laws", "networks", "proximal", "rounds"]
