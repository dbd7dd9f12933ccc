"""The score of a joint on a junction tree, its gradient, and how far it is from the least."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coset.beliefs.tree.anchor import Anchor, anchors
from coset.beliefs.tree.plan import Attached, Floats, TreePlan
from coset.beliefs.tree.problem import Belief

__all__ = ["TreePoint", "TreeScore"]


# How far rows of conditionals may exceed 1 by rounding, or by tables whose rows do.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class TreePoint:
    """A joint on a junction tree, and its score.

    Attributes:
        log_conditional: (num_entries,), log μ(rest | separator); 0 where a world is forbidden.
        mass: (num_entries,), the probabilities of the clusters' values.
        marginal: μ(s, t) of the beliefs, one after the other.
        log_belief: log μ(t | s) likewise.
        slope: c log μ(t | s) − b log p(t | s) likewise, 0 where that is forbidden.
        value: the score.
    """

    log_conditional: Floats
    mass: Floats
    marginal: Floats
    log_belief: Floats
    slope: Floats
    value: float


class TreeScore:
    """−γ H(μ) + Σ_a [c_a Σ μ log μ(t|s) − b_a Σ μ log p_a(t|s)] of joints on a junction tree.

    Args:
        plan: the tree.
        beliefs: of a problem, without batch axes.
        gamma: γ ≥ 0.
        attached: where the beliefs belong, if known.

    Attributes:
        log_p: log p of the beliefs, one after the other, finite.
        forbidden: where they forbid worlds.
        weight: c for each of these entries, 0 where that is forbidden.
        smoothness: γ + max c.
        anchors: constraints on roots.
    """

    def __init__(
        self,
        plan: TreePlan,
        beliefs: Sequence[Belief],
        gamma: float,
        attached: Attached | None = None,
    ) -> None:
        self.plan = plan
        self.gamma = gamma
        self.attached = attached or plan.attach([b.scope for b in beliefs])
        self._widths = np.array(
            [math.prod(plan.cards[v] for v in b.targets) for b in beliefs], np.int64
        )
        self._weights = np.array([b.weight for b in beliefs], np.float64)
        self._linear = np.array([b.linear for b in beliefs], np.float64)
        self.log_p: Floats = np.concatenate([np.empty(0), *(b.log_p.ravel() for b in beliefs)])
        self.forbidden: npt.NDArray[np.bool_] = np.concatenate(
            [np.empty(0, np.bool_), *(b.forbidden.ravel() for b in beliefs)]
        )
        self.weight = np.repeat(self._weights, np.diff(self.attached.at))
        self.weight[self.forbidden] = 0.0
        self.smoothness = gamma + max(self._weights, default=0.0)
        self.anchors: list[Anchor] = anchors(beliefs, plan)
        self._dead = np.zeros(plan.num_entries, np.bool_)

    def uniform(self) -> Floats | None:
        """Return the uniform joint of the worlds allowed, or ``None`` if there are none.

        Returns:
            (num_entries,) log conditionals, −∞ where a world is forbidden; to be called first.
        """
        tables = np.zeros(self.plan.num_entries)
        self.attached.add(tables, np.where(self.forbidden, -math.inf, 0.0))
        if not math.isfinite(self.plan.collect(tables)):
            return None
        if not all(anchor.project(self.plan, tables) for anchor in self.anchors):
            return None
        self._dead = np.isneginf(tables)
        return tables

    def masked(self, tables: Floats, value: float) -> Floats:
        """Return tables of clusters with a value where a world is forbidden."""
        return np.where(self._dead, value, tables)

    def are_conditionals(self, log_belief: Floats) -> bool:
        """Tell whether tables log q(t | s) of the beliefs have Σ_t q ≤ 1 where t is allowed."""
        if log_belief.shape != self.log_p.shape:
            return False
        allowed = np.where(self.forbidden, 0.0, np.exp(log_belief))
        at = self.attached.at
        rows = (
            allowed[at[i] : at[i + 1]].reshape(-1, width).sum(1)
            for i, width in enumerate(self._widths)
        )
        return all(bool((row <= 1 + _ROUNDING).all()) for row in rows)

    def point(self, log_weights: Floats, log_belief: Floats) -> TreePoint:
        """Return the joint nearest to log weights that meets the constraints, and its score.

        Args:
            log_weights: (num_entries,); used up.
            log_belief: log μ(t | s) to use in rows without probability, where any is a subgradient.

        Returns:
            The point.
        """
        from coset.beliefs.tree.kernels import price

        log_weights[self._dead] = -math.inf
        self.plan.collect(log_weights)
        for anchor in self.anchors:
            anchor.project(self.plan, log_weights)
        mass = self.plan.distribute(log_weights)
        log_weights[self._dead] = 0.0
        marginal = self.attached.sum_out(mass)
        slope, known = np.empty_like(marginal), log_belief.copy()
        constants = (self._widths, self._weights, self._linear, self.log_p, self.forbidden)
        value = float(price(marginal, self.attached.at, *constants, known, slope))
        if self.gamma:
            value += self.gamma * float(mass @ log_weights)
        return TreePoint(log_weights, mass, marginal, known, slope, value)

    def gradient(self, point: TreePoint) -> Floats:
        """Return G − E_μ[G] as tables of clusters, each with conditional expectation 0.

        G = γ log μ + Σ_a [c_a log μ(t|s) − b_a log p_a(t|s)]; what is the same for all joints that
        meet the constraints is left out.
        """
        tables = self.gamma * point.log_conditional
        self.attached.add(tables, point.slope)
        self.plan.center(tables, point.mass, point.log_conditional)
        for cluster, parent in enumerate(self.plan.parents):
            if parent < 0:
                own = slice(self.plan.at[cluster], self.plan.at[cluster + 1])
                tables[own] -= tables[own] @ point.mass[own]
        for anchor in self.anchors:
            anchor.center(self.plan, tables, point.mass)
        tables[self._dead] = 0.0
        return tables

    def gap(self, gradient: Floats) -> float:
        """Return E_μ[G] − min E[G] over joints that meet the constraints.

        Args:
            gradient: of `gradient`.

        Returns:
            An upper bound on score − least score, as the score is convex.
        """
        costs = self.masked(gradient, math.inf)
        least = self.plan.least(costs)
        for anchor in self.anchors:
            root = self.plan.table(costs, anchor.cluster)
            least += anchor.least(self.plan, costs) - float(root.min())
        return max(-least, 0.0)
