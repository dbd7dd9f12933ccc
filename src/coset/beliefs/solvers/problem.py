"""A graph as dense arrays: what is free, what each belief adds to the score, what is forbidden."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from coset.beliefs.errors import WidthError, rounded_count
from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import row_tolerance
from coset.beliefs.pdg.variable import Variable
from coset.beliefs.solvers.hard_chain import HardChain, Stage
from coset.core.errors import DomainError
from coset.core.results import Record

__all__ = [
    "DenseProblem",
    "Term",
    "check_gamma",
    "dense_problem",
    "elements",
    "is_observation",
    "order_constraints",
]

MAX_WORLDS = 2**24


@dataclass(frozen=True, eq=False)
class Term(Record):
    """What one belief adds to the score: c Σ μ(s,t) log μ(t|s) − b Σ μ(s,t) log p(t|s).

    Attributes:
        name: the arc.
        sources: axes of its sources that are not observed, counted from the end (negative).
        targets: axes of its targets, likewise.
        weight: c = β − γα; 0 for a constraint.
        linear: b = β; γα for a constraint, whose conditional entropy is linear in μ(s).
        log_p: log p, one axis a variable of the problem, of size 1 where it is constant.
    """

    name: str
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    weight: float
    linear: float
    log_p: Tensor

    @property
    def forbids(self) -> bool:
        """Whether p = 0 makes a world impossible."""
        return self.linear > 0


@dataclass(frozen=True, eq=False)
class DenseProblem(Record):
    """min over μ of −γ H(μ) + Σ terms, over the worlds allowed, with the constraints met.

    Attributes:
        variables: the free variables, an axis each.
        observed: those with a certain value, with its position.
        idle: variables of the graph that no arc touches.
        gamma: γ ≥ 0.
        terms: the beliefs.
        cost: Σ −b log p, (*batch, *shape), finite; 0 where a world is forbidden.
        allowed: (*batch or 1s, *shape) booleans, or ``None`` if every world is.
        chain: the constraints that are met exactly; see `HardChain`.
        constraints: constraints that are no chain: (name, sources, targets, log p) as in `Term`.
        conflicts: names of arcs that contradict each other whatever μ is; else empty.
    """

    variables: tuple[Variable, ...]
    observed: tuple[tuple[Variable, int], ...]
    idle: tuple[Variable, ...]
    gamma: float
    terms: tuple[Term, ...]
    cost: Tensor
    allowed: Tensor | None
    chain: HardChain
    constraints: tuple[Term, ...] = ()
    conflicts: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of values of the free variables."""
        return tuple(v.card for v in self.variables)

    @property
    def batch_shape(self) -> torch.Size:
        """The leading shape, common to costs, zeros and constraints."""
        tables = [self.cost, *(stage.log_kernel for stage in self.chain.stages)]
        tables += [term.log_p for term in (*self.terms, *self.constraints)]
        tables += [] if self.allowed is None else [self.allowed]
        shapes = [t.shape[: t.ndim - len(self.variables)] for t in tables]
        return torch.Size(np.broadcast_shapes(*shapes))

    @property
    def constant(self) -> float:
        """−γ Σ log card over idle variables: entropy that nothing opposes."""
        return -self.gamma * sum(math.log(v.card) for v in self.idle)

    @property
    def smoothness(self) -> float:
        """L = γ + Σ max(β − γα, 0), the smoothness relative to negative entropy (claim C23)."""
        return self.gamma + sum(max(term.weight, 0.0) for term in self.terms)

    @property
    def concave(self) -> tuple[str, ...]:
        """The names of the terms with γα > β."""
        return tuple(t.name for t in self.terms if t.weight < 0 and t.targets)


def check_gamma(gamma: float) -> None:
    """Check that γ is a number ≥ 0.

    Raises:
        DomainError: if it is not.
    """
    if isinstance(gamma, str) or not (math.isfinite(gamma) and gamma >= 0):
        raise DomainError(f"gamma is a finite number ≥ 0; given {gamma!r}")


