"""The exact proximal map of the pairwise-difference penalty, for tensors of any shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, overload

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError, UnsupportedError
from coset.sharing.autograd import ARITHMETICS, METHODS, call_prox
from coset.sharing.penalty import check_dim, check_weights, read_number

__all__ = ["ClusterInfo", "prox_sharing"]


@dataclass(frozen=True)
class ClusterInfo:
    """Which weights the prox tied together: the blocks themselves, not the distinct values.

    With `dim` given, the clusters of all groups are listed group after group, and those of one
    group are `starts.split(info.counts.tolist())[group]`.

    Attributes:
        num_clusters: number of clusters, of all groups together.
        counts: (groups,) int64: number of clusters of each group.
        starts: (num_clusters,) int64: first rank of each cluster in its sorted group.
        masses: (num_clusters,) int64: number of weights of each cluster.
        values: (num_clusters,) of the dtype of the weights: value of each cluster after the prox.
        index: int32, of the shape of the weights: each weight's cluster, counted in its group.
        rounds: passes over a group, the most of any: 1 for "pava", "bucket" and "reference"; for
            "imminent" rounds that merged something, for "end" steps, for "search" levels that
            merged something, for "bridge" levels of merges.
        depth: longest chain of dependent operations for one group. Sequential methods and "bridge"
            count merge tests (comparisons of two means); "imminent", "end" and "search" count
            ⌈log2 n⌉ + 1 for each scan, sum or minimum over n places.
        work: operations of all groups together: merge tests, or places that were looked at.
    """

    num_clusters: int
    counts: Tensor
    starts: Tensor
    masses: Tensor
    values: Tensor
    index: Tensor
    rounds: int
    depth: int
    work: int


def _check_weights(w: Tensor, method: str, arithmetic: str) -> None:
    check_weights(w)
    if type(w).__name__ == "DTensor":
        raise UnsupportedError(
            "the prox needs a whole group on one device; given a sharded tensor; gather it with "
            "w.full_tensor(), or make each shard a group of its own"
        )
    if w.device.type != "cpu":
        raise UnsupportedError(
            f"the prox runs on the CPU in this version; given a tensor on {w.device}; use w.cpu()"
        )
    if method not in METHODS:
        raise UnsupportedError(f"method must be one of {', '.join(METHODS)}; given {method!r}")
    if arithmetic not in ARITHMETICS:
        raise UnsupportedError(
            f"arithmetic must be one of {', '.join(ARITHMETICS)}; given {arithmetic!r}"
        )


def _per_row(value: float | Tensor, name: str, batch: torch.Size, num_rows: int) -> Tensor:
    """Return a strength or l1 as one float64 number for each row."""
    if not isinstance(value, Tensor):
        number = read_number(value, name)
        if math.isnan(number) or number < 0:
            raise DomainError(f"{name} must be a number ≥ 0; given {number}")
        return torch.full((num_rows,), number, dtype=torch.float64)
    if value.is_complex() or value.dtype == torch.bool:
        raise DtypeError(f"{name} must be real; given {value.dtype}")
    wide = value.to("cpu", torch.float64)
    if wide.dim() > 0 and wide.shape != batch:
        raise ShapeError(
            f"{name} must be one number, or one for each group in shape {tuple(batch)}; given "
            f"shape {tuple(value.shape)}"
        )
    return wide.expand(batch).reshape(num_rows)


def _cluster_info(out: Tensor, index: Tensor, tallies: Tensor) -> ClusterInfo:
    """Return the clusters of (rows, d) outputs, with `index` still in rows."""
    rows, d = index.shape
    counts = index.amax(1).to(torch.int64) + 1 if d else torch.zeros(rows, dtype=torch.int64)
    offsets = counts.cumsum(0) - counts
    flat = (index + offsets[:, None]).reshape(-1)
    total = int(counts.sum())
    if tallies.dim() == 1:
        tallies = torch.stack([torch.ones_like(tallies), tallies, tallies], 1)
    rounds, depth, _ = tallies.amax(0).tolist() if rows else (1, 0, 0)
    masses = torch.bincount(flat, minlength=total)
    group = torch.arange(rows).repeat_interleave(counts)
    return ClusterInfo(
        num_clusters=total,
        counts=counts,
        starts=masses.cumsum(0) - masses - group * d,
        masses=masses,
        values=torch.empty(total, dtype=out.dtype).scatter_(0, flat, out.detach().reshape(-1)),
        index=index,
        rounds=rounds,
        depth=depth,
        work=int(tallies[:, 2].sum()),
    )


@overload
def prox_sharing(
    w: Tensor,
    strength: float | Tensor,
    *,
    l1: float | Tensor = ...,
    rewind: float = ...,
    dim: int | None = ...,
    method: str = ...,
    arithmetic: str = ...,
    check_finite: bool = ...,
    return_info: Literal[False] = ...,
) -> Tensor: ...


@overload
def prox_sharing(
    w: Tensor,
    strength: float | Tensor,
    *,
    l1: float | Tensor = ...,
    rewind: float = ...,
    dim: int | None = ...,
    method: str = ...,
    arithmetic: str = ...,
    check_finite: bool = ...,
    return_info: Literal[True],
) -> tuple[Tensor, ClusterInfo]: ...


def prox_sharing(
    w: Tensor,
    strength: float | Tensor,
    *,
    l1: float | Tensor = 0.0,
    rewind: float = 0.0,
    dim: int | None = None,
    method: str = "auto",
    arithmetic: str = "float64",
    check_finite: bool = True,
    return_info: bool = False,
) -> Any:
    """Pull the weights of each group together and tie those that meet, exactly.

    prox_{gR}(w) = argmin_u ½‖u − w‖² + g R(u), R(u) = 1/(d−1) · Σ_{i>j} |u_i − u_j|. In sorted
    order blocks A, B become one iff mean(B) − mean(A) ≤ g (m_A + m_B)/(d−1); a block of ranks
    [a, b) then goes to its mean plus g (d − a − b)/(d−1). Decided and averaged in float64 whatever
    the dtype (float16 and bfloat16 are read as float32). Tied weights are equal to the last bit.

    Args:
        w: (any shape) float: the weights, not changed.
        strength: g ≥ 0: a number, a 0-d array or tensor, or with `dim` a tensor with one number for
            each group (shape of `w` without `dim`). 0 copies w bit for bit, every weight its own
            cluster; inf gives the mean.
        l1: l ≥ 0, like `strength`: adds l ‖u‖₁, that is a soft threshold after the sharing.
        rewind: ρ in [0, 1]: tie by the full strength, but move by (1 − ρ) of the way only; 1
            replaces each cluster by its mean. Not a proximal map unless 0.
        dim: the dimension along which each group lies; None: the whole tensor is one group.
        method: "bucket" (bucket sort), "pava" (torch's sort), "reference" (literal), "imminent",
            "end", "search" (the paper's parallel algorithms), "bridge" (chunks joined by common
            tangents, in threads for large groups), or "auto": the backend of `coset.backends()`,
            which is "bucket".
        arithmetic: "float64", or "fixed": decide and sum in exact integers, which gives the same
            bits for every method, order of the weights and number of threads. Weights are rounded
            to a grid of (range + 2 g) · d · 2^-61 or finer; those that meet on it are tied.
        check_finite: False skips the test for NaN and infinity, which leave a group undefined.
        return_info: whether to return the clusters too.

    Returns:
        The new weights, of the shape and dtype of `w`; with `return_info` also `ClusterInfo`.
        Differentiable in `w`, `strength` and `l1`: backward, twice, and forward.

    Raises:
        DtypeError: if `w` is not a real floating-point tensor of 16 bits or more, strength, l1 or
            rewind not a real number, or `dim` not an integer.
        DomainError: if strength or l1 is negative or NaN, rewind outside [0, 1], or w not finite.
        ShapeError: if a strength or l1 per group has not the shape of the groups.
        RangeError: if `dim` is out of range.
        UnsupportedError: for an unknown method or arithmetic, a tensor that is sharded, sparse or
            not on the CPU, or groups of over 2^26 weights by "end" or "search" in fixed point.

    Complexity: O(d) for sorting and pooling a group of floats; about 16 bytes a weight of memory
    in float32 and 22 in float64, the result included and without `return_info`.

    Claims: sharing.C1, sharing.C2, sharing.C3, sharing.C5, sharing.C7, sharing.C11, sharing.C12,
    sharing.C13, sharing.C14, sharing.C15.

    Example:
        >>> prox_sharing(torch.tensor([5.0, -1.0, 0.0, 0.0, 2.0]), 1.0)
        tensor([4.0000, 0.0000, 0.2500, 0.2500, 1.5000])
    """
    _check_weights(w, method, arithmetic)
    rho = read_number(rewind, "rewind")
    if not 0 <= rho <= 1:
        raise DomainError(f"rewind must lie in [0, 1]; given {rewind}")
    check_dim(w, dim)
    # Without `dim` nothing is moved, and one reshape each way is saved.
    grouped = w if dim is None else w.movedim(dim, -1)
    batch = torch.Size() if dim is None else grouped.shape[:-1]
    num_rows = math.prod(batch)
    rows = grouped.reshape(num_rows, w.numel() if dim is None else grouped.shape[-1])
    if w.dtype not in (torch.float32, torch.float64):
        rows = rows.to(torch.float32)
    g = _per_row(strength, "strength", batch, num_rows)
    threshold = _per_row(l1, "l1", batch, num_rows)
    has_l1 = isinstance(l1, Tensor) or bool(l1 != 0)
    options = (rho, has_l1, check_finite, method, arithmetic)
    out, index, tallies = call_prox(rows, g, threshold, *options, with_index=return_info)
    result = out.to(w.dtype).reshape(grouped.shape)
    result = result if dim is None else result.movedim(-1, dim)
    if not return_info:
        return result
    info = _cluster_info(out.to(w.dtype), index, tallies)
    shaped = index.reshape(grouped.shape)
    shaped = shaped if dim is None else shaped.movedim(-1, dim)
    return result, ClusterInfo(**{**info.__dict__, "index": shaped})
