"""CartPole with two objectives in order: never leave |x| < 1; then stay upright for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import torch

from coset.core.errors import ConfigError
from coset.decisions.envs import LexReward, SafetyFirst
from coset.decisions.learn import DeepAgent, Episodes, LexDQN, LexPPO, run_episodes
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["DeepConfig", "deep"]

_SIDE_BY_SIDE = 16


@dataclass(frozen=True)
class DeepConfig:
    """One run of `decisions.deep`.

    Attributes:
        method: "lexicographic-ppo", "lexicographic-dqn", or "upright-ppo", which knows the second
            objective only, as a control.
        seed: decides weights, environments and actions.
        num_steps: of training, in thousands.
        slack: of the objective of safety, a probability.
        largest_position: |x| at which an episode ends unsafe.
        discount: of the time upright; safety has none.
        num_evaluation: episodes by which the best weights are kept.
        num_episodes: in which the agent is evaluated at the end.
    """

    method: Literal["lexicographic-ppo", "lexicographic-dqn", "upright-ppo"] = "lexicographic-ppo"
    seed: int = 0
    num_steps: int = 80
    slack: float = 0.05
    largest_position: float = 1.0
    discount: float = 0.99
    num_evaluation: int = 16
    num_episodes: int = 128


_METHODS = ("lexicographic-ppo", "lexicographic-dqn", "upright-ppo")


@experiment(
    "decisions.deep",
    title="CartPole: stay near the middle first, then stay upright",
    presets={
        "smoke": Preset(
            DeepConfig(num_steps=24, num_evaluation=8, num_episodes=32),
            {"method": ("lexicographic-ppo",), "seed": (0,)},
        ),
        "cpu": Preset(DeepConfig(), {"method": _METHODS, "seed": (0, 1)}),
        "paper": Preset(
            DeepConfig(num_steps=200, num_episodes=1000, num_evaluation=32),
            {"method": _METHODS, "seed": tuple(range(10))},
        ),
    },
    claims=("decisions.C15",),
    figures=("coset.decisions.figures:deep_curves",),
    cost={"smoke": 5.0, "cpu": 70.0, "paper": 2000.0},
)
def deep(config: DeepConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Train one agent, and evaluate its greedy policy on fresh episodes.

    Args:
        config: the settings.
        run: source of randomness, and log.

    Yields:
        Rows of kind "progress", one an epoch: method, seed, step, length and return_1, return_2 of
        the training episodes (``None``: none ended); one of kind "outcome": unsafe_share and
        mean_length (at most 500, the limit) of the evaluated episodes, full_share that reached the
        limit safely, evaluated_episodes (whole rounds of at most 16), environment_steps,
        and random_unsafe_share and random_length of uniform actions.

    Raises:
        ConfigError: if a setting is impossible.

    Claims: decisions.C15.
    """
    for name in ("num_steps", "num_evaluation", "num_episodes"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be ≥ 1; given {getattr(config, name)}")
    total = 1000 * config.num_steps

    def report(step: int, figures: Mapping[str, float]) -> None:
        run.log(step=step, **{k: v for k, v in figures.items() if k != "step"})
        run.progress(step, total, f"{figures.get('length', 0.0):.0f} steps an episode")

    agent = _trained(config, total, run.generator("training"), report)
    labels = {"method": config.method, "seed": config.seed}
    names = ("length", "return_1", "return_2")
    for figures in agent.history:
        values = {name: figures.get(name) for name in names}
        yield {"kind": "progress", **labels, "step": int(figures["step"]), **values}
    generator = run.generator("random actions")

    def uniformly(observation: torch.Tensor) -> torch.Tensor:
        return torch.randint(2, (len(observation),), generator=generator)

    found = _run(config, agent.act, run.seed("evaluation"))
    chance = _run(config, uniformly, run.seed("random evaluation"))
    full = (found.lengths == found.lengths.new_tensor(_LIMIT)) & ~found.unsafe
    yield {
        "kind": "outcome",
        **labels,
        "environment_steps": total,
        "evaluated_episodes": len(found.lengths),
        "unsafe_share": float(found.unsafe.double().mean()),
        "mean_length": float(found.lengths.double().mean()),
        "full_share": float(full.double().mean()),
        "random_unsafe_share": float(chance.unsafe.double().mean()),
        "random_length": float(chance.lengths.double().mean()),
    }


_LIMIT = 500


def _run(config: DeepConfig, act: Callable[[torch.Tensor], torch.Tensor], seed: int) -> Episodes:
    side = min(config.num_episodes, _SIDE_BY_SIDE)
    return run_episodes(
        act, _safe_first(config), config.num_episodes, num_envs=side, seed=seed % 2**31
    )


def _cart_pole() -> Any:
    return gymnasium.make("CartPole-v1", disable_env_checker=True)


def _safe_first(config: DeepConfig) -> Callable[[], Any]:
    limit = config.largest_position

    def outside(before: Any, action: Any, after: Any, *rest: Any) -> bool:
        return abs(float(after[0])) >= limit

    return lambda: SafetyFirst(_cart_pole(), outside, discount=config.discount)


def _upright(config: DeepConfig) -> Callable[[], Any]:
    def reward(before: Any, action: Any, after: Any, earned: float, *rest: Any) -> list[float]:
        return [earned]

    return lambda: LexReward(_cart_pole(), reward, num_objectives=1, multiplier=config.discount)


def _trained(config: DeepConfig, total: int, generator: torch.Generator, report: Any) -> DeepAgent:
    options: dict[str, Any] = {"generator": generator, "report": report}
    if config.method == "lexicographic-dqn":
        learner = LexDQN(
            slack=config.slack,
            num_envs=8,
            steps_per_update=16,
            value_scale=(1.0, 30.0),
            target_rate=0.02,
            exploration_share=0.4,
            num_evaluation=config.num_evaluation,
        )
        return learner.fit(_safe_first(config), total, **options)
    lexicographic = config.method == "lexicographic-ppo"
    ppo = LexPPO(
        slack=config.slack if lexicographic else 0.0,
        shares=(1.0, 4.0) if lexicographic else None,
        value_scale=(1.0, 30.0) if lexicographic else 30.0,
        num_envs=8,
        num_rollout=64,
        learning_rate=3e-3,
        num_passes=6,
        num_evaluation=config.num_evaluation,
        evaluate_every=8,
        multiplier_start=1.0,
        multiplier_rate=2.0,
        multiplier_limit=10.0,
    )
    return ppo.fit(_safe_first(config) if lexicographic else _upright(config), total, **options)
