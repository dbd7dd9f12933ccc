"""What the solvers of beliefs return: the inconsistency, and the joint that attains it."""

from __future__ import annotations

from dataclasses import dataclass

from coset.beliefs.joint import Joint
from coset.core.foreign_files import show
from coset.core.results import Solution

__all__ = ["InconsistencySolution"]


@dataclass(frozen=True, eq=False, repr=False)
class InconsistencySolution(Solution):
    """inf_μ [[M]]_γ(μ), a μ that attains it up to the gap, and how that was found.

    `value` is a float in nats (a tensor of the batch's shape for a batch), +∞ if beliefs with
    β = ∞ or zeros contradict each other; `error_bound` is the gap: the value is at most that far
    above the infimum (``None`` where the score is not convex).

    Attributes:
        joint: μ over all variables of the graph as attended, or ``None`` if the value is +∞.
        method: "mirror", "interior", "cone", "tree", "cccp" or "zero_plus"; joined by "+" if parts
            of the graph were solved by several.
        conflicts: names of the arcs that contradict each other when the value is +∞.
    """

    joint: Joint | None = None
    method: str = ""
    conflicts: tuple[str, ...] = ()

    @property
    def gap(self) -> float | None:
        """An upper bound on value − infimum, in nats (the largest of a batch)."""
        return self.error_bound

    def __repr__(self) -> str:
        gap = "" if self.gap is None else f", gap {self.gap:.1e}"
        how = f" by {self.method}" if self.method else ""
        return f"InconsistencySolution({show(self.value)} nats, {self.status}{how}{gap})"
