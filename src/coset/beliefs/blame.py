"""Where an inconsistency comes from: what each belief adds to the score at the minimizer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.attention import Attention, attend
from coset.beliefs.joint import Joint
from coset.beliefs.pdg.arc import Arc
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.variable import Variable
from coset.beliefs.solution import InconsistencySolution
from coset.beliefs.solvers.solve import solve
from coset.beliefs.units import Units, in_units
from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.core.results import Record

__all__ = ["ArcBlame", "Blame", "Disagreement", "blame"]

_ROUNDING = 1e-13
# Solvers stop at a gap of this size.
_UNSOLVED = 1e-9
# What float32 leaves of a value; other weights are further off.
_MISMATCH = 1e-4


@dataclass(frozen=True)
class Disagreement(Record):
    """The row of a belief that hurts most, and the outcome in it that is a surprise.

    Attributes:
        given: the values of the sources, by name; empty if the belief has no sources.
        outcome: the values of the targets that surprise most, those of greatest μ log(μ/p).
        believed: p(outcome | given), what the belief says.
        compromise: μ*(outcome | given), what all beliefs together come to.
        part: the row's part of what its belief adds to the score, between 0 and 1.
    """

    given: Mapping[str, str]
    outcome: Mapping[str, str]
    believed: float
    compromise: float
    part: float

    def __str__(self) -> str:
        outcome, given = (
            ", ".join(f"{k}={v}" for k, v in side.items()) for side in (self.outcome, self.given)
        )
        event = f"{outcome} | {given}" if given else outcome
        return f"p({event}) is {self.believed:.3g}, all together {self.compromise:.3g}"


@dataclass(frozen=True)
class ArcBlame(Record):
    """What one belief adds to the score at μ*.

    Attributes:
        arc: its name.
        sources: names of the variables S.
        targets: names of the variables T.
        beta: β as attended.
        alpha: α as attended.
        conflict: β E KL(μ*(T|s) ‖ p(T|s)); 0 for a constraint.
        structure: γα H_μ*(T|S).
        share: the conflict, of all conflict; shares of beliefs sum to 1 (0 if all conflict is
            within the gap of the solution).
        worst: where it disagrees most, or ``None`` for a constraint and for β = 0.
    """

    arc: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    beta: float
    alpha: float
    conflict: float
    structure: float
    share: float
    worst: Disagreement | None = None

    @property
    def belief(self) -> str:
        """What it is about, as "p(T | S)"."""
        given = f" | {', '.join(self.sources)}" if self.sources else ""
        return f"p({', '.join(self.targets)}{given})"


@dataclass(frozen=True)
class Blame(Record):
    """What each belief adds to an inconsistency, most conflict first.

    Attributes:
        arcs: one entry for each belief attended; empty if the value is +∞.
        value: the inconsistency: all conflicts, structures and the entropy together.
        entropy: −γ H(μ*), what the value has beyond what beliefs add.
        units: "nats" or "bits", of all amounts.
        conflicts: names of arcs that contradict each other when the value is +∞.
    """

    arcs: tuple[ArcBlame, ...]
    value: float
    entropy: float
    units: str = "nats"
    conflicts: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat dictionary for each belief, for tables and figures.

        Returns:
            arc, belief, sources and targets (JSON lists), beta (None if certain), alpha,
            conflict, structure, share, units and worst, a text ("" if none).
        """
        return [
            {
                "arc": item.arc,
                "belief": item.belief,
                "sources": json.dumps(item.sources, ensure_ascii=False),
                "targets": json.dumps(item.targets, ensure_ascii=False),
                "beta": None if item.beta == math.inf else item.beta,
                "alpha": item.alpha,
                "conflict": item.conflict,
                "structure": item.structure,
                "share": item.share,
                "units": self.units,
                "worst": str(item.worst or ""),
            }
            for item in self.arcs
        ]


