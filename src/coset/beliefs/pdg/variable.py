"""A variable with finitely many values."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coset.core.errors import DomainError, DtypeError, RangeError
from coset.core.foreign_files import show
from coset.core.results import Record

__all__ = ["Variable"]


def _whole(number: Any) -> int | None:
    """Return a whole number of Python, NumPy or torch as an `int`, ``None`` for anything else."""
    try:
        return None if isinstance(number, bool) else operator.index(number)
    except TypeError:
        return None


@dataclass(frozen=True)
class Variable(Record):
    """A variable X with values 0 … card − 1, which may have names.

    Attributes:
        name: how arcs refer to it.
        card: the number of values, at least 1.
        values: their names, distinct, or empty.

    Raises:
        DomainError: if the name is empty, `card` < 1, or names repeat or are not `card` many.
        DtypeError: if a name is no text, or `card` no whole number.

    Example:
        >>> Variable("weather", 2, ("dry", "wet")).index("wet")
        1
    """

    name: str
    card: int
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        card, values = _whole(self.card), tuple(self.values)
        if not all(isinstance(name, str) for name in (self.name, *values)) or card is None:
            raise DtypeError(
                f"a variable has a name, and a whole number of values or a list of their names, "
                f"which are texts; given {show(self.name)} with {show(values or self.card)}"
            )
        object.__setattr__(self, "card", card)
        object.__setattr__(self, "values", values)
        if not self.name or self.card < 1:
            raise DomainError(
                f"a variable needs a name and at least one value; given {self.name!r} with "
                f"{self.card}"
            )
        if self.values and len(set(self.values)) != self.card:
            raise DomainError(
                f"the values of {self.name!r} must be {self.card} distinct names; given "
                f"{', '.join(map(str, self.values))}"
            )

    @classmethod
    def of(cls, name: str, values: int | Sequence[str]) -> Variable:
        """Make a variable from a count or from names.

        Args:
            name: its name.
            values: the number of values, or their names.

        Returns:
            The variable.
        """
        if isinstance(values, Sequence) and not isinstance(values, str):
            return cls(name, len(values), tuple(values))
        return cls(name, values)  # type: ignore[arg-type]  # which refuses what is no number

    def index(self, value: int | str) -> int:
        """Return the position of a value.

        Args:
            value: a position, or one of `values`.

        Returns:
            The position, 0 … card − 1.

        Raises:
            RangeError: if there is no such value.
        """
        if isinstance(value, str) and value in self.values:
            return self.values.index(value)
        place = _whole(value)
        if place is not None and 0 <= place < self.card:
            return place
        named = f" ({', '.join(self.values)})" if self.values else ""
        raise RangeError(
            f"{self.name!r} takes the values 0 … {self.card - 1}{named}; given {value!r}"
        )
