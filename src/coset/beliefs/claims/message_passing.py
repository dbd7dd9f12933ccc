"""Belief propagation is resolution: a focus a message."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.attention import Attention
from coset.beliefs.claims.instances import within, worst_of
from coset.beliefs.classics.sum_product import (
    Factors,
    brute_force_marginals,
    random_factor_graph,
    sum_product,
    sum_product_marginals,
)
from coset.beliefs.foci.belief_propagation import (
    Order,
    belief_name,
    bp_beliefs,
    bp_schedule,
    message_graph,
    to_factor,
    to_variable,
)
from coset.beliefs.pdg.factor_graph import from_factor_graph
from coset.beliefs.resolve.focus import Focus
from coset.beliefs.resolve.lir import lir
from coset.core.claims import ClaimResult, claim

__all__ = ["C16", "bp_by_resolution"]

Cards = Mapping[str, int]
Tables = list[tuple[str, Tensor]]

# How many random trees, by preset.
TREES = {"smoke": 2, "cpu": 100, "paper": 400}
TOLERANCE = 1e-8
SWEEPS = 2


def bp_by_resolution(
    cards: Cards,
    factors: Factors,
    *,
    order: Order = "two-pass",
    sweeps: int = 1,
    gamma: float = 1.0,
    change: Callable[[list[Focus]], list[Focus]] = list,
) -> Tables:
    """Return messages and beliefs after some sweeps of `bp_schedule` by `lir`.

    Args:
        cards: numbers of values by name.
        factors: as in `sum_product`.
        order: as in `bp_schedule`.
        sweeps: how many rounds.
        gamma: γ.
        change: makes other foci of a round's (a mutant).

    Returns:
        (name of the arc, table), sorted.
    """
    pdg, _ = from_factor_graph(cards, factors)
    graph, foci = message_graph(pdg), change(bp_schedule(pdg, order))
    lir(graph, foci, sweeps * len(foci), gamma=gamma, overall_every=0)
    tables = {belief_name(x): b for x, b in bp_beliefs(graph).items()}
    for factor, (scope, _) in factors.items():
        for name in [n for x in scope for n in (to_factor(x, factor), to_variable(factor, x))]:
            tables[name] = graph.arcs[name].probabilities().detach()
    return sorted(tables.items())


def answers_included(cards: Cards, factors: Factors, **options: Any) -> Tables:
    """Let messages to a factor count what that factor said."""

    def change(foci: list[Focus]) -> list[Focus]:
        answers = {to_factor(x, a): to_variable(a, x) for a, (s, _) in factors.items() for x in s}
        return [_with(focus, answers.get(focus.name)) for focus in foci]

    return bp_by_resolution(cards, factors, change=change, **options)


def _with(focus: Focus, arc: str | None) -> Focus:
    attention = focus.attention
    if arc is None or attention is None:
        return focus
    wider = Attention({**attention.beta, arc: 1.0}, {**attention.alpha, arc: 1.0}, default=0.0)
    return Focus(wider, focus.control, focus.name)


def tempered(cards: Cards, factors: Factors, **options: Any) -> Tables:
    """Resolve at γ = ½, where factors count with the power 2 and messages too."""
    return bp_by_resolution(cards, factors, gamma=0.5, **options)


def bp_near_misses() -> list[tuple[Any, ...]]:
    """Return a factor whose marginals are uniform, so that all messages are."""
    table = torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64)
    return [({"a": 2, "b": 2}, {"f": (("a", "b"), table)})]


@claim(
    "beliefs.C16",
    title="belief propagation is resolution with a focus a message",
    statement="""At γ = 1, LIR by a generic minimizer, with messages as beliefs each of which is
        controlled in turn (attended with φ_α = 0, beside what its neighbors say), sends the
        messages of sum-product: on random trees the beliefs are the marginals to 1e-8, and on
        graphs with cycles all messages after each sweep equal those of flooding to 1e-8.""",
    hypotheses="""factors with α = β = 1; 100 trees of 4 to 12 variables (cpu preset), marginals by
        the whole joint; cyclic graphs of 4 variables, 2 sweeps""",
    source="[paper] Local Inconsistency Resolution, section 4",
    kind="proved",
    expected="holds",
    mutants={"messages include the answer": answers_included, "γ = ½": tempered},
    near_misses=bp_near_misses,
)
def C16(
    propagate: Callable[..., Tables] = bp_by_resolution,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge beliefs.C16: trees against brute force, cycles against textbook messages."""
    errors: list[float] = []
    for number in range(TREES[preset]):
        cards, factors = random_factor_graph((5, 4, *range(6, 13))[number % 9], generator=generator)
        found = dict(propagate(cards, factors))
        exact = brute_force_marginals(cards, factors)
        errors.append(worst_of([(found[belief_name(x)], p) for x, p in exact.items()]))
        if errors[-1] > TOLERANCE:
            return within(errors, TOLERANCE, "beliefs on trees differ", {"tree": number})
    for _ in range(max(1, TREES[preset] // 20)):
        cards, factors = random_factor_graph(4, extra=2, generator=generator)
        found = dict(propagate(cards, factors, order="flooding", sweeps=SWEEPS))
        messages = next(itertools.islice(sum_product(cards, factors), SWEEPS - 1, None))
        beliefs = sum_product_marginals(cards, messages)
        pairs = [(found[belief_name(x)], b) for x, b in beliefs.items()]
        for (source, target), message in messages.items():
            name = (to_factor if source in cards else to_variable)(source, target)
            pairs.append((found[name], torch.tensor(message, dtype=torch.float64)))
        errors.append(worst_of(pairs))
    return within(errors, TOLERANCE, "beliefs and messages differ")
