"""The hypergrid: rewards, exact terminal distributions and flows, and what samples of it see."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.stats import binom

from coset.beliefs.errors import NotNormalizedError
from coset.beliefs.gflow import (
    HyperGrid,
    all_trajectories,
    balanced_flows,
    exact_terminal_distribution,
    l1_distance,
    noise_floor,
    reference,
    sampled_l1_distance,
)
from coset.beliefs.gflow.policy import masked_log_softmax
from coset.beliefs.gflow.trajectories import Trajectories
from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError

SIZES = [(2, 1), (2, 3), (3, 2), (4, 2), (5, 1)]


def tables(grid, generator, batch=()):
    """Return random log P_F and log P_B."""
    shapes = (*batch, grid.num_states)
    drawn = [
        torch.randn(*shapes, width, generator=generator, dtype=torch.float64)
        for width in (grid.num_actions, grid.dims)
    ]
    return (
        masked_log_softmax(drawn[0], grid.forward_mask),
        masked_log_softmax(drawn[1], grid.backward_mask),
    )


@pytest.mark.oracle
@pytest.mark.parametrize("size", SIZES)
def test_the_terminal_distribution_is_the_sum_over_trajectories(size, generator):
    grid = HyperGrid(*size)
    log_pf, _ = tables(grid, generator)
    found = exact_terminal_distribution(grid, log_pf)
    for end, chance in reference.terminal_distribution(grid, log_pf).items():
        number = int(grid.state_numbers(torch.tensor(end)))
        assert float(found[number]) == pytest.approx(chance, abs=1e-14)


@pytest.mark.property
def test_batches_are_their_members_and_sums_are_one(generator):
    grid = HyperGrid(4, 3)
    log_pf, _ = tables(grid, generator, (2, 3))
    found = exact_terminal_distribution(grid, log_pf)
    assert found.shape == (2, 3, 64)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(found[1, 2], exact_terminal_distribution(grid, log_pf[1, 2]))
    single = exact_terminal_distribution(grid, log_pf.float())
    torch.testing.assert_close(single, found, atol=1e-5, rtol=0)


def test_the_terminal_distribution_is_differentiable(generator):
    grid = HyperGrid(3, 2)
    logits = torch.randn(9, 3, generator=generator, dtype=torch.float64, requires_grad=True)

    def learned(values):
        return exact_terminal_distribution(grid, masked_log_softmax(values, grid.forward_mask))

    assert torch.autograd.gradcheck(learned, logits)


@pytest.mark.parametrize("size", SIZES)
def test_balanced_flows_reach_the_target_and_balance_each_edge(size, generator):
    grid = HyperGrid(*size)
    _, log_pb = tables(grid, generator)
    flow, policy = balanced_flows(grid, log_pb)
    assert float(flow[0]) == pytest.approx(float(grid.rewards.sum().log()))
    torch.testing.assert_close(exact_terminal_distribution(grid, policy), grid.target)
    for state, axis in itertools.product(range(grid.num_states), range(grid.dims)):
        if grid.forward_mask[state, axis]:
            after = state + int(grid.strides[axis])
            there = float(flow[state] + policy[state, axis])
            assert there == pytest.approx(float(flow[after] + log_pb[after, axis]))
    stacked, _ = balanced_flows(grid, torch.stack([log_pb, log_pb]))
    torch.testing.assert_close(stacked[1], flow)


def test_numbers_coordinates_and_masks_agree():
    grid = HyperGrid(3, 3)
    coordinates = grid.all_coordinates
    assert coordinates.tolist() == [list(x) for x in itertools.product(range(3), repeat=3)]
    assert grid.state_numbers(coordinates).tolist() == list(range(27))
    assert (grid.forward_mask[:, :-1] == (coordinates < 2)).all()
    assert grid.forward_mask[:, -1].all()
    assert (grid.backward_mask == (coordinates > 0)).all()


def test_all_trajectories_are_counted_right():
    grid = HyperGrid(3, 2)
    found = all_trajectories(grid)
    ways = torch.bincount(found.terminal, minlength=9).tolist()
    assert ways == [math.comb(x + y, x) for x in range(3) for y in range(3)]
    assert (found.lengths - 1 == grid.coordinates(found.terminal).sum(-1)).all()
    with pytest.raises(DomainError, match="smaller"):
        all_trajectories(HyperGrid(16, 2))


def original(x, height):
    a = [abs(v / (height - 1) - 0.5) for v in x]
    shell = all(0.3 < v < 0.4 for v in a)
    return 0.1 + 0.5 * all(v > 0.25 for v in a) + 2 * shell


def cosine(x, height):
    value = 0.5
    for v in x:
        a = abs(v / (height - 1) - 0.5)
        value *= (math.cos(50 * a) + 1) * math.exp(-12.5 * a * a) / math.sqrt(2 * math.pi)
    return 0.1 + value


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "rule"), [("original", original), ("cosine", cosine)])
def test_smooth_rewards_equal_their_formulas(name, rule):
    grid = HyperGrid(8, 2, name)
    wanted = [rule(x, 8) for x in grid.all_coordinates.tolist()]
    assert grid.rewards.tolist() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("height", [7, 8, 11, 16, 21, 24, 101])
def test_the_original_reward_is_symmetric(height):
    rewards = HyperGrid(height, 1).rewards
    assert rewards.tolist() == rewards.flip(0).tolist()


def test_the_borders_of_the_original_reward_do_not_count():
    # H = 21: a = .25, .3 and .4 are met exactly, at 5, 4 and 2.
    assert HyperGrid(21, 1).rewards[:7].tolist() == [0.6, 0.6, 0.6, 2.6, 0.6, 0.1, 0.1]


@pytest.mark.parametrize(("name", "support"), [("xor", 10_752), ("coprime", 20_736)])
def test_sparse_rewards_have_the_stated_support(name, support):
    grid = HyperGrid(24, 4, name)
    assert int((grid.rewards > 0).sum()) == support
    assert grid.rewards.unique().tolist() == [0.0, 111.0]
    assert float(grid.rewards.sum()) == 111.0 * support


def test_sparse_rewards_by_hand():
    xor = HyperGrid(600, 2, "xor")
    places = [[3, 3], [0, 0], [64, 0], [256, 0], [1, 0], [512, 0]]
    rewards = xor.rewards[xor.state_numbers(torch.tensor(places))]
    assert rewards.tolist() == [111.0, 111.0, 1.0, 11.0, 0.0, 11.0]
    one = HyperGrid(24, 1, "coprime")
    paid = one.rewards.nonzero()[:, 0].tolist()
    assert paid == [1, 2, 3, 4, 5, 6, 9, 10, 12, 15, 18, 20]


def test_zero_rewards_have_the_log_reward_that_is_stated():
    grid = HyperGrid(8, 2, "xor", log_reward_floor=-7.0)
    zero = grid.rewards == 0
    assert zero.any()
    assert (grid.log_rewards[zero] == -7.0).all()
    assert (grid.log_rewards[~zero] == math.log(111.0)).all()
    assert (grid.target[zero] == 0).all()
    # What a network that fits the raised rewards is off by, in L1, is small.
    raised = HyperGrid(24, 4, "xor").log_rewards.softmax(0)
    assert float(l1_distance(raised, HyperGrid(24, 4, "xor").target)) < 3e-5


@pytest.mark.oracle
@pytest.mark.parametrize("num", [1, 2, 3, 10, 1000])
def test_the_noise_floor_is_the_mean_deviation_of_binomials(num):
    target = torch.tensor([0.0, 0.01, 0.2, 0.37, 0.42], dtype=torch.float64)
    wanted = sum(
        float(binom.expect(lambda k, m=num * p: abs(k - m), args=(num, p)))
        for p in target[1:].tolist()
    )
    assert noise_floor(target, num) == pytest.approx(wanted / num, rel=1e-9)
    assert noise_floor(torch.tensor([1.0]), num) == 0.0


def test_the_noise_floor_is_what_samples_show(generator):
    target = HyperGrid(16, 2).target
    drawn = [sampled_l1_distance(target, target, 4000, generator=generator) for _ in range(200)]
    mean = sum(drawn) / 200
    deviation = math.sqrt(sum((x - mean) ** 2 for x in drawn) / 199)
    assert abs(mean - noise_floor(target, 4000)) < 5.5 * deviation / math.sqrt(200)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("original", 0.4367, 0.4388), ("cosine", 0.4477, 0.4481), ("xor", 0.082, 0.084)],
)
def test_the_floors_of_a_million_draws(name, low, high, generator):
    target = HyperGrid(24, 4, name).target
    assert low <= noise_floor(target, 1_000_000) <= high
    drawn = [sampled_l1_distance(target, target, 1_000_000, generator=generator) for _ in range(5)]
    assert low - 0.0025 <= min(drawn)
    assert max(drawn) <= high + 0.0025


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((1, 2), {}, "height"),
        ((3, 0), {}, "dims"),
        ((2.5, 2), {}, "integer"),
        ((math.nan, 2), {}, "integer"),
        ((3, 2, "cubic"), {}, "cubic"),
        ((3, 2), {"reward_floor": -1.0}, "reward_floor"),
        ((3, 2), {"reward_floor": math.nan}, "reward_floor"),
        ((3, 2), {"log_reward_floor": -math.inf}, "log_reward_floor"),
        ((10, 9), {}, "smaller"),
        ((2, 10_000), {}, "smaller"),
    ],
)
def test_grids_that_are_refused(arguments, options, message):
    with pytest.raises(DomainError, match=message):
        HyperGrid(*arguments, **options)


def test_states_outside_of_the_grid_are_refused():
    grid = HyperGrid(3, 2)
    for wrong in ([[3, 0]], [[-1, 0]], [[0, 0, 0]]):
        with pytest.raises(RangeError, match="coordinates"):
            grid.state_numbers(torch.tensor(wrong))
    with pytest.raises(DtypeError, match="integers"):
        grid.state_numbers(torch.tensor([[0.5, 1.0]]))
    for wrong in ([0, 0, 0, 2], [0, 1], [2, 0, 2]):
        with pytest.raises(DomainError, match="must stop"):
            Trajectories.of_actions(grid, torch.tensor(wrong))
    for wrong in ([-1, 2], [3, 2]):
        with pytest.raises(DomainError, match=r"in 0 … 2"):
            Trajectories.of_actions(grid, torch.tensor(wrong))
    with pytest.raises(DtypeError, match="int64"):
        Trajectories.of_actions(grid, torch.tensor([0.0, 2.0]))
    for shape in ((), (2, 0)):
        with pytest.raises(ShapeError, match="L ≥ 1"):
            Trajectories.of_actions(grid, torch.zeros(shape, dtype=torch.int64))


def test_trajectories_are_shown_in_one_line():
    assert repr(all_trajectories(HyperGrid(3, 2))) == "Trajectories((19,), at most 5 actions)"


def test_tables_that_are_refused(generator):
    grid = HyperGrid(3, 2)
    log_pf, log_pb = tables(grid, generator)
    with pytest.raises(ShapeError, match="P_F"):
        exact_terminal_distribution(grid, log_pf[:-1])
    with pytest.raises(ShapeError, match="floating"):
        exact_terminal_distribution(grid, torch.zeros(9, 3, dtype=torch.int64))
    for wrong in (log_pf.numpy(), torch.zeros(())):
        with pytest.raises(ShapeError, match="floating tensor"):
            exact_terminal_distribution(grid, wrong)
    with pytest.raises(DomainError, match="mask"):
        exact_terminal_distribution(grid, torch.full((9, 3), 1 / 3).log())
    with pytest.raises(DomainError, match="NaN"):
        exact_terminal_distribution(grid, log_pf * math.nan)
    with pytest.raises(NotNormalizedError, match="sums to") as caught:
        exact_terminal_distribution(grid, log_pf - 0.5 * (torch.arange(9) == 4)[:, None])
    assert caught.value.row == (4,)
    with pytest.raises(NotNormalizedError, match="P_B"):
        balanced_flows(grid, log_pb - 0.5)


def test_distributions_that_are_refused():
    half = torch.tensor([0.5, 0.5])
    with pytest.raises(ShapeError, match="same states"):
        l1_distance(half, torch.ones(1))
    with pytest.raises(ShapeError, match=r"\(n,\)"):
        sampled_l1_distance(half, half[None], 3)
    with pytest.raises(ShapeError, match="broadcast"):
        l1_distance(torch.zeros(2, 3), torch.zeros(4, 3))
    with pytest.raises(ShapeError, match=r"\(n,\)"):
        noise_floor(half[None], 3)
    with pytest.raises(DomainError, match="sum to 1"):
        sampled_l1_distance(half, 7 * half, 3)
    for wrong, num in (
        (half, 0),
        (half, 2.5),
        (half, math.nan),
        (half, 10**18),
        (half * 3, 1),
        (torch.tensor([1.5, -0.5]), 1),
        (half * math.nan, 1),
    ):
        with pytest.raises(DomainError, match="must be"):
            sampled_l1_distance(wrong, wrong, num)
        with pytest.raises(DomainError, match="must be"):
            noise_floor(wrong, num)
