"""How much work an exact answer takes on a junction tree, by number of variables and width."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.tree.joint import TreeJoint
from coset.beliefs.tree.solver import solve_tree
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["TreeScalingConfig", "banded_graph", "tree_scaling"]


@dataclass(frozen=True)
class TreeScalingConfig:
    """One run of `beliefs.tree-scaling`.

    Attributes:
        num_variables: variables in a row, each ruled by up to `width` of those before it.
        widths: widths T to try.
        gammas: γ to try.
        card: values of a variable.
        tol: the gap ε at which the solver stops.
        max_iter: its most iterations.
        seed: decides the tables.
    """

    num_variables: int = 100
    widths: tuple[int, ...] = (1, 2, 4)
    gammas: tuple[float, ...] = (0.0, 0.1)
    card: int = 3
    tol: float = 1e-9
    max_iter: int = 5000
    seed: int = 0


def banded_graph(
    num_variables: int, width: int, card: int = 3, *, generator: torch.Generator | None = None
) -> PDG:
    """Draw a graph of given width in which beliefs conflict.

    Variable i has a belief given the `width` variables before it, and, for every second i, the
    variable before it one given those.

    Args:
        num_variables: at least 2.
        width: at least 1, less than `num_variables`.
        card: values of a variable.
        generator: the source of randomness.

    Returns:
        The graph, α = β = 1.

    Raises:
        ConfigError: if a number is out of range.

    Example:
        >>> banded_graph(4, 1, generator=torch.Generator().manual_seed(0))
        PDG(4 variables, 6 arcs)
    """
    if not 1 <= width < num_variables or card < 1:
        raise ConfigError(
            f"a width is ≥ 1 and less than num_variables, and card ≥ 1; given {width}, "
            f"{num_variables} and {card}"
        )
    pdg = PDG({f"X{i}": card for i in range(num_variables)})
    for i in range(num_variables):
        parents = [f"X{j}" for j in range(max(0, i - width), i)]
        shape = (card,) * (len(parents) + 1)
        pdg.add(f"p{i}", f"X{i}", parents, cpd=random_table(*shape, generator=generator))
        if i % 2:
            others = [*parents[:-1], f"X{i}"]
            table = random_table(*shape, generator=generator)
            pdg.add(f"q{i}", parents[-1], others, cpd=table)
    return pdg


@experiment(
    "beliefs.tree-scaling",
    title="Conflicting beliefs about many variables: how does the work of a solution grow?",
    presets={
        "smoke": Preset(TreeScalingConfig(widths=(1, 2)), {"num_variables": (10, 30, 100)}),
        "cpu": Preset(TreeScalingConfig(), {"num_variables": (10, 30, 100, 300, 1000, 3000)}),
        "paper": Preset(
            TreeScalingConfig(widths=(1, 2, 4, 6)),
            {"num_variables": (10, 30, 100, 300, 1000, 3000, 10_000)},
        ),
    },
    claims=("beliefs.C24",),
    figures=("coset.beliefs.figures:tree_scaling",),
    cost={"smoke": 3.0, "cpu": 60.0, "paper": 1200.0},
)
def tree_scaling(config: TreeScalingConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Solve banded graphs on their junction trees.

    Args:
        config: the settings.
        run: source of randomness, and progress.

    Yields:
        For each width and γ: num_variables, num_arcs, width, card, gamma, tol, entries (of all
        clusters), iterations, work (their product, the iterations counted from 1), value, gap, and
        dense_log10 (the order of magnitude of the dense joint).

    Raises:
        ConfigError: if a setting is impossible.

    Claims: beliefs.C24.
    """
    tasks = [(width, gamma) for width in config.widths for gamma in config.gammas]
    for done, (width, gamma) in enumerate(tasks):
        run.progress(done, len(tasks), f"width {width}, γ = {gamma:g}")
        generator = run.generator(f"width {width}", without=("gammas", "tol", "max_iter", "widths"))
        pdg = banded_graph(config.num_variables, width, config.card, generator=generator)
        solution = solve_tree(pdg, gamma, config.tol, config.max_iter)
        assert isinstance(solution.joint, TreeJoint)  # tables are positive
        entries = solution.joint.plan.num_entries
        yield {
            "num_variables": config.num_variables,
            "num_arcs": len(pdg.arcs),
            "width": width,
            "card": config.card,
            "gamma": gamma,
            "tol": config.tol,
            "entries": entries,
            "iterations": solution.iterations,
            "work": entries * (solution.iterations + 1),
            "value": float(solution.value),
            "gap": solution.gap,
            "dense_log10": config.num_variables * math.log10(config.card),
        }
