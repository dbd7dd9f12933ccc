"""Cluster stress: whether tied weights that a step pulls apart are tied again by the prox."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.sharing.penalty import check_dim, check_weights, read_number

__all__ = ["ClusterStress", "cluster_stress"]

# Steps from 2^1000 on are scaled by 2^-600 first, so that their differences are finite.
_HUGE, _DOWN = 2.0**1000, 2.0**-600


@dataclass(frozen=True)
class ClusterStress:
    """How near each cluster of tied weights is to being torn by a step.

    With `dim` given, the clusters of all groups are listed group after group, and those of one
    group are `stress.stress.split(stress.counts.tolist())[group]`.

    Attributes:
        num_clusters: number of clusters, of all groups together; single weights count.
        counts: (groups,) int64: number of clusters of each group.
        values: (num_clusters,) of the dtype of the weights: the value of each cluster, increasing
            within a group.
        masses: (num_clusters,) int64: number of weights of each cluster.
        stress: (num_clusters,) float64, ≥ 0: at most 1 iff the cluster re-forms; 0 for a single
            weight and for a step that moves the whole cluster alike.
        holds: (num_clusters,) bool: whether the stress is at most 1.
        index: int32, of the shape of the weights: each weight's cluster, counted in its group.
    """

    num_clusters: int
    counts: Tensor
    values: Tensor
    masses: Tensor
    stress: Tensor
    holds: Tensor
    index: Tensor


def _check_step(w: Tensor, delta: Tensor) -> None:
    check_weights(w)
    check_weights(delta, "delta")
    if delta.shape != w.shape:
        raise ShapeError(
            f"delta must have the shape of the weights, {tuple(w.shape)}; given "
            f"{tuple(delta.shape)}; pass the step of this very tensor, such as -lr * w.grad"
        )
    if delta.device != w.device:
        raise ShapeError(
            f"delta must be on the device of the weights, {w.device}; given {delta.device}; "
            f"move it there with delta.to(w.device)"
        )
    for name, value in (("weights", w), ("delta", delta)):
        if not bool(torch.isfinite(value).all()):
            place = tuple((~torch.isfinite(value)).nonzero()[0].tolist())
            raise DomainError(
                f"{name} must be finite; given {float(value[place])} at index {place}; find where "
                f"training diverged first"
            )


def _strengths(strength: float | Tensor, batch: torch.Size, num_rows: int) -> Tensor:
    """Return one float64 strength for each group."""
    if isinstance(strength, Tensor) and strength.dim() > 0:
        if strength.is_complex() or strength.dtype == torch.bool:
            raise DtypeError(f"strength must be real; given {strength.dtype}")
        if strength.shape != batch:
            raise ShapeError(
                f"strength must be one number, or one for each group in shape {tuple(batch)}; "
                f"given shape {tuple(strength.shape)}"
            )
        found = strength.detach().to("cpu", torch.float64).reshape(num_rows)
    else:
        found = torch.full((num_rows,), read_number(strength, "strength"), dtype=torch.float64)
    # The minimum is NaN if any value is, and NaN is not ≥ 0.
    smallest = float(found.min()) if found.numel() else 0.0
    if not smallest >= 0:
        raise DomainError(f"strength must be a number ≥ 0; given {smallest}")
    return found


def _sorted_clusters(w: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Order rows by weight, then by falling delta; return the order and the cluster numbers."""
    order = delta.argsort(dim=1, descending=True)
    order = order.gather(1, w.gather(1, order).argsort(dim=1, stable=True))
    x = w.gather(1, order)
    labels = torch.zeros(x.shape, dtype=torch.int64, device=x.device)
    if x.shape[1] > 1:
        labels[:, 1:] = (x[:, 1:] != x[:, :-1]).cumsum(1)
    return order, labels


def _tension(delta: Tensor, cluster: Tensor, masses: Tensor) -> Tensor:
    """Return for each cluster the largest (sum of the k largest centered steps) / (k(m − k)).

    Args:
        delta: (n,) float64: the steps, cluster after cluster, falling within each.
        cluster: (n,) int64: the number of each step's cluster, in order.
        masses: (c,) int64.
    """
    start = masses.cumsum(0) - masses
    k = torch.arange(1, delta.numel() + 1, device=delta.device) - start[cluster]
    # About the first and in units of the largest difference, so that neither a common motion nor a
    # neighbor of another magnitude costs digits of the prefix sums, which run through all clusters.
    gap = delta[start][cluster] - delta
    unit = torch.zeros_like(masses, dtype=torch.float64).scatter_reduce(0, cluster, gap, "amax")
    gap = gap / torch.where(unit > 0, unit, 1.0)[cluster]
    mean = torch.zeros_like(unit).scatter_add(0, cluster, gap) / masses
    lead = (mean[cluster] - gap).cumsum(0)
    before = torch.cat([lead.new_zeros(1), lead])[start]
    rest = masses[cluster] - k
    ratio = torch.where(rest > 0, (lead - before[cluster]) / (k * rest).clamp(min=1), 0.0)
    worst = torch.zeros_like(unit).scatter_reduce(0, cluster, ratio, "amax")
    return worst * unit


