"""Claim C14 and what became of it: where inconsistency is convex in parameters, and where not."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from coset.beliefs.pdg.graph import PDG
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.solvers.solve import solve
from coset.core.claims import ClaimResult, claim

# From both ends and a belief about A given B to values: a row for each γ, of the first end, the
# middle and the second end.
Values = Callable[[Tensor, Tensor, Tensor], Tensor]
Case = tuple[Tensor, Tensor, Tensor]

CASES = {"smoke": 12, "cpu": 200, "paper": 2_000}
GAMMAS = (0.0, 0.5)
TOLERANCE = 1e-8


def _case(*tables: list[list[float]]) -> Case:
    first, second, back = (torch.tensor(table, dtype=torch.float64) for table in tables)
    return first, second, back


_EVEN = [[0.5, 0.5], [0.5, 0.5]]
_TURNED = [[0.7, 0.3], [0.3, 0.7]]
# B is the opposite of A for certain. The first end agrees by A = 1, the second by A = 0; half way
# p(B | A) gives the opposite 3/4, so that the value is log 4/3.
_OPPOSITE = _case([[0.5, 0.5], [1, 0]], [[0, 1], [0.5, 0.5]], [[0, 1], [1, 0]])
# A minimum at which A is even, the same at both ends.
_SYMMETRIC = _case(_TURNED, _TURNED, _EVEN)


def _along(build: Callable[[Tensor], PDG], first: Tensor, second: Tensor) -> Tensor:
    points = (first, (first + second) / 2, second)
    rows = [[float(solve(build(p), gamma, throw=True).value) for p in points] for gamma in GAMMAS]
    return torch.tensor(rows, dtype=torch.float64)


def _graph(target: str | tuple[str, ...], given: tuple[str, ...], cpd: Tensor, back: Tensor) -> PDG:
    pdg = PDG({"A": 2, "B": 2})
    pdg.add("moved", target, given, cpd=cpd)
    pdg.add("back", "A", "B", cpd=back)
    return pdg


def conditional_values(first: Tensor, second: Tensor, back: Tensor) -> Tensor:
    """Return ⟨⟨M⟩⟩_γ while the table of p(B | A) goes straight from one value to another.

    Args:
        first: p(B | A) at one end, (2, 2).
        second: at the other end.
        back: a belief about A given B, (2, 2).

    Returns:
        (2, 3): for γ = 0 and γ = 1/2, the values at the first end, in the middle, at the second.
    """
    return _along(lambda cpd: _graph("B", ("A",), cpd, back), first, second)


def _sources_certain(first: Tensor, second: Tensor, back: Tensor) -> Tensor:
    # With μ(A) fixed μ(A) p(B | A) is linear in p, and relative entropy is jointly convex
    def build(cpd: Tensor) -> PDG:
        pdg = _graph("B", ("A",), cpd, back)
        even = torch.full((2,), 0.5, dtype=torch.float64)
        pdg.add("certain", "A", cpd=even, beta=math.inf, alpha=0.0)
        return pdg

    return _along(build, first, second)


def _best_in_the_middle(first: Tensor, second: Tensor, back: Tensor) -> Tensor:
    values = conditional_values(first, second, back)
    return torch.stack([values[:, 0], values.amin(1), values[:, 2]], 1)


def joint_values(first: Tensor, second: Tensor, back: Tensor) -> Tensor:
    """Return ⟨⟨M⟩⟩_γ while the table of p(A, B) goes straight from one value to another.

    Args:
        first: p(A, B) at one end, (2, 2).
        second: at the other end.
        back: a belief about A given B, (2, 2).

    Returns:
        As `conditional_values`.
    """
    return _along(lambda table: _graph(("A", "B"), (), table, back), first, second)


def logit_values(first: Tensor, second: Tensor, back: Tensor) -> Tensor:
    """Return ⟨⟨M⟩⟩_γ while the logits of p(A, B), in which log p is concave, go straight.

    Args:
        first: p(A, B) > 0 at one end, (2, 2).
        second: at the other end.
        back: a belief about A given B, (2, 2).

    Returns:
        As `conditional_values`.
    """

    def build(logits: Tensor) -> PDG:
        return _graph(("A", "B"), (), logits.flatten().softmax(0).reshape(2, 2), back)

    return _along(build, first.log(), second.log())


def _squared(first: Tensor, second: Tensor, back: Tensor) -> Tensor:
    def build(table: Tensor) -> PDG:
        return _graph(("A", "B"), (), table.square() / table.square().sum(), back)

    return _along(build, first, second)


def _tables(preset: str, generator: torch.Generator) -> list[Case]:
    return [
        (
            random_table(2, 2, generator=generator),
            random_table(2, 2, generator=generator),
            random_table(2, 2, generator=generator),
        )
        for _ in range(CASES[preset])
    ]


def _joints(preset: str, generator: torch.Generator) -> list[Case]:
    """Joint tables, some of them nearly certain of opposite worlds."""
    eye = torch.eye(2, dtype=torch.float64)
    sure = 0.49 * eye + 0.01 * eye.flip(0)
    split = torch.tensor([[0.5, 0.5], [0.96, 0.04]], dtype=torch.float64) / 2
    cases = [
        (sure, sure.flip(0), _OPPOSITE[2].clamp(0.1, 0.9)),
        (split, split.flip(0, 1), _OPPOSITE[2].clamp(0.01, 0.99)),
    ]
    for first, second, back in _tables(preset, generator):
        cases.append((first / 2, second / 2, back))
    return cases


def _judged(cases: list[Case], values: Values, quasi: bool = False) -> ClaimResult:
    worst, found = -math.inf, cases[0]
    for case in cases:
        first, middle, second = values(*case).unbind(1)
        line = torch.maximum(first, second) if quasi else (first + second) / 2
        excess = float((middle - line).max())
        if excess > worst:
            worst, found = excess, case
    story = dict(zip(("first", "second", "back"), (t.tolist() for t in found), strict=True))
    what = "the larger end" if quasi else "the mean of the ends"
    return ClaimResult(
        holds=worst <= TOLERANCE,
        measured=worst,
        bound=TOLERANCE,
        detail=f"the value in the middle is at most {what} plus {worst:.6g} nats",
        sample_size=len(cases),
        counterexample=story if worst > TOLERANCE else None,
    )


@claim(
    "beliefs.C14",
    title="inconsistency is convex in a conditional table",
    statement="θ ↦ ⟨⟨M(θ)⟩⟩_γ is convex where θ is the table of one conditional cpd.",
    hypotheses="2 × 2 tables p(B | A), another belief about A given B; γ = 0 and 1/2; midpoints",
    source="[paper] logccave without the condition that the cpd is unconditional",
    kind="proved",
    expected="refuted",
    mutants={
        "the source is certain": _sources_certain,
        "the least of the values is the middle": _best_in_the_middle,
    },
    near_misses=lambda: [_SYMMETRIC],
)
def C14(
    values: Values = conditional_values, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge beliefs.C14: a stored counterexample, and random tables."""
    return _judged([_OPPOSITE, *_tables(preset, generator)], values)


