"""The claim that multipliers above 1 are no obstacle to contraction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.decisions.claims.affine import TOLERANCE, verdict_of
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.reference import all_policies
from coset.decisions.solvers.transience import transience

# How many random cases by preset.
CASES = {"smoke": 60, "cpu": 300, "paper": 2000}

Contraction = tuple[Tensor, float] | None


def contraction_of(level: ScalarLevel) -> Contraction:
    """Return weights w and a factor λ < 1 with ‖TV − TV'‖_w ≤ λ ‖V − V'‖_w, if there are any.

    Args:
        level: the problem.

    Returns:
        (w, λ), or ``None`` if multipliers do not die out under some policy.

    Claims: decisions.C17.
    """
    found = transience(level)
    return (found.weights, found.factor) if found.weights is not None else None


def _unit_weights(level: ScalarLevel) -> Contraction:
    factor = float(level.row_sums().max())
    return (torch.ones(level.num_states, dtype=torch.float64), factor) if factor < 1 else None


def _first_action(level: ScalarLevel) -> Contraction:
    first = torch.zeros_like(level.allowed)
    first[:, 0] = level.allowed[:, 0]
    return contraction_of(level.restrict(first))


def _smallest_ratio(level: ScalarLevel) -> Contraction:
    found = transience(level)
    return (found.weights, found.low_factor) if found.weights is not None else None


def two_states(second: float = 0.25) -> ScalarLevel:
    """Return the two states of multipliers 2 and 1/4, whose rows have no common bound below 1.

    Args:
        second: the multiplier of the second state.

    Returns:
        The level, rewards 1 and 1/2.
    """
    weight = torch.tensor([[[2.0]], [[second]]], dtype=torch.float64)
    successor = torch.tensor([[[1]], [[0]]], dtype=torch.int32)
    reward = torch.tensor([[1.0], [0.5]], dtype=torch.float64)
    return ScalarLevel(successor, weight, reward, torch.ones_like(reward, dtype=torch.bool))


def _constant_rows() -> list[tuple[ScalarLevel]]:
    """Return a level whose rows all sum to 1/2, and one with a single action."""
    plain = two_states()
    return [(replace(plain, weight=torch.full_like(plain.weight, 0.5)),), (plain,)]


def _random_level(generator: torch.Generator) -> ScalarLevel:
    size = int(torch.randint(2, 5, (), generator=generator))
    shape = (size, 2, 2)
    return ScalarLevel(
        torch.randint(0, size, shape, generator=generator, dtype=torch.int32),
        1.8 * torch.rand(shape, generator=generator, dtype=torch.float64) ** 4,
        torch.randn(shape[:2], generator=generator, dtype=torch.float64),
        torch.ones(shape[:2], dtype=torch.bool),
    )


def _largest_radius(level: ScalarLevel) -> float:
    """Return max over all policies of the spectral radius, from all eigenvalues."""
    best = 0.0
    for policy in all_policies(level):
        matrix = torch.zeros(level.num_states, level.num_states, dtype=torch.float64)
        for s, a in enumerate(policy):
            matrix[s].index_add_(0, level.successor[s, a].long(), level.weight[s, a].double())
        best = max(best, float(torch.linalg.eigvals(level.scale * matrix).abs().max()))
    return best


def _contraction_fault(level: ScalarLevel, found: Contraction, generator: torch.Generator) -> str:
    radius = _largest_radius(level)
    if (found is not None) != (radius < 1):
        return f"verdict {found is not None}, spectral radius {radius}"
    if found is None:
        return ""
    weights, factor = found
    if not (radius <= factor * (1 + TOLERANCE) and factor < 1):
        return f"factor {factor}, spectral radius {radius}"
    for _ in range(20):
        one, two = torch.randn(2, level.num_states, generator=generator, dtype=torch.float64)
        # Distances along w itself reach the bound.
        for other in (two, one + weights, one - weights):
            before = float(((one - other).abs() / weights).max())
            after = float(((level.backup(one) - level.backup(other)).abs() / weights).max())
            if after > factor * before * (1 + TOLERANCE):
                return f"factor {factor}, seen {after / before}"
    return ""


@claim(
    "decisions.C17",
    title="multipliers above 1 contract in weighted norms",
    statement="""ρ(W_π) < 1 for every stationary π iff the lifetimes w = max_a [1 + Σ W w] are
        finite; then ‖TV − TV'‖_w ≤ λ ‖V − V'‖_w with λ = 1 − 1/max w < 1, though rows of W may sum
        to more than 1. For W = [[0, 2], [1/4, 0]]: w = (6, 2.5), λ = 5/6, ρ = √½.""",
    hypotheses="""finitely many states and actions, multipliers ≥ 0; the verdict is compared with
        the eigenvalues of all policies""",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "w = 1 and the largest row sum": _unit_weights,
        "lifetimes of the first action": _first_action,
        "the smallest Σ W w / w instead of the largest": _smallest_ratio,
    },
    near_misses=_constant_rows,
)
def C17(
    contraction: Callable[[ScalarLevel], Contraction] = contraction_of,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C17: verdict by eigenvalues, factor by pairs of values."""
    levels = [two_states(), two_states(0.6), two_states(0.5)]
    levels += [_random_level(generator) for _ in range(CASES[preset])]
    failures, above = [], 0
    for number, level in enumerate(levels):
        found = contraction(level)
        fault = _contraction_fault(level, found, generator)
        if number == 0 and found is not None:
            right = torch.tensor([6.0, 2.5], dtype=torch.float64)
            if not torch.allclose(found[0], right) or abs(found[1] - 5 / 6) > TOLERANCE:
                fault = fault or f"w = {found[0].tolist()}, λ = {found[1]}"
        above += found is not None and float(level.row_sums().max()) > 1
        if fault:
            failures.append({"weight": level.weight.tolist(), "fault": fault})
    return verdict_of(
        failures, len(levels), "levels judged wrongly", transient_with_rows_above_1=above
    )
