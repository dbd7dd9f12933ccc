"""Belief propagation by foci: marginals of random trees, and sweeps over a grid with cycles."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from coset.beliefs.classics.sum_product import (
    Factors,
    brute_force_marginals,
    random_factor_graph,
    sum_product,
    sum_product_marginals,
)
from coset.beliefs.foci.belief_propagation import (
    bp_beliefs,
    bp_schedule,
    message_graph,
    to_factor,
    to_variable,
)
from coset.beliefs.pdg.factor_graph import from_factor_graph
from coset.beliefs.resolve.lir import lir
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from coset.beliefs.pdg.graph import PDG

__all__ = ["BeliefPropagationConfig", "belief_propagation"]


@dataclass(frozen=True)
class BeliefPropagationConfig:
    """One run of `beliefs.belief-propagation`.

    Attributes:
        graph: "trees" (random, leaves to root and back) or "grid" (flooding).
        num_graphs: how many trees.
        max_variables: of a tree, from 4 on.
        side: of the grid, two values a variable.
        coupling: of the grid: factors exp(J x y) with J normal with this deviation, x, y = ±1.
        num_sweeps: over the grid.
        seed: of the tables.
    """

    graph: Literal["trees", "grid"] = "trees"
    num_graphs: int = 100
    max_variables: int = 12
    side: int = 3
    coupling: float = 1.0
    num_sweeps: int = 12
    seed: int = 0


@experiment(
    "beliefs.belief-propagation",
    title="Belief propagation by foci, on random trees and on a grid with cycles",
    presets={
        "smoke": Preset(
            BeliefPropagationConfig(num_graphs=2, max_variables=5, side=2, num_sweeps=4),
            {"graph": ("trees", "grid")},
        ),
        "cpu": Preset(BeliefPropagationConfig(), {"graph": ("trees", "grid")}),
        "paper": Preset(
            BeliefPropagationConfig(num_graphs=400, side=4, num_sweeps=20),
            {"graph": ("trees", "grid")},
        ),
    },
    claims=("beliefs.C16",),
    figures=("coset.beliefs.figures:bp_residuals",),
)
def belief_propagation(
    config: BeliefPropagationConfig, run: RunContext
) -> Iterator[dict[str, Any]]:
    """Send messages by `lir`, and compare them with sum-product and with the whole joint.

    Args:
        config: the settings.
        run: for randomness and progress.

    Yields:
        Rows with graph, seed, number (of the tree, or of the sweep from 1), num_variables,
        error (of marginals by the whole joint), difference (of messages from sum-product; for trees
        after as many sweeps as they have variables, of beliefs) and residual (the largest change
        of a message in the sweep; ``None`` for trees).

    Raises:
        ConfigError: if a setting is out of range.

    Claims: beliefs.C16.
    """
    sizes = (config.num_graphs, config.num_sweeps, config.max_variables - 3, config.side - 1)
    if min(sizes) < 1 or config.max_variables > 14 or config.side > 4:
        raise ConfigError(
            "counts are ≥ 1, trees have 4 to 14 variables, grids sides of 2 to 4; given "
            f"{config.num_graphs} trees of {config.max_variables}, a side of {config.side}"
        )
    generator = run.generator("tables")
    rows = _trees(config, run, generator) if config.graph == "trees" else _grid(config, generator)
    for row in rows:
        yield {"graph": config.graph, "seed": config.seed, **row}


def _trees(
    config: BeliefPropagationConfig, run: RunContext, generator: torch.Generator
) -> Iterator[dict[str, Any]]:
    for number in range(config.num_graphs):
        run.progress(number, config.num_graphs, "trees")
        size = 4 + number % (config.max_variables - 3)
        cards, factors = random_factor_graph(size, generator=generator)
        pdg, _ = from_factor_graph(cards, factors)
        graph, foci = message_graph(pdg), bp_schedule(pdg, "two-pass")
        lir(graph, foci, len(foci), gamma=1.0, overall_every=0)
        found = bp_beliefs(graph)
        messages = next(itertools.islice(sum_product(cards, factors), size - 1, None))
        yield {
            "number": number,
            "num_variables": size,
            "error": _largest(found, brute_force_marginals(cards, factors)),
            "difference": _largest(found, sum_product_marginals(cards, messages)),
            "residual": None,
        }


def _grid(config: BeliefPropagationConfig, generator: torch.Generator) -> Iterator[dict[str, Any]]:
    cards, factors = _ising_grid(config.side, config.coupling, generator)
    pdg, _ = from_factor_graph(cards, factors)
    graph, foci = message_graph(pdg), bp_schedule(pdg)
    exact, textbook = brute_force_marginals(cards, factors), sum_product(cards, factors)
    before = _messages(graph, factors)
    for sweep in range(1, config.num_sweeps + 1):
        lir(graph, foci, len(foci), gamma=1.0, overall_every=0)
        after, classic = _messages(graph, factors), next(textbook)
        wanted = {key: torch.tensor(m, dtype=torch.float64) for key, m in classic.items()}
        yield {
            "number": sweep,
            "num_variables": config.side**2,
            "error": _largest(bp_beliefs(graph), exact),
            "difference": _largest(after, wanted),
            "residual": _largest(after, before),
        }
        before = after


def _ising_grid(
    side: int, coupling: float, generator: torch.Generator
) -> tuple[dict[str, int], dict[str, tuple[tuple[str, ...], Tensor]]]:
    cells = list(itertools.product(range(side), repeat=2))
    cards = {f"v{i}{j}": 2 for i, j in cells}
    factors: dict[str, tuple[tuple[str, ...], Tensor]] = {}
    spin = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    for i, j in cells:
        field = torch.randn((), generator=generator, dtype=torch.float64)
        factors[f"g{i}{j}"] = (f"v{i}{j}",), (0.5 * field * spin).exp()
        for k, m in ((i + 1, j), (i, j + 1)):
            if k < side and m < side:
                strength = coupling * torch.randn((), generator=generator, dtype=torch.float64)
                table = (strength * torch.outer(spin, spin)).exp()
                factors[f"f{i}{j}-{k}{m}"] = (f"v{i}{j}", f"v{k}{m}"), table
    return cards, factors


def _messages(graph: PDG, factors: Factors) -> dict[tuple[str, str], Tensor]:
    found = {}
    for factor, (scope, _) in factors.items():
        for x in scope:
            found[x, factor] = graph.arcs[to_factor(x, factor)].probabilities().detach()
            found[factor, x] = graph.arcs[to_variable(factor, x)].probabilities().detach()
    return found


def _largest(found: Mapping[Any, Tensor], wanted: Mapping[Any, Tensor]) -> float:
    return max(float((found[key] - table).abs().max()) for key, table in wanted.items())
