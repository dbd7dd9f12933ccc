"""What learning reports: one record a stage, and a solution with its status and advice."""

from __future__ import annotations

from dataclasses import dataclass

from coset.core.results import Record, Solution

__all__ = ["LearningReport", "StageReport"]


@dataclass(frozen=True)
class StageReport(Record):
    """What happened in one stage.

    Attributes:
        moduli: of the coordinates that were kept; empty if none was.
        num_tries: how many batches of restarts were trained.
        num_restarts: restarts in all tries.
        num_useful: how many of them had a coordinate with a gain above the least.
        entropy: H(y | state of the layers below) in nats.
        gain: nats that the kept coordinates explain, or the best gain seen if none was kept.
        residual: largest distance of a kept angle from its root of unity, in units of 1/m turn.
    """

    moduli: tuple[int, ...]
    num_tries: int
    num_restarts: int
    num_useful: int
    entropy: float
    gain: float
    residual: float


@dataclass(frozen=True)
class LearningReport(Solution):
    """How learning went; `value` is H(y | state) in nats of what was learned.

    It is counted on words of no gradient; stored words that are held out also chose the layers.

    Attributes:
        stages: one report a stage, bottom to top; the last one of a failure kept nothing.
        num_states: how many states the learned cascade reaches.
    """

    stages: tuple[StageReport, ...] = ()
    num_states: int = 1
