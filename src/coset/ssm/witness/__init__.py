"""Witnesses: two words of different value that a diagonal model cannot tell apart.

Level A searches all states of an exact model, B reads one layer's coordinates, C nests commutators,
D tries random words. `witness` picks what fits; `TrackingWitness.replay` runs the words again.
"""

from coset.ssm.witness.commutators import commutator_pair
from coset.ssm.witness.fading import FadingLayer, FadingStack
from coset.ssm.witness.finite import LabelTrace, trace_labels
from coset.ssm.witness.random_models import random_cascade, random_fading_stack, random_layer
from coset.ssm.witness.result import LengthProbe, TrackingWitness, WitnessSearch
from coset.ssm.witness.search import search_witness, witness
from coset.ssm.witness.tables import LayerTables
from coset.ssm.witness.words import Word

__all__ = [
    "FadingLayer",
    "FadingStack",
    "LabelTrace",
    "LayerTables",
    "LengthProbe",
    "TrackingWitness",
    "WitnessSearch",
    "Word",
    "commutator_pair",
    "random_cascade",
    "random_fading_stack",
    "random_layer",
    "search_witness",
    "trace_labels",
    "witness",
]
