"""Claims about lexicographic processes: greedy policies are optimal; constraints; one weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.core.errors import NotConvergedError
from coset.decisions.claims.exact_cases import LEXICOGRAPHIC, exact_verdict, verdict_on
from coset.decisions.claims.flawed_solvers import FLAWED, Policy, one_weight, sequential
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.random_mdps import random_rational_mdp
from coset.decisions.processes.rational import RationalEvent, RationalMDP
from coset.decisions.reference_lexicographic import (
    BruteForce,
    all_policies_of,
    brute_force,
    joint_policy_iteration,
    policy_worth,
)
from coset.decisions.solvers.cmdp import solve_cmdp
from coset.decisions.solvers.evaluation import evaluate
from coset.decisions.solvers.rational_solver import solve_exact

__all__ = ["C8", "C10", "C9b", "coupled", "hazard", "safe_weight", "settling", "single_bound"]

_NUM_CASES = {"smoke": 40, "cpu": 1000, "paper": 5000}
_FEW_CASES = {"smoke": 8, "cpu": 100, "paper": 1000}
_ENOUGH = 3  # failures after which a judge stops
# What the linear program's 1e-7 may become in a value, through the price of a constraint.
_LP_TOLERANCE = 1e-4
_HALF = Fraction(1, 2)


def coupled(below: int) -> RationalMDP:
    """Return the example in which the next objective takes up the first one's value (T6).

    Args:
        below: Γ₂₁ of the first action.

    Returns:
        Two states and an end: (½, 5) by leaving, or (½, ½·4 + below + 1) by going on.
    """
    go = [(1, 1, (0, 1), ((_HALF, 0), (below, _HALF)))]
    leave = [(2, 1, (_HALF, 5), 0)]
    quit = [(2, 1, (1, 0), 0)]
    stay = [(1, 1, (_HALF, 2), _HALF)]
    return RationalMDP([[go, leave], [quit, stay], [[], []]])  # type: ignore[arg-type]


def settling() -> RationalMDP:
    """Return the example in which lexmax inside each sweep never sees the tie (T7).

    Returns:
        State 0: on to state 1, worth 0.9·(1, 1), or (0.9, 0) at once.
    """
    tenth, discount = Fraction(1, 10), Fraction(9, 10)
    on = [(1, 1, (0, 0), discount)]
    leave = [(2, 1, (discount, 0), 0)]
    stay = [(1, 1, (tenth, tenth), discount)]
    return RationalMDP([[on, leave], [stay, []], [[], []]])  # type: ignore[arg-type]


def hazard(exponent: int = 60, gain: int = 10) -> RationalMDP:
    """Return the choice between a gain at a risk of 2^−exponent, and a little without (T8).

    Args:
        exponent: of the risk.
        gain: what the risk is taken for.

    Returns:
        One state and an end; action 0 takes the risk.
    """
    risk = Fraction(1, 2**exponent)
    take = [(1, 1 - risk, (0, gain), 0), (1, risk, (-1, 0), 0)]
    return RationalMDP([[take, [(1, 1, (0, 1), 0)]], [[], []]])  # type: ignore[arg-type]


def _two_hazards() -> RationalMDP:
    """Return a mild risk in state 0 and a smaller one in state 1: each needs its own weight."""
    mild, small = (hazard(exponent).events[0] for exponent in (2, 12))
    moved = [
        [[RationalEvent(2, e.probability, e.reward, e.multiplier) for e in a] for a in state]
        for state in (mild, small)
    ]
    return RationalMDP([*moved, [[], []]])  # type: ignore[arg-type]


@lru_cache(maxsize=8192)
def _best(mdp: RationalMDP) -> BruteForce:
    return brute_force(mdp)


def _cases(preset: str, generator: torch.Generator) -> Iterator[RationalMDP]:
    yield from (coupled(1), coupled(2), coupled(3), settling(), hazard(20))
    for _ in range(_NUM_CASES[preset]):
        states = int(torch.randint(1, 4, (), generator=generator))
        depth = int(torch.randint(2, 4, (), generator=generator))
        yield random_rational_mdp(states, 2, depth, generator=generator)


def _text(mdp: RationalMDP, *more: object) -> str:
    return " ".join(map(str, (mdp.to_json()["fields"], *more)))


@claim(
    "decisions.C8",
    title="greedy policies are uniformly optimal",
    statement="""If multipliers have diagonals < 1, a stationary policy is optimal from every state
        at once iff it is greedy for Q* in the lexicographic order; so a deterministic one exists.
        Level by level, keeping exact ties, and policy iteration on all levels at once find it.""",
    hypotheses="finite states and actions; Γ_ii(e) < 1 (more generally: multipliers die out)",
    source=LEXICOGRAPHIC.format("Theorem 7 and Corollary 1; the algorithms are ours"),
    kind="exhaustive",
    expected="holds",
    mutants=FLAWED,
    near_misses=lambda: [(coupled(1),), (coupled(3),), (hazard(2),)],
)
def C8(
    solver: Callable[[RationalMDP], Policy] = sequential,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C8 against all deterministic policies, in exact arithmetic."""
    cases: list[str | None] = []
    for mdp in _cases(preset, generator):
        best = _best(mdp)
        policy = solver(mdp)
        right = bool(best.policies) and policy in best.policies
        if right and solver is sequential:
            right = joint_policy_iteration(mdp)[1] in best.policies
        cases.append(None if right else _text(mdp, policy))
        if len([c for c in cases if c]) == _ENOUGH:
            break
    return exact_verdict(cases, "are not solved from every state at once")


