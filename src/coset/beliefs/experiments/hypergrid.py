"""Generative flow networks on the hypergrid: four losses, exact distances, and what sampling sees.

The published study samples: it reports the least distance over training, of 10⁶ trajectories. Here
distances are exact, the last one is shown beside the least, and a row says what 10⁶ draws from the
target itself would have shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from coset.beliefs.gflow.exact import l1_distance, noise_floor, sampled_l1_distance
from coset.beliefs.gflow.hypergrid import HyperGrid, RewardName
from coset.beliefs.gflow.train import GFlowNetTrainer, LossName, TrainingSettings
from coset.core.errors import ConfigError, NotConvergedError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HyperGridConfig", "hypergrid"]

_LOSSES: tuple[LossName, ...] = ("TB", "TB/T", "VarGrad", "VarGrad/T")
_LARGEST_MAP = 1024  # states that are worth a row each
_FARTHEST = 2.0  # the L1 distance of a trial that failed


@dataclass(frozen=True)
class _Study:
    """A grid, R₀ (``None``: that of the literature), and how networks are trained on it."""

    height: int
    dims: int
    reward_floor: float | None
    training: TrainingSettings


_STUDIES = {
    "8x8": _Study(8, 2, 0.01, TrainingSettings(num_steps=1000)),
    "16x16": _Study(16, 2, 0.1, TrainingSettings(num_steps=800)),
    "published": _Study(
        24,
        4,
        None,
        TrainingSettings(
            batch_size=1024,
            num_steps=4000,
            final_rate_share=0.01,
            hidden_sizes=(256, 256),
            replay_capacity=10_000,
            loss_clip=100.0,
            weight_decay=0.01,
        ),
    ),
}


@dataclass(frozen=True)
class HyperGridConfig:
    """One run of `beliefs.hypergrid`: one loss, several seeds side by side.

    Attributes:
        study: "8x8" and "16x16" are trained on policy, 64 trajectories a step; "published" is the
            grid 24 ** 4 with 1,024 a step, half of them from a memory.
        reward: name of the reward.
        loss: trajectory balance or VarGrad, as they are or each term divided by its length.
        learning_rate: that of log Z is 100 times it.
        seeds: one network each.
        num_steps: of training; those of the study if ``None``.
        evaluate_every: steps between exact evaluations.
        num_samples: draws of a sampled distance.
        num_trials: settings drawn at random (rate, rate of log Z, β₂, largest gradient) and tried
            before; 0: `learning_rate` is used.
        trial_steps: steps of each trial.
        num_kept: of the trials, the best that are trained with all seeds.
        device: where to train.
    """

    study: Literal["8x8", "16x16", "published"] = "16x16"
    reward: RewardName = "original"
    loss: LossName = "TB"
    learning_rate: float = 1e-3
    seeds: tuple[int, ...] = (0, 1, 2)
    num_steps: int | None = None
    evaluate_every: int = 50
    num_samples: int = 1_000_000
    num_trials: int = 0
    trial_steps: int = 2000
    num_kept: int = 3
    device: str = "cpu"


_RATES = (1e-3, 3e-3, 1e-2)


@experiment(
    "beliefs.hypergrid",
    title="Trajectory balance and VarGrad on the hypergrid, divided by length or not",
    presets={
        "smoke": Preset(
            HyperGridConfig("8x8", num_steps=150, num_samples=100_000),
            {"loss": ("TB", "TB/T"), "learning_rate": _RATES},
        ),
        "cpu": Preset(
            HyperGridConfig(seeds=tuple(range(20))),
            {"study": ("8x8", "16x16"), "loss": _LOSSES, "learning_rate": _RATES},
        ),
        "paper": Preset(
            HyperGridConfig(
                "published",
                seeds=(7, 14, 21, 28, 35),
                evaluate_every=100,
                num_trials=50,
                device="cuda",
            ),
            {"reward": ("original", "cosine", "xor", "coprime"), "loss": _LOSSES},
        ),
    },
    claims=("beliefs.C20c",),
    figures=(
        "coset.beliefs.figures:hypergrid_maps",
        "coset.beliefs.figures:hypergrid_curves",
    ),
    cost={"smoke": 5.0, "cpu": 150.0, "paper": 100_000.0},
)
def hypergrid(config: HyperGridConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train with one loss and compare where the networks stop with the target, exactly.

    Args:
        config: the settings.
        run: source of randomness, and progress.

    Yields:
        Rows of five kinds, with study, height, dims, reward and loss: "floor": num_support states
        of positive reward, noise_floor, the mean distance of num_samples draws of the target
        itself, and drawn_floor, one such distance; "trial": number, rate, log_z_factor,
        second_moment_decay, gradient_clip and best_l1; "curve": rank of the settings, rate, seed,
        step, trajectories, l1 (exact); "final": rank, rate, seed, final_l1 and best_l1 over
        training (exact), final_sampled_l1 and best_sampled_l1 of num_samples draws there, failed
        if the run left the finite numbers and ended early; "map", on grids of two dimensions: x,
        y, target and learned, of the first seed.

    Raises:
        ConfigError: if a setting is impossible.

    Claims: beliefs.C20c.
    """
    _check(config)
    study = _STUDIES[config.study]
    size = study.height, study.dims
    grid = HyperGrid(*size, config.reward, reward_floor=study.reward_floor, device=config.device)
    settings = replace(
        study.training,
        loss=config.loss,
        learning_rate=config.learning_rate,
        num_steps=config.num_steps or study.training.num_steps,
    )
    labels: dict[str, Any] = {"study": config.study, "height": study.height, "dims": study.dims}
    labels |= {"reward": config.reward, "loss": config.loss}
    yield {"kind": "floor", **labels, **_floor(config, grid, run)}
    chosen = [settings]
    if config.num_trials:
        tried = []
        for number in range(config.num_trials):
            trial = _drawn(settings, config, run.generator("trial", number))
            row = _tried(trial, config, grid, run, number)
            tried.append((row["best_l1"], number, replace(trial, num_steps=settings.num_steps)))
            yield {**labels, **row}
        chosen = [trial for _, _, trial in sorted(tried, key=lambda entry: entry[:2])]
    for rank, settings in enumerate(chosen[: config.num_kept]):
        for row in _trained(settings, config, grid, run, rank):
            yield {**labels, **row}


