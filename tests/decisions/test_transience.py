"""Whether multipliers die out: verdicts by eigenvalues, proofs of both answers, rounding."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.decisions.level_cases import discounted, growing, tensor, walk

from coset.core.errors import DomainError, ShapeError
from coset.core.results import Record
from coset.decisions.claims.contraction import two_states
from coset.decisions.errors import NotTransientError
from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.reference import all_policies
from coset.decisions.solvers.radius import radius
from coset.decisions.solvers.row_sums import contraction_factors
from coset.decisions.solvers.transience import closed_actions, transience


def largest_radius(level):
    best = 0.0
    for policy in all_policies(level):
        matrix = torch.zeros(level.num_states, level.num_states, dtype=torch.float64)
        for s, a in enumerate(policy):
            if a >= 0:
                matrix[s].index_add_(0, level.successor[s, a].long(), level.weight[s, a])
        best = max(best, float(torch.linalg.eigvals(level.scale * matrix).abs().max()))
    return best


def ratios(level, weights):
    """Return Σ W w / w of each allowed action by loops."""
    found = []
    for s, a in torch.nonzero(level.allowed).tolist():
        moved = sum(
            level.scale * float(w) * float(weights[t])
            for t, w in zip(level.successor[s, a].tolist(), level.weight[s, a], strict=True)
        )
        found.append(moved / float(weights[s]))
    return found


def test_the_stored_example():
    found = transience(two_states())
    assert found.holds
    assert found.weights.tolist() == [6.0, 2.5]
    assert found.factor == pytest.approx(5 / 6, abs=1e-14)
    assert found.low_factor == pytest.approx(0.6, abs=1e-14)
    best = radius(two_states())
    assert best.low == pytest.approx(0.7071067811865476, abs=2e-9)
    assert best.high == pytest.approx(0.7071067811865476, abs=2e-9)
    assert best.weights.tolist() == pytest.approx([2 * 2**0.5, 1.0], rel=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_the_verdict_is_that_of_the_eigenvalues_of_all_policies(seed):
    level = growing(2 + seed % 4, seed, top=1.6)
    found, right = transience(level), largest_radius(level)
    assert found.holds == (right < 1)
    if found.holds:
        seen = ratios(level, found.weights)
        assert right <= max(seen) <= found.factor < 1
        assert found.low_factor <= min(seen)
        if float(level.row_sums().max()) >= 1:  # w are lifetimes
            assert found.factor <= 1 - 1 / float(found.weights.max()) + 1e-9
        assert found.throw() is found
    else:
        assert found.witness.replay(level)
        assert found.witness.radius <= right * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_radius_lies_between_its_bounds(seed):
    level = growing(4, seed)
    found, right = radius(level), largest_radius(level)
    assert found.low - 1e-9 <= right <= found.high + 1e-9
    assert found.high - found.low <= 1e-9 * max(1, found.high)
    assert max(ratios(level, found.weights)) <= found.high * (1 + 1e-12)
    chosen = torch.nn.functional.one_hot(found.policy, level.num_actions).bool()
    assert largest_radius(level.restrict(chosen)) >= found.low - 1e-9


def test_undiscounted_processes_are_decided_by_their_graph():
    ending = walk(5)
    assert transience(ending).holds
    staying = replace(walk(3), successor=torch.tensor([[[0, 1]], [[1, 0]], [[2, 3]], [[3, 3]]]))
    found = transience(staying)  # 0 and 1 lead to each other for ever
    assert not found.holds
    assert closed_actions(staying).flatten().tolist() == [True, True, False, False]
    assert found.witness.vector.tolist() == [1.0, 1.0, 0.0, 0.0]
    assert found.witness.policy.tolist() == [0, 0, 0, -1]
    assert found.witness.replay(staying)
    assert not found.witness.replay(ending)
    with pytest.raises(NotTransientError, match="states 0, 1") as caught:
        found.throw()
    assert caught.value.policy == (0, 0, 0, -1)
    assert caught.value.radius == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_that_sum_to_one_up_to_rounding_are_not_transient(dtype):
    third = torch.full((3, 1, 3), 1 / 3, dtype=dtype)
    successor = torch.arange(3).expand(3, 1, 3)
    mdp = MDP(successor, third, torch.zeros(3, 1))
    assert not transience(mdp).holds
    assert transience(replace(mdp, multiplier=0.99)).holds


def test_a_cycle_whose_product_is_one_is_not_transient():
    level = two_states(0.5)
    found = transience(level)
    assert not found.holds
    assert found.witness.radius == pytest.approx(1.0)
    assert found.witness.replay(level)
    assert "spectral radius ≥ 1" in found.reason
    # A witness of something else does not replay: other rows, or a radius that is too large.
    assert not found.witness.replay(two_states(0.4))
    assert not replace(found.witness, radius=1.1).replay(level)


@pytest.mark.parametrize("stay", [0.0, 0.9])
def test_long_corridors_are_proved_by_sweeps_or_systems(stay):
    level = walk(2000 if stay else 250, stay)
    found = transience(level)
    assert found.holds
    assert found.weights[-1] == 0
    assert max(ratios(level, found.weights)) <= found.factor < 1


def test_many_states_with_rows_above_one():
    level = growing(3000, 0, top=0.9)
    assert float(level.row_sums().max()) > 1
    found = transience(level)
    assert found.holds
    assert max(ratios(level, found.weights)) <= found.factor < 1
    assert not transience(replace(level, scale=3.0)).holds


def test_discounts_and_terminal_states():
    found = transience(discounted(50, 0, 0.9))
    assert found.factor == pytest.approx(0.9)
    assert found.low_factor == pytest.approx(0.9)
    assert set(found.weights.tolist()) == {1.0}
    ended = transience(discounted(50, 0, 0.9, num_terminal=20))
    assert ended.weights.tolist() == [1.0] * 30 + [0.0] * 20
    assert ended.factor <= 0.9 + 1e-12
    nothing = transience(discounted(5, 0, 0.9, num_terminal=5))
    assert nothing.holds
    assert nothing.factor == 0


def test_one_state():
    loop = ScalarLevel(
        torch.zeros(1, 1, 1).int(), tensor([[[1.0]]]), tensor([[1.0]]), tensor([[1.0]]).bool()
    )
    assert not transience(loop).holds
    assert transience(replace(loop, scale=0.5)).factor == pytest.approx(0.5)
    assert radius(loop).high == pytest.approx(1.0, abs=1e-8)


def test_objectives_of_a_process_have_their_own_verdicts():
    mdp = MDP([[[0]]], [[[1.0]]], [[[[0.0, 1.0]]]], [[1.0, 0.0], [2.0, 0.5]])
    assert not transience(mdp, 0).holds
    assert transience(mdp, 1).holds


def test_what_is_refused():
    with pytest.raises(ShapeError, match="one number a state"):
        contraction_factors(two_states(), torch.ones(3, dtype=torch.float64))
    with pytest.raises(DomainError, match="1e-10"):
        radius(two_states(), tol=1e-12)


def test_verdicts_become_json():
    for level in (two_states(), two_states(0.5)):
        found = transience(level)
        again = Record.from_json(found.to_json())
        assert again.holds == found.holds
        assert again.factor == found.factor
        if found.witness is not None:
            assert again.witness.replay(level)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_weights_that_are_not_positive_numbers_prove_nothing(bad):
    level = two_states()
    with pytest.raises(DomainError, match="state 1 has"):
        contraction_factors(level, tensor([1.0, bad]))


def test_a_tampered_witness_does_not_replay():
    level = replace(two_states(), scale=2.0)
    witness = transience(level).witness
    assert witness is not None
    assert witness.replay(level)
    for change in (
        {"vector": torch.full((2,), math.inf, dtype=torch.float64)},
        {"vector": witness.vector[:1]},
        {"policy": torch.tensor([7, 0])},
        {"radius": witness.radius * 1.01},
        {"radius": math.nan},
    ):
        assert not replace(witness, **change).replay(level)


@pytest.mark.parametrize("seed", range(4))
def test_the_radius_of_single_precision_weights_lies_between_its_bounds(seed):
    level = growing(12, seed, top=0.9)
    level = replace(level, weight=level.weight.float())
    found, right = radius(level), radius(replace(level, weight=level.weight.double()))
    assert found.low <= right.high * (1 + 1e-11)
    assert right.low <= found.high * (1 + 1e-11)
    assert found.high - found.low <= 1e-9 * max(1.0, found.high)


def test_results_are_shown_in_one_line():
    level = growing(50, 0, top=0.5)
    for shown in (level, transience(level), radius(level)):
        assert "tensor" not in repr(shown)
        assert len(repr(shown)) < 120
