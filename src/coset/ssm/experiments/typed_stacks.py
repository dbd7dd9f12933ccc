"""The order of layers decides: S3 with a signed layer below a unitary one, above it, and others.

Each stack is compiled where the theory says that it can be (ssm.C5), and trained from random
weights in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from coset.groups import Group, parse_group
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.ssm.compile import compile_group
from coset.ssm.errors import NotSolvableError, NotTrackableError
from coset.ssm.experiments.snapped import hardened_columns
from coset.ssm.experiments.word_training import (
    WordTraining,
    accuracy_rows,
    check_lengths,
    seeded,
    train_on_words,
)
from coset.ssm.harden import harden
from coset.ssm.stack import SSMStack
from coset.ssm.tracking import can_track

__all__ = ["TypedStacksConfig", "typed_stacks"]

_PAIRED = ("seed", "group", "training", "lengths", "num_words")


@dataclass(frozen=True)
class TypedStacksConfig:
    """One run of `ssm.typed-stacks`.

    Attributes:
        layers: classes of the layers, bottom to top, letters of "trpc".
        group: a group's name.
        seed: decides the initial weights and the words.
        d_state: numbers of each layer's state.
        input_term: whether layers add b; without it they only turn, from a start at ones.
        training: the curriculum.
        lengths: of the test words.
        num_words: how many test words.
        hardened_length: of the words that the hardened model reads.
    """

    layers: str = "rc"
    group: str = "S3"
    seed: int = 0
    d_state: int = 16
    input_term: bool = False
    training: WordTraining = field(default_factory=WordTraining)
    lengths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    num_words: int = 64
    hardened_length: int = 10_000


_SMOKE = TypedStacksConfig(
    training=WordTraining(num_steps=100, steps_per_epoch=10, batch_size=64, last_length=8),
    lengths=(8, 16, 64, 256),
)


@experiment(
    "ssm.typed-stacks",
    title="The order of layers decides what a stack tracks",
    presets={
        "smoke": Preset(_SMOKE, {"layers": ("rc", "cr"), "seed": (0,)}),
        "cpu": Preset(
            TypedStacksConfig(),
            {"layers": ("rc", "cr", "cc"), "input_term": (False, True), "seed": (4, 5, 6)},
        ),
        "paper": Preset(
            TypedStacksConfig(
                d_state=64,
                training=WordTraining(num_steps=20_000, batch_size=256, last_length=60),
                lengths=(60, 100, 200, 500, 1000),
                num_words=512,
            ),
            {
                "group": ("S3", "A4", "D4"),
                "layers": ("rc", "cr", "cc", "rr", "c"),
                "input_term": (False, True),
                "seed": (1, 2, 3, 4, 5),
            },
        ),
    },
    claims=("ssm.C5c",),
    figures=("coset.ssm.figures:accuracy_by_length",),
)
def typed_stacks(config: TypedStacksConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Compile one stack if it can be, and train it from random weights.

    Args:
        config: the settings.
        run: source of randomness, checkpoint and log.

    Yields:
        Rows of kind "accuracy" with stage "compiled" (accuracy ``None`` where the stack cannot
        track the group) and "trained", and one of kind "outcome", with the columns of `ssm.parity`
        and input_term.

    Raises:
        ConfigError: if a setting is impossible.
        DomainError: if the layers are not letters of "trpc".

    Claims: ssm.C5, ssm.C5c.
    """
    check_lengths(config.lengths, config.num_words)
    group = parse_group(config.group)
    labels = {
        "group": config.group,
        "layers": config.layers,
        "model": config.layers + ("" if config.input_term else ", b = 0"),
        "input_term": config.input_term,
        "seed": config.seed,
        "trained_length": config.training.last_length,
        "chance": 1 / group.order,
        "is_trackable": bool(can_track(group, config.layers).holds),
    }
    for row in _compiled(group, config, run):
        yield {"kind": "accuracy", **labels, "stage": "compiled", **row}
    model = seeded(
        lambda: SSMStack(
            group.order,
            group.order,
            config.layers,
            d_state=config.d_state,
            input_term=config.input_term,
        ),
        run.seed("model"),
    )
    reached = train_on_words(
        model, group, config.training, run, seed=run.seed("order", without=_unpaired())
    )
    for row in _measured(model, group, config, run):
        yield {"kind": "accuracy", **labels, "stage": "trained", **row}
    outcome = hardened_columns(harden(model, group), group, config.hardened_length, run)
    yield {"kind": "outcome", **labels, "stage": "trained", **outcome, "reached_length": reached}


def _measured(
    model: Any, group: Group, config: TypedStacksConfig, run: RunContext
) -> Iterator[dict[str, Any]]:
    return accuracy_rows(
        model, group, config.lengths, num_words=config.num_words, run=run, without=_unpaired()
    )


def _compiled(group: Group, config: TypedStacksConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    try:
        tracker = compile_group(group, layers=config.layers)
    except (NotSolvableError, NotTrackableError):
        nothing = {"accuracy": None, "standard_error": None, "last_accuracy": None}
        for length in sorted(set(config.lengths)):
            yield {"length": length, **nothing}
        return
    yield from _measured(tracker, group, config, run)


def _unpaired() -> Sequence[str]:
    return [f.name for f in fields(TypedStacksConfig) if f.name not in _PAIRED]
