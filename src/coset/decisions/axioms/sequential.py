"""Axioms of sequential decisions: decided for models and processes, searched for in oracles.

For an `EventModel` or an `MDP` each test decides exactly. For any other oracle it asks random and
directed questions: a violation that is found is a proof, finding none is not.
"""

# ruff: noqa: PT028 - these functions test axioms; they are no tests of pytest's.

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch

from coset.core.errors import DomainError, DtypeError
from coset.decisions.axioms.sequential_exact import (
    additive_verdict,
    gamma_verdict,
    memoryless_verdict,
)
from coset.decisions.axioms.sequential_graph import check_transitions, graph_of
from coset.decisions.axioms.sequential_paths import path_verdict
from coset.decisions.axioms.sequential_search import (
    Search,
    search_additive,
    search_gamma,
    search_memoryless,
    search_paths,
)
from coset.decisions.axioms.sequential_witness import AxiomVerdict, AxiomWitness
from coset.decisions.preferences.exact_numbers import exact_number
from coset.decisions.preferences.lottery import Oracle
from coset.decisions.preferences.models import EventModel
from coset.decisions.processes.mdp import MDP

__all__ = [
    "AxiomVerdict",
    "AxiomWitness",
    "test_additive",
    "test_gamma_indifference",
    "test_memoryless",
    "test_path_independent",
]

Source = EventModel | MDP | Oracle


def _search(
    oracle: Any,
    events: Sequence[str] | None,
    num_queries: int,
    max_length: int,
    generator: torch.Generator | None,
) -> Search:
    if not callable(oracle):
        raise DtypeError(
            f"an axiom is tested on an EventModel, an MDP or an oracle (a function of two "
            f"lotteries); given {type(oracle).__name__}"
        )
    if not isinstance(events, Iterable) or isinstance(events, str):
        raise DomainError(
            f"an oracle knows no events of its own: name them, as in events=['a', 'b']; given "
            f"{events!r}"
        )
    return Search(oracle, tuple(events), num_queries, max_length, generator)


def test_memoryless(
    source: Source,
    *,
    events: Sequence[str] | None = None,
    num_queries: int = 2000,
    max_length: int = 3,
    generator: torch.Generator | None = None,
) -> AxiomVerdict:
    """Test memorylessness: e∘p ≿ e∘q ⇔ p ≿ q for each event e, or e∘p ≈ e∘q for all p, q.

    A multiplier above 1 is as good as any positive one; a negative one reverses preferences and
    fails. With several levels the multiplier must be lower triangular with a positive diagonal, as
    far as futures can differ.

    Args:
        source: a model or a process, decided exactly, or an oracle.
        events: for an oracle, the events.
        num_queries: for an oracle, how many questions are asked at most.
        max_length: for an oracle, of the sequences in its lotteries.
        generator: for an oracle, source of randomness.

    Returns:
        The verdict, with a witness if it fails.

    Raises:
        DtypeError: if the source is neither a model, a process nor a function.
        DomainError: if the events of an oracle are missing, or it answers something else than ±1,0.
        UnsupportedError: if a process has more than 100,000 transitions.

    Claims: decisions.C5, decisions.C6b.

    Examples:
        >>> from coset.decisions.preferences.models import AffineModel
        >>> test_memoryless(AffineModel({"a": 1}, {"a": 2})).holds
        True
        >>> verdict = test_memoryless(AffineModel({"a": 1}, {"a": -1}))
        >>> print(verdict.witness.explain())
        memorylessness asks that an event keeps the order of what follows it, or makes all of it
        indifferent. It fails at the event a:
          a  ≻  ε
          a·a  ≺  a
    """
    if isinstance(source, EventModel | MDP):
        return memoryless_verdict(graph_of(source))
    return search_memoryless(_search(source, events, num_queries, max_length, generator))


def test_additive(
    source: Source,
    *,
    events: Sequence[str] | None = None,
    num_queries: int = 2000,
    max_length: int = 3,
    generator: torch.Generator | None = None,
) -> AxiomVerdict:
    """Test additivity: what has happened does not change how the future trades off.

    p(h₁∘A) + (1−p)C ≿ p(h₁∘B) + (1−p)D ⇔ the same with h₂ [reconstructed from what other papers say
    of the utility paper's axiom]: then all multipliers are 1 and utility is a sum of rewards.
    Pasts that end everything are left out: nothing follows them. The transitions of a process are
    compared on one scale, u(ε) = 0 in each state; where the scale is free in each state, `gauge`
    tells whether another one makes it additive.

    Args:
        source: a model or a process, decided exactly, or an oracle.
        events: for an oracle, the events.
        num_queries: for an oracle, how many questions are asked at most.
        max_length: for an oracle, of the sequences in its lotteries.
        generator: for an oracle, source of randomness.

    Returns:
        The verdict, with a witness if it fails.

    Raises:
        DtypeError: if the source is neither a model, a process nor a function.
        DomainError: if the events of an oracle are missing, or it answers something else than ±1,0.
        UnsupportedError: if a process has more than 100,000 transitions.

    Claims: decisions.C6c.

    Examples:
        >>> from coset.decisions.preferences.models import AffineModel
        >>> test_additive(AffineModel({"a": 1, "end": 2}, {"a": 1, "end": 0})).holds
        True
        >>> test_additive(AffineModel({"a": 1}, {"a": "9/10"})).reason
        'the event a changes how what follows it trades off'
    """
    if isinstance(source, EventModel | MDP):
        return additive_verdict(graph_of(source))
    return search_additive(_search(source, events, num_queries, max_length, generator))


