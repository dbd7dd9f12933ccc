"""The phase diagram: a macroscopic cluster appears at a strength, and takes up the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from torch import Tensor

from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.sharing.path import SharingPath, sharing_path
from coset.sharing.strengths import critical_strength, predicted_unique_fraction

__all__ = ["PhaseConfig", "phase_diagram", "predicted_fractions"]


@dataclass(frozen=True)
class PhaseConfig:
    """One run of `sharing.phase-diagram`.

    Attributes:
        density: of the weights, each of standard deviation 1: "normal", "uniform", "Laplace" or
            "logistic".
        num_weights: d, ≥ 2.
        num_strengths: how many strengths are looked at, ≥ 2.
        last_strength: the largest of them, > 0; they are spread evenly from 0 on.
        seed: decides the weights.
    """

    density: Literal["normal", "uniform", "Laplace", "logistic"] = "normal"
    num_weights: int = 50_000
    num_strengths: int = 61
    last_strength: float = 3.0
    seed: int = 0


@dataclass(frozen=True)
class _Density:
    """A symmetric density of standard deviation 1 that does not increase away from 0."""

    pdf: Callable[[float], float]
    cdf: Callable[[float], float]
    support: tuple[float, float]
    sample: Callable[[int, torch.Generator], Tensor]


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, dtype=torch.float64)


def _laplace(count: int, generator: torch.Generator) -> Tensor:
    u = _uniform(count, generator) - 0.5
    return -u.sign() * torch.log1p(-2 * u.abs()) / math.sqrt(2)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x * _LOGISTIC_SIGMA))


_LOGISTIC_SIGMA = math.pi / math.sqrt(3)  # of the logistic density of scale 1
_HALF = math.sqrt(3)  # half of the width of the uniform density of deviation 1
_LINE = (-math.inf, math.inf)
_DENSITIES = {
    "normal": _Density(
        lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        lambda x: (1 + math.erf(x / math.sqrt(2))) / 2,
        _LINE,
        lambda n, generator: torch.randn(n, generator=generator, dtype=torch.float64),
    ),
    "uniform": _Density(
        lambda x: 0.5 / _HALF,
        lambda x: min(1.0, 0.5 + 0.5 * x / _HALF),
        (-_HALF, _HALF),
        lambda n, generator: _HALF * (2 * _uniform(n, generator) - 1),
    ),
    "Laplace": _Density(
        lambda x: math.exp(-math.sqrt(2) * abs(x)) / math.sqrt(2),
        lambda x: 1 - math.exp(-math.sqrt(2) * x) / 2,
        (-30.0, 30.0),
        _laplace,
    ),
    "logistic": _Density(
        lambda x: _LOGISTIC_SIGMA * _logistic(x) * _logistic(-x),
        _logistic,
        (-40.0, 40.0),
        lambda n, generator: torch.logit(_uniform(n, generator)) / _LOGISTIC_SIGMA,
    ),
}


def predicted_fractions(density: str, strength: float) -> tuple[float, float]:
    """Predict the shares of distinct values and of the largest cluster, below and above g_c.

    Below g_c: 1 − 2 g ∫p² and 0. Above: the cluster has taken up the weights of [−a, a], whose
    edge moves at the speed 2F(a) − 1 and arrives at time g: a = g (2F(a) − 1), a > 0; outside of
    it the law of sharing.C16 holds, 2 ∫_a^∞ p (1 − 2 g p). Mean-field arguments without proof
    [derived].

    Args:
        density: a name of `PhaseConfig.density`.
        strength: g ≥ 0.

    Returns:
        (distinct values ÷ weights, largest cluster ÷ weights), for infinitely many weights.

    Claims: sharing.C16, sharing.C17.
    """
    known = _DENSITIES[density]
    critical = critical_strength(known.pdf(0.0))
    if strength <= critical:
        return predicted_unique_fraction(known.pdf, strength, support=known.support), 0.0
    end = min(known.support[1], 40.0)

    def excess(a: float) -> float:
        return strength * (2 * known.cdf(a) - 1) - a

    if excess(end) >= 0:  # the edge of the support has arrived as well
        return 0.0, 1.0
    if excess(1e-9) <= 0:  # within rounding of the critical strength
        return predicted_unique_fraction(known.pdf, critical, support=known.support), 0.0
    edge = float(brentq(excess, 1e-9, end))
    rest, _ = quad(lambda x: known.pdf(x) * (1 - 2 * strength * known.pdf(x)), edge, end, limit=200)
    return 2 * float(rest), 2 * known.cdf(edge) - 1


def _largest(path: SharingPath, strength: float) -> int:
    """Return the mass of the heaviest cluster: that of a merge so far, or a single weight."""
    if path.num_unique(strength) == path.num_weights:
        return 1
    done = path.num_weights - path.num_unique(strength)
    return int((path.merges[:done, 3] - path.merges[:done, 1]).max())


_ALL = ("normal", "uniform", "Laplace", "logistic")


@experiment(
    "sharing.phase-diagram",
    title="A macroscopic cluster appears at a critical strength",
    presets={
        "smoke": Preset(PhaseConfig(), {"density": ("normal", "uniform"), "seed": (0,)}),
        "cpu": Preset(
            PhaseConfig(num_weights=1_000_000), {"density": _ALL, "seed": (1, 2, 3, 4, 5)}
        ),
        "paper": Preset(
            PhaseConfig(num_weights=10_000_000), {"density": _ALL, "seed": (1, 2, 3, 4, 5)}
        ),
    },
    claims=("sharing.C16", "sharing.C17"),
    figures=("coset.sharing.figures:phase_diagram", "coset.sharing.figures:phase_distinct"),
)
def phase_diagram(config: PhaseConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Follow the whole path of many independent weights of standard deviation 1.

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        One row a strength (in standard deviations of the density): distinct_fraction and
        largest_fraction as measured, predicted_distinct_fraction and predicted_largest_fraction of
        the laws for infinitely many weights, and critical_strength.

    Raises:
        ConfigError: if a count is too small or the last strength not positive.
    """
    for name in ("num_weights", "num_strengths"):
        if getattr(config, name) < 2:
            raise ConfigError(f"{name} must be ≥ 2; given {getattr(config, name)}")
    if not 0 < config.last_strength < math.inf:
        raise ConfigError(f"last_strength must be a number > 0; given {config.last_strength}")
    known, d = _DENSITIES[config.density], config.num_weights
    w = known.sample(d, run.generator("weights"))
    path = sharing_path(w, progress=lambda done, total: run.progress(done, total, "merges"))
    critical = critical_strength(known.pdf(0.0))
    for i in range(config.num_strengths):
        strength = config.last_strength * i / (config.num_strengths - 1)
        distinct, largest = predicted_fractions(config.density, strength)
        yield {
            "strength": strength,
            "distinct_fraction": path.num_unique(strength) / d,
            "largest_fraction": _largest(path, strength) / d,
            "predicted_distinct_fraction": distinct,
            "predicted_largest_fraction": largest,
            "critical_strength": critical,
        }
