"""The pictures of preferences and sequential decisions, drawn from rows; nothing is computed here.

Each function takes ``rows`` (dictionaries) and ``folders`` (run folders) and returns a matplotlib
figure.
"""

from __future__ import annotations

from coset.decisions.figures.contradiction import (
    contradiction_triangle,
)
from coset.decisions.figures.convergence import (
    convergence,
)
from coset.decisions.figures.elicitation import (
    elicitation_curves,
    elicitation_intervals,
)
from coset.decisions.figures.gauge import (
    gauge_obstruction,
)
from coset.decisions.figures.learning import (
    deep_curves,
    q_learning_curves,
)
from coset.decisions.figures.maps import (
    cliff_maps,
    lake_maps,
    lake_maps_large,
    lake_outcomes,
)
from coset.decisions.figures.penalties import (
    independence_reversal,
    penalty_phases,
)
from coset.decisions.figures.risk import (
    risk_frontier,
)
from coset.decisions.figures.triangle import (
    hausner_triangle,
)

__all__ = [
    "cliff_maps",
    "contradiction_triangle",
    "convergence",
    "deep_curves",
    "elicitation_curves",
    "elicitation_intervals",
    "gauge_obstruction",
    "hausner_triangle",
    "independence_reversal",
    "lake_maps",
    "lake_maps_large",
    "lake_outcomes",
    "penalty_phases",
    "q_learning_curves",
    "risk_frontier",
]
