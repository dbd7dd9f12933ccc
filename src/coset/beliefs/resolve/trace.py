"""What a run of local inconsistency resolution did, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coset.core.foreign_files import show
from coset.core.results import Record

__all__ = ["Trace", "TraceStep"]


@dataclass(frozen=True, eq=False)
class TraceStep(Record):
    """One step: attended inconsistency before and after, and what it cost elsewhere.

    All tensors have the shape of the batch, () without one; values are in nats.

    Attributes:
        step: 0, 1, …
        focus: the name of the focus, or one for each element of the batch.
        attended_before: the inconsistency under the focus when the step began.
        attended_after: the same when it ended.
        overall: the inconsistency of the whole graph afterwards; NaN where it was not asked for.
        movement: how far the step moved cpds: Σ|Δp|/2 over the rows of all arcs with parameters.
        distance: the same from where the run began.
        gap: the largest certified distance of a value of this step from its infimum; NaN where
            the score is not convex.
    """

    step: int
    focus: str | tuple[str, ...]
    attended_before: Tensor
    attended_after: Tensor
    overall: Tensor
    movement: Tensor
    distance: Tensor
    gap: float

    def __repr__(self) -> str:
        before, after = _mean(self.attended_before), _mean(self.attended_after)
        return (
            f"TraceStep({self.step}, {show(self.focus)}, attended {before} → {after}, "
            f"overall {_mean(self.overall)}, gap {self.gap:.1e})"
        )


@dataclass(frozen=True, eq=False)
class Trace(Record):
    """A run of `lir`.

    Attributes:
        gamma: γ.
        initial: the inconsistency of the whole graph before the first step, NaN if not asked for.
        steps: what each step did.
    """

    gamma: float
    initial: Tensor
    steps: tuple[TraceStep, ...]

    def __repr__(self) -> str:
        last = self.steps[-1].overall if self.steps else self.initial
        return f"Trace({len(self.steps)} steps, overall {_mean(self.initial)} → {_mean(last)} nats)"

    @property
    def overall(self) -> Tensor:
        """The inconsistency of the whole graph, (*batch, steps + 1)."""
        return torch.stack([self.initial, *(step.overall for step in self.steps)], -1)

    @property
    def attended(self) -> Tensor:
        """Attended inconsistency before and after each step, (*batch, steps, 2)."""
        if not self.steps:
            return self.initial.new_empty((*self.initial.shape, 0, 2))
        pairs = [torch.stack([s.attended_before, s.attended_after], -1) for s in self.steps]
        return torch.stack(pairs, -2)

    def rows(self) -> list[dict[str, Any]]:
        """Return flat rows, one a step and element of the batch, for tables and figures.

        Returns:
            step (0 is the start, where only `overall` is a number), element, focus,
            attended_before, attended_after, overall, movement, distance, gap; ``None`` for NaN
            and infinite numbers.
        """
        flat = self.initial.reshape(-1)
        start = [_row(0, e, "", [None, None, float(v), 0.0, 0.0, None]) for e, v in enumerate(flat)]
        return start + [row for step in self.steps for row in _rows_of(step)]


def _mean(values: Tensor) -> str:
    return f"{float(values.double().mean()):.4g}" + (" (mean)" if values.ndim else "")


_COLUMNS = ("attended_before", "attended_after", "overall", "movement", "distance", "gap")


def _row(step: int, element: int, focus: str, numbers: Sequence[float | None]) -> dict[str, Any]:
    finite = [v if v is not None and abs(v) < float("inf") else None for v in numbers]
    return {
        "step": step,
        "element": element,
        "focus": focus,
        **dict(zip(_COLUMNS, finite, strict=True)),
    }


def _rows_of(step: TraceStep) -> list[dict[str, Any]]:
    columns = [getattr(step, name) for name in _COLUMNS[:-1]]
    table = torch.stack([c.to(torch.float64).reshape(-1) for c in columns], -1)
    names = (step.focus,) * len(table) if isinstance(step.focus, str) else step.focus
    return [
        _row(step.step + 1, e, name, [*numbers, step.gap])
        for e, (name, numbers) in enumerate(zip(names, table.tolist(), strict=True))
    ]
