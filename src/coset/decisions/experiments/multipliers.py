"""What multipliers do: how value iteration converges above 1, and cycles that are no discount."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch

from coset.core.errors import ConfigError
from coset.decisions.claims.contraction import two_states
from coset.decisions.claims.gauge import triangle, two_cycle
from coset.decisions.processes.gauge import gauge
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.potential import potential
from coset.decisions.solvers.policy_iteration import policy_iteration
from coset.decisions.solvers.radius import radius
from coset.decisions.solvers.transience import transience
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["ContractionConfig", "CyclesConfig", "contraction", "cycles", "random_growth"]


@dataclass(frozen=True)
class ContractionConfig:
    """One run of `decisions.contraction`.

    Attributes:
        model: the two states of multipliers 2 and 1/4, or a random level with rows above 1.
        num_states: of the random level.
        num_sweeps: sweeps of value iteration, from 0.
        seed: decides the random level.
    """

    model: Literal["two-states", "random"] = "two-states"
    num_states: int = 30
    num_sweeps: int = 40
    seed: int = 0


def random_growth(num_states: int, generator: torch.Generator) -> ScalarLevel:
    """Return a random level in which multipliers die out although rows sum to more than 1.

    Args:
        num_states: S ≥ 2.
        generator: the source of randomness.

    Returns:
        The level: two actions, three successors each, ρ* = 0.9.
    """
    shape = (num_states, 2, 3)
    size = 2.0 ** (4 * torch.rand(num_states, generator=generator, dtype=torch.float64) - 2)
    successor = torch.randint(0, num_states, shape, generator=generator)
    weight = torch.rand(shape, generator=generator, dtype=torch.float64)
    # A scale for each state lifts some rows above 1 and leaves the products along cycles alone.
    level = ScalarLevel(
        successor.int(),
        weight * size[successor] / size[:, None, None],
        torch.randn(shape[:2], generator=generator, dtype=torch.float64),
        torch.ones(shape[:2], dtype=torch.bool),
    )
    found = radius(level)
    return ScalarLevel(level.successor, level.weight, level.reward, level.allowed, 0.9 / found.high)


@experiment(
    "decisions.contraction",
    title="Value iteration where rows of multipliers sum to more than 1",
    presets={
        "smoke": Preset(ContractionConfig(), {"model": ("two-states", "random")}),
        "cpu": Preset(
            ContractionConfig(num_sweeps=60), {"model": ("two-states", "random"), "seed": (0, 1, 2)}
        ),
        "paper": Preset(
            ContractionConfig(num_states=100, num_sweeps=100),
            {"model": ("two-states", "random"), "seed": tuple(range(10))},
        ),
    },
    claims=("decisions.C17",),
    figures=("coset.decisions.figures:convergence",),
)
def contraction(config: ContractionConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Sweep from 0 and measure the change of each sweep in three norms.

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        One row a sweep: model, seed, sweep, residual_sup, residual_lifetime and residual_best (the
        largest change divided by 1, by the lifetimes, by the weights of the spectral radius),
        error_sup; and the constants row_sum, lifetime_factor, radius.

    Raises:
        ConfigError: if a size is not positive.
    """
    if config.num_states < 2 or config.num_sweeps < 1:
        raise ConfigError(
            f"num_states must be ≥ 2 and num_sweeps ≥ 1; given {config.num_states}, "
            f"{config.num_sweeps}"
        )
    level = two_states()
    if config.model == "random":
        source = run.generator("level", without=("num_sweeps",))
        level = random_growth(config.num_states, source)
    found, best = transience(level).throw(), radius(level)
    assert found.weights is not None
    exact, _, _ = policy_iteration(level)
    value = torch.zeros(level.num_states, dtype=torch.float64)
    for sweep in range(1, config.num_sweeps + 1):
        swept = level.backup(value)
        change, value = (swept - value).abs(), swept
        yield {
            "model": config.model,
            "seed": config.seed,
            "sweep": sweep,
            "residual_sup": float(change.max()),
            "residual_lifetime": float((change / found.weights).max()),
            "residual_best": float((change / best.weights).max()),
            "error_sup": float((value - exact).abs().max()),
            "row_sum": float(level.row_sums().max()),
            "lifetime_factor": found.factor,
            "radius": best.high,
        }


