"""Claims C9b to C9e: laws that every inconsistency obeys."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.claims.identities import TOLERANCE, agreement
from coset.beliefs.divergences import pdg_divergence
from coset.beliefs.losses import surprisal_graph
from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.beliefs.solvers.score import score
from coset.beliefs.solvers.solve import solve
from coset.core.claims import ClaimResult, claim

Value = Callable[[PDG, float], float]
# How many random graphs by preset.
CASES = {"smoke": 8, "cpu": 80, "paper": 800}
# Arcs and their rows as JSON values, enough to build a graph again.
Story = list[dict[str, Any]]


def value_of(pdg: PDG, gamma: float) -> float:
    """Return the inconsistency of a graph.

    Args:
        pdg: the beliefs.
        gamma: γ.

    Returns:
        The value in nats, within 1e-9 of the infimum.
    """
    return float(solve(pdg, gamma).value)


def _told(pdg: PDG) -> Story:
    return [
        {"arc": str(arc), "beta": str(arc.beta), "cpd": arc.probabilities().tolist()}
        for arc in pdg.arcs.values()
    ]


def _graph(number: int, generator: torch.Generator) -> PDG:
    """Draw a graph of up to five variables with uneven confidences."""
    pdg = random_graph(
        3 + number % 3, 4 + number % 2, num_sources=(0, 2), generator=generator, num_targets=(1, 1)
    )
    betas = 0.25 + 2 * torch.rand(len(pdg.arcs), generator=generator, dtype=torch.float64)
    return _with_betas(pdg, betas.tolist())


def _with_betas(pdg: PDG, betas: list[float]) -> PDG:
    """Return a graph whose α are 1/8, so that its score is convex for γ ≤ 2."""
    graph = PDG(pdg.variables.values())
    for arc, beta in zip(pdg.arcs.values(), betas, strict=True):
        graph.arcs[arc.name] = arc.weighted(0.125, beta)
    return graph


def _betas(pdg: PDG) -> list[float]:
    return [arc.beta for arc in pdg.arcs.values()]


def _two_opposed(beta: float = 0.5) -> PDG:
    pdg = PDG({"X": 2})
    table = torch.tensor([0.7, 0.3], dtype=torch.float64)
    pdg.add("p", "X", cpd=table, beta=beta)
    pdg.add("q", "X", cpd=table.flip(0), beta=beta)
    return pdg


def _seen() -> PDG:
    return surprisal_graph(torch.tensor([[0.1, 0.2], [0.3, 0.4]], dtype=torch.float64), 0)


def _per_confidence(pdg: PDG, gamma: float) -> float:
    total = sum(b for b in _betas(pdg) if b < math.inf)
    return value_of(pdg, gamma) / (total or 1.0)


def _with_entropy(pdg: PDG, gamma: float) -> float:
    full = PDG(pdg.variables.values())
    for arc in pdg.arcs.values():
        alpha = 0.0 if arc.is_hard else min(arc.beta, 1.0)
        full.arcs[arc.name] = arc.weighted(alpha, arc.beta)
    return value_of(full, gamma or 1.0)


@claim(
    "beliefs.C9b",
    title="more beliefs are never less inconsistent",
    statement="""Adding arcs, or raising a confidence, even to certainty, never lowers ⟨⟨M⟩⟩₀.""",
    hypotheses="random graphs of 3 to 5 variables, β > 0, γ = 0",
    source="[paper] Loss as the Inconsistency of a PDG",
    kind="proved",
    expected="holds",
    mutants={"per unit of confidence": _per_confidence, "at γ = 1": _with_entropy},
    near_misses=lambda: [(_two_opposed(), 0.0), (_seen(), 0.0)],
)
def C9b(value: Value = value_of, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C9b: each graph against itself with more arcs and more confidence."""
    errors: list[tuple[float, Any]] = []
    for number in range(CASES[preset]):
        pdg = _graph(number, generator)
        before = value(pdg, 0.0)
        more = random_graph(
            len(pdg.variables), 1, num_sources=(0, 1), num_targets=(1, 1), generator=generator
        ).arcs["p0"]
        scope = (*more.sources, *more.targets)
        table = random_table(*pdg.cards(scope), generator=generator)
        added = pdg.copy()
        added.add("more", more.targets, more.sources, cpd=table)
        betas = _betas(pdg)
        betas[0] = (betas[0] * 3, math.inf)[number % 2]
        for larger in (added, _with_betas(pdg, betas)):
            errors.append((max(0.0, before - value(larger, 0.0)), [_told(pdg), _told(larger)]))
    return agreement(errors, TOLERANCE, "how much a graph with more in it is below one with less")


