"""The experiments of sharing.

Particles that stick and what they leave (particles, dendrogram, phase-diagram, rounds); digits on
a torus (torus-tuning, torus-digits); linear maps (hidden-convolution, linear-filters); few distinct
weights after training (compression).
"""

from coset.sharing.experiments.compression import CompressionConfig, compression
from coset.sharing.experiments.dendrogram import DendrogramConfig, dendrogram
from coset.sharing.experiments.hidden_convolution import (
    HiddenConvolutionConfig,
    hidden_convolution,
)
from coset.sharing.experiments.linear_filters import LinearFiltersConfig, linear_filters
from coset.sharing.experiments.particles import ParticlesConfig, particles
from coset.sharing.experiments.phase import PhaseConfig, phase_diagram
from coset.sharing.experiments.rounds import RoundsConfig, rounds
from coset.sharing.experiments.torus_digits import TorusConfig, torus_digits
from coset.sharing.experiments.torus_tuning import TuningConfig, torus_tuning

__all__ = [
    "CompressionConfig",
    "DendrogramConfig",
    "HiddenConvolutionConfig",
    "LinearFiltersConfig",
    "ParticlesConfig",
    "PhaseConfig",
    "RoundsConfig",
    "TorusConfig",
    "TuningConfig",
    "compression",
    "dendrogram",
    "hidden_convolution",
    "linear_filters",
    "particles",
    "phase_diagram",
    "rounds",
    "torus_digits",
    "torus_tuning",
]
