"""What the weights of trained layers look like, and how far they can be tied afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from coset.sharing.penalty import pairwise_penalty
from coset.sharing.prox import prox_sharing

__all__ = ["cut_path", "weight_statistics"]

# Strengths of the cuts, in standard deviations of a layer's weights; collapse is near 1.25 for
# normal weights and near 1.7 for uniform ones.
_CUTS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 2.0)

# The authors' threshold for a weight that counts as zero.
_ZERO = 1e-8


@torch.no_grad()
def weight_statistics(weights: Sequence[Tensor]) -> dict[str, float | int]:
    """Count and measure the weights of some layers.

    Args:
        weights: one tensor a layer.

    Returns:
        num_weights; num_distinct (exactly equal values counted once, layer by layer); penalty (sum
        of R over layers); largest_cluster_fraction (most frequent value of a layer ÷ num_weights);
        sparsity (share with |w| ≤ 1e-8).
    """
    total = sum(w.numel() for w in weights)
    counts = [torch.unique(w.detach().cpu(), return_counts=True)[1] for w in weights]
    zeros = sum(int((w.abs() <= _ZERO).sum()) for w in weights)
    return {
        "num_weights": total,
        "num_distinct": sum(c.numel() for c in counts),
        "penalty": sum(float(pairwise_penalty(w.detach().cpu().double())) for w in weights),
        "largest_cluster_fraction": max(int(c.max()) for c in counts) / total,
        "sparsity": zeros / total,
    }


@torch.no_grad()
def cut_path(
    weights: Sequence[Tensor], evaluate: Callable[[], tuple[float, float]]
) -> list[tuple[float, float, float, float]]:
    """Tie the weights by ever larger strengths and evaluate; the weights are given back.

    A cut of strength g finds the clusters of prox_{gR} and replaces each by its mean (rewind 1).

    Args:
        weights: one tensor a layer, in place while this runs.
        evaluate: returns two accuracies.

    Returns:
        One (strength in standard deviations, number of clusters, accuracy, accuracy) a cut; the
        first is the uncut network, with its exactly equal values counted once.
    """
    originals = [w.detach().clone() for w in weights]
    points = []
    try:
        for cut in _CUTS:
            num_clusters = 0
            for w, original in zip(weights, originals, strict=True):
                wide = original.cpu().double()
                # The smallest strength ties what is equal and nothing else.
                strength = max(cut * float(wide.std()), 1e-300)
                values, info = prox_sharing(wide, strength, rewind=1.0, return_info=True)
                w.copy_(values)
                num_clusters += info.num_clusters
            points.append((cut, float(num_clusters), *evaluate()))
    finally:
        for w, original in zip(weights, originals, strict=True):
            w.copy_(original)
    return points
