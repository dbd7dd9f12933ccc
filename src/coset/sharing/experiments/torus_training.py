"""One network on digits on a torus: its data, its method, its training, its accuracy.

Used by `sharing.torus-digits`, which measures, and by `sharing.torus-tuning`, which chooses. Both
draw from the same streams, so that equal settings are the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError
from coset.core.seeds import derive_seed, generator_for
from coset.sharing.experiments.weights import quantize_weights
from coset.sharing.models import PositionMLP, TorusCNN
from coset.sharing.optimizer import ProxSharing
from coset.sharing.torus import TorusData, prepare_torus
from coset.train import Callback, Stateful, TrainConfig, TrainState, fit

__all__ = [
    "METHODS",
    "Method",
    "TorusSettings",
    "TrainedTorus",
    "accuracy",
    "read_torus",
    "train_torus",
    "usual_size",
]

Method = Literal[
    "fc", "fc+sharing", "fc+dual-averaging", "fc+l1", "fc+beta-lasso", "fc+kmeans", "cnn"
]
METHODS: tuple[Method, ...] = (
    *("fc", "fc+sharing", "fc+dual-averaging", "fc+l1", "fc+beta-lasso", "fc+kmeans"),
    "cnn",
)

Model = PositionMLP | TorusCNN

_EVALUATION_BATCH = 1000
_STREAMS = "sharing.torus-digits"
# Runs that differ elsewhere see the same images, shifts, splits and order: comparisons are paired.
_DATA_FIELDS = ("seed", "dataset", "side", "num_train", "num_validation", "inclusive_shifts")
_MODEL_FIELDS = ("seed", "side", "channels")
_ORDER_FIELDS = ("seed", "num_train", "batch_size")


@dataclass(frozen=True)
class TorusSettings:
    """All that decides one training run.

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
    beta: float = 50.0
    num_values: int = 32
    device: str = "cpu"


@dataclass(frozen=True)
class TrainedTorus:
    """What training leaves.

    Attributes:
        model: the network, quantized if the method says so.
        weights: the weight of each layer but the readout, in place.
        state: the last state of training; its metrics are from before any quantization.
    """

    model: Model
    weights: list[nn.Parameter]
    state: TrainState


def usual_size(side: int) -> tuple[tuple[int, ...], int]:
    """Return the channels and epochs that a torus of a given side gets where none are named.

    Args:
        side: pixels a side.

    Returns:
        (16,) and 60 up to side 7; (8,) and 30 beyond, where a weight matrix is eight times larger.

    Example:
        >>> usual_size(7)
        ((16,), 60)
    """
    return ((16,), 60) if side <= 7 else ((8,), 30)


def _chosen(settings: TorusSettings, names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(settings, name) for name in names}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def read_torus(settings: TorusSettings) -> TorusData:
    """Return the images of a run.

    Args:
        settings: its settings; runs with equal seed, dataset, side and sizes see the same images,
            pixels in place or permuted.

    Returns:
        Training, validation and test images.

    Raises:
        ConfigError: if there are not that many images.
        UnavailableError: if the complete MNIST is asked for and not there.
    """
    from coset.data import load_digits, load_mnist

    read = load_digits if settings.dataset == "digits" else load_mnist
    train, test = read("train"), read("test")
    return prepare_torus(
        (train.images, train.labels),
        (test.images, test.labels),
        side=settings.side,
        shuffled=settings.shuffled,
        num_train=settings.num_train,
        num_validation=settings.num_validation,
        generator=generator_for(_STREAMS, _chosen(settings, _DATA_FIELDS), "data"),
        inclusive_shifts=settings.inclusive_shifts,
    )


def _build_model(settings: TorusSettings) -> Model:
    sizes: dict[str, Any] = {
        "side": settings.side,
        "channels": settings.channels,
        "dropout": settings.dropout,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(_STREAMS, _chosen(settings, _MODEL_FIELDS), "model"))
        if settings.method == "cnn":
            return TorusCNN(kernel_size=settings.kernel_size, **sizes)
        return PositionMLP(**sizes)


def _sharing(
    optimizer: torch.optim.Optimizer,
    weights: list[nn.Parameter],
    num_steps: int,
    settings: TorusSettings,
) -> ProxSharing | None:
    if settings.method == "fc+dual-averaging":
        return ProxSharing(
            optimizer,
            [{"params": weights}],
            mode="dual_averaging",
            kappa=settings.kappa,
            ramp_steps=num_steps // 2,
        )
    if settings.method == "fc+l1":
        return ProxSharing(optimizer, [{"params": weights, "strength": 0.0, "l1": settings.l1}])
    if settings.method != "fc+sharing":
        return None
    strengths = [settings.strength] + [settings.later_strength] * (len(weights) - 1)
    return ProxSharing(
        optimizer,
        [
            {"params": weight, "strength": strength, "rewind": settings.rewind}
            for weight, strength in zip(weights, strengths, strict=True)
        ],
    )


