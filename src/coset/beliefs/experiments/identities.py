"""Familiar quantities as inconsistencies: each formula beside what the general solver finds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from coset.beliefs.claims.identity_cases import IDENTITIES, gaussian_table, pool_graph
from coset.beliefs.divergences import gaussian_inconsistency, pdg_divergence
from coset.beliefs.pdg.factor_graph import from_factor_graph
from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.solve import solve
from coset.core.errors import ConfigError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["IdentitiesConfig", "identities"]

_CELLS = torch.linspace(-20.0, 20.0, 201, dtype=torch.float64)


@dataclass(frozen=True)
class IdentitiesConfig:
    """One run of `beliefs.identities`.

    Attributes:
        num_cases: random cases of each identity, ≥ 1.
        num_confidences: values of r and of s in the map of the divergence of two beliefs, ≥ 2.
        seed: decides the cases.
    """

    num_cases: int = 100
    num_confidences: int = 41
    seed: int = 0


@experiment(
    "beliefs.identities",
    title="Familiar losses and divergences: is each the inconsistency of its graph?",
    presets={
        "smoke": Preset(IdentitiesConfig(5, 9)),
        "cpu": Preset(IdentitiesConfig()),
        "paper": Preset(IdentitiesConfig(1000, 81)),
    },
    claims=(
        "beliefs.C4",
        "beliefs.C5",
        "beliefs.C6",
        "beliefs.C6b",
        "beliefs.C7",
        "beliefs.C7b",
        "beliefs.C8",
        "beliefs.C9",
        "beliefs.C10",
        "beliefs.C11",
        "beliefs.C12",
        "beliefs.C12b",
        "beliefs.C13",
    ),
    figures=(
        "coset.beliefs.figures:identity_errors",
        "coset.beliefs.figures:divergence_map",
    ),
    cost={"smoke": 2.0, "cpu": 20.0, "paper": 200.0},
)
def identities(config: IdentitiesConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Solve the graph of each identity and compare the value with its formula.

    Args:
        config: the settings.
        run: source of randomness, and progress.

    Yields:
        Rows of two kinds. "identity": claim, name, formula, case, gamma, worlds, inconsistency
        (by the solver), closed (by the formula), difference and gap, in nats. "map": r, s,
        inconsistency (by the formula of C6) and renyi (divided by s: D of order r/(r+s)) for
        p = (0.7, 0.2, 0.1) and q = (0.1, 0.3, 0.6).

    Raises:
        ConfigError: if a number is too small.
    """
    if config.num_cases < 1 or config.num_confidences < 2:
        raise ConfigError(
            f"num_cases must be ≥ 1 and num_confidences ≥ 2; given {config.num_cases} and "
            f"{config.num_confidences}"
        )
    problems = _problems(config.num_cases, run)
    total = config.num_cases * (len(IDENTITIES) + 3)
    for done, (claim, name, formula, case, graph, gamma, closed) in enumerate(problems):
        run.progress(done, total, name)
        solution = solve(graph, gamma)
        yield {
            "kind": "identity",
            "claim": claim,
            "name": name,
            "formula": formula,
            "case": case,
            "gamma": gamma,
            "worlds": graph.num_worlds,
            "inconsistency": float(solution.value),
            "closed": closed,
            "difference": abs(float(solution.value) - closed),
            "gap": solution.error_bound,
        }
    yield from _map(config.num_confidences)


# claim, name, formula, case, graph, γ and the value of the formula
_Problem = tuple[str, str, str, int, PDG, float, float]


def _problems(num: int, run: RunContext) -> Iterator[_Problem]:
    generator = run.generator("networks", without=("num_confidences",))
    for case in range(num):
        gamma = (0.0, 0.5, 1.0, 2.0)[case % 4]
        graph = _network(generator, (0.5, 1.0, 3.0)[case % 3])
        # β ≥ γα keeps the score convex
        gamma = min(gamma, (0.5, 1.0, 3.0)[case % 3])
        yield "beliefs.C4", "Bayesian network", "0", case, graph, gamma, 0.0
    for case in range(num):
        graph, log_z = _factors(generator)
        yield "beliefs.C5", "partition function", "−log Z", case, graph, 1.0, -log_z
    for identity in IDENTITIES.values():
        generator = run.generator(identity.name, without=("num_confidences",))
        for number, given in enumerate(identity.cases(num, generator)):
            graph, closed = identity.graph(*given), identity.closed(*given)
            yield identity.claim, identity.name, identity.formula, number, graph, 0.0, closed
    generator = run.generator("gaussians", without=("num_confidences",))
    for number in range(num):
        yield _gaussians(number, generator)


def _network(generator: torch.Generator, beta: float) -> PDG:
    """Return a random Bayesian network of five variables."""
    pdg = PDG({f"X{i}": 2 + i % 2 for i in range(5)})
    for i in range(5):
        count = int(torch.randint(0, min(i, 2) + 1, (), generator=generator))
        parents = [f"X{j}" for j in torch.randperm(i, generator=generator)[:count].tolist()]
        table = random_table(*pdg.cards((*parents, f"X{i}")), generator=generator)
        pdg.add(f"p{i}", f"X{i}", parents, cpd=table, beta=beta)
    return pdg


def _factors(generator: torch.Generator) -> tuple[PDG, float]:
    """Return a ring of four variables with random factors, and log Z by summing over worlds."""
    names = ("A", "B", "C", "D")
    factors = {
        f"f{i}": (
            (names[i], names[(i + 1) % 4]),
            3 * torch.rand(3, 3, generator=generator, dtype=torch.float64) + 0.01,
        )
        for i in range(4)
    }
    powers = {"f0": 0.5, "f1": 2.0}
    graph, log_scale = from_factor_graph(dict.fromkeys(names, 3), factors, powers)
    raised = [table ** powers.get(name, 1.0) for name, (_, table) in factors.items()]
    z = float(torch.einsum("ab,bc,cd,da->", *raised))
    return graph, math.log(z) - float(log_scale)


def _gaussians(number: int, generator: torch.Generator) -> _Problem:
    u = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    one, two = ((4 * u[i] - 2, 0.5 + 1.5 * u[i + 1]) for i in (0, 2))
    betas = ((1.0, 1.0), (2.0, 0.5), (0.3, 1.0))[number % 3]
    graph = pool_graph([gaussian_table(*given, _CELLS) for given in (one, two)], list(betas))
    closed = float(gaussian_inconsistency(*one, *two, *betas))
    formula = "(b₁+b₂) log(QM/GM) + b₁b₂/(2(b₁+b₂)) ((m₁−m₂)/QM)²"
    return "beliefs.C13", "two Gaussians", formula, number, graph, 0.0, closed


def _map(num: int) -> Iterator[dict[str, Any]]:
    p = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    q = torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64)
    confidences = torch.logspace(-2, 2, num, dtype=torch.float64).tolist()
    for r in confidences:
        for s in confidences:
            value = float(pdg_divergence(p, q, r, s))
            yield {"kind": "map", "r": r, "s": s, "inconsistency": value, "renyi": value / s}
