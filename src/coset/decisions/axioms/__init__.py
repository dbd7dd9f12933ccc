"""Which utility or reward a set of preferences allows, or why none can.

`check` finds a utility for stated preferences or the bet that refutes every one, in exact
arithmetic; `fit_noisy` reads unsure answers. The tests of sequential axioms (`test_memoryless` and
others) decide on models and processes, and search on oracles.

Begin with `checking` (`check`, the way from preferences to a report) and `certificate` (what
proves a contradiction). `preferences`, `stated_pairs`, `difference_rows` and `packing` turn
statements into rows; `margin_guess` finds the largest margin in floats, `exact_simplex` and
`margin_bound` prove it in fractions; `naming`, `explaining` and `money_pump` say it in words. The
tests of sequential axioms are the modules `sequential*`.
"""

from __future__ import annotations

from coset.decisions.axioms.certificate import PreferenceCertificate
from coset.decisions.axioms.checking import Report, check
from coset.decisions.axioms.explaining import explains
from coset.decisions.axioms.fourier_motzkin import utility_reference
from coset.decisions.axioms.margin_bound import MarginCertificate
from coset.decisions.axioms.money_pump import MoneyPump
from coset.decisions.axioms.noisy import (
    LikelihoodRatio,
    NoisyFit,
    choice_counts,
    fit_noisy,
    likelihood_ratio_test,
)
from coset.decisions.axioms.order import (
    Coverage,
    OrderVerdict,
    completeness,
    independence,
    transitivity,
)
from coset.decisions.axioms.preferences import Preferences
from coset.decisions.axioms.relations import ConstrainedRelation, constrained_relation
from coset.decisions.axioms.scalarization import explains_lexicographically, scalarize
from coset.decisions.axioms.sequential import (
    AxiomVerdict,
    AxiomWitness,
    test_additive,
    test_gamma_indifference,
    test_memoryless,
    test_path_independent,
)
from coset.decisions.axioms.sequential_data import MemorylessReport, check_memoryless
from coset.decisions.axioms.violations import (
    find_continuity_violation,
    find_independence_violation,
)

__all__ = [
    "AxiomVerdict",
    "AxiomWitness",
    "ConstrainedRelation",
    "Coverage",
    "LikelihoodRatio",
    "MarginCertificate",
    "MemorylessReport",
    "MoneyPump",
    "NoisyFit",
    "OrderVerdict",
    "PreferenceCertificate",
    "Preferences",
    "Report",
    "check",
    "check_memoryless",
    "choice_counts",
    "completeness",
    "constrained_relation",
    "explains",
    "explains_lexicographically",
    "find_continuity_violation",
    "find_independence_violation",
    "fit_noisy",
    "independence",
    "likelihood_ratio_test",
    "scalarize",
    "test_additive",
    "test_gamma_indifference",
    "test_memoryless",
    "test_path_independent",
    "transitivity",
    "utility_reference",
]
