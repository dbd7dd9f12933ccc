"""How few distinct weights a trained network needs: cuts of the sharing path beside k-means.

A network for digits is trained plainly, with the proximal step of sharing, or by dual averaging;
then each of its weight matrices is replaced by U values, and tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.sharing.index_codes import stored_bits
from coset.sharing.optimizer import ProxSharing
from coset.sharing.path import SharingPath, sharing_path
from coset.sharing.quantize import quantize_weights
from coset.sharing.tied import TiedTensor
from coset.train import Callback, TrainConfig, TrainState, fit

__all__ = ["CompressionConfig", "compression"]

Training = Literal["plain", "sharing", "dual-averaging", "l1"]
_TRAININGS: tuple[Training, ...] = ("plain", "sharing", "dual-averaging", "l1")
_METHODS = ("kmeans", "path")
# Mean and standard deviation of the pixels of MNIST.
_MEAN, _DEVIATION = 0.1307, 0.3081
_NUM_CLASSES = 10
# Runs that differ elsewhere see the same split, order and initial weights: trainings are paired.
_PAIRED = ("seed", "num_train", "num_validation", "width", "batch_size", "num_epochs")


@dataclass(frozen=True)
class CompressionConfig:
    """One run of `sharing.compression`.

    Attributes:
        training: "plain", "sharing" (prox after each step), "dual-averaging", or "l1" (soft
            threshold after each step).
        seed: decides split, initial weights and order.
        num_train: training images.
        num_validation: validation images, disjoint from them.
        width: hidden units.
        num_epochs: passes over the training images.
        batch_size: images a step.
        learning_rate: of SGD at the start; a cosine per epoch takes it to 0.
        momentum: of SGD.
        strength: λ of both layers ("sharing").
        kappa: strength in standard deviations ("dual-averaging"), risen to over the first half.
        l1: λ₁ of both layers ("l1").
        num_values: the numbers U of values a matrix that are tried, each ≥ 1.
    """

    training: Training = "plain"
    seed: int = 0
    num_train: int = 3500
    num_validation: int = 500
    width: int = 128
    num_epochs: int = 20
    batch_size: int = 50
    learning_rate: float = 0.05
    momentum: float = 0.9
    strength: float = 0.01
    kappa: float = 2.0
    l1: float = 0.01
    num_values: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384)


# Strength, kappa and l1: of four each, tried on seed 0, the largest that costs the network at most
# 0.02 of validation accuracy before anything is cut; learning rate: the best of three.
_CPU = CompressionConfig()
_SMOKE = CompressionConfig(
    num_train=600,
    num_validation=200,
    width=32,
    num_epochs=4,
    strength=0.03,
    num_values=(2, 8, 32, 256, 2048),
)


@experiment(
    "sharing.compression",
    title="How few distinct weights carry the accuracy? Cuts of the path beside k-means",
    presets={
        "smoke": Preset(_SMOKE, {"training": ("plain", "sharing"), "seed": (0,)}),
        "cpu": Preset(_CPU, {"training": _TRAININGS, "seed": (1, 2, 3)}),
        "paper": Preset(
            CompressionConfig(width=1024, num_epochs=60),
            {"training": _TRAININGS, "seed": (1, 2, 3, 4, 5)},
        ),
    },
    data=("digits",),
    figures=("coset.sharing.figures:compression_accuracy",),
    cost={"smoke": 4.0, "cpu": 150.0},
)
def compression(config: CompressionConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train one network and measure it with fewer and fewer distinct weights.

    Args:
        config: the settings.
        run: where to write; a killed run continues from its checkpoint.

    Yields:
        A row with method "none" for the network as it was trained, and one for each U (num_allowed)
        and method ("kmeans", "path"): accuracies; num_distinct, of both matrices together;
        bits_per_weight, plain, values included; entropy, bits a weight of an ideal code that takes
        each weight alone; stored_bits_per_weight, in a file of `save_tied`, values included, of
        each matrix tied or dense, whichever is smaller; relative_error, of both matrices together.

    Raises:
        ConfigError: if a setting is impossible.
    """
    _check(config)
    data = _Data(config, run)
    model = _build(config, run)
    _train(model, data, config, run)
    weights = _matrices(model)
    trained = [w.detach().clone() for w in weights]
    exact = [TiedTensor.from_dense(w) for w in trained]
    yield _row(config, "none", None, trained, exact, data.accuracies(model))
    paths = [sharing_path(w) for w in trained]
    for number, num_values in enumerate(config.num_values):
        for method in _METHODS:
            tied = [
                _tie(w, path, num_values, method) for w, path in zip(trained, paths, strict=True)
            ]
            _write(weights, [t.dense() for t in tied])
            yield _row(config, method, num_values, trained, tied, data.accuracies(model))
        run.progress(number + 1, len(config.num_values), f"{num_values} values")
    _write(weights, trained)


