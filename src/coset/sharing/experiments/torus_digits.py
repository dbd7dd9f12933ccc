"""Digits on a torus: dense networks with and without sharing, and a CNN, pixels shuffled or not.

Which accuracy, how many distinct weights, and whether filters become convolutions (sharing.C19).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError
from coset.core.files import write_atomic
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.sharing.experiments.filter_shape import align_filters, circulance, locality
from coset.sharing.experiments.weights import cut_path, weight_statistics
from coset.sharing.models import PositionMLP, TorusCNN
from coset.sharing.optimizer import ProxSharing
from coset.sharing.torus import TorusData, prepare_torus
from coset.train import Callback, TrainConfig, TrainState, fit

__all__ = ["ARRAYS_FILE", "TorusConfig", "torus_digits"]

ARRAYS_FILE = "arrays.safetensors"

Method = Literal["fc", "fc+sharing", "fc+dual-averaging", "fc+l1", "cnn"]
_METHODS: tuple[Method, ...] = ("fc", "fc+sharing", "fc+dual-averaging", "fc+l1", "cnn")
_EVALUATION_BATCH = 1000
# Runs that differ elsewhere see the same images, shifts, splits and order: comparisons are paired.
_DATA_FIELDS = ("seed", "dataset", "side", "num_train", "num_validation", "inclusive_shifts")


@dataclass(frozen=True)
class TorusConfig:
    """One run of `sharing.torus-digits`.

    Attributes:
        method: "fc" (dense), "fc+sharing" (prox after each step), "fc+dual-averaging", "fc+l1", or
            "cnn" (circular convolution).
        shuffled: apply one fixed permutation to the pixels of all images.
        seed: decides data split, shifts, permutation, initial weights and order.
        dataset: "digits" (in the package) or "mnist" (needs `coset data get mnist`).
        side: pixels a side after pooling, 7 or 14.
        inclusive_shifts: shifts 0 … side, both included, as the authors' code.
        num_train: training images.
        num_validation: validation images, disjoint from them.
        channels: width of each layer, in channels.
        kernel_size: of the CNN, odd.
        dropout: after each layer.
        num_epochs: passes over the training images.
        batch_size: images a step.
        drop_last: leave out the last incomplete batch.
        learning_rate: of SGD at the start; a cosine per epoch takes it down.
        final_rate: learning rate at the end of the cosine as a fraction of `learning_rate`.
        momentum: of SGD.
        strength: λ of the first layer ("fc+sharing").
        later_strength: λ of all later layers ("fc+sharing").
        rewind: ρ in [0, 1] ("fc+sharing").
        kappa: strength in standard deviations ("fc+dual-averaging"), risen to over the first half.
        l1: λ₁ of each layer ("fc+l1").
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
    channels: tuple[int, ...] = (16,)
    kernel_size: int = 7
    dropout: float = 0.0
    num_epochs: int = 60
    batch_size: int = 64
    drop_last: bool = True
    learning_rate: float = 3.0
    final_rate: float = 0.0
    momentum: float = 0.9
    strength: float = 1e-3
    later_strength: float = 1e-3
    rewind: float = 0.0
    kappa: float = 1.7
    l1: float = 3e-4
    device: str = "cpu"


_CPU = TorusConfig()
_SMOKE = replace(_CPU, num_train=1000, num_epochs=15, batch_size=50)
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
)


@experiment(
    "sharing.torus-digits",
    title="Digits on a torus: does sharing learn convolutions?",
    presets={
        "smoke": Preset(
            _SMOKE, {"method": ("fc", "fc+sharing", "cnn"), "shuffled": (False, True), "seed": (0,)}
        ),
        "cpu": Preset(_CPU, {"method": _METHODS, "shuffled": (False, True), "seed": (1, 2, 3)}),
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
    ),
    cost={"smoke": 12.0, "cpu": 300.0},
)
def torus_digits(config: TorusConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train one network and measure its weights.

    The column num_distinct counts exactly equal floating-point values once in each layer (for the
    CNN: of its kernels). The columns cut_… tell of the fewest clusters (blocks of the prox) into
    which the trained weights can be tied afterwards, each replaced by its cluster's mean, at a cost
    of at most 0.01 of validation accuracy.

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
    data = _read_data(config, run)
    model = _build_model(config, run)
    weights = _tied_weights(model)
    state = _train(model, weights, data, config, run)
    test = (data.test_images, data.test_labels)
    row: dict[str, Any] = {
        "method": config.method,
        "shuffled": config.shuffled,
        "seed": config.seed,
        "train_accuracy": state.metrics["train_accuracy"],
        "validation_accuracy": state.metrics["validation_accuracy"],
        "test_accuracy": _accuracy(model, *test),
        **weight_statistics(weights),
        "num_epochs": config.num_epochs,
        "num_train": config.num_train,
        "num_test": len(data.test_labels),
    }
    filters = data.unshuffle(model.filters().cpu())
    row |= {"circulance": circulance(filters), "locality": locality(filters)}
    row |= _cut(model, weights, data, filters, run)
    yield row


def _read_data(config: TorusConfig, run: RunContext) -> TorusData:
    from coset.data import load_digits, load_mnist

    read = load_digits if config.dataset == "digits" else load_mnist
    train, test = read("train"), read("test")
    ignored = [f.name for f in fields(config) if f.name not in _DATA_FIELDS]
    return prepare_torus(
        (train.images, train.labels),
        (test.images, test.labels),
        side=config.side,
        shuffled=config.shuffled,
        num_train=config.num_train,
        num_validation=config.num_validation,
        generator=run.generator("data", without=ignored),
        inclusive_shifts=config.inclusive_shifts,
    )


def _build_model(config: TorusConfig, run: RunContext) -> PositionMLP | TorusCNN:
    sizes: dict[str, Any] = {
        "side": config.side,
        "channels": config.channels,
        "dropout": config.dropout,
    }
    ignored = [f.name for f in fields(config) if f.name not in ("seed", "side", "channels")]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed("model", without=ignored))
        if config.method == "cnn":
            return TorusCNN(kernel_size=config.kernel_size, **sizes)
        return PositionMLP(**sizes)


