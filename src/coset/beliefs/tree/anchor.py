"""Constraints within one cluster that are met exactly, because that cluster is the root."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from networkx.utils import UnionFind
from torch import Tensor

from coset.beliefs.solvers.hard_chain import HardChain
from coset.beliefs.solvers.problem import Term, order_constraints
from coset.beliefs.tree.plan import Floats, TreePlan
from coset.beliefs.tree.problem import Belief
from coset.core.errors import UnsupportedError

__all__ = ["Anchor", "anchor_scopes", "anchors"]


def _expected(table: Tensor, mass: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return E[table | the other axes], 0 where that has no probability, and what has it."""
    if not axes:
        return table, mass
    total = mass.sum(tuple(axes), keepdim=True)
    mean = (mass * table).sum(tuple(axes), keepdim=True)
    return torch.where(total > 0, mean / total, 0.0), total


@dataclass(frozen=True)
class Anchor:
    """A chain of constraints on the variables of a root.

    Attributes:
        cluster: the root.
        chain: the constraints, on the axes of the root's table.
    """

    cluster: int
    chain: HardChain

    def project(self, plan: TreePlan, log_conditional: Floats) -> bool:
        """Make the root's table meet the constraints, in place; return whether that is possible."""
        table = torch.from_numpy(plan.table(log_conditional, self.cluster))
        projected, value = self.chain.project(table)
        table.copy_(projected)
        return bool((value > -math.inf).all())

    def center(self, plan: TreePlan, tables: Floats, mass: Floats) -> None:
        """Take from the root's table what is the same for all joints that meet the constraints.

        In place; what is left of each free part has expectation 0.
        """
        costs = torch.from_numpy(plan.table(tables, self.cluster))
        weights = torch.from_numpy(plan.table(mass, self.cluster))
        mean, weights = _expected(costs, weights, self.chain.rest)
        left = costs - mean
        for stage in reversed(self.chain.stages):
            fixed = (stage.log_kernel.exp() * mean).sum(stage.targets, keepdim=True)
            weights = weights.sum(stage.targets, keepdim=True)
            mean, weights = _expected(fixed, weights, stage.free)
            left = left + (fixed - mean)
        costs.copy_(left)

    def least(self, plan: TreePlan, costs: Floats) -> float:
        """Return the least expectation of the root's costs under the constraints."""
        table = torch.from_numpy(plan.table(costs, self.cluster))
        return float(self.chain.least_expectation(table))


def _groups(beliefs: Sequence[Belief]) -> list[list[Belief]]:
    """Return the constraints of each set of connected variables, the widest first."""
    joined = UnionFind()
    for belief in beliefs:
        joined.union(*belief.scope)
    groups: dict[int, list[Belief]] = {}
    for belief in beliefs:
        if belief.is_constraint:
            groups.setdefault(joined[belief.scope[0]], []).append(belief)
    return [sorted(group, key=lambda b: -len(b.scope)) for group in groups.values()]


def anchor_scopes(beliefs: Sequence[Belief]) -> list[tuple[int, ...]]:
    """Return the variables of the clusters that must be roots: one a set of connected variables.

    Args:
        beliefs: of a problem.

    Returns:
        For each, those of the constraint that has all variables of the others there.

    Raises:
        UnsupportedError: if there is no such constraint.
    """
    groups = _groups(beliefs)
    for group in groups:
        if any(not set(b.scope) <= set(group[0].scope) for b in group):
            raise _unsupported(group)
    return [group[0].scope for group in groups]


def anchors(beliefs: Sequence[Belief], plan: TreePlan) -> list[Anchor]:
    """Return the chains of constraints.

    Args:
        beliefs: of a problem, without batch axes.
        plan: a junction tree with the clusters of `anchor_scopes` as roots.

    Returns:
        The chains.

    Raises:
        UnsupportedError: if constraints do not form a chain.
    """
    found = []
    for group in _groups(beliefs):
        cluster = plan.host(group[0].scope)
        assert cluster is not None  # it was asked for
        axes = plan.clusters[cluster]
        chain, others = order_constraints([_term(b, axes) for b in group], len(axes))
        if others:
            raise _unsupported(group)
        found.append(Anchor(cluster, chain))
    return found


def _term(belief: Belief, axes: tuple[int, ...]) -> Term:
    table = np.where(belief.forbidden, -np.inf, belief.log_p)
    order = sorted(range(table.ndim), key=lambda i: axes.index(belief.scope[i]))
    shape = [1] * len(axes)
    for i in order:
        shape[axes.index(belief.scope[i])] = table.shape[i]
    places = {v: i - len(axes) for i, v in enumerate(axes)}
    return Term(
        belief.name,
        tuple(places[v] for v in belief.sources),
        tuple(places[v] for v in belief.targets),
        0.0,
        belief.linear,
        torch.from_numpy(table.transpose(order).reshape(shape)),
    )


def _unsupported(group: Sequence[Belief]) -> UnsupportedError:
    return UnsupportedError(
        f"a junction tree takes constraints (β = ∞) that are observations, functions, or on "
        f"variables that nothing else touches, and else a chain of them in which each has all "
        f"variables of those before it as sources; given "
        f"{', '.join(repr(b.name) for b in group)}: give them a large finite β, or use "
        f'method="cone" on a smaller graph'
    )