Bounds = Mapping[int, float]
Constrained = Callable[[MDP, Bounds, int, int], Tensor]


def constrained_value(mdp: MDP, bounds: Bounds, start: int, objective: int) -> Tensor:
    """Return what the best constrained policy earns from a start.

    Args:
        mdp: the process.
        bounds: objective → least value.
        start: a state.
        objective: what is maximized.

    Returns:
        (d,) float64; −∞ if no policy meets the bounds.

    Claims: decisions.C9b.
    """
    try:
        found = solve_cmdp(mdp, bounds, start, objective=objective)
    except NotConvergedError:
        return torch.full((mdp.num_objectives,), -torch.inf, dtype=torch.float64)
    assert isinstance(found.value, Tensor)
    return found.value


def _deterministic_only(mdp: MDP, bounds: Bounds, start: int, objective: int) -> Tensor:
    exact = RationalMDP.from_mdp(mdp)
    best = torch.full((mdp.num_objectives,), -torch.inf, dtype=torch.float64)
    for policy in all_policies_of(exact):
        value = evaluate(mdp, torch.tensor(policy))[start]
        met = all(float(value[i]) >= c - 1e-9 for i, c in bounds.items())
        if met and value[objective] > best[objective]:
            best = value
    return best


def _last_bound_forgotten(mdp: MDP, bounds: Bounds, start: int, objective: int) -> Tensor:
    kept = dict(list(bounds.items())[:-1])
    return constrained_value(mdp, kept, start, objective)


def _bounds_from_state_0(mdp: MDP, bounds: Bounds, start: int, objective: int) -> Tensor:
    value = solve_exact(RationalMDP.from_mdp(mdp)).value[0]
    return constrained_value(mdp, {i: float(value[i]) for i in bounds}, start, objective)


def single_bound() -> MDP:
    """Return the choice whose constrained optimum is random: (1, −1) or (0, 0), E[u₂] ≥ −½.

    Returns:
        One state that ends after one step.
    """
    reward = torch.tensor([[[[1.0, -1.0]], [[0.0, 0.0]]]], dtype=torch.float64)
    return MDP(torch.zeros(1, 2, 1).int(), torch.ones(1, 2, 1), reward, multiplier=0.0)


def _pair() -> MDP:
    """Return two states worth (1, 2) and (3, 1), so that each needs bounds of its own."""
    reward = torch.tensor([[[[1.0, 2.0]], [[0.0, 5.0]]], [[[3.0, 1.0]], [[2.0, 4.0]]]]).double()
    own = torch.arange(2)[:, None, None].expand(2, 2, 1)
    return MDP(own, torch.ones(2, 2, 1).double(), reward, multiplier=0.0)


