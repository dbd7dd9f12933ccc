"""The pictures of sharing, drawn from rows and run folders; nothing is computed here.

Each function takes ``rows`` (dictionaries) and ``folders`` (run folders) and returns a matplotlib
figure.
"""

from coset.sharing.figures.particles import distinct_values, particle_lines
from coset.sharing.figures.torus import (
    torus_accuracy,
    torus_curves,
    torus_distinct,
    torus_filters,
)

__all__ = [
    "distinct_values",
    "particle_lines",
    "torus_accuracy",
    "torus_curves",
    "torus_distinct",
    "torus_filters",
]
