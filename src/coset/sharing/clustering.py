"""Optimal k-means of numbers: the fewest-error way to replace many numbers by a few, exactly.

On a line the clusters are intervals and the least error falls convexly with their number, so that
a price λ for each cluster finds them: one pass over the sorted numbers for each λ tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_POINTS", "interval_means", "optimal_intervals"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Beyond so many distinct numbers neighbors are pooled first and the bounds settled afterwards.
MAX_POINTS = 2**21
_MAX_PASSES = 200
_MAX_SETTLING = 30
# Prices closer than this fraction give errors that float64 cannot tell apart.
_CLOSE = 1e-12
# Prices below this fraction of the whole error are of clusters that differ by rounding only.
_NOTHING = 1e-40


def optimal_intervals(x: Floats, mass: Integers, num_clusters: int) -> Integers:
    """Cut sorted numbers into intervals of least squared error about their means.

    min Σ_C Σ_{i∈C} m_i (x_i − mean_C)² over all ways to cut x into `num_clusters` intervals; the
    best clustering of numbers is always of that form. Up to `MAX_POINTS` numbers the answer is
    optimal but for rounding: of Σ m (x − median)² from the median to a cluster float64 keeps 16
    digits, and which of two cuts inside it is better is lost if they differ by less; an outlier
    spoils its own cluster at most. Beyond, x is first pooled into at most `MAX_POINTS` runs of
    neighbors, and the bounds are then moved by Lloyd's steps: for up to 4096 clusters of normal
    weights that costs less than 10⁻⁶ of the error.

    Args:
        x: (n,) float64, strictly increasing, finite.
        mass: (n,) int64 > 0: how often each number occurs.
        num_clusters: from 1 to n.

    Returns:
        (num_clusters + 1,) int64: the first number of each interval, and n.

    Complexity: O(n log n) a pass, usually 5 to 10 passes (0.1 s each for 10⁶ numbers); 64 bytes a
    number.

    Example:
        >>> x = np.array([0.0, 0.1, 5.0, 5.2, 9.0])
        >>> optimal_intervals(x, np.ones(5, dtype=np.int64), 3).tolist()
        [0, 2, 4, 5]
    """
    if num_clusters == x.size:
        return np.arange(x.size + 1)
    x = _centered(x, mass)
    if x.size <= MAX_POINTS or 4 * num_clusters >= MAX_POINTS:
        return _Search(x, mass).intervals(num_clusters)
    bounds = _runs(x)
    pooled = _Search(interval_means(x, mass, bounds), np.add.reduceat(mass, bounds[:-1]))
    return _settle(x, mass, bounds[pooled.intervals(num_clusters)])


def interval_means(x: Floats, mass: Integers, bounds: Integers) -> Floats:
    """Return the mean of each interval of sorted numbers, about its own first number.

    Args:
        x: (n,) float64, increasing.
        mass: (n,) int64 > 0.
        bounds: (k + 1,) int64, strictly increasing from 0 to n.

    Returns:
        (k,) float64, each within its interval.
    """
    first = x[bounds[:-1]]
    # Differences of numbers near ±1e308 leave float64; halves do not, and powers of 2 are exact.
    half = x / 2 - np.repeat(first / 2, np.diff(bounds))
    total = np.add.reduceat(mass, bounds[:-1])
    weight = mass / np.repeat(total, np.diff(bounds))
    means = first + 2 * np.add.reduceat(half * weight, bounds[:-1])
    inside: Floats = np.clip(means, first, x[bounds[1:] - 1])
    return inside


def _centered(x: Floats, mass: Integers) -> Floats:
    """Return x about its median, scaled by a power of two so that squares are finite."""
    rank = np.cumsum(mass)
    half = x / 2 - x[np.searchsorted(rank, rank[-1] / 2)] / 2
    scaled: Floats = np.ldexp(half, -int(np.frexp(np.abs(half).max())[1]))
    return scaled


def _runs(x: Floats) -> Integers:
    """Return the bounds of at most `MAX_POINTS` runs, shorter where the numbers are sparse.

    Many clusters are best spread as the density to the power 1/3, hence the power of the gaps; the
    ranks beside them make sure of enough runs, whatever the gaps.
    """
    place = np.cumsum(np.diff(x, prepend=x[0]) ** (2 / 3))
    place = place / place[-1] + np.arange(x.size) / x.size
    number = np.floor(place * (MAX_POINTS / 2))
    return np.concatenate([[0], 1 + np.flatnonzero(np.diff(number)), [x.size]])


def _outward(values: Floats, middle: int) -> Floats:
    """Return sums S with S[j] − S[i] = Σ values[i:j], accumulated from the middle outwards."""
    sums = np.zeros(values.size + 1)
    np.cumsum(values[middle:], out=sums[middle + 1 :])
    sums[:middle] = -np.cumsum(values[:middle][::-1])[::-1]
    return sums


@dataclass(frozen=True)
class _Cut:
    """A best cut for one price: its bounds."""

    price: float
    bounds: Integers

    @property
    def count(self) -> int:
        return self.bounds.size - 1


class _Search:
    """The search for the price of a cluster at which a given number of them is best."""

    def __init__(self, x: Floats, mass: Integers) -> None:
        middle = int(np.searchsorted(np.cumsum(mass), mass.sum() / 2))
        self.mass = np.concatenate([[0.0], np.cumsum(mass, dtype=np.float64)])
        self.first = _outward(mass * x, middle)
        self.second = _outward(mass * x * x, middle)
        self.best = np.empty(x.size + 1)
        self.origin, self.starts, self.begins = np.empty((3, x.size + 1), dtype=np.int64)

    def cut(self, price: float) -> _Cut:
        from coset.sharing.kernels.kmeans import cut_penalized

        sums = (self.mass, self.first, self.second)
        count = cut_penalized(*sums, price, self.best, self.origin, self.starts, self.begins)
        bounds = np.empty(count + 1, dtype=np.int64)
        bounds[count] = self.mass.size - 1
        for i in range(count, 0, -1):
            bounds[i - 1] = self.origin[bounds[i]]
        return _Cut(price, bounds)

    def intervals(self, count: int) -> Integers:
        """Return the bounds of `count` intervals, by trying prices."""
        n = self.mass.size - 1
        total = self.first[-1] - self.first[0]
        spread = self.second[-1] - self.second[0] - total * total / self.mass[-1]
        if count >= n or not spread > 0:
            return np.unique(np.linspace(0, n, count + 1).astype(np.int64))
        # At the price 0 every number is a cluster; at the whole error there is but one.
        many = _Cut(0.0, np.arange(n + 1))
        few = _Cut(spread, np.array([0, n]))
        price = 2 * spread / count**3  # right for evenly spread numbers, whose error is ~ 1/k²
        for number in range(_MAX_PASSES):
            if few.count == count:
                return few.bounds
            if few.price - many.price <= _CLOSE * few.price or few.price <= _NOTHING * spread:
                break
            found = self.cut(price)
            if found.count == count:
                return found.bounds
            if found.count > count:
                many = found
            else:
                few = found
            price = _next_price(many, few, count, number)
        return _spliced(few.bounds, many.bounds, count)


def _next_price(many: _Cut, few: _Cut, count: int, number: int) -> float:
    """Return a price between those of two cuts, where about `count` clusters should be best."""
    if many.price == 0:
        return few.price * ((few.count / count) ** 3 / 2) ** (number + 1)
    ratio = math.log(few.price / many.price)
    share = 0.5
    if number % 2 == 0:  # every other step halves, whatever the curve looks like
        share = math.log(many.count / count) / math.log(many.count / few.count)
    price = many.price * math.exp(ratio * min(max(share, 0.01), 0.99))
    return price if many.price < price < few.price else (many.price + few.price) / 2


def _spliced(few: Integers, many: Integers, count: int) -> Integers:
    """Join two cuts that are best at one price into one with `count` clusters, as good.

    Where a cluster of `few` contains a cluster of `many` at the right place, the first clusters of
    `many` and the last ones of `few` fit together; the quadrangle inequality says at no loss.
    """
    skipped = count - (few.size - 1)
    inside = many[skipped + 1 : skipped + few.size] <= few[1:]
    i = int(np.argmax(inside))
    return np.concatenate([many[: i + skipped + 1], few[i + 1 :]])


def _settle(x: Floats, mass: Integers, bounds: Integers) -> Integers:
    """Move each bound to the middle between the two means beside it until none moves."""
    for _ in range(_MAX_SETTLING):
        means = interval_means(x, mass, bounds)
        moved = bounds.copy()
        moved[1:-1] = np.searchsorted(x, means[:-1] / 2 + means[1:] / 2, side="right")
        if np.array_equal(moved, bounds) or np.any(np.diff(moved) <= 0):
            break
        bounds = moved
    return bounds
