"""How fast mirror descent falls: claims C23 and C23b."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.claims.identities import agreement
from coset.beliefs.claims.solvers import (
    CASES,
    TOLERANCE,
    as_told,
    drawn_graph,
    drawn_joint,
    minimizer,
)
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.reference import mirror_descent_reference
from coset.beliefs.solvers.problem import dense_problem
from coset.beliefs.solvers.score import score
from coset.core.claims import ClaimResult, claim


def smoothness(pdg: PDG, gamma: float) -> float:
    """Return L = γ + Σ (β − γα), for β ≥ γα.

    Args:
        pdg: the beliefs.
        gamma: γ.

    Returns:
        The smoothness of the score relative to negative entropy.

    Claims: beliefs.C23.
    """
    return dense_problem(pdg, gamma).smoothness


def _largest(pdg: PDG, gamma: float) -> float:
    return gamma + max(arc.beta - gamma * arc.alpha for arc in pdg.arcs.values())


def _alpha_without_gamma(pdg: PDG, gamma: float) -> float:
    return gamma + sum(max(arc.beta - arc.alpha, 0.0) for arc in pdg.arcs.values())


def _without_gamma(pdg: PDG, gamma: float) -> float:
    return max(smoothness(pdg, gamma) - gamma, 1e-3)


def _single_belief() -> tuple[PDG, float]:
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=torch.tensor([0.7, 0.3], dtype=torch.float64), beta=2.0)
    return pdg, 1.0


def _observational() -> tuple[PDG, float]:
    return _single_belief()[0], 0.0


def _divergence(left: Tensor, right: Tensor) -> float:
    return float((left * (left.log() - right.log())).sum())


@claim(
    "beliefs.C23",
    title="relative to negative entropy the score is L-smooth and γ-strongly convex",
    statement="""With L = γ + Σ (β − γα), γ KL(ν‖μ) ≤ [[M]]_γ(ν) − [[M]]_γ(μ) − ⟨G(μ), ν − μ⟩ ≤
        L KL(ν‖μ). Hence steps of 1/L of mirror descent never raise the score, end within
        L KL(μ*‖μ₀) / k of the infimum after k, and within (1 − γ/L)^k L KL(μ*‖μ₀).""",
    hypotheses="""β ≥ γα ≥ 0; random graphs of 3 and 4 variables, pairs of joints that differ
        anywhere and pairs that differ in one conditional; twenty steps of descent""",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the largest weight, not the sum": _largest,
        "β − α, without γ": _alpha_without_gamma,
        "without the γ of the entropy": _without_gamma,
    },
    near_misses=lambda: [_single_belief(), _observational()],
)
def C23(
    bound: Callable[[PDG, float], float] = smoothness, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge beliefs.C23: both inequalities on random pairs, and descent by the literal steps."""
    errors: list[tuple[float, Any]] = []
    for number in range(CASES[preset]):
        pdg, gamma = drawn_graph(number, generator)
        largest = bound(pdg, gamma)
        for case in range(6):
            mu = drawn_joint(pdg, generator)
            nu = drawn_joint(pdg, generator) if case % 2 else _tilted(pdg, mu, generator)
            leaves = mu.clone().requires_grad_()
            before = score(pdg, mu, gamma)
            (slope,) = torch.autograd.grad(_unnormalized(pdg, leaves, gamma), leaves)
            rise = float(score(pdg, nu, gamma) - before - (slope * (nu - mu)).sum())
            far = _divergence(nu, mu)
            excess = max(rise - largest * far, gamma * far - rise, 0.0)
            errors.append((excess, as_told(pdg, gamma, mu, nu)))
        # With an L that is already refuted descent can leave the floats
        if max(error for error, _ in errors) <= TOLERANCE:
            errors.append((_descent_excess(pdg, gamma, largest), as_told(pdg, gamma)))
    return agreement(errors, TOLERANCE, "an inequality of smoothness or of descent missed")


