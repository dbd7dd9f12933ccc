"""The pictures of beliefs, drawn from rows; nothing is computed here.

Each function takes ``rows`` (dictionaries) and ``folders`` (run folders) and returns a matplotlib
figure.
"""

from __future__ import annotations

from coset.beliefs.figures.attention_study import (
    resolution_heatmap,
    resolution_scatter,
)
from coset.beliefs.figures.blame import (
    blame_hypergraph,
)
from coset.beliefs.figures.gflow import (
    hypergrid_curves,
    hypergrid_maps,
)
from coset.beliefs.figures.identities import (
    divergence_map,
    identity_errors,
)
from coset.beliefs.figures.instances import (
    adversarial_bars,
    bp_residuals,
    em_staircase,
    gan_ring_samples,
)
from coset.beliefs.figures.solvers import (
    gamma_curve,
    gap_vs_time,
)
from coset.beliefs.figures.trace import (
    parameter_paths,
    resolution_trace,
)
from coset.beliefs.figures.tree import (
    tree_scaling,
)

__all__ = [
    "adversarial_bars",
    "blame_hypergraph",
    "bp_residuals",
    "divergence_map",
    "em_staircase",
    "gamma_curve",
    "gan_ring_samples",
    "gap_vs_time",
    "hypergrid_curves",
    "hypergrid_maps",
    "identity_errors",
    "parameter_paths",
    "resolution_heatmap",
    "resolution_scatter",
    "resolution_trace",
    "tree_scaling",
]