def _at_most_one(pdg: PDG, gamma: float) -> float:
    return value_of(_with_betas(pdg, [min(b, 1.0) for b in _betas(pdg)]), gamma)


def _last_of_a_kind(pdg: PDG, gamma: float) -> float:
    kept = {(arc.sources, arc.targets, str(arc.cpd)): arc.name for arc in pdg.arcs.values()}
    graph = PDG(pdg.variables.values())
    graph.arcs.update({name: pdg.arcs[name] for name in kept.values()})
    return value_of(graph, gamma)


@claim(
    "beliefs.C9c",
    title="confidences are weights",
    statement="""⟨⟨c β⟩⟩₀ = c ⟨⟨β⟩⟩₀ for c > 0, and an arc may be split into two with β/2 each
        without any change at γ = 0.""",
    hypotheses="random graphs of 3 to 5 variables, c from 1/3 to 40",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "per unit of confidence": _per_confidence,
        "confidence counts up to 1": _at_most_one,
        "equal beliefs count once": _last_of_a_kind,
    },
    near_misses=lambda: [(_two_opposed(), 0.0)],
)
def C9c(value: Value = value_of, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C9c: graphs against their multiples and splits."""
    errors: list[tuple[float, Any]] = []
    for number in range(CASES[preset]):
        pdg = _graph(number, generator)
        before, c = value(pdg, 0.0), (1 / 3, 2.5, 40.0)[number % 3]
        scaled = value(_with_betas(pdg, [c * b for b in _betas(pdg)]), 0.0)
        errors.append((abs(scaled / c - before), _told(pdg)))
        first = next(iter(pdg.arcs.values()))
        halves = pdg.copy()
        halves.arcs[first.name] = first.weighted(first.alpha, first.beta / 2)
        halves.arcs["half"] = replace(halves.arcs[first.name], name="half")
        errors.append((abs(value(halves, 0.0) - before), _told(pdg)))
    return agreement(errors, TOLERANCE, "values of multiples and of split arcs against the plain")


def _largest_part(pdg: PDG, gamma: float) -> float:
    return max(value_of(part, gamma) for part in pdg.components())


def _idle_ignored(pdg: PDG, gamma: float) -> float:
    return value_of(pdg.subgraph(pdg.arcs), gamma)


def _first_backwards(pdg: PDG, gamma: float) -> float:
    first = next(iter(pdg.variables))
    graph = PDG(pdg.variables.values())
    for arc in pdg.arcs.values():
        turned = [arc.sources.index(first)] if first in arc.sources else []
        graph.arcs[arc.name] = replace(arc, cpd=arc.probabilities().flip(turned))
    return value_of(graph, gamma)


def _relabeled(pdg: PDG, generator: torch.Generator) -> PDG:
    """Return the graph with variables in another order and their values permuted."""
    names = list(pdg.variables)
    order = torch.randperm(len(names), generator=generator).tolist()
    graph = PDG([pdg.variables[names[i]] for i in order])
    moved = {n: torch.randperm(pdg.variables[n].card, generator=generator) for n in names}
    for arc in reversed(pdg.arcs.values()):
        table = arc.probabilities()
        for axis, name in enumerate((*arc.sources, *arc.targets)):
            table = table.index_select(axis, moved[name])
        sources = arc.sources[::-1]
        axes = [*reversed(range(len(sources))), *range(len(sources), table.ndim)]
        graph.arcs[arc.name] = replace(arc, cpd=table.permute(axes), sources=sources)
    return graph


def _beside(left: PDG, right: PDG, idle: int) -> PDG:
    """Return two graphs side by side, and a variable that no arc touches."""
    graph = left.copy()
    for name, variable in right.variables.items():
        graph.variable(f"{name}'", variable.card)
    for arc in right.arcs.values():
        sources, targets = ([f"{v}'" for v in side] for side in (arc.sources, arc.targets))
        graph.arcs[f"{arc.name}'"] = Arc(
            f"{arc.name}'", tuple(sources), tuple(targets), arc.cpd, arc.alpha, arc.beta
        )
    graph.variable("idle", idle)
    return graph


@claim(
    "beliefs.C9d",
    title="parts add up, and names do not matter",
    statement="""⟨⟨M⟩⟩_γ of graphs without a common variable is the sum of theirs; a variable of k
        values that no arc touches adds −γ log k; and no order or name of variables and values
        changes anything.""",
    hypotheses="random graphs of 3 to 5 variables; γ = 0, 0.3 and 1",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "only the worst part": _largest_part,
        "variables that no arc touches are dropped": _idle_ignored,
        "arcs read their first source backwards": _first_backwards,
    },
    near_misses=lambda: [(_two_opposed(), 0.25)],
)
def C9d(value: Value = value_of, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C9d: graphs side by side and relabeled."""
    errors: list[tuple[float, Any]] = []
    for number in range(CASES[preset]):
        left, right = (_graph(number + j, generator) for j in (0, 1))
        gamma, idle = (0.0, 0.3, 1.0)[number % 3], 2 + number % 4
        alone = value(left, gamma)
        wanted = alone + value(right, gamma) - gamma * math.log(idle)
        both = _beside(left, right, idle)
        errors.append((abs(value(both, gamma) - wanted), [_told(left), _told(right)]))
        other = value(_relabeled(left, generator), gamma)
        errors.append((abs(other - alone), _told(left)))
    return agreement(errors, 2 * TOLERANCE, "sums of parts, and values of relabeled graphs")


def _at_uniform(pdg: PDG, gamma: float) -> float:
    cards = pdg.cards(pdg.variables)
    joint = torch.full(cards, 1 / math.prod(cards), dtype=torch.float64)
    return float(score(pdg, joint, gamma))


def consistent_graph(pdg: PDG, generator: torch.Generator) -> PDG:
    """Return a graph of the same shape whose beliefs are conditionals of one joint."""
    names = list(pdg.variables)
    joint = random_table(*pdg.cards(names), num_targets=len(names), generator=generator)
    graph = PDG(pdg.variables.values())
    for arc in pdg.arcs.values():
        scope = (*arc.sources, *arc.targets)
        table = _marginal(joint, names, scope)
        axes = tuple(range(len(arc.sources), len(scope)))
        graph.arcs[arc.name] = replace(arc, cpd=table / table.sum(axes, keepdim=True))
    return graph


def _marginal(joint: Tensor, names: list[str], scope: tuple[str, ...]) -> Tensor:
    letters = [names.index(n) for n in scope]
    return torch.einsum(joint, list(range(len(names))), letters)


def _disputes(preset: str, generator: torch.Generator) -> Iterator[tuple[PDG, float, float]]:
    """Yield graphs with bounds on their values: consistent ones, and ones with a dispute."""
    for number in range(CASES[preset]):
        pdg = consistent_graph(_graph(number, generator), generator)
        yield pdg, 0.0, 0.0
        p, q = (random_table(pdg.variables["X0"].card, generator=generator) for _ in range(2))
        pdg.add("one", "X0", cpd=p, beta=0.5)
        pdg.add("another", "X0", cpd=q, beta=2.0)
        yield pdg, float(pdg_divergence(p, q, 0.5, 2.0)), math.inf


@claim(
    "beliefs.C9e",
    title="inconsistency is zero exactly for consistent beliefs",
    statement="""If β > 0 then ⟨⟨M⟩⟩₀ ≥ 0, it is 0 if some joint has all beliefs as its
        conditionals, and it is positive if none has: at least the divergence of two beliefs that
        differ about the same variable.""",
    hypotheses="""random graphs of 3 to 5 variables: conditionals of one joint; then two more
        beliefs about one variable""",
    source="[paper] PDG",
    kind="proved",
    expected="holds",
    mutants={"at γ = 1": _with_entropy, "the score of the uniform joint": _at_uniform},
    near_misses=lambda: [(_seen(), 0.0), (_two_opposed(), 0.0)],
)
def C9e(value: Value = value_of, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C9e: graphs that agree by construction, and graphs with a dispute in them."""
    errors: list[tuple[float, Any]] = []
    for pdg, least, most in _disputes(preset, generator):
        found = value(pdg, 0.0)
        errors.append((max(0.0, least - found, found - most), _told(pdg)))
    return agreement(errors, TOLERANCE, "how far values are outside of their bounds")
