"""The losses of generative flow networks: worked values, loops, limits, bad input."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.gflow import (
    HyperGrid,
    all_trajectories,
    detailed_balance,
    flow_matching,
    reference,
    step_log_probabilities,
    subtrajectory_balance,
    trajectory_balance,
    variance_gradient,
)
from coset.beliefs.gflow.trajectories import look_up
from coset.core.errors import DomainError, DtypeError, ShapeError


@pytest.fixture
def steps(generator):
    """Return random steps of 6 trajectories of 1 to 5 actions, padded, and their lengths."""
    lengths = torch.tensor([1, 2, 3, 4, 5, 5])
    inside = torch.arange(5) < lengths[:, None]
    drawn = [torch.randn(6, 5, generator=generator, dtype=torch.float64) * inside for _ in range(2)]
    flows = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    return drawn[0], drawn[1], flows, lengths


def listed(tensor, lengths, extra=0):
    return [row[: n + extra] for row, n in zip(tensor.tolist(), lengths.tolist(), strict=True)]


def ends(flows, lengths):
    return flows.gather(1, lengths[:, None])[:, 0]


def test_the_worked_value():
    zero = torch.zeros(2, dtype=torch.float64)
    given = torch.tensor([2.0, -1.0]).double(), zero, zero, 0.0, torch.tensor([4, 1])
    assert float(trajectory_balance(*given)) == 2.5
    assert float(trajectory_balance(*given, "length")) == 1.0


@pytest.mark.oracle
@pytest.mark.parametrize("normalize", ["none", "length"])
def test_losses_of_trajectories_equal_the_loops(steps, normalize):
    log_pf, log_pb, flows, lengths = steps
    rewards = ends(flows, lengths)
    sums = log_pf.sum(1), log_pb.sum(1), rewards
    loops = listed(log_pf, lengths), listed(log_pb, lengths), rewards.tolist()
    long = normalize == "length"
    found = float(trajectory_balance(*sums, 0.7, lengths, normalize))
    assert found == pytest.approx(reference.trajectory_balance(*loops, 0.7, by_length=long))
    found = float(variance_gradient(*sums, lengths, normalize))
    assert found == pytest.approx(reference.variance_gradient(*loops, by_length=long))


@pytest.mark.oracle
@pytest.mark.parametrize("lam", [0.3, 0.9, 1.0, 2.5])
def test_subtrajectory_balance_equals_the_loop_and_does_not_read_the_padding(steps, lam):
    log_pf, log_pb, flows, lengths = steps
    wanted = reference.subtrajectory_balance(
        listed(flows, lengths, 1), listed(log_pf, lengths), listed(log_pb, lengths), lam
    )
    beyond = torch.arange(6) > lengths[:, None]
    for padding in (0.0, 1e6):
        padded = flows.masked_fill(beyond, padding)
        found = subtrajectory_balance(padded, log_pf, log_pb, lengths, lam)
        assert float(found) == pytest.approx(wanted, rel=1e-12)


def test_subtrajectory_balance_lies_between_detailed_and_trajectory_balance(steps):
    log_pf, log_pb, flows, _ = (x[-2:] for x in steps)  # the two of full length
    lengths = torch.tensor([5, 5])
    parts = flows, log_pf, log_pb, lengths
    single = detailed_balance(flows[:, :-1], log_pf, flows[:, 1:], log_pb).mean()
    torch.testing.assert_close(subtrajectory_balance(*parts, 1e-9), single)
    delta = flows[:, 0] + log_pf.sum(1) - log_pb.sum(1) - flows[:, -1]
    whole = trajectory_balance(delta, delta * 0, delta * 0, 0.0, lengths)
    torch.testing.assert_close(subtrajectory_balance(*parts, 1e9), whole)
    assert float(subtrajectory_balance(*parts, 1e300)) == pytest.approx(float(whole))


def test_variance_gradient_is_trajectory_balance_at_its_best_log_z(steps):
    log_pf, log_pb, flows, lengths = steps
    sums = log_pf.sum(1), log_pb.sum(1), ends(flows, lengths)
    log_z = torch.zeros((), dtype=torch.float64, requires_grad=True)
    loss = trajectory_balance(*sums, log_z, lengths)
    best = -0.5 * float(torch.autograd.grad(loss, log_z)[0])  # a parabola of curvature 2
    torch.testing.assert_close(
        variance_gradient(*sums, lengths), trajectory_balance(*sums, best, lengths)
    )
    off = trajectory_balance(*sums, best + 0.1, lengths)
    assert float(off) == pytest.approx(float(variance_gradient(*sums, lengths)) + 0.01)


@pytest.mark.property
def test_batches_equal_loops_over_their_members(steps):
    log_pf, log_pb, flows, lengths = steps
    pair = [torch.stack([x, 2 * x]) for x in (log_pf, log_pb, flows)]
    both = torch.stack([lengths, lengths])
    found = subtrajectory_balance(pair[2], pair[0], pair[1], both)
    sums = pair[0].sum(-1), pair[1].sum(-1), pair[2][..., 0]
    log_z = torch.tensor([0.3, -2.0], dtype=torch.float64)
    found = torch.stack(
        [
            found,
            trajectory_balance(*sums, log_z, both, "length"),
            variance_gradient(*sums, both, "length"),
        ]
    )
    for member in (0, 1):
        single = [x[member] for x in sums]
        wanted = [
            subtrajectory_balance(pair[2][member], pair[0][member], pair[1][member], lengths),
            trajectory_balance(*single, log_z[member], lengths, "length"),
            variance_gradient(*single, lengths, "length"),
        ]
        torch.testing.assert_close(found[:, member], torch.stack(wanted))


def test_a_clipped_term_has_no_gradient():
    imbalance = torch.tensor([5.0, 1.0], requires_grad=True)
    zero, lengths = torch.zeros(2), torch.tensor([1, 1])
    loss = trajectory_balance(imbalance, zero, zero, 0.0, lengths, clip=4.0)
    loss.backward()
    assert loss.item() == 2.5
    assert imbalance.grad.tolist() == [0.0, 1.0]


def test_flow_matching_by_hand():
    into = torch.tensor([[0.5, 1.5], [3.0, 0.0]]).double()
    out = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.5, 0.0]]).double()
    found = float(flow_matching(into.log(), out.log()))
    assert found == pytest.approx(0.5 * math.log(2) ** 2)


def test_losses_are_differentiable(steps):
    log_pf, log_pb, flows, lengths = steps
    given = [x.clone().requires_grad_() for x in (flows, log_pf, log_pb)]
    assert torch.autograd.gradcheck(lambda *x: subtrajectory_balance(*x, lengths), given)
    sums = [x.sum(1).detach().requires_grad_() for x in (log_pf, log_pb, flows)]
    for normalize in ("none", "length"):
        assert torch.autograd.gradcheck(
            lambda *x, n=normalize: variance_gradient(*x, lengths, n), sums
        )


def test_nan_and_infinity_reach_the_loss():
    zero, lengths = torch.zeros(2), torch.tensor([1, 1])
    assert trajectory_balance(zero, zero, torch.tensor([0.0, -math.inf]), 0.0, lengths).isinf()
    assert variance_gradient(torch.tensor([math.nan, 0.0]), zero, zero, lengths).isnan()


def test_bad_input_is_refused():
    zero, lengths = torch.zeros(2), torch.tensor([1, 1])
    with pytest.raises(ShapeError, match="one shape"):
        trajectory_balance(zero, zero, torch.zeros(3), 0.0, lengths)
    with pytest.raises(ShapeError, match="N ≥ 1"):
        trajectory_balance(zero[:0], zero[:0], zero[:0], 0.0, lengths[:0])
    with pytest.raises(ShapeError, match="log_z"):
        trajectory_balance(zero, zero, zero, torch.zeros(2), lengths)
    with pytest.raises(ShapeError, match="N ≥ 2"):
        variance_gradient(zero[:1], zero[:1], zero[:1], lengths[:1])
    with pytest.raises(DtypeError, match="int64"):
        trajectory_balance(lengths, zero, zero, 0.0, lengths)
    for wrong in (lengths - 1, lengths * math.nan):
        with pytest.raises(DomainError, match="add 1"):
            trajectory_balance(zero, zero, zero, 0.0, wrong)
    with pytest.raises(DomainError, match="normalize"):
        trajectory_balance(zero, zero, zero, 0.0, lengths, "steps")
    with pytest.raises(DomainError, match="clip"):
        variance_gradient(zero, zero, zero, lengths, clip=0.0)
    with pytest.raises(ShapeError, match="all four"):
        detailed_balance(zero, zero, zero, zero[:1])
    with pytest.raises(ShapeError, match="same N"):
        flow_matching(torch.zeros(2, 2), torch.zeros(3, 2))
    whole = torch.zeros(1, 2, dtype=torch.int64)
    for loss, given in (
        (detailed_balance, (whole,) * 4),
        (flow_matching, (whole,) * 2),
        (flow_matching, (torch.zeros(1, 2).numpy(),) * 2),
        (subtrajectory_balance, (whole, whole[:, 1:], whole[:, 1:], whole[:, 0] + 1)),
    ):
        with pytest.raises(DtypeError, match="floating"):
            loss(*given)
    number = torch.zeros(())
    with pytest.raises(ShapeError, match="log_flows"):
        subtrajectory_balance(number, number, number, number)
    table = torch.zeros(1, 2)
    with pytest.raises(ShapeError, match="log_flows"):
        subtrajectory_balance(table, table, table, torch.tensor([1]))
    for lam, length in ((0.0, 1), (math.inf, 1), (0.9, 0), (0.9, 3)):
        with pytest.raises(DomainError, match="lam must be"):
            subtrajectory_balance(torch.zeros(1, 3), table, table, torch.tensor([length]), lam)


@pytest.mark.oracle
def test_steps_of_trajectories_are_those_of_the_tables(generator):
    grid = HyperGrid(3, 2)
    trajectories = all_trajectories(grid)
    forward = torch.randn(9, 3, generator=generator)
    backward = torch.randn(9, 2, generator=generator)
    states = trajectories.states
    found = step_log_probabilities(
        trajectories, look_up(forward, states), look_up(backward, states)
    )
    for place, actions in enumerate(trajectories.actions.tolist()):
        at, wanted_f, wanted_b = [0, 0], [], []
        for action in actions:
            wanted_f.append(
                0.0 if 2 in actions[: len(wanted_f)] else forward[3 * at[0] + at[1], action]
            )
            if action < 2:
                at[action] += 1
            wanted_b.append(backward[3 * at[0] + at[1], action] if action < 2 else 0.0)
        assert found[0][place].tolist() == pytest.approx([float(x) for x in wanted_f])
        assert found[1][place].tolist() == pytest.approx([float(x) for x in wanted_b])