def _tied_weights(model: PositionMLP | TorusCNN) -> list[nn.Parameter]:
    """Return the weight of each layer but the readout."""
    return [layer.get_parameter("weight") for layer in model.layers]


def _sharing(
    optimizer: torch.optim.Optimizer,
    weights: list[nn.Parameter],
    num_steps: int,
    config: TorusConfig,
) -> ProxSharing | None:
    if config.method in ("fc", "cnn"):
        return None
    if config.method == "fc+dual-averaging":
        return ProxSharing(
            optimizer,
            [{"params": weights}],
            mode="dual_averaging",
            kappa=config.kappa,
            ramp_steps=num_steps // 2,
        )
    if config.method == "fc+l1":
        return ProxSharing(optimizer, [{"params": weights, "strength": 0.0, "l1": config.l1}])
    strengths = [config.strength] + [config.later_strength] * (len(weights) - 1)
    return ProxSharing(
        optimizer,
        [
            {"params": weight, "strength": strength, "rewind": config.rewind}
            for weight, strength in zip(weights, strengths, strict=True)
        ],
    )


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


def _train(
    model: PositionMLP | TorusCNN,
    weights: list[nn.Parameter],
    data: TorusData,
    config: TorusConfig,
    run: RunContext,
) -> TrainState:
    if config.num_epochs < 1 or config.num_validation < 1:
        raise ConfigError(
            f"num_epochs and num_validation must be ≥ 1; given {config.num_epochs} and "
            f"{config.num_validation}"
        )
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.learning_rate, momentum=config.momentum
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, config.num_epochs, eta_min=config.final_rate * config.learning_rate
    )
    batches = config.num_train / config.batch_size
    num_steps = config.num_epochs * int(batches if config.drop_last else -(-batches // 1))
    sharing = _sharing(optimizer, weights, num_steps, config)
    ignored = [f.name for f in fields(config) if f.name not in ("seed", "num_train", "batch_size")]
    return fit(
        model,
        optimizer,
        lambda net, batch: nn.functional.cross_entropy(net(batch[0]), batch[1]),
        (data.train_images, data.train_labels),
        TrainConfig(
            config.num_epochs,
            config.batch_size,
            device=config.device,
            drop_last=config.drop_last,
            seed=run.seed("order", without=ignored),
            checkpoint_every=max(1, config.num_epochs // 20),
        ),
        scheduler=scheduler,
        after_step=[sharing.step] if sharing else [],
        callbacks=[_Report(run, config.num_epochs, weights)],
        checkpoint=run.checkpoint,
        evaluate=lambda net: {
            "train_accuracy": _accuracy(net, data.train_images, data.train_labels),
            "validation_accuracy": _accuracy(net, data.validation_images, data.validation_labels),
        },
        extra_state={"metrics": run.metrics} | ({"sharing": sharing} if sharing else {}),
    )


@torch.no_grad()
def _accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    former, device = model.training, next(model.parameters()).device
    model.eval()
    hits = 0
    for part, truth in zip(
        torch.split(images, _EVALUATION_BATCH), torch.split(labels, _EVALUATION_BATCH), strict=True
    ):
        hits += int((model(part.to(device)).argmax(1).cpu() == truth).sum())
    model.train(former)
    return hits / len(labels)


def _cut(
    model: PositionMLP | TorusCNN,
    weights: list[nn.Parameter],
    data: TorusData,
    filters: Tensor,
    run: RunContext,
) -> Mapping[str, float | int]:
    """Tie the trained weights by ever larger strengths; store the path and the filters."""
    from safetensors.torch import save

    points = cut_path(
        weights,
        lambda: (
            _accuracy(model, data.validation_images, data.validation_labels),
            _accuracy(model, data.test_images, data.test_labels),
        ),
    )
    path = torch.tensor(points, dtype=torch.float64)
    arrays = {
        "filters": align_filters(filters)[0].to(torch.float32).contiguous(),
        "raw_filters": filters.to(torch.float32).contiguous(),
        "cut_strength": path[:, 0].contiguous(),
        "cut_num_distinct": path[:, 1].contiguous(),
        "cut_validation_accuracy": path[:, 2].contiguous(),
        "cut_test_accuracy": path[:, 3].contiguous(),
    }
    write_atomic(run.folder / ARRAYS_FILE, save(arrays))
    allowed = [p for p in points if p[2] >= points[0][2] - 0.01]
    best = min(allowed, key=lambda p: p[1])
    return {"cut_num_distinct": int(best[1]), "cut_test_accuracy": best[3]}
