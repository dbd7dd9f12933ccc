"""The pictures of state tracking, drawn from rows and run folders; nothing is computed here.

Each function takes ``rows`` (dictionaries) and ``folders`` (run folders) and returns a matplotlib
figure.
"""

from __future__ import annotations

from coset.ssm.figures.gap_map import gap_map, learned_trackers
from coset.ssm.figures.horizon import horizon_margins, horizons
from coset.ssm.figures.learnability import learnability_gap
from coset.ssm.figures.lengths import accuracy_by_length, near_solution_lengths
from coset.ssm.figures.series import animate_clock, increment_maps, phase_clock, series_diagram
from coset.ssm.figures.unit_disc import unit_disc
from coset.ssm.figures.witness import witness_lengths, witness_reading

__all__ = [
    "accuracy_by_length",
    "animate_clock",
    "gap_map",
    "horizon_margins",
    "horizons",
    "increment_maps",
    "learnability_gap",
    "learned_trackers",
    "near_solution_lengths",
    "phase_clock",
    "series_diagram",
    "unit_disc",
    "witness_lengths",
    "witness_reading",
]
