"""Bases of Abelian factors: N/M ≅ Z_{m₁} × … × Z_{m_r} with m_{j+1} | m_j."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from coset.core.errors import DomainError
from coset.groups.cosets import cosets_of
from coset.groups.elements import Elements, freeze
from coset.groups.orders import commutators, powers, prime_factors
from coset.groups.subgroups import commutator_subgroup, normalizes, read_subgroup

if TYPE_CHECKING:
    from coset.groups.group import Group
    from coset.groups.span import Span

__all__ = ["AbelianBasis", "abelian_basis", "abelian_invariants"]


@dataclass(frozen=True, eq=False)
class AbelianBasis:
    """Coordinates of an Abelian factor N/M.

    Attributes:
        moduli: (r,) the invariant factors, largest first, each dividing the one before.
        generators: (r,) int64 elements of N; generator j has coordinate 1 at place j, else 0.
        coordinates: (n, r) int64 coordinates of each element of N, −1 outside N; a product has the
            sum of the coordinates, mod the moduli.
    """

    moduli: tuple[int, ...]
    generators: np.ndarray = field(repr=False)
    coordinates: np.ndarray = field(repr=False)


def _check_factor(group: Group, inner: Span, outer: Span) -> None:
    if not outer.mask[inner.members].all():
        raise DomainError("M must lie in N for a factor N/M; given an M with elements outside N")
    if not normalizes(group, inner, outer.generators):
        raise DomainError("M must be normal in N for a factor N/M; the M given is not")
    gens = np.array(outer.generators, dtype=np.int64)
    outside = ~inner.mask[commutators(group, gens, gens)]
    if outside.any():
        a, b = gens[np.argwhere(outside)[0]].tolist()
        raise DomainError(
            f"N/M must be Abelian; the commutator of {a} and {b} is not in M; "
            f"use a series whose factors are, such as derived_series()"
        )


class _Factor:
    """N/M as classes 0 … Q − 1, with the orders of the classes."""

    def __init__(self, group: Group, inner: Span, outer: Span) -> None:
        self.group, self.cosets = group, cosets_of(group, inner, outer)
        self.reps = self.cosets.representatives
        count = self.reps.size
        self.orders = np.ones(count, dtype=np.int64)
        # Of each class a and prime p of its order k: the class of a^(k/p), which generates the
        # subgroup of order p of ⟨a⟩.
        self.sockets: list[np.ndarray] = []
        for p, k in prime_factors(count).items():
            part = powers(group, self.reps, count // p**k)
            socket = np.zeros(count, dtype=np.int64)
            for _ in range(k):
                alive = self.cosets.index[part] != 0
                if not alive.any():
                    break
                self.orders[alive] *= p
                socket[alive] = self.cosets.index[part[alive]]
                part = powers(group, part, p)
            self.sockets.append(socket)

    def independent(self, inside: np.ndarray) -> np.ndarray:
        """Return which classes a have ⟨a⟩ ∩ H = {e}, for H given as a mask of classes."""
        free = ~inside
        for socket in self.sockets:
            free &= ~inside[socket] | (socket == 0)
        return free

    def shift(self, classes: np.ndarray, generator: int, modulus: int) -> np.ndarray:
        """Return the classes h·a^s for each h and s = 0 … m − 1, as (k, m)."""
        steps = np.full(modulus, self.group.identity)
        for s in range(1, modulus):
            steps[s] = self.group.mul[steps[s - 1], generator]
        products = self.group.mul[self.reps[classes][:, None], steps]
        shifted: np.ndarray = self.cosets.index[products]
        return shifted


def _find_basis(factor: _Factor) -> tuple[list[int], list[int], np.ndarray, np.ndarray]:
    """Return moduli, generating elements, classes in order of enumeration, their coordinates."""
    count = factor.reps.size
    inside = np.zeros(count, dtype=bool)
    inside[0] = True
    classes, coordinates = np.zeros(1, dtype=np.int64), np.zeros((1, 0), dtype=np.int64)
    moduli: list[int] = []
    generators: list[int] = []
    while classes.size < count:
        # If A = H ⊕ K, a class with ⟨a⟩ ∩ H = {e} has the order of its part in K, and an element of
        # the largest order of K spans a direct summand.
        best = int(np.argmax(np.where(factor.independent(inside), factor.orders, 0)))
        m = int(factor.orders[best])
        moduli.append(m)
        generators.append(int(factor.reps[best]))
        grown = factor.shift(classes, generators[-1], m)
        steps = np.broadcast_to(np.arange(m), grown.shape)
        before = np.repeat(coordinates, m, axis=0)
        coordinates = np.concatenate([before, steps.reshape(-1, 1)], axis=1)
        classes = grown.ravel()
        inside[classes] = True
    return moduli, generators, classes, coordinates


def abelian_basis(group: Group, subgroup: Elements, modulo: Elements) -> AbelianBasis:
    """Return coordinates of the Abelian factor N/M.

    Args:
        group: the group; N need not be normal in it.
        subgroup: N, all its elements.
        modulo: M, normal in N with N/M Abelian, all its elements.

    Returns:
        The basis; r = 0 for N = M.

    Raises:
        DomainError: if N or M is not a subgroup, M is not normal in N, or N/M is not Abelian.
        RangeError: if one is not an element.
        DtypeError: if they are not integers.

    Complexity: O(|N| (log² |N| + r)) plus the cosets.

    Claims: ssm.C1, ssm.C2.

    Example:
        >>> from coset.groups import abelian
        >>> abelian_basis(abelian(4, 6), range(24), [0]).moduli
        (12, 2)
    """
    outer, inner = read_subgroup(group, subgroup, "N"), read_subgroup(group, modulo, "M")
    _check_factor(group, inner, outer)
    factor = _Factor(group, inner, outer)
    moduli, generators, classes, found = _find_basis(factor)
    by_class = np.empty_like(found)
    by_class[classes] = found
    members = outer.members
    coordinates = np.full((group.order, len(moduli)), -1, dtype=np.int64)
    coordinates[members] = by_class[factor.cosets.index[members]]
    ids = freeze(np.array(generators, dtype=np.int64))
    return AbelianBasis(tuple(moduli), ids, freeze(coordinates))


def abelian_invariants(group: Group) -> tuple[int, ...]:
    """Return the invariant factors of G/[G, G], largest first, each dividing the one before.

    Args:
        group: the group.

    Returns:
        The moduli; none for a perfect group.

    Example:
        >>> from coset.groups import quaternion
        >>> abelian_invariants(quaternion())
        (2, 2)
    """
    residual = commutator_subgroup(group)
    return abelian_basis(group, np.arange(group.order), residual).moduli
