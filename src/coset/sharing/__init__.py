"""Make many weights of a network exactly equal, by a proximal step after each optimizer step.

R(w) = 1/(d−1) · Σ_{i>j} |w_i − w_j| pulls weights together; its proximal map ties them exactly.
Paper: M. Shakerinava, M. Sohrabi, S. Ravanbakhsh, S. Lacoste-Julien, "Weight-Sharing
Regularization", AISTATS 2024 [weight-sharing].
"""

from __future__ import annotations

from coset.sharing.models import PositionMLP, TorusCNN
from coset.sharing.optimizer import ProxSharing
from coset.sharing.particles import MergeEvent, ParticleHistory, simulate_particles
from coset.sharing.penalty import pairwise_penalty
from coset.sharing.prox import ClusterInfo, prox_sharing
from coset.sharing.reference import pairwise_penalty_reference, prox_sharing_reference
from coset.sharing.strengths import (
    all_merge_strength,
    critical_strength,
    predicted_largest_fraction,
    predicted_unique_fraction,
)

# In reading order: the penalty, its prox, what moves, when it merges, how to train with it.
__all__ = [  # noqa: RUF022
    "pairwise_penalty",
    "prox_sharing",
    "ClusterInfo",
    "simulate_particles",
    "ParticleHistory",
    "MergeEvent",
    "all_merge_strength",
    "critical_strength",
    "predicted_unique_fraction",
    "predicted_largest_fraction",
    "ProxSharing",
    "PositionMLP",
    "TorusCNN",
    "prox_sharing_reference",
    "pairwise_penalty_reference",
]
