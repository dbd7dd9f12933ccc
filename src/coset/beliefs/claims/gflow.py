"""Generative flow networks as a choice of focus, and the zeros that their losses share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, get_args

import torch
from torch import Tensor

from coset.beliefs.gflow.exact import balanced_flows
from coset.beliefs.gflow.focus import attended_inconsistency, balancing_focus
from coset.beliefs.gflow.hypergrid import HyperGrid
from coset.beliefs.gflow.losses import (
    Normalize,
    detailed_balance,
    flow_matching,
    subtrajectory_balance,
    trajectory_balance,
    variance_gradient,
)
from coset.beliefs.gflow.policy import masked_log_softmax
from coset.beliefs.gflow.trajectories import (
    Trajectories,
    all_trajectories,
    look_up,
    step_log_probabilities,
)
from coset.core.claims import ClaimResult, claim

__all__ = ["C20", "C20a", "C20b", "balance_losses"]

_ROUNDING = 1e-11  # of sums of a dozen logarithms
_NUM_CASES = {"smoke": 4, "cpu": 20, "paper": 100}


def _tables(grid: HyperGrid, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return random log P_F and log P_B on all states."""
    forward, backward = (
        masked_log_softmax(torch.randn(mask.shape, generator=generator, dtype=torch.float64), mask)
        for mask in (grid.forward_mask, grid.backward_mask)
    )
    return forward, backward


