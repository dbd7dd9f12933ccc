"""Jump ahead along the slowest error of repeated sweeps: Aitken's rule for vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["Extrapolation"]

# Sweeps between two points: directions may alternate, so that a period is two sweeps.
_PERIOD = 2
# Sweeps after a jump, in which errors die out that the jump has raised.
_REST = 4
# Jumps are made along changes whose directions agree to this cosine.
_ALIGNED = 0.9
# A jump of more than so many changes is not believed.
_FURTHEST = 200.0


class Extrapolation:
    """Collects values two sweeps apart and proposes jumps.

    Where one error is left that shrinks by ρ in each period, the changes D₁, D₂ of two periods are
    parallel, D₂ = ρ D₁, and what all later periods would add is D₂ (ρ + ρ² + …) = D₂ ρ/(1 − ρ).
    With ρ = ⟨D₁, D₂⟩/⟨D₁, D₁⟩ this is Anderson's acceleration of depth one. Sweeps that contract
    forgive a wrong jump; proofs never rest on it. After a jump that did not pay there is none.
    """

    def __init__(self) -> None:
        self.points: list[Tensor] = []
        self.wait, self.enabled = _REST, True
        self.expected = math.inf

    def propose(self, value: Tensor, width: float, rate: float) -> Tensor | None:
        """Note the values after a sweep.

        Args:
            value: (S,) float32 or float64; copied if needed.
            width: greatest minus least change of the sweep.
            rate: by how much that has shrunk since the sweep before.

        Returns:
            What to add to the values, or ``None``.
        """
        if not self.enabled:
            return None
        self.wait -= 1
        if self.wait > 0:
            return None
        if width > self.expected:
            # The last jump is not better than going on as before would have been.
            self.enabled, self.points = False, []
            return None
        self.expected = math.inf
        if self.points and self.points[0].dtype != value.dtype:
            self.points = []
        self.points.append(value.clone())
        self.wait = _PERIOD
        if len(self.points) < 3:
            return None
        change = self._jump(width, rate)
        self.points = [] if change is not None else self.points[1:]
        return change

    def _jump(self, width: float, rate: float) -> Tensor | None:
        first, second = (b - a for a, b in zip(self.points, self.points[1:], strict=False))
        one, both, two = (
            float(torch.dot(x, y)) for x, y in ((first, first), (first, second), (second, second))
        )
        if not (both > _ALIGNED * math.sqrt(one * two) > 0):
            return None
        ratio = both / one
        if not ratio < 1 or ratio / (1 - ratio) > _FURTHEST:
            return None
        self.wait = _REST
        self.expected = width * max(rate, math.sqrt(ratio)) ** _REST
        return second.mul_(ratio / (1 - ratio))
