"""The learnability gap: published blocks on the word problems of groups, beside the theory.

The longest length with an accuracy above 90 %, as in the published tables, and whether some weights
of such layers track the group at all (ssm.C5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from torch import nn

from coset.core.errors import ConfigError
from coset.groups import Group, parse_group
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.ssm.baselines import RecurrentBaseline
from coset.ssm.blocks import BlockStack
from coset.ssm.experiments.word_training import (
    WordTraining,
    accuracy_rows,
    check_lengths,
    seeded,
    train_on_words,
)
from coset.ssm.tracking import can_track

__all__ = ["MODELS", "LearnabilityConfig", "Model", "learnability"]

Model = Literal["mamba", "negative-mamba", "simple-aussm", "aussm", "s4d", "rnn", "gru"]
# The letter of `BlockStack`, or ``None`` for a network whose state feeds back through a matrix.
MODELS: dict[str, str | None] = {
    "mamba": "m",
    "negative-mamba": "n",
    "simple-aussm": "u",
    "aussm": "a",
    "s4d": "s",
    "rnn": None,
    "gru": None,
}
_PAIRED = ("seed", "group", "training", "lengths", "num_words")
_THRESHOLD = 0.9  # of the published tables


@dataclass(frozen=True)
class LearnabilityConfig:
    """One run of `ssm.learnability`.

    Attributes:
        model: "mamba", "negative-mamba", "simple-aussm", "aussm", "s4d": published blocks;
            "rnn" (tanh) and "gru": torch's.
        num_layers: blocks or recurrent layers, ≥ 1.
        group: a group's name.
        seed: decides the initial weights and the words.
        d_model: features of a block.
        d_state: numbers of state for each of its channels.
        hidden: numbers of state of "rnn" and "gru".
        training: the curriculum.
        lengths: of the test words.
        num_words: how many test words.
    """

    model: Model = "aussm"
    num_layers: int = 1
    group: str = "Z2"
    seed: int = 0
    d_model: int = 16
    d_state: int = 8
    hidden: int = 64
    training: WordTraining = field(
        default_factory=lambda: WordTraining(num_steps=1200, batch_size=64)
    )
    lengths: tuple[int, ...] = (16, 32, 64, 100, 160, 240, 360, 500, 1000)
    num_words: int = 64


# Chung et al. (2605.07755), one width and one rate of their grid: AdamW with weight decay 0.01,
# batches of 256, lengths doubled from 2 to 60 after five epochs in a row at 95 %.
_RECIPE = WordTraining(
    num_steps=20_000,
    steps_per_epoch=100,
    batch_size=256,
    learning_rate=5e-4,
    patience=5,
    last_length=60,
    device="cuda",
)


@experiment(
    "ssm.learnability",
    title="What published blocks learn, beside what they could",
    presets={
        "smoke": Preset(
            LearnabilityConfig(
                training=WordTraining(
                    num_steps=60, steps_per_epoch=10, batch_size=32, last_length=8
                ),
                lengths=(8, 16, 100),
                num_words=32,
            ),
            {"group": ("Z2",), "model": ("aussm", "rnn"), "num_layers": (1,), "seed": (0,)},
        ),
        "cpu": Preset(
            LearnabilityConfig(),
            {
                "group": ("Z2", "Z6", "Z2xZ4", "S3", "A4"),
                "model": ("mamba", "negative-mamba", "simple-aussm", "aussm", "rnn"),
                "num_layers": (1, 2),
                "seed": (1,),
            },
        ),
        "paper": Preset(
            LearnabilityConfig(
                d_model=128,
                d_state=32,
                hidden=128,
                training=_RECIPE,
                lengths=(60, *range(100, 1001, 20)),
                num_words=512,
            ),
            {
                "group": ("Z2", "Z6", "Z24", "Z60", "Z2xZ4", "S3", "D4", "A4", "S4", "A5"),
                "model": ("mamba", "negative-mamba", "simple-aussm", "aussm", "rnn", "gru"),
                "num_layers": (1, 2),
                "seed": (1, 2, 3),
            },
        ),
    },
    figures=("coset.ssm.figures:learnability_gap",),
)
def learnability(config: LearnabilityConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train one model on the words of one group, and measure it by length.

    Args:
        config: the settings.
        run: source of randomness, checkpoint and log.

    Yields:
        Rows of kind "accuracy" as in `ssm.parity`, and one of kind "outcome": longest_length with
        an accuracy over all positions above 90 % at it and at all shorter test lengths (0: none),
        reached_length of the curriculum, num_parameters. All carry is_trackable: whether layers
        of the model's classes can track the group (a recurrent baseline can track any).

    Raises:
        ConfigError: if a setting is impossible.
        UnavailableError: if the device is not there.

    Claims: ssm.C5, ssm.C7.
    """
    check_lengths(config.lengths, config.num_words)
    for name in ("num_layers", "d_model", "d_state", "hidden"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be ≥ 1; given {getattr(config, name)}")
    group = parse_group(config.group)
    model = seeded(lambda: _build(group, config), run.seed("model"))
    letters = model.letters if isinstance(model, BlockStack) else ""
    labels = {
        "group": config.group,
        "layers": letters,
        "model": config.model,
        "num_layers": config.num_layers,
        "seed": config.seed,
        "stage": "trained",
        "trained_length": config.training.last_length,
        "chance": 1 / group.order,
        "is_trackable": not letters or bool(can_track(group, letters).holds),
    }
    reached = train_on_words(
        model, group, config.training, run, seed=run.seed("order", without=_unpaired())
    )
    longest, broken = 0, False
    for row in accuracy_rows(
        model, group, config.lengths, num_words=config.num_words, run=run, without=_unpaired()
    ):
        yield {"kind": "accuracy", **labels, **row}
        broken = broken or row["accuracy"] <= _THRESHOLD
        longest = longest if broken else row["length"]
    yield {
        "kind": "outcome",
        **labels,
        "longest_length": longest,
        "reached_length": reached,
        "num_parameters": sum(p.numel() for p in model.parameters()),
    }


def _build(group: Group, config: LearnabilityConfig) -> nn.Module:
    letter, order = MODELS[config.model], group.order
    if letter is None:
        cell = "gru" if config.model == "gru" else "rnn"
        return RecurrentBaseline(
            order,
            order,
            cell=cell,  # type: ignore[arg-type]
            hidden=config.hidden,
            num_layers=config.num_layers,
        )
    return BlockStack(
        order,
        order,
        "|".join(letter * config.num_layers),
        d_model=config.d_model,
        d_state=config.d_state,
    )


def _unpaired() -> Sequence[str]:
    return [f.name for f in fields(LearnabilityConfig) if f.name not in _PAIRED]
