"""From random weights to exact: greedy learning of cascades, snapped and certified, over seeds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from coset.core.errors import ConfigError
from coset.core.files import write_json
from coset.groups import parse_group
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.ssm.learning import GroupWords, LearnedTracker, Recipe, learn_tracker

__all__ = ["LearnedTrackersConfig", "learned_trackers", "long_accuracy", "spell_layers"]

# Clocks are no part of rows; the runs leave their processor seconds in a file of this name.
SECONDS_FILE = "seconds.json"


@dataclass(frozen=True)
class LearnedTrackersConfig:
    """One run of `ssm.learned-trackers`.

    Attributes:
        group: the name of the group; its table labels the words and checks the result, no more.
        alphabet: tokens are "all" elements, or only "generators".
        moduli: to which angles are snapped; none at all means 2 … 8.
        restarts: per stage and try.
        num_coordinates: phases that each layer trains.
        num_iterations: gradient steps of a try.
        num_tries: tries of a stage before it gives up.
        num_long_words: words on which the result is checked apart from its certificate.
        long_length: their length.
        seed: decides words and starts.
    """

    group: str = "S3"
    alphabet: Literal["all", "generators"] = "all"
    moduli: tuple[int, ...] = (2, 3)
    restarts: int = 32
    num_coordinates: int = 2
    num_iterations: int = 400
    num_tries: int = 5
    num_long_words: int = 16
    long_length: int = 20_000
    seed: int = 0


def spell_layers(learned: LearnedTracker) -> str:
    """Return the layers as text, "[2][3][2,2]"; "" if there is none."""
    return "".join(f"[{','.join(map(str, sorted(m, reverse=True)))}]" for m in learned.moduli)


def long_accuracy(
    learned: LearnedTracker,
    source: GroupWords,
    num_words: int,
    length: int,
    generator: torch.Generator,
) -> float:
    """Return the share of positions of long random words at which the decoded label is right."""
    tokens, labels = source.sample(num_words, length, generator, fresh=True)
    return float((learned.track(tokens) == labels).double().mean())


_SOLVABLE = ("S3", "D4", "Q8", "A4", "S4", "SL(2,3)", "GL(2,3)")
_CONTROL = ("A5",)
_SEEDS = tuple(range(20))


@experiment(
    "ssm.learned-trackers",
    title="Learned from labeled words alone, exact at every length",
    presets={
        "smoke": Preset(
            LearnedTrackersConfig(num_tries=1), {"group": ("S3", *_CONTROL), "seed": (0, 1)}
        ),
        "cpu": Preset(LearnedTrackersConfig(), {"group": _SOLVABLE + _CONTROL, "seed": _SEEDS}),
        "paper": Preset(
            LearnedTrackersConfig(),
            {
                "group": (*_SOLVABLE, "Heis(3)", *_CONTROL),
                "alphabet": ("all", "generators"),
                "moduli": ((2, 3), ()),
                "seed": _SEEDS,
            },
        ),
    },
    claims=("ssm.C10",),
    figures=("coset.ssm.figures.gap_map:learned_trackers",),
    cost={"smoke": 6.0, "cpu": 300.0},
)
def learned_trackers(config: LearnedTrackersConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Learn one group from one seed, and certify.

    The tracker sees token and label numbers. It is not a published model: gates are tables of
    angles for each state below, b = 0, |a| = 1, layers are trained one after another, restarts
    are chosen on fresh words, and angles are rounded. With a label after every token the data
    also reveal the multiplication table to whoever reads it off.

    Args:
        config: the settings.
        run: source of randomness; its folder gets ``certificate.json`` and ``seconds.json``.

    Yields:
        One row: order and derived_length of the group (null if infinite); is_certified,
        num_pairs checked; layers, num_layers; total_tries of all stages, first_tries of the first;
        num_restarts and num_useful of all stages, first_restarts and first_useful of the first;
        stalled_stage (0 if none) and best_gain there; entropy that is left, in nats; residual, the
        largest distance of an angle from its root of unity in units of 1/m turn; long_accuracy.

    Raises:
        ConfigError: if a number is out of its range.
    """
    for name in ("num_long_words", "long_length"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be at least 1; given {getattr(config, name)}")
    group = parse_group(config.group)
    source = GroupWords(group, config.alphabet)
    begin = time.process_time()
    learned = learn_tracker(
        source,
        moduli=config.moduli or None,
        restarts=config.restarts,
        num_coordinates=config.num_coordinates,
        recipe=Recipe(num_iterations=config.num_iterations, num_tries=config.num_tries),
        generator=run.generator("learning"),
        progress=run.progress,
    )
    seconds = time.process_time() - begin
    certificate = learned.certificate(group, config.alphabet)
    write_json(run.folder / "certificate.json", certificate.to_json())
    write_json(run.folder / SECONDS_FILE, [{"part": "learning", "seconds": seconds}])
    accuracy = long_accuracy(
        learned, source, config.num_long_words, config.long_length, run.generator("check")
    )
    yield {
        "order": group.order,
        "derived_length": int(group.derived_length) if group.is_solvable else None,
        "is_certified": certificate.holds and certificate.verify(),
        "num_pairs": certificate.num_pairs,
        "long_accuracy": accuracy,
        **_summary(learned),
    }


def _summary(learned: LearnedTracker) -> dict[str, Any]:
    """Return the columns that tell how learning went."""
    stages = learned.report.stages
    stalled = [place for place, stage in enumerate(stages, 1) if not stage.moduli]
    return {
        "layers": spell_layers(learned),
        "num_layers": len(learned.cascade.layers),
        "total_tries": sum(stage.num_tries for stage in stages),
        "first_tries": stages[0].num_tries if stages else 0,
        "num_restarts": sum(stage.num_restarts for stage in stages),
        "num_useful": sum(stage.num_useful for stage in stages),
        "first_restarts": stages[0].num_restarts if stages else 0,
        "first_useful": stages[0].num_useful if stages else 0,
        "stalled_stage": stalled[0] if stalled else 0,
        "best_gain": stages[-1].gain if stages else 0.0,
        "entropy": float(learned.report.value),
        "residual": max((stage.residual for stage in stages), default=0.0),
    }
