"""The front door to the solvers: options, refusals, and certificates that notice changes."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from coset.core.errors import (
    ConfigError,
    DomainError,
    DtypeError,
    NotConvergedError,
    ShapeError,
)
from coset.core.results import Status
from coset.decisions.claims.lexicographic_mdps import coupled, settling
from coset.decisions.errors import UnprovedTieError
from coset.decisions.processes.mdp import MDP
from coset.decisions.processes.random_mdps import random_rational_mdp
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.solvers.solving import solve


def _random(seed: int, states: int = 4, actions: int = 3, depth: int = 2) -> RationalMDP:
    generator = torch.Generator().manual_seed(seed)
    return random_rational_mdp(states, actions, depth, generator=generator)


# --- options and refusals ------------------------------------------------------------------------


def test_strict_ties_refuse_what_is_not_proved():
    with pytest.raises(UnprovedTieError, match="ties='exact'") as caught:
        solve(settling().to_mdp(), ties="strict")
    assert caught.value.states == (0,)
    assert caught.value.level == 0


def test_slack_lets_an_objective_give_way_to_the_next():
    reward = torch.tensor([[[[1.0, 0.0]], [[0.9, 5.0]], [[0.5, 9.0]]]], dtype=torch.float64)
    mdp = MDP([[[0]] * 3], [[[1.0]] * 3], reward, 0.0)
    assert solve(mdp).policy.tolist() == [0]
    assert solve(mdp, slack=0.2).policy.tolist() == [1]
    assert solve(mdp, slack=[0.6, 0.0]).policy.tolist() == [2]
    assert solve(mdp, slack=[0.6, 0.0]).value.tolist() == [[1.0, 9.0]]


def test_a_limit_of_sweeps_is_said_or_raised():
    mdp = _random(1, 40, 2, 2).to_mdp()
    with pytest.raises(NotConvergedError, match="objective 1"):
        solve(mdp, "vi", max_iter=2)
    found = solve(mdp, "vi", max_iter=2, throw=False)
    assert found.status is Status.MAX_ITERATIONS
    exact = solve(mdp, "pi")
    assert float((found.value[:, 0] - exact.value[:, 0]).abs().max()) <= found.level_bounds[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"method": "magic"}, ConfigError),
        ({"ties": "loose"}, ConfigError),
        ({"tol": 0.0}, DomainError),
        ({"tol": math.nan}, DomainError),
        ({"tol": "small"}, DomainError),
        ({"max_iter": 0}, DomainError),
        ({"max_iter": 2.5}, DomainError),
        ({"slack": -1.0}, DomainError),
        ({"slack": math.inf}, DomainError),
        ({"slack": [0.1]}, ShapeError),
        ({"slack": 0.1, "method": "exact"}, ConfigError),
    ],
)
def test_wrong_options_are_refused(options, error):
    with pytest.raises(error):
        solve(coupled(1).to_mdp(), **options)


def test_what_is_no_process_is_refused():
    with pytest.raises(DtypeError, match="must be an MDP, a RationalMDP or a NamedMDP"):
        solve([[1.0]])


def test_negative_multipliers_are_sent_to_signed():
    mdp = MDP([[[0]]], [[[1.0]]], [[1.0]], -0.5)
    with pytest.raises(DomainError, match="signed"):
        solve(mdp)


# --- evidence ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate():
    return solve(_random(3, 6, 3, 2).to_mdp()).certificate


def test_a_certificate_says_what_it_proves(certificate):
    assert certificate.verify()
    assert "proved worse" in certificate.explain()


def test_a_changed_value_is_noticed(certificate):
    value = certificate.value.clone()
    value[2, 0] += 1e-6
    assert not replace(certificate, value=value).verify()


def test_a_lost_action_as_policy_is_noticed(certificate):
    lost = certificate.lost_at < 2
    state = int(torch.nonzero(lost.any(1))[0])
    policy = certificate.policy.clone()
    policy[state] = int(torch.nonzero(lost[state])[0])
    assert not replace(certificate, policy=policy).verify()


def test_a_survivor_declared_lost_is_noticed(certificate):
    kept = certificate.lost_at == 2
    state = int(torch.nonzero(kept.sum(1) == 1)[0])
    lost_at = certificate.lost_at.clone()
    lost_at[state][kept[state]] = 1
    other = int(torch.nonzero(~kept[state])[0])
    lost_at[state, other] = 2
    policy = certificate.policy.clone()
    policy[state] = other
    assert not replace(certificate, lost_at=lost_at, policy=policy).verify()


def test_a_smaller_bound_is_noticed(certificate):
    proofs = tuple(replace(p, low=p.low * 1e-6, high=p.high * 1e-6) for p in certificate.proofs)
    assert not replace(certificate, proofs=proofs).verify()


def test_an_exact_certificate_notices_every_change():
    found = solve(_random(5, 4, 3, 2)).certificate
    rows = [list(row) for row in found.value]
    rows[1][1] = str(Fraction(rows[1][1]) + Fraction(1, 10**30))
    assert not replace(found, value=tuple(tuple(r) for r in rows)).verify()
    lost = torch.nonzero((found.lost_at >= 0) & (found.lost_at < 2))[0].tolist()
    lost_at = found.lost_at.clone()
    lost_at[lost[0], lost[1]] = 2
    assert not replace(found, lost_at=lost_at).verify()
