"""The hot paths of beliefs."""

from __future__ import annotations

from coset.beliefs.benchmarks.solving import (
    batch_case,
    boundary_case,
    solve_case,
)
from coset.beliefs.benchmarks.tree import (
    networks_case,
    tree_case,
    trees_case,
)

__all__ = [
    "batch_case",
    "boundary_case",
    "networks_case",
    "solve_case",
    "tree_case",
    "trees_case",
]
