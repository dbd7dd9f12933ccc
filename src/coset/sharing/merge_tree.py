"""A path as rows: the tree of its last merges, and how many clusters each strength leaves."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from coset.sharing.path import SharingPath

__all__ = ["count_rows", "tree_rows"]

Row = dict[str, Any]


def tree_rows(path: SharingPath, num_leaves: int) -> list[Row]:
    """Return the last merges of a path as a tree whose leaves stand on the lines 0, 1, 2, ….

    Args:
        path: of at least one weight.
        num_leaves: how many leaves there may be, ≥ 1.

    Returns:
        Rows of kind "leaf" (line, value, mass, strength at which the tree begins) and "join"
        (line, strength and mass of the merged cluster and of each of the two: a cluster's line is
        the mean of its weights' lines).
    """
    begin = path.strength_for(num_unique=num_leaves)
    index, values = path.cut(begin)
    masses = torch.bincount(index.reshape(-1)).tolist()
    rows: list[Row] = []
    # By first rank: the line, strength and mass of a cluster.
    open_ends: dict[int, tuple[float, float, int]] = {}
    starts = itertools.accumulate(masses, initial=0)
    for place, (start, mass, value) in enumerate(
        zip(starts, masses, values.tolist(), strict=False)
    ):
        line = float(place)
        rows.append({"kind": "leaf", "line": line, "value": value, "mass": mass, "strength": begin})
        open_ends[start] = (line, begin, mass)
    for strength, first, second, stop in path.merges[path.num_weights - len(masses) :].tolist():
        lower, upper = open_ends[int(first)], open_ends.pop(int(second))
        mass = int(stop - first)
        line = lower[0] + (upper[0] - lower[0]) * (upper[2] / mass)
        open_ends[int(first)] = (line, strength, mass)
        row: Row = {"kind": "join", "line": line, "strength": strength, "mass": mass}
        for name, (own_line, since, part) in (("lower", lower), ("upper", upper)):
            row |= {f"{name}_line": own_line, f"{name}_strength": since, f"{name}_mass": part}
        rows.append(row)
    return rows


def count_rows(
    path: SharingPath, squared_density: float, critical: float, *, num_strengths: int = 200
) -> list[Row]:
    """Return how many clusters each of many strengths leaves, beside the law of sharing.C16.

    Args:
        path: of at least two weights that are not all equal, of magnitudes below 1e300.
        squared_density: ∫p² of the weights' density.
        critical: the strength up to which the law is stated.
        num_strengths: at how many strengths, evenly from 0 to where all are equal, ≥ 2.

    Returns:
        Rows of kind "count" (strength, num_unique, distinct_fraction, predicted_fraction or None),
        one of kind "critical" and one of kind "merged" (strength).
    """
    end, d = path.all_merge_strength, path.num_weights
    steps = torch.arange(num_strengths, dtype=torch.float64)
    grid = end * steps / (num_strengths - 1)
    rows: list[Row] = []
    for strength, count in zip(grid.tolist(), path.num_unique(grid).tolist(), strict=True):
        law = 1 - 2 * strength * squared_density
        rows.append(
            {
                "kind": "count",
                "strength": strength,
                "num_unique": count,
                "distinct_fraction": count / d,
                "predicted_fraction": law if strength <= critical and law >= 0 else None,
            }
        )
    rows.append({"kind": "critical", "strength": critical})
    rows.append({"kind": "merged", "strength": end})
    return rows
