"""The attended inconsistency as a function of what may move: its value and its gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from coset.beliefs.joint import Joint
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.tables import LogitTable
from coset.beliefs.solution import InconsistencySolution
from coset.beliefs.solvers.components import independent_parts
from coset.beliefs.solvers.envelope import live
from coset.beliefs.solvers.problem import dense_problem
from coset.beliefs.solvers.score import score_of
from coset.beliefs.solvers.solve import solve

__all__ = ["Attended", "Inner", "larger"]


def larger(left: float, right: float) -> float:
    """Return the larger of two gaps; NaN, "not known", if one is."""
    return math.nan if math.isnan(left) or math.isnan(right) else max(left, right)


@dataclass(frozen=True)
class Inner:
    """How exactly the joint is found at each evaluation.

    Attributes:
        steps: a number of mirror steps from the last joint, the first time from the uniform one;
            or ``None`` for "until the gap is `tol`".
        tol: the gap that is asked for.
        method: as in `solve`.
    """

    steps: int | None = None
    tol: float = 1e-9
    method: str = "auto"


@dataclass
class Attended:
    """⟨⟨M⟩⟩_γ of an attended graph, evaluated again and again while parameters move.

    Attributes:
        graph: the graph as it is attended.
        gamma: γ.
        inner: how exactly.
        watched: tensors that may move; a joint is found anew when one of them, or of the graph's
            own, has changed. (A function may read what another arc declares.)
        gap: the largest certified gap so far; NaN once a score was not convex.
    """

    graph: PDG
    gamma: float
    inner: Inner = field(default_factory=Inner)
    watched: tuple[Tensor, ...] = ()
    gap: float = 0.0
    _last: tuple[tuple[object, ...], InconsistencySolution] | None = field(default=None, repr=False)

    def of(self, graph: PDG) -> Attended:
        """Return the same for another graph."""
        return Attended(graph, self.gamma, self.inner, self.watched)

    def note(self, gap: float) -> None:
        """Take a gap into account."""
        self.gap = larger(self.gap, gap)

    def forget(self) -> None:
        """Begin a step: gaps count from now, and tables that read changing data are read anew."""
        self.gap = 0.0
        known = all(isinstance(a.cpd, Tensor | LogitTable) for a in self.graph.arcs.values())
        if not known:
            self._last = None

    def solve(self) -> InconsistencySolution:
        """Return the best joint for the parameters as they are."""
        version = (*_versions(self.graph), *(tensor._version for tensor in self.watched))
        if self._last is not None and self._last[0] == version:
            self.note(_gap(self._last[1]))
            return self._last[1]
        steps, method = self.inner.steps, self.inner.method
        if steps is None:
            found = solve(self.graph, self.gamma, method=method, tol=self.inner.tol)
        else:
            start = None if self._last is None else self._last[1].joint
            found = solve(self.graph, self.gamma, method="mirror", max_iter=steps, start=start)
        self.note(_gap(found))
        self._last = version, found
        return found

    def value(self) -> Tensor:
        """Return the inconsistency for the parameters as they are, (*batch,)."""
        return torch.as_tensor(self.solve().value, dtype=torch.float64)

    def gradient(self, parameters: Sequence[Tensor]) -> tuple[Tensor, list[Tensor | None]]:
        """Return the value and its derivative in each parameter.

        The best joint is held fixed (the envelope theorem), which is exact where it is exact. A
        batch is summed: its elements have parameters of their own.

        Args:
            parameters: leaf tensors.

        Returns:
            The value, (*batch,), and a gradient for each parameter, ``None`` where the value does
            not depend on it.

        Claims: beliefs.C22.
        """
        joint, value = self.solve().joint, self.value()
        unknown: list[Tensor | None] = [None] * len(parameters)
        if joint is None:
            return value, unknown
        wanted = [p.requires_grad for p in parameters]
        try:
            for parameter in parameters:
                parameter.requires_grad_(True)
            with torch.enable_grad():
                score = self._score(joint)
                if not score.requires_grad:
                    return value, unknown
                found = torch.autograd.grad(score, parameters, allow_unused=True)
        finally:
            for parameter, flag in zip(parameters, wanted, strict=True):
                parameter.requires_grad_(flag)
        return value, list(found)

    def _score(self, joint: Joint) -> Tensor:
        """Return the sum of scores of a joint as a function of the parameters, up to a constant."""
        total = torch.zeros((), dtype=torch.float64)
        hard = any(arc.is_hard and arc.parameters for arc in self.graph.arcs.values())
        for part in independent_parts(self.graph) if hard else [self.graph]:
            if any(arc.is_hard and arc.parameters for arc in part.arcs.values()):
                problem = dense_problem(part, self.gamma)
                names = [v.name for v in problem.variables]
                table = joint.marginal(*names).log()
                total = total + score_of(problem, live(problem, table)).sum()
            else:
                total = total + _expected_surprise(part, joint)
        return total


def _gap(found: InconsistencySolution) -> float:
    return math.nan if found.gap is None else found.gap


def _versions(graph: PDG) -> Iterator[object]:
    """Yield the arcs, and what torch counts up whenever a tensor is changed in place."""
    for arc in graph.arcs.values():
        yield arc  # a focus may put another in its place
        if isinstance(arc.cpd, Tensor):
            yield arc.cpd._version
        for parameter in arc.parameters:
            yield parameter._version


def _expected_surprise(graph: PDG, joint: Joint) -> Tensor:
    """Return −Σ β E_μ log p(T | S) over the beliefs with finite β, summed over a batch."""
    total = torch.zeros((), dtype=torch.float64)
    for arc in graph.arcs.values():
        scope = (*arc.sources, *arc.targets)
        if arc.beta in (0.0, math.inf):
            continue
        log_p = arc.log_probabilities(graph.cards(scope))
        if log_p.requires_grad:
            weight = joint.marginal(*scope).to(log_p)
            # 0 · log 0 = 0, where the derivative of log p may be infinite
            total = total - arc.beta * (weight * log_p.masked_fill(weight == 0, 0.0)).sum()
    return total
