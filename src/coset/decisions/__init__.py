"""Preferences, the reward that they need, and a policy with a certificate.

Do preferences contradict each other (`axioms.check`)? Which reward and multipliers do they need
(`elicit`)? What is then best, one objective after the other (`solve`)? Papers: M. Shakerinava,
S. Ravanbakhsh, "Utility Theory for Sequential Decision Making", ICML 2022 [utility];
M. Shakerinava, S. Ravanbakhsh, A. Oberman, "Beyond Scalar Rewards: An Axiomatic Framework for
Lexicographic MDPs", NeurIPS 2025 [lexicographic].
"""

from __future__ import annotations

from coset.decisions import axioms, elicit, envs, learn
from coset.decisions.errors import (
    NoOptimalPolicyError,
    NotTransientError,
    PreferenceContradictionError,
    ResolutionError,
    UndecidedError,
    UnprovedTieError,
)
from coset.decisions.preferences.hausner import (
    safety_utility,
    split_safety,
)
from coset.decisions.preferences.lottery import (
    EMPTY,
    EventSequence,
    Lottery,
    Oracle,
    mix,
)
from coset.decisions.preferences.models import (
    AffineModel,
    LexicographicModel,
    safety_model,
)
from coset.decisions.preferences.oracles import (
    CountingOracle,
    noisy_oracle,
)
from coset.decisions.preferences.outcome_utilities import (
    LexicographicUtility,
    LinearUtility,
)
from coset.decisions.processes.gauge import (
    Gauge,
    gauge,
    regauge,
)
from coset.decisions.processes.mdp import (
    MDP,
)
from coset.decisions.processes.mdp_file import (
    read_mdp,
    write_mdp,
)
from coset.decisions.processes.named_mdp import (
    NamedMDP,
)
from coset.decisions.processes.objectives import (
    objectives,
    weighted_sum,
)
from coset.decisions.processes.policy_outcome import (
    policy_outcome,
)
from coset.decisions.processes.potential import (
    Potential,
    potential,
    shape_reward,
)
from coset.decisions.processes.rational import (
    RationalEvent,
    RationalMDP,
)
from coset.decisions.processes.reorder import (
    reorder,
)
from coset.decisions.processes.returns import (
    multiplier_advantages,
    multiplier_returns,
    multiplier_returns_reference,
)
from coset.decisions.reference import (
    bellman_reference,
    policy_iteration_reference,
    value_iteration_reference,
)
from coset.decisions.reference_lexicographic import (
    brute_force,
    joint_policy_iteration,
    policy_worth,
)
from coset.decisions.solvers.batch import (
    MDPBatch,
)
from coset.decisions.solvers.batch_solver import (
    solve_batch,
)
from coset.decisions.solvers.certificate import (
    PolicyCertificate,
)
from coset.decisions.solvers.cmdp import (
    CMDPCertificate,
    CMDPSolution,
    solve_cmdp,
)
from coset.decisions.solvers.evaluation import (
    evaluate,
)
from coset.decisions.solvers.occupancy import (
    occupancy,
)
from coset.decisions.solvers.orders import (
    OrderComparison,
    compare_orders,
    reorder_objectives,
)
from coset.decisions.solvers.radius import (
    Radius,
    radius,
)
from coset.decisions.solvers.rational_certificate import (
    ExactPolicyCertificate,
)
from coset.decisions.solvers.risk import (
    RiskSolution,
    certainty_equivalent,
    risk_sensitive,
    solve_risk_sensitive,
)
from coset.decisions.solvers.signed import (
    SignedMDP,
    signed,
)
from coset.decisions.solvers.solution import (
    MDPSolution,
    TieStatus,
)
from coset.decisions.solvers.solving import (
    solve,
)
from coset.decisions.solvers.transience import (
    Transience,
    transience,
)

# In reading order: outcomes and utilities, what preferences imply, processes, solving, what holds
# of them, other criteria, learning, the literal versions, errors.
__all__ = [  # noqa: RUF022
    "Lottery",
    "mix",
    "EventSequence",
    "EMPTY",
    "Oracle",
    "LinearUtility",
    "LexicographicUtility",
    "AffineModel",
    "LexicographicModel",
    "safety_model",
    "noisy_oracle",
    "CountingOracle",
    "split_safety",
    "safety_utility",
    "axioms",
    "elicit",
    "MDP",
    "RationalMDP",
    "RationalEvent",
    "MDPBatch",
    "objectives",
    "weighted_sum",
    "read_mdp",
    "write_mdp",
    "NamedMDP",
    "solve",
    "solve_batch",
    "MDPSolution",
    "TieStatus",
    "PolicyCertificate",
    "ExactPolicyCertificate",
    "evaluate",
    "occupancy",
    "policy_outcome",
    "compare_orders",
    "OrderComparison",
    "reorder_objectives",
    "transience",
    "Transience",
    "radius",
    "Radius",
    "gauge",
    "Gauge",
    "regauge",
    "potential",
    "Potential",
    "shape_reward",
    "signed",
    "SignedMDP",
    "risk_sensitive",
    "solve_risk_sensitive",
    "RiskSolution",
    "certainty_equivalent",
    "solve_cmdp",
    "CMDPSolution",
    "CMDPCertificate",
    "reorder",
    "multiplier_returns",
    "multiplier_advantages",
    "multiplier_returns_reference",
    "envs",
    "learn",
    "bellman_reference",
    "value_iteration_reference",
    "policy_iteration_reference",
    "brute_force",
    "joint_policy_iteration",
    "policy_worth",
    "NoOptimalPolicyError",
    "NotTransientError",
    "PreferenceContradictionError",
    "ResolutionError",
    "UndecidedError",
    "UnprovedTieError",
]
