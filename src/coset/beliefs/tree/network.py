"""Products of beliefs: Bayesian networks and factor graphs, by one pass over a junction tree."""

from __future__ import annotations

import graphlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.tree.joint import TreeJoint
from coset.beliefs.tree.plan import MAX_BYTES, Floats, TreePlan
from coset.beliefs.tree.problem import unbatched
from coset.beliefs.tree.tables import log_tables
from coset.core.errors import DomainError, UnknownNameError

__all__ = ["JunctionTree", "ancestors", "is_network", "query_network"]


def is_network(pdg: PDG) -> bool:
    """Return whether the arcs are a Bayesian network: its product is then best at every γ.

    Each variable is a target of one arc at most, the arrows make no cycle, α = 1 and β > 0. (A
    variable that is no target is uniform.)

    Args:
        pdg: the graph as it is attended.

    Returns:
        Whether it is so.

    Claims: beliefs.C4.
    """
    parents: dict[str, tuple[str, ...]] = {}
    for arc in pdg.arcs.values():
        if arc.alpha != 1 or not arc.beta > 0:
            return False
        for target in arc.targets:
            if target in parents:
                return False
            parents[target] = arc.sources
    try:
        graphlib.TopologicalSorter(parents).prepare()
    except graphlib.CycleError:
        return False
    return True


def ancestors(pdg: PDG, names: Sequence[str]) -> PDG:
    """Return the part of a Bayesian network that decides the distribution of some variables.

    Args:
        pdg: a Bayesian network, see `is_network`.
        names: of variables.

    Returns:
        The graph of these variables, of those that they come from, and of their arcs.
    """
    arc_of = {target: arc for arc in pdg.arcs.values() for target in arc.targets}
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        if name in arc_of:
            left += [*arc_of[name].targets, *arc_of[name].sources]
    graph = PDG(variable for name, variable in pdg.variables.items() if name in found)
    graph.arcs.update({n: arc for n, arc in pdg.arcs.items() if arc.targets[0] in found})
    return graph


def query_network(
    pdg: PDG,
    query: Sequence[str],
    given: Mapping[str, int],
    *,
    max_bytes: int = MAX_BYTES,
) -> Tensor:
    """Return the distribution of some variables of a Bayesian network, given values of others.

    Args:
        pdg: the network, see `is_network`.
        query: distinct names of variables, none of them given.
        given: positions of values.
        max_bytes: how much the tables may take.

    Returns:
        (*batch, *cards of the query).

    Raises:
        DomainError: if what is given has probability 0.
        WidthError: if the tables take more than `max_bytes`.

    Claims: beliefs.C4.
    """
    free = [name for name in pdg.variables if name not in given]
    place = {name: i for i, name in enumerate(free)}
    tables, axes = log_tables(pdg), {}
    for name, arc in pdg.arcs.items():
        scope = (*arc.sources, *arc.targets)
        index = [given.get(v, slice(None)) for v in scope]
        tables[name] = tables[name][(..., *index)]
        axes[name] = [place[v] for v in scope if v in place]
    asked = [place[name] for name in query]
    plan = TreePlan.of(
        pdg.cards(free),
        [*filter(None, axes.values()), asked],
        roots=[asked],
        max_bytes=max_bytes,
        copies=1,
    )
    attached, cluster = plan.attach(list(axes.values())), plan.host(asked)
    assert cluster is not None  # it was asked for
    batch = np.broadcast_shapes(*(t.shape[: t.ndim - len(axes[n])] for n, t in tables.items()))
    num = math.prod(batch)
    rows = [unbatched(t, batch, len(axes[n])).reshape(num, -1) for n, t in tables.items()]
    flat = np.concatenate([np.empty((num, 0)), *rows], 1)
    found = []
    for row in flat:
        weights = plan.zeros()
        attached.add(weights, row)
        if np.isneginf(plan.collect(weights)):
            raise DomainError(
                f"what is given must have a positive probability; {dict(given)} has none"
            )
        found.append(plan.root_marginal(weights, cluster, asked))
    return torch.from_numpy(np.stack(found)).reshape(*batch, *pdg.cards(query))


