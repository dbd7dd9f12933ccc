"""Claims about objectives without a discount: optima that do not exist, and safety."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.core.errors import CosetError
from coset.decisions.claims.exact_cases import LEXICOGRAPHIC, exact_verdict, verdict_on
from coset.decisions.claims.flawed_solvers import Policy, first_objectives
from coset.decisions.errors import NoOptimalPolicyError
from coset.decisions.processes.random_mdps import random_undiscounted_mdp
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.reference_lexicographic import Worth, all_policies_of, policy_worth
from coset.decisions.solvers.rational_solver import solve_exact
from coset.decisions.solvers.solving import solve

__all__ = ["C8b", "C8c", "later_and_later", "policy_or_none", "safety_values", "waiting_room"]

_NUM_CASES = {"smoke": 40, "cpu": 400, "paper": 3000}
_HALF = Fraction(1, 2)
_ERROR = 1e-9


def later_and_later(discount: Fraction = Fraction(9, 10)) -> RationalMDP:
    """Return the process without an optimal policy (T14): stay for (0, 1), or leave for (1, 0).

    Leaving after n stays is worth (1, (1 − γⁿ)/(1 − γ)), and never leaving (0, 1/(1 − γ)).

    Args:
        discount: γ of the second objective; the first is not discounted.

    Returns:
        One state.
    """
    stay = [(0, 1, (0, 1), ((1, 0), (0, discount)))]
    return RationalMDP([[stay, [(0, 1, (1, 0), 0)]]])  # type: ignore[arg-type]


def waiting_room(reward: int) -> RationalMDP:
    """Return a room in which waiting earns at the second objective, and a door to the goal.

    Args:
        reward: what waiting earns; below 0 one leaves at once, at 0 leaving is among the best.

    Returns:
        Two states and an end.
    """
    wait = [(1, 1, (0, reward), ((1, 0), (0, _HALF)))]
    back = [(0, 1, (0, reward), ((1, 0), (0, _HALF)))]
    return RationalMDP([[wait, [(2, 1, (1, 0), 1)]], [back, []], [[], []]])  # type: ignore[arg-type]


def policy_or_none(mdp: RationalMDP) -> Policy:
    """Return an optimal policy, or () if there is none.

    Args:
        mdp: the process.

    Returns:
        An action for each state, or ().

    Claims: decisions.C8b.
    """
    try:
        return tuple(solve_exact(mdp).policy.tolist())
    except NoOptimalPolicyError:
        return ()


def _greedy(mdp: RationalMDP, *, on_ties: bool = True) -> Policy:
    """Take actions that preserve each value, whether or not they attain it."""
    first = solve_exact(first_objectives(mdp, 1)).tie_set
    second, ties = _second(mdp, first)
    chosen = ties if on_ties else first
    assert len(second) == mdp.num_states
    return tuple(int(row.int().argmax()) if bool(row.any()) else -1 for row in chosen)


def _second(mdp: RationalMDP, allowed: Tensor) -> tuple[list[Fraction], Tensor]:
    """Return the best second value on some actions alone, and the actions that preserve it."""
    events = tuple(
        tuple(
            tuple(
                (
                    e.successor,
                    e.probability,
                    (e.reward[1],),
                    ((e.multiplier[1][1],),),
                )
                for e in action
            )
            if bool(allowed[s, a])
            else ()
            for a, action in enumerate(state)
        )
        for s, state in enumerate(mdp.events)
    )
    found = solve_exact(RationalMDP(events, mdp.terminal))  # type: ignore[arg-type]
    assert found.exact is not None
    return [Fraction(row[0]) for row in found.exact], found.tie_set


def _best_of_all(mdp: RationalMDP) -> Policy:
    """Return the best stationary policy from state 0, as if the best were always attained."""
    return max(all_policies_of(mdp), key=lambda policy: tuple(policy_worth(mdp, policy)[0]))


@lru_cache(maxsize=4096)
def _attaining(mdp: RationalMDP) -> tuple[Policy, ...]:
    """Return all policies that attain both suprema everywhere.

    The second supremum is that of the second objective alone on the actions that preserve the
    first: staying n times by it and leaving afterwards comes as near as one wants.
    """
    worths = {policy: policy_worth(mdp, policy) for policy in all_policies_of(mdp)}
    first = [max(worth[s][0] for worth in worths.values()) for s in range(mdp.num_states)]
    second, _ = _second(mdp, solve_exact(first_objectives(mdp, 1)).tie_set)
    suprema = list(zip(first, second, strict=True))
    return tuple(
        policy
        for policy, worth in worths.items()
        if all(tuple(row) == best for row, best in zip(worth, suprema, strict=True))
    )


@claim(
    "decisions.C8b",
    title="without transience no policy need be optimal",
    statement="""Γ_ii < 1 can be weakened to: the multipliers of each objective die out under every
        policy. It cannot be dropped: staying for (0, 1) with Γ = diag(1, γ) or leaving for (1, 0)
        comes as near to (1, 1/(1 − γ)) as one wants and never there. With a first objective that
        is a chance to reach a goal and a discounted second one, an optimal policy exists iff among
        the actions that preserve both values some lead to the goal; the solver says which.""",
    hypotheses="finite; the first objective is not discounted, the second is",
    source="[derived]; the condition weakens assumption 2 of lexicographic, Theorem 7",
    kind="exhaustive",
    expected="holds",
    mutants={
        "actions that preserve values, whether they attain them or not": _greedy,
        "actions that preserve the first value alone": lambda mdp: _greedy(mdp, on_ties=False),
        "the best of all policies from one state": _best_of_all,
    },
    near_misses=lambda: [(waiting_room(-1),), (_plain(),)],
)
def C8b(
    solver: Callable[[RationalMDP], Policy] = policy_or_none,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C8b against all policies and the supremum of the second objective."""
    processes = [later_and_later(), later_and_later(_HALF), *map(waiting_room, (-1, 0, 1))]
    for _ in range(_NUM_CASES[preset]):
        states = int(torch.randint(2, 5, (), generator=generator))
        processes.append(random_undiscounted_mdp(states, signs=(1,), generator=generator))
    cases: list[str | None] = []
    for mdp in processes:
        policy, attaining = solver(mdp), _attaining(mdp)
        right = policy in attaining if attaining else policy == ()
        cases.append(None if right else f"{mdp.to_json()['fields']} {policy}")
    return exact_verdict(cases, "are solved without an optimum, or not solved with one")