@dataclass(frozen=True)
class CyclesConfig:
    """One run of `decisions.cycles`.

    Attributes:
        defect: by which factor one multiplier of the circle of four states is off.
    """

    defect: float = 1.5


def _circle(defect: float) -> MDP:
    """Return four states in a circle and a chord, with multipliers of one discount but for one."""
    scale = torch.tensor([1.0, 2.0, 0.5, 1.5], dtype=torch.float64)
    successor = torch.tensor([[[1], [2]], [[2], [2]], [[3], [3]], [[0], [0]]])
    multiplier = 0.9 * scale[successor] / scale[:, None, None]
    multiplier[0, 1] *= defect  # of the chord 0→2
    mask = torch.tensor([[True, True], [True, False], [True, False], [True, False]])
    ones = torch.ones(4, 2, 1, dtype=torch.float64)
    return MDP(successor, ones, ones[..., 0], multiplier, mask=mask)


@experiment(
    "decisions.cycles",
    title="Multipliers that are a discount in disguise, and rewards that are a potential",
    presets={name: Preset(CyclesConfig()) for name in ("smoke", "cpu", "paper")},
    claims=("decisions.C5b", "decisions.C6d"),
    figures=("coset.decisions.figures:gauge_obstruction",),
)
def cycles(config: CyclesConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Look for scales and potentials of small graphs, and name the cycles that stand against them.

    Args:
        config: the settings.
        run: not used.

    Yields:
        Rows of kind "verdict": panel, what ("multiplier" or "reward"), holds, number (the discount,
        or the largest residual), reason; and of kind "edge": panel, tail, head, amount (m or r),
        fitted (what the scales make of it, or Φ(s') − Φ(s)), on_witness.

    Raises:
        ConfigError: if the defect is not positive.
    """
    if not config.defect > 0:
        raise ConfigError(f"defect must be > 0; given {config.defect}")
    panels: tuple[tuple[str, Literal["multiplier", "reward"], MDP], ...] = (
        ("two states", "multiplier", two_cycle()),
        ("a circle and a chord", "multiplier", _circle(config.defect)),
        ("rewards 1, 2, −3", "reward", triangle(-3.0)),
        ("rewards 1, 2, −2", "reward", triangle(-2.0)),
    )
    for panel, what, mdp in panels:
        yield from (_gauge_rows if what == "multiplier" else _potential_rows)(panel, mdp)


def _edges(mdp: MDP) -> Iterator[tuple[int, int, int]]:
    for state, action in torch.nonzero(mdp.allowed).tolist():
        yield state, action, int(mdp.successor[state, action, 0])


def _gauge_rows(panel: str, mdp: MDP) -> Iterator[dict[str, Any]]:
    found = gauge(mdp)
    yield {
        "kind": "verdict",
        "panel": panel,
        "what": "multiplier",
        "holds": found.holds,
        "number": found.discount,
        "reason": found.reason,
    }
    against = [] if found.witness is None else found.witness.edges[:, :2].tolist()
    for state, action, head in _edges(mdp):
        amount = float(mdp.entry(0, 0).expand(mdp.successor.shape)[state, action, 0])
        scale = found.scale
        yield {
            "kind": "edge",
            "panel": panel,
            "tail": state,
            "head": head,
            "amount": amount,
            "fitted": None if scale is None else amount * float(scale[head] / scale[state]),
            "on_witness": [state, action] in against,
        }


def _potential_rows(panel: str, mdp: MDP) -> Iterator[dict[str, Any]]:
    found = potential(mdp)
    assert found.potential is not None
    yield {
        "kind": "verdict",
        "panel": panel,
        "what": "reward",
        "holds": found.holds,
        "number": found.residual,
        "reason": found.reason,
    }
    against = [] if found.witness is None else found.witness.edges[:, :2].tolist()
    for state, action, head in _edges(mdp):
        yield {
            "kind": "edge",
            "panel": panel,
            "tail": state,
            "head": head,
            "amount": float(mdp.reward[state, action, 0, 0]),
            "fitted": float(found.potential[head] - found.potential[state]),
            "on_witness": [state, action] in against,
        }
