"""The score and mirror descent on it, literal and slow: loops over worlds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.core.errors import UnsupportedError

__all__ = ["mirror_descent_reference", "score_reference"]

World = tuple[int, ...]
# μ, its marginals and the like: a number a world, or a number a tuple of values
Numbers = dict[World, float]


def _worlds(pdg: PDG) -> list[World]:
    return list(itertools.product(*(range(v.card) for v in pdg.variables.values())))


def _part(pdg: PDG, world: World, names: tuple[str, ...]) -> World:
    """Return the values that a world gives to the variables named."""
    place = {name: i for i, name in enumerate(pdg.variables)}
    return tuple(world[place[name]] for name in names)


def _marginal(pdg: PDG, joint: Numbers, names: tuple[str, ...]) -> Numbers:
    total: Numbers = {}
    for world, p in joint.items():
        part = _part(pdg, world, names)
        total[part] = total.get(part, 0.0) + p
    return total


def _conditional(pdg: PDG, joint: Numbers, arc: Arc) -> Numbers:
    """Return μ(t|s) for each (s, t) with μ(s) > 0."""
    source = _marginal(pdg, joint, arc.sources)
    both = _marginal(pdg, joint, (*arc.sources, *arc.targets))
    return {
        part: p / source[part[: len(arc.sources)]]
        for part, p in both.items()
        if source[part[: len(arc.sources)]] > 0
    }


def _belief(arc: Arc) -> Numbers:
    """Return p(t|s) for each (s, t)."""
    table = arc.probabilities().detach().double()
    parts = itertools.product(*(range(size) for size in table.shape))
    return {part: float(table[part]) for part in parts}


def score_reference(pdg: PDG, joint: Tensor, gamma: float = 0.0) -> float:
    """Return Σ β E KL(μ(T|s) ‖ p(T|s)) + γ (−H(μ) + Σ α H_μ(T|S)), term by term.

    Args:
        pdg: the beliefs, with finite β, not a batch.
        joint: μ, one axis a variable.
        gamma: γ ≥ 0.

    Returns:
        The score in nats; +∞ where μ gives weight to what a belief rules out.

    Complexity: O(worlds · arcs) Python operations.
    """
    mu = {world: float(joint[world]) for world in _worlds(pdg)}
    total = 0.0
    for p in mu.values():
        if p > 0:
            total += gamma * p * math.log(p)
    for arc in pdg.arcs.values():
        conditional, belief = _conditional(pdg, mu, arc), _belief(arc)
        for part, p in _marginal(pdg, mu, (*arc.sources, *arc.targets)).items():
            if p > 0 and belief[part] == 0:
                return math.copysign(math.inf, arc.beta)
            if p > 0:
                surprise = -math.log(conditional[part])
                total += arc.beta * p * (-math.log(belief[part]) - surprise)
                total += gamma * arc.alpha * p * surprise
    return total


def mirror_descent_reference(
    pdg: PDG, gamma: float, smoothness: float, start: Tensor | None = None
) -> Iterator[Tensor]:
    """Yield μ₀, μ₁, … of μ_{k+1} ∝ μ_k exp(−G(μ_k) / L), for ever.

    G(w) = γ log μ(w) + Σ (β − γα) log μ(t|s) − β log p(t|s).

    Args:
        pdg: the beliefs, with finite β and p > 0.
        gamma: γ ≥ 0.
        smoothness: L > 0; the score falls in each step if it is at least γ + Σ (β − γα).
        start: μ₀, positive; uniform, if none.

    Yields:
        Joints, float64, one axis a variable.

    Raises:
        UnsupportedError: if an arc is a constraint or has p = 0.

    Claims: beliefs.C23, beliefs.C23b.
    """
    beliefs = {arc.name: _belief(arc) for arc in pdg.arcs.values()}
    for arc in pdg.arcs.values():
        if arc.is_hard or min(beliefs[arc.name].values()) <= 0:
            raise UnsupportedError(
                f"the literal descent needs finite β and p > 0; {arc.name!r} is otherwise"
            )
    worlds = _worlds(pdg)
    mu = {world: 1.0 / len(worlds) for world in worlds}
    if start is not None:
        mu = {world: float(start[world]) for world in worlds}
    while True:
        table = torch.tensor([mu[world] for world in worlds], dtype=torch.float64)
        yield table.reshape(pdg.cards(pdg.variables))
        gradient = {world: gamma * math.log(mu[world]) for world in worlds}
        for arc in pdg.arcs.values():
            conditional, scope = _conditional(pdg, mu, arc), (*arc.sources, *arc.targets)
            for world in worlds:
                part = _part(pdg, world, scope)
                weight = arc.beta - gamma * arc.alpha
                gradient[world] += weight * math.log(conditional[part])
                gradient[world] -= arc.beta * math.log(beliefs[arc.name][part])
        least = min(gradient.values())
        weights = {w: mu[w] * math.exp((least - gradient[w]) / smoothness) for w in worlds}
        total = sum(weights.values())
        mu = {world: weight / total for world, weight in weights.items()}
