"""Solvers side by side on random graphs, and inconsistency as γ grows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_graph, random_table
from coset.beliefs.solvers.dense import solve_dense
from coset.beliefs.solvers.mirror import OPERATOR, solve_mirror
from coset.beliefs.solvers.problem import DenseProblem, dense_problem
from coset.beliefs.solvers.result import DenseResult
from coset.beliefs.solvers.score import gap_of, gradient_of, incompatibility, score_of
from coset.beliefs.solvers.solve import solve
from coset.core.backends import use_backend
from coset.core.errors import ConfigError, UnavailableError
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, experiment

__all__ = ["GammaCurveConfig", "SolversConfig", "gamma_curve", "solvers"]

TOLERANCE = 1e-9
ADAM_RATE = 0.1
# What is added to gaps so that they have a logarithm, as in the study that this repeats.
FLOOR = 1e-15


@dataclass(frozen=True)
class SolversConfig:
    """One run of `beliefs.solvers`.

    Attributes:
        num_graphs: how many random graphs.
        gamma: γ.
        max_worlds: graphs with more worlds are drawn again.
        max_iter: the most iterations of solvers that do not end by themselves.
        seed: decides the graphs.
    """

    num_graphs: int = 30
    gamma: float = 0.0
    max_worlds: int = 2_000
    max_iter: int = 400
    seed: int = 0


_GAMMAS = (0.0, 1e-8, 1e-4, 1e-2, 1.0)


@experiment(
    "beliefs.solvers",
    title="Inconsistency of random graphs: how near does each solver come, and how soon?",
    presets={
        "smoke": Preset(SolversConfig(2, max_worlds=200, max_iter=60), {"gamma": (0.0, 0.01, 1.0)}),
        "cpu": Preset(SolversConfig(), {"gamma": _GAMMAS}),
        "paper": Preset(SolversConfig(300, max_worlds=20_000, max_iter=1500), {"gamma": _GAMMAS}),
    },
    figures=("coset.beliefs.figures:gap_vs_time",),
    cost={"smoke": 4.0, "cpu": 200.0, "paper": 20_000.0},
)
def solvers(config: SolversConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Solve the same graphs by every solver: 5 to 9 variables, 7 to 14 beliefs, α = β = 1.

    Args:
        config: the settings.
        run: source of randomness, and progress.

    Yields:
        A row for each graph and solver: graph, gamma, num_variables, num_arcs, worlds, solver,
        seconds, value, gap (value − the least value of any solver + 1e-15, in nats), certified
        (the bound that the solver proves, or ``None``) and iterations.

    Raises:
        ConfigError: if a number is too small.
    """
    if config.num_graphs < 1 or config.max_iter < 1 or config.max_worlds < 2**5:
        raise ConfigError(
            f"num_graphs and max_iter must be ≥ 1, and max_worlds ≥ 32; given "
            f"{config.num_graphs}, {config.max_iter}, {config.max_worlds}"
        )
    generator = run.generator("graphs", without=("gamma", "max_iter"))
    _compile()
    for number in range(config.num_graphs):
        run.progress(number, config.num_graphs, f"γ = {config.gamma:g}")
        pdg = _draw(config.max_worlds, generator)
        problem = dense_problem(pdg, config.gamma)
        rows = [
            {"solver": name, **_measured(solver, problem, config.max_iter)}
            for name, solver in SOLVERS.items()
        ]
        # A solver that is not installed is left out
        rows = [row for row in rows if row["value"] is not None]
        least = min(row["value"] for row in rows)
        for row in rows:
            yield {
                "graph": number,
                "gamma": config.gamma,
                "num_variables": len(problem.variables),
                "num_arcs": len(pdg.arcs),
                "worlds": math.prod(problem.shape),
                **row,
                "gap": row["value"] - least + FLOOR,
            }


def _compile() -> None:
    """Let kernels be compiled or loaded before anything is timed."""
    pdg = PDG({"X": 2})
    pdg.add("p", "X", cpd=torch.tensor([0.5, 0.5], dtype=torch.float64))
    solve_mirror(dense_problem(pdg))


def _draw(max_worlds: int, generator: torch.Generator) -> PDG:
    while True:
        num_variables, num_arcs = (
            int(torch.randint(least, most + 1, (), generator=generator))
            for least, most in ((5, 9), (7, 14))
        )
        pdg = random_graph(num_variables, num_arcs, generator=generator)
        if pdg.num_worlds <= max_worlds:
            return pdg


Solver = Callable[[DenseProblem, int], DenseResult]


def _measured(solver: Solver, problem: DenseProblem, max_iter: int) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        result = solver(problem, max_iter)
    except UnavailableError:
        return {"value": None}
    seconds = time.perf_counter() - start
    gap = float(result.gap)
    return {
        "seconds": seconds,
        "value": float(result.value),
        "certified": gap if math.isfinite(gap) else None,
        "iterations": result.iterations,
    }


def _compiled(problem: DenseProblem, max_iter: int) -> DenseResult:
    with use_backend(OPERATOR, "numba"):
        return solve_mirror(problem, tol=TOLERANCE)


