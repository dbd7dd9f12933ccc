"""A batch is a loop, in values and in ties."""

from __future__ import annotations

import pytest
import torch

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.core.results import Record, Status
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.batch import MDPBatch
from coset.decisions.solvers.batch_solver import solve_batch
from coset.decisions.solvers.solving import solve

KINDS = ("shared", "own", "matrix", "masked", "ragged")


def random_process(seed, kind="own", num_states=12, depth=2, num=3):
    """Return a process whose first objective has many exact ties (rewards 0 or 1)."""
    base = torch.Generator().manual_seed(0 if kind == "shared" else seed)
    generator = torch.Generator().manual_seed(100 + seed)
    num = num + seed % 2 if kind == "ragged" else num
    shape = (num_states, 3, num)
    successor = torch.randint(0, num_states, shape, generator=base)
    probability = torch.ones(shape, dtype=torch.float64) / num
    successor[:, 1], probability[:, 1] = successor[:, 0], probability[:, 0]
    reward = torch.randint(0, 2, (*shape[:2], 1, depth), generator=generator).double()
    reward[:, 1, :, 0] = reward[:, 0, :, 0]
    multiplier = torch.tensor([0.9, 0.8, 0.5][:depth], dtype=torch.float64)
    if kind == "matrix":
        multiplier = torch.zeros(*shape, depth, depth, dtype=torch.float64)
        for i in range(depth):
            for j in range(i + 1):
                draw = torch.rand(shape, generator=generator, dtype=torch.float64)
                multiplier[..., i, j] = 0.4 + 0.5 * draw if i == j else draw - 0.5
        multiplier[:, 1] = multiplier[:, 0]
    mask = terminal = None
    if kind == "masked":
        mask = torch.rand(*shape[:2], generator=generator) < 0.7
        mask[:, 2] = True
        terminal = torch.zeros(num_states, dtype=torch.bool)
        terminal[seed % num_states] = True
    return MDP(successor, probability, reward, multiplier, mask=mask, terminal=terminal)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_batch_is_a_loop(kind, depth):
    processes = [random_process(seed, kind, depth=depth) for seed in range(7)]
    batch = MDPBatch.of(processes)
    assert batch.successor.shape[0] == (1 if kind == "shared" else 7)
    found = solve_batch(batch, tol=1e-9)
    assert found.status is Status.SOLVED
    ties = 0
    for b, process in enumerate(processes):
        alone = solve(process, tol=1e-9)
        gap = (found.value[b] - alone.value).abs().amax(0)
        assert bool((gap <= found.level_bounds[b] + torch.tensor(alone.level_bounds)).all())
        assert torch.equal(found.tie_set[b], alone.tie_set)
        assert torch.equal(found.policy[b] < 0, alone.policy < 0)
        live = found.policy[b] >= 0
        states = torch.arange(len(live))[live]
        assert bool(alone.tie_set[states, found.policy[b][live]].all())
        ties += int((alone.tie_set.sum(1) > 1).sum())
    assert ties > 0 or depth == 3


def test_one_process_under_many_rewards():
    mdp = random_process(0, "matrix")
    reward = torch.randn(5, 12, 3, 2, generator=torch.Generator().manual_seed(1)).double()
    batch = MDPBatch.with_rewards(mdp, reward)
    assert batch.successor.shape[0] == batch.multiplier.shape[0] == 1
    found = solve_batch(batch)
    for b in range(5):
        alone = solve(batch.process(b))
        torch.testing.assert_close(found.value[b], alone.value, atol=1e-6, rtol=0)
        assert torch.equal(found.tie_set[b], alone.tie_set)


def test_cross_terms_and_sweep_order_matter():
    """Without what Γ_21 adds the values of objective 2 would be others (a wrong method, N1)."""
    mdp = random_process(3, "matrix")
    batch = MDPBatch.of([mdp])
    cut = batch.multiplier.clone()
    cut[..., 1, 0] = 0
    wrong = MDPBatch(batch.successor, batch.probability, batch.reward, cut, batch.allowed)
    right = solve_batch(batch).value
    assert float((solve_batch(wrong).value - right).abs().max()) > 0.1
    assert torch.equal(solve_batch(wrong).value[..., 0], right[..., 0])


