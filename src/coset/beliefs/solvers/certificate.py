"""A proof that a joint is nearly the best, which anyone can check without a solver."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from coset.beliefs.solvers.dual_bound import dual_gap
from coset.beliefs.solvers.mirror import is_pinned
from coset.beliefs.solvers.problem import DenseProblem, elements
from coset.beliefs.solvers.result import DenseResult
from coset.beliefs.solvers.score import gap_of, gradient_of, score_of
from coset.beliefs.solvers.settled import settled
from coset.core.results import Certificate

__all__ = ["InconsistencyCertificate", "PartsCertificate", "certify"]

# Larger joints are not stored in results.
MAX_WORLDS = 1_000_000
# What sums over worlds may lose, relative to 1 + the sum.
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class InconsistencyCertificate(Certificate):
    """Beliefs, a joint, its score, and how far below that the score of any other joint can be.

    The score of a joint ν is at least E_ν[S] − γ H(ν), where S holds log q(t|s) in the place of
    log ν(t|s), for any conditionals q; q = μ(t|s), if none are stored. The least value of that is
    elementary: the logarithm of a sum if γ > 0, else a minimum.

    Attributes:
        problem: the beliefs as dense arrays, in float64.
        log_joint: log μ, one axis a variable.
        log_conditionals: log q of each term of the problem, or empty.
        multipliers: of each constraint that is not of the chain, or empty.
        value: the score of μ in nats.
        gap: an upper bound on the value less the infimum.

    Claims: beliefs.C1.
    """

    problem: DenseProblem
    log_joint: Tensor
    log_conditionals: tuple[Tensor, ...]
    multipliers: tuple[Tensor, ...]
    value: float
    gap: float

    def verify(self) -> bool:
        """Check that μ is a joint that meets the constraints, its score, and the bound."""
        convex = all(term.weight >= 0 for term in self.problem.terms if term.targets)
        if not (convex or is_pinned(self.problem)) or self.broken_constraints() > ROUNDING:
            return False
        rounding = ROUNDING * (1 + abs(self.value))
        value = float(score_of(self.problem, self.log_joint))
        return abs(value - self.value) <= rounding and self.recomputed_gap() <= self.gap + rounding

    def broken_constraints(self) -> float:
        """Return by how much μ misses being a joint that meets the constraints, in weight."""
        joint, ndim = self.log_joint.exp(), self.log_joint.ndim
        missed = abs(float(joint.sum()) - 1)
        if self.problem.allowed is not None:
            missed += float(joint.masked_fill(self.problem.allowed, 0.0).sum())
        tables = [(s.targets, s.log_kernel) for s in self.problem.chain.stages]
        tables += [(c.targets, c.log_p) for c in self.problem.constraints]
        for targets, log_p in tables:
            rest = tuple(a for a in range(-ndim, 0) if log_p.shape[a] == 1 and a not in targets)
            both = joint.sum(rest, keepdim=True) if rest else joint
            wanted = both.sum(targets, keepdim=True) * log_p.exp()
            missed = max(missed, float((both - wanted).abs().sum()))
        return missed

    def recomputed_gap(self) -> float:
        """Return the bound on value − infimum, from the stored data."""
        if self.log_conditionals or self.problem.constraints:
            conditionals, multipliers = self.log_conditionals, self.multipliers
            return float(dual_gap(self.problem, self.log_joint, conditionals, multipliers))
        gradient = gradient_of(self.problem, self.log_joint)
        return float(gap_of(self.problem, self.log_joint, gradient))

    def explain(self) -> str:
        """Say what is proved, and how."""
        how = "the smallest linear cost of a world"
        if self.problem.gamma:
            how = "a sum over worlds of exp(−cost/γ)"
        names = ", ".join(v.name for v in self.problem.variables) or "observed variables"
        return (
            f"a joint of {names} has the score "
            f"{self.value:.12g} nats, and no joint has less than "
            f"{self.value - self.gap:.12g}: with the conditionals held fixed the score is at least "
            f"linear, and {how} bounds it"
        )


@dataclass(frozen=True, eq=False)
class PartsCertificate(Certificate):
    """Certificates of the parts of a graph, whose values and gaps add.

    Attributes:
        parts: one for each part that its observed variables leave connected.
        constant: −γ Σ log card over variables that no arc touches.
    """

    parts: tuple[Certificate, ...]
    constant: float = 0.0

    def verify(self) -> bool:
        """Check every part."""
        return all(part.verify() for part in self.parts)

    def explain(self) -> str:
        """Say what is proved of each part."""
        idle = f"variables that no belief touches add {self.constant:.12g} nats"
        return "; ".join([part.explain() for part in self.parts] + [idle] * (self.constant != 0))


def certify(problem: DenseProblem, result: DenseResult) -> InconsistencyCertificate | None:
    """Put together what proves a result.

    Args:
        problem: what was minimized.
        result: what a solver found.

    Returns:
        The certificate; ``None`` for a batch, above 10⁶ worlds, and where the value is +∞ or the
        gap is not known.
    """
    worlds = math.prod(problem.shape)
    certain = result.value.ndim == 0 and bool(torch.isfinite(result.value + result.gap))
    if not certain or worlds > MAX_WORLDS:
        return None
    (stored,) = elements(settled(problem))
    certificate = InconsistencyCertificate(
        problem=_double(stored),
        log_joint=result.log_joint.detach().cpu().double(),
        log_conditionals=tuple(t.detach().cpu().double() for t in result.log_conditionals),
        multipliers=tuple(t.detach().cpu().double() for t in result.multipliers),
        value=float(result.value),
        gap=float(result.gap),
    )
    return certificate if stored.cost.dtype == torch.float64 else _rounded(certificate)


def _rounded(certificate: InconsistencyCertificate) -> InconsistencyCertificate:
    """Certify the joint as it was rounded to fewer digits, with the value and gap that it has."""
    log_joint, _ = certificate.problem.chain.project(certificate.log_joint)
    moved = replace(certificate, log_joint=log_joint)
    value = float(score_of(moved.problem, log_joint))
    return replace(moved, value=value, gap=max(moved.recomputed_gap(), 0.0))


def _normalized(log_p: Tensor, targets: tuple[int, ...]) -> Tensor:
    """Return a table in float64 whose rows sum to one in it too; rows of zeros stay."""
    wide = log_p.double()
    return wide - wide.logsumexp(targets, keepdim=True).nan_to_num(neginf=0.0)


def _double(problem: DenseProblem) -> DenseProblem:
    if problem.cost.dtype == torch.float64:
        return problem
    stages = (
        replace(s, log_kernel=_normalized(s.log_kernel, s.targets)) for s in problem.chain.stages
    )
    return replace(
        problem,
        cost=problem.cost.double(),
        terms=tuple(replace(t, log_p=t.log_p.double()) for t in problem.terms),
        chain=replace(problem.chain, stages=tuple(stages)),
        constraints=tuple(
            replace(t, log_p=_normalized(t.log_p, t.targets)) for t in problem.constraints
        ),
    )