@claim(
    "beliefs.C14b",
    title="inconsistency is convex in an unconditional table",
    statement="""If each cpd is constant, or unconditional and affine in θ, and γα ≤ β, then
        θ ↦ ⟨⟨M(θ)⟩⟩_γ is convex: relative entropy is jointly convex.""",
    hypotheses="2 × 2 tables p(A, B), another belief about A given B; γ = 0 and 1/2; midpoints",
    source="[paper] logccave, for the parametrizations for which it is true [derived]",
    kind="proved",
    expected="holds",
    mutants={"affine in logits": logit_values, "p ∝ θ²": _squared},
    near_misses=lambda: [(_SYMMETRIC[2] / 2, _SYMMETRIC[2] / 2, _SYMMETRIC[0])],
)
def C14b(values: Values = joint_values, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C14b on midpoints between joint tables."""
    return _judged(_joints(preset, generator), values)


@claim(
    "beliefs.C14c",
    title="inconsistency is quasi-convex in a conditional table",
    statement="""Between two tables of one conditional cpd ⟨⟨M(θ)⟩⟩_γ is never more than the larger
        of its values at these two.""",
    hypotheses="as C14",
    source="""[paper] left open; the answer is [derived]: let B be the opposite of A for certain.
        p(B | A) = ((1/2, 1/2), (1, 0)) agrees with that by A = 1, and ((0, 1), (1/2, 1/2)) by
        A = 0; half way ⟨⟨M⟩⟩₀ = log 4/3""",
    kind="proved",
    expected="refuted",
    mutants={
        "the source is certain": _sources_certain,
        "the least of the values is the middle": _best_in_the_middle,
    },
    near_misses=lambda: [_SYMMETRIC],
)
def C14c(
    values: Values = conditional_values, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge beliefs.C14c: the same counterexample, against the larger end."""
    return _judged([_OPPOSITE, *_tables(preset, generator)], values, quasi=True)


@claim(
    "beliefs.C14d",
    title="inconsistency is convex in log-concave parameters",
    statement="""If each cpd is constant, or unconditional with log p concave in θ, and γα ≤ β, then
        θ ↦ ⟨⟨M(θ)⟩⟩_γ is convex.""",
    hypotheses="logits of a 2 × 2 table p(A, B), another belief about A given B; γ = 0 and 1/2",
    source="""[paper] logccave, read literally; [derived]: in logits it is bounded and not constant,
        so it cannot be convex""",
    kind="proved",
    expected="refuted",
    mutants={"affine in the table": joint_values},
    near_misses=lambda: [(_SYMMETRIC[0] / 2, _SYMMETRIC[1] / 2, _SYMMETRIC[2])],
)
def C14d(values: Values = logit_values, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge beliefs.C14d on midpoints between logits."""
    return _judged(_joints(preset, generator), values)
