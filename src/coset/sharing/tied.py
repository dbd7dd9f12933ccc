"""A tensor of few distinct values, stored as those values and each weight's index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.sharing.penalty import check_weights

__all__ = ["TiedTensor", "cluster_means", "index_bits", "index_dtype", "read_shape"]

_INTEGERS = (torch.uint8, torch.int8, torch.uint16, torch.int16, torch.int32, torch.int64)
_MAX_VALUES = 2**31 - 1
_MAX_DIMS = 64
_MAX_WEIGHTS = 2**56  # beyond it sizes and strides overflow 64-bit integers


def index_bits(num_values: int) -> int:
    """Return the bits that tell so many values apart: ⌈log₂ U⌉, 0 for U ≤ 1.

    Args:
        num_values: U ≥ 0.

    Returns:
        The number of bits.

    Example:
        >>> [index_bits(u) for u in (1, 2, 3, 256, 257)]
        [0, 1, 2, 8, 9]
    """
    return max(0, num_values - 1).bit_length()


def index_dtype(num_values: int) -> torch.dtype:
    """Return the smallest of uint8, uint16 and int32 that can number so many values.

    Args:
        num_values: U ≥ 0.

    Returns:
        The dtype.
    """
    if num_values <= 2**8:
        return torch.uint8
    return torch.uint16 if num_values <= 2**16 else torch.int32


@dataclass(frozen=True, eq=False)
class TiedTensor:
    """A tensor whose weights take U values: w = values[index], in `shape`.

    Attributes:
        values: (U,) float16, bfloat16, float32 or float64, finite; copied, without gradient.
        index: (d,) or of the shape `shape`, integers in [0, U) of at most 64 bits; kept as (d,)
            uint8, uint16 or int32, the smallest that holds U values.
        shape: of the tensor, d = product of its sizes.

    Raises:
        DtypeError: if values or index have another dtype, or the shape other than integers.
        UnsupportedError: if the values are sparse.
        ShapeError: if values is not a vector, the index does not have d entries, or no tensor can
            have that shape.
        RangeError: if an index is negative or not below U.
        DomainError: if a value is NaN or infinite.

    Complexity: O(d); 1, 2 or 4 bytes a weight.

    Example:
        >>> tied = TiedTensor.from_dense(torch.tensor([[0.5, 2.0], [0.5, 0.5]]))
        >>> tied.values, tied.index
        (tensor([0.5000, 2.0000]), tensor([0, 1, 0, 0], dtype=torch.uint8))
    """

    values: Tensor
    index: Tensor
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        check_weights(self.values, "values")
        shape = read_shape(self.shape)
        if self.values.dim() != 1 or len(self.values) > _MAX_VALUES:
            raise ShapeError(
                f"values must be a vector of fewer than 2^31; given shape "
                f"{tuple(self.values.shape)}; pass values.reshape(-1)"
            )
        _check_finite(self.values, "values")
        values = self.values.detach().clone(memory_format=torch.contiguous_format)
        object.__setattr__(self, "index", _read_index(self.index, shape, len(values)))
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def from_dense(cls, w: Tensor) -> TiedTensor:
        """Store a tensor by its exact distinct values, in increasing order; nothing is rounded.

        −0.0 and 0.0 are one value, 0.0.

        Args:
            w: (any shape) float, finite.

        Returns:
            The same weights.

        Raises:
            DtypeError: if `w` is not a real floating-point tensor of 16 bits or more.
            UnsupportedError: if `w` is sparse.
            DomainError: if a weight is NaN or infinite.

        Complexity: O(d log d).

        Example:
            >>> TiedTensor.from_dense(torch.tensor([3.0, 3.0, 1.0])).dense()
            tensor([3., 3., 1.])
        """
        check_weights(w)
        flat = w.detach().reshape(-1)
        _check_finite(flat, "weights")
        values, index = torch.unique(flat + 0.0, sorted=True, return_inverse=True)
        return cls(values, index, tuple(w.shape))

    @classmethod
    def from_clusters(cls, w: Tensor, index: Tensor) -> TiedTensor:
        """Replace each cluster of weights by its mean, taken in float64 about the cluster's middle.

        Args:
            w: (any shape) float, finite.
            index: integers ≥ 0 of the shape of `w`, such as `ClusterInfo.index`; each weight's
                cluster. Clusters are numbered anew in increasing order of their means, and those
                whose means round to one value become one.

        Returns:
            The tied weights, of the dtype of `w`.

        Raises:
            DtypeError: if `w` is not a real floating-point tensor, or `index` not of integers.
            UnsupportedError: if `w` is sparse.
            ShapeError: if the two shapes differ.
            RangeError: if an index is negative.
            DomainError: if a weight is NaN or infinite.

        Complexity: O(d log d).

        Example:
            >>> w = torch.tensor([5.0, 1.0, 2.0])
            >>> TiedTensor.from_clusters(w, torch.tensor([7, 0, 0])).dense()
            tensor([5.0000, 1.5000, 1.5000])
        """
        check_weights(w)
        flat = w.detach().reshape(-1)
        _check_finite(flat, "weights")
        labels = _as_integers(index)
        if labels.shape != w.shape:
            raise ShapeError(
                f"index must have the shape of the weights, {tuple(w.shape)}; given "
                f"{tuple(index.shape)}"
            )
        labels = labels.reshape(-1)
        if labels.numel() and int(labels.min()) < 0:
            raise RangeError(f"each index must be ≥ 0; given {int(labels.min())}")
        if labels.numel() and int(labels.max()) >= 2 * labels.numel():
            labels = torch.unique(labels, return_inverse=True)[1]
        count = int(labels.max()) + 1 if labels.numel() else 0
        means = cluster_means(flat.to(torch.float64), labels, count).to(w.dtype)
        return cls.from_values(means, labels.reshape(w.shape))

    @classmethod
    def from_values(cls, values: Tensor, index: Tensor) -> TiedTensor:
        """Store values[index] with the values in increasing order, once each, and no unused ones.

        Args:
            values: (k,) float; those that are used must be finite.
            index: (any shape) integers in [0, k).

        Returns:
            The same weights, −0.0 as 0.0.

        Raises:
            DtypeError: if `values` is not real floating-point, or `index` not of integers.
            ShapeError: if `values` is not a vector.
            RangeError: if an index is out of range.
            DomainError: if a value that is used is NaN or infinite.

        Complexity: O(d + k log k).

        Example:
            >>> tied = TiedTensor.from_values(
            ...     torch.tensor([9.0, 7.0, 1.0]), torch.tensor([0, 2, 0])
            ... )
            >>> tied.values, tied.dense()
            (tensor([1., 9.]), tensor([9., 1., 9.]))
        """
        check_weights(values, "values")
        if values.dim() != 1:
            raise ShapeError(f"values must be a vector; given shape {tuple(values.shape)}")
        labels = _as_integers(index).reshape(-1)
        _check_range(labels, len(values))
        is_used = torch.bincount(labels, minlength=len(values)) > 0
        kept, places = torch.unique(
            values.detach()[is_used] + 0.0, sorted=True, return_inverse=True
        )
        renamed = torch.zeros(len(values), dtype=torch.int64, device=labels.device)
        renamed[is_used] = places
        return cls(kept, renamed[labels], tuple(index.shape))

    @property
    def num_unique(self) -> int:
        """U, the number of values."""
        return len(self.values)

    @property
    def num_weights(self) -> int:
        """d, the number of weights."""
        return self.index.numel()

    def dense(self) -> Tensor:
        """Return the tensor: values[index] in `shape`, new memory.

        Returns:
            Of the dtype and device of `values`.

        Complexity: O(d).
        """
        return self.values[_wide(self.index)].reshape(self.shape)

    def num_bits(self) -> int:
        """Return the bits of a plain encoding: U · bits(dtype) + d · ⌈log₂ U⌉.

        Returns:
            The number of bits, without names and shapes.

        Example:
            >>> TiedTensor.from_dense(torch.tensor([0.0, 1.0, 1.0, 5.0])).num_bits()
            104
        """
        return self.num_unique * self.values.element_size() * 8 + self.num_weights * index_bits(
            self.num_unique
        )

    def entropy(self) -> float:
        """Return H(index) = −Σ_u p_u log₂ p_u, p_u being the share of weights with value u.

        No code of single weights takes fewer bits a weight on average; arithmetic coding gets as
        near as one likes. A code that sees neighbors may take fewer (`coset.sharing.index_codes`).
        The values themselves come on top.

        Returns:
            Bits a weight, from 0 to log₂ U; 0 for an empty tensor.

        Example:
            >>> TiedTensor.from_dense(torch.tensor([0.0, 0.0, 1.0, 1.0])).entropy()
            1.0
        """
        counts = torch.bincount(_wide(self.index), minlength=1)
        share = counts[counts > 0].to(torch.float64) / max(1, self.num_weights)
        return max(0.0, -float((share * share.log2()).sum()))


def read_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape that a tensor can have.

    Args:
        shape: as given.

    Returns:
        Its sizes.

    Raises:
        DtypeError: if it is no sequence of integers.
        ShapeError: if a size is negative, or there are more or larger ones than a tensor can have.
    """
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (None,)
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in sizes):
        raise DtypeError(f"shape must be a tuple of integers; given {shape!r:.60}")
    if any(n < 0 for n in sizes):
        raise ShapeError(f"each size of a shape must be ≥ 0; given {shape!r:.60}")
    if len(sizes) > _MAX_DIMS or math.prod(max(n, 1) for n in sizes) > _MAX_WEIGHTS:
        raise ShapeError(
            f"a shape must have at most {_MAX_DIMS} sizes, of product at most 2^56; given "
            f"{len(sizes)} sizes"
        )
    return sizes