def _check(config: CompressionConfig) -> None:
    for name in ("num_train", "num_validation", "width", "num_epochs", "batch_size"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be ≥ 1; given {getattr(config, name)}")
    if not config.num_values or min(config.num_values) < 1:
        raise ConfigError(f"num_values must hold numbers ≥ 1; given {config.num_values}")


class _Data:
    """Digits, normalized and split."""

    def __init__(self, config: CompressionConfig, run: RunContext) -> None:
        from coset.data import load_digits

        train, test = load_digits("train"), load_digits("test")
        count = config.num_train + config.num_validation
        if count > len(train.labels):
            raise ConfigError(
                f"num_train + num_validation must be at most {len(train.labels)}; given {count}"
            )
        order = torch.randperm(len(train.labels), generator=run.generator("split", **_paired()))
        chosen = [order[: config.num_train], order[config.num_train : count]]
        self.train, self.validation = (
            (_normalized(train.images[part]), train.labels[part]) for part in chosen
        )
        self.test = (_normalized(test.images), test.labels)

    def accuracies(self, model: nn.Module) -> tuple[float, float]:
        """Return the accuracies on validation and test data."""
        return _accuracy(model, *self.validation), _accuracy(model, *self.test)


def _paired() -> dict[str, Sequence[str]]:
    return {"without": [f.name for f in fields(CompressionConfig) if f.name not in _PAIRED]}


def _normalized(images: Tensor) -> Tensor:
    return ((images.float() / 255 - _MEAN) / _DEVIATION).flatten(1)


@torch.no_grad()
def _accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    return int((model(images).argmax(1) == labels).sum()) / len(labels)


def _build(config: CompressionConfig, run: RunContext) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed("model", **_paired()))
        return nn.Sequential(
            nn.Linear(28 * 28, config.width), nn.ReLU(), nn.Linear(config.width, _NUM_CLASSES)
        )


def _matrices(model: nn.Sequential) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.dim() == 2]


class _Report(Callback):
    """Logs each epoch and says how far the training is."""

    def __init__(self, run: RunContext, config: CompressionConfig) -> None:
        self.run, self.num_epochs = run, config.num_epochs

    def on_epoch(self, state: TrainState) -> bool | None:
        self.run.log(step=state.epoch, **state.metrics)
        note = f"validation {state.metrics['validation_accuracy']:.3f}"
        self.run.progress(state.epoch, self.num_epochs, note)
        return None


def _sharing(
    optimizer: torch.optim.Optimizer, model: nn.Sequential, config: CompressionConfig
) -> ProxSharing | None:
    weights = _matrices(model)
    if config.training == "plain":
        return None
    if config.training == "sharing":
        return ProxSharing(optimizer, [{"params": weights, "strength": config.strength}])
    if config.training == "l1":
        return ProxSharing(optimizer, [{"params": weights, "strength": 0.0, "l1": config.l1}])
    num_steps = config.num_epochs * -(-config.num_train // config.batch_size)
    return ProxSharing(
        optimizer,
        [{"params": weights}],
        mode="dual_averaging",
        kappa=config.kappa,
        ramp_steps=num_steps // 2,
    )


def _train(model: nn.Sequential, data: _Data, config: CompressionConfig, run: RunContext) -> None:
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.learning_rate, momentum=config.momentum
    )
    sharing = _sharing(optimizer, model, config)
    fit(
        model,
        optimizer,
        lambda net, batch: nn.functional.cross_entropy(net(batch[0]), batch[1]),
        data.train,
        TrainConfig(config.num_epochs, config.batch_size, seed=run.seed("order", **_paired())),
        scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.num_epochs),
        after_step=[sharing.step] if sharing else [],
        callbacks=[_Report(run, config)],
        checkpoint=run.checkpoint,
        evaluate=lambda net: {"validation_accuracy": _accuracy(net, *data.validation)},
        extra_state={"metrics": run.metrics} | ({"sharing": sharing} if sharing else {}),
    )


def _tie(w: Tensor, path: SharingPath, num_values: int, method: str) -> TiedTensor:
    if method == "kmeans":
        return quantize_weights(w, num_values)
    index, _ = path.cut(path.strength_for(num_unique=num_values))
    return TiedTensor.from_clusters(w, index)


@torch.no_grad()
def _write(weights: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for w, value in zip(weights, values, strict=True):
        w.copy_(value)


def _row(
    config: CompressionConfig,
    method: str,
    num_values: int | None,
    trained: Sequence[Tensor],
    tied: Sequence[TiedTensor],
    accuracies: tuple[float, float],
) -> dict[str, Any]:
    total = sum(t.num_weights for t in tied)
    wide = torch.cat([w.reshape(-1) for w in trained]).double()
    changed = torch.cat([t.dense().reshape(-1) for t in tied]).double() - wide
    return {
        "training": config.training,
        "method": method,
        "seed": config.seed,
        "num_allowed": num_values,
        "num_weights": total,
        "num_distinct": sum(t.num_unique for t in tied),
        "bits_per_weight": sum(t.num_bits() for t in tied) / total,
        "entropy": sum(t.entropy() * t.num_weights for t in tied) / total,
        "stored_bits_per_weight": sum(_num_stored(t) for t in tied) / total,
        "relative_error": float(changed.norm() / wide.norm()),
        "validation_accuracy": accuracies[0],
        "test_accuracy": accuracies[1],
    }


def _num_stored(tied: TiedTensor) -> int:
    dense = 8 * tied.num_weights * tied.values.element_size()
    return min(dense, stored_bits(tied))
