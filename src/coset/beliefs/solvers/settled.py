"""Beliefs about conditionals that constraints fix: their entropies are linear functions of μ."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from coset.beliefs.errors import NonConvexError
from coset.beliefs.solvers.hard_chain import Stage
from coset.beliefs.solvers.problem import DenseProblem, Term

__all__ = ["require_convex", "settled"]


def _scope(table: Tensor, ndim: int) -> set[int]:
    """The axes on which a table depends."""
    return {a for a in range(-ndim, 0) if table.shape[a] > 1}


def _known_marginal(problem: DenseProblem) -> tuple[set[int], Tensor]:
    """Return the axes whose joint marginal the chain fixes, and the logarithm of that marginal."""
    ndim = len(problem.variables)
    known = {a for a in range(-ndim, 0) if problem.shape[a] == 1}
    log_marginal = problem.cost.new_zeros((1,) * ndim)
    for stage in problem.chain.stages:
        if _scope(stage.log_kernel, ndim) <= known | set(stage.targets):
            known |= set(stage.targets)
            log_marginal = log_marginal + stage.log_kernel
    return known, log_marginal


def _fixes(stage: Stage, term: Term, ndim: int) -> bool:
    """Whether the stage alone says what the term's conditional is."""
    sources = _scope(stage.log_kernel, ndim) - set(stage.targets)
    if set(stage.targets) != set(term.targets):
        return False
    certain = bool(((stage.log_kernel == 0) | (stage.log_kernel == -math.inf)).all())
    return sources <= set(term.sources) if certain else sources == set(term.sources)


def _fixed_conditional(
    problem: DenseProblem, term: Term, known: set[int], log_marginal: Tensor
) -> Tensor | None:
    """Return log μ(t|s) if the constraints fix it."""
    ndim = len(problem.variables)
    for stage in problem.chain.stages:
        if _fixes(stage, term, ndim):
            return stage.log_kernel
    if not known.issuperset((*term.sources, *term.targets)):
        return None
    others = tuple(known - {*term.sources, *term.targets})
    both = log_marginal.logsumexp(others, keepdim=True) if others else log_marginal
    source = both.logsumexp(term.targets, keepdim=True)
    return torch.where(source > -math.inf, both - source, -math.inf)


def settled(problem: DenseProblem) -> DenseProblem:
    """Return the same problem with every conditional entropy that is fixed moved into the cost.

    Where the constraints say what μ(t|s) is, c Σ μ(s,t) log μ(t|s) is linear in μ: a negative c
    is then no obstacle to convexity, and the smoothness is that of the other terms. Terms of equal
    sources and targets are added up, so that belief can outweigh disbelief.

    Args:
        problem: with a chain of constraints or without.

    Returns:
        A problem with the same score for each joint that meets the constraints.
    """
    known, log_marginal = _known_marginal(problem)
    cost, terms = problem.cost, []
    for term in problem.terms:
        fixed = None
        if term.weight and term.targets:
            fixed = _fixed_conditional(problem, term, known, log_marginal)
        if fixed is not None:
            cost = cost + term.weight * fixed.masked_fill(fixed == -math.inf, 0.0)
        settles = fixed is not None or not term.targets
        terms.append(replace(term, weight=0.0) if settles else term)
    if problem.allowed is not None and cost is not problem.cost:
        cost = cost.masked_fill(~problem.allowed, 0.0)
    return replace(problem, cost=cost, terms=tuple(_merged(terms)))


def require_convex(problem: DenseProblem) -> None:
    """Raise if the score is not convex.

    Raises:
        NonConvexError: with the names of the arcs with γα > β.
    """
    if problem.concave:
        raise NonConvexError(
            f"the score is convex if γα ≤ β on every arc; {', '.join(problem.concave)} "
            f'have γα > β: lower gamma, or use method="cccp" for a local minimum',
            problem.concave,
        )


def _merged(terms: list[Term]) -> list[Term]:
    """Give the first of the terms with equal sources and targets the weight of all of them."""
    first: dict[tuple[frozenset[int], frozenset[int]], int] = {}
    merged: list[Term] = []
    for term in terms:
        place = first.setdefault((frozenset(term.sources), frozenset(term.targets)), len(merged))
        if place < len(merged):
            weight = merged[place].weight + term.weight
            merged[place] = replace(merged[place], weight=weight)
            term = replace(term, weight=0.0)
        merged.append(term)
    return merged