def _whole_tensors(problem: DenseProblem, max_iter: int) -> DenseResult:
    with use_backend(OPERATOR, "eager"):
        return solve_mirror(problem, tol=TOLERANCE, max_iter=5 * max_iter)


def _by(method: str) -> Solver:
    def run(problem: DenseProblem, max_iter: int) -> DenseResult:
        return solve_dense(problem, method, tol=TOLERANCE)[1]

    return run


def _ended(problem: DenseProblem, log_joint: Tensor, iterations: int) -> DenseResult:
    """Return a result with the certificate that any joint has."""
    log_joint, _ = problem.chain.project(log_joint)
    gap = gap_of(problem, log_joint, gradient_of(problem, log_joint))
    value = score_of(problem, log_joint)
    return DenseResult(value, log_joint, gap, iterations, bool(gap <= TOLERANCE))


def _plain(problem: DenseProblem, max_iter: int) -> DenseResult:
    """Take steps of 1/L, without acceleration."""
    log_joint, _ = problem.chain.project(torch.zeros(problem.shape, dtype=torch.float64))
    for _ in range(max_iter):
        step = log_joint - gradient_of(problem, log_joint) / problem.smoothness
        log_joint, _ = problem.chain.project(step)
    return _ended(problem, log_joint, max_iter)


def _adam(problem: DenseProblem, max_iter: int) -> DenseResult:
    """Descend on logits of μ, as the papers of these graphs do."""
    logits = torch.zeros(problem.shape, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=ADAM_RATE)
    for _ in range(max_iter):
        optimizer.zero_grad()
        score_of(problem, problem.chain.project(logits)[0]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return _ended(problem, logits.detach(), max_iter)


def _lbfgs(problem: DenseProblem, max_iter: int) -> DenseResult:
    logits = torch.zeros(problem.shape, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logits], max_iter=max_iter, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )
    calls = 0

    def closure() -> float:
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        value = score_of(problem, problem.chain.project(logits)[0])
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return _ended(problem, logits.detach(), calls)


SOLVERS: Mapping[str, Solver] = {
    "mirror, accelerated": _compiled,
    "mirror, whole tensors": _whole_tensors,
    "mirror, plain": _plain,
    "interior point": _by("interior"),
    "cone (Clarabel)": _by("cone"),
    "Adam on logits": _adam,
    "L-BFGS on logits": _lbfgs,
}


@dataclass(frozen=True)
class GammaCurveConfig:
    """One run of `beliefs.gamma-curve`.

    Attributes:
        num_points: values of γ between 0 and 1, at least 2.
        seed: decides the random graph.
    """

    num_points: int = 41
    seed: int = 0


@experiment(
    "beliefs.gamma-curve",
    title="Inconsistency as structure counts more",
    presets={
        "smoke": Preset(GammaCurveConfig(9)),
        "cpu": Preset(GammaCurveConfig()),
        "paper": Preset(GammaCurveConfig(201)),
    },
    figures=("coset.beliefs.figures:gamma_curve",),
    cost={"smoke": 0.5, "cpu": 2.0, "paper": 8.0},
)
def gamma_curve(config: GammaCurveConfig, run: RunContext) -> Iterator[dict[str, Any]]:
    """Solve four graphs with α = β = 1 for γ from 0 to 1.

    Args:
        config: the settings.
        run: source of randomness.

    Yields:
        Rows: graph, gamma, inconsistency, incompatibility (of the minimizer) and gap, in nats.

    Raises:
        ConfigError: if there are fewer than 2 points.
    """
    if config.num_points < 2:
        raise ConfigError(f"a curve has at least 2 points; given {config.num_points}")
    for name, pdg in _graphs(run.generator("graphs", without=("num_points",))).items():
        for gamma in torch.linspace(0, 1, config.num_points, dtype=torch.float64).tolist():
            solution = solve(pdg, gamma)
            assert solution.joint is not None
            yield {
                "graph": name,
                "gamma": gamma,
                "inconsistency": float(solution.value),
                "incompatibility": float(incompatibility(pdg, solution.joint)),
                "gap": solution.error_bound,
            }


def _graphs(generator: torch.Generator) -> dict[str, PDG]:
    def tensor(values: list[Any]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    pair = PDG({"X": 2})
    pair.add("p", "X", cpd=tensor([0.7, 0.3]))
    pair.add("q", "X", cpd=tensor([0.4, 0.6]))
    cycle = PDG({"A": 2, "B": 2})
    cycle.add("p", "B", "A", cpd=tensor([[0.8, 0.2], [0.3, 0.7]]))
    cycle.add("q", "A", "B", cpd=tensor([[0.6, 0.4], [0.1, 0.9]]))
    network = PDG({"A": 2, "B": 3, "C": 2})
    network.add("A", "A", cpd=random_table(2, generator=generator))
    network.add("B", "B", "A", cpd=random_table(2, 3, generator=generator))
    network.add("C", "C", ("A", "B"), cpd=random_table(2, 3, 2, generator=generator))
    drawn = random_graph(4, 5, num_sources=(1, 2), num_targets=(1, 1), generator=generator)
    return {
        "two beliefs about one variable": pair,
        "two beliefs in a cycle": cycle,
        "a Bayesian network": network,
        "five random beliefs": drawn,
    }
