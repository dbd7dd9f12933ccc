"""The score is convex, and its gradient that of the best joint held fixed: claims C1 and C22."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.claims.identities import agreement
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.beliefs.reference import mirror_descent_reference
from coset.beliefs.solvers.envelope import inconsistency
from coset.beliefs.solvers.mirror import solve_mirror
from coset.beliefs.solvers.problem import dense_problem
from coset.beliefs.solvers.score import incompatibility, score, structural_deficiency
from coset.core.claims import ClaimResult, claim

Score = Callable[[PDG, Tensor, float], Tensor]

# How many random graphs by preset.
CASES = {"smoke": 6, "cpu": 60, "paper": 600}
GAMMAS = (1.0, 0.5, 0.25)
# What rounding adds to an inequality between scores.
TOLERANCE = 1e-10


def drawn_graph(
    number: int, generator: torch.Generator, learnable: bool = False
) -> tuple[PDG, float]:
    """Draw a graph of three or four variables with β ≥ γα on each arc, and γ."""
    gamma = GAMMAS[number % len(GAMMAS)]
    drawn = random_graph(
        3 + number % 2, 4, num_sources=(0, 2), num_targets=(1, 1), generator=generator
    )
    pdg = PDG(drawn.variables.values())
    for place, arc in enumerate(drawn.arcs.values()):
        alpha = (0.5, 1.0, 1.5, 0.0)[place % 4]
        more = float(torch.rand((), generator=generator)) if (place + number) % 3 else 0.0
        beta = gamma * alpha + more + (0.2 if alpha == 0 else 0.0)
        pdg.add(
            arc.name,
            arc.targets,
            arc.sources,
            cpd=arc.probabilities(),
            alpha=alpha,
            beta=beta,
            learnable=learnable,
        )
    # The same conditional twice: curvatures add up to L where only it changes
    first = pdg.arcs["p0"]
    table = random_table(*pdg.cards((*first.sources, *first.targets)), generator=generator)
    pdg.add("again", first.targets, first.sources, cpd=table, beta=1.0 + gamma, alpha=1.0)
    return pdg, gamma


def drawn_joint(pdg: PDG, generator: torch.Generator) -> Tensor:
    """Draw a joint distribution of the variables of a graph."""
    return random_table(
        *pdg.cards(pdg.variables), num_targets=len(pdg.variables), generator=generator
    )


def _entropy(p: Tensor) -> float:
    return -float(torch.xlogy(p, p).sum())


def as_told(pdg: PDG, gamma: float, *joints: Tensor) -> list[Any]:
    """Write a case as JSON values, so that a counterexample replays."""
    arcs = [
        {
            "arc": str(arc),
            "alpha": arc.alpha,
            "beta": arc.beta,
            "cpd": arc.probabilities().tolist(),
        }
        for arc in pdg.arcs.values()
    ]
    return [gamma, arcs, *(joint.tolist() for joint in joints)]


def _twice_the_structure(pdg: PDG, joint: Tensor, gamma: float) -> Tensor:
    doubled = PDG(pdg.variables.values())
    for arc in pdg.arcs.values():
        doubled.arcs[arc.name] = arc.weighted(2.5 * arc.alpha, arc.beta)
    return score(doubled, joint, gamma)


def _marginal_entropies(pdg: PDG, joint: Tensor, gamma: float) -> Tensor:
    axes = range(joint.ndim)
    marginals = (joint.sum([a for a in axes if a != axis]) for axis in axes)
    apart = sum(_entropy(marginal) for marginal in marginals)
    return score(pdg, joint, gamma) + gamma * (_entropy(joint) - apart)


def _structure_without_gamma(pdg: PDG, joint: Tensor, gamma: float) -> Tensor:
    return incompatibility(pdg, joint) + min(gamma, 0.1) * structural_deficiency(pdg, joint)


def _certain() -> tuple[PDG, Tensor, float]:
    """A point mass: all entropies are 0."""
    pdg = PDG({"A": 2, "B": 2})
    table = torch.tensor([[0.8, 0.2], [0.3, 0.7]], dtype=torch.float64)
    pdg.add("p", "B", "A", cpd=table)
    joint = torch.zeros(2, 2, dtype=torch.float64)
    joint[1, 0] = 1.0
    return pdg, joint, 0.5


@claim(
    "beliefs.C1",
    title="the score is strictly convex, so its minimizer is one",
    statement="""If β ≥ γα on every arc and γ > 0, [[M]]_γ is strictly convex: at the middle of two
        joints it is below the mean of its values by at least γ times their Jensen–Shannon
        divergence. Descent from any start ends at the same joint.""",
    hypotheses="random graphs of 3 and 4 variables with 5 arcs, two about the same conditional",
    source="[paper] Loss as the Inconsistency of a PDG; the amount is [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "structure counts 2.5 times": _twice_the_structure,
        "entropies of single variables": _marginal_entropies,
        "γ at most 0.1 in the structure": _structure_without_gamma,
    },
    near_misses=lambda: [_certain()],
)
def C1(value: Score = score, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C1: midpoints of random joints, and two descents."""
    errors: list[tuple[float, Any]] = []
    for number in range(CASES[preset]):
        pdg, gamma = drawn_graph(number, generator)
        problem = dense_problem(pdg, gamma)
        starts = [drawn_joint(pdg, generator) for _ in range(2)]
        for _ in range(8):
            one, two = (drawn_joint(pdg, generator) ** 3 for _ in range(2))
            one, two = one / one.sum(), two / two.sum()
            middle = (one + two) / 2
            spread = _entropy(middle) - (_entropy(one) + _entropy(two)) / 2
            mean = (value(pdg, one, gamma) + value(pdg, two, gamma)) / 2
            excess = float(value(pdg, middle, gamma) - mean) + gamma * spread
            errors.append((max(0.0, excess), as_told(pdg, gamma, one, two)))
        names = [v.name for v in problem.variables]
        index = tuple(slice(None) if name in names else 0 for name in pdg.variables)
        ends = [
            solve_mirror(problem, tol=1e-15, max_iter=4_000, start=start[index].log())
            for start in starts
        ]
        apart = float((ends[0].log_joint.exp() - ends[1].log_joint.exp()).abs().sum())
        errors.append((0.0 if apart <= 1e-7 else apart, as_told(pdg, gamma, *starts)))
    return agreement(errors, 1e-12, "convexity missed, or two ends of descent apart,")


