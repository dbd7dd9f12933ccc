"""The experiments of state tracking.

Exact: layers of groups (compile), words that refute (witnesses), floats against length (horizon).
Trained: bits (parity), near the solution (near-solution), orders of layers (typed-stacks),
published blocks (learnability). Learned and then exact: learned-trackers, joint-training.
"""

from __future__ import annotations

from coset.ssm.experiments.compiling import CompilingConfig, compiling
from coset.ssm.experiments.horizon import HorizonConfig, horizon
from coset.ssm.experiments.joint_training import JointTrainingConfig, joint_training
from coset.ssm.experiments.learnability import LearnabilityConfig, learnability
from coset.ssm.experiments.learned_trackers import LearnedTrackersConfig, learned_trackers
from coset.ssm.experiments.near_solution import NearSolutionConfig, near_solution
from coset.ssm.experiments.parity import ParityConfig, parity
from coset.ssm.experiments.typed_stacks import TypedStacksConfig, typed_stacks
from coset.ssm.experiments.witnesses import WitnessesConfig, witnesses

__all__ = [
    "CompilingConfig",
    "HorizonConfig",
    "JointTrainingConfig",
    "LearnabilityConfig",
    "LearnedTrackersConfig",
    "NearSolutionConfig",
    "ParityConfig",
    "TypedStacksConfig",
    "WitnessesConfig",
    "compiling",
    "horizon",
    "joint_training",
    "learnability",
    "learned_trackers",
    "near_solution",
    "parity",
    "typed_stacks",
    "witnesses",
]