def _steps(
    grid: HyperGrid, trajectories: Trajectories, tables: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    states = trajectories.states
    return step_log_probabilities(
        trajectories, look_up(tables[0], states), look_up(tables[1], states)
    )


def _by_length(grid: HyperGrid) -> Iterator[Trajectories]:
    """Yield the trajectories of each number n ≥ 2 of actions, n the same for all."""
    every = all_trajectories(grid)
    for length in range(2, grid.longest + 1):
        chosen = every.actions[every.lengths == length][:, :length]
        yield Trajectories.of_actions(grid, chosen)


def _mutant_backward(
    paths: Tensor,
    sampler: Tensor,
    log_pf: Tensor,
    log_pb: Tensor,
    log_target: Tensor,
    forward: Tensor,
    backward: Tensor,
) -> Tensor:
    """Take the chances of Q forward in both directions: φ_B attends to Q(sᵢ₊₁ | sᵢ)."""
    ends = torch.zeros_like(backward)
    ends[-1] = backward[-1]
    given = (paths, sampler, log_pf, log_pb, log_target)
    both = attended_inconsistency(*given, forward + backward[:-1], ends)
    # P_F is subtracted under φ_B, where P_B should be.
    return both + sampler @ ((log_pf - log_pb) @ backward[:-1])


def _mutant_no_ends(
    paths: Tensor,
    sampler: Tensor,
    log_pf: Tensor,
    log_pb: Tensor,
    log_target: Tensor,
    forward: Tensor,
    backward: Tensor,
) -> Tensor:
    inner = backward.clone()
    inner[-1] = 0.0
    return attended_inconsistency(paths, sampler, log_pf, log_pb, log_target, forward, inner)


def _focus_inputs() -> list[tuple[Any, ...]]:
    # One path only: all chances of the sampler are 1, and its end is the target's.
    paths = torch.tensor([[0, 1, 2]])
    steps = torch.tensor([[-0.5, -1.0]], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    attention = torch.ones(3, dtype=torch.float64)
    return [(paths, one, steps, 2 * steps, 0 * one, attention[:2], -attention)]


@claim(
    "beliefs.C20",
    title="opposite attention to P_F and P_B cancels the sampler",
    statement="""With φ_F = φ and φ_B = −φ on the backward policy and the normalized reward, the
        attended inconsistency of a generative flow network under a certain sampler Q of
        trajectories is −φ E_Q δ, δ = log Z + Σ log P_F − log R − Σ log P_B: the chances of Q
        telescope, whatever Q is. Attention that is not opposite keeps them.""",
    hypotheses="""all paths of one length; γ = 0; β = ∞ on Q; the target must be attended as P_B
        is, without which the entropy of the end under Q stays""",
    source="[paper] lir, draft; that the ends must be attended too is [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the sampler's forward chances in both directions": _mutant_backward,
        "the target is not attended": _mutant_no_ends,
    },
    near_misses=_focus_inputs,
)
def C20(
    attended: Callable[..., Tensor] = attended_inconsistency,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge beliefs.C20: random policies and samplers, every length, both signs of attention."""
    grid = HyperGrid(3, 2)
    worst, least_kept, cases = 0.0, math.inf, 0
    for _ in range(_NUM_CASES[preset]):
        tables = _tables(grid, generator)
        for trajectories in _by_length(grid):
            log_pf, log_pb = _steps(grid, trajectories, tables)
            steps = log_pf.shape[1]
            drawn = torch.rand(len(log_pf), generator=generator, dtype=torch.float64) + 0.1
            sampler = drawn / drawn.sum()
            log_target = grid.target.log()[trajectories.terminal]
            given = (trajectories.states, sampler, log_pf, log_pb, log_target)
            wanted = sampler @ (log_target + (log_pb - log_pf).sum(1))
            for sign in (1.0, -1.0):
                forward = torch.full((steps,), sign, dtype=torch.float64)
                backward = torch.full((steps + 1,), -sign, dtype=torch.float64)
                found = attended(*given, forward, backward)
                worst = max(worst, abs(float(found - sign * wanted)))
                half = attended(*given, forward, backward / 2)
                plain = sampler @ (0.5 * log_target + (0.5 * log_pb - log_pf).sum(1))
                least_kept = min(least_kept, abs(float(half - sign * plain)))
                cases += 1
    return ClaimResult(
        holds=worst <= _ROUNDING and least_kept > 1e-3,
        measured=worst,
        bound=_ROUNDING,
        detail=(
            f"{cases} cases: the value differs from −φ E δ by at most {worst:.1e}; with "
            f"φ_B = −φ_F/2 the sampler stays, by {least_kept:.2g} nats or more"
        ),
        sample_size=cases,
    )


def _descent(
    grid: HyperGrid,
    tables: tuple[Tensor, Tensor],
    log_z: float,
    normalize: Normalize,
    focus: Callable[..., tuple[Tensor, Tensor]] | None,
) -> list[Tensor]:
    """Return the direction in which the tables and log Z move: by the loss, or by the foci."""
    offset = torch.tensor(log_z, dtype=torch.float64, requires_grad=True)
    parameters = [table.clone().requires_grad_() for table in tables] + [offset]
    trajectories = all_trajectories(grid)
    log_pf, log_pb = _steps(grid, trajectories, (parameters[0], parameters[1]))
    log_reward, lengths = grid.log_rewards[trajectories.terminal], trajectories.lengths
    sums = log_pf.sum(-1), log_pb.sum(-1), log_reward
    if focus is None:
        moved = trajectory_balance(*sums, offset, lengths, normalize)
    else:
        attention, control = focus(offset + sums[0] - sums[1] - log_reward, lengths, normalize)
        values = []
        for place, steps in enumerate(lengths.tolist()):
            values.append(
                attended_inconsistency(
                    trajectories.states[place, None, : steps + 1],
                    torch.ones(1, dtype=torch.float64),
                    log_pf[place, None, :steps],
                    log_pb[place, None, :steps],
                    log_reward[place, None] - offset,
                    attention[place].expand(steps),
                    -attention[place].expand(steps + 1),
                )
            )
        moved = (control * torch.stack(values)).mean()
    # Tables of logarithms: where an action is forbidden nothing moves.
    return [-g for g in torch.autograd.grad(moved, parameters)]


def _mutant_one_sign(
    imbalance: Tensor, lengths: Tensor, normalize: Normalize = "none"
) -> tuple[Tensor, Tensor]:
    attention, control = balancing_focus(imbalance, lengths, normalize)
    return -attention.abs(), control


def _mutant_squared_length(
    imbalance: Tensor, lengths: Tensor, normalize: Normalize = "none"
) -> tuple[Tensor, Tensor]:
    attention, control = balancing_focus(imbalance, lengths, normalize)
    return attention, control / lengths if normalize == "length" else control


def _mutant_no_stop(
    imbalance: Tensor, lengths: Tensor, normalize: Normalize = "none"
) -> tuple[Tensor, Tensor]:
    return balancing_focus(imbalance, (lengths - 1).clamp(min=1), normalize)


@claim(
    "beliefs.C20a",
    title="control by the imbalance makes resolution trajectory balance",
    statement="""The focus on one trajectory with φ_F = −sgn δ = −φ_B has value |δ|; resolved with
        control χ = 2|δ|, that is in proportion to log (Z ∏ P_F / (R ∏ P_B)), it moves P_F, P_B and
        log Z by the negative gradient of δ². Over a batch that is trajectory balance; with
        χ = 2|δ|/T it is the form normalized by length.""",
    hypotheses="""small steps; the trajectory is certain (β = ∞) and carries no gradient; T counts
        the stop""",
    source="""[paper] lir, draft: "control proportional to log(∏ P_F / ∏ P_B)"; the signs, which
        keep χ ≥ 0, are [derived]""",
    kind="proved",
    expected="holds",
    mutants={
        "attention does not follow the sign of δ": _mutant_one_sign,
        "δ is divided by T before the square": _mutant_squared_length,
        "T does not count the stop": _mutant_no_stop,
    },
    near_misses=lambda: [(torch.tensor([0.5, 2.0]), torch.tensor([1, 1]), "length")],
)
def C20a(
    focus: Callable[..., tuple[Tensor, Tensor]] = balancing_focus,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge beliefs.C20a: gradients by both ways, on every trajectory of a small grid."""
    grid = HyperGrid(2, 2)
    worst, cases = 0.0, 0
    for _ in range(_NUM_CASES[preset]):
        tables = _tables(grid, generator)
        log_z = float(torch.randn((), generator=generator))
        for normalize in get_args(Normalize):
            wanted = _descent(grid, tables, log_z, normalize, None)
            found = _descent(grid, tables, log_z, normalize, focus)
            pairs = zip(wanted, found, strict=True)
            worst = max(worst, *(float((a - b).abs().max()) for a, b in pairs))
            cases += len(all_trajectories(grid).lengths)
    return ClaimResult(
        holds=worst <= _ROUNDING,
        measured=worst,
        bound=_ROUNDING,
        detail=f"{cases} trajectories: the two directions differ by at most {worst:.1e}",
        sample_size=cases,
    )


# The seven losses, in the order of `balance_losses`.
_NAMES = ("TB", "TB/T", "VarGrad", "VarGrad/T", "DB", "FM", "SubTB")
_ZERO, _POSITIVE = 1e-22, 1e-7


def balance_losses(
    grid: HyperGrid, log_flow: Tensor, log_pf: Tensor, log_pb: Tensor, log_z: Tensor
) -> Tensor:
    """Return TB, TB/T, VarGrad, VarGrad/T, DB, FM and SubTB over all of a small grid.

    Args:
        grid: the environment.
        log_flow: (n,) float64: log F of each state.
        log_pf: (n, D + 1): log P_F.
        log_pb: (n, D): log P_B.
        log_z: (): log Z.

    Returns:
        (7,): means over all trajectories, their steps, or all states.

    Claims: beliefs.C20b.
    """
    trajectories = all_trajectories(grid)
    lengths, states = trajectories.lengths, trajectories.states
    steps = _steps(grid, trajectories, (log_pf, log_pb))
    rewards = grid.log_rewards[trajectories.terminal]
    sums = steps[0].sum(-1), steps[1].sum(-1), rewards
    places = torch.arange(states.shape[1])
    flows = torch.where(places < lengths[:, None], log_flow[states], rewards[:, None])
    real = places[:-1] < lengths[:, None]
    ends = [tensor[real] for tensor in (flows[:, :-1], steps[0], flows[:, 1:], steps[1])]
    edges = log_flow[:, None] + log_pf
    parents = torch.arange(grid.num_states)[:, None] - grid.strides[:-1]
    into = edges[parents.clamp(min=0), torch.arange(grid.dims)]
    into = into.masked_fill(~grid.backward_mask, -torch.inf)
    source = torch.full_like(into[:, :1], -torch.inf)
    source[0] = log_z
    return torch.stack(
        [
            trajectory_balance(*sums, log_z, lengths),
            trajectory_balance(*sums, log_z, lengths, "length"),
            variance_gradient(*sums, lengths),
            variance_gradient(*sums, lengths, "length"),
            detailed_balance(*ends),
            flow_matching(
                torch.cat([into, source], dim=1),
                torch.cat([edges[:, :-1], grid.log_rewards[:, None]], dim=1),
            ),
            subtrajectory_balance(flows, *steps, lengths),
        ]
    )


def _mutant_no_backward(
    grid: HyperGrid, log_flow: Tensor, log_pf: Tensor, log_pb: Tensor, log_z: Tensor
) -> Tensor:
    """Leave P_B out of the losses of trajectories; FM, which has none, stays."""
    return balance_losses(grid, log_flow, log_pf, log_pb.clamp(min=0.0), log_z)


def _mutant_no_log_z(
    grid: HyperGrid, log_flow: Tensor, log_pf: Tensor, log_pb: Tensor, log_z: Tensor
) -> Tensor:
    return balance_losses(grid, log_flow, log_pf, log_pb, torch.zeros_like(log_z))


def _mutant_blind(
    grid: HyperGrid, log_flow: Tensor, log_pf: Tensor, log_pb: Tensor, log_z: Tensor
) -> Tensor:
    """Judge detailed balance by flows that fit the policy, whatever flows are given."""
    losses = balance_losses(grid, log_flow, log_pf, log_pb, log_z)
    flow, policy = balanced_flows(grid, log_pb)
    losses[4] = balance_losses(grid, flow, policy, log_pb, flow[0])[4]
    return losses


def _flow_inputs() -> list[tuple[Any, ...]]:
    # A line, where P_B is 1, with Z = ½ + ½.
    line = HyperGrid(2, 1, reward_floor=0.0)
    line_pb = torch.tensor([[-torch.inf], [0.0]], dtype=torch.float64)
    flow, policy = balanced_flows(line, line_pb)
    return [(line, flow, policy, line_pb, flow[0])]


@claim(
    "beliefs.C20b",
    title="seven losses of generative flow networks have one zero set",
    statement="""Trajectory balance and VarGrad, each also divided by length, detailed balance, flow
        matching and sub-trajectory balance all vanish at the balanced flows of every backward
        policy, where the policy stops in x with chance R(x)/Z; and none of them vanishes when one
        row of the forward policy is changed.""",
    hypotheses="""R > 0; every trajectory is in the batch, none has weight 0; VarGrad's log Z is its
        own mean""",
    source="[paper] lir: the losses divided by T keep the zeros of the others; all seven [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "P_B is left out": _mutant_no_backward,
        "log Z is left out": _mutant_no_log_z,
        "detailed balance does not look at the policy": _mutant_blind,
    },
    near_misses=_flow_inputs,
)
def C20b(
    losses: Callable[..., Tensor] = balance_losses, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge beliefs.C20b: random backward policies; balanced flows, and one row changed."""
    grid = HyperGrid(3, 2)
    largest, least, cases = 0.0, math.inf, 0
    for _ in range(_NUM_CASES[preset]):
        _, log_pb = _tables(grid, generator)
        flow, policy = balanced_flows(grid, log_pb)
        largest = max(largest, float(losses(grid, flow, policy, log_pb, flow[0]).max()))
        # The last state has one action only, and no other policy.
        for state in range(grid.num_states - 1):
            changed = policy.clone()
            changed[state, -1] += 0.1
            changed[state] = changed[state].log_softmax(-1)
            least = min(least, float(losses(grid, flow, changed, log_pb, flow[0]).min()))
            cases += 1
    return ClaimResult(
        holds=largest <= _ZERO and least >= _POSITIVE,
        measured=largest,
        bound=_ZERO,
        detail=(
            f"{', '.join(_NAMES)}: at most {largest:.1e} at balanced flows, at least {least:.1e} "
            f"at {cases} changed policies"
        ),
        sample_size=cases,
        evidence={"least_when_changed": least},
    )
