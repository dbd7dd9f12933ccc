"""Tabular learning on the slippery cliff: does the greedy policy become the exact optimum?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coset.core.errors import ConfigError
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.experiments.grid_rows import finite
from coset.decisions.learn import LexQ, LexQAgent
from coset.decisions.processes.objectives import objectives
from coset.decisions.processes.policy_outcome import policy_outcome
from coset.decisions.solvers.solving import solve
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["QLearningConfig", "q_learning"]


@dataclass(frozen=True)
class QLearningConfig:
    """One run of `decisions.q-learning`.

    Attributes:
        seed: decides the steps.
        length: cells of cliff; 10 is ``CliffWalking-v1``.
        checkpoints: numbers of steps after which the policy is evaluated, increasing.
        slack: of the objective of safety.
        exploration: probability of a random action.
        rate_decay: of the learning rate 1 / (1 + decay·n)^power.
        rate_power: of the same.
        discount: of the steps; safety has none.
    """

    seed: int = 0
    length: int = 10
    checkpoints: tuple[int, ...] = (200_000, 1_000_000, 4_000_000)
    slack: float = 0.01
    exploration: float = 0.3
    rate_decay: float = 0.05
    rate_power: float = 0.75
    discount: float = 0.99


@experiment(
    "decisions.q-learning",
    title="Lexicographic Q-learning on a slippery cliff",
    presets={
        "smoke": Preset(QLearningConfig(), {"seed": (0, 1, 2, 3, 4)}),
        "cpu": Preset(
            QLearningConfig(
                checkpoints=(50_000, 100_000, 200_000, 400_000, 1_000_000, 2_000_000, 4_000_000)
            ),
            {"seed": tuple(range(15))},
        ),
        "paper": Preset(
            QLearningConfig(
                checkpoints=(100_000, 200_000, 400_000, 1_000_000, 4_000_000, 16_000_000)
            ),
            {"seed": tuple(range(50))},
        ),
    },
    claims=("decisions.C13",),
    figures=("coset.decisions.figures:q_learning_curves",),
    cost={"smoke": 6.0, "cpu": 15.0, "paper": 200.0},
)
def q_learning(config: QLearningConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Learn safety first, then few steps, and evaluate the greedy policy exactly now and then.

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        One row of kind "policy" a checkpoint: seed, length, num_steps, goal_chance, danger_chance
        and expected_steps of the greedy policy by linear equations (``None`` if it may never end),
        optimal_steps and optimal_goal of the exact solution, is_optimal (its action is in the
        proved tie set everywhere), share_optimal of the states where it is, value_error at the
        start for each objective (value_error_1, value_error_2), and the least gaps by which
        rejected actions lost (gap_1, gap_2; ``None``: none was rejected).

    Raises:
        ConfigError: if a setting is impossible.

    Claims: decisions.C13.
    """
    points = config.checkpoints
    if not points or any(b <= a for a, b in zip((0, *points), points, strict=False)):
        raise ConfigError(f"checkpoints must increase, from 1 step on; given {points}")
    toy = cliff_walk(config.length)
    mdp = objectives(toy, "safety,steps", gamma=config.discount, unsafe_earns_nothing=True)
    solution = solve(mdp)
    best = policy_outcome(toy, solution.policy)
    learner = LexQ(
        slack=config.slack,
        exploration=config.exploration,
        rate_decay=config.rate_decay,
        rate_power=config.rate_power,
    )
    generator, agent = run.generator("steps"), None
    for done, target in zip((0, *points), points, strict=False):
        agent = learner.fit(mdp, target - done, generator=generator, agent=agent)
        run.progress(target, points[-1], f"{target:,} steps")
        yield {
            "kind": "policy",
            "seed": config.seed,
            "length": config.length,
            "num_steps": target,
            "optimal_goal": best.goal_chance,
            "optimal_steps": best.expected_steps,
            **_evaluated(agent, toy, solution),
        }


def _evaluated(agent: LexQAgent, toy: Any, solution: Any) -> dict[str, Any]:
    policy, live = agent.policy, ~toy.terminal
    outcome = policy_outcome(toy, policy)
    right = solution.tie_set.gather(1, policy.clamp(min=0)[:, None])[:, 0][live]
    error = (agent.value - solution.value)[toy.start_state].abs().tolist()
    gaps = [finite(gap) for gap in agent.gaps().tolist()]
    return {
        "goal_chance": outcome.goal_chance,
        "danger_chance": outcome.danger_chance,
        "expected_steps": finite(outcome.expected_steps),
        "is_optimal": bool(right.all()),
        "share_optimal": float(right.double().mean()),
        "value_error_1": error[0],
        "value_error_2": error[1],
        "gap_1": gaps[0],
        "gap_2": gaps[1],
    }
