"""Frozen lake: what safety first, goal first, and a discount each do on slippery ice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from coset.core.errors import ConfigError
from coset.decisions.envs.toy_text import from_toy_text
from coset.decisions.experiments.grid_rows import cell_rows, policy_row
from coset.decisions.processes.objectives import objectives
from coset.decisions.solvers.solving import solve
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

if TYPE_CHECKING:
    import gymnasium

__all__ = ["FrozenLakeConfig", "frozen_lake"]

Map = Literal["4x4", "8x8", "random"]
# Goal-first needs no discount; safety-first needs one below it, or it could wait for ever.
_LEXICOGRAPHIC = ("safety,goal@0.99", "goal,steps")


@dataclass(frozen=True)
class FrozenLakeConfig:
    """One run of `decisions.frozen-lake`.

    Attributes:
        map: Gymnasium's map of that name, or a random one.
        size: rows of a random map.
        frozen: the share of its cells that are not holes.
        seed: decides the random map.
        success_rate: the chance that a step goes as meant; else it slips left or right.
        gammas: discounts of the scalar agents, which are paid 1 at the goal.
        tol: error asked for at each objective.
    """

    map: Map = "4x4"
    size: int = 12
    frozen: float = 0.95
    seed: int = 0
    success_rate: float = 1 / 3
    gammas: tuple[float, ...] = (0.9, 0.95, 0.99, 0.999)
    tol: float = 1e-6


@experiment(
    "decisions.frozen-lake",
    title="What do safety first, goal first and a discount do on slippery ice?",
    presets={
        "smoke": Preset(FrozenLakeConfig(), {"map": ("4x4", "8x8")}),
        "cpu": Preset(FrozenLakeConfig(), {"map": ("4x4", "8x8", "random")}),
        "paper": Preset(FrozenLakeConfig(size=30), {"map": ("4x4", "8x8", "random")}),
    },
    claims=("decisions.C16",),
    figures=(
        "coset.decisions.figures:lake_maps",
        "coset.decisions.figures:lake_maps_large",
        "coset.decisions.figures:lake_outcomes",
    ),
)
def frozen_lake(config: FrozenLakeConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Solve one lake under each objective, and follow the policies.

    Args:
        config: the settings.
        run: for progress.

    Yields:
        For each agent one row of kind "policy" and one of kind "cell" for each cell, see
        `grid_rows`; all carry map, agent (its objectives), gamma (``None`` for those in order), and
        is_lexicographic.

    Raises:
        ConfigError: if a setting is impossible.

    Claims: decisions.C16.
    """
    model = from_toy_text(_lake(config))
    agents: list[tuple[str, float | None]] = [(names, None) for names in _LEXICOGRAPHIC]
    agents += [(f"goal@{gamma:g}", gamma) for gamma in config.gammas]
    for done, (names, gamma) in enumerate(agents):
        run.progress(done, len(agents), names)
        mdp = objectives(model, names)
        solution = solve(mdp, tol=config.tol)
        labels = {
            "map": config.map,
            "agent": names.replace(",", " > "),
            "gamma": gamma,
            "is_lexicographic": gamma is None,
        }
        yield {"kind": "policy", **labels, **policy_row(model, solution)}
        for row in cell_rows(model, mdp, solution):
            yield {"kind": "cell", **labels, **row}


def _lake(config: FrozenLakeConfig) -> gymnasium.Env[Any, Any]:
    import gymnasium
    from gymnasium.envs.toy_text.frozen_lake import generate_random_map

    if not 0 < config.success_rate <= 1:
        raise ConfigError(f"success_rate must be in (0, 1]; given {config.success_rate}")
    if not all(0 < gamma < 1 for gamma in config.gammas):
        raise ConfigError(f"gammas must lie in (0, 1); given {config.gammas}")
    options: dict[str, Any] = {"map_name": config.map}
    if config.map == "random":
        if not (2 <= config.size <= 100 and 0.5 <= config.frozen <= 1):
            raise ConfigError(
                f"size must be 2 to 100 and frozen in [0.5, 1]; given {config.size} and "
                f"{config.frozen}"
            )
        options = {"desc": generate_random_map(config.size, config.frozen, config.seed)}
    return gymnasium.make("FrozenLake-v1", success_rate=config.success_rate, **options)
