"""One belief: a conditional distribution of targets given sources, with its confidences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor, nn

from coset.beliefs.pdg.tables import LogitTable, check_log_table
from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.core.foreign_files import show

__all__ = ["Arc", "Table"]

# A tensor, or something that makes one each time it is called (so that gradients can flow).
Table = Tensor | nn.Module | Callable[[], Tensor]


def _safe_log(table: Tensor) -> Tensor:
    # Where p = 0 the derivative of log is infinite, and 0 · ∞ would spoil every other gradient.
    zero = table == 0
    return table.masked_fill(zero, 1.0).log().masked_fill(zero, -math.inf)


@dataclass(frozen=True, eq=False, repr=False)
class Arc:
    """A belief p(T | S) with confidence β in its numbers and α in its structure.

    Attributes:
        name: unique in its graph.
        sources: names of the variables S, possibly none.
        targets: names of the variables T, at least one, none of them a source.
        cpd: shape (*batch, *sources, *targets), or a module or function that returns it.
        alpha: structural confidence α, a finite number.
        beta: observational confidence β; `math.inf` makes the belief a constraint.
        is_log: whether `cpd` holds log-probabilities.
        parameters: tensors that gradients may move; a module's own are found.

    Raises:
        DomainError: if targets are missing or repeat, the name is empty, or a confidence is NaN,
            or β = −∞.
        DtypeError: if `cpd` is not a tensor and cannot be called, the name is no text, or a
            confidence no number.

    Example:
        >>> import torch
        >>> rain = Arc("rain", (), ("weather",), torch.tensor([0.7, 0.3], dtype=torch.float64))
        >>> rain.probabilities().tolist()
        [0.7, 0.3]

    Claims: beliefs.C4, beliefs.C5.
    """

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    cpd: Table
    alpha: float = 1.0
    beta: float = 1.0
    is_log: bool = False
    parameters: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise DtypeError(f"the name of an arc is a text; given {show(self.name)}")
        try:
            for side in ("alpha", "beta"):
                # Unlike `float`, the sum refuses texts.
                object.__setattr__(self, side, math.fsum([getattr(self, side)]))
        except (TypeError, ValueError, RuntimeError):
            raise DtypeError(
                f"confidences are numbers; {self.name!r} has alpha={show(self.alpha)}, "
                f"beta={show(self.beta)}"
            ) from None
        if not self.name:
            raise DomainError("an arc needs a name; given ''")
        names = (*self.sources, *self.targets)
        if not self.targets or len(set(names)) != len(names):
            raise DomainError(
                f"an arc has one target or more, and no variable twice; {self.name!r} goes from "
                f"({', '.join(self.sources)}) to ({', '.join(self.targets)})"
            )
        if math.isnan(self.beta) or self.beta == -math.inf or not math.isfinite(self.alpha):
            raise DomainError(
                f"confidences are numbers, and only β may be +inf; {self.name!r} has "
                f"alpha={self.alpha}, beta={self.beta}"
            )
        if not isinstance(self.cpd, Tensor) and not callable(self.cpd):
            raise DtypeError(
                f"the cpd of {self.name!r} is a tensor or makes one when called; given "
                f"{type(self.cpd).__name__}"
            )
        if not self.parameters and isinstance(self.cpd, nn.Module):
            object.__setattr__(self, "parameters", tuple(self.cpd.parameters()))

    @property
    def is_hard(self) -> bool:
        """Whether β = ∞: the belief is a constraint."""
        return self.beta == math.inf

    def weighted(self, alpha: float, beta: float) -> Arc:
        """Return the same belief with other confidences."""
        return replace(self, alpha=alpha, beta=beta)

    def learnable(self) -> Arc:
        """Return the same belief as a softmax of free logits that start at its numbers.

        Raises:
            DomainError: if they are no tensor, or one of them is not positive.
        """
        if not isinstance(self.cpd, Tensor):
            raise DomainError(f"{self.name!r}: a module or function is learnable by its parameters")
        probabilities = self.log_probabilities().exp() if self.is_log else self.cpd
        try:
            table = LogitTable(probabilities, len(self.targets))
        except DomainError as error:
            raise DomainError(f"{self.name!r}: {error}") from None
        return replace(self, cpd=table, is_log=True, parameters=())

    def table(self, cards: tuple[int, ...] | None = None) -> Tensor:
        """Return the numbers of `cpd`, made now and checked for their type and axes alone.

        Args:
            cards: what the trailing sizes must be, (*sources, *targets), if known.

        Returns:
            (*batch, *sources, *targets).

        Raises:
            DtypeError: if the table is not floating.
            ShapeError: if its trailing sizes are not `cards`, or a batch is empty.
        """
        table = self.cpd if isinstance(self.cpd, Tensor) else self.cpd()
        if not isinstance(table, Tensor) or not table.is_floating_point():
            given = table.dtype if isinstance(table, Tensor) else type(table).__name__
            raise DtypeError(f"the cpd of {self.name!r} must be a floating tensor; given {given}")
        axes = len(self.sources) + len(self.targets)
        sizes = tuple(table.shape[table.ndim - axes :]) if table.ndim >= axes else None
        unfit = sizes is None or (cards is not None and sizes != cards)
        if unfit or 0 in table.shape[: table.ndim - axes]:
            expected = cards if cards is not None else ("…",) * axes
            raise ShapeError(
                f"the cpd of {self.name!r} has one axis a source, then one a target "
                f"({', '.join((*self.sources, *self.targets))}), of sizes {expected}; given "
                f"{tuple(table.shape)}{'' if unfit else ', an empty batch'}"
            )
        return table

    def log_probabilities(self, cards: tuple[int, ...] | None = None) -> Tensor:
        """Return log p(t | s), evaluated now and checked.

        Args:
            cards: what the trailing sizes must be, (*sources, *targets), if known.

        Returns:
            (*batch, *sources, *targets); −∞ where p = 0; gradients flow to `parameters`.

        Raises:
            DtypeError: if the table is not floating.
            ShapeError: if its trailing sizes are not `cards`.
            DomainError: if an entry is negative, NaN or infinite.
            NotNormalizedError: if a row does not sum to 1 (1e-9 in float64, else 1e-5).
        """
        table = self.table(cards)
        log_table = table if self.is_log else _safe_log(table)
        check_log_table(self.name, log_table, len(self.targets))
        return log_table

    def probabilities(self) -> Tensor:
        """Return p(t | s), evaluated now and checked; see `log_probabilities`."""
        return self.log_probabilities().exp()

    def __str__(self) -> str:
        given = f" | {', '.join(self.sources)}" if self.sources else ""
        return f"{self.name}: p({', '.join(self.targets)}{given})"

    def __repr__(self) -> str:
        return f"Arc({self}, alpha={self.alpha:g}, beta={self.beta:g})"
