"""Few values for many weights: by optimal k-means, or by a cut of the sharing path."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import ConfigError, DomainError, DtypeError, ShapeError
from coset.sharing.penalty import check_weights
from coset.sharing.tied import TiedTensor

__all__ = ["QuantizeMethod", "quantize_together", "quantize_weights", "relative_error"]

QuantizeMethod = Literal["kmeans", "path"]


def quantize_weights(
    w: Tensor, num_unique: int, *, method: QuantizeMethod = "kmeans"
) -> TiedTensor:
    """Replace the weights by at most `num_unique` values, each the mean of those it stands for.

    "kmeans" makes ‖q − w‖² as small as any choice of so many values can (for up to 2²¹
    distinct weights, up to rounding; see `coset.sharing.clustering`). "path" takes the clusters
    that the sharing prox leaves at the smallest strength with at most `num_unique` of them: what
    training with `ProxSharing` would tie next. Most weights then join one cluster, so that its
    error is far larger, and the entropy of its index smaller. Weights that have no more distinct
    values than that are kept, exactly.

    Args:
        w: (any shape) float, finite; not changed.
        num_unique: U ≥ 1.
        method: "kmeans" or "path".

    Returns:
        The tied weights, on the CPU. Fewer than U values where several merge at one strength, or
        where their means round to one number of the dtype.

    Raises:
        DtypeError: if `w` is not a real floating-point tensor of 16 bits or more, or `num_unique`
            not an integer.
        DomainError: if `num_unique` is less than 1, or a weight is NaN or infinite.
        ConfigError: if the method is unknown.
        UnsupportedError: if `w` is sparse.

    Complexity: O(d log d); 10⁶ weights take one or two seconds.

    Example:
        >>> w = torch.tensor([0.0, 0.1, 5.0, 5.2, 9.0])
        >>> quantize_weights(w, 3).dense()
        tensor([0.0500, 0.0500, 5.1000, 5.1000, 9.0000])
    """
    return quantize_together([w], num_unique, method=method)[0]


def quantize_together(
    tensors: Sequence[Tensor], num_unique: int, *, method: QuantizeMethod = "kmeans"
) -> list[TiedTensor]:
    """Replace the weights of several tensors by the same few values.

    Args:
        tensors: each (any shape) float, finite; of any dtypes. The values are found in float64 and
            rounded to each dtype.
        num_unique: U ≥ 1, for all tensors together.
        method: as in `quantize_weights`.

    Returns:
        One `TiedTensor` a tensor, each with those of the values that it uses.

    Raises:
        DtypeError: as `quantize_weights`.
        DomainError: as `quantize_weights`.
        ConfigError: as `quantize_weights`.
        UnsupportedError: as `quantize_weights`.

    Example:
        >>> parts = quantize_together([torch.tensor([0.0, 4.0]), torch.tensor([1.0])], 2)
        >>> [part.dense().tolist() for part in parts]
        [[0.5, 4.0], [0.5]]
    """
    count = _read_count(num_unique)
    if method not in get_args(QuantizeMethod):
        raise ConfigError(
            f"method must be one of {', '.join(get_args(QuantizeMethod))}; given {method!r}"
        )
    for w in tensors:
        check_weights(w)
    if not tensors:
        return []
    flat = torch.cat([w.detach().reshape(-1).to("cpu", torch.float64) for w in tensors]) + 0.0
    if not bool(torch.isfinite(flat).all()):
        raise DomainError(_not_finite(tensors))
    values, labels = _clusters(flat, count, method)
    parts = torch.split(labels, [w.numel() for w in tensors])
    return [
        TiedTensor.from_values(values.to(w.dtype), part.reshape(w.shape))
        for w, part in zip(tensors, parts, strict=True)
    ]


def relative_error(w: Tensor, tied: TiedTensor) -> float:
    """Return ‖q − w‖ / ‖w‖ in float64.

    Args:
        w: the weights, finite.
        tied: what is to stand for them, of the same shape.

    Returns:
        The error, 0 if nothing changed; 1 if all weights become 0.

    Raises:
        DtypeError: if `w` is not a real floating-point tensor.
        ShapeError: if it has another shape than `tied`.
        DomainError: if a weight is NaN or infinite.

    Example:
        >>> tied = TiedTensor.from_dense(torch.tensor([3.0, 1.0]))
        >>> relative_error(torch.tensor([3.0, 4.0]), tied)
        0.6
    """
    check_weights(w)
    wide, other = (t.reshape(-1).to(torch.float64) for t in (w.detach(), tied.dense()))
    if tuple(w.shape) != tied.shape:
        raise ShapeError(
            f"w must have the shape of what stands for it, {tied.shape}; given {tuple(w.shape)}"
        )
    largest = float(wide.abs().max()) if wide.numel() else 0.0
    if not math.isfinite(largest):
        raise DomainError(_not_finite([w]))
    if largest == 0.0:
        return 0.0
    # Powers of two are exact, and keep squares and differences finite.
    exponent = -math.frexp(largest)[1]
    before, after = (np.ldexp(t.cpu().numpy(), exponent) for t in (wide, other))
    return float(np.linalg.norm(after - before) / np.linalg.norm(before))


def _read_count(num_unique: int) -> int:
    try:
        count = operator.index(num_unique)
    except TypeError as error:
        raise DtypeError(f"num_unique must be an integer; given {num_unique!r}") from error
    if isinstance(num_unique, bool) or count < 1:
        raise DomainError(f"num_unique must be an integer ≥ 1; given {num_unique}")
    return count


def _not_finite(tensors: Sequence[Tensor]) -> str:
    number, w = next((i, w) for i, w in enumerate(tensors) if not torch.isfinite(w).all())
    place = tuple((~torch.isfinite(w)).nonzero()[0].tolist())
    return (
        f"weights must be finite; tensor {number} holds {float(w[place])} at index {place}; keep "
        f"this tensor as it is"
    )


def _clusters(flat: Tensor, count: int, method: QuantizeMethod) -> tuple[Tensor, Tensor]:
    """Return the mean of each cluster, and each weight's cluster, of (d,) float64 weights."""
    x, inverse, masses = torch.unique(flat, return_inverse=True, return_counts=True)
    if len(x) <= count:
        return x, inverse
    if method == "path":
        from coset.sharing.path import sharing_path

        path = sharing_path(flat)
        labels, means = path.cut(path.strength_for(num_unique=count))
        return means, labels
    from coset.sharing.clustering import interval_means, optimal_intervals

    bounds = optimal_intervals(x.numpy(), masses.numpy(), count)
    means = torch.from_numpy(interval_means(x.numpy(), masses.numpy(), bounds))
    return means, torch.arange(count).repeat_interleave(torch.from_numpy(np.diff(bounds)))[inverse]
