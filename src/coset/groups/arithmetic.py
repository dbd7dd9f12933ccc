"""What every finite group has: a table, names of its elements, and their arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from coset.core.errors import DomainError
from coset.groups import orders
from coset.groups.elements import element_array, freeze, integer, integer_array
from coset.groups.labels import form_labels

__all__ = ["GroupTable"]


class GroupTable:
    """A multiplication table that is known to be a group's, immutable once it is sealed.

    Args:
        mul: (n, n) multiplication table of a group; mul[a, b] is "a, then b".
        identity: its identity.
        name: how it is called.
        labels: how its elements are printed; by default from `forms`, or their numbers.
        forms: permutations (n, degree) or matrices (n, d, d), where the elements are such.

    Attributes:
        mul: (n, n) int32, read-only.
        identity: the element e with e·a = a·e = a.
        order: n.
        name: how the group is called.
        forms: permutations or matrices, read-only, or ``None``.
    """

    def __init__(
        self,
        mul: np.ndarray,
        identity: int,
        *,
        name: str | None = None,
        labels: Sequence[str] | None = None,
        forms: np.ndarray | None = None,
    ) -> None:
        self.mul: np.ndarray = freeze(np.asarray(mul, dtype=np.int32))
        self.identity: int = int(identity)
        self.order: int = len(self.mul)
        self.name: str = name if name is not None else f"group of order {self.order}"
        self.forms: np.ndarray | None = None if forms is None else freeze(forms)
        if labels is not None:
            self.__dict__["labels"] = tuple(labels)

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("_sealed"):
            raise AttributeError(f"a group is immutable; cannot set {name!r}; build another group")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        if self.name.endswith(f"of order {self.order}"):
            return self.name
        return f"{self.name} (order {self.order})"

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """How each element is printed: by its cycles, the rows of a matrix, or a word."""
        if self.forms is not None:
            return form_labels(self.forms)
        return tuple(str(a) for a in range(self.order))

    @cached_property
    def inverse(self) -> np.ndarray:
        """(n,) int32 inverses."""
        found = np.empty(self.order, dtype=np.int32)
        rows, columns = np.nonzero(self.mul == self.identity)
        found[rows] = columns
        return freeze(found)

    @cached_property
    def element_orders(self) -> np.ndarray:
        """(n,) int64 least k ≥ 1 with aᵏ = e."""
        return freeze(orders.element_orders(self))

    @cached_property
    def exponent(self) -> int:
        """Least k ≥ 1 with aᵏ = e for every a."""
        return math.lcm(*np.unique(self.element_orders).tolist())

    def element(self, form: str | Any) -> int:
        """Find an element by its label, its permutation or its matrix.

        Args:
            form: a label, or a form as in `forms`.

        Returns:
            The element id.

        Raises:
            DomainError: if it is not in the group.
            DtypeError, ShapeError: if it is no array of integers.

        Complexity: O(n).
        """
        if isinstance(form, str):
            if form in self.labels:
                return self.labels.index(form)
        elif self.forms is not None:
            wanted = integer_array(form, "the entries of an element")
            if wanted.shape == self.forms.shape[1:]:
                same = (self.forms == wanted).reshape(self.order, -1).all(1)
                if same.any():
                    return int(np.flatnonzero(same)[0])
        examples = ", ".join(self.labels[:4])
        raise DomainError(
            f"an element of {self!r} must be given by its label ({examples}, …) or its permutation "
            f"or matrix; given {form!r}"
        )

    def _one(self, element: int) -> int:
        return int(element_array(self, [element], "an element")[0])

    def product(self, *elements: int) -> int:
        """Return a₁·a₂·…·aₖ, read from left to right; e for none.

        Args:
            *elements: element ids, as arguments: ``product(1, 2)``, or ``product(*word)``.

        Returns:
            An element id.

        Raises:
            RangeError: if one is not an element.
            DtypeError: if one is not an integer.
        """
        value = self.identity
        for element in element_array(self, elements).tolist():
            value = int(self.mul[value, element])
        return value

    def power(self, element: int, exponent: int) -> int:
        """Return aᵏ.

        Args:
            element: a.
            exponent: k, any integer; negative powers are powers of the inverse.

        Returns:
            An element id.

        Raises:
            RangeError: if a is not an element.
            DtypeError: if k is not an integer.
        """
        a = self._one(element)
        k = integer(exponent, "the exponent") % int(self.element_orders[a])
        return int(orders.powers(self, np.array([a]), k)[0])

    def commutator(self, a: int, b: int) -> int:
        """Return [a, b] = a⁻¹·b⁻¹·a·b.

        Args:
            a: an element id.
            b: an element id.

        Returns:
            An element id.

        Raises:
            RangeError: if one is not an element.
        """
        a, b = self._one(a), self._one(b)
        return self.product(int(self.inverse[a]), int(self.inverse[b]), a, b)

    def conjugate(self, a: int, by: int) -> int:
        """Return b⁻¹·a·b.

        Args:
            a: an element id.
            by: b.

        Returns:
            An element id.

        Raises:
            RangeError: if one is not an element.
        """
        a, by = self._one(a), self._one(by)
        return self.product(int(self.inverse[by]), a, by)
