"""A graph for the tree solver: small tables, which worlds they forbid, what is fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from coset.beliefs.errors import UnboundedInconsistencyError
from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import row_tolerance
from coset.beliefs.solvers.problem import is_observation
from coset.beliefs.tree.tables import log_tables

__all__ = ["Belief", "Leaf", "TreeProblem", "is_certain", "tree_problem", "unbatched"]

Floats = npt.NDArray[np.float64]

_TOLERANCE = row_tolerance(torch.float64)


@dataclass(frozen=True)
class Belief:
    """What one arc adds to the score: c Σ μ(s,t) log μ(t|s) − b Σ μ(s,t) log p(t|s).

    Attributes:
        name: the arc.
        sources: places of its sources among the free variables.
        targets: places of its targets.
        weight: c = β − γα, 0 for a constraint.
        linear: b = β; γα for a constraint.
        log_p: (*batch, *sources, *targets), finite.
        forbidden: where the arc makes a world impossible, of the same shape.
        is_constraint: whether μ(t|s) = p(t|s) is more than that.
    """

    name: str
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    weight: float
    linear: float
    log_p: Floats
    forbidden: npt.NDArray[np.bool_]
    is_constraint: bool = False

    @property
    def scope(self) -> tuple[int, ...]:
        """Places of sources, then of targets."""
        return self.sources + self.targets


@dataclass(frozen=True)
class Leaf:
    """A constraint on targets that nothing else touches: μ(t | all else) = p(t | s)."""

    scope: tuple[int, ...]
    log_p: Floats


@dataclass(frozen=True)
class TreeProblem:
    """min over μ of −γ H(μ) + Σ beliefs + constant, over the worlds allowed.

    Attributes:
        pdg: the graph as attended.
        free: names of the variables that are not observed.
        observed: names and values of the others.
        gamma: γ ≥ 0.
        beliefs: those that touch a free variable, without `leaves`.
        leaves: constraints that were eliminated; their targets are in no belief.
        constant: what the observed values add to the score.
        conflicts: names of arcs that contradict each other whatever μ is; else empty.
    """

    pdg: PDG
    free: tuple[str, ...]
    observed: tuple[tuple[str, int], ...]
    gamma: float
    beliefs: tuple[Belief, ...]
    leaves: tuple[Leaf, ...]
    constant: Floats
    conflicts: tuple[str, ...] = ()

    @property
    def cards(self) -> tuple[int, ...]:
        """The numbers of values of the free variables."""
        return self.pdg.cards(self.free)

    @property
    def inner_cards(self) -> tuple[int, ...]:
        """The same, but 1 for the targets of leaves."""
        touched = {v for belief in self.beliefs for v in belief.scope}
        popped = {v for leaf in self.leaves for v in leaf.scope} - touched
        return tuple(1 if i in popped else card for i, card in enumerate(self.cards))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The leading shape."""
        shapes = [b.log_p.shape[: b.log_p.ndim - len(b.scope)] for b in self.beliefs]
        shapes += [leaf.log_p.shape[: leaf.log_p.ndim - len(leaf.scope)] for leaf in self.leaves]
        return np.broadcast_shapes(self.constant.shape, *shapes)

    def element(self, place: int) -> tuple[Belief, ...]:
        """Return the beliefs of one element of the flattened batch."""
        batch = self.batch_shape
        return tuple(
            replace(
                b,
                log_p=unbatched(b.log_p, batch, len(b.scope))[place],
                forbidden=unbatched(b.forbidden, batch, len(b.scope))[place],
            )
            for b in self.beliefs
        )


def unbatched(table: Any, batch_shape: tuple[int, ...], num_axes: int) -> Any:
    """Return a table with its batch axes broadcast and made one.

    Args:
        table: (*batch, *own), an array.
        batch_shape: the batch of all.
        num_axes: the number of its own axes.

    Returns:
        (num_elements, *own).
    """
    own = table.shape[table.ndim - num_axes :]
    if batch_shape:
        table = np.broadcast_to(table, (*batch_shape, *own))
    return table.reshape(-1, *own)


