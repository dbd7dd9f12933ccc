"""What each recipe finds: two layers trained together, or one after the other, then snapped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from coset.core.errors import ConfigError
from coset.core.files import write_json
from coset.groups import parse_group
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.ssm.learning import GroupWords, Recipe, certify, learn_tracker
from coset.ssm.learning.joint import Gate, harden_restarts, train_jointly

__all__ = ["JointTrainingConfig", "joint_training"]

SECONDS_FILE = "seconds.json"


@dataclass(frozen=True)
class JointTrainingConfig:
    """One run of `ssm.joint-training`.

    Attributes:
        recipe: "joint-raw" (two layers together, the gate a network that sees the raw state),
            "joint-quantized" (the gate sees the nearest root of unity), or "greedy".
        group: the name of the group; all elements are tokens.
        modulus: M to which joint training snaps both layers; greedy snaps to its divisors.
        restarts: in one batch, or per stage and try.
        num_iterations: gradient steps.
        penalty: of joint training, for angles away from M-th roots of unity.
        seed: decides words and starts.
    """

    recipe: Literal["joint-raw", "joint-quantized", "greedy"] = "greedy"
    group: str = "S3"
    modulus: int = 6
    restarts: int = 32
    num_iterations: int = 400
    penalty: float = 1.0
    seed: int = 0


_RECIPES = ("joint-raw", "joint-quantized", "greedy")


@experiment(
    "ssm.joint-training",
    title="Two layers together or one after the other: which recipe finds exact trackers",
    presets={
        "smoke": Preset(
            JointTrainingConfig(restarts=8, num_iterations=60), {"recipe": _RECIPES, "seed": (0,)}
        ),
        "cpu": Preset(JointTrainingConfig(), {"recipe": _RECIPES, "seed": (0, 1, 2, 3, 4)}),
        "paper": Preset(
            JointTrainingConfig(restarts=64), {"recipe": _RECIPES, "seed": tuple(range(20))}
        ),
    },
    claims=("ssm.C10",),
    figures=("coset.ssm.figures.gap_map:gap_map",),
    cost={"smoke": 4.0, "cpu": 180.0},
)
def joint_training(config: JointTrainingConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train, snap and certify by one recipe.

    Args:
        config: the settings.
        run: source of randomness; its folder gets ``seconds.json``.

    Yields:
        One row: is_certified (of the restart that fits fresh words best), num_exact restarts that
        are certified (null for greedy, which keeps one), num_restarts; entropy that the best leaves
        in nats; for joint training least_loss before snapping, and the float accuracy of that
        restart on words of 24 and of 256 tokens (accuracy_24, accuracy_256).

    Raises:
        ConfigError: if the penalty is negative.
    """
    if not config.penalty >= 0:
        raise ConfigError(f"penalty must be at least 0; given {config.penalty}")
    source = GroupWords(parse_group(config.group))
    begin = time.process_time()
    row = _greedy(config, source, run) if config.recipe == "greedy" else _joint(config, source, run)
    seconds = time.process_time() - begin
    write_json(run.folder / SECONDS_FILE, [{"part": config.recipe, "seconds": seconds}])
    yield {"order": source.group.order, **row}


def _greedy(config: JointTrainingConfig, source: GroupWords, run: RunContext) -> dict[str, Any]:
    learned = learn_tracker(
        source,
        moduli=(config.modulus,),
        restarts=config.restarts,
        recipe=Recipe(num_iterations=config.num_iterations),
        generator=run.generator("learning"),
        progress=run.progress,
    )
    return {
        "is_certified": learned.certificate(source).holds,
        "num_exact": None,
        "num_restarts": sum(stage.num_restarts for stage in learned.report.stages),
        "entropy": float(learned.report.value),
        "least_loss": None,
        "accuracy_24": None,
        "accuracy_256": None,
    }


def _joint(config: JointTrainingConfig, source: GroupWords, run: RunContext) -> dict[str, Any]:
    gate: Gate = "raw" if config.recipe == "joint-raw" else "quantized"
    recipe = Recipe(num_iterations=config.num_iterations)
    restarts, losses = train_jointly(
        source,
        gate,
        recipe,
        modulus=config.modulus,
        num_restarts=config.restarts,
        penalty=config.penalty,
        generator=run.generator("learning"),
        progress=run.progress,
    )
    found = harden_restarts(restarts, source, recipe, run.generator("choosing"))
    machine = source.table, source.labels, source.start
    exact = [certify(h.cascade, h.decoder, *machine).holds for h in found]
    best = int(losses.argmin())
    accuracy = {}
    for length in (24, 256):
        words = source.sample(32, length, run.generator("check", length))
        accuracy[f"accuracy_{length}"] = float(restarts.accuracies(*words)[best])
    return {
        "is_certified": exact[0],
        "num_exact": sum(exact),
        "num_restarts": len(exact),
        "entropy": found[0].entropy,
        "least_loss": float(losses[best]),
        **accuracy,
    }
