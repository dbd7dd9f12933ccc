"""What the numbers of a conditional distribution must satisfy, and how logits become one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from coset.beliefs.errors import NotNormalizedError
from coset.core.errors import DomainError, DtypeError
from coset.core.foreign_files import show

__all__ = ["LogitTable", "as_table", "check_log_table", "row_tolerance"]


def row_tolerance(dtype: torch.dtype) -> float:
    """Return how far a row may be from summing to one: 1e-9 in float64, 1e-5 below it."""
    return 1e-9 if dtype == torch.float64 else 1e-5


def as_table(numbers: Tensor | ArrayLike) -> Tensor:
    """Return numbers as a tensor: lists in float64, arrays and tensors in their own dtype.

    Raises:
        DtypeError: if they are no array of numbers.
    """
    if isinstance(numbers, Tensor):
        return numbers
    try:
        array = np.asarray(numbers)
        dtype = array.dtype.newbyteorder("=") if array is numbers else np.float64
        # A copy: of other bytes, strides or owners, torch takes none or only with warnings.
        return torch.as_tensor(np.array(array, dtype=dtype, order="C"))
    except (TypeError, ValueError, RuntimeError) as error:
        raise DtypeError(
            f"a table is a tensor, or an array of numbers; given {show(numbers)}: {error}"
        ) from None


def check_log_table(name: str, log_table: Tensor, num_targets: int) -> None:
    """Check that every row of a table of log-probabilities is a distribution.

    Args:
        name: the arc's name, for messages.
        log_table: (*batch, *sources, *targets), log-probabilities; −∞ is probability 0.
        num_targets: the number of trailing axes that a row spans.

    Raises:
        DomainError: if an entry is NaN or above log 1.
        NotNormalizedError: if a row does not sum to one.
    """
    table = log_table.detach()
    if torch.isnan(table).any():
        where = tuple(torch.isnan(table).nonzero()[0].tolist())
        raise DomainError(
            f"the probabilities of {name!r} must be numbers ≥ 0; entry {where} is negative or NaN"
        )
    axes = tuple(range(table.ndim - num_targets, table.ndim))
    sums = table.exp().sum(axes)
    off = (sums - 1).abs()
    if not bool((off <= row_tolerance(table.dtype)).all()):
        worst = int(off.nan_to_num(torch.inf).argmax())
        row = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), sums.shape))
        total = float(sums.flatten()[worst])
        rounded = abs(total - 1) < row_tolerance(torch.float32)
        advice = (
            "make it from numbers that were never float32"
            if rounded
            else ("divide it by its sum if its entries are weights")
        )
        raise NotNormalizedError(
            f"each row of {name!r} must sum to 1; row {row} sums to {total:.9g}; {advice}",
            name,
            row,
            total,
        )


class LogitTable(nn.Module):
    """A conditional distribution with free logits, p(t | s) ∝ exp(logits[s, t]).

    Args:
        probabilities: (*batch, *sources, *targets), strictly positive: where it starts.
        num_targets: the number of trailing axes that a row spans.

    Raises:
        DomainError: if an entry is not positive (its logit would be −∞ and could never move).
        DtypeError: if `probabilities` is not floating.

    Claims: beliefs.C22.
    """

    def __init__(self, probabilities: Tensor, num_targets: int) -> None:
        super().__init__()
        if not probabilities.is_floating_point():
            raise DtypeError(f"probabilities are floating; given {probabilities.dtype}")
        if not bool((probabilities > 0).all()):
            raise DomainError(
                "a learnable table starts from probabilities > 0, because logits of 0 cannot "
                "move; add a little to each entry and divide rows by their sums"
            )
        self.num_targets = num_targets
        self.logits = nn.Parameter(probabilities.detach().log().clone())

    def forward(self) -> Tensor:
        """Return the log-probabilities, of the shape of the logits."""
        axes = self.logits.ndim - self.num_targets
        return self.logits.flatten(axes).log_softmax(-1).view_as(self.logits)
