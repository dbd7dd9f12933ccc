"""The paper's parallel algorithms for the sharing prox, and bridge merges, which do less work."""

from __future__ import annotations

from coset.sharing.collisions.reference import REFERENCE_BLOCKS
from coset.sharing.collisions.rows import collision_rows

__all__ = ["REFERENCE_BLOCKS", "collision_rows"]