def tree_problem(pdg: PDG, gamma: float) -> TreeProblem:
    """Slice observed variables away, and eliminate constraints at the graph's ends.

    Args:
        pdg: the graph as it is attended.
        gamma: γ ≥ 0.

    Returns:
        The problem.

    Raises:
        UnboundedInconsistencyError: if a belief with β < 0 has p = 0.
        CosetError: whatever the tables raise.
    """
    tables = log_tables(pdg)
    observed, conflicts = _observed(pdg, tables)
    free = tuple(name for name in pdg.variables if name not in observed)
    place = {name: i for i, name in enumerate(free)}
    beliefs: list[Belief] = []
    constant: Floats = np.zeros(())
    for name, arc in pdg.arcs.items():
        if is_certain(arc, tables[name]):
            continue
        belief = _belief(arc, tables[name], place, observed, gamma)
        if belief.scope:
            beliefs.append(belief)
        elif belief.forbidden.any() and not conflicts:
            used = (*arc.sources, *arc.targets)
            conflicts = (name, *(by for v, (_, by) in observed.items() if v in used))
        else:
            constant = constant - belief.linear * belief.log_p
    leaves = _pop_leaves(beliefs, gamma)
    constant = constant + sum((-b.log_p for b in beliefs if not b.scope), np.zeros(()))
    return TreeProblem(
        pdg,
        free,
        tuple((name, value) for name, (value, _) in observed.items()),
        gamma,
        tuple(b for b in beliefs if b.scope),
        tuple(leaves),
        constant,
        conflicts,
    )


def is_certain(arc: Arc, table: Floats) -> bool:
    """Return whether an arc with table log p says that one variable has one value."""
    return arc.is_hard and is_observation(arc, torch.from_numpy(table))


def _observed(
    pdg: PDG, tables: Mapping[str, Floats]
) -> tuple[dict[str, tuple[int, str]], tuple[str, ...]]:
    """Return value and arc of each observed variable, and two arcs that disagree."""
    found: dict[str, tuple[int, str]] = {}
    conflicts: tuple[str, ...] = ()
    for name, arc in pdg.arcs.items():
        if is_certain(arc, tables[name]):
            value = int(tables[name].reshape(-1, tables[name].shape[-1])[0].argmax())
            known, by = found.setdefault(arc.targets[0], (value, name))
            if known != value and not conflicts:
                conflicts = (by, name)
    return found, conflicts


def _belief(
    arc: Arc,
    table: Floats,
    place: Mapping[str, int],
    observed: Mapping[str, tuple[int, str]],
    gamma: float,
) -> Belief:
    names = (*arc.sources, *arc.targets)
    if any(name in observed for name in names):
        index = [observed[name][0] if name in observed else slice(None) for name in names]
        table = table[(..., *index)]
    impossible = table == -np.inf
    if arc.beta < 0 and impossible.any():
        raise UnboundedInconsistencyError(
            f"{arc.name!r} is disbelieved (β = {arc.beta}) and has p = 0, so the score has no "
            f"lower bound; give it p > 0 or β ≥ 0",
            (arc.name,),
        )
    sources = tuple(place[name] for name in arc.sources if name in place)
    targets = tuple(place[name] for name in arc.targets if name in place)
    weight = 0.0 if arc.is_hard else arc.beta - gamma * arc.alpha
    linear = gamma * arc.alpha if arc.is_hard else arc.beta
    log_p = np.where(impossible, 0.0, table)
    if not arc.is_hard:
        forbidden = impossible if linear > 0 else np.zeros_like(impossible)
        return Belief(arc.name, sources, targets, weight, linear, log_p, forbidden)
    p = np.exp(table)
    # What is left of a row must have all of it: observed targets are certain
    axes = tuple(range(table.ndim - len(targets), table.ndim))
    forbidden = impossible | (p.sum(axes, keepdims=True) < 1 - _TOLERANCE)
    varied = bool((~forbidden & (p < 1 - _TOLERANCE)).any())
    return Belief(arc.name, sources, targets, weight, linear, log_p, forbidden, varied)


def _pop_leaves(beliefs: list[Belief], gamma: float) -> list[Leaf]:
    """Take out constraints whose targets nothing else touches, one after the other, in place.

    Given all else such targets are best drawn from p(t | s), so that γ (α − 1) H(p(· | s)) is what
    they add to the score: a cost of the sources.
    """
    uses = Counter(v for belief in beliefs for v in belief.scope)
    leaves: list[Leaf] = []
    found = True
    while found:
        found = False
        for i in reversed(range(len(beliefs))):  # most graphs name causes before effects
            belief = beliefs[i]
            if belief.is_constraint and all(uses[v] == 1 for v in belief.targets):
                found = True
                leaves.append(Leaf(belief.scope, np.where(belief.forbidden, -np.inf, belief.log_p)))
                uses.subtract(belief.targets)
                beliefs[i] = _cost_of_leaf(belief, gamma)
    return leaves


def _cost_of_leaf(leaf: Belief, gamma: float) -> Belief:
    axes = tuple(range(leaf.log_p.ndim - len(leaf.targets), leaf.log_p.ndim))
    p = np.where(leaf.forbidden, 0.0, np.exp(leaf.log_p))
    entropy = -(p * leaf.log_p).sum(axes)
    # b = γα of a constraint
    cost = (leaf.linear - gamma) * entropy
    impossible = np.asarray(leaf.forbidden.all(axes))
    return Belief(leaf.name, leaf.sources, (), 0.0, 1.0, -cost, impossible)
