"""The whole path of a few weights: their dendrogram, and the convex minorant at one strength."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment
from coset.sharing.merge_tree import count_rows, tree_rows
from coset.sharing.path import sharing_path
from coset.sharing.prox import prox_sharing
from coset.sharing.strengths import critical_strength, predicted_unique_fraction

__all__ = ["DendrogramConfig", "dendrogram", "hull_rows"]

Row = dict[str, Any]


@dataclass(frozen=True)
class DendrogramConfig:
    """One run of `sharing.dendrogram`.

    Attributes:
        density: of the weights: "normal" (standard), "uniform" (on [0, 1]) or "two levels" (normal
            with σ = 0.4 about 0 and 3, as likely).
        num_weights: weights of the dendrogram, ≥ 2.
        num_ranks: weights of the cumulative sums, ≥ 2.
        hull_strength: their strength, in units of their standard deviation, ≥ 0.
        seed: decides all of them.
    """

    density: Literal["normal", "uniform", "two levels"] = "normal"
    num_weights: int = 60
    num_ranks: int = 14
    hull_strength: float = 1.0
    seed: int = 0


def _draw(density: str, count: int, generator: torch.Generator) -> Tensor:
    if density == "uniform":
        return torch.rand(count, generator=generator, dtype=torch.float64)
    w = torch.randn(count, generator=generator, dtype=torch.float64)
    if density == "normal":
        return w
    return 0.4 * w + 3.0 * torch.randint(2, (count,), generator=generator)


def _peak(x: float, center: float, sigma: float) -> float:
    return math.exp(-(((x - center) / sigma) ** 2) / 2) / (sigma * math.sqrt(2 * math.pi))


def _law(density: str) -> tuple[float, float]:
    """Return ∫p² and the critical strength of a density."""
    line = (-math.inf, math.inf)
    if density == "uniform":
        fraction = predicted_unique_fraction(lambda x: 1.0, 0.5, support=(0.0, 1.0))
        return 1 - fraction, critical_strength(1.0)
    if density == "normal":
        fraction = predicted_unique_fraction(lambda x: _peak(x, 0.0, 1.0), 0.5, support=line)
        return 1 - fraction, critical_strength(_peak(0.0, 0.0, 1.0))

    def levels(x: float) -> float:
        return (_peak(x, 0.0, 0.4) + _peak(x, 3.0, 0.4)) / 2

    fraction = predicted_unique_fraction(levels, 0.5, support=(-6.0, 9.0))
    return 1 - fraction, critical_strength(levels(0.0))


def hull_rows(w: Tensor, strength: float) -> list[Row]:
    """Return cumulative sums of the particles' free flight and of their prox, which bounds them.

    S_k = Σ_{r<k} (x_r + g v_r) for sorted, centered weights; the sums of the sorted prox are its
    greatest convex minorant (sharing.C3).

    Args:
        w: (d,) float, d ≥ 2.
        strength: g ≥ 0.

    Returns:
        Rows of kind "hull": rank k = 0 … d, cumulative, minorant, and whether a cluster ends at k.
    """
    d = w.numel()
    x = (w.double() - w.double().mean()).sort().values
    velocity = torch.arange(d - 1, -d, -2, dtype=torch.float64) / (d - 1)
    out, info = prox_sharing(x, strength, return_info=True)
    corners = {*info.starts.tolist(), d}
    sums = (x + strength * velocity).cumsum(0).tolist()
    below = out.cumsum(0).tolist()
    return [
        {"kind": "hull", "rank": k, "cumulative": s, "minorant": m, "corner": k in corners}
        for k, (s, m) in enumerate(zip([0.0, *sums], [0.0, *below], strict=True))
    ]


@experiment(
    "sharing.dendrogram",
    title="The whole path: which weights merge at which strength, and the convex minorant",
    presets={
        "smoke": Preset(DendrogramConfig()),
        "cpu": Preset(
            DendrogramConfig(), {"density": ("normal", "uniform", "two levels"), "seed": (1, 2, 3)}
        ),
        "paper": Preset(
            DendrogramConfig(num_weights=1000),
            {"density": ("normal", "uniform", "two levels"), "seed": (1, 2, 3)},
        ),
    },
    claims=("sharing.C3", "sharing.C4", "sharing.C16"),
    figures=("coset.sharing.figures:dendrogram", "coset.sharing.figures:convex_minorant"),
)
def dendrogram(config: DendrogramConfig, run: RunContext) -> Iterator[Row]:
    """Record all merges of a few weights, and cumulative sums with their convex minorant.

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        The rows of `tree_rows` (at most 60 leaves), `count_rows` and `hull_rows`.

    Raises:
        ConfigError: if a count is too small or the strength negative.
    """
    for name in ("num_weights", "num_ranks"):
        if getattr(config, name) < 2:
            raise ConfigError(f"{name} must be ≥ 2; given {getattr(config, name)}")
    if not 0 <= config.hull_strength < math.inf:
        raise ConfigError(f"hull_strength must be a number ≥ 0; given {config.hull_strength}")
    path = sharing_path(_draw(config.density, config.num_weights, run.generator("tree")))
    yield from tree_rows(path, 60)
    yield from count_rows(path, *_law(config.density))
    w = _draw(config.density, config.num_ranks, run.generator("hull"))
    yield from hull_rows(w, config.hull_strength * float(w.std()))
