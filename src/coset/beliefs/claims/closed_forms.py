"""Layers and decisions whose resolution has a closed form: attention, and soft expected utility."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from coset.beliefs.classics.expected_utility import soft_regret
from coset.beliefs.classics.softmax_attention import softmax_attention
from coset.beliefs.foci.expected_utility import action_values, decision_graph
from coset.beliefs.foci.softmax_attention import attention_graph, attention_layer
from coset.beliefs.pdg.random_graphs import random_table
from coset.beliefs.resolve.lir import lir
from coset.core.claims import ClaimResult, claim

__all__ = ["C19", "C21", "attention_by_resolution", "decision_values"]

CASES = {"smoke": 3, "cpu": 30, "paper": 200}
TOLERANCE = 1e-8
# Values of actions have gaps of at most 1e-11.
EXACT = 1e-10
# b_p, b_u, and the values of both actions for p = (.5, .3, .2), EU = (1, 0, 3), (2, 1, −1).
WORKED = {
    (1.0, 1.0): (-1.7362905037, -1.5224822036),
    (4.0, 1.0): (-1.2458269432, -1.2455799928),
    (1.0, 4.0): (-10.3914096012, -7.3177846892),
}
WORKED_PRIOR = (0.5, 0.3, 0.2)
WORKED_UTILITY = ((1.0, 0.0, 3.0), (2.0, 1.0, -1.0))


def attention_by_resolution(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return the positions to which `attention_layer` moves by `lir`, from 0.

    Args:
        queries: (M, D).
        keys: (N, D).
        values: (N, E).

    Returns:
        (M, E), float64.
    """
    positions = torch.zeros(len(queries), values.shape[1], dtype=torch.float64)
    graph = attention_graph(queries, keys, values, positions)
    lir(graph, attention_layer(len(queries), len(keys)), 1, overall_every=0)
    return positions


def scaled_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Divide scores by √D, as transformers do and the paper's layer does not."""
    return attention_by_resolution(queries / math.sqrt(queries.shape[1]), keys, values)


def equal_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Give every belief the same confidence."""
    return attention_by_resolution(0 * queries, keys, values)


def _layer(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return draw(2, size), draw(4, size), draw(4, 3)


def attention_near_misses() -> list[tuple[Tensor, ...]]:
    """Return a layer of keys with one feature, and one whose queries are 0."""
    generator = torch.Generator().manual_seed(0)
    one, two = _layer(1, generator), _layer(2, generator)
    return [one, (0 * two[0], *two[1:])]


@claim(
    "beliefs.C19",
    title="an attention layer is resolution with χ = ∞",
    statement="""Beliefs x_j ~ N(v_i, 1) with confidences exp⟨k_i, q_j⟩, all attended and each x_j
        controlled with χ = ∞, move to x_j = Σ_i softmax_i(⟨k_i, q_j⟩) v_i, to 1e-8 by a generic
        minimizer.""",
    hypotheses="normal keys and queries of 2 or 3 features, 4 keys, 2 queries, values in ℝ³",
    source="[paper] Local Inconsistency Resolution, section 4",
    kind="proved",
    expected="holds",
    mutants={"scores divided by √D": scaled_attention, "equal confidences": equal_attention},
    near_misses=attention_near_misses,
)
def C19(
    layer: Callable[..., Tensor] = attention_by_resolution,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge beliefs.C19: random layers against the softmax by loops."""
    worst, failed = 0.0, None
    for number in range(CASES[preset]):
        case = _layer(2 + number % 2, generator)
        error = float((layer(*case) - softmax_attention(*case)).abs().max())
        if error > TOLERANCE and failed is None:
            failed = {"case": [t.tolist() for t in case], "difference": error}
        worst = max(worst, error)
    return ClaimResult(
        holds=failed is None,
        measured=worst,
        bound=TOLERANCE,
        detail=f"positions differ by at most {worst:.2g} in {CASES[preset]} layers",
        sample_size=CASES[preset],
        counterexample=failed,
    )


def decision_values(
    prior: Tensor, outcomes: Tensor, utility: Tensor, belief: float, desire: float
) -> Tensor:
    """Return the inconsistency of each action with k = 1: that of `action_values`, − b_u max u.

    Args:
        prior: (S,).
        outcomes: (S, A, O).
        utility: (O,).
        belief: b_p.
        desire: b_u.

    Returns:
        (A,), float64.
    """
    graph = decision_graph(prior, outcomes, utility, belief=belief, desire=desire)
    return action_values(graph) - desire * utility.max()


def ratio_forgotten(
    prior: Tensor, outcomes: Tensor, utility: Tensor, belief: float, desire: float
) -> Tensor:
    """Multiply the value at b_p = 1 by b_p."""
    return belief * decision_values(prior, outcomes, utility, 1.0, desire)


