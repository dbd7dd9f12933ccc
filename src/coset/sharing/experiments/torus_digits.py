"""Digits on a torus: dense networks with and without sharing, and a CNN, pixels shuffled or not.

Which accuracy, how many distinct weights, and whether filters become convolutions (sharing.C19).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from coset.core.files import write_atomic
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.sharing.experiments.filter_shape import align_filters, circulance, locality
from coset.sharing.experiments.torus_settings import describe, resolve
from coset.sharing.experiments.torus_training import (
    METHODS,
    Method,
    TorusSettings,
    TrainedTorus,
    accuracy,
    read_torus,
    train_torus,
)
from coset.sharing.experiments.weight_histograms import WeightHistograms
from coset.sharing.experiments.weights import cut_path, kmeans_path, weight_statistics
from coset.sharing.torus import TorusData
from coset.train import Callback, TrainState

__all__ = ["ARRAYS_FILE", "TorusConfig", "torus_digits"]

ARRAYS_FILE = "arrays.safetensors"


@dataclass(frozen=True)
class TorusConfig:
    """One run of `sharing.torus-digits`; ``None`` takes what `sharing.torus-tuning` chose.

    Attributes:
        method: "fc" (dense), "fc+sharing" (prox after each step), "fc+dual-averaging", "fc+l1"
            (soft threshold after each step), "fc+beta-lasso" (l·sign(w) added to the gradient,
            weights below β·l set to zero after each step), "fc+kmeans" (the trained "fc" network,
            its weights replaced by the centers of k-means), or "cnn" (circular convolution).
        shuffled: apply one fixed permutation to the pixels of all images.
        seed: decides data split, shifts, permutation, initial weights and order.
        dataset: "digits" (in the package) or "mnist" (needs `coset data get mnist`).
        side: pixels a side after pooling, 7 or 14.
        inclusive_shifts: shifts 0 … side, both included, as the authors' code.
        num_train: training images.
        num_validation: validation images, disjoint from them.
        channels: width of each layer, in channels; ``None``: 16 up to side 7, 8 beyond.
        kernel_size: of the CNN, odd.
        dropout: after each layer.
        num_epochs: passes over the training images; ``None``: 60 up to side 7, 30 beyond.
        batch_size: images a step.
        drop_last: leave out the last incomplete batch.
        learning_rate: of SGD at the start; a cosine per epoch takes it down.
        final_rate: learning rate at the end of the cosine as a fraction of `learning_rate`.
        momentum: of SGD.
        strength: λ of the first layer ("fc+sharing").
        later_strength: λ of all later layers ("fc+sharing"); ``None``: that of the first.
        rewind: ρ in [0, 1] ("fc+sharing").
        kappa: strength in standard deviations ("fc+dual-averaging"), risen to over the first half.
        l1: λ₁ of each layer ("fc+l1", "fc+beta-lasso").
        beta: β of "fc+beta-lasso".
        num_values: values left of each layer ("fc+kmeans").
        device: where to train.
    """

    method: Method = "fc"
    shuffled: bool = False
    seed: int = 0
    dataset: Literal["digits", "mnist"] = "digits"
    side: int = 7
    inclusive_shifts: bool = False
    num_train: int = 3500
    num_validation: int = 500
    channels: tuple[int, ...] | None = None
    kernel_size: int | None = None
    dropout: float = 0.0
    num_epochs: int | None = None
    batch_size: int = 64
    drop_last: bool = True
    learning_rate: float | None = None
    final_rate: float = 0.0
    momentum: float | None = None
    strength: float | None = None
    later_strength: float | None = None
    rewind: float | None = None
    kappa: float | None = None
    l1: float | None = None
    beta: float | None = None
    num_values: int | None = None
    device: str = "cpu"


_SMOKE = TorusConfig(
    num_train=1000,
    num_epochs=15,
    batch_size=50,
    kernel_size=7,
    learning_rate=3.0,
    momentum=0.9,
    strength=1e-3,
    rewind=0.0,
)
# The authors' set-up; their fraction p = 0.6 of each class is 36,000 of the 60,000 images.
_PAPER = TorusConfig(
    dataset="mnist",
    side=14,
    inclusive_shifts=True,
    num_train=36_000,
    num_validation=4_000,
    channels=(32, 64),
    kernel_size=3,
    dropout=0.4,
    num_epochs=200,
    batch_size=512,
    learning_rate=0.1,
    momentum=0.0,
    strength=1e-3,
    later_strength=1e-4,
    rewind=0.0,
)


@experiment(
    "sharing.torus-digits",
    title="Digits on a torus: does sharing learn convolutions?",
    presets={
        "smoke": Preset(
            _SMOKE, {"method": ("fc", "fc+sharing", "cnn"), "shuffled": (False, True), "seed": (0,)}
        ),
        "cpu": Preset(
            TorusConfig(),
            {
                "side": (7, 14),
                "method": METHODS,
                "shuffled": (False, True),
                "seed": (11, 12, 13, 14, 15),
            },
        ),
        "paper": Preset(
            _PAPER,
            {"method": ("fc", "fc+sharing", "cnn"), "shuffled": (False, True), "seed": (1, 2, 3)},
        ),
    },
    claims=("sharing.C19",),
    data=("digits", "mnist"),
    figures=(
        "coset.sharing.figures:torus_accuracy",
        "coset.sharing.figures:torus_distinct",
        "coset.sharing.figures:torus_curves",
        "coset.sharing.figures:torus_filters",
        "coset.sharing.figures:torus_histograms",
    ),
    cost={"smoke": 12.0, "cpu": 2400.0},
)
def torus_digits(config: TorusConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train one network and measure its weights.

    The column num_distinct counts exactly equal floating-point values once in each layer (for the
    CNN: of its kernels). The columns cut_… tell of the fewest clusters (blocks of the prox) into
    which the trained weights can be tied afterwards, each replaced by its cluster's mean, at a cost
    of at most 0.01 of validation accuracy. The column settings says what was tuned.

    Args:
        config: the settings.
        run: where to write; a killed run continues from its checkpoint.

    Yields:
        One row: accuracies, counts, shape of the first layer's filters.

    Raises:
        ConfigError: if a setting is impossible.
        UnavailableError: if the complete MNIST is asked for and not there.

    Claims: sharing.C19.
    """
    settings = resolve(config)
    data = read_torus(settings)
    trained, histograms = _train(settings, data, run)
    filters = data.unshuffle(trained.model.filters().cpu())
    measured = _Measure(trained, data)
    row: dict[str, Any] = {
        "method": settings.method,
        "shuffled": settings.shuffled,
        "seed": settings.seed,
        "train_accuracy": measured(data.train_images, data.train_labels),
        "validation_accuracy": measured(data.validation_images, data.validation_labels),
        "test_accuracy": measured(data.test_images, data.test_labels),
        **weight_statistics(trained.weights),
        "num_test": len(data.test_labels),
        "settings": describe(settings),
        "circulance": circulance(filters),
        "locality": locality(filters),
    }
    row |= _tie(trained, measured, filters, histograms, run)
    yield row


