"""Benchmarks of inconsistency: one large joint against Clarabel, and a thousand small ones."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.reference import mirror_descent_reference, score_reference
from coset.beliefs.solvers.cells import Cells
from coset.beliefs.solvers.mirror import OPERATOR, solve_mirror
from coset.beliefs.solvers.problem import DenseProblem, dense_problem, elements
from coset.beliefs.solvers.score import gap_of, gradient_of
from coset.beliefs.solvers.solve import solve
from coset.bench import Case, Contestant, Limit, benchmark
from coset.core.backends import use_backend

__all__ = ["SolveInputs", "batch_case", "boundary_case", "solve_case"]

CARD = 3
GAP = 1e-8
# Ours raise if the gap is above `GAP`. Clarabel is told as much, but the gap of its joint is often
# some times larger, and with less than 1e-8 it fails.
LARGEST_GAP = 1e-7
# How many of a batch Clarabel solves; its time for all is this share more.
SAMPLE = 10
BATCH_WORLDS = 243
BATCH_ARCS = 7
# Literal descent is this far from the infimum at the small sizes, or less.
REFERENCE_STEPS = 4_000
REFERENCE_ERROR = 1e-6

Answer = tuple[Tensor, Tensor | None]


@dataclass(frozen=True, eq=False)
class SolveInputs:
    """Random beliefs p(Y|X) between pairs of variables with three values, α = β = 1.

    Attributes:
        pdg: the beliefs, perhaps a batch.
        gamma: γ.
    """

    pdg: PDG
    gamma: float

    @cached_property
    def problem(self) -> DenseProblem:
        """The same as dense arrays."""
        return dense_problem(self.pdg, self.gamma)

    @cached_property
    def total_iterations(self) -> int:
        """How many iterations all of the batch take, each until its own gap is small enough."""
        return sum(solve_mirror(p, tol=GAP).iterations for p in elements(self.problem))


def _random_pairs(
    num_variables: int, num_arcs: int, batch: tuple[int, ...], generator: torch.Generator
) -> PDG:
    pdg = PDG({f"X{i}": CARD for i in range(num_variables)})
    for number in range(num_arcs):
        # Every variable is a target before one is a second time
        target = number % num_variables
        shift = 1 + int(torch.randint(num_variables - 1, (), generator=generator))
        source = (target + shift) % num_variables
        table = random_table(*batch, CARD, CARD, generator=generator)
        pdg.add(f"p{number}", f"X{target}", f"X{source}", cpd=table)
    return pdg


def _prepare(size: int, gamma: float, generator: torch.Generator) -> SolveInputs:
    num = max(2, round(math.log(size, CARD)))
    return SolveInputs(_random_pairs(num, 2 * num, (), generator), gamma)


def _reference(inputs: SolveInputs) -> float:
    """Return the score after many literal steps."""
    smoothness = inputs.problem.smoothness
    steps = mirror_descent_reference(inputs.pdg, inputs.gamma, smoothness)
    joint = next(islice(steps, REFERENCE_STEPS, None))
    return score_reference(inputs.pdg, joint, inputs.gamma)


def _compare(inputs: SolveInputs, output: Answer, expected: float | Answer) -> str | None:
    # At full size a contestant's answer stands in the place of the reference.
    right, error = (expected, REFERENCE_ERROR)
    if isinstance(right, tuple):
        right, error = float(right[0]), 2 * LARGEST_GAP
    value = float(output[0])
    if abs(value - right) > error:
        return f"inconsistency {value} instead of {right}"
    return _check_gap(inputs, output)


def _check_gap(inputs: SolveInputs, output: Answer) -> str | None:
    """Compute the gap again from the joint; at γ = 0 it may need more than the joint."""
    value, joint = output
    problem = inputs.problem
    if joint is None or not problem.gamma:
        best, _ = _solve(inputs)
        gap = float((value - best).abs().max())
    else:
        log_joint = joint.clamp(min=1e-300).log()
        log_joint, _ = problem.chain.project(log_joint)
        gap = float(gap_of(problem, log_joint, gradient_of(problem, log_joint)).max())
    return None if gap <= LARGEST_GAP else f"the gap is {gap:.3g}, and {GAP:g} was asked for"


def _solve(inputs: SolveInputs) -> Answer:
    solution = solve(inputs.pdg, inputs.gamma, tol=GAP, throw=True)
    assert solution.joint is not None
    return torch.as_tensor(solution.value, dtype=torch.float64), solution.joint.dense()


def _mirror(inputs: SolveInputs) -> Answer:
    found = solve_mirror(dense_problem(inputs.pdg, inputs.gamma), tol=GAP)
    return found.value, found.log_joint.exp()


def _eager(inputs: SolveInputs) -> Answer:
    with use_backend(OPERATOR, "eager"):
        return _mirror(inputs)


def _program(problem: DenseProblem) -> tuple[Any, Any]:
    """Write the score in cvxpy; return the program and μ.

    Marginals are variables of their own, tied to μ by sparse matrices: with sums over worlds inside
    the cones Clarabel takes twenty times as long.
    """
    import cvxpy

    cp: Any = cvxpy
    worlds = math.prod(problem.shape)
    cells = Cells(problem.shape, np.arange(worlds))
    joint = cp.Variable(worlds, nonneg=True)
    score, constraints = problem.cost.reshape(-1).numpy() @ joint, [cp.sum(joint) == 1]
    if problem.gamma:
        score = score - problem.gamma * cp.sum(cp.entr(joint))
    for term in problem.terms:
        if term.weight:
            matrix = cells.matrix((*term.sources, *term.targets))
            both = cp.Variable(matrix.shape[0])
            count = math.prod(problem.shape[axis] for axis in term.targets)
            source = cp.Variable(matrix.shape[0] // count)
            repeat = sparse.kron(sparse.identity(source.size), np.ones((count, 1)), format="csr")
            constraints += [both == matrix @ joint, source == repeat.T @ both]
            score = score + term.weight * cp.sum(cp.rel_entr(both, repeat @ source))
    return cp.Problem(cp.Minimize(score), constraints), joint


def _run_program(state: tuple[Any, Any]) -> Answer:
    import cvxpy

    program, joint = state
    with warnings.catch_warnings():
        # It warns where rounding stops it just before its tolerances; the answer is judged below
        warnings.simplefilter("ignore", UserWarning)
        program.solve(solver=cvxpy.CLARABEL, tol_gap_abs=GAP, tol_gap_rel=GAP, tol_feas=GAP)
    found = torch.from_numpy(np.asarray(joint.value))
    num = round(math.log(len(found), CARD))
    return torch.tensor(program.value, dtype=torch.float64), found.reshape((CARD,) * num)


def _by(method: str) -> Callable[[SolveInputs], Answer]:
    def run(inputs: SolveInputs) -> Answer:
        solution = solve(inputs.pdg, inputs.gamma, method=method, tol=GAP)
        assert solution.joint is not None
        return torch.as_tensor(solution.value, dtype=torch.float64), solution.joint.dense()

    return run


@benchmark(
    "beliefs.solve",
    title="inconsistency of 2k beliefs about k variables with three values, to a gap of 1e-8",
    sizes=(243, 2_187, 19_683),
    small_sizes=(9, 27),
    variants={"γ = 1/2": 0.5, "γ = 0.1": 0.1},
)
def solve_case() -> Case:
    """Build the case: `solve` from tables to the joint, against cvxpy with Clarabel.

    Returns:
        The case; the program of cvxpy is written, and compiled in its first call, untimed.
    """
    return Case(
        prepare=_prepare,
        reference=_reference,
        compare=_compare,
        ours={
            "solve": Contestant(_solve),
            "mirror descent": Contestant(_mirror),
            "mirror descent, whole tensors": Contestant(_eager),
            "interior point": Contestant(_by("interior")),
            "cone (Clarabel without cvxpy)": Contestant(_by("cone")),
        },
        peers={
            "cvxpy, Clarabel": Contestant(
                _run_program, setup=lambda inputs: _program(inputs.problem)
            )
        },
        limits={
            "copy": Limit(
                "copy",
                lambda inputs: 16 * math.prod(inputs.problem.shape) * inputs.total_iterations,
                "the dense joint read and written once an iteration of mirror descent, 16 bytes a "
                "world ÷ copy bandwidth; ours sums over tables instead where it can",
            )
        },
        tests=("tests/beliefs/test_mirror.py",),
    )


@benchmark(
    "beliefs.boundary",
    title="the same at γ = 0, where conditionals may vanish, to a gap of 1e-8",
    # Clarabel gives up on the program of 19,683 worlds
    sizes=(243, 729, 2_187),
    small_sizes=(9, 27),
    variants={"γ = 0": 0.0},
)
def boundary_case() -> Case:
    """Build the case: as `solve_case`, where first-order methods may stall.

    Returns:
        The case.
    """
    return solve_case()


def _prepare_batch(size: int, gamma: float, generator: torch.Generator) -> SolveInputs:
    num = round(math.log(BATCH_WORLDS, CARD))
    return SolveInputs(_random_pairs(num, BATCH_ARCS, (size,), generator), gamma)


def _one_by_one(inputs: SolveInputs) -> Answer:
    found = [solve_mirror(problem, tol=GAP) for problem in elements(inputs.problem)]
    return torch.stack([f.value for f in found]), torch.stack([f.log_joint.exp() for f in found])


def _programs(inputs: SolveInputs) -> list[tuple[Any, Any]]:
    return [_program(problem) for problem in islice(elements(inputs.problem), SAMPLE)]


def _run_programs(state: list[tuple[Any, Any]]) -> Tensor:
    return torch.stack([_run_program(program)[0] for program in state])


def _verify_programs(inputs: SolveInputs, output: Tensor) -> str | None:
    best = _solve(inputs)[0][:SAMPLE]
    off = float((output - best).abs().max())
    return None if off <= LARGEST_GAP else f"values differ by {off:.3g}"


def _compare_batch(inputs: SolveInputs, output: Answer, expected: Answer) -> str | None:
    off = float((output[0] - expected[0]).abs().max()) if len(output[0]) else 0.0
    return _check_gap(inputs, output) if off <= 2 * GAP else f"values differ by {off:.3g}"


@benchmark(
    "beliefs.batch",
    title="inconsistencies of N graphs of 243 worlds and 7 beliefs, to gaps of 1e-8",
    sizes=(100, 1_000),
    small_sizes=(1, 2, 17),
    variants={"γ = 0.3": 0.3},
)
def batch_case() -> Case:
    """Build the case: one call for the batch, against Clarabel on a sample, one by one.

    Returns:
        The case.
    """
    return Case(
        prepare=_prepare_batch,
        reference=_one_by_one,
        compare=_compare_batch,
        ours={"solve": Contestant(_solve), "mirror descent": Contestant(_mirror)},
        peers={
            "cvxpy, Clarabel": Contestant(
                _run_programs,
                setup=_programs,
                partial=f"the first {SAMPLE} of the graphs, one by one; multiply by N/{SAMPLE}",
                verify=_verify_programs,
            )
        },
        limits={
            "copy": Limit(
                "copy",
                lambda inputs: 16 * BATCH_WORLDS * inputs.total_iterations,
                "each dense joint read and written once an iteration, 16 bytes a world ÷ copy "
                "bandwidth; ours sums over tables instead",
            )
        },
        tests=("tests/beliefs/test_mirror.py",),
    )
