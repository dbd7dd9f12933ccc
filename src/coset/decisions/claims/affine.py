"""Claims about one objective with multipliers: their sign, and exponential utility."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.decisions.processes.mdp import MDP
from coset.decisions.reference import all_policies
from coset.decisions.solvers.evaluation import signed_level
from coset.decisions.solvers.risk import certainty_equivalent, exponential_utility, risk_sensitive
from coset.decisions.solvers.scalar import solve_level
from coset.decisions.solvers.signed import signed

# How many random cases by preset.
CASES = {"smoke": 24, "cpu": 200, "paper": 2000}
TOLERANCE = 1e-9


def verdict_of(
    failures: list[dict[str, Any]], cases: int, what: str, **evidence: Any
) -> ClaimResult:
    """Judge by the number of failing cases: there must be none.

    Args:
        failures: the failing inputs as JSON values, first found first.
        cases: how many were checked.
        what: what a failure is, after "n of cases".
        **evidence: further figures.

    Returns:
        The result.
    """
    return ClaimResult(
        holds=not failures,
        measured=float(len(failures)),
        bound=0.0,
        detail=f"{len(failures)} of {cases} {what}",
        sample_size=cases,
        counterexample=failures[0] if failures else None,
        evidence=evidence,
    )


def mdp_as_json(mdp: MDP, **more: Any) -> dict[str, Any]:
    """Return a failing process as JSON values that replay it exactly.

    Args:
        mdp: the process.
        **more: further JSON values.

    Returns:
        The dictionary.
    """
    arrays = {
        name: getattr(mdp, name).tolist()
        for name in ("successor", "probability", "reward", "multiplier")
    }
    return {**arrays, **more}


def layered(
    generator: torch.Generator, depth: int, multipliers: tuple[float, ...], rewards: int = 8
) -> MDP:
    """Return a random process of two states a layer, two actions and two successors.

    Numbers are multiples of 1/4, so that sums and products are exact; after `depth` layers comes a
    terminal state.

    Args:
        generator: the source of randomness.
        depth: how many steps there are.
        multipliers: the values that multipliers take.
        rewards: rewards are k/4 with |k| ≤ rewards.

    Returns:
        The process: 2 depth + 1 states, layer by layer, the last one terminal.
    """
    size = 2 * depth + 1
    successor = torch.full((size, 2, 2), size - 1)
    for layer in range(depth - 1):
        successor[2 * layer : 2 * layer + 2] = torch.tensor([2 * layer + 2, 2 * layer + 3])
    chance = torch.randint(1, 4, (size, 2), generator=generator).double() / 4
    probability = torch.stack((chance, 1 - chance), -1)
    picked = torch.randint(0, len(multipliers), (size, 2, 2), generator=generator)
    return MDP(
        successor,
        probability,
        torch.randint(-rewards, rewards + 1, (size, 2, 2), generator=generator).double() / 4,
        torch.tensor(multipliers, dtype=torch.float64)[picked],
        terminal=torch.arange(size) == size - 1,
    )


def signed_values(mdp: MDP) -> Tensor:
    """Return the best expected return from each state, where multipliers may be negative.

    Args:
        mdp: a process of one objective.

    Returns:
        (S,) float64.

    Claims: decisions.C11.
    """
    doubled = signed(mdp)
    return doubled.values(solve_level(doubled.mdp.level(0)).value)[0]


def _naive_values(mdp: MDP) -> Tensor:
    level = signed_level(mdp)
    value = torch.zeros(mdp.num_states, dtype=torch.float64)
    for _ in range(mdp.num_states):
        value = level.backup(value)
    return value


def _changed_doubling(change: Callable[[MDP, int], MDP]) -> Callable[[MDP], Tensor]:
    def values(mdp: MDP) -> Tensor:
        doubled = signed(mdp)
        wrong = change(doubled.mdp, mdp.num_states)
        return doubled.values(solve_level(wrong.level(0)).value)[0]

    return values


def _forget_sign(mdp: MDP, half: int) -> MDP:
    successor = mdp.successor.clone()
    successor[half:] = successor[:half]
    return replace(mdp, successor=successor)


def _keep_reward(mdp: MDP, half: int) -> MDP:
    return replace(mdp, reward=torch.cat((mdp.reward[:half], mdp.reward[:half])))


def history_returns(mdp: MDP, state: int) -> set[Fraction]:
    """Return the expected return of every policy that may depend on the whole past.

    Args:
        mdp: a process without cycles; its numbers are read as dyadic rationals.
        state: where it begins.

    Returns:
        One number a policy, without repetition.
    """
    multiplier = mdp.entry(0, 0).expand(mdp.successor.shape).tolist()
    successor, probability = mdp.successor.tolist(), mdp.probability.tolist()
    reward, allowed = mdp.reward[..., 0].tolist(), mdp.allowed.tolist()

    @cache  # pasts that end in the same state have the same futures, not the same policies
    def returns(s: int) -> frozenset[Fraction]:
        found = set() if any(allowed[s]) else {Fraction(0)}
        for a in (a for a, ok in enumerate(allowed[s]) if ok):
            parts = []
            for k, p in enumerate(probability[s][a]):
                if p == 0:  # padding leads nowhere
                    continue
                r, m = Fraction(reward[s][a][k]), Fraction(multiplier[s][a][k])
                parts.append([Fraction(p) * (r + m * x) for x in returns(successor[s][a][k])])
            # Each successor is another past: what is done there is chosen independently.
            found.update(sum(choice, Fraction(0)) for choice in itertools.product(*parts))
        return frozenset(found)

    return set(returns(state))


def _plain_case() -> list[tuple[MDP]]:
    """Return a process in which no multiplier is negative."""
    generator = torch.Generator().manual_seed(0)
    return [(layered(generator, 3, (0.5, 1.0, 2.0)),)]


@claim(
    "decisions.C11",
    title="negative multipliers need one bit of memory",
    statement="""With multipliers of any sign the best return from s is V⁺(s), where
        V⁺ = max_a E[r + m⁺V⁺ − m⁻V⁻] and V⁻ = min_a E[r + m⁺V⁻ − m⁻V⁺]; a policy that is stationary
        on (s, sign of the product of past multipliers) attains it; no policy that sees the whole
        past does better.""",
    hypotheses="""one objective; processes of horizon 3 with two states a layer, against all
        policies that depend on the whole past, in rational numbers""",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the Bellman equation with the signed multiplier": _naive_values,
        "the next sign is that of the last multiplier": _changed_doubling(_forget_sign),
        "the reward does not change its sign": _changed_doubling(_keep_reward),
    },
    near_misses=_plain_case,
)
def C11(
    values_of: Callable[[MDP], Tensor] = signed_values,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C11: the doubled process against brute force over histories."""
    failures, naive, cases = [], 0, CASES[preset]
    for _ in range(cases):
        mdp = layered(generator, 3, (-1.0, -0.5, 0.5, 1.0))
        found = values_of(mdp)[:2].tolist()
        plain = _naive_values(mdp)[:2].tolist()
        best = [float(max(history_returns(mdp, state))) for state in (0, 1)]
        wrong = [abs(x - y) > TOLERANCE for x, y in zip(found, best, strict=True)]
        naive += any(abs(x - y) > TOLERANCE for x, y in zip(plain, best, strict=True))
        if any(wrong):
            failures.append(mdp_as_json(mdp, found=found, best=best))
    return verdict_of(failures, cases, "processes solved wrongly", naive_equation_wrong=naive)


