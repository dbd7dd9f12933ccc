"""Callbacks: what may watch a training run, and the history most runs want."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coset.train.config import TrainState

__all__ = ["Callback", "History"]


class Callback:
    """Watches a run; override any of the methods.

    Callbacks run in process 0 only and must not change the model: what acts on the weights
    after each step belongs in `after_step`. A callback that keeps something across a resume
    has ``state_dict`` and ``load_state_dict`` and is given as `extra_state` too.
    """

    def on_start(self, state: TrainState) -> None:
        """Act before the first step of this call of `fit`, after a resume if there is one.

        Args:
            state: where the run starts; ``state.step`` is 0 for a fresh run.
        """

    def on_step(self, state: TrainState) -> None:
        """Act after each step.

        Args:
            state: where the run stands.
        """

    def on_epoch(self, state: TrainState) -> bool | None:
        """Act after each epoch, when `state.metrics` is new and no checkpoint is written yet.

        Args:
            state: where the run stands.

        Returns:
            ``True`` to end the run here; the final checkpoint remembers it.
        """
        return None

    def on_checkpoint(self, state: TrainState, path: Path) -> None:
        """Act after a checkpoint is safely on disk.

        Args:
            state: the state it holds.
            path: the file.
        """


class History(Callback):
    """Keeps one row of metrics an epoch.

    Give it twice to keep it across a resume: ``callbacks=[h], extra_state={"history": h}``.

    Attributes:
        rows: dictionaries with "epoch", "step" and all of ``state.metrics``.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_epoch(self, state: TrainState) -> bool | None:
        """Add a row.

        Args:
            state: where the run stands.

        Returns:
            ``None``: a history never ends a run.
        """
        self.rows.append({"epoch": state.epoch, "step": state.step, **state.metrics})
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the rows for a checkpoint.

        Returns:
            A dictionary with the key "rows".
        """
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Take the rows of a checkpoint.

        Args:
            state: what `state_dict` returned.
        """
        self.rows = [dict(row) for row in state["rows"]]
