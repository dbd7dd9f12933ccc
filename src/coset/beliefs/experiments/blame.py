"""Is the belief that does not fit the one to blame? One wrong belief is planted and looked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from coset.beliefs.blame import blame
from coset.beliefs.claims.laws import consistent_graph
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["PlantedConflictConfig", "planted_conflict"]


@dataclass(frozen=True)
class PlantedConflictConfig:
    """One run of `beliefs.planted-conflict`.

    Attributes:
        num_cases: random graphs, ≥ 0.
        num_variables: of each, from 3 to 9.
        num_arcs: of each, ≥ 2.
        seed: decides the graphs.
    """

    num_cases: int = 100
    num_variables: int = 5
    num_arcs: int = 8
    seed: int = 0


@experiment(
    "beliefs.planted-conflict",
    title="One belief that does not fit the others: is it the one to blame?",
    presets={
        "smoke": Preset(PlantedConflictConfig(6)),
        "cpu": Preset(PlantedConflictConfig(), {"num_arcs": (4, 8, 12, 16)}),
        "paper": Preset(PlantedConflictConfig(1000), {"num_arcs": (4, 8, 12, 16)}),
    },
    figures=("coset.beliefs.figures:blame_hypergraph",),
    cost={"smoke": 1.0, "cpu": 30.0, "paper": 300.0},
)
def planted_conflict(config: PlantedConflictConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Draw beliefs that agree, replace one, and ask which is to blame.

    Args:
        config: the settings.
        run: source of randomness, and progress.

    Yields:
        Rows of kind "arc", for the beliefs about a lawn in `lawn`: as `Blame.rows`; then of kind
        "planted", one a graph: case, num_arcs, inconsistency in nats, rank of the wrong belief by
        conflict (1 is most), its share of all conflict, and fair_share = 1/num_arcs.

    Raises:
        ConfigError: if a number is out of range.
    """
    if config.num_cases < 0 or not 3 <= config.num_variables <= 9 or config.num_arcs < 2:
        raise ConfigError(
            f"num_cases ≥ 0, num_variables from 3 to 9 and num_arcs ≥ 2; given "
            f"{config.num_cases}, {config.num_variables}, {config.num_arcs}"
        )
    for row in blame(lawn()).rows():
        yield {"kind": "arc", **row}
    generator = run.generator("graphs", without=("num_cases",))
    for case in range(config.num_cases):
        run.progress(case, config.num_cases)
        agreed = consistent_graph(
            random_graph(
                config.num_variables,
                config.num_arcs,
                num_sources=(0, 2),
                num_targets=(1, 1),
                generator=generator,
            ),
            generator,
        )
        name = f"p{int(torch.randint(0, config.num_arcs, (), generator=generator))}"
        arc = agreed.arcs[name]
        table = random_table(*agreed.cards((*arc.sources, *arc.targets)), generator=generator)
        agreed.arcs[name] = replace(arc, cpd=table)
        found = blame(agreed)
        order = [item.arc for item in found.arcs]
        yield {
            "kind": "planted",
            "case": case,
            "num_arcs": config.num_arcs,
            "inconsistency": found.value,
            "rank": order.index(name) + 1,
            "share": found.arcs[order.index(name)].share,
            "fair_share": 1 / config.num_arcs,
        }


def lawn() -> PDG:
    """Return beliefs about a lawn, of which the neighbor's does not fit the others.

    Returns:
        A graph of four variables and six arcs.
    """
    pdg = PDG(
        {
            "rain": ["no", "yes"],
            "sprinkler": ["off", "on"],
            "grass": ["dry", "wet"],
            "shoes": ["dry", "wet"],
        }
    )

    def table(values: Any) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64)

    pdg.add("almanac", "rain", cpd=table([0.8, 0.2]))
    pdg.add("timer", "sprinkler", "rain", cpd=table([[0.6, 0.4], [0.95, 0.05]]))
    grass = [[[0.98, 0.02], [0.1, 0.9]], [[0.2, 0.8], [0.01, 0.99]]]
    pdg.add("lawn", "grass", ("rain", "sprinkler"), cpd=table(grass))
    pdg.add("walk", "shoes", "grass", cpd=table([[0.9, 0.1], [0.3, 0.7]]), beta=0.5)
    pdg.add("neighbor", "rain", "grass", cpd=table([[0.2, 0.8], [0.05, 0.95]]))
    pdg.observe("shoes", "dry")
    return pdg
