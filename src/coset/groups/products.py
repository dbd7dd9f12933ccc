"""Direct, semidirect and wreath products."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from coset.core.errors import DtypeError, ShapeError
from coset.groups.elements import integer_array
from coset.groups.errors import NotAGroupError
from coset.groups.group import Group
from coset.groups.tables import check_order

__all__ = ["direct_product", "factor_name", "semidirect_product", "wreath_product"]


def _strides(sizes: list[int]) -> list[int]:
    """Return how far apart neighbors in each factor are; the last factor is fastest."""
    return [math.prod(sizes[place + 1 :]) for place in range(len(sizes))]


def _kron(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the table of first × second; folded from the last factor, inner loops are long."""
    n, m = len(first), len(second)
    grid = first[:, None, :, None] * np.int32(m) + second[None, :, None, :]
    table: np.ndarray = grid.reshape(n * m, n * m)
    return table


def direct_product(*groups: Group) -> Group:
    """Return G₁ × … × G_k, multiplied factor by factor.

    Args:
        *groups: the factors; none give the trivial group.

    Returns:
        The group; elements are numbered in lexicographic order, the last factor fastest.

    Raises:
        DtypeError: if an argument is not a group.
        DomainError: if the order is above 8192.

    Example:
        >>> from coset.groups import cyclic, symmetric
        >>> direct_product(symmetric(3), cyclic(2))
        S3xZ2 (order 12)
    """
    if not groups:
        return Group(np.zeros((1, 1)), 0, name="Z1", generators=[])
    for group in groups:
        _check_group(group)
    if len(groups) == 1:
        return groups[0]
    order = 1
    name = "x".join(factor_name(group.name, "x") for group in groups)
    for group in groups:
        order *= group.order
        check_order(order, name)
    labels = [[label] for label in groups[0].labels]
    for group in groups[1:]:
        labels = [[*before, label] for before in labels for label in group.labels]
    strides = _strides([group.order for group in groups])
    identity = sum(group.identity * step for group, step in zip(groups, strides, strict=True))
    gens = [
        identity + (g - group.identity) * step
        for group, step in zip(groups, strides, strict=True)
        for g in group.generators
    ]
    return Group(
        functools.reduce(_kron, [group.mul for group in reversed(groups)]),
        identity,
        name=name,
        labels=[f"({', '.join(parts)})" for parts in labels],
        generators=gens,
    )


def _check_group(group: Any) -> None:
    if not isinstance(group, Group):
        raise DtypeError(f"a factor must be a Group; given {type(group).__name__}")


def factor_name(name: str, operator: str) -> str:
    """Return a name as it stands beside an operator, in parentheses where they are needed.

    Args:
        name: of a group.
        operator: "x" for direct, "wr" for wreath and ":" for semidirect products, "^" for powers.

    Returns:
        The name; wr binds tighter than x, and ^ tighter than both.

    Example:
        >>> factor_name("Z2xZ4", "wr"), factor_name("Z2xZ4", "x"), factor_name("SL(2,3)", "wr")
        ('(Z2xZ4)', 'Z2xZ4', 'SL(2,3)')
    """
    loose = (" ", ":") if operator == "x" else (" ", ":", "x", "wr", "^")
    depth = 0
    for place, letter in enumerate(name):
        depth += (letter == "(") - (letter == ")")
        if not depth and name.startswith(loose, place):
            return f"({name})"
    return name


def _check_action(normal: Group, acting: Group, action: np.ndarray) -> None:
    own = np.arange(normal.order)
    for h in range(acting.order):
        image = action[h]
        if not (np.sort(image) == own).all():
            raise NotAGroupError(f"each row of the action must be a permutation; row {h} is not")
        for g in normal.generators:
            wrong = image[normal.mul[:, g]] != normal.mul[image, image[g]]
            if wrong.any():
                a = int(np.flatnonzero(wrong)[0])
                raise NotAGroupError(
                    f"each row of the action must be an automorphism; in row {h} the image of "
                    f"{a}·{g} is not the product of the images"
                )
    for b in acting.generators:
        wrong_rows = (action[acting.mul[:, b]] != action[:, action[b]]).any(1)
        if wrong_rows.any():
            a = int(np.flatnonzero(wrong_rows)[0])
            raise NotAGroupError(
                f"the action must respect products: row a·b is row a after row b; "
                f"it is not for a = {a}, b = {b}"
            )


