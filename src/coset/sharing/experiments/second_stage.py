"""The second stage of a tied fit: group the weights by k-means, then refit the values alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from coset.sharing.clustering import optimal_intervals

__all__ = ["group_weights", "refit_values"]


def group_weights(weights: Tensor, num_groups: int) -> Tensor:
    """Return the best grouping of weights into a few by value: 1-D k-means, exact.

    Args:
        weights: (q, p) float64, finite.
        num_groups: k ≥ 1; with fewer distinct weights each of those is a group.

    Returns:
        (q, p) int64: groups 0 … k − 1, numbered by value.

    Complexity: O(d log d) for d weights.
    """
    values, place, counts = np.unique(weights.numpy(), return_inverse=True, return_counts=True)
    k = min(num_groups, len(values))
    bounds = optimal_intervals(values, counts.astype(np.int64), k)
    group = np.repeat(np.arange(k), np.diff(bounds))
    return torch.from_numpy(group[place.reshape(-1)]).reshape(weights.shape)


def refit_values(groups: Tensor, gram: Tensor, cross: Tensor) -> Tensor:
    """Return the least-squares map whose weights are equal within each group.

    min_v ‖Y − X Wᵀ‖² with W_ij = v[group_ij]; solved by the normal equations of the k values, of
    least norm where they are not unique.

    Args:
        groups: (q, p) int64, numbers 0 … k − 1.
        gram: (p, p) float64: XᵀX.
        cross: (q, p) float64: YᵀX.

    Returns:
        (q, p) float64.
    """
    k = int(groups.max()) + 1
    member = torch.nn.functional.one_hot(groups, k).to(torch.float64)
    seen = torch.einsum("pr,qrk->qpk", gram, member)
    normal = torch.einsum("qpk,qpl->kl", member, seen)
    right = torch.einsum("qpk,qp->k", member, cross)
    values: Tensor = torch.linalg.lstsq(normal, right[:, None], driver="gelsd").solution[:, 0]
    return values[groups]