def dense_problem(pdg: PDG, gamma: float = 0.0, *, max_worlds: int = MAX_WORLDS) -> DenseProblem:
    """Write a graph as dense arrays, with observed variables sliced away.

    Args:
        pdg: the graph as it is attended (see `attend`).
        gamma: γ ≥ 0, finite.
        max_worlds: how many joint values of free variables are accepted.

    Returns:
        The problem; gradients flow from it to the parameters of the arcs.

    Raises:
        DomainError: if `gamma` is negative or not finite; whatever `Arc.log_probabilities` raises.
        WidthError: if there are too many worlds.
        UnboundedInconsistencyError: see `check_bounded`.
    """
    # It needs the worlds that constraints leave, which are found from a problem
    from coset.beliefs.solvers.unbounded import check_bounded

    check_gamma(gamma)

    def tables_of(which: bool) -> dict[str, Tensor]:
        return {
            name: arc.log_probabilities(pdg.cards((*arc.sources, *arc.targets)))
            for name, arc in pdg.arcs.items()
            if arc.is_hard == which
        }

    tables = tables_of(True)
    observed, conflicts = _observations(pdg, tables)
    free, idle = _free_variables(pdg, observed)
    worlds = math.prod(v.card for v in free)
    if worlds > max_worlds:
        raise WidthError(
            f"the joint of {len(free)} variables has {rounded_count(worlds)} worlds, and dense "
            f"solvers take {max_worlds:.3g}; use method='tree', observe more, or attend to fewer "
            f"arcs",
            len(free) - 1,
            8 * worlds,
        )
    tables.update(tables_of(False))
    kept = {n: a for n, a in pdg.arcs.items() if not is_observation(a, tables[n])}
    dtype = max((tables[n].dtype for n in kept), key=_bits, default=torch.float64)
    builder = _Builder([v.name for v in free], {v.name: i for v, i in observed}, gamma)
    soft, hard = [], []
    for name, arc in kept.items():
        term = builder.term(arc, _widened(tables[name], dtype, len(arc.targets)))
        soft.append(term)
        if arc.is_hard:
            hard.append(term)
    cost, allowed = _cost_and_mask(soft, hard, tuple(v.card for v in free), dtype)
    chain, constraints = order_constraints([t for t in hard if t.targets], len(free))
    problem = DenseProblem(
        variables=free,
        observed=tuple(observed),
        idle=idle,
        gamma=gamma,
        terms=tuple(soft),
        cost=cost,
        allowed=allowed,
        chain=chain,
        constraints=constraints,
        conflicts=conflicts,
    )
    if not conflicts:
        check_bounded(problem)
    return problem


def _widened(log_table: Tensor, dtype: torch.dtype, num_targets: int) -> Tensor:
    """Return the table in a wider dtype, in which its rows sum to one as exactly as it can."""
    if log_table.dtype == dtype:
        return log_table
    wide = log_table.to(dtype)
    axes = tuple(range(-num_targets, 0))
    return wide - wide.detach().logsumexp(axes, keepdim=True)


def _bits(dtype: torch.dtype) -> int:
    return torch.finfo(dtype).bits


def is_observation(arc: Arc, log_table: Tensor) -> bool:
    """Whether the arc is a point mass with β = ∞ on one variable, the same in a whole batch."""
    if not arc.is_hard or arc.sources or len(arc.targets) > 1:
        return False
    rows = log_table.detach().reshape(-1, log_table.shape[-1])
    tolerance = row_tolerance(log_table.dtype)
    return bool(
        (rows.exp().amax(-1) >= 1 - tolerance).all() and (rows.argmax(-1) == rows[0].argmax()).all()
    )


def _observations(
    pdg: PDG, tables: dict[str, Tensor]
) -> tuple[list[tuple[Variable, int]], tuple[str, ...]]:
    found: dict[str, tuple[int, str]] = {}
    for name, table in tables.items():
        arc = pdg.arcs[name]
        if is_observation(arc, table):
            target, value = arc.targets[0], int(table.reshape(-1, table.shape[-1])[0].argmax())
            known, by = found.setdefault(target, (value, name))
            if known != value:
                return [(pdg.variables[v], i) for v, (i, _) in found.items()], (by, name)
    return [(v, found[n][0]) for n, v in pdg.variables.items() if n in found], ()


def _free_variables(
    pdg: PDG, observed: list[tuple[Variable, int]]
) -> tuple[tuple[Variable, ...], tuple[Variable, ...]]:
    gone = {v.name for v, _ in observed}
    touched = {v for arc in pdg.arcs.values() for v in (*arc.sources, *arc.targets)}
    left = [v for v in pdg.variables.values() if v.name not in gone]
    free = tuple(v for v in left if v.name in touched)
    return free, tuple(v for v in left if v.name not in touched)