@claim(
    "decisions.C9b",
    title="constraints depend on the start",
    statement="""From one start s, maximizing E[u_K] subject to E[u_i] ≥ V*_i(s), i < K, attains the
        lexicographic optimum; the bounds are those of this start only. A constrained optimum may
        need random actions: (1, −1) or (0, 0) with E[u₂] ≥ −½ is worth ½ at probability ½, and no
        deterministic policy earns more than 0.""",
    hypotheses="finite; one multiplier γ < 1 for all objectives; V* known",
    source=LEXICOGRAPHIC.format("Section 8, on constrained MDPs; the example is ours"),
    kind="exhaustive",
    expected="holds",
    mutants={
        "deterministic policies only": _deterministic_only,
        "the last bound forgotten": _last_bound_forgotten,
        "bounds of state 0 for every start": _bounds_from_state_0,
    },
    near_misses=lambda: [
        (_pair(), {0: 1.0}, 0, 1),
        (_pair(), {0: -9.0}, 0, 1),
    ],
)
def C9b(
    value_of: Constrained = constrained_value, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge decisions.C9b by linear programs from every start, against exact values."""
    cases: list[str | None] = []
    found = value_of(single_bound(), {1: -0.5}, 0, 0)
    good = abs(float(found[0]) - 0.5) <= _LP_TOLERANCE and float(found[1]) >= -0.5 - _LP_TOLERANCE
    cases.append(None if good else f"(1, −1) or (0, 0): {found.tolist()}")
    exact = [RationalMDP.from_mdp(_pair())]
    for _ in range(_FEW_CASES[preset]):
        depth = int(torch.randint(2, 4, (), generator=generator))
        exact.append(random_rational_mdp(3, 2, depth, shared=Fraction(1, 2), generator=generator))
    for mdp in exact:
        floats = _one_multiplier(mdp)
        best = solve_exact(mdp).value
        last = mdp.num_objectives - 1
        for start in range(mdp.num_states):
            bounds = {i: float(best[start, i]) - 1e-9 for i in range(last)}
            value = value_of(floats, bounds, start, last)
            error = float((value - best[start]).abs().max())
            cases.append(None if error <= _LP_TOLERANCE else _text(mdp, start, value.tolist()))
    return verdict_on(cases, f"starts miss their optimum, to {_LP_TOLERANCE:g}")


def _one_multiplier(mdp: RationalMDP) -> MDP:
    """Return the process in float64 with one multiplier for all objectives."""
    floats = mdp.to_mdp()
    return MDP(
        floats.successor,
        floats.probability,
        floats.reward,
        floats.entry(0, 0),
        mask=floats.mask,
        terminal=floats.terminal,
    )


def safe_weight(mdp: RationalMDP) -> Fraction:
    """Return a weight ε₀ below which Σ ε^k r_k has lexicographically optimal policies only.

    By comparing all deterministic policies at every state: where δ is a difference of values whose
    first entry that is not 0 is δ_k > 0, Σ ε^j δ_j > 0 for all ε < δ_k / (δ_k + max_j>k |δ_j|).

    Args:
        mdp: a process whose multipliers are γI for each event.

    Returns:
        ε₀ in (0, 1].

    Complexity: all deterministic policies.

    Claims: decisions.C10.
    """
    best = _best(mdp)
    least = Fraction(1)
    for policy in all_policies_of(mdp):
        for value, top in zip(policy_worth(mdp, policy), best.value, strict=True):
            least = min(least, _threshold(value, top))
    return least


def _threshold(value: list[Fraction | float], top: tuple[Fraction | float, ...]) -> Fraction:
    gaps = [Fraction(a) - Fraction(b) for a, b in zip(top, value, strict=True)]
    lead = next((gap for gap in gaps if gap), None)
    if lead is None:
        return Fraction(1)
    below = max((abs(g) for g in gaps[gaps.index(lead) + 1 :]), default=Fraction(0))
    return lead / (lead + below)


def _of_state_0(mdp: RationalMDP) -> Fraction:
    best = _best(mdp)
    worths = [policy_worth(mdp, policy) for policy in all_policies_of(mdp)]
    return min(_threshold(worth[0], best.value[0]) for worth in worths)


def _in_double_precision(mdp: RationalMDP) -> Fraction:
    return max(safe_weight(mdp), Fraction(1, 2**52))


def _even() -> RationalMDP:
    return RationalMDP([[[(0, 1, (1, 0), 0)], [(0, 1, (0, 1), 0)]]])  # type: ignore[arg-type]


def _of_gaps_below(mdp: RationalMDP) -> Fraction:
    """Compare with rewards in place of values."""
    sizes = [abs(r) for event in mdp.all_events() for r in event.reward if r]
    return min(sizes, default=Fraction(1)) / (2 * max(sizes, default=Fraction(1)))


@claim(
    "decisions.C10",
    title="one weight for one process",
    statement="""For one finite process with Γ = γI there is ε₀ > 0 such that every policy that is
        optimal for the one reward Σ_k ε^k r_k, 0 < ε < ε₀, is lexicographically optimal. ε₀ may lie
        below double precision: a risk of 2⁻⁶⁰ against a gain of 9 needs ε < 2⁻⁶⁰/9.""",
    hypotheses="finite; the process is known; each event's multiplier is γI, γ < 1 or 0",
    source=LEXICOGRAPHIC.format("Section on limitations; ε₀ is ours [derived]"),
    kind="exhaustive",
    expected="holds",
    mutants={
        "the weight that does for state 0": _of_state_0,
        "no weight below 2⁻⁵²": _in_double_precision,
        "the ratio of rewards for the ratio of values": _of_gaps_below,
    },
    near_misses=lambda: [(hazard(2),), (_even(),)],
)
def C10(
    weight_of: Callable[[RationalMDP], Fraction] = safe_weight,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C10 in exact arithmetic, just below ε₀ and far below."""
    processes = [hazard(60), hazard(8), hazard(3), _two_hazards()]
    for _ in range(_FEW_CASES[preset]):
        processes.append(random_rational_mdp(3, 2, 2, shared=Fraction(3, 4), generator=generator))
    cases: list[str | None] = []
    for mdp in processes:
        best, weight = _best(mdp), weight_of(mdp)
        for epsilon in (weight * Fraction(99, 100), weight / 1000):
            policy = one_weight(mdp, epsilon)
            cases.append(None if policy in best.policies else _text(mdp, epsilon, policy))
    sure = one_weight(hazard(60), Fraction(1, 2**60) / 10) == (1, -1)
    cases.append(None if sure else "a tenth of 2⁻⁶⁰ does not do")
    fails = one_weight(hazard(60), Fraction(1, 2**60) / 8) == (0, -1)
    cases.append(None if fails else "an eighth of 2⁻⁶⁰ would do")
    return exact_verdict(cases, "are not lexicographically optimal")
