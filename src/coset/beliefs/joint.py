"""Joint distributions as solvers return them: dense, or a product of independent parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from coset.beliefs.errors import WidthError, rounded_count
from coset.beliefs.pdg.variable import Variable
from coset.core.errors import DomainError, UnknownNameError
from coset.core.results import Record

__all__ = ["DenseJoint", "Joint", "ProductJoint"]

# A dense table of more entries than this (2 GiB in float64) is refused.
MAX_ENTRIES = 2**28


@dataclass(frozen=True, eq=False, repr=False)
class Joint(Record):
    """A joint distribution μ of named variables.

    Attributes:
        variables: in the order of the axes.
    """

    variables: tuple[Variable, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the variables, in the order of the axes."""
        return tuple(v.name for v in self.variables)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{v.name}: {v.card}' for v in self.variables)})"

    def _check(self, names: Sequence[str]) -> None:
        known = set(self.names)
        for name in names:
            if name not in known:
                raise UnknownNameError.of("variable", name, self.names)
        if len(set(names)) < len(names):
            raise DomainError(
                f"each variable is asked for once, and not also as a condition; given "
                f"{', '.join(names)}"
            )
        entries = math.prod(v.card for v in self.variables if v.name in names)
        if entries > MAX_ENTRIES:
            raise WidthError(
                f"a table of {len(names)} variables has {rounded_count(entries)} entries, and at "
                f"most {MAX_ENTRIES:.3g} are made; ask for fewer variables at once",
                len(names) - 1,
                8 * entries,
            )

    def marginal(self, *names: str) -> Tensor:
        """Return μ(names).

        Args:
            names: distinct names of variables.

        Returns:
            (*batch, *cards), axes in the order of `names`.

        Raises:
            UnknownNameError: if there is no such variable.
            DomainError: if a name is there twice.
            WidthError: if the table would not fit.
        """
        raise NotImplementedError

    def dense(self) -> Tensor:
        """Return the whole joint, one axis a variable; see `marginal`."""
        return self.marginal(*self.names)

    def conditional(self, target: str | Sequence[str], given: str | Sequence[str]) -> Tensor:
        """Return μ(target | given), 0 in rows whose condition has probability 0.

        Args:
            target: one name or more.
            given: names, possibly none.

        Returns:
            (*batch, *given, *target).

        Raises:
            CosetError: as `marginal`; and if no target is named.
        """
        targets = (target,) if isinstance(target, str) else tuple(target)
        sources = (given,) if isinstance(given, str) else tuple(given)
        if not targets:
            raise DomainError("a conditional has one target or more; given none")
        table = self.marginal(*sources, *targets)
        total = table.sum(tuple(range(-len(targets), 0)), keepdim=True)
        return torch.where(total > 0, table / total, 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class DenseJoint(Joint):
    """μ as one tensor.

    Attributes:
        table: (*batch, *cards), non-negative, sums to 1 over the variables.
    """

    table: Tensor

    def marginal(self, *names: str) -> Tensor:
        """Sum out what is not named."""
        self._check(names)
        batch = self.table.ndim - len(self.variables)
        gone = [batch + i for i, v in enumerate(self.names) if v not in names]
        table = self.table.sum(gone) if gone else self.table
        kept = [v for v in self.names if v in names]
        return table.permute([*range(batch), *(batch + kept.index(v) for v in names)])


@dataclass(frozen=True, eq=False, repr=False)
class ProductJoint(Joint):
    """μ as a product of independent parts.

    Attributes:
        parts: joints of sets of variables that together are `variables`, and share only variables
            whose value is certain.
    """

    parts: tuple[Joint, ...]

    def marginal(self, *names: str) -> Tensor:
        """Multiply the marginals of the parts."""
        self._check(names)
        tables: list[tuple[Tensor, int]] = []
        order: list[str] = []
        for part in self.parts:
            own = [name for name in names if name in part.names and name not in order]
            if own or not names:
                tables.append((part.marginal(*own), len(own)))
                order += own
        if not tables:
            return torch.ones((), dtype=torch.float64)
        result, before = tables[0]
        for table, axes in tables[1:]:
            batch = table.ndim - axes
            shape = (*table.shape[:batch], *(1,) * before, *table.shape[batch:])
            result = result[(..., *(None,) * axes)] * table.reshape(shape)
            before += axes
        batch = result.ndim - len(order)
        return result.permute([*range(batch), *(batch + order.index(v) for v in names)])