def blame(
    pdg: PDG,
    solution: InconsistencySolution | None = None,
    gamma: float | str = 0.0,
    attention: Attention | None = None,
    *,
    units: Units = "nats",
) -> Blame:
    """Say how much each belief adds to the inconsistency, and where it disagrees most.

    Args:
        pdg: the beliefs; not a batch of them.
        solution: of `solve(pdg, gamma, attention)`; solved here if it is ``None``.
        gamma: γ of the solution; "0+" counts as 0.
        attention: the attention of the solution.
        units: "nats" or "bits".

    Returns:
        The blame, computed in float64. At γ = 0 conflicts sum to the value; each is the same for
        all minimizers (claim C3).

    Raises:
        UnsupportedError: if the graph or the solution is a batch.
        DomainError: if the solution cannot be one of this graph with this γ and attention.
        CosetError: as `solve`, if it is called.

    Example:
        >>> pdg = PDG({"rain": ["no", "yes"]})
        >>> arc = pdg.add("radio", "rain", cpd=torch.tensor([0.2, 0.8], dtype=torch.float64))
        >>> arc = pdg.add("window", "rain", cpd=torch.tensor([0.9, 0.1], dtype=torch.float64))
        >>> print(blame(pdg).arcs[0].worst)
        p(rain=no) is 0.2, all together 0.6

    Claims: beliefs.C3.
    """
    in_units(0.0, units)
    attended = attend(pdg, attention)
    if len(attended.batch_shape()):
        raise UnsupportedError(
            f"blame is for one graph; this is a batch of shape {tuple(attended.batch_shape())}: "
            f"take one table of each arc"
        )
    if not isinstance(solution, InconsistencySolution | None):
        raise DtypeError(
            f"the second argument of blame is a solution of solve; given {solution!r}: write gamma="
        )
    if solution is None:
        solution = solve(pdg, gamma, attention)
    if isinstance(solution.value, Tensor):
        raise UnsupportedError("blame is for one solution; given those of a batch")
    if solution.joint is None:
        return Blame((), math.inf, 0.0, units, solution.conflicts)
    weight = 0.0 if isinstance(gamma, str) else gamma
    found = [_arc_blame(attended, arc, solution.joint, weight) for arc in attended.arcs.values()]
    entropy = _entropy(attended, solution.value, found, weight)
    total = sum(a.conflict for a in found if a.beta > 0)
    if total <= min(solution.gap or 0.0, _UNSOLVED):
        total = 0.0  # what a solver leaves of beliefs that agree is nobody's fault
    arcs = sorted(found, key=lambda a: (-round(a.conflict, 12), a.arc))
    return Blame(
        tuple(_scaled(a, total, units) for a in arcs),
        in_units(float(solution.value) + 0.0, units),
        in_units(entropy, units),
        units,
    )


def _entropy(pdg: PDG, value: float, found: list[ArcBlame], gamma: float) -> float:
    """Return −γ H(μ*), what the value has beyond the parts of arcs, if it can be that."""
    parts = [part for item in found for part in (item.conflict, item.structure)]
    rest = value - sum(parts)
    most = gamma * sum(math.log(v.card) for v in pdg.variables.values())
    rounding = _MISMATCH * (1 + abs(value) + sum(map(abs, parts)))
    if not -most - rounding <= rest <= rounding:
        raise DomainError(
            f"the solution must be of the same graph, γ and attention; its value is {value:.6g}, "
            f"of which arcs have {sum(parts):.6g}, and −γ H is between {0.0 - most:.6g} and 0 at "
            f"γ = {gamma:g}: give the γ and the attention of `solve`"
        )
    return rest if gamma else 0.0


def _scaled(item: ArcBlame, total: float, units: Units) -> ArcBlame:
    return replace(
        item,
        conflict=in_units(item.conflict, units),
        structure=in_units(item.structure, units),
        share=item.conflict / total if total > 0 else 0.0,
    )


def _arc_blame(pdg: PDG, arc: Arc, joint: Joint, gamma: float) -> ArcBlame:
    """Return what an arc adds, in nats, without its share."""
    scope = (*arc.sources, *arc.targets)
    cards = pdg.cards(scope)
    rows = math.prod(cards[: len(arc.sources)])
    with torch.no_grad():
        log_p = arc.log_probabilities(cards).double().reshape(rows, -1)
        both = joint.marginal(*scope).double().reshape(rows, -1)
        mass = both.sum(1, keepdim=True)
        # Rows that never happen say nothing, and disagree with nothing.
        conditional = torch.where(mass > 0, both / mass, log_p.exp())
        entropy = -torch.xlogy(both, conditional).sum()
        surprise = torch.where(both > 0, both * (conditional.log() - log_p), 0.0)
    counts = 0 < abs(arc.beta) < math.inf
    divergence = float(surprise.sum(1).clamp(min=0.0).sum())
    # A belief that agrees leaves rounding, which is no conflict.
    conflict = arc.beta * divergence if counts and divergence > _ROUNDING else 0.0
    return ArcBlame(
        arc.name,
        arc.sources,
        arc.targets,
        arc.beta,
        arc.alpha,
        conflict,
        gamma * arc.alpha * float(entropy) + 0.0,
        0.0,
        _worst(pdg, arc, surprise, conditional, log_p.exp()) if counts else None,
    )


def _worst(pdg: PDG, arc: Arc, surprise: Tensor, conditional: Tensor, p: Tensor) -> Disagreement:
    by_row = surprise.sum(1).clamp(min=0.0)
    row = int(by_row.argmax())
    column = int(surprise[row].argmax())
    total = float(by_row.sum())
    return Disagreement(
        _named([pdg.variables[v] for v in arc.sources], row),
        _named([pdg.variables[v] for v in arc.targets], column),
        float(p[row, column]),
        float(conditional[row, column]),
        float(by_row[row]) / total if total > 0 else 0.0,
    )


def _named(variables: list[Variable], place: int) -> dict[str, str]:
    """Return the values at a place in the flattened table of some variables."""
    found = {}
    for variable in reversed(variables):
        place, index = divmod(place, variable.card)
        found[variable.name] = variable.values[index] if variable.values else str(index)
    return dict(reversed(found.items()))
