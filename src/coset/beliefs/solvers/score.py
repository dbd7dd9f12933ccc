"""The score of a joint distribution: how much it disagrees with the beliefs, and its gradient.

The first functions take a `PDG` and any joint; the others a `DenseProblem` and log μ, and are what
solvers iterate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from coset.beliefs.attention import Attention, attend
from coset.beliefs.joint import Joint
from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import row_tolerance
from coset.beliefs.solvers.problem import DenseProblem, Term, check_gamma
from coset.beliefs.units import Units, in_units
from coset.core.errors import DomainError, DtypeError, ShapeError

__all__ = [
    "gap_of",
    "gradient_of",
    "incompatibility",
    "score",
    "score_of",
    "structural_deficiency",
]


def score(
    pdg: PDG,
    joint: Joint | Tensor,
    gamma: float = 0.0,
    attention: Attention | None = None,
    units: Units = "nats",
) -> Tensor:
    """Return [[M]]_γ(μ) = OInc(μ) + γ SDef(μ), the score that inconsistency minimizes.

    Args:
        pdg: the beliefs.
        joint: μ; a tensor has one axis a variable of `pdg`, in order, after batch axes.
        gamma: γ ≥ 0.
        attention: factors of the confidences; variables that nothing attended touches are summed
            out.
        units: "nats" or "bits".

    Returns:
        (*batch,), of the dtype of the joint; +∞ if μ gives weight to what a belief rules out, or
        breaks a constraint by more than rounding. Differentiable in μ and in the cpds.

    Raises:
        DomainError: if γ is negative or not finite, or μ is not a distribution.
        ShapeError: if μ has not one axis a variable.

    Complexity: O(arcs · worlds).

    Claims: beliefs.C1.

    Example:
        >>> pdg = PDG({"X": 2})
        >>> arc = pdg.add("p", "X", cpd=torch.tensor([0.5, 0.5], dtype=torch.float64))
        >>> round(score(pdg, torch.tensor([1.0, 0.0], dtype=torch.float64), units="bits").item(), 9)
        1.0
    """
    check_gamma(gamma)
    total = incompatibility(pdg, joint, attention)
    if gamma:
        total = total + gamma * structural_deficiency(pdg, joint, attention)
    return in_units(total, units)


def incompatibility(
    pdg: PDG,
    joint: Joint | Tensor,
    attention: Attention | None = None,
    units: Units = "nats",
) -> Tensor:
    """Return OInc(μ) = Σ β E_μ KL(μ(T|s) ‖ p(T|s)), what the numbers of beliefs disagree by.

    Args:
        pdg: the beliefs.
        joint: μ, as in `score`.
        attention: as in `score`.
        units: "nats" or "bits".

    Returns:
        (*batch,).

    Raises:
        DomainError: if μ is not a distribution.
        ShapeError: if μ has not one axis a variable.
    """
    graph = attend(pdg, attention)
    table, names = _table(pdg, graph, joint)
    total = table.new_zeros(table.shape[: table.ndim - len(names)])
    for arc in graph.arcs.values():
        total = total + _disagreement(graph, arc, table, names)
    return in_units(total, units)


def structural_deficiency(
    pdg: PDG,
    joint: Joint | Tensor,
    attention: Attention | None = None,
    units: Units = "nats",
) -> Tensor:
    """Return SDef(μ) = −H(μ) + Σ α H_μ(T|S), what μ depends on beyond the arcs; can be negative.

    Args:
        pdg: the beliefs.
        joint: μ, as in `score`.
        attention: as in `score`.
        units: "nats" or "bits".

    Returns:
        (*batch,).

    Raises:
        DomainError: if μ is not a distribution.
        ShapeError: if μ has not one axis a variable.
    """
    graph = attend(pdg, attention)
    table, names = _table(pdg, graph, joint)
    total = -_entropy(table, len(names))
    for arc in graph.arcs.values():
        both = _marginal(table, names, (*arc.sources, *arc.targets))
        source = _marginal(table, names, arc.sources)
        axes = len(arc.sources) + len(arc.targets)
        total = total + arc.alpha * (_entropy(both, axes) - _entropy(source, len(arc.sources)))
    return in_units(total, units)


def _table(pdg: PDG, graph: PDG, joint: Joint | Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """Return the joint of what is attended, and the names of its axes."""
    kept = tuple(graph.variables)
    if isinstance(joint, Joint):
        return joint.marginal(*kept), kept
    cards = pdg.cards(pdg.variables)
    if not joint.is_floating_point():
        raise DtypeError(f"a joint is a floating tensor; given {joint.dtype}")
    if joint.ndim < len(cards) or tuple(joint.shape[joint.ndim - len(cards) :]) != cards:
        raise ShapeError(
            f"a joint has one axis a variable ({', '.join(pdg.variables)}), of sizes {cards}; "
            f"given {tuple(joint.shape)}"
        )
    total = _sum(joint.detach(), range(-len(cards), 0))
    tolerance = math.sqrt(math.prod(cards)) * row_tolerance(joint.dtype)
    if not bool((joint.detach() >= 0).all() and ((total - 1).abs() <= tolerance).all()):
        raise DomainError(
            f"a joint is ≥ 0 and sums to 1 over the variables; the least entry is "
            f"{float(joint.min()):.6g}, sums go from {float(total.min()):.9g} to "
            f"{float(total.max()):.9g}"
        )
    return _marginal(joint, tuple(pdg.variables), kept), kept


def _sum(table: Tensor, axes: Iterable[int], keepdim: bool = False) -> Tensor:
    # Without axes torch would sum over all of them
    listed = tuple(axes)
    return table.sum(listed, keepdim=keepdim) if listed else table


def _marginal(table: Tensor, names: tuple[str, ...], kept: tuple[str, ...]) -> Tensor:
    batch = table.ndim - len(names)
    table = _sum(table, (batch + i for i, n in enumerate(names) if n not in kept))
    left = [n for n in names if n in kept]
    return table.permute([*range(batch), *(batch + left.index(n) for n in kept)])


def _log(p: Tensor) -> Tensor:
    # Zeros get a finite logarithm: 0 log 0 = 0, and no gradient is 0 · ∞
    return torch.where(p > 0, p, 1.0).log()


def _entropy(p: Tensor, axes: int) -> Tensor:
    return -_sum(p * _log(p), range(-axes, 0))


def _disagreement(graph: PDG, arc: Arc, table: Tensor, names: tuple[str, ...]) -> Tensor:
    """Return β E KL(μ(T|s) ‖ p(T|s)), (*batch,)."""
    scope = (*arc.sources, *arc.targets)
    axes = range(-len(scope), 0)
    targets = range(-len(arc.targets), 0)
    log_p = arc.log_probabilities(graph.cards(scope))
    both = _marginal(table, names, scope)
    source = both.sum(tuple(targets), keepdim=True)
    if arc.is_hard:
        off = (both - source * log_p.exp()).abs().sum(tuple(axes))
        return torch.where(off <= 2 * row_tolerance(both.dtype), 0.0, math.inf).to(both.dtype)
    if arc.beta == 0:
        return both.new_zeros(())
    impossible = log_p == -math.inf
    ratio = _log(both) - _log(source) - log_p.masked_fill(impossible, 0.0)
    ruled_out = ((both > 0) & impossible).flatten(-len(scope)).any(-1)
    value = arc.beta * (both * ratio).sum(tuple(axes))
    return torch.where(ruled_out, math.copysign(math.inf, arc.beta), value)


def _log_conditional(term: Term, joint: Tensor, ndim: int) -> Tensor:
    """Return log μ(t|s) of a term, on axes of size 1 where it is constant; no entry is −∞.

    Where μ(s) = 0 it is uniform, and where only μ(s, t) = 0 as small as floats can be: any
    conditional that sums to at most one bounds the score from below, which the gap relies on.
    """
    kept = {*term.sources, *term.targets}
    both = _sum(joint, (a for a in range(-ndim, 0) if a not in kept), keepdim=True)
    source = both.sum(term.targets, keepdim=True)
    uniform = -math.log(math.prod(both.shape[a] for a in term.targets))
    log_both = both.clamp(min=torch.finfo(joint.dtype).tiny).log()
    return torch.where(source > 0, log_both - _log(source), uniform)


def _slope(problem: DenseProblem, joint: Tensor) -> Tensor:
    """Return Σ c log μ(t|s) − b log p(t|s): the gradient without −γ H; finite everywhere."""
    slope = problem.cost
    for term in problem.terms:
        if term.weight and term.targets:
            slope = slope + term.weight * _log_conditional(term, joint, len(problem.variables))
    return slope


def _worlds(problem: DenseProblem) -> tuple[int, ...]:
    return tuple(range(-len(problem.variables), 0))


def score_of(problem: DenseProblem, log_joint: Tensor) -> Tensor:
    """Return the score of a joint that meets the constraints, without `problem.constant`.

    Args:
        problem: the problem.
        log_joint: log μ, (*batch, *shape).

    Returns:
        (*batch,); +∞ where μ has weight on forbidden worlds. Differentiable in μ and in the tables.
    """
    joint, worlds = log_joint.exp(), _worlds(problem)
    value = _sum(joint * problem.cost, worlds)
    if problem.gamma:
        value = value - problem.gamma * _entropy(joint, len(worlds))
    for term in problem.terms:
        if term.weight and term.targets:
            kept = {*term.sources, *term.targets}
            both = _sum(joint, (a for a in worlds if a not in kept), keepdim=True)
            source = both.sum(term.targets, keepdim=True)
            value = value + term.weight * _sum(both * (_log(both) - _log(source)), worlds)
    if problem.allowed is not None:
        outside = _sum(joint.detach().masked_fill(problem.allowed, 0.0), worlds) > 0
        value = torch.where(outside, math.inf, value)
    return value


def gradient_of(problem: DenseProblem, log_joint: Tensor) -> Tensor:
    """Return the gradient of the score up to a constant: G = γ log μ + Σ c log μ(t|s) − b log p.

    The score is E_μ[G], since it is homogeneous of degree one in unnormalized μ.

    Args:
        problem: the problem.
        log_joint: log μ, (*batch, *shape).

    Returns:
        (*batch, *shape); +∞ at forbidden worlds, and −∞ at allowed ones with μ = 0 if γ > 0.
    """
    gradient = _slope(problem, log_joint.exp())
    if problem.gamma:
        gradient = gradient + problem.gamma * log_joint
    if problem.allowed is not None:
        gradient = gradient.masked_fill(~problem.allowed, math.inf)
    return gradient.expand(log_joint.shape)


def gap_of(problem: DenseProblem, log_joint: Tensor, gradient: Tensor) -> Tensor:
    """Return an upper bound on the score of μ less the minimum, if the score is convex.

    γ = 0: E_μ[G] − min E_ν[G] over joints ν that meet the constraints. γ > 0: the linear part
    S = G − γ log μ bounds the rest of the score from below, so that
    gap = E_μ[G] − min (E_ν[S] − γ H(ν)), which is never more and of second order near the minimum
    [derived].

    Args:
        problem: the problem.
        log_joint: log μ, (*batch, *shape), with the constraints met.
        gradient: G as `gradient_of` returns it.

    Returns:
        (*batch,), at least 0 up to rounding; +∞ if γ > 0 and an allowed world has μ = 0.

    Claims: beliefs.C1, beliefs.C23.
    """
    worlds = _worlds(problem)
    inside = log_joint > -math.inf
    mean = _sum(torch.where(inside, log_joint.exp() * gradient, 0.0), worlds)
    if not problem.gamma:
        return mean - problem.chain.least_expectation(gradient).reshape(mean.shape)
    slope = gradient - problem.gamma * log_joint.masked_fill(~inside, 0.0)
    _, value = problem.chain.project(-slope / problem.gamma)
    return mean + problem.gamma * value.reshape(mean.shape)