def test_one_state_one_action_and_ended_everywhere():
    alone = MDP([[[0]]], [[[1.0]]], [[2.0]], 0.75)
    found = solve_batch(MDPBatch.of([alone, alone]))
    torch.testing.assert_close(
        found.value.flatten(), torch.tensor([8.0, 8.0], dtype=torch.float64), atol=1e-8, rtol=0
    )
    ended = MDP([[[0]]], [[[1.0]]], [[2.0]], 0.75, terminal=[True])
    both = solve_batch(MDPBatch.of([alone, ended]))
    assert both.policy.tolist() == [[0], [-1]]
    assert float(both.value[1]) == 0.0


def test_sweeps_between_checks_change_nothing_but_their_number(monkeypatch):
    """What a GPU does: eight sweeps before the numbers are looked at."""
    batch = MDPBatch.of([random_process(seed, "masked") for seed in range(4)])
    often = solve_batch(batch)
    monkeypatch.setattr("coset.decisions.solvers.batch_solver._SWEEPS_BETWEEN", {})
    seldom = solve_batch(batch)
    assert 0 <= seldom.iterations - often.iterations <= 16
    torch.testing.assert_close(seldom.value, often.value, atol=2e-8, rtol=0)
    assert torch.equal(seldom.tie_set, often.tie_set)


def test_limits_are_reported():
    batch = MDPBatch.of([random_process(0)])
    short = solve_batch(batch, max_iter=3)
    assert short.status is Status.MAX_ITERATIONS
    right = solve_batch(batch).value
    gap = (short.value - right).abs()[0, :, 0].max()
    assert float(gap) <= float(short.level_bounds[0, 0])
    assert solve_batch(batch, tol=1e-18).status is Status.STALLED
    again = Record.from_json(short.to_json())
    assert torch.equal(again.level_bounds, short.level_bounds)


def test_devices_and_names():
    batch = MDPBatch.of([random_process(s, "shared") for s in range(2)])
    assert repr(batch) == (
        "MDPBatch(2 processes, 12 states, 3 actions, 2 objectives, shared successors)"
    )
    assert batch.to("meta").reward.device.type == "meta"


def test_bad_input_is_named():
    one, other = random_process(0), random_process(1, num_states=9)
    with pytest.raises(DomainError, match="at least one process"):
        MDPBatch.of([])
    with pytest.raises(ShapeError, match=r"process 1 has \(9, 3, 2\)"):
        MDPBatch.of([one, other])
    with pytest.raises(DtypeError, match="process 1 must be an MDP; given dict"):
        MDPBatch.of([one, {}])
    reversing = MDP([[[0]]], [[[1.0]]], [[2.0]], -0.5)
    with pytest.raises(DomainError, match="process 0 has some"):
        MDPBatch.of([reversing])
    with pytest.raises(ShapeError, match=r"\(12, 3, 2\)"):
        MDPBatch.with_rewards(one, torch.zeros(4, 12, 3))
    with pytest.raises(DomainError, match="no rewards"):
        MDPBatch.with_rewards(one, torch.zeros(0, 12, 3, 2))
    broken = torch.zeros(2, 12, 3, 2)
    broken[1, 2, 0, 1] = torch.nan
    with pytest.raises(DomainError, match=r"\(1, 2, 0, 1\) there is nan"):
        MDPBatch.with_rewards(one, broken)
    batch = MDPBatch.of([one])
    with pytest.raises(RangeError, match="0…0; given 1"):
        batch.process(1)
    for tol in (0.0, float("nan")):
        with pytest.raises(DomainError, match="tol must be"):
            solve_batch(batch, tol=tol)
    with pytest.raises(DomainError, match="tie_tolerance"):
        solve_batch(batch, tie_tolerance=-1.0)
    with pytest.raises(DomainError, match="max_iter"):
        solve_batch(batch, max_iter=0)
    staying = MDP([[[0]]], [[[1.0]]], [[2.0]])
    with pytest.raises(DomainError, match="in process 1, objective 1"):
        solve_batch(MDPBatch.of([MDP([[[0]]], [[[1.0]]], [[2.0]], 0.5), staying]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_finds_the_same(kind):
    batch = MDPBatch.of([random_process(seed, kind) for seed in range(7)])
    right, found = solve_batch(batch), solve_batch(batch.to("cuda"))
    torch.testing.assert_close(found.value.cpu(), right.value, atol=1e-6, rtol=0)
    assert torch.equal(found.tie_set.cpu(), right.tie_set)


def test_one_process_is_no_sequence_of_processes():
    with pytest.raises(DtypeError, match="a sequence of processes"):
        MDPBatch.of(random_process(0))
