"""Which actions survive a level: proved to lose, equal, or too close to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coset.core.numerics import EPSILON
from coset.decisions.processes.level import BLOCK, ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers.row_sums import spread, uses_loops
from coset.decisions.solvers.solution import TieStatus

__all__ = ["TieLedger", "TieRule", "action_values", "decide_ties", "reward_errors"]


@dataclass(frozen=True)
class TieRule:
    """When an action that is not the best survives a level.

    Attributes:
        tolerance: it survives if it is worse by at most this, even if that is proved.
        slack: it survives if it is worse by at most this, on purpose: another problem, in which
            the levels below may give up as much of this one.
    """

    tolerance: float = 0.0
    slack: float = 0.0


@dataclass(frozen=True, eq=False)
class TieLedger:
    """Who survives so far, and where the others lost; written in place.

    Attributes:
        allowed: (S, A) bool.
        lost_at: (S, A) int8, as in `MDPSolution`.
        loss: (S, A) float64.
        tie_status: (S, d) int8.
    """

    allowed: Tensor
    lost_at: Tensor
    loss: Tensor
    tie_status: Tensor

    @classmethod
    def of(cls, mdp: MDP) -> TieLedger:
        """Return the ledger before any level: every action that exists survives.

        Args:
            mdp: the process.

        Returns:
            The ledger.
        """
        exists, depth = mdp.allowed, mdp.num_objectives
        none = torch.full((mdp.num_states, depth), TieStatus.NONE, dtype=torch.int8)
        return cls(
            allowed=exists.clone(),
            lost_at=exists * torch.tensor(depth + 1, dtype=torch.int8) - 1,
            loss=torch.zeros(exists.shape, dtype=torch.float64, device=exists.device),
            tie_status=none.to(exists.device),
        )


def decide_ties(
    mdp: MDP,
    index: int,
    level: ScalarLevel,
    value: Tensor,
    error: Tensor | float,
    reward_error: Tensor | float,
    rule: TieRule,
    ledger: TieLedger,
    equal: Tensor | None = None,
) -> None:
    """Decide who survives a level, with bounds on every action value, and write it down.

    An action loses if its upper bound is below the lower bound of another one, and by more than
    the rule tolerates. Survivors are a proved tie if they are the same action twice (the same
    events), have action values free of any error, or are known to be equal; otherwise the tie is
    assumed. A wrong call costs at most the error at this level, and any amount at the next.

    Args:
        mdp: the process.
        index: the objective, counted from 0.
        level: its scalar problem on the actions that are left.
        value: (S,) float64, its value.
        error: proved bound on |value − V*|: (S,), or one number for all.
        reward_error: proved bound on the reward of the level: (S, A), or one number.
        rule: what to tolerate.
        ledger: where to write.
        equal: (S, A) bool, actions known to attain the best value of their state exactly.

    Complexity: one or two sweeps; temporaries of `BLOCK` states.

    Claims: decisions.C8.
    """
    for start in range(0, level.num_states, BLOCK):
        rows = slice(start, start + BLOCK)
        q, radius = action_values(level, rows, value, error, reward_error)
        mine = level.allowed[rows]
        q.masked_fill_(~mine, -torch.inf)
        sure, best = (q - radius).amax(1, keepdim=True), q.amax(1, keepdim=True)
        lost = mine & (q + radius < sure) & (best - q > rule.tolerance)
        if rule.slack > 0:
            lost = mine & (best - q > rule.slack)
        survivors = mine & ~lost
        ledger.allowed[rows] = survivors
        ledger.lost_at[rows] = ledger.lost_at[rows].masked_fill(lost, index)
        ledger.loss[rows] = torch.where(lost, best - q, ledger.loss[rows])
        count = survivors.sum(1)
        status = torch.where(count > 1, TieStatus.ASSUMED, TieStatus.UNIQUE).to(torch.int8)
        several = torch.nonzero(count > 1).flatten()
        if len(several):
            exact = _free_of_error(mdp, level, start + several, reward_error)
            exact &= q[several] == best[several]
            known = torch.zeros_like(exact) if equal is None else equal[start + several]
            left = survivors[several]
            same = _same_events(mdp, index, start + several, left)
            proved = (exact | ~left).all(1) | (known | ~left).all(1) | same
            status[several[proved]] = TieStatus.PROVED
        ledger.tie_status[rows, index] = status.masked_fill(count == 0, TieStatus.NONE)


def action_values(
    level: ScalarLevel,
    rows: slice,
    value: Tensor,
    error: Tensor | float,
    reward_error: Tensor | float,
) -> tuple[Tensor, Tensor]:
    """Return action values of some states, and how far each can be off, rounding included.

    Args:
        level: the problem.
        rows: which states.
        value: (S,) float64.
        error: how far the value may be off, (S,) or one number.
        reward_error: how far the reward may be off, (S, A) or one number.

    Returns:
        Q and its radius, (rows, A) float64 each; also where the action is not allowed.
    """
    found = _compiled_values if uses_loops(level) else _eager_values
    q, radius = found(level, rows, value, error)
    radius += reward_error[rows] if isinstance(reward_error, Tensor) else reward_error
    return q, radius


def _unit(level: ScalarLevel) -> float:
    """Return what float64 may lose in one action value, relative to |r| + c Σ w max |V|."""
    return (level.successor.shape[2] + 4) * EPSILON["float64"]


def _eager_values(
    level: ScalarLevel, rows: slice, value: Tensor, error: Tensor | float
) -> tuple[Tensor, Tensor]:
    successor, weight, reward = level.successor[rows], level.weight[rows], level.reward[rows]
    flat = successor.reshape(-1)
    gathered = value.index_select(0, flat).reshape(successor.shape)
    moved = level.scale * (weight * gathered).sum(-1, dtype=torch.float64)
    mass = level.scale * weight.sum(-1, dtype=torch.float64)
    radius = _unit(level) * (reward.abs() + mass * gathered.abs().amax(-1))
    if isinstance(error, Tensor):
        gathered = error.index_select(0, flat).reshape(successor.shape)
        radius += level.scale * (weight * gathered).sum(-1, dtype=torch.float64)
    else:
        radius += mass * error
    return reward + moved, radius


def _compiled_values(
    level: ScalarLevel, rows: slice, value: Tensor, error: Tensor | float
) -> tuple[Tensor, Tensor]:
    from coset.decisions.kernels.bounded import bounded_action_values
    from coset.decisions.kernels.launch import run_shares

    tensors = level.successor[rows], level.weight[rows], level.reward[rows]
    arrays = tuple(x.contiguous().numpy() for x in tensors)
    off = error if isinstance(error, Tensor) else torch.tensor([error], dtype=torch.float64)
    q = torch.empty(tensors[2].shape, dtype=torch.float64)
    radius = torch.empty_like(q)
    vectors = value.contiguous().numpy(), off.contiguous().numpy(), _unit(level)
    arguments = (arrays, level.scale, *vectors, q.numpy(), radius.numpy())
    kernel: Any = bounded_action_values
    run_shares(lambda a, b: kernel(*arguments, a, b), len(q), tensors[0].numel())
    return q, radius


def reward_errors(
    mdp: MDP, index: int, value: Tensor, errors: Sequence[Tensor | float]
) -> Tensor | float:
    """Return how far the reward of a level may be off: Σ_k P Σ_{j<i} |Γ_ij| error_j(s'), rounded.

    The rounding is that of a sum whose terms may cancel: (K + 4) u Σ_k P (|r_i| + Σ |Γ_ij V_j|).

    Args:
        mdp: the process.
        index: i.
        value: (S, ≥ i) float64, V_0 … V_{i−1}.
        errors: for each level above a bound on its value's error, (S,) or one number.

    Returns:
        (S, A) float64, or 0 if rewards are stored numbers and nothing is carried over.
    """
    rounding = (mdp.num_successors + 4) * EPSILON["float64"]
    total: Tensor | float = 0.0
    if mdp.reward.shape[2] > 1:
        total = rounding * _mixed_size(mdp, index)
    for j, error in enumerate(errors):
        cross = mdp.entry(index, j)
        if not bool((cross != 0).any()):
            continue
        weight, scale = mdp.probability, float(cross.abs()) if cross.numel() == 1 else 1.0
        if cross.numel() > 1:
            weight = weight * cross.abs()
        live = mdp.allowed.any(1)
        spread_out = error if isinstance(error, Tensor) and error.numel() > 1 else float(error)
        vector = torch.where(live, spread_out + rounding * value[:, j].abs(), 0.0).double()
        nothing = torch.zeros((), dtype=torch.float64, device=live.device)
        reward = nothing.expand(mdp.allowed.shape)
        part = ScalarLevel(mdp.successor, weight, reward, mdp.allowed, scale)
        total = total + spread(part, vector)
    return total


def _mixed_size(mdp: MDP, index: int) -> Tensor:
    """Return Σ_k P |r_i|, (S, A); 0 where one event is sure, and its reward the sum."""
    size = torch.empty(mdp.allowed.shape, dtype=torch.float64, device=mdp.allowed.device)
    for start in range(0, mdp.num_states, BLOCK):
        rows = slice(start, start + BLOCK)
        chance = mdp.probability[rows].double()
        sums = (chance * mdp.reward[rows, ..., index].abs()).sum(-1)
        size[rows] = torch.where((chance == 1).any(-1), 0.0, sums)
    return size


def _free_of_error(
    mdp: MDP, level: ScalarLevel, states: Tensor, reward_error: Tensor | float
) -> Tensor:
    """Return where an action value is one stored reward: a sure event after which all has ended."""
    chance = mdp.probability[states]
    sure = ((chance > 0).sum(-1) == 1) & (chance.amax(-1) == 1)
    ended = ~level.active[level.successor[states].long()] | (level.weight[states] == 0)
    if isinstance(reward_error, Tensor):
        sure &= reward_error[states] == 0
    elif reward_error > 0:
        sure &= False
    return sure & ended.all(-1)


def _same_events(mdp: MDP, index: int, states: Tensor, survivors: Tensor) -> Tensor:
    """Return whether all survivors of a state have the same events, up to this objective."""
    first = survivors.int().argmax(1)
    rows = torch.arange(len(states), device=states.device)
    same = torch.ones_like(survivors)
    multiplier = mdp.multiplier
    assert isinstance(multiplier, Tensor)
    for array in (mdp.successor, mdp.probability, mdp.reward[..., : index + 1], multiplier):
        part = array[states] if array.shape[0] > 1 else array.expand(len(states), *array.shape[1:])
        if part.shape[1] == 1:
            continue  # shared by all actions
        reference = part[rows, first][:, None]
        same &= (part == reference).flatten(2).all(2)
    return (same | ~survivors).all(1)
