"""The pairwise-difference penalty R(w) = 1/(d−1) · Σ_{i>j} |w_i − w_j| in O(d log d)."""

from __future__ import annotations

import torch
from torch import Tensor

from coset.core.errors import DtypeError, RangeError

__all__ = ["pairwise_penalty"]


def _as_rows(w: Tensor, dim: int | None) -> Tensor:
    """Return `w` with the weights of each group along the last dimension."""
    if not isinstance(w, Tensor) or not w.is_floating_point():
        given = w.dtype if isinstance(w, Tensor) else type(w).__name__
        raise DtypeError(
            f"weights must be a real floating-point tensor; given {given}; convert with w.float()"
        )
    if dim is None:
        return w.reshape(-1)
    if not -w.dim() <= dim < w.dim():
        raise RangeError(
            f"dim must lie in [{-w.dim()}, {w.dim()}) for shape {tuple(w.shape)}; given {dim}"
        )
    return w.movedim(dim, -1)


def _centered_ranks(x: Tensor) -> Tensor:
    """Return 2 · rank − d + 1 for sorted rows `x`, float64, ties sharing their mean rank."""
    d = x.shape[-1]
    rank = torch.arange(d, device=x.device).expand(x.shape)
    edge = torch.ones_like(x[..., :1], dtype=torch.bool)
    inner = x[..., 1:] != x[..., :-1]
    is_first, is_last = torch.cat([edge, inner], -1), torch.cat([inner, edge], -1)
    first = torch.where(is_first, rank, 0).cummax(-1).values
    last = torch.where(is_last, rank, d).flip(-1).cummin(-1).values.flip(-1)
    return (first + last - (d - 1)).to(torch.float64)


def pairwise_penalty(w: Tensor, *, dim: int | None = None, normalize: bool = True) -> Tensor:
    """Return the sum of all pairwise distances of the weights, divided by d − 1.

    R(w) = 1/(d−1) · Σ_{i>j} |w_i − w_j| = 1/(d−1) · Σ_r (2r − d + 1) x_r with x = sort(w); summed
    in float64 about the mean. The gradient of w_i is (2 rank_i − d + 1)/(d−1), ties having their
    mean rank: the subgradient of least norm, minus the velocity of the cluster. NaN gives NaN.

    Args:
        w: (any shape) float: the weights.
        dim: the dimension of length d along which each group lies; None: the whole tensor is one
            group.
        normalize: False leaves out the factor 1/(d−1).

    Returns:
        () float, or the shape of `w` without `dim`; of the dtype of `w`; 0 for d ≤ 1.

    Raises:
        DtypeError: if `w` is not a real floating-point tensor.
        RangeError: if `dim` is out of range.

    Complexity: O(d log d) time, O(d) memory.

    Example:
        >>> pairwise_penalty(torch.tensor([0.0, 1.0, 10.0, 11.0]))
        tensor(14.)
    """
    rows = _as_rows(w, dim)
    d = rows.shape[-1]
    if d <= 1:
        return rows.sum(-1) * 0
    with torch.no_grad():
        x, order = rows.sort(-1)
        coefficient = _centered_ranks(x)
        if normalize:
            coefficient = coefficient / (d - 1)
    ranked = rows.gather(-1, order).to(torch.float64)
    # The coefficients sum to 0, so the mean changes nothing but the rounding errors.
    center = ranked.detach().mean(-1, keepdim=True)
    return (coefficient * (ranked - center)).sum(-1).to(w.dtype)
