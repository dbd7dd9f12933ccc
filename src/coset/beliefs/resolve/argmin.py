"""The minimizer: what χ = ∞ means."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.joint import Joint
from coset.beliefs.pdg.arc import Arc, Table
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import LogitTable
from coset.beliefs.resolve.attended import Attended
from coset.beliefs.resolve.elements import ElementTable
from coset.beliefs.resolve.quasi_newton import minimize_smooth

__all__ = ["minimize", "register_full_table"]

# What can represent every conditional distribution, and how it is given one.
_FULL_TABLES: dict[type, Callable[[Any, Tensor], None]] = {}


def register_full_table(kind: type, assign: Callable[[Any, Tensor], None]) -> None:
    """Say that a class of cpds can be any conditional distribution, so that χ = ∞ is closed form.

    Args:
        kind: the class of `Arc.cpd`.
        assign: called with the cpd and p, (*batch, *sources, *targets); makes the cpd p, in place.
    """
    _FULL_TABLES[kind] = assign


def _assign_logits(table: LogitTable, probabilities: Tensor) -> None:
    table.logits.copy_(probabilities.log())


register_full_table(LogitTable, _assign_logits)


def minimize(attended: Attended, names: Sequence[str]) -> None:
    """Move the parameters of arcs to where the attended inconsistency is least, in place.

    A full table p(T | S) with γα = 0 and β > 0 costs nothing at p = μ(T | S), whatever μ is. So
    such arcs are dropped, the rest is solved, and they are set to μ*(T | S) [derived]. What else
    is to move is found by L-BFGS, each evaluation of which finds the best joint anew.

    Args:
        attended: the graph as it is attended, γ, and how exactly joints are found.
        names: the arcs, all of them attended.
    """
    graph = attended.graph
    closed = [name for name in names if _is_closed(graph, graph.arcs[name], attended.gamma)]
    rest = PDG(graph.variables.values())
    rest.arcs.update({n: a for n, a in graph.arcs.items() if n not in closed})
    reduced = attended.of(rest)
    others = [name for name in names if name not in closed]
    if others:
        _descend(reduced, [p for name in others for p in graph.arcs[name].parameters])
    joint = reduced.solve().joint
    if closed and joint is not None:
        known = {v for arc in rest.arcs.values() for v in (*arc.sources, *arc.targets)}
        if attended.gamma > 0:
            known = set(graph.variables)
        for name in closed:
            _set_to(graph.arcs[name], joint, known)
    attended.note(reduced.gap)


def _table(arc: Arc) -> tuple[Table, Tensor | None]:
    """Return what makes the table of an arc, and which elements of its batch are meant."""
    if isinstance(arc.cpd, ElementTable):
        return arc.cpd.source, arc.cpd.elements
    return arc.cpd, None


def _is_closed(graph: PDG, arc: Arc, gamma: float) -> bool:
    if type(_table(arc)[0]) not in _FULL_TABLES or gamma * arc.alpha != 0 or not arc.beta > 0:
        return False
    own = {id(p) for p in arc.parameters}
    if any(id(p) in own for a in graph.arcs.values() if a is not arc for p in a.parameters):
        return False
    axes = len(arc.sources) + len(arc.targets)
    # A table that a batch shares has to serve all of its elements at once
    return arc.log_probabilities().ndim - axes == len(graph.batch_shape())


@torch.no_grad()
def _set_to(arc: Arc, joint: Joint, known: set[str]) -> None:
    """Set p(T | S) = μ(T | S); where μ does not say, p stays as it is.

    For γ = 0 a variable that nothing else attends to may have any conditional: its present one.
    """
    sources, targets = arc.sources, arc.targets
    if not known.intersection(targets):
        return
    old = arc.probabilities()
    axes = tuple(range(-len(targets), 0))
    both = joint.marginal(*(v for v in (*sources, *targets) if v in known)).to(old)
    batch = both.shape[: both.ndim - sum(v in known for v in (*sources, *targets))]
    sizes = old.shape[old.ndim - len(sources) - len(targets) :]
    shape = [n if v in known else 1 for v, n in zip((*sources, *targets), sizes, strict=True)]
    both = both.reshape(*batch, *shape)
    row = both.sum(axes, keepdim=True)
    idle = tuple(axis for axis, v in zip(axes, targets, strict=True) if v not in known)
    new = torch.where(row > 0, both / row, 0.0) * _conditional(old, idle)
    _assign(arc, torch.where(row > 0, new, old))


def _conditional(table: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return p(axes | all else), uniform where that has probability 0; 1 without axes."""
    if not axes:
        return torch.ones_like(table)
    total = table.sum(axes, keepdim=True)
    uniform = 1.0 / math.prod(table.shape[axis] for axis in axes)
    return torch.where(total > 0, table / total, uniform)


def _assign(arc: Arc, probabilities: Tensor) -> None:
    table, elements = _table(arc)
    if elements is not None:
        whole = Arc(arc.name, arc.sources, arc.targets, table, is_log=arc.is_log).probabilities()
        whole[elements] = probabilities
        probabilities = whole
    _FULL_TABLES[type(table)](table, probabilities)


def _descend(attended: Attended, parameters: Sequence[Tensor]) -> None:
    """Minimize over parameters by L-BFGS, in place."""
    unique = list({id(p): p for p in parameters}.values())
    is_double = all(p.dtype == torch.float64 for p in unique)
    tolerance, tolerated = (1e-12, 1e-6) if is_double else (1e-6, 1e-2)

    def move(point: Tensor) -> None:
        with torch.no_grad():
            parts = torch.split(point, [p.numel() for p in unique])
            for parameter, part in zip(unique, parts, strict=True):
                parameter.copy_(part.view_as(parameter))

    def evaluate(point: Tensor) -> tuple[float, Tensor]:
        move(point)
        value, gradients = attended.gradient(unique)
        flat = [
            torch.zeros_like(p) if g is None else g for p, g in zip(unique, gradients, strict=True)
        ]
        return float(value.sum()), torch.cat([g.detach().double().flatten() for g in flat])

    start = torch.cat([p.detach().double().flatten() for p in unique])
    best = minimize_smooth(evaluate, start, tolerance=tolerance)
    value, gradient = evaluate(best)
    slope = float(gradient.abs().amax()) if len(gradient) else 0.0
    # Where the attended beliefs contradict each other nothing can be gained, and nothing is amiss
    if math.isfinite(value) and not slope <= tolerated * max(1.0, abs(value)):
        warnings.warn(
            f"no minimizer was found for χ = ∞: a derivative of {slope:.2g} is left; the value may "
            f"fall without bound (disbelief), or parameters have a kink: use a finite rate",
            RuntimeWarning,
            stacklevel=2,
        )
