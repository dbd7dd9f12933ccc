"""What a training run is told (`TrainConfig`) and what it has reached (`TrainState`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from coset.core.errors import ConfigError

__all__ = ["Precision", "TrainConfig", "TrainState"]

Precision = Literal["float32", "bfloat16", "float16"]
SchedulerStep = Literal["epoch", "step"]


@dataclass(frozen=True)
class TrainConfig:
    """The settings of one training run, all plain values.

    Attributes:
        num_epochs: passes over the data, >= 0.
        batch_size: examples a step, >= 1, over all processes together; used for datasets given
            as tensors only.
        device: "cpu", "cuda" or "cuda:N"; under torchrun "cuda" means the GPU ``LOCAL_RANK``.
        precision: "float32" computes in the dtypes of the parameters; "bfloat16" and "float16"
            run the loss under autocast, float16 with dynamic loss scaling.
        clip_norm: the largest Euclidean norm of all gradients together, > 0, or ``None``.
        drop_last: leave out the last batch of an epoch when it is smaller than `batch_size`.
        seed: decides the order of the data and dropout.
        checkpoint_every: write a checkpoint every so many epochs; 0 = at the end only.
        num_checkpoint_steps: also write one every so many steps; 0 = never.
        scheduler_every: step the learning-rate scheduler once an "epoch" or once a "step".
        unused_parameters: set it when some parameter gets no gradient in some step and the
            run has several processes (costs a search of the graph in each step).

    Raises:
        ConfigError: if a value is impossible.
    """

    num_epochs: int
    batch_size: int
    device: str = "cpu"
    precision: Precision = "float32"
    clip_norm: float | None = None
    drop_last: bool = False
    seed: int = 0
    checkpoint_every: int = 1
    num_checkpoint_steps: int = 0
    scheduler_every: SchedulerStep = "epoch"
    unused_parameters: bool = False

    def __post_init__(self) -> None:
        for name, least in (
            ("num_epochs", 0),
            ("batch_size", 1),
            ("checkpoint_every", 0),
            ("num_checkpoint_steps", 0),
        ):
            value = getattr(self, name)
            self._require(name, _is_int(value) and value >= least, f"an integer >= {least}")
        self._require("seed", _is_int(self.seed), "an integer")
        self._require("device", isinstance(self.device, str), '"cpu", "cuda" or "cuda:N"')
        for name, choices in (
            ("precision", get_args(Precision)),
            ("scheduler_every", get_args(SchedulerStep)),
        ):
            known = " or ".join(f'"{choice}"' for choice in choices)
            self._require(name, getattr(self, name) in choices, known)
        for name in ("drop_last", "unused_parameters"):
            self._require(name, isinstance(getattr(self, name), bool), "True or False")
        norm = self.clip_norm
        sound = norm is None or (
            isinstance(norm, (int, float)) and not isinstance(norm, bool) and 0 < norm < math.inf
        )
        self._require("clip_norm", sound, "a finite number > 0, or None for no clipping")

    def _require(self, name: str, holds: bool, what: str) -> None:
        if not holds:
            raise ConfigError(f"{name} must be {what}; got {getattr(self, name)!r}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True)
class TrainState:
    """Where a run stands; a snapshot that never changes.

    Attributes:
        epoch: epochs completed.
        batch: batches done in the current epoch.
        step: batches done in all.
        loss: loss of the last batch, a mean over its examples; NaN before the first.
        gradient_norm: Euclidean norm of the last gradients before clipping; NaN before the first,
            and not finite for a step that float16 loss scaling skipped.
        num_skipped: steps that float16 loss scaling skipped.
        epoch_loss: mean loss over the examples seen in the current epoch.
        num_examples: examples seen in the current epoch.
        metrics: after the last completed epoch: "train_loss" and what `evaluate` returned.
        stopped: whether a callback ended the run before `num_epochs`.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss: float = math.nan
    gradient_norm: float = math.nan
    num_skipped: int = 0
    epoch_loss: float = 0.0
    num_examples: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    stopped: bool = False