def risk_values(mdp: MDP, beta: float) -> Tensor:
    """Return the best certainty equivalent of the total reward from each state.

    Args:
        mdp: a process of one objective without discount.
        beta: β.

    Returns:
        (S,) float64.

    Claims: decisions.C12.
    """
    value = solve_level(risk_sensitive(mdp, beta).level(0)).value
    return certainty_equivalent(value, beta)


def _risk_of(change: Callable[[MDP, MDP, float], MDP]) -> Callable[[MDP, float], Tensor]:
    def values(mdp: MDP, beta: float) -> Tensor:
        if beta == 0:
            return risk_values(mdp, beta)
        wrong = change(mdp, risk_sensitive(mdp, beta), beta)
        return certainty_equivalent(solve_level(wrong.level(0)).value, beta)

    return values


def _inverse_multiplier(mdp: MDP, right: MDP, beta: float) -> MDP:
    factor = torch.exp(beta * mdp.reward[..., 0].double())
    return replace(right, multiplier=factor.expand(mdp.successor.shape))


def _plain_reward(mdp: MDP, right: MDP, beta: float) -> MDP:
    return replace(right, reward=mdp.reward.double().expand(right.reward.shape))


def _expected_loss(mdp: MDP, right: MDP, beta: float) -> MDP:
    mean = (mdp.probability.double() * right.entry(0, 0)).sum(-1, keepdim=True)
    return replace(right, multiplier=mean.expand(mdp.successor.shape))


