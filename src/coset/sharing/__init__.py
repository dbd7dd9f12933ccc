"""Make many weights of a network exactly equal, by a proximal step after each optimizer step.

R(w) = 1/(d−1) · Σ_{i>j} |w_i − w_j| pulls weights together; its proximal map ties them exactly.
Paper: M. Shakerinava, M. Sohrabi, S. Ravanbakhsh, S. Lacoste-Julien, "Weight-Sharing
Regularization", AISTATS 2024 [weight-sharing].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from coset.sharing.models import PositionMLP, TorusCNN
from coset.sharing.optimizer import ProxSharing
from coset.sharing.parametrize import TiedWeight, tie, tied_tensor, untie
from coset.sharing.particles import MergeEvent, ParticleHistory, simulate_particles
from coset.sharing.path import SharingPath, sharing_path
from coset.sharing.penalty import pairwise_penalty
from coset.sharing.polar import sharing_polar
from coset.sharing.prox import ClusterInfo, prox_sharing
from coset.sharing.proximal_gradient import (
    SharingCertificate,
    largest_alpha,
    shared_least_squares,
)
from coset.sharing.quantize import quantize_together, quantize_weights
from coset.sharing.reference import (
    pairwise_penalty_reference,
    prox_sharing_reference,
    sharing_blocks_reference,
)
from coset.sharing.strengths import (
    all_merge_strength,
    critical_strength,
    predicted_largest_fraction,
    predicted_unique_fraction,
)
from coset.sharing.stress import ClusterStress, cluster_stress
from coset.sharing.tied import TiedTensor
from coset.sharing.tied_files import TiedCheckpoint, load_tied, save_tied

if TYPE_CHECKING:
    from coset.sharing.regressor import SharingRegressor

# In reading order: the penalty, its prox, its path, when weights merge, how to train with it, what
# to do with tied weights, what they are good for.
__all__ = [  # noqa: RUF022
    "pairwise_penalty",
    "prox_sharing",
    "ClusterInfo",
    "sharing_path",
    "SharingPath",
    "simulate_particles",
    "ParticleHistory",
    "MergeEvent",
    "all_merge_strength",
    "critical_strength",
    "predicted_unique_fraction",
    "predicted_largest_fraction",
    "ProxSharing",
    "cluster_stress",
    "ClusterStress",
    "quantize_weights",
    "quantize_together",
    "TiedTensor",
    "tie",
    "untie",
    "tied_tensor",
    "TiedWeight",
    "save_tied",
    "load_tied",
    "TiedCheckpoint",
    "SharingRegressor",
    "shared_least_squares",
    "SharingCertificate",
    "largest_alpha",
    "sharing_polar",
    "PositionMLP",
    "TorusCNN",
    "prox_sharing_reference",
    "sharing_blocks_reference",
    "pairwise_penalty_reference",
]


def __getattr__(name: str) -> Any:
    # scikit-learn takes a second to import; only the estimator needs it.
    if name == "SharingRegressor":
        from coset.sharing.regressor import SharingRegressor

        return SharingRegressor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
