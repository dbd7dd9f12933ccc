"""The experiments of preferences and sequential decisions."""

from __future__ import annotations

from coset.decisions.experiments.cliff import (
    CliffConfig,
    cliff,
)
from coset.decisions.experiments.constraint import (
    ConstraintConfig,
    constraint,
)
from coset.decisions.experiments.contradiction import (
    ContradictionConfig,
    contradiction,
)
from coset.decisions.experiments.deep import (
    DeepConfig,
    deep,
)
from coset.decisions.experiments.elicitation import (
    ElicitationConfig,
    elicitation,
)
from coset.decisions.experiments.frozen_lake import (
    FrozenLakeConfig,
    frozen_lake,
)
from coset.decisions.experiments.multipliers import (
    ContractionConfig,
    CyclesConfig,
    contraction,
    cycles,
)
from coset.decisions.experiments.paper_examples import (
    PaperExamplesConfig,
    paper_examples,
)
from coset.decisions.experiments.q_learning import (
    QLearningConfig,
    q_learning,
)
from coset.decisions.experiments.random_lexicographic import (
    RandomLexicographicConfig,
    random_lexicographic,
)
from coset.decisions.experiments.risk import (
    RiskConfig,
    risk,
)
from coset.decisions.experiments.safety_triangle import (
    SafetyTriangleConfig,
    safety_triangle,
)

__all__ = [
    "CliffConfig",
    "ConstraintConfig",
    "ContractionConfig",
    "ContradictionConfig",
    "CyclesConfig",
    "DeepConfig",
    "ElicitationConfig",
    "FrozenLakeConfig",
    "PaperExamplesConfig",
    "QLearningConfig",
    "RandomLexicographicConfig",
    "RiskConfig",
    "SafetyTriangleConfig",
    "cliff",
    "constraint",
    "contraction",
    "contradiction",
    "cycles",
    "deep",
    "elicitation",
    "frozen_lake",
    "paper_examples",
    "q_learning",
    "random_lexicographic",
    "risk",
    "safety_triangle",
]
