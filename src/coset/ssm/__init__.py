"""What a diagonal recurrence can track: decide it, compile it, refute it, harden it, learn it.

h_t = a(x_t) ∘ h_{t−1} + b(x_t), in k layers, tracks a finite group at every length iff the group
has a series of k steps with Abelian factors. Papers: M. Shakerinava, B. Khavari, S. Ravanbakhsh,
S. Chandar, "The Expressive Limits of Diagonal SSMs for State-Tracking", ICLR 2026 [diagonal-ssm];
B. Khavari et al., "Parity Requires Unified Input Dependence and Negative Eigenvalues in SSMs",
MOSS at ICML 2025 [parity].
"""

from __future__ import annotations

from coset.ssm.automata import (
    Automaton,
    AutomatonCertificate,
    AutomatonTracker,
    AutomatonVerdict,
    CompiledAutomaton,
    TransitionMonoid,
)
from coset.ssm.baselines import RecurrentBaseline
from coset.ssm.blocks import (
    AUSSMBlock,
    BlockStack,
    MambaBlock,
    NegativeMambaBlock,
    S4DBlock,
    SimpleAUSSMBlock,
)
from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.certificate import TrackerCertificate
from coset.ssm.classify import LayerReport, classify
from coset.ssm.compile import SubgroupWarning, compile_group
from coset.ssm.errors import NotSolvableError, NotTrackableError
from coset.ssm.harden import HardenedLayer, HardenedTracker, harden
from coset.ssm.layers import DiagonalSSM
from coset.ssm.learning import (
    GroupWords,
    LearnedCertificate,
    LearnedTracker,
    MachineWords,
    Recipe,
    StoredWords,
    learn_tracker,
)
from coset.ssm.length_generalization import LengthTable, length_generalization
from coset.ssm.mlp_module import MLPTracker
from coset.ssm.modules import IntTracker, TableTracker
from coset.ssm.parity import parity_layer
from coset.ssm.phasor_modules import ComplexTracker, RealTracker
from coset.ssm.reference import (
    compile_reference,
    derived_series_reference,
    run_reference,
    tracking_depth_reference,
)
from coset.ssm.stack import SSMStack
from coset.ssm.tracker import CompiledTracker
from coset.ssm.tracking import TrackingVerdict, can_track, tracking_depth, tracking_series
from coset.ssm.verdict_table import VerdictRow, verdict_table
from coset.ssm.witness import (
    LayerTables,
    TrackingWitness,
    WitnessSearch,
    Word,
    search_witness,
    witness,
)
from coset.ssm.word_problem import WordProblem

# In reading order: which groups, the network for one, automata, layers to train and their words,
# why a model fails, how to make it exact, how to learn one that is.
__all__ = [  # noqa: RUF022
    "can_track",
    "tracking_depth",
    "tracking_series",
    "TrackingVerdict",
    "verdict_table",
    "VerdictRow",
    "NotSolvableError",
    "NotTrackableError",
    "compile_group",
    "CompiledTracker",
    "TrackerCertificate",
    "SubgroupWarning",
    "Cascade",
    "PhaseLayer",
    "IntTracker",
    "TableTracker",
    "ComplexTracker",
    "RealTracker",
    "MLPTracker",
    "Automaton",
    "AutomatonVerdict",
    "TransitionMonoid",
    "CompiledAutomaton",
    "AutomatonCertificate",
    "AutomatonTracker",
    "DiagonalSSM",
    "SSMStack",
    "parity_layer",
    "BlockStack",
    "S4DBlock",
    "MambaBlock",
    "NegativeMambaBlock",
    "AUSSMBlock",
    "SimpleAUSSMBlock",
    "RecurrentBaseline",
    "classify",
    "LayerReport",
    "WordProblem",
    "length_generalization",
    "LengthTable",
    "witness",
    "search_witness",
    "TrackingWitness",
    "WitnessSearch",
    "LayerTables",
    "Word",
    "harden",
    "HardenedTracker",
    "HardenedLayer",
    "learn_tracker",
    "LearnedTracker",
    "LearnedCertificate",
    "Recipe",
    "GroupWords",
    "MachineWords",
    "StoredWords",
    "compile_reference",
    "derived_series_reference",
    "run_reference",
    "tracking_depth_reference",
]
