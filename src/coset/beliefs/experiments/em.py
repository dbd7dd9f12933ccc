"""EM by foci beside EM in closed form: latent classes, and a mixture of Gaussians on iris."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from coset.beliefs.classics.em import (
    gaussian_log_density,
    gaussian_mixture_em,
    latent_class_em,
    latent_class_log_likelihood,
)
from coset.beliefs.foci.expectation_maximization import (
    GaussianComponents,
    em,
    latent_class_graph,
    mixture_graph,
)
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.resolve.lir import lir
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

if TYPE_CHECKING:
    from torch import Tensor

    from coset.beliefs.pdg.graph import PDG

__all__ = ["EMConfig", "em_beside_closed_form"]

# Iris was measured to a tenth of a centimeter in each of four directions.
_CELL = 0.1**4


@dataclass(frozen=True)
class EMConfig:
    """One run of `beliefs.em`.

    Attributes:
        model: "latent-class" (random data, three visible variables) or "mixture" (iris).
        seed: of the data and the start.
        num_classes: Z.
        num_iterations: of EM, two foci each.
    """

    model: Literal["latent-class", "mixture"] = "latent-class"
    seed: int = 0
    num_classes: int = 3
    num_iterations: int = 10


class _LatentClass:
    """Random data and a model that cannot fit them exactly."""

    def __init__(self, config: EMConfig, generator: torch.Generator) -> None:
        cards, classes = (3, 4, 3), config.num_classes
        self.data = random_table(*cards, num_targets=len(cards), generator=generator)
        weights = random_table(classes, generator=generator)
        tables = [random_table(classes, card, generator=generator) for card in cards]
        self.graph = latent_class_graph(self.data, weights, tables)
        self._steps = latent_class_em(self.data, weights, tables)

    def found(self) -> list[Tensor]:
        """Return the parameters as they are in the graph."""
        names = ["class", *(f"x{k}" for k in range(self.data.ndim))]
        return [self.graph.arcs[name].probabilities().detach() for name in names]

    def classic(self) -> list[Tensor]:
        """Return the parameters after the next iteration in closed form."""
        weights, tables = next(self._steps)
        return [weights, *tables]

    def likelihood(self) -> float:
        """Return E_D log p."""
        weights, *tables = self.found()
        return latent_class_log_likelihood(self.data, weights, tables)


class _Mixture:
    """Iris, and three Gaussians that start at flowers, as wide as all of the data."""

    def __init__(self, config: EMConfig, generator: torch.Generator) -> None:
        from sklearn.datasets import load_iris

        self.points = torch.tensor(load_iris().data, dtype=torch.float64)
        classes = config.num_classes
        weights = torch.full((classes,), 1.0 / classes, dtype=torch.float64)
        means = self.points[torch.randperm(len(self.points), generator=generator)[:classes]]
        covariances = torch.cov(self.points.T).expand(classes, -1, -1)
        self.components = GaussianComponents(means, covariances)
        self.graph: PDG = mixture_graph(self.points, weights, self.components, cell=_CELL)
        self._steps = gaussian_mixture_em(self.points, weights, means, covariances)

    def found(self) -> list[Tensor]:
        """Return the parameters as they are in the graph."""
        weights = self.graph.arcs["class"].probabilities().detach()
        return [weights, *self.components.moments()]

    def classic(self) -> list[Tensor]:
        """Return the parameters after the next iteration in closed form."""
        return list(next(self._steps))

    def likelihood(self) -> float:
        """Return the mean log density of the points."""
        weights, *moments = self.found()
        log_joint = weights.log() + gaussian_log_density(self.points, *moments)
        return float(log_joint.logsumexp(-1).mean())


@experiment(
    "beliefs.em",
    title="Expectation maximization by two foci, beside its closed form",
    presets={
        "smoke": Preset(EMConfig(num_iterations=2), {"model": ("latent-class", "mixture")}),
        "cpu": Preset(EMConfig(), {"model": ("latent-class", "mixture"), "seed": (0, 1, 2)}),
        "paper": Preset(
            EMConfig(num_iterations=30),
            {"model": ("latent-class", "mixture"), "seed": (0, 1, 2, 3, 4)},
        ),
    },
    claims=("beliefs.C15", "beliefs.C15c"),
    figures=("coset.beliefs.figures:em_staircase",),
)
def em_beside_closed_form(config: EMConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Run both side by side.

    Args:
        config: the settings.
        run: for randomness and progress.

    Yields:
        For each focus a row: model, seed, iteration, focus ("E" or "M"), inconsistency of the whole
        graph in nats, log_likelihood (mean, in nats) and difference (of parameters from the
        iterate in closed form, the largest; ``None`` after E, which has none of its own).

    Raises:
        ConfigError: if a count is not positive.

    Claims: beliefs.C15, beliefs.C15c.
    """
    if config.num_classes < 1 or config.num_iterations < 1:
        raise ConfigError(f"counts are ≥ 1; given {config.num_classes}, {config.num_iterations}")
    kind = _Mixture if config.model == "mixture" else _LatentClass
    study = kind(config, run.generator("start", without=["num_iterations"]))
    foci = em(study.graph)
    for iteration in range(1, config.num_iterations + 1):
        run.progress(iteration - 1, config.num_iterations, config.model)
        for focus in foci:
            trace = lir(study.graph, [focus], 1, gamma=1.0)
            row = {"model": config.model, "seed": config.seed, "iteration": iteration}
            yield row | {
                "focus": focus.name,
                "inconsistency": float(trace.steps[0].overall),
                "log_likelihood": study.likelihood(),
                "difference": _difference(study) if focus.name == "M" else None,
            }


def _difference(study: _LatentClass | _Mixture) -> float:
    pairs = zip(study.found(), study.classic(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)
