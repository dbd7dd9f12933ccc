"""Floor 1: the training loop, its checkpoints, and nothing that knows a store or a registry."""

from __future__ import annotations

from coset.train.callbacks import Callback, History
from coset.train.checkpoint import (
    Checkpoint,
    CheckpointMismatchError,
    Stateful,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from coset.train.config import TrainConfig, TrainState
from coset.train.loop import fit

__all__ = [
    "Callback",
    "Checkpoint",
    "CheckpointMismatchError",
    "History",
    "Stateful",
    "TrainConfig",
    "TrainState",
    "fit",
    "load_checkpoint",
    "read_checkpoint",
    "save_checkpoint",
]
