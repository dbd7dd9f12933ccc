"""Automata: which ones diagonal layers track, how deep they must be, and the layers themselves."""

from __future__ import annotations

from coset.ssm.automata.automaton import Automaton
from coset.ssm.automata.compiled import (
    AutomatonCertificate,
    CompiledAutomaton,
    compile_automaton,
)
from coset.ssm.automata.module import AutomatonTracker
from coset.ssm.automata.monoid import MaximalSubgroup, TransitionMonoid
from coset.ssm.automata.verdict import AutomatonVerdict, SyntacticGroup, judge_automaton

__all__ = [
    "Automaton",
    "AutomatonCertificate",
    "AutomatonTracker",
    "AutomatonVerdict",
    "CompiledAutomaton",
    "MaximalSubgroup",
    "SyntacticGroup",
    "TransitionMonoid",
    "compile_automaton",
    "judge_automaton",
]