@dataclass(frozen=True)
class _Builder:
    """Puts the tables of arcs on the axes of the free variables."""

    free: list[str]
    observed: dict[str, int]
    gamma: float

    def axes(self, names: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(self.free.index(n) - len(self.free) for n in names if n not in self.observed)

    def spread(self, names: tuple[str, ...], table: Tensor) -> Tensor:
        """Slice observed variables away and put the others on their axes."""
        batch = table.ndim - len(names)
        index = [self.observed.get(n, slice(None)) for n in names]
        table = table[(..., *index)]
        kept = [n for n in names if n not in self.observed]
        order = sorted(range(len(kept)), key=lambda i: self.free.index(kept[i]))
        table = table.permute([*range(batch), *(batch + i for i in order)])
        shape = [1] * len(self.free)
        for size, i in zip(table.shape[batch:], order, strict=True):
            shape[self.free.index(kept[i])] = size
        return table.reshape([*table.shape[:batch], *shape])

    def term(self, arc: Arc, log_table: Tensor) -> Term:
        log_p = self.spread((*arc.sources, *arc.targets), log_table)
        weight = 0.0 if arc.is_hard else arc.beta - self.gamma * arc.alpha
        linear = self.gamma * arc.alpha if arc.is_hard else arc.beta
        return Term(arc.name, self.axes(arc.sources), self.axes(arc.targets), weight, linear, log_p)


def _cost_and_mask(
    terms: list[Term], hard: list[Term], shape: tuple[int, ...], dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    cost = torch.zeros(shape, dtype=dtype, device=terms[0].log_p.device if terms else None)
    allowed = torch.ones((1,) * len(shape), dtype=torch.bool, device=cost.device)
    certain = {term.name for term in hard}
    for term in terms:
        impossible = term.log_p == -math.inf
        if term.linear != 0:
            cost = cost - term.linear * term.log_p.masked_fill(impossible, 0.0)
        if term.name in certain:
            # What is left of a row must have all of it: the observed targets are certain
            total = (
                term.log_p.exp().sum(term.targets, keepdim=True)
                if term.targets
                else term.log_p.exp()
            )
            allowed = allowed & (total >= 1 - row_tolerance(dtype)) & ~impossible
        elif term.forbids:
            allowed = allowed & ~impossible
    if bool(allowed.all()):
        return cost, None
    allowed = allowed.expand(allowed.shape[: -len(shape)] + shape if shape else allowed.shape)
    return cost.masked_fill(~allowed, 0.0), allowed


def _is_deterministic(term: Term) -> bool:
    p = term.log_p.exp()
    tolerance = row_tolerance(p.dtype)
    return bool(((p <= tolerance) | (p >= 1 - tolerance)).all())


def order_constraints(hard: list[Term], ndim: int) -> tuple[HardChain, tuple[Term, ...]]:
    """Order constraints so that each knows all variables before it; else return them as they are.

    A function of its sources ignores the rest, so a deterministic constraint always knows enough.

    Args:
        hard: the constraints, on the axes of one table.
        ndim: its number of axes.

    Returns:
        The chain and no constraints, or a chain of none and the constraints.
    """
    earlier: set[int] = set()
    stages: list[Stage] = []
    left = list(hard)
    while left:
        targeted = {axis for t in left for axis in t.targets}
        ready = next(
            (
                t
                for t in left
                if not targeted.intersection(t.sources)
                and not earlier.intersection(t.targets)
                and (earlier.issubset(t.sources) or _is_deterministic(t))
            ),
            None,
        )
        if ready is None:
            return HardChain((), tuple(range(-ndim, 0))), tuple(hard)
        free = tuple(axis for axis in ready.sources if axis not in earlier)
        stages.append(Stage(ready.name, free, ready.targets, ready.log_p))
        earlier.update(ready.sources, ready.targets)
        left.remove(ready)
    rest = tuple(axis for axis in range(-ndim, 0) if axis not in earlier)
    return HardChain(tuple(stages), rest), ()


def elements(problem: DenseProblem) -> Iterator[DenseProblem]:
    """Yield the problems of a batch one by one, in the order of the flattened batch.

    They are on the CPU and carry no gradients.
    """
    batch, axes = problem.batch_shape, len(problem.variables)

    def pick(table: Tensor, i: int) -> Tensor:
        own = table.shape[table.ndim - axes :]
        return table.detach().expand((*batch, *own)).reshape(-1, *own)[i].cpu()

    for i in range(math.prod(batch)):
        yield replace(
            problem,
            terms=tuple(replace(t, log_p=pick(t.log_p, i)) for t in problem.terms),
            cost=pick(problem.cost, i),
            allowed=None if problem.allowed is None else pick(problem.allowed, i),
            chain=HardChain(
                tuple(replace(s, log_kernel=pick(s.log_kernel, i)) for s in problem.chain.stages),
                problem.chain.rest,
            ),
            constraints=tuple(replace(t, log_p=pick(t.log_p, i)) for t in problem.constraints),
        )