def _check(config: HyperGridConfig) -> None:
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise ConfigError(f"seeds must be given, each once; given {config.seeds}")
    for name in ("evaluate_every", "num_samples", "trial_steps", "num_kept"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be ≥ 1; given {getattr(config, name)}")
    if config.num_trials < 0 or (config.num_steps is not None and config.num_steps < 1):
        raise ConfigError(
            f"num_trials must be ≥ 0 and num_steps ≥ 1; given {config.num_trials} and "
            f"{config.num_steps}"
        )


def _floor(config: HyperGridConfig, grid: HyperGrid, run: RunContext) -> dict[str, Any]:
    names = [f.name for f in fields(config) if f.name not in ("study", "reward", "num_samples")]
    generator = run.generator("noise floor", without=names)
    target, num = grid.target.cpu(), config.num_samples
    return {
        "num_support": int((target > 0).sum()),
        "num_samples": num,
        "noise_floor": noise_floor(target, num),
        "drawn_floor": sampled_l1_distance(target, target, num, generator=generator),
    }


def _drawn(
    settings: TrainingSettings, config: HyperGridConfig, generator: torch.Generator
) -> TrainingSettings:
    """Draw the settings of a trial, in the ranges of the published search."""
    rate, factor, clip, choice = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    return replace(
        settings,
        num_steps=config.trial_steps,
        learning_rate=10 ** (-5 + 4 * rate),
        log_z_factor=10 ** (1 + 2 * factor),
        gradient_clip=10 ** (-2 + 3 * clip),
        second_moment_decay=(0.99, 0.999, 0.9999)[int(3 * choice)],
    )


def _tried(
    trial: TrainingSettings,
    config: HyperGridConfig,
    grid: HyperGrid,
    run: RunContext,
    number: int,
) -> dict[str, Any]:
    trainer = GFlowNetTrainer(grid, trial, [run.generator("trial network", number)])
    ends = _terminal_distributions(trainer, config.evaluate_every)
    distances = [float(l1_distance(learned, grid.target)[0]) for learned in ends]
    run.progress(number, config.num_trials + config.num_kept, f"trial {number}")
    return {
        "kind": "trial",
        "number": number,
        "rate": trial.learning_rate,
        "log_z_factor": trial.log_z_factor,
        "second_moment_decay": trial.second_moment_decay,
        "gradient_clip": trial.gradient_clip,
        "best_l1": min(distances, default=_FARTHEST),
    }


def _terminal_distributions(trainer: GFlowNetTrainer, every: int) -> Iterator[Tensor]:
    """Train; yield where all members stop now and then, and at the end; stop if one fails."""
    num_steps = trainer.settings.num_steps
    with contextlib.suppress(NotConvergedError):
        for step in range(1, num_steps + 1):
            trainer.step()
            if step % every == 0 or step == num_steps:
                yield trainer.terminal_distribution()


def _trained(
    settings: TrainingSettings,
    config: HyperGridConfig,
    grid: HyperGrid,
    run: RunContext,
    rank: int,
) -> Iterator[dict[str, Any]]:
    # Losses and rates meet the same initial weights and the same random numbers.
    other = ("seeds", "loss", "learning_rate")
    generators = [run.generator("network", seed, rank, without=other) for seed in config.seeds]
    trainer = GFlowNetTrainer(grid, settings, generators)
    labels = {"rank": rank, "rate": settings.learning_rate}
    learned = best = trainer.terminal_distribution()
    step = 0
    for learned in _terminal_distributions(trainer, config.evaluate_every):
        found, nearest = (l1_distance(ends, grid.target) for ends in (learned, best))
        best = torch.where((found < nearest)[:, None], learned, best) if step else learned
        step = trainer.num_steps
        done = config.num_trials + rank + step / settings.num_steps
        kept = min(config.num_kept, config.num_trials or 1)
        run.progress(done, config.num_trials + kept, f"L1 {float(found.mean()):.3f}")
        for seed, l1 in zip(config.seeds, found.tolist(), strict=True):
            row = {"kind": "curve", **labels, "seed": seed, "step": step, "l1": l1}
            yield {**row, "trajectories": trainer.num_trajectories}
    for place, seed in enumerate(config.seeds):
        generator = run.generator("sampled distance", seed, rank)
        ends = {"final": learned[place].cpu(), "best": best[place].cpu()}
        yield {
            "kind": "final",
            **labels,
            "seed": seed,
            "failed": step < settings.num_steps,
            **_end_distances(ends, grid.target.cpu(), config.num_samples, generator),
        }
    if grid.dims == 2 and grid.num_states <= _LARGEST_MAP:
        yield from _map_rows(grid, learned[0], labels)


def _end_distances(
    ends: dict[str, Tensor], target: Tensor, num_samples: int, generator: torch.Generator
) -> dict[str, float]:
    found = {}
    for name, learned in ends.items():
        found[f"{name}_l1"] = float(l1_distance(learned, target))
        found[f"{name}_sampled_l1"] = sampled_l1_distance(
            learned, target, num_samples, generator=generator
        )
    return found


def _map_rows(grid: HyperGrid, learned: Tensor, labels: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cells = zip(grid.all_coordinates.tolist(), grid.target.tolist(), learned.tolist(), strict=True)
    for (x, y), target, found in cells:
        yield {"kind": "map", **labels, "x": x, "y": y, "target": target, "learned": found}
