"""Claims about what of rewards and multipliers means anything: gauges and potentials."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.decisions.claims.affine import TOLERANCE, mdp_as_json, verdict_of
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.gauge import gauge, regauge
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.potential import potential
from coset.decisions.solvers.evaluation import evaluate

# How many random cases by preset.
CASES = {"smoke": 32, "cpu": 300, "paper": 3000}


def _transitions(mdp: MDP) -> tuple[Tensor, Tensor, Tensor]:
    """Return (state, action, place) of the transitions of positive probability."""
    used = (mdp.probability > 0) & mdp.allowed[..., None]
    state, action, place = torch.nonzero(used, as_tuple=True)
    return state, action, place


Representation = tuple[Tensor, Tensor] | None


def same_preferences(mdp: MDP, matrix: Tensor | None = None) -> Representation:
    """Return other rewards and multipliers for the same preferences: mixed, or with one discount.

    Args:
        mdp: the process.
        matrix: (d, d) lower triangular, positive on the diagonal; or ``None`` for one objective.

    Returns:
        (reward, multiplier). With a matrix A: A r and A Γ A⁻¹. Without: those in which all
        multipliers are one discount, or ``None`` if scales for each state do not make them so.

    Claims: decisions.C5b.
    """
    if matrix is not None:
        return _arrays(regauge(mdp, matrix=matrix))
    found = gauge(mdp)
    return _arrays(regauge(mdp, scale=found.scale)) if found.holds else None


def _arrays(mdp: MDP) -> tuple[Tensor, Tensor]:
    assert isinstance(mdp.multiplier, Tensor)
    return mdp.reward, mdp.multiplier


def _left_factor_only(mdp: MDP, matrix: Tensor | None = None) -> Representation:
    if matrix is None:
        return same_preferences(mdp)
    d = mdp.num_objectives
    gamma = torch.zeros(*mdp.successor.shape, d, d, dtype=torch.float64)
    for i in range(d):
        for j in range(i + 1):
            gamma[..., i, j] = mdp.entry(i, j)
    return mdp.reward.double() @ matrix.T, (matrix @ gamma).tril()


def _inverse_scale(mdp: MDP, matrix: Tensor | None = None) -> Representation:
    if matrix is not None:
        return same_preferences(mdp, matrix)
    found = gauge(mdp)
    return _arrays(regauge(mdp, scale=1 / found.scale)) if found.scale is not None else None


def _no_scale(mdp: MDP, matrix: Tensor | None = None) -> Representation:
    if matrix is not None:
        return same_preferences(mdp, matrix)
    state, action, place = _transitions(mdp)
    used = mdp.entry(0, 0).expand(mdp.successor.shape)[state, action, place]
    return _arrays(mdp) if float(used.max() - used.min()) <= TOLERANCE else None


def _undiscounted_only(mdp: MDP, matrix: Tensor | None = None) -> Representation:
    if matrix is not None:
        return same_preferences(mdp, matrix)
    found = gauge(mdp, 1.0)
    return _arrays(regauge(mdp, scale=found.scale)) if found.holds else None


def random_graph(generator: torch.Generator) -> MDP:
    """Return a random process of one objective without rewards: 1 to 6 states, up to 2 actions.

    Args:
        generator: the source of randomness.

    Returns:
        The process, undiscounted.
    """
    size = int(torch.randint(1, 7, (), generator=generator))
    width = int(torch.randint(1, 3, (), generator=generator))
    shape = (size, width, 2)
    probability = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1
    return MDP(
        torch.randint(0, size, shape, generator=generator),
        probability / probability.sum(-1, keepdim=True),
        torch.zeros(shape, dtype=torch.float64),
        torch.ones(shape, dtype=torch.float64),
    )


def _gauged(generator: torch.Generator, number: int) -> MDP:
    """Return a process that is a discount in disguise, or one that misses it by one transition."""
    plain = random_graph(generator)
    scale = 0.5 + 1.5 * torch.rand(plain.num_states, generator=generator, dtype=torch.float64)
    discount = 1.0 if number % 4 == 0 else 0.3 + 0.6 * float(torch.rand((), generator=generator))
    multiplier = discount * scale[:, None, None] / scale[plain.successor.long()]
    if number % 2:
        multiplier[0, 0, 0] *= 1.25
    reward = torch.randn(multiplier.shape, generator=generator, dtype=torch.float64)
    return replace(plain, reward=reward, multiplier=multiplier)


def _is_discount(mdp: MDP) -> bool:
    """Solve log m = x + ψ(head) − ψ(tail) for all transitions by dense least squares."""
    state, action, place = _transitions(mdp)
    head = mdp.successor[state, action, place].long()
    amount = mdp.entry(0, 0).expand(mdp.successor.shape)[state, action, place].log()
    matrix = torch.zeros(len(state), mdp.num_states + 1, dtype=torch.float64)
    rows = torch.arange(len(state))
    matrix[rows, head] += 1
    matrix[rows, state] -= 1
    matrix[:, -1] = 1
    solution = torch.linalg.pinv(matrix) @ amount
    return float((matrix @ solution - amount).abs().max()) <= 1e-6


def _with(mdp: MDP, arrays: Representation) -> MDP | None:
    return None if arrays is None else replace(mdp, reward=arrays[0], multiplier=arrays[1])


def _same_order(one: MDP, other: MDP, generator: torch.Generator, matrix: Tensor | None) -> str:
    """Compare the values of random policies in two representations; return what is wrong."""
    ratio = None
    for _ in range(2):
        policy = torch.randint(0, one.num_actions, (one.num_states,), generator=generator)
        before = evaluate(one, policy)
        try:
            after = evaluate(other, policy)
        except NotTransientError:
            return "the other representation has no values"
        if matrix is not None:
            if float((before @ matrix.T - after).abs().max()) > 1e-8:
                return f"A V = {(before @ matrix.T).tolist()}, found {after.tolist()}"
            continue
        found = before / after
        # The scale c(s) is a property of the state, not of the policy.
        if ratio is not None and float((found / ratio - 1).abs().max()) > 1e-6:
            return f"scales {ratio.flatten().tolist()} and {found.flatten().tolist()}"
        ratio = found
        if not bool((found > 0).all()):
            return "a scale is not positive"
    return ""


def _gauge_fault(mdp: MDP, found: MDP | None, generator: torch.Generator) -> str:
    holds = _is_discount(mdp)
    if (found is not None) != holds:
        return f"verdict {found is not None} instead of {holds}"
    if found is None:
        return ""
    state, action, place = _transitions(found)
    used = found.entry(0, 0).expand(found.successor.shape)[state, action, place]
    if float(used.max() / used.min()) - 1 > 1e-8:
        return f"multipliers from {float(used.min())} to {float(used.max())}"
    # Values exist where the discount is below 1.
    return _same_order(mdp, found, generator, None) if float(used.max()) < 0.99 else ""


def _vector_process(generator: torch.Generator) -> MDP:
    """Return a process of two objectives with triangular multipliers below 1."""
    plain = random_graph(generator)
    shape = plain.successor.shape
    gamma = torch.zeros(*shape, 2, 2, dtype=torch.float64)
    gamma[..., [0, 1], [0, 1]] = 0.9 * torch.rand(*shape, 2, generator=generator).double()
    gamma[..., 1, 0] = torch.randn(shape, generator=generator, dtype=torch.float64)
    reward = torch.randn(*shape, 2, generator=generator, dtype=torch.float64)
    return replace(plain, reward=reward, multiplier=gamma)


# The matrix of the stored example; any lower triangular one with a positive diagonal will do.
MATRIX = torch.tensor([[2.0, 0.0], [-5.0, 3.0]], dtype=torch.float64)


def two_cycle(first: float = 2.0, second: float = 0.45) -> MDP:
    """Return two states that lead to each other, with these multipliers.

    Args:
        first: m(0→1).
        second: m(1→0).

    Returns:
        The process.
    """
    return MDP(
        torch.tensor([[[1]], [[0]]]),
        torch.ones(2, 1, 1, dtype=torch.float64),
        torch.ones(2, 1, dtype=torch.float64),
        torch.tensor([[[first]], [[second]]], dtype=torch.float64),
    )


@claim(
    "decisions.C5b",
    title="only products of multipliers along cycles mean anything",
    statement="""(r, Γ) and (A r, A Γ A⁻¹), A lower triangular with positive diagonal, give the same
        preferences and V → A V. With one objective a scale c(s) > 0 is free for each state: r/c(s),
        m c(s')/c(s), V/c; so an affine reward is an ordinary discounted one in disguise iff the
        product of m along every cycle is γ^length. m(A→B) = 2, m(B→A) = 0.45: γ = √0.9 with
        c(B)/c(A) = 0.47434.""",
    hypotheses="""finitely many transitions, m > 0; cycles of the undirected graph, a transition
        against its direction divides and counts −1; the verdict is compared with dense least
        squares on log m, values with those of random policies""",
    source="[derived]",
    kind="proved",
    expected="holds",
    mutants={
        "A Γ instead of A Γ A⁻¹": _left_factor_only,
        "the scale upside down": _inverse_scale,
        "equal multipliers instead of equal products": _no_scale,
        "products must be 1": _undiscounted_only,
    },
    near_misses=lambda: [(two_cycle(0.5, 0.5),), (two_cycle(2.0, 0.5),)],
)
def C5b(
    represent: Callable[..., Representation] = same_preferences,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge decisions.C5b: disguised discounts, near misses, and mixed objectives."""
    failures: list[dict[str, Any]] = []
    disguised = 0
    for number in range(CASES[preset]):
        mdp = two_cycle() if number == 2 else _gauged(generator, number)
        found = _with(mdp, represent(mdp))
        disguised += found is not None
        fault = _gauge_fault(mdp, found, generator)
        if number == 2 and found is not None and not fault:
            ratio = float(found.entry(0, 0).flatten()[0])
            fault = "" if abs(ratio - math.sqrt(0.9)) <= 1e-12 else f"γ = {ratio}"
        if fault:
            failures.append(mdp_as_json(mdp, fault=fault))
        vector = _vector_process(generator)
        mixed = _with(vector, represent(vector, MATRIX))
        fault = _same_order(vector, mixed, generator, MATRIX) if mixed is not None else "nothing"
        if fault:
            failures.append(mdp_as_json(vector, matrix=MATRIX.tolist(), fault=fault))
    cases = 2 * CASES[preset]
    return verdict_of(failures, cases, "representations are wrong", disguised=disguised)


PotentialOf = Callable[[MDP, float], tuple[bool, Tensor]]


def potential_of(mdp: MDP, discount: float) -> tuple[bool, Tensor]:
    """Return whether the reward is γ Φ(s') − Φ(s), and γ Φ(s') − Φ(s) for the best Φ.

    Args:
        mdp: a process of one objective.
        discount: γ.

    Returns:
        The verdict, and one number for each transition.

    Claims: decisions.C6d.
    """
    found = potential(mdp, discount)
    assert found.potential is not None
    return found.holds, _differences(mdp, found.potential, discount)


def _differences(mdp: MDP, phi: Tensor, discount: float) -> Tensor:
    state, action, place = _transitions(mdp)
    return discount * phi[mdp.successor[state, action, place].long()] - phi[state]


def _rewards(mdp: MDP) -> Tensor:
    state, action, place = _transitions(mdp)
    return mdp.reward[..., 0].expand(mdp.successor.shape)[state, action, place].double()


def _incidence(mdp: MDP, discount: float) -> Tensor:
    state, action, place = _transitions(mdp)
    matrix = torch.zeros(len(state), mdp.num_states, dtype=torch.float64)
    rows = torch.arange(len(state))
    matrix[rows, mdp.successor[state, action, place].long()] += discount
    matrix[rows, state] -= 1
    return matrix


def _weighted_potential(mdp: MDP, discount: float) -> tuple[bool, Tensor]:
    state, action, place = _transitions(mdp)
    root = mdp.probability[state, action, place].double().sqrt()
    matrix, amount = _incidence(mdp, discount), _rewards(mdp)
    fitted = matrix @ (torch.linalg.pinv(root[:, None] * matrix) @ (root * amount))
    return bool((fitted - amount).abs().max() <= 1e-7), fitted


def _unchecked_potential(mdp: MDP, discount: float) -> tuple[bool, Tensor]:
    return True, potential_of(mdp, discount)[1]


def _undiscounted_potential(mdp: MDP, discount: float) -> tuple[bool, Tensor]:
    return potential_of(mdp, 1.0)


def _expected_potential(mdp: MDP, discount: float) -> tuple[bool, Tensor]:
    mean = (mdp.probability.double()[..., None] * mdp.reward).sum(2, keepdim=True)
    return potential_of(replace(mdp, reward=mean.expand(mdp.reward.shape)), discount)


def _potential_case(generator: torch.Generator, number: int) -> tuple[MDP, float]:
    """Return rewards that are differences of a potential, or that miss it by one transition."""
    plain = random_graph(generator)
    discount = 1.0 if number % 4 < 2 else 0.8
    phi = torch.randn(plain.num_states, generator=generator, dtype=torch.float64)
    reward = discount * phi[plain.successor.long()] - phi[:, None, None]
    if number % 2:
        reward[0, 0, 0] += 1
    return replace(plain, reward=reward), discount


def triangle(last: float) -> MDP:
    """Return three states in a circle with rewards 1, 2 and this one.

    Args:
        last: the reward of 2→0.

    Returns:
        The process.
    """
    return MDP(
        torch.tensor([[[1]], [[2]], [[0]]]),
        torch.ones(3, 1, 1, dtype=torch.float64),
        torch.tensor([[1.0], [2.0], [last]], dtype=torch.float64),
    )


@claim(
    "decisions.C6d",
    title="path independence is a potential",
    statement="""Additivity and path independence hold iff r(s, a, s') = Φ(s') − Φ(s) on all
        possible transitions; then u(τ) = Φ(end) − Φ(start), Φ unique up to a constant for each
        component. Otherwise a cycle has a sum other than 0, and what least squares leaves is the
        cyclic part of r. Circle with r = (1, 2, −3): Φ = (0, 1, 3); r = (1, 2, −2):
        Φ = (0, ⅔, 7/3), ⅓ left on each transition. The same with γ Φ(s') − Φ(s).""",
    hypotheses="""finitely many transitions; compared with the pseudo-inverse of the incidence
        matrix""",
    source="[paper] utility, abstract; the test is [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "least squares weighted by probability": _weighted_potential,
        "Φ along a spanning forest, not checked": _unchecked_potential,
        "the discount is left out": _undiscounted_potential,
        "the mean reward of an action for all of its outcomes": _expected_potential,
    },
    near_misses=lambda: [(triangle(-3.0), 1.0), (triangle(-2.0), 1.0)],
)
def C6d(
    find: PotentialOf = potential_of, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge decisions.C6d: verdict and fitted differences against the pseudo-inverse."""
    cases = [(triangle(-3.0), 1.0), (triangle(-2.0), 1.0)]
    cases += [_potential_case(generator, number) for number in range(CASES[preset])]
    failures, independent = [], 0
    for number, (mdp, discount) in enumerate(cases):
        holds, fitted = find(mdp, discount)
        matrix, amount = _incidence(mdp, discount), _rewards(mdp)
        best = matrix @ (torch.linalg.pinv(matrix) @ amount)
        right = bool((best - amount).abs().max() <= 1e-7)
        independent += right
        if number < 2:
            known = amount + (0.0 if number == 0 else -1 / 3)
            right_known = bool((fitted - known).abs().max() <= TOLERANCE)
        wrong = holds != right or float((fitted - best).abs().max()) > 1e-7
        if wrong or (number < 2 and not right_known):
            failures.append(mdp_as_json(mdp, discount=discount, fitted=fitted.tolist()))
    return verdict_of(failures, len(cases), "potentials are wrong", path_independent=independent)
