"""The whole path of the sharing prox: every merge, from all weights apart to all weights equal."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import overload

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.sharing.magnitude import DOWN, HUGE
from coset.sharing.penalty import check_weights, read_number

__all__ = ["SharingPath", "sharing_path"]

# So few clusters are merged at once: their heap fits in the processor's cache.
_FEW = 4096


@dataclass(frozen=True, eq=False)
class SharingPath:
    """Every merge of the weights of one group as the strength grows: a dendrogram.

    Attributes:
        merges: (d − 1, 4) float64, one row a merge: strength, start, split, stop. At that strength
            the clusters [start, split) and [split, stop) of sorted ranks become one. Strengths do
            not decrease; those of equal weights are 0.
        num_weights: d.
        ranked: (d,) float64: the weights in increasing order.
        order: (d,) int64: where each of them stands in the flattened weights.
        shape: of the weights.
        dtype: of the weights.
        device: of the weights; what belongs to the path itself is on the CPU.
    """

    merges: Tensor
    num_weights: int
    ranked: Tensor = field(repr=False)
    order: Tensor = field(repr=False)
    shape: torch.Size
    dtype: torch.dtype
    device: torch.device

    @property
    def all_merge_strength(self) -> float:
        """The smallest strength at which all weights are equal; 0 for fewer than two weights."""
        return float(self.merges[-1, 0]) if len(self.merges) else 0.0

    @overload
    def num_unique(self, strength: float) -> int: ...

    @overload
    def num_unique(self, strength: Tensor) -> Tensor: ...

    def num_unique(self, strength: float | Tensor) -> int | Tensor:
        """Return how many clusters a strength leaves: d − #{merges of strength ≤ g}.

        At g = 0 every weight is a cluster of its own, as in `prox_sharing`; equal weights are one
        cluster from the smallest positive strength on.

        Args:
            strength: g ≥ 0, inf included: a number, or a tensor of any shape.

        Returns:
            An integer, or int64 of the shape of `strength`.

        Raises:
            DtypeError: if a strength is not a real number.
            DomainError: if a strength is negative or NaN.

        Complexity: O(log d) a strength.

        Claims: sharing.C4.

        Example:
            >>> path = sharing_path(torch.tensor([0.0, 1.0, 3.0, 7.0]))
            >>> path.num_unique(2.0), path.num_unique(torch.tensor([0.0, 2.5, 5.0]))
            (3, tensor([4, 2, 1]))
        """
        if isinstance(strength, Tensor) and strength.dim() > 0:
            if strength.is_complex() or strength.dtype == torch.bool:
                raise DtypeError(f"strengths must be real; given {strength.dtype}")
            g = strength.detach().to("cpu", torch.float64)
        else:
            g = torch.tensor(read_number(strength, "strength"), dtype=torch.float64)
        if not bool((g >= 0).all()):
            wrong = float(g[~(g >= 0)][0])
            raise DomainError(f"each strength must be a number ≥ 0; given {wrong}")
        done = torch.searchsorted(self.merges[:, 0].contiguous(), g.contiguous(), right=True)
        counts = self.num_weights - torch.where(g > 0, done, 0)
        if not isinstance(strength, Tensor):
            return int(counts)
        return counts.to(strength.device)

    def strength_for(
        self, *, num_unique: int | None = None, fraction: float | None = None
    ) -> float:
        """Return the smallest strength that leaves at most so many clusters.

        `cut` and `num_unique` of this path agree with it to the last bit. The prox may round the
        mean of a cluster otherwise: a strength larger by a few units of rounding is safe there.

        Args:
            num_unique: how many clusters may be left, ≥ 1; or
            fraction: at most this share of the weights, in (0, 1], but at least one cluster.

        Returns:
            The strength; 0 if there are no more clusters than that to begin with.

        Raises:
            DtypeError: if `num_unique` is not an integer or `fraction` not a real number.
            DomainError: unless exactly one of them is given, and in its range.

        Complexity: O(1).

        Example:
            >>> path = sharing_path(torch.tensor([0.0, 1.0, 3.0, 7.0]))
            >>> path.strength_for(num_unique=2), path.strength_for(fraction=0.75)
            (2.5, 1.5)
        """
        allowed = _allowed(self.num_weights, num_unique, fraction)
        if allowed >= self.num_weights:
            return 0.0
        strength = float(self.merges[self.num_weights - allowed - 1, 0])
        # Equal weights are tied by any positive strength, by none at 0; it must survive scaling.
        return strength or math.ulp(0.0) / _scale(self.ranked)

    def _starts(self, strength: float) -> Tensor:
        """Return the first rank of each cluster at a strength."""
        num_merges = self.num_weights - self.num_unique(read_number(strength, "strength"))
        is_start = torch.ones(self.num_weights, dtype=torch.bool)
        is_start[self.merges[:num_merges, 2].to(torch.int64)] = False
        return is_start.nonzero().squeeze(1)

    def _means(self, starts: Tensor) -> Tensor:
        """Return the mean of each cluster, float64."""
        from coset.sharing.kernels.dendrogram import block_means

        scale = _scale(self.ranked)
        means = torch.empty(len(starts), dtype=torch.float64)
        block_means((self.ranked * scale).numpy(), starts.numpy(), means.numpy())
        return means / scale

    def _unsorted(self, ranked: Tensor) -> Tensor:
        """Return values by rank in the shape, and on the device, of the weights."""
        return torch.empty_like(ranked).scatter_(0, self.order, ranked).reshape(self.shape)

    def cut(self, strength: float) -> tuple[Tensor, Tensor]:
        """Tie the weights that are one cluster at a strength, each cluster at its own mean.

        The clusters of the prox without its shrinkage: `prox_sharing(w, strength, rewind=1)`, and
        of all tensors with these ties the nearest to the weights.

        Args:
            strength: g ≥ 0, inf included; `strength_for` gives one that leaves so many clusters.

        Returns:
            (index, values): int32 of the shape of the weights, the cluster of each in order of
            value, and (num_unique,) of their dtype, the mean of each cluster; `values[index]` is
            the tied tensor. Both on the device of the weights. In a dtype of few digits the means
            of different clusters may round to one value.

        Raises:
            DtypeError: if the strength is not a real number.
            DomainError: if it is negative or NaN.

        Complexity: O(d).

        Example:
            >>> path = sharing_path(torch.tensor([[0.0, 7.0], [3.0, 1.0]]))
            >>> index, values = path.cut(path.strength_for(num_unique=3))
            >>> values[index]
            tensor([[0.5000, 7.0000],
                    [3.0000, 0.5000]])
        """
        starts = self._starts(strength)
        masses = torch.diff(starts, append=torch.tensor([self.num_weights]))
        labels = torch.arange(len(starts), dtype=torch.int32).repeat_interleave(masses)
        values = self._means(starts).to(self.dtype)
        return self._unsorted(labels).to(self.device), values.to(self.device)

    def prox(self, strength: float) -> Tensor:
        """Return the prox at a strength: each cluster [a, b) at mean + g (d − a − b)/(d−1).

        Args:
            strength: g ≥ 0, inf included.

        Returns:
            The tensor, of the shape, dtype and device of the weights, as `prox_sharing` gives it
            up to rounding; without gradient.

        Raises:
            DtypeError: if the strength is not a real number.
            DomainError: if it is negative or NaN.

        Complexity: O(d).

        Claims: sharing.C4.

        Example:
            >>> sharing_path(torch.tensor([5.0, -1.0, 0.0, 0.0, 2.0])).prox(1.0)
            tensor([4.0000, 0.0000, 0.2500, 0.2500, 1.5000])
        """
        starts, d = self._starts(strength), self.num_weights
        masses = torch.diff(starts, append=torch.tensor([d]))
        velocities = (d - 2 * starts - masses).to(torch.float64) / max(1, d - 1)
        # A cluster at rest stays where it is, at infinite strength too.
        drift = torch.where(velocities == 0, 0.0, float(strength) * velocities)
        # Rounding must not reverse clusters that nearly touch.
        values = (self._means(starts) + drift).cummax(0).values if d else self.ranked
        return self._unsorted(values.repeat_interleave(masses)).to(self.device, self.dtype)


def _allowed(num_weights: int, num_unique: int | None, fraction: float | None) -> int:
    """Return how many clusters may be left."""
    if (num_unique is None) == (fraction is None):
        raise DomainError(
            f"exactly one of num_unique and fraction must be given; given num_unique="
            f"{num_unique}, fraction={fraction}"
        )
    if fraction is not None:
        share = read_number(fraction, "fraction")
        if not 0 < share <= 1:
            raise DomainError(f"fraction must lie in (0, 1]; given {fraction}")
        # 0.29 · 100 is a little less than 29.
        return max(1, math.floor(share * num_weights * (1 + 1e-12)))
    try:
        count = operator.index(num_unique)  # type: ignore[arg-type]
    except TypeError as error:
        raise DtypeError(f"num_unique must be an integer; given {num_unique!r}") from error
    if isinstance(num_unique, bool) or count < 1:
        raise DomainError(f"num_unique must be an integer ≥ 1; given {num_unique}")
    return count


def _scale(ranked: Tensor) -> float:
    is_huge = len(ranked) > 0 and max(-float(ranked[0]), float(ranked[-1])) >= HUGE
    return DOWN if is_huge else 1.0


def _merges(ranked: np.ndarray, progress: Callable[[int, int], None] | None) -> np.ndarray:
    """Return the merges of sorted weights below 2^700."""
    from coset.sharing.kernels.dendrogram import choose_limit, merge_band

    d = len(ranked)
    merges = np.empty((max(0, d - 1), 4))
    starts, sums = np.arange(d + 1, dtype=np.int32), np.zeros(d)
    work = (
        *(np.empty(d + 1, np.int32), np.empty(d), np.empty(d)),
        *(np.empty(d, np.int32), np.empty(d, np.int32), np.empty(2 * d), np.empty(2 * d, np.int32)),
    )
    # Equal weights first: so many entries of one strength would fill a heap.
    row, count, floor, limit = 0, d, 0.0, 0.0
    while row < d - 1:
        if progress is not None:
            progress(row, d - 1)
        count, end = merge_band(ranked, starts, sums, count, floor, limit, merges, row, work)
        band = merges[row:end]
        band[:] = band[np.argsort(band[:, 0], kind="stable")]
        row, floor = end, limit
        limit = math.inf if count <= _FEW else choose_limit(ranked, starts, sums, count)
    return merges


def sharing_path(w: Tensor, *, progress: Callable[[int, int], None] | None = None) -> SharingPath:
    """Return every merge of the weights as the strength of the prox grows from 0.

    Clusters A, B of neighboring sorted ranks meet at strength (d−1)(mean_B − mean_A)/(m_A + m_B),
    and never part: d − 1 merges tell the clusters at every strength. The whole tensor is one group.
    Computed in float64; the decisions are exact for short dyadic numbers, ties included.

    Args:
        w: (any shape) float: the weights, finite, fewer than 2^31; not changed and not kept.
        progress: called now and then with the merges done and all there will be.

    Returns:
        The path; nothing that it returns carries a gradient. A strength beyond 1.8e308 is inf.

    Raises:
        DtypeError: if `w` is not a real floating-point tensor of 16 bits or more.
        UnsupportedError: if `w` is sparse, or too long.
        DomainError: if a weight is not finite.

    Complexity: O(d log d) time; about 115 bytes a weight of memory, 48 of which the path keeps.

    Claims: sharing.C4, sharing.C8.

    Example:
        >>> path = sharing_path(torch.tensor([7.0, 0.0, 3.0, 1.0]))
        >>> path.merges.tolist()
        [[1.5, 0.0, 1.0, 2.0], [2.5, 0.0, 2.0, 3.0], [4.25, 0.0, 3.0, 4.0]]
        >>> path.all_merge_strength
        4.25
    """
    check_weights(w)
    if w.numel() >= 2**31:
        raise UnsupportedError(
            f"a path must hold fewer than 2^31 weights; given {w.numel()}; split them into groups"
        )
    flat = w.detach().reshape(-1).to("cpu", torch.float64)
    if not bool(torch.isfinite(flat).all()):
        place = int((~torch.isfinite(flat)).nonzero()[0])
        raise DomainError(
            f"weights must be finite; given {float(flat[place])} at position {place}; remove it "
            f"first"
        )
    ranked, order = flat.sort(stable=True)
    scale = _scale(ranked)
    merges = torch.from_numpy(_merges((ranked * scale).numpy(), progress))
    merges[:, 0] /= scale
    return SharingPath(merges, w.numel(), ranked, order, w.shape, w.dtype, w.device)
