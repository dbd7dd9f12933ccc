"""The pictures of sharing, drawn from rows and run folders; nothing is computed here.

Each function takes ``rows`` (dictionaries) and ``folders`` (run folders) and returns a matplotlib
figure.
"""

from coset.sharing.figures.compression import compression_accuracy
from coset.sharing.figures.histograms import torus_histograms
from coset.sharing.figures.particles import distinct_values, particle_lines
from coset.sharing.figures.path import convex_minorant, dendrogram
from coset.sharing.figures.phase import phase_diagram, phase_distinct
from coset.sharing.figures.regression import (
    hidden_convolution_errors,
    hidden_convolution_matrices,
    linear_filter_errors,
    linear_filter_matrices,
)
from coset.sharing.figures.rounds import costs_by_size, rounds_by_size, seconds_by_size
from coset.sharing.figures.torus import (
    torus_accuracy,
    torus_curves,
    torus_distinct,
    torus_filters,
)

__all__ = [
    "compression_accuracy",
    "convex_minorant",
    "costs_by_size",
    "dendrogram",
    "distinct_values",
    "hidden_convolution_errors",
    "hidden_convolution_matrices",
    "linear_filter_errors",
    "linear_filter_matrices",
    "particle_lines",
    "phase_diagram",
    "phase_distinct",
    "rounds_by_size",
    "seconds_by_size",
    "torus_accuracy",
    "torus_curves",
    "torus_distinct",
    "torus_filters",
    "torus_histograms",
]
