"""The claims of preferences and sequential decisions, with their near misses."""

from __future__ import annotations

from coset.decisions.claims import (
    affine,
    constrained,
    contraction,
    discounting,
    elicitation,
    gauge,
    learning,
    lexicographic_mdps,
    lexicographic_utility,
    noisy_elicitation,
    penalties,
    representability,
    safety_first,
    scalar_weights,
    sequential,
    undiscounted,
)

__all__ = [
    "affine",
    "constrained",
    "contraction",
    "discounting",
    "elicitation",
    "gauge",
    "learning",
    "lexicographic_mdps",
    "lexicographic_utility",
    "noisy_elicitation",
    "penalties",
    "representability",
    "safety_first",
    "scalar_weights",
    "sequential",
    "undiscounted",
]
