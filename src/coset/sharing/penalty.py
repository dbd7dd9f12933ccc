"""The pairwise-difference penalty R(w) = 1/(d−1) · Σ_{i>j} |w_i − w_j| in O(d log d)."""

from __future__ import annotations

import numbers
import operator
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, UnsupportedError
from coset.sharing.magnitude import DOWN, HUGE

__all__ = ["check_dim", "check_weights", "pairwise_penalty", "read_number"]

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_weights(w: object, name: str = "weights") -> None:
    """Refuse what is not a dense real floating-point tensor.

    Args:
        w: what was given.
        name: what to call it.

    Raises:
        DtypeError: if it is no tensor, or not float16, bfloat16, float32 or float64.
        UnsupportedError: if it is sparse or nested.
    """
    must = f"{name} must be a real floating-point tensor"
    if not isinstance(w, Tensor):
        raise DtypeError(
            f"{must}; given {type(w).__name__}; "
            f"make one with torch.tensor(values, dtype=torch.float32)"
        )
    if w.is_complex():
        raise DtypeError(f"{must}; given {w.dtype}; pass w.real and w.imag, each by itself")
    if w.dtype not in _DTYPES:
        raise DtypeError(f"{must} of at least 16 bits; given {w.dtype}; convert with w.float()")
    if w.layout is not torch.strided or w.is_nested:
        raise UnsupportedError(
            f"{name} must be dense; given layout {w.layout}; convert with w.to_dense(), or pass "
            f"the stored values alone"
        )


def check_dim(w: Tensor, dim: Any) -> None:
    """Refuse what is neither None nor a dimension of `w`.

    Args:
        w: the weights.
        dim: as given.

    Raises:
        DtypeError: if `dim` is not an integer.
        RangeError: if it is out of range.
    """
    if dim is None:
        return
    try:
        place = operator.index(dim)
    except TypeError as error:
        raise DtypeError(f"dim must be an integer or None; given {dim!r}") from error
    if not -w.dim() <= place < w.dim():
        raise RangeError(
            f"dim must lie in [{-w.dim()}, {w.dim()}) for shape {tuple(w.shape)}; given {dim}"
        )


def read_number(value: Any, name: str) -> float:
    """Return a real number, or the one number of a 0-d array or tensor, as a float.

    Args:
        value: as given.
        name: what to call it.

    Returns:
        The float; NaN and infinity as they are.

    Raises:
        DtypeError: if it is not one real number.
        DomainError: if it is too large for a float64.
    """
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        number: Any = value
    elif getattr(value, "shape", None) == () and hasattr(value, "item"):
        number = value.item()
    else:
        number = value
    if isinstance(number, bool) or not isinstance(number, (float, int, numbers.Real)):
        kind = type(value).__name__
        raise DtypeError(f"{name} must be a real number; given {value!r} of type {kind}")
    try:
        return float(number)
    except OverflowError as error:
        raise DomainError(
            f"{name} must fit a float64; the number given is larger than 1.8e308; "
            f"give math.inf if no bound is meant"
        ) from error


def _as_rows(w: Tensor, dim: int | None) -> Tensor:
    """Return `w` with the weights of each group along the last dimension."""
    check_weights(w)
    check_dim(w, dim)
    return w.reshape(-1) if dim is None else w.movedim(dim, -1)


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
    mean rank: the subgradient of least norm, minus the velocity of the cluster. NaN and infinity
    give NaN.

    Nothing overflows on the way, but the result may: it is up to d²/(4(d−1)) times max w − min w
    (without `normalize` d²/4 times), and inf where it exceeds the dtype's largest number (6.6e4 in
    float16, 3.4e38 in float32); for its value there, pass w.double().

    Args:
        w: (any shape) float: the weights.
        dim: the dimension of length d along which each group lies; None: the whole tensor is one
            group.
        normalize: False leaves out the factor 1/(d−1).

    Returns:
        () float, or the shape of `w` without `dim`; of the dtype of `w`; 0 for d ≤ 1.

    Raises:
        DtypeError: if `w` is not a real floating-point tensor, or `dim` not an integer.
        RangeError: if `dim` is out of range.
        UnsupportedError: if `w` is sparse.

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
    huge = x.abs().amax(-1, keepdim=True) >= HUGE
    scale = torch.ones_like(huge, dtype=torch.float64).masked_fill(huge, DOWN)
    ranked = ranked * scale
    # The coefficients sum to 0, so the mean changes nothing but the rounding errors.
    center = ranked.detach().mean(-1, keepdim=True)
    return ((coefficient * (ranked - center)).sum(-1) / scale.squeeze(-1)).to(w.dtype)
