"""Classes of points that permutations connect: orbits, conjugacy classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coset.groups.elements import freeze

__all__ = ["common_labels", "parts_of"]


def common_labels(num_points: int, images: Sequence[np.ndarray]) -> np.ndarray:
    """Label points so that two have one label iff some product of the permutations joins them.

    Args:
        num_points: p.
        images: permutations (p,) of the points.

    Returns:
        (p,) int64; the label of a point is the least point of its class.

    Complexity: O(p r log p) for r permutations: labels spread along them and jump to the labels of
    labels, so the distance they cover doubles.
    """
    label = np.arange(num_points)
    while True:
        new = label.copy()
        for image in images:
            # Both ways: a point and its image take the smaller of their labels.
            new = np.minimum(new, new[image])
            new[image] = np.minimum(new[image], new)
        new = new[new]
        if (new == label).all():
            return label
        label = new


def parts_of(labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Split points by their labels.

    Args:
        labels: (p,) integers.

    Returns:
        Increasing arrays of points, read-only, in order of their labels.

    Example:
        >>> [part.tolist() for part in parts_of(np.array([0, 1, 0]))]
        [[0, 2], [1]]
    """
    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    return tuple(freeze(part) for part in np.split(order, cuts) if part.size)
