"""Finite groups as multiplication tables of integers, exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from coset.core.errors import RangeError
from coset.groups import orders, series
from coset.groups.arithmetic import GroupTable
from coset.groups.elements import Elements, element_array, element_set, freeze
from coset.groups.enumeration import enumerate_group
from coset.groups.generating import (
    check_max_order,
    check_modulus,
    compose_permutations,
    read_matrices,
    read_permutations,
)
from coset.groups.labels import read_labels
from coset.groups.span import KnownSpans, Span
from coset.groups.tables import MAX_ORDER, check_table

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Group"]


class Group(GroupTable):
    """A finite group: elements 0 … n − 1, mul[a, b] is "a, then b".

    Build one with `from_table`, `from_permutations`, `from_matrices`, a constructor of the zoo or
    `parse_group`; this initializer trusts its arguments. A group is immutable, and two groups are
    equal only if they are the same object.

    Args:
        mul: (n, n) multiplication table of a group.
        identity: its identity.
        name: how it is called.
        labels: how its elements are printed; by default from `forms`, or their numbers.
        forms: the elements themselves where they are something: permutations (n, degree) or
            matrices (n, d, d).
        generators: element ids that generate it; by default found.

    Example:
        >>> s3 = Group.from_permutations([(1, 0, 2), (1, 2, 0)], name="S3")
        >>> s3, s3.derived_length
        (S3 (order 6), 2)
        >>> s3.labels[s3.product(s3.element((1, 0, 2)), s3.element((1, 2, 0)))]
        '(0 2)'
    """

    def __init__(
        self,
        mul: np.ndarray,
        identity: int,
        *,
        name: str | None = None,
        labels: Sequence[str] | None = None,
        forms: np.ndarray | None = None,
        generators: Sequence[int] | None = None,
    ) -> None:
        super().__init__(mul, identity, name=name, labels=labels, forms=forms)
        self._given = None if generators is None else tuple(int(g) for g in generators)
        self.known_spans = KnownSpans()
        self._sealed = True

    @classmethod
    def from_table(
        cls, mul: Any, *, name: str | None = None, labels: Sequence[str] | None = None
    ) -> Group:
        """Check a multiplication table and make it a group.

        Args:
            mul: (n, n) integers in 0 … n − 1, n ≤ 8192; mul[a, b] is "a, then b". The identity may
                have any number.
            name: how to call the group.
            labels: n texts, how to print the elements.

        Returns:
            The group.

        Raises:
            ShapeError: if the table is not square, or the labels are not n.
            DtypeError: if it does not hold integers, or the labels are not texts.
            NotAGroupError: if it is no group; the message holds the witness: the two identities,
                the repeated entry, or a, b, c with (a·b)·c ≠ a·(b·c).
            DomainError: if it is too large, or two labels are equal.

        Complexity: O(r n²) for r ≤ log₂ n generators.

        Example:
            >>> Group.from_table([[0, 1], [1, 0]], name="Z2").is_abelian
            True
        """
        table, identity = check_table(mul)
        given = None if labels is None else read_labels(labels, len(table))
        return cls(table, identity, name=name, labels=given)

    @classmethod
    def from_permutations(
        cls, generators: Sequence[Any], *, name: str | None = None, max_order: int = MAX_ORDER
    ) -> Group:
        """Generate a group of permutations.

        Elements are numbered in lexicographic order, the identity is 0.

        Args:
            generators: permutations p of one degree, p[i] the image of i; none make the trivial
                group.
            name: how to call the group.
            max_order: refuse beyond so many elements, at most 8192.

        Returns:
            The group; its `forms` are the permutations (n, degree), its `generators` those given
            that add something.

        Raises:
            ShapeError: if the degrees differ.
            DtypeError: if the entries are not integers.
            NotAGroupError: if one is not a permutation.
            DomainError: if the group is too large.

        Complexity: O(n (n + r)) for n elements.

        Example:
            >>> Group.from_permutations([(1, 2, 0)]).labels
            ('()', '(0 1 2)', '(0 2 1)')
        """
        perms = read_permutations(generators)
        limit = check_max_order(max_order, MAX_ORDER)
        unit = np.arange(perms.shape[1], dtype=np.int32)
        forms, mul, ids = enumerate_group(
            unit, perms, compose_permutations, limit, name or "their group"
        )
        return cls(mul, 0, name=name, forms=forms, generators=ids.tolist())

    @classmethod
    def from_matrices(
        cls,
        generators: Sequence[Any],
        modulus: int,
        *,
        name: str | None = None,
        max_order: int = MAX_ORDER,
    ) -> Group:
        """Generate a group of matrices over Z/m under the matrix product.

        The identity is 0, the others follow in lexicographic order of their entries.

        Args:
            generators: (r, d, d) integers, r ≥ 1, each invertible mod m.
            modulus: m in 2 … 2¹⁵.
            name: how to call the group.
            max_order: refuse beyond so many elements, at most 8192.

        Returns:
            The group; its `forms` are the matrices (n, d, d).

        Raises:
            ShapeError: if the matrices are not square and of one size.
            DtypeError: if the entries or the modulus are not integers.
            NotAGroupError: if one is not invertible.
            DomainError: if the group is too large, or the modulus out of range.

        Complexity: O(n (n + r d³)) for n elements.

        Example:
            >>> Group.from_matrices([[[1, 1], [0, 1]]], 5)
            group of order 5
        """
        modulus = check_modulus(modulus)
        matrices = read_matrices(generators, modulus)
        limit = check_max_order(max_order, MAX_ORDER)
        unit = np.eye(matrices.shape[1], dtype=np.int64)
        forms, mul, ids = enumerate_group(
            unit, matrices, lambda a, b: a @ b % modulus, limit, name or "their group"
        )
        return cls(mul, 0, name=name, forms=forms, generators=ids.tolist())

    @cached_property
    def generators(self) -> tuple[int, ...]:
        """A small generating set, at most log₂ n elements: those given that add something."""
        if self._given is not None:
            return tuple(Span(self, self._given).generators)
        return orders.small_generating_set(self)

    @cached_property
    def is_abelian(self) -> bool:
        """Whether a·b = b·a for all a, b (seen on generators)."""
        gens = np.array(self.generators, dtype=np.int64)
        block = self.mul[gens[:, None], gens]
        return bool((block == block.T).all())

    @property
    def is_solvable(self) -> bool:
        """Whether the derived series ends at {e}.

        Claims: ssm.C2.
        """
        return self.derived_series()[-1].size == 1

    @property
    def derived_length(self) -> int | float:
        """Least k with G⁽ᵏ⁾ = {e}, `math.inf` if the group is not solvable.

        Claims: ssm.C3.
        """
        return len(self.derived_series()) - 1 if self.is_solvable else math.inf

    def derived_series(self) -> tuple[np.ndarray, ...]:
        """Return G, [G, G], [[G, G], [G, G]], … until it no longer shrinks.

        Returns:
            Sorted element arrays, G first; the last is {e} if the group is solvable, else its
            perfect residual. Repeats are dropped: the trivial group gives one.

        Complexity: O(n) for each step, times the squared number of generators.

        Claims: ssm.C3.
        """
        return self.verbal_series(0)

    def verbal_series(self, exponent: int) -> tuple[np.ndarray, ...]:
        """Return G, V(G; m), V(V(G; m); m), …, V(H; m) = ⟨h^m, [h, h'] : h, h' ∈ H⟩.

        V(H; m) is the least normal subgroup with an Abelian quotient whose exponent divides m.

        Args:
            exponent: m ≥ 0; 0 gives the derived series, 1 stalls at once.

        Returns:
            Sorted element arrays, G first, repeats dropped.

        Raises:
            DtypeError: if the exponent is not an integer.
            DomainError: if it is negative.

        Claims: ssm.C5.
        """
        return series.verbal_series(self, exponent)

    def prefix_products(self, tokens: Tensor, alphabet: Elements | None = None) -> Tensor:
        """Return y_t = x₁·x₂·…·x_t at every t.

        Args:
            tokens: (…, T) integers; T = 0 gives an empty result.
            alphabet: (X,) the element of each token; by default token a is element a.

        Returns:
            (…, T) int64 element ids, on the tokens' device.

        Raises:
            RangeError: if a token is outside 0 … X − 1.
            DtypeError: if the tokens are not integers.
            ShapeError: if they have no time dimension.

        Complexity: O(T) products in about 2√T vectorized steps.
        """
        from coset.groups.prefix import prefix_products

        return prefix_products(self, tokens, alphabet)

    def renamed(self, name: str, labels: Sequence[str] | None = None) -> Group:
        """Return the same group under another name.

        Args:
            name: the new name.
            labels: n new labels; by default the old ones.

        Returns:
            The group; it shares the table.

        Raises:
            ShapeError, DtypeError, DomainError: if the labels are not n different texts.
        """
        given = None if labels is None else read_labels(labels, self.order)
        kept = self.__dict__.get("labels") if given is None else given
        return Group(
            self.mul,
            self.identity,
            name=name,
            labels=kept,
            forms=self.forms,
            generators=self._given,
        )

    def relabel(self, permutation: Sequence[int]) -> Group:
        """Return the same group with element a called permutation[a].

        Args:
            permutation: each of 0 … n − 1 once.

        Returns:
            The group; labels and forms move along.

        Raises:
            RangeError: if it is not a permutation of the elements.
        """
        new = element_array(self, permutation, "the new numbers")
        if new.size != self.order or np.unique(new).size != self.order:
            raise RangeError(
                f"the new numbers must be each of 0 … {self.order - 1} once; given {new.size} "
                f"numbers, {np.unique(new).size} of them different"
            )
        old = np.argsort(new)
        return Group(
            new[self.mul[old[:, None], old]],
            int(new[self.identity]),
            name=self.name,
            labels=[self.labels[a] for a in old.tolist()],
            forms=None if self.forms is None else self.forms[old],
            generators=None if self._given is None else [int(new[g]) for g in self._given],
        )

    def subgroup_group(self, elements: Elements) -> tuple[Group, np.ndarray]:
        """Return a subgroup as a group of its own, and where its elements lie.

        Args:
            elements: the elements of a subgroup, all of them.

        Returns:
            The group and the embedding (k,): its element i is element embedding[i] here.

        Raises:
            DomainError: if they are not a subgroup.
        """
        from coset.groups.subgroups import read_subgroup

        members = element_set(self, elements)
        span = read_subgroup(self, members)
        place = np.full(self.order, -1)
        place[members] = np.arange(members.size)
        group = Group(
            place[self.mul[members[:, None], members]],
            int(place[self.identity]),
            name=f"subgroup of {self.name} of order {members.size}",
            labels=[self.labels[a] for a in members.tolist()],
            forms=None if self.forms is None else self.forms[members],
            generators=place[span.generators].tolist(),
        )
        return group, freeze(members)