def cluster_means(w: Tensor, labels: Tensor, count: int) -> Tensor:
    """Return the mean of each cluster, within the cluster's range: equal weights give their value.

    Args:
        w: (d,) float64.
        labels: (d,) int32 or int64 in [0, count): each weight's cluster.
        count: of clusters.

    Returns:
        (count,) float64; NaN or infinity for a cluster without weights.

    Complexity: O(d + count).
    """
    labels = labels.to(torch.int64)
    low = w.new_full((count,), math.inf).scatter_reduce_(0, labels, w, "amin")
    high = w.new_full((count,), -math.inf).scatter_reduce_(0, labels, w, "amax")
    # Halves of numbers near ±1e308 have a finite difference; about the middle nothing cancels.
    middle = low / 2 + high / 2
    share = 1 / torch.bincount(labels, minlength=count).to(torch.float64)
    parts = (w / 2 - middle[labels] / 2) * share[labels]
    means = middle + 2 * w.new_zeros(count).scatter_add_(0, labels, parts)
    return torch.minimum(torch.maximum(means, low), high)


def _as_integers(index: Tensor) -> Tensor:
    """Return indices as int64, which every operation knows."""
    if not isinstance(index, Tensor) or index.dtype not in _INTEGERS:
        given = index.dtype if isinstance(index, Tensor) else type(index).__name__
        raise DtypeError(f"index must be a tensor of integers; given {given}")
    return index.detach().to(torch.int64)


