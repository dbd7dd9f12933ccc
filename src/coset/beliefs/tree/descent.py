"""Mirror descent on a junction tree: the dense update, with log μ held as log conditionals.

The dense update log μ' = log μ − G/L + const has, for Σ of tables on clusters, again such a sum:
G = γ log μ + Σ_a [c_a log μ(t|s) − b_a log p_a(t|s)] needs only marginals of clusters. [derived]
Three more things are local in the form log μ = Σ_C log μ(R_C | S_C), with rest R and separator S:

- G can be centered, G_C with E[G_C | S_C] = 0: then parts of different clusters are uncorrelated
  under μ, so that the norm E_μ[G²] in which Anderson's method weighs residuals is a sum over
  clusters, as exact as on the dense joint.
- The gap E_μ[G] − min G is −min Σ G_C of the centered parts: one pass of minima.
- KL(μ' ‖ μ) and the divergence of the score are sums over clusters and arcs, so that the local
  smoothness (claim C23 bounds it by L = γ + Σ c) is measured at each step. The step follows it:
  with many arcs that bound is far too careful.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from coset.beliefs.solvers.anderson import AndersonWindow
from coset.beliefs.tree.plan import Floats
from coset.beliefs.tree.score import TreePoint, TreeScore

__all__ = ["DescentResult", "descend"]

# The gap is measured each so many iterations.
_CHECKS = 4
# The relative increase of a score that may be rounding.
_ROUNDING = 1e-14
# Differences of iterates this small say nothing about smoothness.
_CLOSE = 1e-12
# The largest decrease of the measured smoothness from step to step, and its least value.
_EASING = 0.97
_LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class DescentResult:
    """Where a descent ended.

    Attributes:
        value: the score; +∞ if no world is allowed.
        log_conditional: (num_entries,); −∞ where a world is forbidden.
        gap: an upper bound on value − minimum.
        iterations: how many were made.
        log_belief: log μ(t | s) of each belief with which the gap was found: in rows without
            probability it may be any, and is what the steps before left.
    """

    value: float
    log_conditional: Floats
    gap: float
    iterations: int
    log_belief: Floats


def descend(score: TreeScore, tol: float, max_iter: int, depth: int = 8) -> DescentResult:
    """Minimize a score on a junction tree until the gap is at most `tol`.

    Args:
        score: the score.
        tol: the gap at which to stop.
        max_iter: the most iterations.
        depth: how many differences Anderson's method keeps; 0 for plain steps.

    Returns:
        The result.

    Claims: beliefs.C1, beliefs.C23.
    """
    uniform = score.uniform()
    if uniform is None:
        return DescentResult(math.inf, score.plan.zeros() - math.inf, 0.0, 0, score.log_p)
    product = uniform.copy()
    score.attached.add(product, score.log_p)
    starts = [score.point(weights, score.log_p) for weights in (uniform, product)]
    point = min(starts, key=lambda start: start.value)
    walk = _Walk(score, depth)
    gap = math.inf
    for iteration in range(max_iter + 1):
        gradient = score.gradient(point)
        if iteration % _CHECKS == 0 or iteration == max_iter:
            gap = score.gap(gradient)
        if gap <= tol or iteration == max_iter:
            break
        point = walk.step(point, gradient)
    joint = score.masked(point.log_conditional, -math.inf)
    return DescentResult(point.value, joint, gap, iteration, point.log_belief)


class _Walk:
    """The steps of a descent, with what they learn on the way."""

    def __init__(self, score: TreeScore, depth: int) -> None:
        self.score = score
        self.smoothness = score.smoothness
        self.window = AndersonWindow(depth) if depth else None

    def step(self, point: TreePoint, gradient: Floats) -> TreePoint:
        """Take the accelerated step if it does not raise the score, else a plain one."""
        if self.window is not None:
            found = self._accelerated(self.window, point, gradient)
            if found.value <= point.value + _ROUNDING * (1 + abs(point.value)):
                self._ease(self._local_smoothness(point, found))
                return found
            self.window.clear(torch.ones(1, dtype=torch.bool))
        while True:
            weights = point.log_conditional - gradient / self.smoothness
            found = self.score.point(weights, point.log_belief)
            local = self._local_smoothness(point, found)
            if local <= self.smoothness * (1 + 1e-9):
                self._ease(local)
                return found
            self.smoothness = max(1.5 * self.smoothness, 1.1 * local)

    def _accelerated(self, window: AndersonWindow, point: TreePoint, gradient: Floats) -> TreePoint:
        image, residual, weight = (
            torch.from_numpy(x)[None]
            for x in (point.log_conditional - gradient / self.smoothness, -gradient, point.mass)
        )
        guess = window.extrapolate(image, residual, weight)[0].numpy().copy()
        return self.score.point(guess, point.log_belief)

    def _ease(self, local: float) -> None:
        eased = max(_EASING * self.smoothness, 1.1 * local, self.score.gamma, _LEAST)
        self.smoothness = min(self.smoothness, eased)

    def _local_smoothness(self, old: TreePoint, new: TreePoint) -> float:
        """Return γ + Σ c KL_a / KL of two joints; as it was if they are too close to tell."""
        distance = float(new.mass @ (new.log_conditional - old.log_conditional))
        if distance <= _CLOSE:
            return self.smoothness
        moved = self.score.weight * new.marginal
        return self.score.gamma + float(moved @ (new.log_belief - old.log_belief)) / distance
