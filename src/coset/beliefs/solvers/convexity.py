"""Whether inconsistency is convex along a segment of parameters, decided by certified values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.solvers.solve import solve
from coset.core.errors import DomainError, NotConvergedError, ShapeError
from coset.core.results import Verdict

__all__ = ["convexity_probe"]


def convexity_probe(
    build: Callable[[Tensor], PDG],
    first: Tensor,
    second: Tensor,
    gamma: float = 0.0,
    *,
    weights: Sequence[float] = (0.25, 0.5, 0.75),
    quasi: bool = False,
    tol: float = 1e-9,
) -> Verdict:
    """Compare ⟨⟨M(θ)⟩⟩_γ between two parameters with its chord.

    A violation is proved: the value at (1 − w) θ + w θ′, less its gap, exceeds the chord (or the
    larger end) of values that are upper bounds. That there is none is no proof of convexity.
    It is convex if γα ≤ β, and each cpd is constant, or unconditional with log p concave in θ;
    it need not be, nor quasi-convex, in a conditional cpd.

    Args:
        build: makes the graph of a parameter.
        first: θ.
        second: θ′, of the same shape.
        gamma: γ ≥ 0.
        weights: w, each in (0, 1).
        quasi: compare with the larger end instead of the chord.
        tol: the gap to which values are found.

    Returns:
        Whether no violation was found; `evidence` has the weight of the largest excess, the value
        there, what it is compared with, and the excess that is proved.

    Raises:
        ShapeError: if the shapes differ.
        DomainError: if a weight is not in (0, 1), or there is none.
        NotConvergedError: if a value has no gap, or a larger one.

    Complexity: one solution an end and a weight.

    Claims: beliefs.C14, beliefs.C14b, beliefs.C14c, beliefs.C14d.

    Example:
        >>> import torch
        >>> import torch
        >>> def build(table):
        ...     pdg = PDG({"A": 2, "B": 2})
        ...     one = pdg.add("p", "B", "A", cpd=table)
        ...     two = pdg.add("r", "A", "B", cpd=[[0.0, 1.0], [1.0, 0.0]])
        ...     return pdg
        >>> left = torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=torch.float64)
        >>> right = torch.tensor([[0.0, 1.0], [0.5, 0.5]], dtype=torch.float64)
        >>> verdict = convexity_probe(build, left, right)
        >>> verdict.holds, round(verdict.evidence["excess"], 6)
        (False, 0.287682)
    """
    if first.shape != second.shape:
        raise ShapeError(f"both ends have one shape; given {first.shape} and {second.shape}")
    if not weights or not all(0 < w < 1 for w in weights):
        raise DomainError(f"weights lie between 0 and 1; given {list(weights)}")

    def bounds(parameter: Tensor) -> tuple[float, float]:
        found = solve(build(parameter), gamma, tol=tol, throw=True)
        if found.gap is None:
            raise NotConvergedError("a convexity probe needs values with a gap; there is none")
        return float(found.value) - found.gap, float(found.value)

    ends = bounds(first)[1], bounds(second)[1]
    worst = {"excess": -math.inf}
    for weight in weights:
        least, value = bounds((1 - weight) * first + weight * second)
        line = max(ends) if quasi else (1 - weight) * ends[0] + weight * ends[1]
        if least - line > worst["excess"]:
            worst = {"excess": least - line, "weight": weight, "value": value, "line": line}
    holds = worst["excess"] <= 0
    than = "the larger end" if quasi else "the chord"
    reason = (
        f"no value exceeds {than}; the nearest is {-worst['excess']:.3g} nats below it"
        if holds
        else f"the value at weight {worst['weight']:g} exceeds {than} by {worst['excess']:.6g} nats"
    )
    return Verdict(holds, reason, {**worst, "ends": list(ends)})
