"""Adversarial training on digits: all of it, attacks and patches, by `lir`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from coset.beliefs.foci.adversarial_training import AttackedExamples, adversarial, adversarial_graph
from coset.beliefs.resolve.lir import lir
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

if TYPE_CHECKING:
    from torch import Tensor, nn

    from coset.beliefs.pdg.graph import PDG
    from coset.beliefs.resolve.focus import Focus

__all__ = ["AdversarialConfig", "adversarial_digits"]

_NUM_CLASSES = 10
_NUM_TEST = 500
# The second attack of the test: many small steps, after which it no longer moves.
_SETTLED_STEPS, _SETTLED_SHARE = 40, 1 / 3


@dataclass(frozen=True)
class AdversarialConfig:
    """One run of `beliefs.adversarial`.

    Attributes:
        training: "plain" (the patch focus alone) or "adversarial" (attacks before each patch).
        seed: of the split, the weights and the order.
        num_train: examples, of 1,297.
        num_epochs: passes over them.
        batch_size: examples of a minibatch.
        closeness: how much the attack wants to stay near, in x ~ N(x, 1/closeness).
        decay: of the prior on parameters.
        attack_rate: the step of an attack.
        attack_steps: of an attack.
        patch_rate: the learning rate.
    """

    training: Literal["plain", "adversarial"] = "adversarial"
    seed: int = 0
    num_train: int = 1280
    num_epochs: int = 30
    batch_size: int = 64
    closeness: float = 5.0
    decay: float = 1e-5
    attack_rate: float = 0.15
    attack_steps: int = 3
    patch_rate: float = 0.5


@experiment(
    "beliefs.adversarial",
    title="Digits that resist: training with an attack focus and a patch focus",
    presets={
        "smoke": Preset(
            AdversarialConfig(
                num_train=640, num_epochs=15, attack_rate=0.2, attack_steps=1, patch_rate=0.7
            ),
            {"training": ("plain", "adversarial")},
        ),
        "cpu": Preset(
            AdversarialConfig(), {"training": ("plain", "adversarial"), "seed": (0, 1, 2)}
        ),
        "paper": Preset(
            AdversarialConfig(num_epochs=100),
            {"training": ("plain", "adversarial"), "seed": (0, 1, 2, 3, 4)},
        ),
    },
    claims=("beliefs.C17", "beliefs.C17b"),
    figures=("coset.beliefs.figures:adversarial_bars",),
)
def adversarial_digits(config: AdversarialConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train a network of one hidden layer (64–64–10), and attack it.

    Args:
        config: the settings.
        run: for randomness and progress.

    Yields:
        One row of kind "outcome": training, seed, clean_accuracy, robust_accuracy (under the attack
        of the training), settled_accuracy (under one of smaller steps that has settled) and
        distance (root mean square of |x′ − x| of the first), all on 500 test digits. Ten rows of
        kind "digit", one a class, with pixels and moved_pixels (lists of 64 as text), label and
        seen (what the network says of x′).

    Raises:
        ConfigError: if a count is out of range.

    Claims: beliefs.C17b.
    """
    if not 1 <= config.batch_size <= config.num_train <= 1297 or config.num_epochs < 1:
        raise ConfigError(
            f"1 ≤ batch_size ≤ num_train ≤ 1297, and num_epochs ≥ 1; given {config.batch_size}, "
            f"{config.num_train}, {config.num_epochs}"
        )
    inputs, labels = _digits()
    # The same split, weights and attacks for both trainings
    shared = ["training"]
    order = torch.randperm(len(inputs), generator=run.generator("split", without=shared))
    train, test = order[: config.num_train], order[-_NUM_TEST:]
    network = _network(run.generator("weights", without=shared))
    _train(network, inputs[train], labels[train], config, run)
    wanted = _targets(labels[test], run.generator("wanted", without=shared))
    rows = _attacked(network, inputs[test], labels[test], wanted, config)
    for row in rows:
        yield {"training": config.training, "seed": config.seed, **row}


def _digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels / 16.0, dtype=torch.float32), torch.tensor(labels)


def _network(generator: torch.Generator) -> nn.Module:
    from torch import nn

    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, _NUM_CLASSES))
    with torch.no_grad():
        for parameter in network.parameters():
            # The bound that torch takes for linear layers of 64 inputs
            parameter.copy_((torch.rand(parameter.shape, generator=generator) - 0.5) / 4)
    return network


def _targets(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Return a wrong label for each, at random."""
    offset = torch.randint(1, _NUM_CLASSES, labels.shape, generator=generator)
    return (labels + offset) % _NUM_CLASSES


def _train(
    network: nn.Module, inputs: Tensor, labels: Tensor, config: AdversarialConfig, run: RunContext
) -> None:
    generator = run.generator("order", without=["training"])
    attack_steps = config.attack_steps if config.training == "adversarial" else 0
    foci = adversarial(
        config.batch_size,
        attack_rate=config.attack_rate,
        patch_rate=config.patch_rate,
        attack_steps=attack_steps,
    )
    first = slice(config.batch_size)
    examples = AttackedExamples(inputs[first], labels[first], _targets(labels[first], generator))
    graph = _graph(network, examples, config)
    batches = len(inputs) // config.batch_size
    for epoch in range(config.num_epochs):
        run.progress(epoch, config.num_epochs, config.training)
        order = torch.randperm(len(inputs), generator=generator)

        def refocus(step: int, _: PDG, order: Tensor = order) -> Focus:
            batch, turn = divmod(step, len(foci))
            if turn == 0:
                at = order[batch * config.batch_size : (batch + 1) * config.batch_size]
                examples.load(inputs[at], labels[at], _targets(labels[at], generator))
            return foci[turn]

        lir(graph, refocus, batches * len(foci), overall_every=0)


def _graph(network: nn.Module, examples: AttackedExamples, config: AdversarialConfig) -> PDG:
    return adversarial_graph(
        network,
        examples,
        num_classes=_NUM_CLASSES,
        closeness=config.closeness,
        decay=config.decay,
    )


def _attacked(
    network: nn.Module, inputs: Tensor, labels: Tensor, wanted: Tensor, config: AdversarialConfig
) -> Iterator[dict[str, Any]]:
    examples = AttackedExamples(inputs, labels, wanted)
    graph = _graph(network, examples, config)

    def accuracy() -> float:
        with torch.no_grad():
            return float((network(examples.moved).argmax(-1) == labels).double().mean())

    def attack(share: float, steps: int) -> float:
        examples.load(inputs, labels, wanted)
        rate = share * config.attack_rate
        foci = adversarial(len(inputs), attack_rate=rate, patch_rate=0.0)
        lir(graph, foci[:1], steps, overall_every=0)
        return accuracy()

    clean, settled = accuracy(), attack(_SETTLED_SHARE, _SETTLED_STEPS)
    robust = attack(1.0, config.attack_steps)
    yield {
        "kind": "outcome",
        "clean_accuracy": clean,
        "robust_accuracy": robust,
        "settled_accuracy": settled,
        "distance": float(examples.distance().mean().sqrt()),
    }
    with torch.no_grad():
        seen = network(examples.moved).argmax(-1)
    for label in range(_NUM_CLASSES):
        place = int((labels == label).nonzero()[0])
        yield {
            "kind": "digit",
            "label": label,
            "seen": int(seen[place]),
            "pixels": _text(inputs[place]),
            "moved_pixels": _text(examples.moved[place]),
        }


def _text(pixels: Tensor) -> str:
    return " ".join(f"{p:.3f}" for p in pixels.tolist())