def _trajectories(mdp: MDP, state: int, policy: tuple[int, ...]) -> Iterator[tuple[float, float]]:
    """Yield (probability, total reward) of each trajectory of a process without cycles."""
    if policy[state] < 0:
        yield 1.0, 0.0
        return
    for k in range(mdp.num_successors):
        chance = float(mdp.probability[state, policy[state], k])
        reward = float(mdp.reward[state, policy[state], k, 0])
        for p, total in _trajectories(mdp, int(mdp.successor[state, policy[state], k]), policy):
            yield chance * p, reward + total


def _best_by_trajectories(mdp: MDP, beta: float) -> float:
    """Return the best certainty equivalent from state 0, policy by policy."""
    best = -math.inf
    for policy in all_policies(mdp.level(0)):
        paths = list(_trajectories(mdp, 0, policy))
        totals = torch.tensor([x for _, x in paths], dtype=torch.float64)
        chances = torch.tensor([p for p, _ in paths], dtype=torch.float64)
        worth = (chances * exponential_utility(totals, beta)).sum()
        best = max(best, float(certainty_equivalent(worth, beta)))
    return best


def _lotteries() -> list[tuple[MDP, float, float]]:
    """Return known cases: (process, β, certainty equivalent from state 0)."""
    gamble, sure = ((0.5, 2.0), (0.5, -1.0)), ((1.0, 1.0), (0.0, 0.0))
    once, half = -math.log2(1.125), math.log(2)
    lottery = tuple(((1.0, x), (0.0, 0.0)) for x in (1.0, -2.0, 0.5))
    return [
        (_chain((gamble,)), half, once),
        (_chain((gamble, gamble)), half, 2 * once),
        (_chain((sure, gamble)), half, 1.0 + once),
        (_chain(lottery), 0.5, -0.5),
    ]


def _chain(steps: tuple[tuple[tuple[float, float], ...], ...]) -> MDP:
    """Return lotteries one after the other, each as pairs (probability, reward)."""
    table = torch.tensor([*steps, ((1.0, 0.0), (0.0, 0.0))], dtype=torch.float64)[:, None]
    number = torch.arange(len(table))
    after = (number + 1).clamp(max=len(steps))
    return MDP(
        after[:, None, None].expand(table.shape[:3]),
        table[..., 0],
        table[..., 1],
        terminal=number == len(steps),
    )


@claim(
    "decisions.C12",
    title="exponential utility is an affine reward",
    statement="""U(x) = (1 − e^{−βx})/β obeys U(r + R) = U(r) + e^{−βr} U(R), so that the best
        certainty equivalent of a total reward is that of the process with reward U(r) and
        multiplier e^{−βr}; β → 0 is the expected total.""",
    hypotheses="""no discount; β from −2 to 2; processes of two or three steps, each policy by all
        of its trajectories; a gamble ½: +2, ½: −1 once and twice at β = ln 2: −log₂ 1.125 and
        twice that""",
    source="[derived], classical",
    kind="proved",
    expected="holds",
    mutants={
        "multiplier e^{+βr}": _risk_of(_inverse_multiplier),
        "the reward itself instead of its utility": _risk_of(_plain_reward),
        "the mean multiplier of an action for all of its outcomes": _risk_of(_expected_loss),
    },
    near_misses=lambda: [(layered(torch.Generator().manual_seed(1), 3, (1.0,)), 0.0)],
)
def C12(
    values_of: Callable[[MDP, float], Tensor] = risk_values,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C12: certainty equivalents against all trajectories of all policies."""
    cases = list(_lotteries())
    for number in range(CASES[preset] // 2):
        mdp = layered(generator, 2 + number % 2, (1.0,), rewards=6)
        beta = (0.25, -0.25, 1.0, -1.0, 2.0, -2.0, 0.0)[number % 7]
        cases.append((mdp, beta, _best_by_trajectories(mdp, beta)))
    failures = []
    for mdp, beta, best in cases:
        found = float(values_of(mdp, beta)[0])
        if not abs(found - best) <= TOLERANCE:
            failures.append(mdp_as_json(mdp, beta=beta, found=found, best=best))
    return verdict_of(failures, len(cases), "certainty equivalents are wrong")
