"""What the weights of trained layers look like, and how far they can be tied afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.sharing.penalty import pairwise_penalty
from coset.sharing.prox import prox_sharing

__all__ = ["cut_path", "kmeans_path", "quantize_weights", "weight_statistics"]

Array = np.ndarray[Any, np.dtype[np.float64]]

# Strengths of the cuts, in standard deviations of a layer's weights; collapse is near 1.25 for
# normal weights and near 1.7 for uniform ones.
_CUTS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 2.0)

# Values a layer of the k-means path.
_NUM_VALUES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024)
_MAX_ROUNDS = 300

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


@torch.no_grad()
def kmeans_path(
    weights: Sequence[Tensor], evaluate: Callable[[], tuple[float, float]]
) -> list[tuple[float, float, float, float]]:
    """Replace the weights by ever more centers of k-means and evaluate; they are given back.

    Args:
        weights: one tensor a layer, in place while this runs.
        evaluate: returns two accuracies.

    Returns:
        One (values a layer, values in all layers, accuracy, accuracy) a number of values.
    """
    originals = [w.detach().clone() for w in weights]
    points = []
    try:
        for num_values in _NUM_VALUES:
            total = quantize_weights(weights, num_values)
            points.append((float(num_values), float(total), *evaluate()))
            for w, original in zip(weights, originals, strict=True):
                w.copy_(original)
    finally:
        for w, original in zip(weights, originals, strict=True):
            w.copy_(original)
    return points


@torch.no_grad()
def quantize_weights(weights: Sequence[Tensor], num_values: int) -> int:
    """Replace each layer's weights by the nearest of its own centers of k-means.

    Lloyd's algorithm on the sorted weights, once from quantiles and once from equally spaced
    values; the smaller squared error is taken. A local optimum; `coset.sharing.quantize_weights`
    finds the best.

    Args:
        weights: one tensor a layer; changed in place.
        num_values: centers a layer, ≥ 1.

    Returns:
        How many centers are used, over all layers.

    Complexity: O(d log d + rounds · k log d) a layer.
    """
    total = 0
    for w in weights:
        flat = w.detach().cpu().double().flatten().numpy()
        centers = _centers(np.sort(flat), num_values)
        nearest = np.searchsorted((centers[1:] + centers[:-1]) / 2, flat)
        w.copy_(torch.from_numpy(centers[nearest]).reshape(w.shape))
        total += len(np.unique(nearest))
    return total


def _centers(x: Array, num_values: int) -> Array:
    """Return the better of two local optima, ascending; `x` is sorted."""
    sums = np.concatenate([[0.0], np.cumsum(x)])
    squares = np.concatenate([[0.0], np.cumsum(x * x)])
    starts = (
        np.quantile(x, (np.arange(num_values) + 0.5) / num_values),
        np.linspace(x[0], x[-1], num_values + 2)[1:-1],
    )
    found = [_lloyd(x, sums, np.unique(start)) for start in starts]
    return min(found, key=lambda centers: _squared_error(x, sums, squares, centers))


def _lloyd(x: Array, sums: Array, centers: Array) -> Array:
    for _ in range(_MAX_ROUNDS):
        edges = _edges(x, centers)
        counts = np.diff(edges)
        used = counts > 0
        means = np.diff(sums[edges])[used] / counts[used]
        if np.array_equal(means, centers):
            break
        centers = means
    return centers


def _edges(x: Array, centers: Array) -> Array:
    inner = np.searchsorted(x, (centers[1:] + centers[:-1]) / 2)
    return np.concatenate([[0], inner, [len(x)]])


def _squared_error(x: Array, sums: Array, squares: Array, centers: Array) -> float:
    edges = _edges(x, centers)
    linear, square = np.diff(sums[edges]), np.diff(squares[edges])
    return float((square - 2 * centers * linear + np.diff(edges) * centers**2).sum())