def _plain() -> RationalMDP:
    """Return a process in which one action reaches the goal and the other an end without it."""
    end = [(1, 1, (0, 0), 1)]
    return RationalMDP([[end, [(1, 1, (1, 0), 1)]], [[], []]])  # type: ignore[arg-type]


Safety = Callable[[RationalMDP], tuple[Tensor, Tensor]]


def safety_values(mdp: RationalMDP) -> tuple[Tensor, Tensor]:
    """Return minus the least probability of ever entering danger, and the actions that keep it.

    Args:
        mdp: its first objective earns −1 on entering danger, where it ends.

    Returns:
        (S,) float64 and (S, A) bool.

    Claims: decisions.C8c.
    """
    floats = first_objectives(mdp, 1).to_mdp()
    found = solve(floats)
    assert isinstance(found.value, Tensor)
    return found.value[:, 0], found.tie_set


def _iterated_from(start: float) -> Safety:
    def values(mdp: RationalMDP) -> tuple[Tensor, Tensor]:
        floats = first_objectives(mdp, 1).to_mdp()
        level = floats.level(0)
        value = torch.where(level.active, start, 0.0).double()
        for _ in range(300):
            value = level.backup(value)
        q = level.action_values(value)
        return value, (q >= q.amax(1, keepdim=True) - _ERROR) & level.allowed

    return values