def _wide(index: Tensor) -> Tensor:
    """Return an index as int32 or int64: uint8 selects as a mask, uint16 not at all."""
    return index.to(torch.int32)


def _read_index(index: Tensor, shape: tuple[int, ...], num_values: int) -> Tensor:
    flat = _as_integers(index).reshape(-1)
    if flat.numel() != math.prod(shape) or (index.dim() != 1 and tuple(index.shape) != shape):
        raise ShapeError(
            f"index must have {math.prod(shape)} entries for the shape {shape}; given shape "
            f"{tuple(index.shape)}"
        )
    _check_range(flat, num_values)
    return flat.to(index_dtype(num_values), copy=True).contiguous()


def _check_range(labels: Tensor, num_values: int) -> None:
    if not labels.numel():
        return
    low, high = (int(end) for end in labels.aminmax())
    if low < 0 or high >= num_values:
        wrong = int(((labels < 0) | (labels >= num_values)).nonzero()[0])
        raise RangeError(
            f"each index must lie in [0, {num_values}), as there are {num_values} values; given "
            f"{int(labels[wrong])} at position {wrong}"
        )


def _check_finite(flat: Tensor, what: str) -> None:
    finite = torch.isfinite(flat)
    if not bool(finite.all()):
        place = int((~finite).nonzero()[0])
        raise DomainError(
            f"{what} must be finite; given {float(flat[place])} at position {place}; keep this "
            f"tensor as it is"
        )
