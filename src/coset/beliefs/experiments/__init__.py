"""The experiments of beliefs."""

from __future__ import annotations

from coset.beliefs.experiments.adversarial import (
    AdversarialConfig,
    adversarial_digits,
)
from coset.beliefs.experiments.attention_study import (
    AttentionStudyConfig,
    attention_study,
)
from coset.beliefs.experiments.belief_propagation import (
    BeliefPropagationConfig,
    belief_propagation,
)
from coset.beliefs.experiments.blame import (
    PlantedConflictConfig,
    planted_conflict,
)
from coset.beliefs.experiments.em import (
    EMConfig,
    em_beside_closed_form,
)
from coset.beliefs.experiments.gan import (
    GANConfig,
    gan_ring,
)
from coset.beliefs.experiments.hypergrid import (
    HyperGridConfig,
    hypergrid,
)
from coset.beliefs.experiments.identities import (
    IdentitiesConfig,
    identities,
)
from coset.beliefs.experiments.solvers import (
    GammaCurveConfig,
    SolversConfig,
    gamma_curve,
    solvers,
)
from coset.beliefs.experiments.tree import (
    TreeScalingConfig,
    tree_scaling,
)

__all__ = [
    "AdversarialConfig",
    "AttentionStudyConfig",
    "BeliefPropagationConfig",
    "EMConfig",
    "GANConfig",
    "GammaCurveConfig",
    "HyperGridConfig",
    "IdentitiesConfig",
    "PlantedConflictConfig",
    "SolversConfig",
    "TreeScalingConfig",
    "adversarial_digits",
    "attention_study",
    "belief_propagation",
    "em_beside_closed_form",
    "gamma_curve",
    "gan_ring",
    "hypergrid",
    "identities",
    "planted_conflict",
    "solvers",
    "tree_scaling",
]
