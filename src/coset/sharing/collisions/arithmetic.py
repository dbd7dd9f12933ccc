"""When two blocks merge and which pool is lowest, in float64 and in exact fixed-point integers.

A block is (position of its first particle, mass, total), where total is the sum over its particles
of their distance from that position. Merging blocks A, B shifts B's total by the distance of the
two positions: no sum is about a far origin, so a common offset costs no digits. In fixed point the
position is 0 and the total is the sum of the integers q_r ≈ (z_r − mid) · 2^s, with the end
positions z_r = x_r + g (d−1−2r)/(d−1) of free flight.

Legend: x_r = sorted weights, g = strength, d = weights in a row, m = masses; mid = middle of a
row; s = exponent of the scale of a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = [
    "MAX_RATIO_MASS",
    "Blocks",
    "FixedPoint",
    "FixedRule",
    "FloatRule",
    "Rule",
    "ceil_log2",
    "power_of_two",
]

# Two fractions with denominators up to 2^26 differ by 2^-52 or are equal, so that rounding them to
# float64 keeps their order.
MAX_RATIO_MASS = 2**26


class Blocks(NamedTuple):
    """Blocks of sorted particles, in tensors of one shape.

    Attributes:
        position: float64, the first particle's; in fixed point int64 zeros.
        mass: int64, the number of particles.
        total: float64 or int64: sum over the particles of (position − first position), or of q.
    """

    position: Tensor
    mass: Tensor
    total: Tensor


class Rule(Protocol):
    """Compares mean end positions of blocks; `row` says to which row each block belongs."""

    def touches(self, left: Blocks, right: Blocks, row: Tensor) -> Tensor:
        """Tell for each pair of neighbors whether mean z(left) ≥ mean z(right)."""

    def last_minimum(self, total: Tensor, mass: Tensor, live: Tensor, row: Tensor) -> Tensor:
        """Return where the mean of z of pools of one start is least: the last such place.

        Args:
            total: (n, k): totals of the pools that end at each place, about their common start.
            mass: (n, k) int64: masses of the pools.
            live: (n, k) bool: places that count.
            row: (n, 1) int64.

        Returns:
            (n,) int64, −1 where no place counts.
        """


def _last_place(keys: Tensor, live: Tensor) -> Tensor:
    """Return the last live place of the smallest key, or −1."""
    smallest = keys.masked_fill(~live, torch.inf).amin(1, keepdim=True)
    place = torch.arange(keys.shape[1], device=keys.device)
    return torch.where(live & (keys == smallest), place, -1).amax(1)


@dataclass(frozen=True)
class FloatRule:
    """The merge rule mean(B) − mean(A) ≤ g (m_A + m_B)/(d−1) in float64, multiplied through.

    Exact, ties included, on short dyadic numbers.

    Attributes:
        strength: (rows,) float64, positive and finite.
        span: d − 1.
    """

    strength: Tensor
    span: int

    def touches(self, left: Blocks, right: Blocks, row: Tensor) -> Tensor:
        """Tell for each pair of neighbors whether they merge."""
        m, other = left.mass.to(torch.float64), right.mass.to(torch.float64)
        gap = right.position - left.position
        lead = gap * m * other + right.total * m - left.total * other
        return lead * self.span <= self.strength[row] * m * other * (m + other)

    def last_minimum(self, total: Tensor, mass: Tensor, live: Tensor, row: Tensor) -> Tensor:
        """Return the last place of the least mean z: total/m − g (m−1)/(d−1) up to a constant."""
        m = mass.clamp(min=1).to(torch.float64)
        # One division of exact numbers: equal means are equal floats.
        return _last_place((total * self.span - self.strength[row] * m * (m - 1)) / m, live)


class FixedRule:
    """The merge rule S_A/m_A ≥ S_B/m_B of sums of integers, exactly.

    Floor quotients are compared first. Remainders r_A/m_A, r_B/m_B of neighbors are compared by
    cross products, exact for masses below 2^31; those of pools as float64 quotients, exact for
    masses up to 2^26.
    """

    def touches(self, left: Blocks, right: Blocks, row: Tensor) -> Tensor:
        """Tell for each pair of neighbors whether they merge."""
        a, b = (torch.div(side.total, side.mass, rounding_mode="floor") for side in (left, right))
        r, other = left.total - a * left.mass, right.total - b * right.mass
        return (a > b) | ((a == b) & (r * right.mass >= other * left.mass))

    def last_minimum(self, total: Tensor, mass: Tensor, live: Tensor, row: Tensor) -> Tensor:
        """Return the last place of the least S/m."""
        m = mass.clamp(min=1)
        quotient = torch.div(total, m, rounding_mode="floor")
        largest = torch.iinfo(torch.int64).max
        least = quotient.masked_fill(~live, largest).amin(1, keepdim=True)
        rest = (total - quotient * m).to(torch.float64) / m.to(torch.float64)
        return _last_place(rest, live & (quotient == least))


def ceil_log2(number: Tensor) -> Tensor:
    """Return ⌈log2 n⌉ of integers n ≥ 1, exactly.

    Args:
        number: int64, 1 ≤ n ≤ 2^53.

    Returns:
        int64 of the same shape.

    Example:
        >>> ceil_log2(torch.tensor([1, 2, 3, 4, 5]))
        tensor([0, 1, 2, 2, 3])
    """
    return torch.frexp((number - 1).to(torch.float64)).exponent.to(torch.int64)


def power_of_two(exponent: Tensor) -> Tensor:
    """Return 2^e exactly, which torch.pow does not promise.

    Args:
        exponent: int64, −1022 ≤ e ≤ 1023.

    Returns:
        float64 of the same shape.

    Example:
        >>> power_of_two(torch.tensor([-1, 0, 3]))
        tensor([0.5000, 1.0000, 8.0000], dtype=torch.float64)
    """
    return ((exponent + 1023) << 52).view(torch.float64)


@dataclass(frozen=True)
class FixedPoint:
    """Sorted rows rounded to integers whose sums over a row fit an int64.

    With s = 62 − ⌈log2 d⌉ − e, where e is the least integer with (max x − min x)/2 + g < 2^e: a
    resolution of 2^(e−61) d or finer. All factors are powers of two: only rounding loses.

    Attributes:
        weights: (rows, d) int64: round((x − mid) · 2^s).
        ends: (rows, d) int64: weights + round(g v · 2^s), velocities v_r = (d−1−2r)/(d−1).
        middle: (rows, 1) float64.
        factors: 2^s in two (rows, 1) float64, since s may exceed 1023.
    """

    weights: Tensor
    ends: Tensor
    middle: Tensor
    factors: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, x: Tensor, strength: Tensor) -> FixedPoint:
        """Round sorted rows (rows, d) and their free flight by finite strengths (rows,)."""
        d = x.shape[1]
        low, high, g = x[:, :1], x[:, -1:], strength[:, None]
        exponent = torch.frexp((high - low) / 2 + g).exponent.to(torch.int64)
        exponent = 62 - (d - 1).bit_length() - exponent
        half = torch.div(exponent, 2, rounding_mode="floor")
        factors = power_of_two(half), power_of_two(exponent - half)

        def rounded(value: Tensor) -> Tensor:
            return (value * factors[0] * factors[1]).round().to(torch.int64)

        middle = (low + high) / 2
        weights = rounded(x - middle)
        sites = (d - 1) - 2 * torch.arange(d, device=x.device)
        return cls(weights, weights + rounded(g * sites / (d - 1)), middle, factors)

    def block_means(self, labels: Tensor, mass: Tensor) -> Tensor:
        """Return the mean weight of each rank's block, from exact sums.

        Args:
            labels: (rows, d) int64: number of each rank's block.
            mass: (rows, d) int64: mass of each rank's block.

        Returns:
            (rows, d) float64.
        """
        sums = torch.zeros_like(self.weights).scatter_add_(1, labels, self.weights)
        mean = sums.gather(1, labels).to(torch.float64) / mass
        return self.middle + mean / self.factors[0] / self.factors[1]