def uncertain_outcomes(
    prior: Tensor, outcomes: Tensor, utility: Tensor, belief: float, desire: float
) -> Tensor:
    """Believe what actions lead to with β = 1 instead of with certainty."""
    graph = decision_graph(prior, outcomes, utility, belief=belief, desire=desire)
    graph.arcs["outcome"] = graph.arcs["outcome"].weighted(0.0, 1.0)
    return action_values(graph) - desire * utility.max()


def _worked(belief: float, desire: float) -> tuple[Any, ...]:
    expected = torch.tensor(WORKED_UTILITY, dtype=torch.float64)
    utility = torch.tensor(sorted({u for row in WORKED_UTILITY for u in row})).double()
    outcomes = (expected.T[..., None] == utility).double()
    prior = torch.tensor(WORKED_PRIOR, dtype=torch.float64)
    return prior, outcomes, utility, belief, desire


def decision_near_misses() -> list[tuple[Any, ...]]:
    """Return a worked case: its outcomes are certain, and b_p = 1."""
    return [_worked(1.0, 4.0)]


def _closed_form(case: tuple[Any, ...]) -> list[float]:
    prior, outcomes, utility, belief, desire = case
    expected = (outcomes @ utility).T.tolist()
    return [soft_regret(prior.tolist(), row, belief, desire) for row in expected]


@claim(
    "beliefs.C21",
    title="decisions by inconsistency: from expected utility to the best case",
    statement="""With p(S) of confidence b_p, certain outcomes τ(O|S, A), and the belief that what
        is desired comes true with confidence b_u, an action's inconsistency is
        −b_p log Σ_s p(s) exp((b_u/b_p) EU(s, a)), to 1e-10. For b_p = ∞ it is −b_u E_p EU, so the
        least inconsistent action has the greatest expected utility; divided by b_u it falls to
        −max_s EU(s, a) as b_u → ∞.""",
    hypotheses="""γ = 0; p(true|o) = exp(u(o)) up to a constant; the state does not depend on the
        action, which is stated as p(S|A) = p(S); the limit is bounded by −b_p log min p""",
    source="[paper] Local Inconsistency Resolution, section 5; the form is [derived]",
    kind="proved",
    expected="holds",
    mutants={"b_p as a factor only": ratio_forgotten, "outcomes with β = 1": uncertain_outcomes},
    near_misses=decision_near_misses,
)
def C21(
    values: Callable[..., Tensor] = decision_values, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge beliefs.C21: worked values, random decisions, and both limits."""
    cases = [_worked(*confidences) for confidences in WORKED]
    for number in range(CASES[preset]):
        prior = random_table(3, generator=generator)
        outcomes = random_table(3, 2, 4, generator=generator)
        utility = 3 * torch.randn(4, generator=generator, dtype=torch.float64)
        confidences = ((2.0, 1.0), (0.5, 3.0), (math.inf, 2.0))[number % 3]
        cases.append((prior, outcomes, utility, *confidences))
    worst, failed = 0.0, None
    for case in cases:
        found, wanted = values(*case).tolist(), _closed_form(case)
        error = max(abs(a - b) for a, b in zip(found, wanted, strict=True))
        error = max(error, _worked_error(case, found) - 5e-11)
        if failed is None and (error > EXACT or not _limits_hold(case, found)):
            failed = {"case": [c.tolist() if isinstance(c, Tensor) else str(c) for c in case]}
        worst = max(worst, error)
    return ClaimResult(
        holds=failed is None,
        measured=worst,
        bound=EXACT,
        detail=f"values of actions differ by at most {worst:.2g} nats in {len(cases)} decisions",
        sample_size=len(cases),
        counterexample=failed,
    )


def _worked_error(case: tuple[Any, ...], found: list[float]) -> float:
    """Return the distance from the worked values, which have ten digits."""
    prior, _, _, belief, desire = case
    if tuple(prior.tolist()) != WORKED_PRIOR or (belief, desire) not in WORKED:
        return 0.0
    return max(abs(a - b) for a, b in zip(found, WORKED[belief, desire], strict=True))


def _limits_hold(case: tuple[Any, ...], found: list[float]) -> bool:
    """Whether 0 ≤ value / b_u + max EU ≤ (b_p / b_u) log 1/min p; for b_p = ∞, the order."""
    prior, outcomes, utility, belief, desire = case
    expected = outcomes @ utility
    if belief == math.inf:
        return int(torch.tensor(found).argmin()) == int((prior @ expected).argmax())
    slack = belief / desire * math.log(1 / float(prior.min()))
    best = expected.amax(0).tolist()
    return all(
        -u - 1e-9 <= v / desire <= -u + slack + 1e-9 for u, v in zip(best, found, strict=True)
    )
