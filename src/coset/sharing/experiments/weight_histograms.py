"""Histograms of a layer's weights, epoch by epoch, kept across a kill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import ConfigError
from coset.train import Callback, TrainState

__all__ = ["NUM_BINS", "REACH", "WeightHistograms"]

# An odd number, so that the mean, where the largest cluster is, lies inside a bin.
NUM_BINS = 161
REACH = 4.0


class WeightHistograms(Callback):
    """Counts the weights of a layer in bins of their standard deviation around their mean.

    Weights beyond `REACH` standard deviations are not counted. Give it to `fit` twice, as callback
    and in `extra_state`: it is then kept across a kill.
    """

    def __init__(self) -> None:
        self._weight: Tensor | None = None
        self._epochs: list[int] = []
        self._counts: list[Tensor] = []
        self._shapes: list[list[float]] = []

    def watch(self, weight: Tensor) -> None:
        """Name the layer, before the run starts.

        Args:
            weight: its weights, of any shape; read at the start and after each epoch.
        """
        self._weight = weight

    def on_start(self, state: TrainState) -> None:
        """Count the weights before the first step.

        Args:
            state: where the run starts.
        """
        if not self._epochs:
            self._count(0)

    def on_epoch(self, state: TrainState) -> bool | None:
        """Count the weights of an epoch.

        Args:
            state: where the run stands.

        Returns:
            ``None``: it never ends a run.
        """
        self._count(state.epoch)
        return None

    def _count(self, epoch: int) -> None:
        if self._weight is None:
            raise ConfigError("watch(weight) must be called before the run starts")
        w = self._weight.detach().cpu().double().flatten()
        mean, deviation = float(w.mean()), float(w.std())
        width = deviation or 1.0  # equal weights fill the middle bin
        counts = torch.histc((w - mean) / width, NUM_BINS, -REACH, REACH)
        self._epochs.append(epoch)
        self._counts.append(counts.to(torch.int64))
        self._shapes.append([mean, deviation])

    def arrays(self) -> dict[str, Tensor]:
        """Return the histograms for storing.

        Returns:
            "histogram_epochs" (E,) int64; "histogram_counts" (E, NUM_BINS) int64;
            "histogram_shapes" (E, 2) float64: mean and standard deviation.
        """
        return {
            "histogram_epochs": torch.tensor(self._epochs),
            "histogram_counts": torch.stack(self._counts),
            "histogram_shapes": torch.tensor(self._shapes, dtype=torch.float64),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to continue.

        Returns:
            Plain containers and tensors.
        """
        return {
            "epochs": list(self._epochs),
            "counts": list(self._counts),
            "shapes": [list(shape) for shape in self._shapes],
        }

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Take the histograms of a checkpoint.

        Args:
            state: what `state_dict` returned.
        """
        self._epochs = [int(epoch) for epoch in state["epochs"]]
        self._counts = list(state["counts"])
        self._shapes = [[float(v) for v in shape] for shape in state["shapes"]]
