"""Policies, the memory of trajectories, and training: members are independent, the target found."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from coset.beliefs.gflow import (
    GFlowNetTrainer,
    GridPolicy,
    HyperGrid,
    TrainingSettings,
    Trajectories,
    TrajectoryReplay,
    exact_terminal_distribution,
    l1_distance,
    sample_trajectories,
)
from coset.beliefs.gflow.trajectories import look_up
from coset.core.errors import (
    ConfigError,
    DomainError,
    DtypeError,
    NotConvergedError,
    ShapeError,
)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


QUICK = TrainingSettings(learning_rate=1e-2, num_steps=300, hidden_sizes=(32,), batch_size=32)


def test_policies_are_distributions_over_what_the_grid_allows():
    grid = HyperGrid(4, 2)
    forward, backward = GridPolicy(grid, (8,), generators(0, 1)).tables()
    assert (forward.isfinite() == grid.forward_mask).all()
    assert (backward.isfinite() == grid.backward_mask).all()
    torch.testing.assert_close(forward.exp().sum(-1), torch.ones(2, 16))
    torch.testing.assert_close(backward.exp().sum(-1)[:, 1:], torch.ones(2, 15))


def test_the_origin_s_row_has_no_gradient_and_no_nan():
    policy = GridPolicy(HyperGrid(3, 2), (8,), generators(0))
    forward, backward = policy.tables()
    finite = [table[table.isfinite()].sum() for table in (forward, backward)]
    torch.autograd.backward(finite)
    assert all(p.grad.isfinite().all() for p in policy.parameters())


@pytest.mark.property
def test_a_member_is_the_same_alone_and_among_others():
    grid = HyperGrid(4, 2)
    for settings in (QUICK, replace(QUICK, replay_capacity=100, gradient_clip=0.5)):
        together = GFlowNetTrainer(grid, settings, generators(5, 6, 7))
        alone = GFlowNetTrainer(grid, settings, generators(6))
        for _ in range(20):
            losses, single = together.step(), alone.step()
            torch.testing.assert_close(losses[1:2], single, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            together.policy.tables()[0][1], alone.policy.tables()[0][0], rtol=1e-3, atol=1e-4
        )


def test_tables_and_networks_give_the_same_step():
    grid = HyperGrid(4, 2)
    by_table = GFlowNetTrainer(grid, QUICK, generators(3))
    by_network = GFlowNetTrainer(grid, QUICK, generators(3))
    assert by_table.uses_tables
    by_network.uses_tables = False
    for _ in range(5):
        torch.testing.assert_close(by_table.step(), by_network.step(), rtol=1e-4, atol=1e-5)
    large = GFlowNetTrainer(HyperGrid(24, 3), replace(QUICK, batch_size=4), generators(3))
    assert not large.uses_tables
    assert large.step().isfinite().all()


@pytest.mark.parametrize("loss", ["TB", "TB/T", "VarGrad", "VarGrad/T"])
def test_training_finds_the_target_and_its_log_z(loss):
    grid = HyperGrid(4, 2)
    trainer = GFlowNetTrainer(grid, replace(QUICK, loss=loss), generators(0, 1))
    before = l1_distance(trainer.terminal_distribution(), grid.target)
    for _ in range(300):
        trainer.step()
    after = l1_distance(trainer.terminal_distribution(), grid.target)
    assert (before > 0.5).all()
    assert (after < 0.08).all()
    assert trainer.num_steps == 300
    assert trainer.num_trajectories == 300 * 32
    if loss.startswith("TB"):
        wanted = grid.rewards.sum().log().float().expand(2)
        torch.testing.assert_close(trainer.log_z.detach(), wanted, atol=0.05, rtol=0)
    else:
        assert (trainer.log_z == 0).all()


def test_training_with_a_memory_and_clipping_finds_the_target():
    grid = HyperGrid(4, 2)
    settings = replace(QUICK, replay_capacity=200, loss_clip=100.0, gradient_clip=5.0)
    trainer = GFlowNetTrainer(grid, replace(settings, final_rate_share=0.1), generators(0, 1))
    for _ in range(300):
        trainer.step()
    assert trainer.num_trajectories == 32 + 299 * 16
    assert (l1_distance(trainer.terminal_distribution(), grid.target) < 0.08).all()


def test_clipping_bounds_the_gradient_of_each_member():
    grid = HyperGrid(4, 2)
    trainer = GFlowNetTrainer(grid, replace(QUICK, gradient_clip=0.01), generators(0, 1))
    trainer.step()
    norm = sum(p.grad.square().flatten(1).sum(1) for p in trainer.policy.parameters()).sqrt()
    torch.testing.assert_close(norm, torch.full((2,), 0.01))


def test_a_loss_that_is_not_finite_stops_training_and_changes_nothing():
    trainer = GFlowNetTrainer(HyperGrid(4, 2), QUICK, generators(0))
    with torch.no_grad():
        trainer.log_z.fill_(math.inf)
    before = [p.clone() for p in trainer.policy.parameters()]
    with pytest.raises(NotConvergedError, match="lower learning_rate"):
        trainer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.policy.parameters(), strict=True))


@pytest.mark.oracle
def test_samples_follow_the_exact_terminal_distribution():
    grid = HyperGrid(4, 2)
    policy = GridPolicy(grid, (8,), generators(2, 3))
    table = policy.tables()[0].detach()
    cumulative = table.exp().cumsum(-1)
    found = sample_trajectories(
        grid, lambda states: look_up(cumulative, states), 20_000, generators(0, 1)
    )
    again = Trajectories.of_actions(grid, found.actions)
    assert torch.equal(again.states, found.states)
    assert torch.equal(again.lengths, found.lengths)
    exact = exact_terminal_distribution(grid, table)
    for member in (0, 1):
        counts = torch.bincount(found.terminal[member], minlength=16)
        wanted = 20_000 * exact[member]
        chi_square = float(((counts - wanted) ** 2 / wanted).sum())
        assert chi_square < 15 + 6 * math.sqrt(2 * 15)


def test_looking_up_a_table_of_each_member():
    table = torch.arange(24.0).reshape(2, 4, 3)
    states = torch.tensor([[[0, 3]], [[1, 1]]])
    assert look_up(table, states).tolist() == [[[[0, 1, 2], [9, 10, 11]]], [[[15, 16, 17]] * 2]]
    assert look_up(table[0], torch.tensor([2])).tolist() == [[6, 7, 8]]


def test_the_memory_keeps_the_last_and_pads_with_stops():
    memory = TrajectoryReplay(3, 3, 1, stop=1)
    with pytest.raises(DomainError, match="append first"):
        memory.sample(1, generators(0))
    memory.append(torch.tensor([[[0, 1], [1, 1]]]))
    assert len(memory) == 2
    assert {tuple(a) for a in memory.sample(50, generators(0))[0].tolist()} == {
        (0, 1, 1),
        (1, 1, 1),
    }
    for last in (
        torch.tensor([[[0, 0, 1]] * 2]),
        torch.tensor([[[0, 1, 1]] * 5 + [[0, 0, 1]] * 3]),
    ):
        memory.append(last)
    assert len(memory) == 3
    assert memory.sample(50, generators(0))[0].tolist() == [[0, 0, 1]] * 50
    for wrong in (torch.ones(1, 2, 4), torch.ones(2, 2, 3), torch.ones(2, 3)):
        with pytest.raises(ShapeError, match="actions"):
            memory.append(wrong.long())


def test_bad_settings_are_refused():
    for name, value in (
        ("loss", "DB"),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("log_z_factor", math.inf),
        ("batch_size", 1),
        ("batch_size", 2.5),
        ("num_steps", math.nan),
        ("num_steps", 0),
        ("replay_capacity", -1),
        ("final_rate_share", 1.5),
        ("loss_clip", 0.0),
        ("gradient_clip", -1.0),
        ("second_moment_decay", 1.0),
        ("weight_decay", -0.1),
    ):
        with pytest.raises(ConfigError, match=name):
            replace(QUICK, **{name: value})
    grid = HyperGrid(3, 2)
    with pytest.raises(DomainError, match="hidden_sizes"):
        GridPolicy(grid, (0,), generators(0))
    with pytest.raises(DomainError, match="hidden_sizes"):
        GFlowNetTrainer(grid, QUICK, [])
    with pytest.raises(DtypeError, match="write"):
        GFlowNetTrainer(grid, QUICK, generators(0)[0])
    with pytest.raises(ShapeError, match="each member"):
        GridPolicy(grid, (4,), generators(0)).forward(torch.tensor([[1], [2]]))
    with pytest.raises(DomainError, match="num must be"):
        sample_trajectories(grid, lambda states: states, 0, generators(0))
    for sizes in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(DomainError, match="capacity"):
            TrajectoryReplay(*sizes, stop=1)
