"""How the parallel algorithms grow with the number of weights: rounds, depth, work, seconds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from coset.core.errors import ConfigError
from coset.core.files import write_json
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.sharing.plow import plow
from coset.sharing.prox import prox_sharing

__all__ = ["METHODS", "SECONDS_FILE", "RoundsConfig", "rounds"]

Input = Literal["normal-0.5", "normal-1.0", "normal-1.5", "half-zero", "plow"]

METHODS = ("pava", "imminent", "end", "search", "bridge")
SECONDS_FILE = "seconds.json"

# Strengths in units of the inputs: standard deviations; those of the half-zero input are 0.02.
_STRENGTHS: dict[str, float] = {
    "normal-0.5": 0.5,
    "normal-1.0": 1.0,
    "normal-1.5": 1.5,
    "half-zero": 1e-3,
    "plow": 1.0,
}


@dataclass(frozen=True)
class RoundsConfig:
    """One run of `sharing.rounds`.

    Attributes:
        input: "normal-G" (standard normal weights, strength G; large clusters appear at 1.2533),
            "half-zero" (half of the weights 0, half normal with σ = 0.02, strength 0.001), or
            "plow" (each weight collides only after the one before it, strength 1).
        sizes: numbers of weights, each ≥ 2.
        max_quadratic: the largest size for imminent collisions on the plow, and for end collisions
            elsewhere: they take a number of steps that grows with the size, each of them linear.
        seed: decides the weights.
    """

    input: Input = "normal-1.0"
    sizes: tuple[int, ...] = (100, 1000)
    max_quadratic: int = 1000
    seed: int = 0


_INPUTS = tuple(_STRENGTHS)


@experiment(
    "sharing.rounds",
    title="Rounds, depth and work of the parallel algorithms",
    presets={
        "smoke": Preset(RoundsConfig(), {"input": _INPUTS, "seed": (0,)}),
        "cpu": Preset(
            RoundsConfig(
                sizes=(100, 316, 1000, 3162, 10_000, 31_622, 100_000), max_quadratic=10_000
            ),
            {"input": _INPUTS, "seed": (1, 2, 3)},
        ),
        "paper": Preset(
            RoundsConfig(sizes=(1000, 10_000, 100_000, 1_000_000), max_quadratic=31_622),
            {"input": _INPUTS, "seed": (1, 2, 3)},
        ),
    },
    claims=("sharing.C13", "sharing.C14", "sharing.C15", "sharing.C18"),
    figures=(
        "coset.sharing.figures:rounds_by_size",
        "coset.sharing.figures:costs_by_size",
        "coset.sharing.figures:seconds_by_size",
    ),
    cost={"smoke": 3.0, "cpu": 110.0},
)
def rounds(config: RoundsConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Run every method at every size; write the seconds that each took to a file of their own.

    Args:
        config: the settings.
        run: source of randomness; its folder gets ``seconds.json``, measured once a row.

    Yields:
        A row a method and size: strength, rounds, depth and work as `ClusterInfo` defines them,
        clusters, and whether the clusters are those of "pava".

    Raises:
        ConfigError: if a size is too small, or there is none.
    """
    if not config.sizes or min(config.sizes) < 2:
        raise ConfigError(f"sizes must be integers ≥ 2, at least one; given {config.sizes}")
    g, seconds = _STRENGTHS[config.input], []
    pairs = list(itertools.product(config.sizes, METHODS))
    warm_up = torch.linspace(0, 1, 8, dtype=torch.float64)
    for method in METHODS:  # compiling is no part of the seconds
        prox_sharing(warm_up, 0.5, method=method, return_info=True)
    for number, (size, method) in enumerate(pairs):
        run.progress(number, len(pairs), f"{method}, {size:,} weights")
        if size > config.max_quadratic and _is_quadratic(method, config.input):
            continue
        if method == METHODS[0]:
            w = _weights(config.input, size, run)
        start = time.perf_counter()
        _, info = prox_sharing(w, g, method=method, return_info=True)
        seconds.append(
            {"method": method, "num_weights": size, "seconds": time.perf_counter() - start}
        )
        if method == METHODS[0]:
            right = info.starts
        yield {
            "method": method,
            "num_weights": size,
            "strength": g,
            "rounds": info.rounds,
            "depth": info.depth,
            "work": info.work,
            "num_clusters": info.num_clusters,
            "same_clusters": bool(torch.equal(info.starts, right)),
        }
    run.progress(len(pairs), len(pairs), "done")
    write_json(run.folder / SECONDS_FILE, seconds)


def _is_quadratic(method: str, input: str) -> bool:
    return method == ("imminent" if input == "plow" else "end")


def _weights(input: str, size: int, run: RunContext) -> Tensor:
    """Draw the same normal weights for all inputs, so that they differ by what their name says."""
    generator = run.generator("weights", size, without=("input", "sizes", "max_quadratic"))
    normal = torch.randn(size, generator=generator, dtype=torch.float64)
    if input == "half-zero":
        return 0.02 * normal * (torch.rand(size, generator=generator) < 0.5)
    if input == "plow":
        return plow(size, _STRENGTHS[input])[torch.randperm(size, generator=generator)]
    return normal