def _tilted(pdg: PDG, mu: Tensor, generator: torch.Generator) -> Tensor:
    """Change a joint in the conditional of the arc p0 only."""
    arc, names = pdg.arcs["p0"], list(pdg.variables)
    scope = [i for i, name in enumerate(names) if name in (*arc.sources, *arc.targets)]
    targets = [names.index(name) for name in arc.targets]
    rest = [i for i in range(mu.ndim) if i not in scope]
    both = mu.sum(rest, keepdim=True) if rest else mu
    factor = torch.rand(both.shape, generator=generator, dtype=mu.dtype) + 0.1
    factor = factor / (both * factor).sum(targets, keepdim=True) * both.sum(targets, keepdim=True)
    return mu * factor


def _unnormalized(pdg: PDG, joint: Tensor, gamma: float) -> Tensor:
    """Return a function whose gradient at a joint is that of the score, up to a constant."""
    return score(pdg, joint / joint.sum(), gamma)


def _descent_excess(pdg: PDG, gamma: float, largest: float) -> float:
    """Return by how much the literal descent misses the bounds."""
    best = minimizer(pdg, gamma)
    least = float(score(pdg, best, gamma))
    before, excess, total = math.inf, 0.0, 0.0
    for k, joint in enumerate(islice(mirror_descent_reference(pdg, gamma, largest), 20)):
        value = float(score(pdg, joint, gamma))
        if k == 0:
            total = largest * _divergence(best, joint)
        allowed = min(total / max(k, 1), (1 - gamma / largest) ** k * total)
        excess = max(excess, value - before, value - least - allowed if k else 0.0)
        before = value
    return max(excess, 0.0)


def step_from(pdg: PDG, gamma: float, start: Tensor) -> Tensor:
    """Return the joint after one literal step of 1/L of mirror descent.

    Args:
        pdg: the beliefs.
        gamma: γ.
        start: μ₀, positive.

    Returns:
        μ₁.

    Claims: beliefs.C23b.
    """
    steps = mirror_descent_reference(pdg, gamma, smoothness(pdg, gamma), start)
    return next(islice(steps, 1, None))


def _half_step(pdg: PDG, gamma: float, start: Tensor) -> Tensor:
    steps = mirror_descent_reference(pdg, gamma, 2 * smoothness(pdg, gamma), start)
    return next(islice(steps, 1, None))


def _unit_step(pdg: PDG, gamma: float, start: Tensor) -> Tensor:
    return next(islice(mirror_descent_reference(pdg, gamma, 1.0, start), 1, None))


def _already_there() -> tuple[PDG, float, Tensor]:
    pdg = PDG({"X": 2})
    table = torch.tensor([0.7, 0.3], dtype=torch.float64)
    pdg.add("p", "X", cpd=table)
    return pdg, 1.0, table


@claim(
    "beliefs.C23b",
    title="with β = γα one step is exact",
    statement="""If β = γα on every arc then L = γ, and one step from any positive joint reaches
        μ* ∝ ∏ p(T|S)^α.""",
    hypotheses="γ from 1/4 to 2, α from 1/2 to 3/2, random graphs of 3 and 4 variables",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={"half a step": _half_step, "step 1": _unit_step},
    near_misses=lambda: [_already_there()],
)
def C23b(
    step: Callable[[PDG, float, Tensor], Tensor] = step_from,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge beliefs.C23b: one step against the product of the tables over all worlds."""
    errors: list[tuple[float, Any]] = []
    for number in range(CASES[preset]):
        drawn, _ = drawn_graph(number, generator)
        gamma = (0.25, 1.0, 2.0)[number % 3]
        pdg = PDG(drawn.variables.values())
        for place, arc in enumerate(drawn.arcs.values()):
            alpha = 0.5 * (1 + place % 3)
            pdg.arcs[arc.name] = arc.weighted(alpha, gamma * alpha)
        start = drawn_joint(pdg, generator)
        found = step(pdg, gamma, start)
        log_product = torch.zeros_like(start)
        for arc in pdg.arcs.values():
            scope = (*arc.sources, *arc.targets)
            order = sorted(range(len(scope)), key=lambda i: list(pdg.variables).index(scope[i]))
            table = arc.log_probabilities().permute(order)
            shape = [v.card if name in scope else 1 for name, v in pdg.variables.items()]
            log_product = log_product + arc.alpha * table.reshape(shape)
        product = log_product.flatten().softmax(0).reshape(start.shape)
        errors.append((float((found - product).abs().max()), as_told(pdg, gamma, start)))
    return agreement(errors, 1e-12, "one step against the product of tables")
