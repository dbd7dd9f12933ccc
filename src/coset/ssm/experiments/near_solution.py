"""S3 by training: from a random start, and from near the compiled solution; then hardened.

The compiled tracker has ReLU gates and ordinary weights. Noise is added to all of them; training on
short words then improves short words, and is measured on long ones (ssm.C7, ssm.C7b).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import nn

from coset.core.errors import ConfigError
from coset.groups import parse_group
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.ssm.compile import compile_group
from coset.ssm.experiments.snapped import hardened_columns, multiplier_rows
from coset.ssm.experiments.word_training import (
    WordTraining,
    accuracy_rows,
    check_lengths,
    seeded,
    train_on_words,
)
from coset.ssm.harden import HardenedTracker, harden
from coset.ssm.stack import SSMStack

__all__ = ["NearSolutionConfig", "near_solution"]

_PAIRED = ("seed", "group", "lengths", "num_words")
# Near the solution there is no curriculum: the words have the full length from the start.
_NEAR = WordTraining(
    num_steps=300,
    learning_rate=1e-3,
    weight_decay=0.0,
    schedule="constant",
    first_length=32,
    last_length=32,
)


@dataclass(frozen=True)
class NearSolutionConfig:
    """One run of `ssm.near-solution`.

    Attributes:
        noise: σ of the normal noise on all weights of the compiled tracker; ``None`` starts a
            stack of two unitary layers from random weights instead.
        seed: decides noise, initial weights and words.
        group: a solvable group's name.
        d_state: numbers of each layer's state, for the random start.
        near: how the compiled tracker is trained.
        scratch: how the stack with random weights is trained.
        lengths: of the test words.
        num_words: how many test words.
        hardened_length: of the words that the hardened model reads.
    """

    noise: float | None = 0.05
    seed: int = 0
    group: str = "S3"
    d_state: int = 16
    near: WordTraining = _NEAR
    scratch: WordTraining = field(default_factory=WordTraining)
    lengths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    num_words: int = 64
    hardened_length: int = 10_000


_SMOKE = NearSolutionConfig(
    near=WordTraining(
        num_steps=60,
        batch_size=64,
        learning_rate=1e-3,
        weight_decay=0.0,
        schedule="constant",
        first_length=16,
        last_length=16,
    ),
    scratch=WordTraining(num_steps=120, steps_per_epoch=10, batch_size=64, last_length=16),
    lengths=(16, 64, 256, 1024),
)


@experiment(
    "ssm.near-solution",
    title="Training destroys an exact solution; hardening restores it",
    presets={
        "smoke": Preset(_SMOKE, {"noise": (None, 0.0, 0.05), "seed": (0,)}),
        "cpu": Preset(
            NearSolutionConfig(),
            {"noise": (None, 0.0, 0.02, 0.05, 0.1, 0.2), "seed": (5, 6, 7, 8, 9)},
        ),
        "paper": Preset(
            NearSolutionConfig(
                scratch=WordTraining(num_steps=20_000, batch_size=256, last_length=32),
                num_words=512,
            ),
            {
                "group": ("S3", "A4", "S4"),
                "noise": (None, 0.0, 0.02, 0.05, 0.1, 0.2),
                "seed": tuple(range(10)),
            },
        ),
    },
    claims=("ssm.C7", "ssm.C7b"),
    figures=("coset.ssm.figures:near_solution_lengths", "coset.ssm.figures:unit_disc"),
)
def near_solution(config: NearSolutionConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train from one start, measure before and after by length, and harden.

    Args:
        config: the settings.
        run: source of randomness, checkpoint and log.

    Yields:
        Rows of kind "accuracy" with stage "start" (near the solution only) and "trained", of kind
        "outcome", and of kind "multiplier", with the columns of `ssm.parity`, and noise.

    Raises:
        ConfigError: if a setting is impossible.
        NotSolvableError: if no stack tracks the group.

    Claims: ssm.C7, ssm.C7b.
    """
    check_lengths(config.lengths, config.num_words)
    if config.noise is not None and config.noise < 0:
        raise ConfigError(f"noise must be ≥ 0, or none for a random start; given {config.noise}")
    group = parse_group(config.group)
    model, training = _start(config, run)
    labels = {
        "group": config.group,
        "layers": model.letters,
        "model": "random start" if config.noise is None else f"σ = {config.noise:g}",
        "noise": config.noise,
        "seed": config.seed,
        "trained_length": training.last_length,
        "chance": 1 / group.order,
        "is_trackable": True,
    }

    def measured(stage: str) -> Iterator[dict[str, Any]]:
        for row in accuracy_rows(
            model,
            group,
            config.lengths,
            num_words=config.num_words,
            run=run,
            without=_unpaired(),
        ):
            yield {"kind": "accuracy", **labels, "stage": stage, **row}

    if config.noise is not None:
        yield from measured("start")
        for row in multiplier_rows(model, "start", _hardened(model, config)):
            if row["stage"] == "start":
                yield {"kind": "multiplier", **labels, **row}
    reached = train_on_words(
        model, group, training, run, seed=run.seed("order", without=_unpaired())
    )
    yield from measured("trained")
    hardened = _hardened(model, config)
    outcome = hardened_columns(hardened, group, config.hardened_length, run)
    yield {"kind": "outcome", **labels, "stage": "trained", **outcome, "reached_length": reached}
    for row in multiplier_rows(model, "trained", hardened):
        yield {"kind": "multiplier", **labels, **row}


def _hardened(model: Any, config: NearSolutionConfig) -> HardenedTracker:
    return harden(model, config.group)


def _start(config: NearSolutionConfig, run: RunContext) -> tuple[Any, WordTraining]:
    tracker = compile_group(config.group)
    if config.noise is None:
        order = tracker.group.order
        letters = tracker.letters
        stack = seeded(
            lambda: SSMStack(order, order, letters, d_state=config.d_state), run.seed("model")
        )
        return stack, config.scratch
    model: nn.Module = tracker.to_module("mlp")
    # The same direction of noise at every σ.
    generator = run.generator("noise", without=_unpaired())
    with torch.no_grad():
        for parameter in model.parameters():
            direction = torch.randn(parameter.shape, generator=generator)
            parameter.add_(config.noise * direction)
    return model, config.near


def _unpaired() -> Sequence[str]:
    return [f.name for f in fields(NearSolutionConfig) if f.name not in _PAIRED]
