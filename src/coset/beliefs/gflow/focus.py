"""Trajectory balance as a choice of focus: what to attend to, and how far to move."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from coset.beliefs.gflow.losses import Normalize
from coset.core.errors import DomainError, ShapeError

__all__ = ["attended_inconsistency", "balancing_focus"]


def attended_inconsistency(
    paths: Tensor,
    sampler: Tensor,
    log_pf: Tensor,
    log_pb: Tensor,
    log_target: Tensor,
    forward_attention: Tensor,
    backward_attention: Tensor,
) -> Tensor:
    """Return the attended inconsistency, at γ = 0, of a network and a sampler that is certain.

    The graph has variables S₀ … Sₙ, arcs P_F(Sᵢ₊₁ | Sᵢ), P_B(Sᵢ | Sᵢ₊₁) and a target on Sₙ; the
    sampler Q of whole paths has infinite confidence, so that the joint distribution is Q and the
    value Σᵢ φ_F,ᵢ E_Q log (Q(sᵢ₊₁ | sᵢ) / P_F) + φ_B,ᵢ E_Q log (Q(sᵢ | sᵢ₊₁) / P_B)
    + φ_B,ₙ E_Q log (Q(sₙ) / target). All paths have n actions: one graph for each length.

    Args:
        paths: (N, n + 1) int64: distinct paths, by the number of the state at each step.
        sampler: (N,) floating: Q of each, > 0, of sum 1.
        log_pf: (N, n): log P_F of each step.
        log_pb: (N, n): log P_B of each step.
        log_target: (N,): log of the target at the last state.
        forward_attention: (n,): φ_F.
        backward_attention: (n + 1,): φ_B, and at last the attention to the target.

    Returns:
        (): nats; differentiable in all arguments but `paths`.

    Raises:
        ShapeError: if shapes do not fit, or there are no paths.
        DomainError: if Q is not positive of sum 1, or a path is there twice.

    Claims: beliefs.C20, beliefs.C20a.

    Example:
        >>> paths, half = torch.tensor([[0, 1], [0, 2]]), torch.full((2, 1), 0.5)
        >>> sampler = torch.tensor([0.75, 0.25])
        >>> one, zero = torch.ones(1), torch.zeros(2)
        >>> value = attended_inconsistency(paths, sampler, half.log(), half * 0, zero, one, zero)
        >>> round(float(value), 6)  # KL(sampler || P_F)
        0.130812
    """
    num, steps = _checked_paths(paths, sampler, log_pf, log_pb)
    if log_target.shape != (num,):
        raise ShapeError(f"log_target must be ({num},); given {tuple(log_target.shape)}")
    given = tuple(forward_attention.shape), tuple(backward_attention.shape)
    if given != ((steps,), (steps + 1,)):
        raise ShapeError(
            f"forward_attention must be ({steps},) and backward_attention ({steps + 1},); given "
            f"{given[0]} and {given[1]}"
        )
    single = [_log_marginal(paths[:, i : i + 1], sampler) for i in range(steps + 1)]
    pair = [_log_marginal(paths[:, i : i + 2], sampler) for i in range(steps)]
    before, after = torch.stack(single[:-1], dim=1), torch.stack(single[1:], dim=1)
    both = torch.stack(pair, dim=1)
    forward = _attended(both - before - log_pf, forward_attention)
    backward = _attended(both - after - log_pb, backward_attention[:-1])
    ends = _attended((single[-1] - log_target)[:, None], backward_attention[-1:])
    return (sampler * (forward + backward + ends)).sum()


def _attended(surprise: Tensor, attention: Tensor) -> Tensor:
    """Return Σ φᵢ sᵢ of each path; 0 · ∞ = 0, as an arc that is not attended is dropped."""
    dropped = surprise.isinf() & (attention == 0)
    return (surprise.masked_fill(dropped, 0.0) * attention).sum(1)


def _checked_paths(
    paths: Tensor, sampler: Tensor, log_pf: Tensor, log_pb: Tensor
) -> tuple[int, int]:
    if paths.dim() != 2 or paths.shape[0] < 1 or paths.shape[1] < 2:
        raise ShapeError(f"paths must be (N, n + 1) with N, n ≥ 1; given {tuple(paths.shape)}")
    num, steps = paths.shape[0], paths.shape[1] - 1
    shapes = [tuple(given.shape) for given in (sampler, log_pf, log_pb)]
    if shapes != [(num,), (num, steps), (num, steps)]:
        raise ShapeError(
            f"sampler must be ({num},), log_pf and log_pb ({num}, {steps}); given {shapes}"
        )
    if not (sampler > 0).all() or not abs(float(sampler.sum()) - 1) <= 1e-5:
        raise DomainError(
            f"the sampler must be > 0 and sum to 1; given a least of {float(sampler.min()):g} and "
            f"a sum of {float(sampler.sum()):.9g}; leave out paths that it never takes"
        )
    if len(torch.unique(paths, dim=0)) < num:
        raise DomainError("each path must be given once; add up what the sampler gives to it")
    return num, steps


def _log_marginal(parts: Tensor, sampler: Tensor) -> Tensor:
    """Return, for each path, the logarithm of the chance of all paths that agree in `parts`."""
    _, group = torch.unique(parts, dim=0, return_inverse=True)
    total = torch.zeros_like(sampler).index_add(0, group, sampler)
    return total[group].log()


def balancing_focus(
    imbalance: Tensor, lengths: Tensor, normalize: Normalize = "none"
) -> tuple[Tensor, Tensor]:
    """Return attention and control of the focus on one trajectory that is a step of its balance.

    With φ_F = −sgn δ, φ_B = sgn δ the attended inconsistency of the trajectory is |δ|; with control
    χ = 2 |δ| its negative gradient is that of δ², with χ = 2 |δ| / T that of δ²/T.

    Args:
        imbalance: (…) floating: δ of each trajectory, see `trajectory_balance`.
        lengths: (…): T ≥ 1, the actions of each, the stop included.
        normalize: "none" or "length".

    Returns:
        φ_F (…), in −1, 0, 1 (φ_B is its negative), and χ (…) ≥ 0; both without gradient.

    Raises:
        ShapeError: if the two differ in shape.
        DomainError: if `normalize` is unknown or a length < 1.

    Claims: beliefs.C20a.

    Example:
        >>> attention, control = balancing_focus(torch.tensor([2.0, -1.0]), torch.tensor([4, 1]))
        >>> attention.tolist(), control.tolist()
        ([-1.0, 1.0], [4.0, 2.0])
    """
    if normalize not in get_args(Normalize):
        raise DomainError(f"normalize must be one of {get_args(Normalize)}; given {normalize!r}")
    if imbalance.shape != lengths.shape:
        raise ShapeError(
            f"lengths must be of the imbalance's shape {tuple(imbalance.shape)}; given "
            f"{tuple(lengths.shape)}"
        )
    if not (lengths >= 1).all():
        raise DomainError(f"lengths count the stop and must be ≥ 1; given {lengths.min()}")
    fixed = imbalance.detach()
    control = 2 * fixed.abs()
    return -fixed.sign(), control / lengths if normalize == "length" else control
