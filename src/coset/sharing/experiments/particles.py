"""Sticky particles: how weights merge as the strength grows, and how many stay distinct."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.sharing.particles import simulate_particles
from coset.sharing.prox import prox_sharing
from coset.sharing.strengths import (
    all_merge_strength,
    critical_strength,
    predicted_unique_fraction,
)

__all__ = ["ParticlesConfig", "particles"]


@dataclass(frozen=True)
class ParticlesConfig:
    """One run of `sharing.particles`.

    Attributes:
        density: of the initial positions: "normal" (standard) or "uniform" (on [0, 1]).
        num_particles: particles whose world-lines are recorded, ≥ 2.
        num_weights: weights whose distinct values are counted, ≥ 2.
        num_strengths: strengths at which they are counted, ≥ 2, up to 1.6 times the critical one.
        seed: decides both.
    """

    density: Literal["normal", "uniform"] = "normal"
    num_particles: int = 24
    num_weights: int = 20_000
    num_strengths: int = 25
    seed: int = 0


def _normal(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


# Density, its support and its largest value.
_DENSITIES: dict[str, tuple[Callable[[float], float], tuple[float, float], float]] = {
    "normal": (_normal, (-math.inf, math.inf), _normal(0.0)),
    "uniform": (lambda x: 1.0, (0.0, 1.0), 1.0),
}


@experiment(
    "sharing.particles",
    title="Weights as particles that stick: merges, and the law of distinct values",
    presets={
        "smoke": Preset(ParticlesConfig(), {"density": ("normal", "uniform"), "seed": (0,)}),
        "cpu": Preset(
            ParticlesConfig(num_weights=1_000_000),
            {"density": ("normal", "uniform"), "seed": (1, 2, 3)},
        ),
        "paper": Preset(
            ParticlesConfig(num_weights=10_000_000),
            {"density": ("normal", "uniform"), "seed": (1, 2, 3)},
        ),
    },
    claims=("sharing.C4", "sharing.C16", "sharing.C17"),
    figures=(
        "coset.sharing.figures:particle_lines",
        "coset.sharing.figures:distinct_values",
    ),
)
def particles(config: ParticlesConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Record world-lines of a few particles, and distinct values of many weights by strength.

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        Rows of kind "line" (particle, strength, position, mass: one a corner of a world-line),
        "count" (strength, fraction of distinct values, largest cluster, predicted fraction), and
        one of kind "critical" (the strength at which a macroscopic cluster is predicted).

    Raises:
        ConfigError: if a count is too small.
    """
    for name in ("num_particles", "num_weights", "num_strengths"):
        if getattr(config, name) < 2:
            raise ConfigError(f"{name} must be ≥ 2; given {getattr(config, name)}")
    critical = critical_strength(_DENSITIES[config.density][2])
    yield {"kind": "critical", "strength": critical}
    yield from _lines(_draw(config.density, config.num_particles, run.generator("lines")))
    weights = _draw(config.density, config.num_weights, run.generator("counts"))
    yield from _counts(weights, config, critical, run)


def _draw(density: str, count: int, generator: torch.Generator) -> Tensor:
    sample = torch.randn if density == "normal" else torch.rand
    return sample(count, generator=generator, dtype=torch.float64)


def _lines(w: Tensor) -> Iterator[dict[str, Any]]:
    """World-lines are straight between merges: the corners are all there is to know."""
    w = w.sort().values
    end = 1.15 * all_merge_strength(w)
    merges = simulate_particles(w, [end]).events
    times = sorted({0.0, *(event.time for event in merges), end})
    history = simulate_particles(w, times)
    for i, time in enumerate(times):
        for particle in range(w.numel()):
            yield {
                "kind": "line",
                "particle": particle,
                "strength": time,
                "position": float(history.positions[i, particle]),
                "mass": int(history.masses[i, particle]),
            }


def _counts(
    w: Tensor, config: ParticlesConfig, critical: float, run: RunContext
) -> Iterator[dict[str, Any]]:
    density, support, _ = _DENSITIES[config.density]
    d = w.numel()
    for i in range(config.num_strengths):
        strength = 1.6 * critical * i / (config.num_strengths - 1)
        _, info = prox_sharing(w, strength, return_info=True)
        law = predicted_unique_fraction(density, strength, support=support)
        yield {
            "kind": "count",
            "strength": strength,
            "distinct_fraction": info.num_clusters / d,
            "largest_fraction": int(info.masses.max()) / d,
            # The law is stated below the critical strength only.
            "predicted_fraction": law if strength <= critical else None,
        }
        run.progress(i + 1, config.num_strengths, f"strength {strength:.2f}")
