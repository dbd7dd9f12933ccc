"""What `coset sharing compress` does to the tensors of a checkpoint, and what it finds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from coset.lab.progress import Progress
from coset.sharing.index_codes import stored_bits
from coset.sharing.quantize import QuantizeMethod, quantize_together, relative_error
from coset.sharing.tied import index_bits

if TYPE_CHECKING:
    from torch import Tensor

    from coset.sharing.tied import TiedTensor

__all__ = ["Outcome", "tie_tensors", "write_tensors"]

_SLOW = 400_000  # weights that take about two seconds


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one tensor.

    Attributes:
        name: of the tensor.
        shape: its sizes.
        dtype: as torch writes it, without "torch.".
        tied: its tied form, or ``None`` if it is kept as it is.
        kept: why it is kept, or "".
        num_distinct: distinct values before; ``None`` if it is kept.
        errors: relative error of each method; empty if it is kept.
        is_unsound: whether it is kept because it holds NaN or infinity.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    tied: TiedTensor | None = None
    kept: str = ""
    num_distinct: int | None = None
    errors: Mapping[str, float] | None = None
    is_unsound: bool = False

    @property
    def num_weights(self) -> int:
        """Its number of weights."""
        return math.prod(self.shape)


def tie_tensors(
    tensors: Mapping[str, Tensor],
    num_unique: int,
    method: QuantizeMethod,
    *,
    together: bool,
    with_vectors: bool,
) -> list[Outcome]:
    """Tie the tensors that are worth it, by both methods; show progress if that takes its time.

    Args:
        tensors: of a checkpoint, by name.
        num_unique: values a tensor, or of all tensors together.
        method: whose tied form is kept.
        together: one set of values for all tensors.
        with_vectors: tie tensors of one dimension, too.

    Returns:
        One outcome a tensor, in the order given.
    """
    kept = {name: _reason(name, tensors, with_vectors) for name in tensors}
    chosen = [name for name in tensors if not kept[name][0]]
    groups = [chosen] if together and chosen else [[name] for name in chosen]
    outcomes: dict[str, Outcome] = {}
    total = sum(tensors[name].numel() for name in chosen)
    if total < _SLOW:
        for group in groups:
            outcomes |= _tie_group(group, tensors, num_unique, method)
    else:
        with Progress("tie weights", total, unit="weights") as progress:
            for group in groups:
                progress.update(sum(o.num_weights for o in outcomes.values()), note=group[0])
                outcomes |= _tie_group(group, tensors, num_unique, method)
            progress.update(total)
    for name, (reason, is_unsound) in kept.items():
        if reason:
            outcomes[name] = Outcome(
                name, *_kind(tensors[name]), kept=reason, is_unsound=is_unsound
            )
    return [outcomes[name] for name in tensors]


def write_tensors(
    output: Path, tensors: Mapping[str, Tensor | TiedTensor], metadata: Mapping[str, str]
) -> None:
    """Write a file of tied tensors; show progress if that takes its time.

    Args:
        output: the new file.
        tensors: by name.
        metadata: of the file.
    """
    from coset.sharing import tied_files
    from coset.sharing.tied import TiedTensor

    total = sum(t.num_weights for t in tensors.values() if isinstance(t, TiedTensor))
    if total < _SLOW:
        tied_files.save_tied(output, tensors, metadata)
        return
    with Progress("write weights", total, unit="weights") as progress:
        tied_files.save_tied(output, tensors, metadata, on_weights=progress.advance)


def _kind(w: Tensor) -> tuple[tuple[int, ...], str]:
    return tuple(w.shape), str(w.dtype).removeprefix("torch.")


def _reason(name: str, tensors: Mapping[str, Tensor], with_vectors: bool) -> tuple[str, bool]:
    """Return why a tensor is kept as it is, or "", and whether it is unsound."""
    import torch

    w = tensors[name]
    if not w.is_floating_point():
        return "no floating-point numbers", False
    if w.element_size() == 1:
        return "8 bits a weight already", False
    finite = torch.isfinite(w)
    if not bool(finite.all()):
        place = tuple((~finite).nonzero()[0].tolist())
        return f"holds {float(w[place])} at index {place}", True
    if w.dim() < 2 and not with_vectors:
        return "fewer than 2 dimensions", False
    if w.numel() < 2:
        return "fewer than 2 weights", False
    if f"{name}.values" in tensors or f"{name}.index" in tensors:
        return "the name of its values or its index is taken", False
    return "", False


def _tie_group(
    group: Sequence[str], tensors: Mapping[str, Tensor], num_unique: int, method: QuantizeMethod
) -> dict[str, Outcome]:
    weights = [tensors[name] for name in group]
    results = {
        each: quantize_together(weights, num_unique, method=each)
        for each in get_args(QuantizeMethod)
    }
    outcomes = {}
    for i, (name, w) in enumerate(zip(group, weights, strict=True)):
        tied = results[method][i]
        if _is_smaller(tied, w):
            errors = {each: relative_error(w, found[i]) for each, found in results.items()}
            outcomes[name] = Outcome(
                name, *_kind(w), tied, num_distinct=_num_distinct(w), errors=errors
            )
        else:
            outcomes[name] = Outcome(name, *_kind(w), kept="its tied form would not be smaller")
    return outcomes


def _num_distinct(w: Tensor) -> int:
    import torch

    count: int = torch.unique(w).numel()
    return count


def _is_smaller(tied: TiedTensor, w: Tensor) -> bool:
    """Tell whether values and index take fewer bytes in a file than the tensor."""
    packed = tied.num_unique * tied.values.element_size() * 8
    packed += tied.num_weights * max(1, index_bits(tied.num_unique))
    dense = w.numel() * w.element_size() * 8
    # Compressing takes its time, and is never larger than packing.
    return packed < dense or stored_bits(tied) < dense
