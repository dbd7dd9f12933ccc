"""Parity: which stacks of diagonal layers learn it, beyond the length that they were trained on.

Every stack of time-invariant and non-negative layers is tried, of one and two layers, beside one
signed and one unitary layer (ssm.C6); then each is hardened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from coset.groups import cyclic
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.ssm.experiments.snapped import hardened_columns, multiplier_rows
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

__all__ = ["STACKS", "ParityConfig", "parity"]

Stack = Literal["p", "t", "pp", "tt", "tp", "pt", "r", "c"]
STACKS: tuple[Stack, ...] = ("p", "t", "pp", "tt", "tp", "pt", "r", "c")
# The published models whose recurrences are of these classes.
_STACKS = {"p": "mamba", "t": "s4d", "r": "neg", "c": "aussm"}
# Runs that differ in the stack only read the same words.
_PAIRED = ("seed", "training", "lengths", "num_words")


@dataclass(frozen=True)
class ParityConfig:
    """One run of `ssm.parity`.

    Attributes:
        layers: classes of the layers, bottom to top: "t" time-invariant as S4D, "p" non-negative
            as Mamba, "r" real signed as Mamba with negative eigenvalues, "c" on the unit circle as
            AUSSM; the layers of the theory, not the published blocks.
        seed: decides the initial weights and the words.
        d_state: numbers of each layer's state.
        training: the curriculum.
        lengths: of the test words.
        num_words: how many test words.
        hardened_length: of the words that the hardened model reads.
    """

    layers: Stack = "c"
    seed: int = 0
    d_state: int = 16
    training: WordTraining = field(default_factory=WordTraining)
    lengths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    num_words: int = 64
    hardened_length: int = 10_000


_SMOKE = ParityConfig(
    training=WordTraining(num_steps=160, steps_per_epoch=10, batch_size=64, last_length=16),
    lengths=(8, 16, 32, 64, 256),
)


@experiment(
    "ssm.parity",
    title="Which stacks of diagonal layers learn parity?",
    presets={
        "smoke": Preset(_SMOKE, {"layers": ("t", "r"), "seed": (0,)}),
        "cpu": Preset(ParityConfig(), {"layers": STACKS, "seed": (4, 5, 6)}),
        "paper": Preset(
            ParityConfig(
                d_state=64,
                training=WordTraining(num_steps=20_000, batch_size=256, last_length=64),
                lengths=(32, 64, 128, 256, 512, 1024, 4096),
                num_words=512,
            ),
            {"layers": STACKS, "seed": (1, 2, 3, 4, 5)},
        ),
    },
    claims=("ssm.C6d",),
    figures=("coset.ssm.figures:accuracy_by_length", "coset.ssm.figures:unit_disc"),
)
def parity(config: ParityConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train one stack on parity, measure it by length, and harden it.

    Args:
        config: the settings.
        run: source of randomness, checkpoint and log.

    Yields:
        Rows of kind "accuracy", one a length: length, accuracy over all positions, standard_error,
        last_accuracy; one of kind "outcome": is_certified, kept, residual, hardened_length,
        hardened_accuracy, reached_length of the curriculum, and accuracy_L of each length L; rows
        of kind "multiplier": the points of the unit disc before and after hardening. All carry
        group, layers, model, stack (the published models with such recurrences), seed, stage,
        trained_length, chance, and is_trackable as the theory says (ssm.C5).

    Raises:
        ConfigError: if a setting is impossible.

    Claims: ssm.C6, ssm.C6d.
    """
    check_lengths(config.lengths, config.num_words)
    group = cyclic(2)
    model = seeded(lambda: SSMStack(2, 2, config.layers, d_state=config.d_state), run.seed("model"))
    labels = {
        "group": "Z2",
        "layers": config.layers,
        "model": config.layers,
        "stack": "+".join(_STACKS[letter] for letter in config.layers),
        "seed": config.seed,
        "stage": "trained",
        "trained_length": config.training.last_length,
        "chance": 0.5,
        "is_trackable": bool(can_track(group, config.layers).holds),
    }
    reached = train_on_words(
        model, group, config.training, run, seed=run.seed("order", without=_unpaired())
    )
    measured = list(
        accuracy_rows(
            model,
            group,
            config.lengths,
            num_words=config.num_words,
            run=run,
            without=_unpaired(),
        )
    )
    for row in measured:
        yield {"kind": "accuracy", **labels, **row}
    hardened = harden(model, group)
    outcome = hardened_columns(hardened, group, config.hardened_length, run)
    by_length = {f"accuracy_{row['length']}": row["accuracy"] for row in measured}
    yield {"kind": "outcome", **labels, **outcome, "reached_length": reached, **by_length}
    for row in multiplier_rows(model, "trained", hardened):
        yield {"kind": "multiplier", **labels, **row}


def _unpaired() -> Sequence[str]:
    return [f.name for f in fields(ParityConfig) if f.name not in _PAIRED]
