"""The greedy choice among learned values of several objectives in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError

__all__ = ["checked_slack", "eliminate", "kept_actions", "lexicographic_argmax"]


def kept_actions(q: Tensor, slack: Any = 0.0, mask: Tensor | None = None) -> Tensor:
    """Return the actions that survive all objectives: level by level, within a slack of the best.

    K_0 = the actions that exist, K_k = {a ∈ K_{k−1} : Q_k(a) ≥ max over K_{k−1} of Q_k − τ_k}; the
    last objective has no slack. Values that are learned are never exactly equal: τ_k must be
    larger than their error and smaller than the gap of the actions that should lose.

    Args:
        q: (…, A, d) values of A actions for d objectives, the first one first.
        slack: τ ≥ 0, a number for all objectives but the last, (d − 1,) for them, or a tensor
            (…, d − 1).
        mask: (…, A) bool, the actions that exist; None: all.

    Returns:
        (…, A) bool; nothing where no action exists.

    Raises:
        ShapeError: if the shapes do not fit.
        DomainError: if a slack is negative or NaN, or a value is NaN.
        DtypeError: if the values are not floating point.

    Claims: decisions.C13.

    Example:
        >>> q = torch.tensor([[0.50, 3.0], [0.51, 2.0], [0.20, 9.0]])
        >>> kept_actions(q, slack=0.05).tolist(), kept_actions(q).tolist()
        ([True, False, False], [False, True, False])
    """
    if not isinstance(q, Tensor) or not q.is_floating_point():
        raise DtypeError(f"q must be a tensor of floats; given {getattr(q, 'dtype', type(q))}")
    if q.dim() < 2 or q.shape[-1] == 0:
        raise ShapeError(f"q must be (…, A, d) with d ≥ 1; given {tuple(q.shape)}")
    if bool(q.isnan().any()):
        raise DomainError("q must not hold NaN; learning has diverged: lower the learning rate")
    tolerance = checked_slack(slack, q.shape[-1]).to(q)
    if mask is not None and (mask.dtype != torch.bool or mask.shape[-1:] != q.shape[-2:-1]):
        raise ShapeError(
            f"mask must be (…, {q.shape[-2]}) bool; given {tuple(mask.shape)} {mask.dtype}"
        )
    return eliminate(q, tolerance, mask)


def eliminate(q: Tensor, tolerance: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return what `kept_actions` returns, without a look at its input.

    Args:
        q: (…, A, d), not NaN.
        tolerance: (…, d) ≥ 0 of the dtype and device of `q`, 0 for the last objective.
        mask: (…, A) bool or None.

    Returns:
        (…, A) bool.
    """
    kept = torch.ones(q.shape[:-1], dtype=torch.bool, device=q.device)
    if mask is not None:
        kept = kept & mask
    if not q.shape[-2]:
        return kept
    for k in range(q.shape[-1]):
        level = q[..., k].masked_fill(~kept, -torch.inf)
        kept = kept & (level >= level.amax(-1, keepdim=True) - tolerance[..., k : k + 1])
    return kept


def lexicographic_argmax(q: Tensor, slack: Any = 0.0, mask: Tensor | None = None) -> Tensor:
    """Return the first of the actions that `kept_actions` keeps.

    Args:
        q: (…, A, d) values.
        slack: as in `kept_actions`.
        mask: likewise.

    Returns:
        (…,) int64; −1 where no action exists.

    Raises:
        ShapeError: as there.
        DomainError: as there.
        DtypeError: as there.

    Claims: decisions.C13.

    Example:
        >>> q = torch.tensor([[0.50, 3.0], [0.51, 2.0], [0.20, 9.0]])
        >>> int(lexicographic_argmax(q, slack=0.05)), int(lexicographic_argmax(q))
        (0, 1)
    """
    kept = kept_actions(q, slack, mask)
    if not kept.shape[-1]:
        return torch.full(kept.shape[:-1], -1, dtype=torch.int64, device=q.device)
    return torch.where(kept.any(-1), kept.to(torch.uint8).argmax(-1), -1)


def checked_slack(slack: float | Sequence[float] | Tensor, num_objectives: int) -> Tensor:
    """Return one slack for each objective, 0 for the last.

    Args:
        slack: a number, (d − 1,), or a tensor (…, d − 1).
        num_objectives: d ≥ 1.

    Returns:
        (…, d) float64.

    Raises:
        ShapeError: if there are not d − 1.
        DomainError: if one is negative, infinite or NaN.
        DtypeError: if they are not numbers.

    Example:
        >>> checked_slack(0.1, 3).tolist()
        [0.1, 0.1, 0.0]
    """
    try:
        given = torch.as_tensor(slack, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DtypeError(f"slack must be numbers; given {slack!r}") from error
    if given.dim() == 0:
        given = given.expand(num_objectives - 1)
    if given.shape[-1] != num_objectives - 1:
        raise ShapeError(
            f"slack must be a number or {num_objectives - 1} numbers, one for each objective but "
            f"the last; given {tuple(given.shape)}"
        )
    if not bool((given >= 0).all()) or bool(given.isinf().any()):
        raise DomainError(f"slack must be ≥ 0 and finite; given {slack}")
    return torch.cat([given, given.new_zeros((*given.shape[:-1], 1))], -1)
