"""Find out what someone wants by asking: utilities, rewards, multipliers, priorities.

`utility` and `affine` ask for one number at a time, `safety_threshold` whether an outcome is
infinitely bad, `safety_first` and `lexicographic` for priorities. Answers are exact or, with
`delta`, noisy. `action_chances` says what the intervals mean for the decision.
"""

from __future__ import annotations

from coset.decisions.elicit.affine_reward import AffineReward
from coset.decisions.elicit.events import affine
from coset.decisions.elicit.interview import Interview, as_future
from coset.decisions.elicit.memorylessness import MemorylessnessWitness, find_reversal
from coset.decisions.elicit.outcomes import ElicitedUtility, utility
from coset.decisions.elicit.posterior import adapt
from coset.decisions.elicit.priorities import LexicographicElicitation, lexicographic
from coset.decisions.elicit.process import event_process
from coset.decisions.elicit.propagation import ActionChances, action_chances
from coset.decisions.elicit.question import Question, gamble, ratio
from coset.decisions.elicit.safety import (
    SafetyFirstReward,
    SafetyThreshold,
    safety_first,
    safety_threshold,
)
from coset.decisions.elicit.search import Found, bisect, simplest_between, stern_brocot
from coset.decisions.elicit.trisection import noisy_sign, trisect

__all__ = [
    "ActionChances",
    "AffineReward",
    "ElicitedUtility",
    "Found",
    "Interview",
    "LexicographicElicitation",
    "MemorylessnessWitness",
    "Question",
    "SafetyFirstReward",
    "SafetyThreshold",
    "action_chances",
    "adapt",
    "affine",
    "as_future",
    "bisect",
    "event_process",
    "find_reversal",
    "gamble",
    "lexicographic",
    "noisy_sign",
    "ratio",
    "safety_first",
    "safety_threshold",
    "simplest_between",
    "stern_brocot",
    "trisect",
    "utility",
]