def _loss(weights: list[nn.Parameter], settings: TorusSettings) -> Callable[..., Tensor]:
    def plain(net: nn.Module, batch: Sequence[Tensor]) -> Tensor:
        return nn.functional.cross_entropy(net(batch[0]), batch[1])

    def with_l1(net: nn.Module, batch: Sequence[Tensor]) -> Tensor:
        # Its gradient is l · sign(w), 0 at 0.
        return plain(net, batch) + settings.l1 * torch.stack([w.abs().sum() for w in weights]).sum()

    return with_l1 if settings.method == "fc+beta-lasso" else plain


@torch.no_grad()
def _drop_small(weights: list[nn.Parameter], threshold: float) -> None:
    for w in weights:
        w.masked_fill_(w.abs() < threshold, 0.0)


def train_torus(
    settings: TorusSettings,
    data: TorusData,
    *,
    checkpoint: Path,
    callbacks: Sequence[Callback] = (),
    extra_state: Mapping[str, Stateful] | None = None,
    prepare: Callable[[list[nn.Parameter]], Sequence[Callback]] = lambda weights: (),
) -> TrainedTorus:
    """Train one network; a killed run continues from its checkpoint to the same bits.

    Args:
        settings: the settings.
        data: of `read_torus`.
        checkpoint: the file to write and to continue from.
        callbacks: watch the run.
        extra_state: further objects to keep in the checkpoint.
        prepare: given the layers' weights before the first step; returns further callbacks.

    Returns:
        The trained network.

    Raises:
        ConfigError: if a setting is impossible.
    """
    _check(settings)
    model = _build_model(settings)
    weights = [layer.get_parameter("weight") for layer in model.layers]
    optimizer = torch.optim.SGD(
        model.parameters(), lr=settings.learning_rate, momentum=settings.momentum
    )
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, settings.num_epochs, eta_min=settings.final_rate * settings.learning_rate
    )
    batches = settings.num_train / settings.batch_size
    num_steps = settings.num_epochs * int(batches if settings.drop_last else -(-batches // 1))
    sharing = _sharing(optimizer, weights, num_steps, settings)
    after_step: list[Callable[[], object]] = [sharing.step] if sharing else []
    if settings.method == "fc+beta-lasso":
        after_step.append(lambda: _drop_small(weights, settings.beta * settings.l1))
    state = fit(
        model,
        optimizer,
        _loss(weights, settings),
        (data.train_images, data.train_labels),
        _train_config(settings),
        scheduler=scheduler,
        after_step=after_step,
        callbacks=[*prepare(weights), *callbacks],
        checkpoint=checkpoint,
        evaluate=lambda net: {
            "train_accuracy": accuracy(net, data.train_images, data.train_labels),
            "validation_accuracy": accuracy(net, data.validation_images, data.validation_labels),
        },
        extra_state={**(extra_state or {}), **({"sharing": sharing} if sharing else {})},
    )
    if settings.method == "fc+kmeans":
        quantize_weights(weights, settings.num_values)
    return TrainedTorus(model, weights, state)


def _train_config(settings: TorusSettings) -> TrainConfig:
    return TrainConfig(
        settings.num_epochs,
        settings.batch_size,
        device=settings.device,
        drop_last=settings.drop_last,
        seed=derive_seed(_STREAMS, _chosen(settings, _ORDER_FIELDS), "order"),
        checkpoint_every=max(1, settings.num_epochs // 20),
    )


def _check(settings: TorusSettings) -> None:
    if settings.num_epochs < 1 or settings.num_validation < 1:
        raise ConfigError(
            f"num_epochs and num_validation must be ≥ 1; given {settings.num_epochs} and "
            f"{settings.num_validation}"
        )
    if settings.num_values < 1 or not (settings.l1 >= 0 and settings.beta >= 0):
        raise ConfigError(
            f"num_values must be ≥ 1, l1 and beta ≥ 0; given {settings.num_values}, {settings.l1} "
            f"and {settings.beta}"
        )


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of images that a network in evaluation mode labels right.

    Args:
        model: the network; its training mode is given back.
        images: (N, side, side) float32, N ≥ 1.
        labels: (N,) int64.

    Returns:
        A number in [0, 1].
    """
    former, device = model.training, next(model.parameters()).device
    model.eval()
    hits = 0
    for part, truth in zip(
        torch.split(images, _EVALUATION_BATCH), torch.split(labels, _EVALUATION_BATCH), strict=True
    ):
        hits += int((model(part.to(device)).argmax(1).cpu() == truth).sum())
    model.train(former)
    return hits / len(labels)
