"""A joint of many variables, held as the tables of a junction tree."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from coset.beliefs.joint import Joint
from coset.beliefs.pdg.variable import Variable
from coset.beliefs.tree.plan import Attached, Floats, TreePlan

__all__ = ["TreeJoint"]


@dataclass(frozen=True, eq=False)
class TreeJoint(Joint):
    """μ as the product of μ(rest | separator) over the clusters of a junction tree.

    Its numbers are float64 on the CPU. The variables of `clusters` are counted in the order of
    `variables`, those that are observed left out.

    Attributes:
        variables: all of them.
        clusters: the variables of each cluster, those of its separator first.
        parents: the parent of each cluster, −1 for a root; children come first.
        log_conditional: (*batch, num_entries), log μ(rest | separator), cluster by cluster.
        observed: names of variables that are certain, and their values.

    Claims: beliefs.C4, beliefs.C5.
    """

    clusters: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]
    log_conditional: Tensor
    observed: tuple[tuple[str, int], ...] = ()

    @classmethod
    def on(
        cls,
        plan: TreePlan,
        variables: Sequence[Variable],
        log_conditional: Tensor,
        observed: Sequence[tuple[str, int]] = (),
    ) -> Self:
        """Make a joint on a plan that is there.

        Args:
            plan: the tree of the variables that are not observed.
            variables: all of them.
            log_conditional: (*batch, num_entries).
            observed: names and values of those that are certain.

        Returns:
            The joint.
        """
        joint = cls(tuple(variables), plan.clusters, plan.parents, log_conditional, tuple(observed))
        joint.__dict__["plan"] = plan  # what the cached property would find again
        return joint

    @cached_property
    def plan(self) -> TreePlan:
        """The junction tree."""
        certain = {name for name, _ in self.observed}
        cards = tuple(v.card for v in self.variables if v.name not in certain)
        return TreePlan(cards, self.clusters, self.parents)

    @cached_property
    def _places(self) -> dict[str, int]:
        certain = {name for name, _ in self.observed}
        free = (name for name in self.names if name not in certain)
        return {name: i for i, name in enumerate(free)}

    @cached_property
    def _rows(self) -> Floats:
        shape = math.prod(self.log_conditional.shape[:-1]), self.plan.num_entries
        table: Floats = self.log_conditional.detach().reshape(shape).numpy()
        return table

    @cached_property
    def mass(self) -> Floats:
        """The probabilities of the clusters' values, (batch, num_entries), cluster by cluster."""
        found = np.empty_like(self._rows)
        for row, out in zip(self._rows, found, strict=True):
            self.plan.distribute(row, out)
        return found

    def marginal(self, *names: str) -> Tensor:
        """Return μ(names), from one cluster or, if none has them all, by eliminating the others."""
        self._check(names)
        free = [name for name in names if name in self._places]
        places = [self._places[name] for name in free]
        if not free:
            ones = torch.ones(self.log_conditional.shape[:-1], dtype=torch.float64)
            return self._with_observed(ones, names, free)
        cluster = self.plan.host(places)
        found = self._from_cluster(cluster, places) if cluster is not None else self._joined(places)
        table = torch.from_numpy(found).reshape(*self.log_conditional.shape[:-1], *found.shape[1:])
        return self._with_observed(table, names, free)

    def marginals(self, attached: Attached | None = None) -> dict[str, Tensor]:
        """Return μ(X) of each variable X.

        Args:
            attached: where the variables are in the tree, one by one, if known.

        Returns:
            By the variable's name (*batch, card).
        """
        attached = attached or self.plan.attach([(i,) for i in range(len(self._places))])
        rows = np.stack([attached.sum_out(row) for row in self.mass])
        flat = torch.from_numpy(rows).reshape(*self.log_conditional.shape[:-1], rows.shape[-1])
        parts = iter(torch.split(flat, list(self.plan.cards), -1))
        return {
            v.name: next(parts) if v.name in self._places else self.marginal(v.name)
            for v in self.variables
        }

    def _from_cluster(self, cluster: int, places: Sequence[int]) -> Floats:
        axes = self.plan.clusters[cluster]
        gone = tuple(1 + i for i, v in enumerate(axes) if v not in places)
        table = np.stack([self.plan.table(row, cluster) for row in self.mass]).sum(gone)
        kept = [v for v in axes if v in places]
        order = [1 + kept.index(v) for v in places]
        return np.ascontiguousarray(table.transpose([0, *order]))

    def _joined(self, places: Sequence[int]) -> Floats:
        """Climb from the clusters of the variables to where they meet, and eliminate the rest."""
        plan = self.plan
        climbing = sorted({int(plan.home[v]) for v in places})
        below = []
        while len(climbing) > 1:
            lowest = heapq.heappop(climbing)
            below.append(lowest)
            parent = plan.parents[lowest]
            if parent >= 0 and parent not in climbing:
                heapq.heappush(climbing, parent)
        top = climbing[0]
        clusters = [*below, top]
        used = sorted({v for c in clusters for v in plan.clusters[c]})
        new = {v: i for i, v in enumerate(used)}
        scopes = [tuple(new[v] for v in plan.clusters[c]) for c in clusters]
        query = tuple(new[v] for v in places)
        smaller = TreePlan.of(
            [plan.cards[v] for v in used], [*scopes, query], roots=[query], copies=1
        )
        attached, host = smaller.attach(scopes), smaller.host(query)
        assert host is not None  # it was asked for
        results = []
        for row, mass in zip(self._rows, self.mass, strict=True):
            with np.errstate(divide="ignore"):
                parts = [plan.table(row, c).ravel() for c in below]
                parts.append(np.log(plan.table(mass, top).ravel()))
            tables = np.zeros(smaller.num_entries)
            attached.add(tables, np.concatenate(parts))
            smaller.collect(tables)
            results.append(smaller.root_marginal(tables, host, query))
        return np.stack(results)

    def _with_observed(self, table: Tensor, names: Sequence[str], free: list[str]) -> Tensor:
        """Put in the axes of observed variables, which have all probability at one value."""
        if len(free) == len(names):
            return table
        certain = dict(self.observed)
        cards = {v.name: v.card for v in self.variables}
        batch = table.shape[: table.ndim - len(free)]
        full = torch.zeros(*batch, *(cards[name] for name in names), dtype=table.dtype)
        index = [certain.get(name, slice(None)) for name in names]
        full[(..., *index)] = table
        return full
