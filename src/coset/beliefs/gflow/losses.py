"""The losses of generative flow networks: of trajectories, of parts of them, of steps, of states.

All of them vanish together: where flows are balanced, and the policy stops in x with probability
R(x)/Z. NaN and infinite arguments are not looked for: they make the loss NaN or infinite.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError

__all__ = [
    "Normalize",
    "detailed_balance",
    "flow_matching",
    "subtrajectory_balance",
    "trajectory_balance",
    "variance_gradient",
]

Normalize = Literal["none", "length"]


def trajectory_balance(
    log_pf: Tensor,
    log_pb: Tensor,
    log_reward: Tensor,
    log_z: Tensor | float,
    lengths: Tensor,
    normalize: Normalize = "none",
    *,
    clip: float | None = None,
) -> Tensor:
    """Return trajectory balance, the mean of δ², or its form normalized by length, of δ²/T.

    δ = log Z + Σ log P_F − log R − Σ log P_B. The square comes first: δ²/T, not (δ/T)².

    Args:
        log_pf: (…, N) floating: Σ log P_F of each trajectory, the stop included.
        log_pb: (…, N): Σ log P_B.
        log_reward: (…, N): log R of the state where it stops, finite (clipped where R = 0).
        log_z: (…) or a number: log Z.
        lengths: (…, N): T ≥ 1, the actions of each, the stop included.
        normalize: "none", or "length" to divide each term by T.
        clip: each term is cut off there, and then has no gradient; ``None`` for no limit.

    Returns:
        (…): means over the N trajectories.

    Raises:
        ShapeError: if a shape is wrong, or there are no trajectories.
        DtypeError: if `log_pf` is no floating tensor.
        DomainError: if `normalize` is unknown, a length < 1, or `clip` ≤ 0.

    Claims: beliefs.C20a, beliefs.C20b.

    Example:
        >>> zero = torch.zeros(2)
        >>> given = torch.tensor([2.0, -1.0]), zero, zero, 0.0, torch.tensor([4, 1])
        >>> float(trajectory_balance(*given)), float(trajectory_balance(*given, "length"))
        (2.5, 1.0)
    """
    _check_trajectories(log_pf, log_pb, log_reward, lengths, 1)
    offset = torch.as_tensor(log_z, dtype=log_pf.dtype, device=log_pf.device)
    if offset.dim() and offset.shape != log_pf.shape[:-1]:
        raise ShapeError(
            f"log_z must be a number or {tuple(log_pf.shape[:-1])}; given {tuple(offset.shape)}"
        )
    imbalance = offset[..., None] + log_pf - log_reward - log_pb
    return _mean_square(imbalance, lengths, normalize, clip)


def variance_gradient(
    log_pf: Tensor,
    log_pb: Tensor,
    log_reward: Tensor,
    lengths: Tensor,
    normalize: Normalize = "none",
    *,
    clip: float | None = None,
) -> Tensor:
    """Return VarGrad (log-partition variance), the mean of (s − s̄)², or of (s − s̄)²/T.

    s = Σ log P_F − log R − Σ log P_B; its mean s̄ over the batch stands for −log Z. Gradients go
    through s̄ too.

    Args:
        log_pf: (…, N) floating: Σ log P_F of each trajectory, the stop included; N ≥ 2, since the
            loss of one trajectory is 0 whatever it is.
        log_pb: (…, N): Σ log P_B.
        log_reward: (…, N): log R, finite.
        lengths: (…, N): T ≥ 1.
        normalize: "none" or "length".
        clip: each term is cut off there; ``None`` for no limit.

    Returns:
        (…): means over the N trajectories.

    Raises:
        ShapeError: if a shape is wrong, or N < 2.
        DtypeError: if `log_pf` is no floating tensor.
        DomainError: if `normalize` is unknown, a length < 1, or `clip` ≤ 0.

    Claims: beliefs.C20b.

    Example:
        >>> zero = torch.zeros(2)
        >>> float(variance_gradient(torch.tensor([2.0, -1.0]), zero, zero, torch.ones(2)))
        2.25
    """
    _check_trajectories(log_pf, log_pb, log_reward, lengths, 2)
    score = log_pf - log_reward - log_pb
    return _mean_square(score - score.mean(-1, keepdim=True), lengths, normalize, clip)


def _check_trajectories(
    log_pf: Tensor, log_pb: Tensor, log_reward: Tensor, lengths: Tensor, least: int
) -> None:
    _check_floating(log_pf)
    shapes = [tuple(given.shape) for given in (log_pf, log_pb, log_reward, lengths)]
    if len(set(shapes)) != 1 or log_pf.dim() < 1 or log_pf.shape[-1] < least:
        raise ShapeError(
            f"log_pf, log_pb, log_reward and lengths must be of one shape (…, N) with N ≥ {least}; "
            f"given {shapes}"
        )
    if not (lengths >= 1).all():
        raise DomainError(
            f"lengths count the stop and must be ≥ 1; given {lengths.min()}; add 1 if yours do not"
        )


def _check_floating(*given: Tensor) -> None:
    kinds = [x.dtype if isinstance(x, Tensor) else type(x).__name__ for x in given]
    if not all(isinstance(x, torch.dtype) and x.is_floating_point for x in kinds):
        raise DtypeError(f"logarithms must be floating tensors; given {kinds}")


def _mean_square(
    difference: Tensor, lengths: Tensor, normalize: Normalize, clip: float | None
) -> Tensor:
    if normalize not in get_args(Normalize):
        raise DomainError(f"normalize must be one of {get_args(Normalize)}; given {normalize!r}")
    if clip is not None and not clip > 0:
        raise DomainError(f"clip must be > 0 or None; given {clip}")
    terms = difference.square()
    if normalize == "length":
        terms = terms / lengths
    return terms.clamp(max=clip).mean(-1) if clip is not None else terms.mean(-1)


def detailed_balance(
    log_flow: Tensor, log_pf: Tensor, next_log_flow: Tensor, log_pb: Tensor
) -> Tensor:
    """Return detailed balance, the mean of (log F(s) P_F(s'|s) − log F(s') P_B(s|s'))².

    Of a stop, F(s') is the reward and P_B is 1.

    Args:
        log_flow: (…, N) floating: log F(s) of each step.
        log_pf: (…, N): log P_F(s' | s).
        next_log_flow: (…, N): log F(s'), log R for a stop.
        log_pb: (…, N): log P_B(s | s'), 0 for a stop.

    Returns:
        (…): means over the N steps.

    Raises:
        ShapeError: if shapes differ, or there are no steps.
        DtypeError: if an argument is no floating tensor.

    Claims: beliefs.C20b.

    Example:
        >>> one = torch.ones(1)
        >>> float(detailed_balance(one, -one, one, -one * 0))
        1.0
    """
    _check_floating(log_flow, log_pf, next_log_flow, log_pb)
    shapes = [tuple(given.shape) for given in (log_flow, log_pf, next_log_flow, log_pb)]
    if len(set(shapes)) != 1 or log_flow.dim() < 1 or not log_flow.shape[-1]:
        raise ShapeError(f"all four must be of one shape (…, N) with N ≥ 1; given {shapes}")
    return (log_flow + log_pf - next_log_flow - log_pb).square().mean(-1)


def flow_matching(log_inflows: Tensor, log_outflows: Tensor) -> Tensor:
    """Return flow matching, the mean of (log Σ inflows − log Σ outflows)² over states.

    Args:
        log_inflows: (…, N, K) floating: logarithms of the flows into each state, −inf where there
            is no edge; of the origin, log Z.
        log_outflows: (…, N, A): of the flows out of it, the reward included.

    Returns:
        (…): means over the N states; NaN if one has neither inflow nor outflow.

    Raises:
        ShapeError: if the two are not of the same states, or there are none.
        DtypeError: if an argument is no floating tensor.

    Claims: beliefs.C20b.

    Example:
        >>> in_, out = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0]])
        >>> round(float(flow_matching(in_, out)), 6)  # (log 2)²
        0.480453
    """
    _check_floating(log_inflows, log_outflows)
    fits = log_inflows.dim() > 1 and log_inflows.shape[:-1] == log_outflows.shape[:-1]
    if not fits or not log_inflows.numel() or not log_outflows.numel():
        raise ShapeError(
            f"flows must be (…, N, K) and (…, N, A) of the same N ≥ 1 states; given "
            f"{tuple(log_inflows.shape)} and {tuple(log_outflows.shape)}"
        )
    return (log_inflows.logsumexp(-1) - log_outflows.logsumexp(-1)).square().mean(-1)


def subtrajectory_balance(
    log_flows: Tensor, log_pf: Tensor, log_pb: Tensor, lengths: Tensor, lam: float = 0.9
) -> Tensor:
    """Return sub-trajectory balance: all parts i < j of a trajectory, weighted by λʲ⁻ⁱ.

    Of each trajectory it is Σ λʲ⁻ⁱ δᵢⱼ² / Σ λʲ⁻ⁱ with δᵢⱼ = log F(sᵢ) + Σᵢ≤ₖ<ⱼ (log P_F − log P_B)ₖ
    − log F(sⱼ). Small λ gives detailed balance, large λ trajectory balance with Z = F(s₀).

    Args:
        log_flows: (…, N, L + 1) floating: log F of each state; log R at place T, where it has
            stopped; what comes after is not read.
        log_pf: (…, N, L): log P_F of each step.
        log_pb: (…, N, L): log P_B of each step, 0 of the stop.
        lengths: (…, N) integer: T in 1 … L.
        lam: λ > 0.

    Returns:
        (…): means over the N trajectories.

    Raises:
        ShapeError: if a shape is wrong, or there are no trajectories.
        DtypeError: if one of the first three is no floating tensor.
        DomainError: if λ is not positive and finite, or a length outside 1 … L.

    Complexity: O(N L²) time and memory.

    Claims: beliefs.C20b.

    Example:
        >>> flows = torch.tensor([[3.0, 0.0]])
        >>> zero = torch.zeros(1, 1)
        >>> float(subtrajectory_balance(flows, zero, zero, torch.tensor([1])))
        9.0
    """
    _check_floating(log_flows, log_pf, log_pb)
    longest = log_pf.shape[-1] if log_pf.dim() else 0
    wanted = (*log_pf.shape[:-1], longest + 1)
    wrong = log_pf.dim() < 2 or log_pb.shape != log_pf.shape or log_flows.shape != wanted
    if wrong or lengths.shape != log_pf.shape[:-1] or not lengths.numel():
        raise ShapeError(
            f"log_pf and log_pb must be (…, N, L), log_flows (…, N, L + 1), lengths (…, N), N ≥ 1; "
            f"given {[tuple(x.shape) for x in (log_pf, log_pb, log_flows, lengths)]}"
        )
    if not 0 < lam < float("inf") or not ((lengths >= 1) & (lengths <= longest)).all():
        raise DomainError(
            f"lam must be positive and lengths in 1 … {longest}; given {lam} and lengths of "
            f"{lengths.min()} … {lengths.max()}"
        )
    gained = torch.nn.functional.pad((log_pf - log_pb).cumsum(-1), (1, 0))
    place = torch.arange(longest + 1, device=log_pf.device)
    inside = place <= lengths[..., None]
    level = torch.where(inside, log_flows - gained, 0.0)
    imbalance = level[..., :, None] - level[..., None, :]
    parts = inside[..., None, :] & (place[:, None] < place)
    # The softmax of (j − i) log λ: no power of λ overflows.
    exponents = math.log(lam) * (place - place[:, None]).to(log_pf.dtype)
    weights = torch.where(parts, exponents, -torch.inf).flatten(-2).softmax(-1)
    return (weights * imbalance.square().flatten(-2)).sum(-1).mean(-1)
