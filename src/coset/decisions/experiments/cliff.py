"""Cliff: for each length of maze, which penalty for a fall makes a scalar agent walk safely?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coset.core.errors import ConfigError, NotConvergedError
from coset.decisions.envs.cliff import cliff_walk
from coset.decisions.experiments.grid_rows import cell_rows, policy_row
from coset.decisions.processes.objectives import objectives, weighted_sum
from coset.decisions.processes.policy_outcome import policy_outcome
from coset.decisions.solvers.solving import solve
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

if TYPE_CHECKING:
    from coset.decisions.envs.toy_text import ToyText
    from coset.decisions.processes.mdp import MDP

__all__ = ["CliffConfig", "cliff", "least_penalty"]

_MAX_STEPS = 100
# Differences of expected steps below this are rounding.
_EQUAL = 1e-6


@dataclass(frozen=True)
class CliffConfig:
    """One run of `decisions.cliff`.

    Attributes:
        length: cells of cliff between start and goal.
        num_rows: rows of the grid.
        slippery: whether moves can go astray.
        penalties: what the scalar agents lose by a fall, beside 1 a step.
        tol: error asked for at each objective.
    """

    length: int = 10
    num_rows: int = 4
    slippery: bool = True
    penalties: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
    tol: float = 1e-6


@experiment(
    "decisions.cliff",
    title="Which penalty for a fall works, and for how long a cliff?",
    presets={
        "smoke": Preset(CliffConfig(), {"length": (1, 3, 10, 30, 300)}),
        "cpu": Preset(CliffConfig(), {"length": (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300)}),
        "paper": Preset(
            CliffConfig(penalties=(1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)),
            {"length": (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)},
        ),
    },
    claims=("decisions.C10b", "decisions.C16b"),
    figures=("coset.decisions.figures:penalty_phases", "coset.decisions.figures:cliff_maps"),
)
def cliff(config: CliffConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Solve one cliff with its objectives in order, and with each penalty as one number.

    Args:
        config: the settings.
        run: for progress.

    Yields:
        For each agent a row of kind "policy", see `grid_rows`, with agrees: whether the scalar
        agent's policy is one that the goal-first agent can also choose (as sure to reach the goal,
        as quick). Rows of kind "cell" for the goal-first agent and the scalar ones, if the cliff
        has at most 12 cells. One row of kind "threshold": the least penalty from which on the
        scalar agent walks safely, agrees_above and agrees_below (at 1 % more and less), safe_steps
        and shortest_way (steps if nothing could go astray). All carry length, num_rows, slippery,
        agent and penalty (``None`` for objectives in order).

    Raises:
        ConfigError: if a setting is impossible.

    Claims: decisions.C10b, decisions.C16b.
    """
    if not all(0 < penalty < 1e9 for penalty in config.penalties) or not config.penalties:
        raise ConfigError(f"penalties must lie in (0, 1e9); given {config.penalties}")
    model = cliff_walk(config.length, num_rows=config.num_rows, slippery=config.slippery)
    agents: list[tuple[str, float | None]] = [("goal > steps", None), ("safety > steps", None)]
    agents += [(f"penalty {penalty:g}", penalty) for penalty in config.penalties]
    grid = {"length": config.length, "num_rows": config.num_rows, "slippery": config.slippery}
    best: dict[str, Any] = {}
    for done, (names, penalty) in enumerate(agents):
        run.progress(done, len(agents) + 1, names)
        mdp = _in_order(model, names) if penalty is None else _punished(model, penalty)
        solution = solve(mdp, tol=config.tol)
        found = policy_row(model, solution)
        best = best or found
        labels = {**grid, "agent": names, "penalty": penalty}
        yield {"kind": "policy", **labels, **found, "agrees": _agrees(found, best)}
        if config.length <= 12 and names != "safety > steps":
            for row in cell_rows(model, mdp, solution):
                yield {"kind": "cell", **labels, **row}
    yield {"kind": "threshold", **grid, "agent": "any penalty", **_threshold(model, best, config)}


def _in_order(model: ToyText, names: str) -> MDP:
    return objectives(model, names.split(" > "))


def _punished(model: ToyText, penalty: float) -> MDP:
    return weighted_sum(model, {"steps": 1.0, "safety": penalty})


def _threshold(model: ToyText, best: dict[str, Any], config: CliffConfig) -> dict[str, Any]:
    least = least_penalty(model, best["expected_steps"], config.tol)
    agrees = [
        _agrees(policy_row(model, solve(_punished(model, share * least), tol=config.tol)), best)
        for share in (1.01, 0.99)
    ]
    return {
        "penalty": least,
        "agrees_above": agrees[0],
        "agrees_below": agrees[1],
        "safe_steps": best["expected_steps"],
        "shortest_way": config.length + 3,
    }


def _agrees(found: dict[str, Any], best: dict[str, Any]) -> bool:
    same = abs(found["goal_chance"] - best["goal_chance"]) <= 1e-9
    steps = found["expected_steps"]
    scale = best["expected_steps"]
    return same and steps is not None and abs(steps - scale) <= _EQUAL * scale


def least_penalty(model: ToyText, safe_steps: float, tol: float = 1e-6) -> float:
    """Return the penalty above which a scalar agent never prefers to risk a fall.

    It is the largest ratio of steps saved to chance of a fall, c* = max (T_safe − T_π) ÷ P_π(fall)
    over policies π that may fall, found by Dinkelbach's iteration: solve at c, take the ratio of
    the policy found as the next c.

    Args:
        model: an environment in which some policy never falls and always ends.
        safe_steps: the least expected number of steps of such policies.
        tol: error asked for.

    Returns:
        c*; 0 if no policy that may fall is quicker.

    Raises:
        NotConvergedError: if the iteration does not settle.

    Complexity: a few scalar problems.

    Example:
        >>> from coset.decisions.envs.cliff import cliff_walk
        >>> round(least_penalty(cliff_walk(5, slippery=False), safe_steps=8.0), 9)
        7.0

    Claims: decisions.C10, decisions.C10b.
    """
    penalty = 0.0
    for _ in range(_MAX_STEPS):
        solution = solve(_punished(model, penalty), tol=tol)
        saved = float(solution.value[model.start_state, 0]) + safe_steps
        outcome = policy_outcome(model, solution.policy)
        if saved <= _EQUAL * safe_steps or not outcome.danger_chance:
            return penalty
        penalty = (safe_steps - outcome.expected_steps) / outcome.danger_chance
    raise NotConvergedError(
        f"the least penalty must settle within {_MAX_STEPS} steps; it is near {penalty:g}; raise "
        f"tol"
    )
