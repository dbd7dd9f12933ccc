"""Benchmark of the whole path against the textbook heap in Python and the sorts it begins with."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

import numpy as np

from coset.bench import Case, Contestant, Limit, benchmark
from coset.core.numerics import tolerance
from coset.sharing.benchmarks.prox import (
    ProxInputs,
    ProxVariant,
    prepare_weights,
    verify_order,
    verify_sorted,
)

__all__ = ["path_case"]

VARIANTS = {
    "normal-float32": ProxVariant("normal", "float32"),
    "half-zero-float32": ProxVariant("half-zero", "float32"),
    "plow-float64": ProxVariant("plow", "float64"),
}


def _ours(inputs: ProxInputs) -> np.ndarray:
    from coset.sharing.path import sharing_path

    return sharing_path(inputs.weights).merges.numpy()


def _reference(inputs: ProxInputs) -> np.ndarray:
    """Look at all neighboring blocks before each merge, O(d²)."""
    x = np.sort(inputs.array.astype(np.float64))
    d = len(x)
    blocks = [(r, r + 1, x[r]) for r in range(d)]
    merges, now = [], 0.0
    while len(blocks) > 1:
        parts = itertools.pairwise(blocks)
        times = [(d - 1) * (right[2] - left[2]) / (right[1] - left[0]) for left, right in parts]
        i = int(np.argmin(times))
        (a, k, left), (_, b, right) = blocks[i : i + 2]
        now = max(now, times[i])
        blocks[i : i + 2] = [(a, b, left + (right - left) * (b - k) / (b - a))]
        merges.append((now, a, k, b))
    return np.array(merges).reshape(-1, 4)


def _heap(inputs: ProxInputs) -> np.ndarray:
    """Keep the meetings of neighbors on a heap: what one writes with Python's heapq."""
    mean = np.sort(inputs.array.astype(np.float64)).tolist()
    d = len(mean)
    end, left = list(range(1, d + 1)), list(range(-1, d - 1))
    heap = [((d - 1) * (mean[a + 1] - mean[a]) / 2, a, a + 1, a + 2) for a in range(d - 1)]
    heapq.heapify(heap)
    merges, now = [], 0.0
    while heap:
        time, a, k, b = heapq.heappop(heap)
        if end[a] != k or end[k] != b or left[k] != a:
            continue  # one of the two has merged since
        now = max(now, time)
        merges.append((now, a, k, b))
        mean[a] += (mean[k] - mean[a]) * (b - k) / (b - a)
        end[a], end[k] = b, -1
        if b < d:
            left[b] = a
        for f, g in ((left[a], a), (a, b)):
            if f >= 0 and g < d:
                gap = (d - 1) * (mean[g] - mean[f])
                heapq.heappush(heap, (gap / (end[g] - f), f, g, end[g]))
    return np.array(merges).reshape(-1, 4)


def _nearest_later(rows: list[int]) -> list[int]:
    """Return for each boundary 1 … d − 1 the nearest one before it that is merged later, or 0."""
    found, stack = [], [(len(rows), 0)]
    for boundary, row in enumerate(rows, start=1):
        while stack[-1][0] < row:
            stack.pop()
        found.append(stack[-1][1])
        stack.append((row, boundary))
    return found


def _compare(inputs: ProxInputs, output: Any, expected: Any) -> str | None:
    """Compare the strength at which each boundary vanishes, and check what is merged there.

    Strengths that differ by rounding alone may come in any order.
    """
    d = len(inputs.array)
    if np.shape(output) != (max(0, d - 1), 4):
        return f"shape {np.shape(output)} instead of {(max(0, d - 1), 4)}"
    if d < 2:
        return None
    order, wanted_order = np.argsort(output[:, 2]), np.argsort(expected[:, 2])
    if not np.array_equal(output[order, 2], np.arange(1, d)):
        return "not every boundary is merged once"
    if not np.all(np.diff(output[:, 0]) >= 0):
        return "strengths decrease"
    rows = order.tolist()
    later = [d - boundary for boundary in _nearest_later(rows[::-1])][::-1]
    if not np.array_equal(output[order, 1], _nearest_later(rows)):
        return "a merged cluster does not start where the one before it ends"
    if not np.array_equal(output[order, 3], later):
        return "a merged cluster does not stop where the next one starts"
    spread = float(np.ptp(inputs.array.astype(np.float64)))
    allowed = tolerance("float64", d, "sum", scale=spread)
    error = np.abs(output[order, 0] - expected[wanted_order, 0])
    if not error.max() <= allowed:  # a NaN is refused too
        worst = int(np.argmax(np.nan_to_num(error, nan=np.inf)))
        return f"boundary {worst + 1} is merged {error[worst]:.3g} off, allowed {allowed:.3g}"
    return None


@benchmark(
    "sharing.path",
    title="whole path of the sharing prox: all merges of d weights",
    sizes=(10**4, 10**5, 10**6),
    variants=VARIANTS,
)
def path_case() -> Case:
    """Build the case: `sharing_path` against a heap in Python, sorts, and a copy.

    Returns:
        The case.
    """
    return Case(
        prepare=prepare_weights,
        reference=_reference,
        compare=_compare,
        ours={"sharing_path": Contestant(_ours)},
        peers={
            "heapq in Python": Contestant(_heap),
            "numpy stable argsort": Contestant(
                lambda inputs: np.argsort(inputs.array, kind="stable"),
                partial="sort with indices only",
                verify=verify_order,
            ),
            "numpy sort": Contestant(
                lambda inputs: np.sort(inputs.array),
                partial="values only",
                verify=verify_sorted,
            ),
        },
        limits={
            "copy": Limit(
                "copy",
                lambda inputs: inputs.array.nbytes + 32 * max(0, len(inputs.array) - 1),
                "weights read once and merges written once, d · itemsize + 32 (d − 1) bytes ÷ copy "
                "bandwidth measured at the same footprint; leaves out sorting the weights and "
                "finding the order of the merges, which are nearly all of the work: the sort with "
                "indices is the practical yardstick",
            )
        },
        tests=("tests/sharing/test_path.py",),
    )
