"""Decision processes on arrays: forms that are accepted, the Bellman backup, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch

from coset.core.errors import CosetError, DomainError, RangeError, ShapeError
from coset.core.results import Record
from coset.decisions.processes.mdp import MDP

ONE = ([[[0]]], [[[1.0]]])


@pytest.fixture
def dense():
    rng = np.random.default_rng(0)
    chance = rng.random((3, 7, 7)) * (rng.random((3, 7, 7)) < 0.5)
    chance[:, :, 0] += 0.1
    return chance / chance.sum(-1, keepdims=True), rng.random((7, 3)), rng.random((3, 7, 7))


def backup(mdp, value):
    return mdp.level(0).backup(torch.as_tensor(value, dtype=torch.float64)).numpy()


def test_dense_sparse_and_listed_forms_agree_with_matrix_products(dense):
    chance, reward, _ = dense
    value = np.arange(7.0)
    wanted = (reward.T + 0.9 * chance @ value).max(0)
    made = MDP.from_dense(chance, reward, 0.9)
    state, action = np.divmod(np.arange(21), 3)
    places, weights = made.successor.reshape(21, -1), made.probability.reshape(21, -1)
    order = np.random.default_rng(1).permutation(21)
    listed = MDP.from_pairs(
        *(x[order] for x in (state, action, places, weights, reward.reshape(-1))), 0.9
    )
    sparse = MDP.from_scipy([scipy.sparse.csr_matrix(p) for p in chance], reward, 0.9)
    for mdp in (made, listed, sparse):
        np.testing.assert_allclose(backup(mdp, value), wanted, rtol=1e-14)


def test_rewards_and_multipliers_of_transitions(dense):
    chance, _, per_move = dense
    mdp = MDP.from_dense(chance, per_move, 0.5 + per_move)
    value = np.linspace(-1, 1, 7)
    q = (chance * (per_move + (0.5 + per_move) * value)).sum(-1)
    np.testing.assert_allclose(backup(mdp, value), q.max(0), rtol=1e-13)


def test_a_level_adds_what_the_matrix_carries_over():
    gamma = [[0.5, 0.0], [3.0, 0.25]]
    mdp = MDP([[[0, 1]], [[1, 1]]], [[[0.5, 0.5]], [[1.0, 0.0]]], [[[[1.0, 10.0]]]] * 2, gamma)
    above = torch.tensor([[2.0], [4.0]], dtype=torch.float64)
    level = mdp.level(1, above)
    assert level.reward.tolist() == [[10 + 3 * 3.0], [10 + 3 * 4.0]]
    assert level.scale == 0.25
    assert mdp.level(0).reward.tolist() == [[1.0], [1.0]]
    with pytest.raises(ShapeError, match="levels above"):
        mdp.level(1)


def test_one_multiplier_for_all_shares_the_probabilities():
    mdp = MDP(*ONE, [[1.0]], 0.9)
    assert mdp.level(0).weight.data_ptr() == mdp.probability.data_ptr()


def test_products_with_multipliers_are_not_rounded_to_float32():
    chance = torch.tensor([[[0.3, 0.7]]], dtype=torch.float32)
    gamma = torch.tensor([[[0.9, 0.7]]], dtype=torch.float64)
    weight = MDP([[[0, 0]]], chance, [[1.0]], gamma).level(0).weight
    assert torch.equal(weight, chance.double() * gamma)


def test_forms_of_the_multiplier_mean_the_same():
    reward = torch.rand(4, 2, 1, 2, dtype=torch.float64)
    places = torch.randint(4, (4, 2, 3))
    chance = torch.full((4, 2, 3), 1 / 3, dtype=torch.float64)
    full = torch.zeros(4, 2, 3, 2, 2)
    full[...] = torch.tensor([[0.9, 0.0], [0.0, 0.5]])
    wide = MDP(places, chance, reward, full)
    short = MDP(places, chance, reward, [0.9, 0.5])
    matrix = MDP(places, chance, reward, [[0.9, 0.0], [0.0, 0.5]])
    value = torch.rand(4, dtype=torch.float64)
    for k in range(2):
        rows = [m.level(k, torch.zeros(4, k)).backup(value) for m in (wide, short, matrix)]
        torch.testing.assert_close(rows[0], rows[1], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(rows[1], rows[2])


def test_terminal_states_masks_and_padding_are_not_read():
    nan = float("nan")
    mdp = MDP(
        [[[1, -7], [9, 9]], [[-1, -1], [5, 5]]],
        [[[1.0, 0.0], [nan, nan]], [[nan, nan], [0.0, 0.0]]],
        [[[2.0, nan], [nan, nan]], [[nan, nan], [nan, nan]]],
        mask=[[True, False], [True, True]],
        terminal=[False, True],
    )
    assert mdp.allowed.tolist() == [[True, False], [False, False]]
    assert backup(mdp, [100.0, 0.0]).tolist() == [2.0, 0.0]


def test_sums_near_1_are_divided_out_in_float64_only():
    near = MDP([[[0, 0]]], [[[0.5, 0.5 + 5e-7]]], [[0.0]], 0.5)
    assert float(near.probability.sum()) == pytest.approx(1.0, abs=1e-15)
    kept = torch.tensor([[[0.1, 0.9]]], dtype=torch.float32)
    assert MDP([[[0, 0]]], kept, [[0.0]]).probability.data_ptr() == kept.data_ptr()


def test_it_survives_json(dense):
    chance, reward, _ = dense
    mdp = MDP.from_dense(chance, reward, 0.9)
    again = Record.from_json(mdp.to_json())
    assert isinstance(again, MDP)
    assert np.array_equal(backup(mdp, np.arange(7.0)), backup(again, np.arange(7.0)))
    assert repr(again).startswith("MDP(7 states, 3 actions, ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], []), "none of them 0"),
        ((np.zeros((0, 1, 1), int), np.zeros((0, 1, 1)), np.zeros((0, 1))), "none of them 0"),
        (([[0]], [[1.0]], [[1.0]]), "S, A, K"),
        (([[[0.0]]], [[[1.0]]], [[1.0]]), "integers"),
        (([[["x"]]], [[[1.0]]], [[1.0]]), "array of numbers"),
        (([[[0]]], [[[0.5]]], [[1.0]]), "state 0, action 0 sum to 0.5"),
        (([[[0, 0]]], [[[1.5, -0.5]]], [[1.0]]), r"probability\[0, 0, 1\]"),
        (([[[0]]], [[[float("nan")]]], [[1.0]]), "finite"),
        (([[[1]]], [[[1.0]]], [[1.0]]), r"successor\[0, 0, 0\] is 1"),
        ((*ONE, [[float("inf")]]), "masked"),
        ((*ONE, [1.0]), "reward must be"),
        ((*ONE, [[1j]]), "real"),
        ((*ONE, [[1.0]], float("nan")), "multipliers must be finite"),
        ((*ONE, [[1.0]], [[1.0, 2.0], [0.0, 1.0]]), "multiplier must be"),
        ((*ONE, [[[[1.0, 2.0]]]], [[1.0, 2.0], [0.0, 1.0]]), "lower triangular"),
        ((*ONE, [[[[1.0, 2.0]]]], [[1.0, 0.0], [0.0, -1.0]]), "reverse"),
    ],
)
def test_bad_arrays_are_refused(arguments, message):
    with pytest.raises(CosetError, match=message):
        MDP(*arguments)


def test_states_without_actions_and_pairs_listed_twice_are_refused():
    with pytest.raises(DomainError, match="state 0 has none"):
        MDP(*ONE, [[1.0]], mask=[[False]])
    with pytest.raises(ShapeError, match="mask"):
        MDP(*ONE, [[1.0]], mask=[True])
    with pytest.raises(DomainError, match="state 0, action 1 stands at places 0 and 2"):
        MDP.from_pairs([0, 0, 0], [1, 0, 1], [[0]] * 3, [[1.0]] * 3, [0.0, 1.0, 2.0])
    with pytest.raises(RangeError):
        MDP.from_pairs([-1], [0], [[0]], [[1.0]], [0.0])
    with pytest.raises(ShapeError):
        MDP.from_pairs([], [], [], [], [])
    with pytest.raises(ShapeError):
        MDP.from_dense(np.eye(2), [[0.0], [0.0]])


def test_arrays_of_other_layouts_are_read():
    plain = MDP([[[1]], [[0]]], np.ones((2, 1, 1)), [[1.0], [2.0]], 0.5)
    places = np.array([[[1]], [[0]]])
    rewards = np.array([[1.0], [2.0]])
    for successor, reward in (
        (places.astype(np.uint64), rewards),
        (places.astype(np.uint16), rewards.astype(">f8")),
        (places.astype(">i4"), rewards[::-1][::-1]),
        (places[::-1, ::-1][::-1], np.asfortranarray(rewards)),
    ):
        again = MDP(successor, np.ones((2, 1, 1)), reward, 0.5)
        assert torch.equal(again.successor, plain.successor)
        assert torch.equal(again.reward, plain.reward)
    with pytest.raises(RangeError, match="successor"):
        MDP(np.array([[[2**64 - 1]]], dtype=np.uint64), [[[1.0]]], [[0.0]])


def test_a_negative_multiplier_needs_the_signed_process():
    mdp = MDP(*ONE, [[1.0]], -0.5)
    assert mdp.has_negative_multiplier
    with pytest.raises(DomainError, match="signed"):
        mdp.level(0)
    with pytest.raises(RangeError):
        mdp.entry(1, 0)


def test_one_state_one_action_and_everything_terminal():
    ended = MDP(*ONE, [[5.0]], terminal=[True])
    assert backup(ended, [3.0]).tolist() == [0.0]
    assert backup(MDP(*ONE, [[5.0]], 0.0), [3.0]).tolist() == [5.0]
