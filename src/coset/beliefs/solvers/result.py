"""What a dense solver hands to `solve`."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["DenseResult"]


@dataclass(frozen=True)
class DenseResult:
    """A minimizer of a `DenseProblem` and how near it is.

    Attributes:
        value: the score, (*batch,), without the problem's constant; +∞ where no world is allowed.
        log_joint: log μ, (*batch, *shape); −∞ where μ = 0.
        gap: an upper bound on value − minimum, (*batch,); NaN where the score is not convex.
        iterations: how many were used.
        converged: whether the gap is within the tolerance, for all of a batch.
    """

    value: Tensor
    log_joint: Tensor
    gap: Tensor
    iterations: int
    converged: bool
