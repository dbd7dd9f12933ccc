"""Attitudes to risk: the same rewards under exponential utility, from seeking to averse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from coset.core.errors import ConfigError
from coset.core.results import Status
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.envs.toy_text import from_toy_text
from coset.decisions.experiments.grid_rows import finite
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.policy_outcome import policy_outcome
from coset.decisions.solvers.evaluation import evaluate, evaluate_level
from coset.decisions.solvers.risk import solve_risk_sensitive
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

if TYPE_CHECKING:
    from torch import Tensor

    from coset.decisions.envs.toy_text import ToyText

__all__ = ["RiskConfig", "risk", "total_deviation"]


@dataclass(frozen=True)
class RiskConfig:
    """One run of `decisions.risk`.

    Attributes:
        env: the slippery cliff, or FrozenLake 4×4.
        penalty: what danger costs, beside 1 a step, > 0.
        betas: attitudes β; > 0 is averse to risk, 0 the expected total.
        tol: the error asked for.
        max_iter: the most sweeps.
    """

    env: Literal["cliff", "FrozenLake-v1"] = "cliff"
    penalty: float = 100.0
    betas: tuple[float, ...] = (-1.0, -0.1, 0.0, 0.02, 0.05, 0.1)
    tol: float = 1e-6
    max_iter: int = 40_000


_SEEKING = (-1.0, -0.5, -0.2, -0.1, -0.05, -0.02, -0.01, 0.0)
_AVERSE = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1)


@experiment(
    "decisions.risk",
    title="What an agent gives up for a surer result",
    presets={
        "smoke": Preset(RiskConfig()),
        "cpu": Preset(
            RiskConfig(betas=_SEEKING + _AVERSE),
            {"env": ("cliff", "FrozenLake-v1"), "penalty": (30.0, 100.0)},
        ),
        "paper": Preset(
            RiskConfig(betas=_SEEKING + _AVERSE),
            {"env": ("cliff", "FrozenLake-v1"), "penalty": (10.0, 30.0, 100.0, 300.0)},
        ),
    },
    claims=("decisions.C12",),
    figures=("coset.decisions.figures:risk_frontier",),
)
def risk(config: RiskConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Solve one environment for each attitude to risk and evaluate the policies without it.

    Args:
        config: the settings.
        run: for progress.

    Yields:
        One row for each β: env, penalty, beta, certainty_equivalent of the total reward at the
        start with its proved error_bound, solved; of the policy mean and deviation of the total
        (``None`` if it may go on for ever), goal_chance, danger_chance, expected_steps; num_changed
        states whose action differs from that of β = 0.

    Raises:
        ConfigError: if penalty or betas are impossible.
    """
    if not config.penalty > 0 or not all(math.isfinite(b) for b in config.betas):
        raise ConfigError(
            f"penalty must be > 0 and betas finite; given {config.penalty}, {config.betas}"
        )
    toy = _environment(config.env)
    mdp = _with_costs(toy, config.penalty)
    neutral = solve_risk_sensitive(mdp, 0.0, tol=config.tol, max_iter=config.max_iter)
    assert neutral.policy is not None
    for number, beta in enumerate(config.betas):
        run.progress(number, len(config.betas), f"β = {beta:g}")
        found = neutral
        if beta:
            found = solve_risk_sensitive(mdp, beta, tol=config.tol, max_iter=config.max_iter)
        assert found.policy is not None
        assert found.error_bound is not None
        outcome = policy_outcome(toy, found.policy)
        ends = math.isfinite(outcome.expected_steps)
        start = toy.start_state
        yield {
            "env": config.env,
            "penalty": config.penalty,
            "beta": beta,
            "certainty_equivalent": float(found.value[start]),
            "error_bound": finite(found.error_bound),
            "solved": found.status is Status.SOLVED,
            "mean": float(evaluate(mdp, found.policy)[start, 0]) if ends else None,
            "deviation": float(total_deviation(mdp, found.policy)[start]) if ends else None,
            "goal_chance": outcome.goal_chance,
            "danger_chance": outcome.danger_chance,
            "expected_steps": finite(outcome.expected_steps),
            "num_changed": int((found.policy != neutral.policy).sum()),
        }


def _environment(name: str) -> ToyText:
    if name == "cliff":
        return cliff_walk()
    import gymnasium

    return from_toy_text(gymnasium.make(name))


def _with_costs(toy: ToyText, penalty: float) -> MDP:
    cost = torch.where(toy.unsafe, 1.0 + penalty, 1.0).double()
    return MDP(
        toy.successor,
        toy.probability,
        torch.where(toy.probability > 0, -cost, 0.0),
        mask=toy.mask,
        terminal=toy.terminal,
    )


def total_deviation(mdp: MDP, policy: Tensor) -> Tensor:
    """Return the standard deviation of the undiscounted total reward under a policy.

    M(s) = E[r² + 2 r V(s') + M(s')] is its second moment.

    Args:
        mdp: a process of one objective without discount.
        policy: (S,) int64, −1 at terminal states; it must end with certainty.

    Returns:
        (S,) float64.

    Raises:
        NotTransientError: if the process may go on for ever.
    """
    value = evaluate(mdp, policy)[:, 0]
    reward = mdp.reward[..., 0].double().expand(mdp.successor.shape)
    after = value[mdp.successor.long()]
    square = (mdp.probability.double() * (reward**2 + 2 * reward * after)).sum(-1)
    level = mdp.level(0)
    moment = evaluate_level(
        type(level)(level.successor, level.weight, square, level.allowed), policy
    )
    return (moment.value - value**2).clamp(min=0.0).sqrt()
