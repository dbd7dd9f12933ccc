"""Generative flow networks: their losses, the hypergrid, exact answers, and training."""

from __future__ import annotations

from coset.beliefs.gflow.exact import (
    balanced_flows,
    exact_terminal_distribution,
    l1_distance,
    noise_floor,
    sampled_l1_distance,
)
from coset.beliefs.gflow.focus import attended_inconsistency, balancing_focus
from coset.beliefs.gflow.hypergrid import HyperGrid
from coset.beliefs.gflow.losses import (
    detailed_balance,
    flow_matching,
    subtrajectory_balance,
    trajectory_balance,
    variance_gradient,
)
from coset.beliefs.gflow.policy import GridPolicy
from coset.beliefs.gflow.replay import TrajectoryReplay
from coset.beliefs.gflow.train import GFlowNetTrainer, TrainingSettings
from coset.beliefs.gflow.trajectories import (
    Trajectories,
    all_trajectories,
    sample_trajectories,
    step_log_probabilities,
)

__all__ = [
    "GFlowNetTrainer",
    "GridPolicy",
    "HyperGrid",
    "TrainingSettings",
    "Trajectories",
    "TrajectoryReplay",
    "all_trajectories",
    "attended_inconsistency",
    "balanced_flows",
    "balancing_focus",
    "detailed_balance",
    "exact_terminal_distribution",
    "flow_matching",
    "l1_distance",
    "noise_floor",
    "sample_trajectories",
    "sampled_l1_distance",
    "step_log_probabilities",
    "subtrajectory_balance",
    "trajectory_balance",
    "variance_gradient",
]
