"""Random graphs whose dense problem and junction tree the tests compare, and a plain minimizer."""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.problem import DenseProblem


def odd_graph(seed: int) -> tuple[PDG, float]:
    """Draw a graph with zeros, constraints, variables of one value and an observation; and γ."""
    source, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    pdg = PDG({f"v{i}": source.choice([1, 2, 2, 3, 3]) for i in range(source.randint(2, 6))})
    names = list(pdg.variables)
    for number in range(source.randint(1, 7)):
        scope = source.sample(names, source.randint(1, min(3, len(names))))
        cut = source.randint(max(0, len(scope) - 2), len(scope) - 1)
        table = random_table(*pdg.cards(scope), num_targets=len(scope) - cut, generator=generator)
        if source.random() < 0.3:
            table = _with_zeros(table, len(scope) - cut, generator)
        beta = source.choice([0.5, 1.0, 2.0, 2.0, math.inf if source.random() < 0.5 else 1.0])
        alpha = source.choice([0.0, 0.5, 1.0])
        pdg.add(f"a{number}", scope[cut:], scope[:cut], cpd=table, alpha=alpha, beta=beta)
    if source.random() < 0.3:
        pdg.observe(source.choice(names), 0)
    return pdg, source.choice([0.0, 0.0, 0.01, 0.1, 0.5])


def _with_zeros(table: Tensor, num_targets: int, generator: torch.Generator) -> Tensor:
    axes = tuple(range(-num_targets, 0))
    thinned = torch.where(torch.rand(table.shape, generator=generator) < 0.2, 0.0, table)
    thinned = torch.where(thinned.sum(axes, keepdim=True) == 0, table, thinned)
    return thinned / thinned.sum(axes, keepdim=True)


def _marginal(joint: Tensor, axes: tuple[int, ...]) -> Tensor:
    rest = [axis for axis in range(-joint.ndim, 0) if axis not in axes]
    return joint.sum(rest, keepdim=True) if rest else joint


def plain_score(problem: DenseProblem, joint: Tensor) -> float:
    """Return the score of a dense joint, term by term."""
    value = (joint * problem.cost).sum() + problem.gamma * torch.xlogy(joint, joint).sum()
    for term in problem.terms:
        if term.weight and term.targets:
            both = _marginal(joint, term.sources + term.targets)
            given = _marginal(joint, term.sources)
            added = torch.xlogy(both, both).sum() - torch.xlogy(given, given).sum()
            value = value + term.weight * added
    return float(value) + problem.constant


def plain_descent(problem: DenseProblem, steps: int) -> tuple[float, Tensor]:
    """Return score and joint after plain mirror descent on the dense joint."""
    state = torch.zeros(problem.shape, dtype=torch.float64)
    if problem.allowed is not None:
        state = state.masked_fill(~problem.allowed, -math.inf)
    state, _ = problem.chain.project(state)
    smoothness = max(problem.smoothness, 1e-9)
    for _ in range(steps):
        joint = state.exp()
        gradient = problem.gamma * state + problem.cost
        for term in problem.terms:
            if term.weight and term.targets:
                both = _marginal(joint, term.sources + term.targets).log()
                given = _marginal(joint, term.sources).log()
                rises = torch.where(both > -math.inf, both - given, 0.0)
                gradient = gradient + term.weight * rises
        moved = torch.where(state > -math.inf, state - gradient / smoothness, -math.inf)
        state, _ = problem.chain.project(moved)
    return plain_score(problem, state.exp()), state.exp()


def conflicting_tree(num_variables: int, *, seed: int = 0) -> PDG:
    """Draw a tree of beliefs in one direction, and in both on half of its edges."""
    generator = torch.Generator().manual_seed(seed)
    pdg = PDG({f"X{i}": 3 for i in range(num_variables)})
    for i in range(1, num_variables):
        j = int(torch.randint(max(0, i - 5), i, (), generator=generator))
        pdg.add(f"p{i}", f"X{i}", f"X{j}", cpd=random_table(3, 3, generator=generator))
        if i % 2:
            pdg.add(f"q{i}", f"X{j}", f"X{i}", cpd=random_table(3, 3, generator=generator))
    return pdg