def semidirect_product(normal: Group, acting: Group, action: Any) -> Group:
    """Return N ⋊ H: (n, h)·(n', h') = (n·φ_h(n'), h·h').

    Inside it φ_h(n) = h·n·h⁻¹, and each element is n·h.

    Args:
        normal: N.
        acting: H.
        action: (|H|, |N|) integers; row h is the automorphism φ_h, with φ_{a·b} = φ_a ∘ φ_b.

    Returns:
        The group; element n·|H| + h is (n, h).

    Raises:
        DtypeError: if a factor is not a group, or the action does not hold integers.
        ShapeError: if the action has another shape.
        NotAGroupError: if a row is not an automorphism, or rows do not respect products.
        DomainError: if the order is above 8192.

    Complexity: O((|N||H|)²).

    Example:
        >>> from coset.groups import cyclic
        >>> s3 = semidirect_product(cyclic(3), cyclic(2), [[0, 1, 2], [0, 2, 1]])
        >>> s3, s3.is_abelian
        (Z3:Z2 (order 6), False)
    """
    _check_group(normal)
    _check_group(acting)
    name = f"{factor_name(normal.name, ':')}:{factor_name(acting.name, ':')}"
    check_order(normal.order * acting.order, name)
    table = integer_array(action, "the element ids of N in the action")
    if table.shape != (acting.order, normal.order):
        raise ShapeError(
            f"the action must have a row for each of the {acting.order} elements of H and a column "
            f"for each of the {normal.order} of N; given shape {table.shape}"
        )
    _check_action(normal, acting, table)
    k = acting.order
    n, h = np.divmod(np.arange(normal.order * k), k)
    mul = normal.mul[n[:, None], table[h][:, n]].astype(np.int32) * k + acting.mul[h[:, None], h]
    gens = [g * k + acting.identity for g in normal.generators]
    gens += [normal.identity * k + g for g in acting.generators]
    return Group(
        mul,
        normal.identity * k + acting.identity,
        name=name,
        labels=[f"({a}, {b})" for a in normal.labels for b in acting.labels],
        generators=gens,
    )


def wreath_product(bottom: Group, top: Group) -> Group:
    """Return A ≀ B = A^|B| ⋊ B, B shifting the places as it multiplies itself.

    With b in B and f: B → A, φ_b(f)(x) = f(x·b). Wreath products of solvable groups add their
    derived lengths where B is not trivial and A is Abelian.

    Args:
        bottom: A.
        top: B.

    Returns:
        The group of order |A|^|B|·|B|.

    Raises:
        DtypeError: if an argument is not a group.
        DomainError: if the order is above 8192.

    Claims: ssm.C4.

    Example:
        >>> from coset.groups import cyclic
        >>> wreath_product(cyclic(2), cyclic(2)).order
        8
    """
    _check_group(bottom)
    _check_group(top)
    name = f"{factor_name(bottom.name, 'wr')}wr{factor_name(top.name, 'wr')}"
    places = top.order
    check_order(bottom.order ** min(places, 64) * places if bottom.order > 1 else places, name)
    if bottom.order == 1:
        return top.renamed(name)
    base = direct_product(*[bottom] * places)
    strides = np.array(_strides([bottom.order] * places))[:, None]
    entries = np.arange(base.order) // strides % bottom.order
    action = np.stack([(entries[top.mul[:, b]] * strides).sum(0) for b in range(places)])
    return semidirect_product(base, top, action).renamed(name)