def cluster_stress(
    w: Tensor, delta: Tensor, strength: float | Tensor, *, dim: int | None = None
) -> ClusterStress:
    """Tell which clusters of equal weights survive a step that moves their weights apart.

    A cluster of mass m that is perturbed by δ is made one again by the prox of strength g iff, with
    δ centered and sorted downwards, δ_1 + … + δ_k ≤ g k(m−k)/(d−1) for every k. The stress is the
    largest left side divided by the right one: at most 1 iff the cluster re-forms, 2 if it needs
    twice the strength. Other clusters are taken to be far away: where perturbed neighbors
    interleave, a cluster may take in strange weights, and its own may part.

    As a diagnostic of training with learning rate η and λ, pass w, −η·grad and η λ; η cancels, so
    −grad and λ give the same. A stress far above 1 says that gradient noise tears the ties apart
    at each step, whatever the learning rate.

    Args:
        w: (any shape) float: the weights before the step, with exact ties, as the prox leaves them.
        delta: of the shape of `w`, float: what the step adds to them.
        strength: g ≥ 0 of the prox after the step: a number, a 0-d array or tensor, or with `dim` a
            tensor with one number for each group. At 0 any difference of steps is infinite stress.
        dim: the dimension along which each group lies; None: the whole tensor is one group.

    Returns:
        The clusters with masses and stresses, computed in float64; not differentiable.

    Raises:
        DtypeError: if `w` or `delta` is not a real floating-point tensor, the strength not real, or
            `dim` not an integer.
        DomainError: if the strength is negative or NaN, or `w` or `delta` is not finite.
        ShapeError: if `delta` has not the shape and device of `w`, or strengths not that of the
            groups.
        RangeError: if `dim` is out of range.
        UnsupportedError: if `w` or `delta` is sparse.

    Complexity: O(d log d) time, O(d) memory.

    Claims: sharing.C10.

    Example:
        >>> from coset.sharing import prox_sharing
        >>> w = torch.tensor([0.0, 0.0, 0.0, 5.0])
        >>> step = torch.tensor([0.2, -0.1, -0.1, 0.3])
        >>> found = cluster_stress(w, step, strength=0.4)
        >>> found.stress, found.holds
        (tensor([0.7500, 0.0000], dtype=torch.float64), tensor([True, True]))
        >>> prox_sharing(w + step, 0.4).unique().numel()
        2
    """
    _check_step(w, delta)
    check_dim(w, dim)
    grouped = w.detach().reshape(-1) if dim is None else w.detach().movedim(dim, -1)
    batch, d = grouped.shape[:-1], grouped.shape[-1]
    num_rows = math.prod(batch)
    g = _strengths(strength, batch, num_rows).to(w.device)
    rows = grouped.reshape(num_rows, d)
    steps = delta.detach().reshape(-1) if dim is None else delta.detach().movedim(dim, -1)
    steps = steps.reshape(num_rows, d).to(torch.float64)
    down = _DOWN if steps.numel() and float(steps.abs().max()) >= _HUGE else 1.0

    order, labels = _sorted_clusters(rows, steps)
    counts = labels[:, -1] + 1 if d else torch.zeros(num_rows, dtype=torch.int64, device=w.device)
    cluster = (labels + (counts.cumsum(0) - counts)[:, None]).reshape(-1)
    masses = torch.bincount(cluster, minlength=int(counts.sum()))
    tension = _tension(steps.gather(1, order).reshape(-1) * down, cluster, masses)
    # A tension of 0 stays 0 at strength 0 and at strength infinity, where the quotient is 0/0.
    pull = (g / max(1, d - 1)).repeat_interleave(counts)
    stress = torch.where(tension > 0, tension / pull / down, 0.0)
    index = torch.empty_like(labels).scatter_(1, order, labels).to(torch.int32)
    index = index.reshape(grouped.shape)
    values = rows.gather(1, order).reshape(-1)[masses.cumsum(0) - masses]
    return ClusterStress(
        num_clusters=int(counts.sum()),
        counts=counts,
        values=values,
        masses=masses,
        stress=stress,
        holds=stress <= 1,
        index=index.reshape(w.shape) if dim is None else index.movedim(-1, dim),
    )
