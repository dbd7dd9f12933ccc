"""A proof of how inconsistent many beliefs are, checked again without the solver."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from coset.beliefs.tree.plan import TreePlan
from coset.beliefs.tree.problem import Belief
from coset.beliefs.tree.score import TreeScore
from coset.core.results import Certificate, Record

__all__ = ["CertifiedBelief", "TreeCertificate"]

# How far figures that are computed again may be off, relative to the sum of their parts.
_ROUNDING = 1e-11


@dataclass(frozen=True, eq=False)
class CertifiedBelief(Record):
    """One belief of a problem; see `coset.beliefs.tree.problem.Belief`.

    Attributes:
        name: the arc.
        sources: places of its sources.
        targets: places of its targets.
        weight: c.
        linear: b.
        log_p: (*sources, *targets), finite.
        forbidden: where it makes worlds impossible.
        is_constraint: whether μ(t|s) = p(t|s).
    """

    name: str
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    weight: float
    linear: float
    log_p: Tensor
    forbidden: Tensor
    is_constraint: bool

    @classmethod
    def of(cls, belief: Belief) -> CertifiedBelief:
        """Take over a belief of a problem."""
        return cls(
            belief.name,
            belief.sources,
            belief.targets,
            belief.weight,
            belief.linear,
            torch.from_numpy(np.array(belief.log_p)),
            torch.from_numpy(np.array(belief.forbidden)),
            belief.is_constraint,
        )

    def belief(self) -> Belief:
        """Return it as the score takes it."""
        return Belief(
            self.name,
            self.sources,
            self.targets,
            self.weight,
            self.linear,
            self.log_p.numpy(),
            self.forbidden.numpy(),
            self.is_constraint,
        )


@dataclass(frozen=True, eq=False)
class TreeCertificate(Certificate):
    """A joint on a junction tree with a score of `value`, at most `gap` above the least one.

    Attributes:
        cards: the numbers of values of the variables.
        clusters: the variables of each cluster, those of its separator first.
        parents: the parent of each cluster, −1 for a root; children come first.
        beliefs: what the score consists of.
        gamma: γ.
        constant: what is added to the score.
        log_conditional: (num_entries,), log μ(rest | separator).
        log_belief: (num cells of all beliefs,), log q(t | s) with Σ_t q ≤ 1: log μ(t | s), except
            in rows without probability, where any q bounds the score from below.
        value: the score of μ, in nats.
        gap: E_μ[G] − min E[G] for the gradient G at μ.
    """

    cards: tuple[int, ...]
    clusters: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]
    beliefs: tuple[CertifiedBelief, ...]
    gamma: float
    constant: float
    log_conditional: Tensor
    log_belief: Tensor
    value: float
    gap: float

    def verify(self) -> bool:
        """Compute score and gap of μ again, and whether μ meets the constraints.

        Returns:
            Whether they are as stated, up to rounding.
        """
        plan = TreePlan(self.cards, self.clusters, self.parents)
        beliefs = [stored.belief() for stored in self.beliefs]
        score = TreeScore(plan, beliefs, self.gamma)
        if any(b.weight < 0 and b.targets for b in beliefs) or score.uniform() is None:
            return False
        bounds = self.log_belief.numpy()
        if not score.are_conditionals(bounds):
            return False
        given = self.log_conditional.numpy()
        point = score.point(np.array(given), bounds)
        # `point` makes any tables a joint that meets the constraints: these are one already.
        mass = plan.distribute(np.array(given))
        gap = score.gap(score.gradient(point))
        size = self.gamma * abs(point.mass @ point.log_conditional) + abs(self.constant)
        room = _ROUNDING * (1 + size + float(point.marginal @ abs(point.slope)))
        return bool(
            np.abs(mass - point.mass).max(initial=0.0) <= _ROUNDING
            and abs(point.value + self.constant - self.value) <= room
            and gap <= self.gap + room
            and math.isfinite(self.gap)
        )

    def explain(self) -> str:
        """Say what is proved, and by what."""
        return (
            f"The joint of {len(self.cards)} variables in {len(self.clusters)} clusters has the "
            f"score {self.value:.9g} nats at γ = {self.gamma:g}. The score is convex (γα ≤ β on "
            f"all {len(self.beliefs)} arcs), and its gradient G at this joint has "
            f"E[G] − min G = {self.gap:.3g}, so no joint has a score below "
            f"{self.value - self.gap:.9g}."
        )
