"""The polar of the sharing penalty with L1: which gradients the penalty can hold in balance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, ShapeError
from coset.sharing.penalty import check_weights, read_number

__all__ = ["read_ratio", "sharing_polar"]


def read_ratio(value: Any) -> float:
    """Return the share of L1 as a float.

    Args:
        value: as given.

    Returns:
        The number, in [0, 1].

    Raises:
        DtypeError: if it is not one real number.
        DomainError: if it lies outside [0, 1].
    """
    ratio = read_number(value, "l1_ratio")
    if not 0 <= ratio <= 1:
        raise DomainError(f"l1_ratio must lie in [0, 1]; given {ratio}")
    return ratio


def sharing_polar(z: Tensor, l1_ratio: float = 0.0) -> Tensor:
    """Return the polar of the penalty: the smallest s with ⟨z, w⟩ ≤ s Ω(w) for all w.

    Ω(w) = (1−ρ) R(w) + ρ ‖w‖₁ with R(w) = 1/(d−1) · Σ_{i>j} |w_i − w_j|. With Z_k the sum of the k
    largest entries of z, and of −z, it is the largest of Z_k / ((1−ρ) k (d−k)/(d−1) + ρ k), k = 1 …
    d. So z is a subgradient of s Ω at 0 iff the polar is ≤ s: for ρ = 0 that says that z lies in s
    times the permutahedron of (d−1, d−3, …, −(d−1))/(d−1).

    Args:
        z: (..., d) float: one group a row.
        l1_ratio: ρ in [0, 1]. For ρ = 0 the entries of z must sum to 0 (else the polar is
            infinite); that sum is not looked at, so that rounding errors of it do no harm.

    Returns:
        (...) float64, ≥ 0; 0 for d = 0, and for d = 1 with ρ = 0. NaN gives NaN; infinity, or a sum
        that overflows, gives infinity or NaN.

    Raises:
        DtypeError: if `z` is not a real floating-point tensor, or `l1_ratio` not a real number.
        ShapeError: if `z` has no dimension.
        DomainError: if `l1_ratio` lies outside [0, 1].

    Complexity: O(d log d) time, O(d) memory.

    Claims: sharing.C9.

    Example:
        >>> sharing_polar(torch.tensor([3.0, -1.0, -2.0]))
        tensor(3., dtype=torch.float64)
    """
    check_weights(z, "z")
    ratio = read_ratio(l1_ratio)
    if z.dim() == 0:
        raise ShapeError("z must have a dimension to sum over; given a 0-d tensor; use z[None]")
    z = z.to(torch.float64)
    d = z.shape[-1]
    k = torch.arange(1, d + 1, dtype=torch.float64, device=z.device)
    bound = (1 - ratio) * k * (d - k) / max(1, d - 1) + ratio * k
    if ratio == 0:
        bound = bound[:-1]
    if bound.numel() == 0:
        return z.new_zeros(z.shape[:-1])
    ordered = z.sort(dim=-1, descending=True).values
    top = ordered.cumsum(-1)[..., : bound.numel()]
    bottom = ordered.flip(-1).neg().cumsum(-1)[..., : bound.numel()]
    return (torch.maximum(top, bottom) / bound).amax(-1).clamp(min=0)