def logit_gradients(pdg: PDG, gamma: float) -> list[Tensor]:
    """Return the gradient of the inconsistency in the logits of every arc that learns.

    Args:
        pdg: the beliefs.
        gamma: γ.

    Returns:
        A tensor for each arc with parameters, in order.

    Claims: beliefs.C22.
    """
    parameters = [p for own in pdg.parameters().values() for p in own]
    value = inconsistency(pdg, gamma, tol=1e-14)
    return list(torch.autograd.grad(value, parameters))


def _closed_form(
    pdg: PDG, gamma: float, joint: Tensor, *, alpha: bool = False, sources: bool = True
) -> list[Tensor]:
    """Return β (μ(s) p(t|s) − μ(s,t)), or a wrong variant of it, at a joint of all variables."""
    names, found = list(pdg.variables), []
    for arc in pdg.arcs.values():
        if not arc.parameters:
            continue
        scope = (*arc.sources, *arc.targets)
        rest = [i for i, name in enumerate(names) if name not in scope]
        both = joint.sum(rest) if rest else joint
        left = [name for name in names if name in scope]
        both = both.permute(*(left.index(name) for name in scope))
        source = both.sum(tuple(range(-len(arc.targets), 0)), keepdim=True)
        p = arc.probabilities().detach()
        weight = arc.alpha if alpha else arc.beta
        found.append(weight * (source * p - both if sources else p - both / source))
    return found


