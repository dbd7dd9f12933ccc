"""The hot paths of preferences and sequential decisions."""

from __future__ import annotations

from coset.decisions.benchmarks.axioms import (
    check_case,
)
from coset.decisions.benchmarks.solving import (
    lexicographic_case,
    solve_case,
)
from coset.decisions.benchmarks.sweep import (
    sweep_case,
    sweep_cuda_case,
)

__all__ = [
    "check_case",
    "lexicographic_case",
    "solve_case",
    "sweep_case",
    "sweep_cuda_case",
]
