"""Certificates: true ones hold; altered, cut short or garbled ones do not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from coset.core.results import Status
from coset.decisions.processes.random_mdps import random_rational_mdp, random_undiscounted_mdp
from coset.decisions.processes.rational import RationalMDP
from coset.decisions.solvers.solving import solve


def _cases():
    half = Fraction(1, 2)
    yield "discounted", random_rational_mdp(4, 3, 2, generator=torch.Generator().manual_seed(4))
    yield (
        "safety",
        random_undiscounted_mdp(4, 3, signs=[-1], generator=torch.Generator().manual_seed(5)),
    )
    goal = [[(0, 1, (0, 0), ((1, 0), (0, half)))], [(1, 1, (1, 0), ((1, 0), (0, half)))]]
    yield "goal", RationalMDP([goal, [[], []]])


CASES = dict(_cases())


def _altered(certificate, num_objectives, num_actions):
    """Yield certificates that say something else, for any kind of certificate."""
    lost, policy = certificate.lost_at, certificate.policy
    live = torch.nonzero(policy >= 0).flatten().tolist()
    for s in live:
        for a in torch.nonzero(lost[s] >= 0).flatten().tolist():
            other = lost.clone()
            other[s, a] = 0 if lost[s, a] == num_objectives else num_objectives
            yield replace(certificate, lost_at=other)
            if lost[s, a] < num_objectives:
                moved = policy.clone()
                moved[s] = a
                yield replace(certificate, policy=moved)
                yield replace(certificate, policy=moved, lost_at=other)
        for nowhere in (-1, num_actions, -7):
            moved = policy.clone()
            moved[s] = nowhere
            yield replace(certificate, policy=moved)
    yield replace(certificate, policy=policy[:-1])
    yield replace(certificate, lost_at=lost[:, :-1])
    yield replace(certificate, lost_at=lost[:-1])


@pytest.mark.parametrize("name", CASES)
def test_altered_certificates_in_floats_fail(name):
    mdp = CASES[name]
    certificate = solve(mdp.to_mdp()).certificate
    assert certificate.verify()
    for other in _altered(certificate, mdp.num_objectives, mdp.num_actions):
        assert not other.verify(), other
    for k in range(mdp.num_objectives):
        for s in range(mdp.num_states):  # terminal states as well: they are worth 0
            for change in (1e-3, -1e-3):
                value = certificate.value.clone()
                value[s, k] += change
                assert not replace(certificate, value=value).verify()
    value = certificate.value
    for garbled in (value * torch.nan, value[:, :-1], value[:-1], value + 1):
        assert not replace(certificate, value=garbled).verify()
    assert not replace(certificate, proofs=certificate.proofs[:-1]).verify()


@pytest.mark.parametrize("name", CASES)
def test_altered_exact_certificates_fail(name):
    mdp = CASES[name]
    certificate = solve(mdp).certificate
    assert certificate.verify()
    for other in _altered(certificate, mdp.num_objectives, mdp.num_actions):
        assert not other.verify(), other
    for text in ("1/0", "x", "nan", "12345/67"):
        value = ((text, *certificate.value[0][1:]), *certificate.value[1:])
        assert not replace(certificate, value=value).verify()
    for cut in (certificate.value[:-1], tuple(row[:-1] for row in certificate.value)):
        assert not replace(certificate, value=cut).verify()


def test_a_survivor_that_is_worse_is_seen_though_nothing_else_changed():
    mdp = RationalMDP([[[(1, 1, 2, 0)], [(1, 1, 1, 0)]], [[], []]])
    certificate = solve(mdp.to_mdp()).certificate
    other = replace(
        certificate, lost_at=torch.tensor([[1, 1], [-1, -1]]), policy=torch.tensor([1, -1])
    )
    assert not other.verify()


def test_slack_is_part_of_what_is_proved():
    mdp = RationalMDP([[[(1, 1, 2, 0)], [(1, 1, 1, 0)]], [[], []]])
    certificate = solve(mdp.to_mdp(), slack=1.5).certificate
    assert certificate.verify()
    assert "by more than 1.5" in certificate.explain()
    strict = tuple(replace(proof, tolerance=0.0) for proof in certificate.proofs)
    assert not replace(certificate, proofs=strict).verify()


@pytest.mark.parametrize("name", CASES)
def test_certificates_are_shown_in_one_line(name):
    mdp = CASES[name]
    for solution in (solve(mdp), solve(mdp.to_mdp())):
        shown = repr(solution.certificate)
        assert "tensor" not in shown
        assert "\n" not in shown
        assert len(shown) < 300


@pytest.mark.parametrize("bits", [20, 40, 47, 53])
def test_what_is_called_solved_is_proved_though_ends_are_unlikely(bits):
    # Lifetimes of 2⁵³ steps leave u − W u ≥ 1 to the rounding of u.
    hazard = Fraction(1, 2**bits)
    out = [(0, 1 - hazard, 0, 1), (1, hazard, 0, 1)]
    found = solve(RationalMDP([[[(0, 1, 0, 1)], out], [[], []]]).to_mdp(), throw=False)
    assert found.value[0].tolist() == [0.0]
    assert found.status is not Status.SOLVED or found.certificate.verify()
    assert (found.status is Status.SOLVED) == (bits < 50)


def test_bounds_of_huge_rewards_stay_in_float64():
    half = Fraction(1, 2)
    loop = [(0, half, -(10**100), 1), (0, half, -1, 0)]
    mdp = RationalMDP([[loop, [(1, half, -1, 1), (1, half, -2, 1)]], [[], []]])
    found = solve(mdp.to_mdp(), throw=False)
    assert found.status is not Status.SOLVED
    assert 0 < found.error_bound < 1e90  # beyond float32, whose infinity times 0 is no bound
    assert found.certificate.verify()