def minimizer(pdg: PDG, gamma: float, max_iter: int = 4_000) -> Tensor:
    """Return the best joint, by mirror descent."""
    problem = dense_problem(pdg, gamma)
    result = solve_mirror(problem, tol=1e-14, max_iter=max_iter)
    idle = [v.card for v in problem.idle]
    joint = result.log_joint.detach().exp() / math.prod(idle)
    names = [v.name for v in (*problem.variables, *problem.idle)]
    joint = joint[(..., *(None,) * len(idle))].expand(*problem.shape, *idle)
    return joint.permute(*(names.index(name) for name in pdg.variables))


def _weighted_by_alpha(pdg: PDG, gamma: float) -> list[Tensor]:
    return _closed_form(pdg, gamma, minimizer(pdg, gamma), alpha=True)


def _rows_alike(pdg: PDG, gamma: float) -> list[Tensor]:
    return _closed_form(pdg, gamma, minimizer(pdg, gamma), sources=False)


def _one_step(pdg: PDG, gamma: float) -> list[Tensor]:
    iterates = mirror_descent_reference(pdg, gamma, dense_problem(pdg, gamma).smoothness)
    return _closed_form(pdg, gamma, next(islice(iterates, 1, None)))


def _consistent_weights() -> tuple[PDG, float]:
    """Unconditional beliefs with α = β and γ = 1: one step is exact, and no rows differ."""
    pdg = PDG({"X": 3})
    for name, table in (("p", (0.7, 0.2, 0.1)), ("q", (0.1, 0.3, 0.6))):
        pdg.add(name, "X", cpd=torch.tensor(table, dtype=torch.float64), learnable=True)
    return pdg, 1.0


@claim(
    "beliefs.C22",
    title="the gradient of inconsistency is that of the score at the minimizer",
    statement="""d⟨⟨M(θ)⟩⟩_γ / dθ = −Σ β E_μ* d log p / dθ; for the logits of an arc it is
        β (μ*(s) p(t|s) − μ*(s,t)).""",
    hypotheses="""γ > 0 and β ≥ γα, so that μ* is one and near exact (gap ≤ 1e-14); random graphs
        with softmax tables; central differences of values with step 1e-4""",
    source="[derived] by the envelope theorem",
    kind="proved",
    expected="holds",
    mutants={
        "α in the place of β": _weighted_by_alpha,
        "every row of sources counts alike": _rows_alike,
        "at μ after one step of descent": _one_step,
    },
    near_misses=lambda: [_consistent_weights()],
)
def C22(
    gradients: Callable[[PDG, float], list[Tensor]] = logit_gradients,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge beliefs.C22: against differences along random directions, and the closed form."""
    errors: list[tuple[float, Any]] = []
    for number in range(CASES[preset]):
        pdg, gamma = drawn_graph(number, generator, learnable=True)
        found = gradients(pdg, gamma)
        parameters = [p for own in pdg.parameters().values() for p in own]
        directions = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
        slope = sum(float((g * d).sum()) for g, d in zip(found, directions, strict=True))
        difference = _difference(pdg, gamma, parameters, directions)
        errors.append((abs(slope - difference) / 10, as_told(pdg, gamma)))
        formula = _closed_form(pdg, gamma, minimizer(pdg, gamma))
        worst = max(float((g - f).abs().max()) for g, f in zip(found, formula, strict=True))
        errors.append((worst, as_told(pdg, gamma)))
    return agreement(errors, 1e-7, "gradient against differences (÷ 10) and the closed form")


def _difference(
    pdg: PDG, gamma: float, parameters: list[Tensor], directions: list[Tensor]
) -> float:
    """Return the central difference of the inconsistency along the directions."""
    step, values = 1e-4, []
    with torch.no_grad():
        for move in (step, -2 * step):
            for p, d in zip(parameters, directions, strict=True):
                p.add_(d, alpha=move)
            values.append(float(inconsistency(pdg, gamma, tol=1e-14)))
        for p, d in zip(parameters, directions, strict=True):
            p.add_(d, alpha=step)
    return (values[0] - values[1]) / (2 * step)