class _Report(Callback):
    """Logs each epoch and says how far the run is."""

    def __init__(self, run: RunContext, num_epochs: int, weights: list[nn.Parameter]) -> None:
        self.run, self.num_epochs, self.weights = run, num_epochs, weights

    def on_epoch(self, state: TrainState) -> bool | None:
        distinct = sum(int(torch.unique(w.detach()).numel()) for w in self.weights)
        self.run.log(step=state.epoch, num_distinct=distinct, **state.metrics)
        note = f"validation {state.metrics['validation_accuracy']:.3f}"
        self.run.progress(state.epoch, self.num_epochs, note)
        return None


class _Measure:
    """The accuracy of a network on some images."""

    def __init__(self, trained: TrainedTorus, data: TorusData) -> None:
        self.model, self.data = trained.model, data

    def __call__(self, images: Tensor, labels: Tensor) -> float:
        return accuracy(self.model, images, labels)

    def both(self) -> tuple[float, float]:
        """Return the accuracies on validation and on test images."""
        data = self.data
        return (
            self(data.validation_images, data.validation_labels),
            self(data.test_images, data.test_labels),
        )


def _train(
    settings: TorusSettings, data: TorusData, run: RunContext
) -> tuple[TrainedTorus, WeightHistograms]:
    histograms = WeightHistograms()

    def prepare(weights: list[nn.Parameter]) -> list[Callback]:
        histograms.watch(weights[0])
        return [histograms, _Report(run, settings.num_epochs, weights)]

    trained = train_torus(
        settings,
        data,
        checkpoint=run.checkpoint,
        prepare=prepare,
        extra_state={"metrics": run.metrics, "histograms": histograms},
    )
    return trained, histograms


def _tie(
    trained: TrainedTorus,
    measured: _Measure,
    filters: Tensor,
    histograms: WeightHistograms,
    run: RunContext,
) -> Mapping[str, float | int]:
    """Tie the trained weights by ever larger strengths; store paths, filters and histograms."""
    from safetensors.torch import save

    points = cut_path(trained.weights, measured.both)
    arrays = {
        "filters": align_filters(filters)[0].to(torch.float32),
        **_columns("cut", points),
        **_columns("kmeans", kmeans_path(trained.weights, measured.both)),
        **histograms.arrays(),
    }
    content = save({name: value.contiguous() for name, value in arrays.items()})
    write_atomic(run.folder / ARRAYS_FILE, content)
    allowed = [p for p in points if p[2] >= points[0][2] - 0.01]
    best = min(allowed, key=lambda p: p[1])
    return {"cut_num_distinct": int(best[1]), "cut_test_accuracy": best[3]}


def _columns(prefix: str, points: list[tuple[float, float, float, float]]) -> Mapping[str, Tensor]:
    names = ("strength", "num_distinct", "validation_accuracy", "test_accuracy")
    columns = torch.tensor(points, dtype=torch.float64).T
    return {f"{prefix}_{name}": column for name, column in zip(names, columns, strict=True)}