def _solved_for_first_policy(mdp: RationalMDP) -> tuple[Tensor, Tensor]:
    """Improve from an improper policy by linear systems, least squares where they are singular."""
    floats = first_objectives(mdp, 1).to_mdp()
    level = floats.level(0)
    rows = torch.arange(level.num_states)
    policy = torch.where(level.active, level.allowed.int().argmax(1), -1)
    value = torch.zeros(level.num_states, dtype=torch.float64)
    for _ in range(20):
        matrix = np.eye(level.num_states)
        for s in rows[level.active].tolist():
            np.subtract.at(
                matrix[s], level.successor[s, policy[s]].numpy(), level.weight[s, policy[s]].numpy()
            )
        live = level.active.numpy()
        matrix[:, ~live] = np.eye(level.num_states)[:, ~live]
        right = torch.where(level.active, level.reward[rows, policy.clamp(min=0)], 0.0).numpy()
        value = torch.from_numpy(np.linalg.lstsq(matrix, right, rcond=None)[0])
        q = level.action_values(value)
        policy = torch.where(level.active, q.argmax(1), -1)
    q = level.action_values(value)
    return value, (q >= q.amax(1, keepdim=True) - _ERROR) & level.allowed


def _one_action_each(mdp: RationalMDP) -> tuple[Tensor, Tensor]:
    """Return the right values, and of the actions that keep them only the first."""
    value, ties = safety_values(mdp)
    first = torch.zeros_like(ties)
    live = ties.any(1)
    first[live, ties.int().argmax(1)[live]] = True
    return value, first


@lru_cache(maxsize=4096)
def _least_danger(mdp: RationalMDP) -> tuple[tuple[Worth, ...], tuple[Policy, ...]]:
    one = first_objectives(mdp, 1)
    worths = {policy: policy_worth(one, policy) for policy in all_policies_of(one)}
    best = tuple(max(worth[s][0] for worth in worths.values()) for s in range(mdp.num_states))
    safest = tuple(
        policy
        for policy, worth in worths.items()
        if all(row[0] == top for row, top in zip(worth, best, strict=True))
    )
    return best, safest


@claim(
    "decisions.C8c",
    title="the safety level is the greatest fixed point",
    statement="""With r₁ = −1 on entering danger and Γ₁₁ = 1 the first value is the greatest
        fixed point of the Bellman operator in [−1, 0], the limit from 0; the policies that are
        greedy for it are exactly those that attain it at every state. From −1, or by a linear
        solve on a policy that stays for ever, other fixed points come out.""",
    hypotheses="finite; danger ends the process",
    source=LEXICOGRAPHIC.format("Theorem 6, whose Γ₁₁ = 1 Theorem 7 leaves out; [derived]"),
    kind="exhaustive",
    expected="holds",
    mutants={
        "iterated from −1": _iterated_from(-1.0),
        "linear systems on policies that stay": _solved_for_first_policy,
        "one action of each tie": _one_action_each,
    },
    near_misses=lambda: [(_exposed(),)],
)
def C8c(values: Safety = safety_values, *, preset: str, generator: torch.Generator) -> ClaimResult:
    """Judge decisions.C8c: values against all policies; each greedy policy must attain them."""
    cases: list[str | None] = []
    for case in range(_NUM_CASES[preset]):
        states = int(torch.randint(2, 5, (), generator=generator))
        mdp = random_undiscounted_mdp(states, 2, signs=(-1,), generator=generator)
        best, safest = _least_danger(mdp)
        try:
            value, ties = values(mdp)
        except CosetError as error:
            cases.append(f"case {case}: {error}")
            continue
        near = max(abs(float(v) - float(b)) for v, b in zip(value, best, strict=True)) <= _ERROR
        every = {
            policy
            for policy in all_policies_of(mdp)
            if all(a < 0 or bool(ties[s, a]) for s, a in enumerate(policy))
        }
        right = near and every == set(safest)
        cases.append(None if right else f"{mdp.to_json()['fields']} {value.tolist()}")
    return verdict_on(cases, "processes have another value, or other safest policies")


def _exposed() -> RationalMDP:
    """Return one state whose actions end at once: in danger for certain, or half of the time."""
    half = [(1, _HALF, (-1, 0), 1), (1, _HALF, (0, 0), 1)]
    return RationalMDP([[[(1, 1, (-1, 0), 1)], half], [[], []]])  # type: ignore[arg-type]