class JunctionTree:
    """The product ∏_a p_a(T|S)^α_a of a graph's beliefs, compiled once and used for any numbers.

    For a Bayesian network (α = 1) that is its distribution, the best joint at every γ; for a factor
    graph (α = β) it is the best joint at γ = 1.

    Args:
        pdg: the graph.
        together: sets of variables whose marginals shall be quick.
        max_bytes: how much the tables may take.

    Attributes:
        plan: the clusters.

    Raises:
        WidthError: if the tables take more than `max_bytes`.

    Complexity: a pass is linear in `plan.num_entries`.

    Example:
        >>> pdg = PDG({"rain": 2, "wet": 2})
        >>> arc = pdg.add("rain", "rain", cpd=[0.8, 0.2])
        >>> arc = pdg.add("wet", "wet", "rain", cpd=[[0.9, 0.1], [0.2, 0.8]])
        >>> tree = JunctionTree(pdg)
        >>> tree.marginals(given={"wet": 1})["rain"].numpy().round(6)
        array([0.333333, 0.666667])

    Claims: beliefs.C4, beliefs.C5.
    """

    def __init__(
        self,
        pdg: PDG,
        *,
        together: Sequence[Sequence[str]] = (),
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._pdg = pdg
        self._place = {name: i for i, name in enumerate(pdg.variables)}
        self._arcs = [name for name, arc in pdg.arcs.items() if arc.alpha != 0]
        arcs = [pdg.arcs[name] for name in self._arcs]
        scopes = [self._places((*arc.sources, *arc.targets)) for arc in arcs]
        cards = pdg.cards(pdg.variables)
        extra = [self._places(names) for names in together]
        self.plan = TreePlan.of(cards, [*scopes, *extra], max_bytes=max_bytes)
        self._attached = self.plan.attach(scopes)
        self._single = self.plan.attach([(i,) for i in range(len(cards))])
        exponents = np.array([arc.alpha for arc in arcs], np.float64)
        self._exponents = np.repeat(exponents, np.diff(self._attached.at))
        self._plain = bool((exponents == 1).all())

    def _places(self, names: Sequence[str]) -> tuple[int, ...]:
        for name in names:
            if name not in self._place:
                raise UnknownNameError.of("variable", name, self._place)
        return tuple(self._place[name] for name in names)

    def _weights(self, pdg: PDG | None, given: Mapping[str, int | str]) -> tuple[Floats, Floats]:
        """Return tables of clusters after one pass, (*batch, num_entries), and log Σ ∏ p^α."""
        source = self._pdg if pdg is None else pdg
        tables = log_tables(source)
        axes = {n: len(a.sources) + len(a.targets) for n, a in source.arcs.items()}
        batch = np.broadcast_shapes(*(t.shape[: t.ndim - axes[n]] for n, t in tables.items()))
        rows = [unbatched(tables[n], batch, axes[n]) for n in self._arcs]
        num = math.prod(batch)
        flat = np.concatenate([np.empty((num, 0)), *(r.reshape(num, -1) for r in rows)], 1)
        if not self._plain:
            flat = flat * self._exponents
        walls = np.zeros(self._single.at[-1])
        for name, value in given.items():
            first = self._single.at[self._places([name])[0]]
            index = source.variables[name].index(value)
            walls[first : first + source.variables[name].card] = -math.inf
            walls[first + index] = 0.0
        result, logs = np.zeros((num, self.plan.num_entries)), np.empty(num)
        for i, own in enumerate(flat):
            self._attached.add(result[i], own)
            if given:
                self._single.add(result[i], walls)
            logs[i] = self.plan.collect(result[i])
        return result.reshape(*batch, -1), logs.reshape(batch)

    def log_partition(
        self, pdg: PDG | None = None, given: Mapping[str, int | str] | None = None
    ) -> Tensor:
        """Return log Σ ∏ p^α over the worlds with the values given.

        Args:
            pdg: a graph of the same structure with other numbers.
            given: values of variables.

        Returns:
            (*batch,); for a Bayesian network the log-probability of what is given.

        Raises:
            UnknownNameError: if there is no such variable.
            RangeError: if it has no such value.

        Claims: beliefs.C5, beliefs.C7.
        """
        return torch.from_numpy(np.asarray(self._weights(pdg, given or {})[1]))

    def joint(
        self, pdg: PDG | None = None, given: Mapping[str, int | str] | None = None
    ) -> TreeJoint:
        """Return the product, normalized, given some values.

        Args:
            pdg: a graph of the same structure with other numbers.
            given: values of variables.

        Returns:
            The joint of all variables.

        Raises:
            DomainError: if what is given has no probability.
            UnknownNameError: if there is no such variable.
            RangeError: if it has no such value.
        """
        tables, logs = self._weights(pdg, given or {})
        if np.isneginf(logs).any():
            raise DomainError(
                f"what is given must have a positive probability; {dict(given or {})} has none "
                f"under the product of the beliefs"
            )
        variables = tuple((self._pdg if pdg is None else pdg).variables.values())
        return TreeJoint.on(self.plan, variables, torch.from_numpy(tables))

    def marginals(
        self, pdg: PDG | None = None, given: Mapping[str, int | str] | None = None
    ) -> dict[str, Tensor]:
        """Return the distribution of each variable given some values; see `joint`.

        Args:
            pdg: a graph of the same structure with other numbers.
            given: values of variables.

        Returns:
            By the variable's name (*batch, card).
        """
        joint = self.joint(pdg, given)
        return joint.marginals(self._single)