def test_gamma_indifference(
    source: Source,
    gamma: Any = None,
    *,
    per_event: bool = False,
    events: Sequence[str] | None = None,
    num_queries: int = 2000,
    max_length: int = 3,
    generator: torch.Generator | None = None,
) -> AxiomVerdict:
    """Test temporal γ-indifference: 1/(γ+1) e∘τ₁ + γ/(γ+1) τ₂ ≈ 1/(γ+1) e∘τ₂ + γ/(γ+1) τ₁.

    It holds iff every multiplier is γ, the discount, as far as futures can differ.

    Args:
        source: a model or a process, decided exactly, or an oracle.
        gamma: γ in [0, 1]; a mapping event → γ; or ``None``: any one γ in [0, 1] will do.
        per_event: with `gamma` ``None``: each event of a model may have a γ of its own.
        events: for an oracle, the events.
        num_queries: for an oracle, how many questions are asked at most.
        max_length: for an oracle, of the sequences in its lotteries.
        generator: for an oracle, source of randomness.

    Returns:
        The verdict, with a witness if it fails; for models `evidence["gamma"]` is event → γ.

    Raises:
        DtypeError: if the source is neither a model, a process nor a function.
        DomainError: if γ is outside [0, 1] or missing for an event, the events of an oracle are
            missing, or `per_event` is asked of an oracle.
        UnsupportedError: if a process has more than 100,000 transitions.

    Claims: decisions.C6, decisions.C6b.

    Examples:
        >>> from coset.decisions.preferences.models import AffineModel
        >>> model = AffineModel({"a": 1, "b": 2}, {"a": "1/2", "b": "9/10"})
        >>> test_gamma_indifference(model, per_event=True).holds
        True
        >>> test_gamma_indifference(model).reason
        'the event b needs γ = 9/10, a needs γ = 1/2'
    """
    if isinstance(source, EventModel | MDP):
        graph = graph_of(source)
        return gamma_verdict(graph, _gammas(gamma, graph.model.events), per_event)
    if per_event:
        raise DomainError(
            "an oracle is tested against one γ, or against a γ for each event that you give: pass "
            "gamma={event: γ}; coset.decisions.elicit.affine finds them"
        )
    search = _search(source, events, num_queries, max_length, generator)
    return search_gamma(search, _gammas(gamma, search.events))


def _gammas(gamma: Any, events: Sequence[str]) -> dict[str, Fraction] | None:
    if gamma is None:
        return None
    given = gamma if isinstance(gamma, Mapping) else dict.fromkeys(events, gamma)
    missing = [e for e in events if e not in given]
    if missing:
        raise DomainError(f"each event needs its γ; {missing[0]!r} has none")
    exact = {e: exact_number(given[e], "γ") for e in events}
    wrong = [x for x in exact.values() if not 0 <= x <= 1]
    if wrong:
        raise DomainError(f"γ lies in [0, 1]; given {wrong[0]}")
    return exact


def test_path_independent(
    source: Source,
    *,
    transitions: Mapping[str, tuple[Hashable, Hashable]] | None = None,
    tolerance: float | Fraction | None = None,
    num_queries: int = 2000,
    max_length: int = 4,
    generator: torch.Generator | None = None,
) -> AxiomVerdict:
    """Test path independence: trajectories with the same first and last state are indifferent.

    The empty trajectory counts, so that cycles are worth nothing [reconstructed from the abstract
    of the utility paper]. If the process is additive too and connected in both directions, utility
    is a difference of potentials; see `potential`.

    Args:
        source: a process or a model, decided exactly, or an oracle.
        transitions: for a model or an oracle, event → (state before, state after); a model without
            them has one state, at which all trajectories start and end.
        tolerance: for a model or a process, utilities that differ by no more are equal; by default
            0 for a model, and 1e-9 times the largest reward for a process, whose floats are
            rounded.
        num_queries: for an oracle, how many questions are asked at most.
        max_length: for an oracle, of the paths.
        generator: for an oracle, source of randomness.

    Returns:
        The verdict, with two paths as its witness if it fails.

    Raises:
        DtypeError: if the source is neither a model, a process nor a function.
        DomainError: if the transitions of an oracle are missing, they are malformed or given for a
            process, or the tolerance is negative, or given for an oracle.
        UnsupportedError: if states times transitions exceed three million.

    Claims: decisions.C6d.

    Examples:
        >>> from coset.decisions.preferences.models import AffineModel
        >>> model = AffineModel({"up": 1, "down": -1}, {"up": 1, "down": 1})
        >>> states = {"up": (0, 1), "down": (1, 0)}
        >>> test_path_independent(model, transitions=states).holds
        True
    """
    if isinstance(source, EventModel | MDP):
        if tolerance is None:
            scale = float(source.reward.abs().max()) if isinstance(source, MDP) else 0.0
            tolerance = 1e-9 * scale
        allowed = exact_number(tolerance, "the tolerance")
        if allowed < 0:
            raise DomainError(f"the tolerance must be ≥ 0; given {tolerance}")
        return path_verdict(graph_of(source, transitions), allowed)
    if tolerance is not None:
        raise DomainError(
            f"an oracle tells no utilities that a tolerance could compare; given {tolerance!r}; "
            f"leave it out"
        )
    if transitions is None:
        raise DomainError(
            "an oracle knows no states: pass transitions={event: (state before, state after)}"
        )
    check_transitions(transitions)
    search = _search(source, list(transitions), num_queries, max_length, generator)
    return search_paths(search, transitions)


# They test axioms, not this library: pytest must not collect them.
test_additive.__test__ = False  # type: ignore[attr-defined]
test_gamma_indifference.__test__ = False  # type: ignore[attr-defined]
test_memoryless.__test__ = False  # type: ignore[attr-defined]
test_path_independent.__test__ = False  # type: ignore[attr-defined]
