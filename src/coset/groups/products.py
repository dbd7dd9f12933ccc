"""Direct, semidirect and wreath products."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from coset.core.errors import DtypeError, ShapeError
from coset.groups.errors import NotAGroupError
from coset.groups.group import Group
from coset.groups.tables import check_order

__all__ = ["direct_product", "semidirect_product", "wreath_product"]


def _kron(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    n, m = len(first), len(second)
    grid = first[:, None, :, None].astype(np.int32) * m + second[None, :, None, :]
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
    name = "x".join(_factor_name(group) for group in groups)
    for group in groups:
        order *= group.order
        check_order(order, name)
    labels = [[label] for label in groups[0].labels]
    for group in groups[1:]:
        labels = [[*before, label] for before in labels for label in group.labels]
    identities = [group.identity for group in groups]
    sizes = tuple(group.order for group in groups)
    gens = [
        int(np.ravel_multi_index([*identities[:i], g, *identities[i + 1 :]], sizes))
        for i, group in enumerate(groups)
        for g in group.generators
    ]
    return Group(
        functools.reduce(_kron, [group.mul for group in groups]),
        int(np.ravel_multi_index(identities, sizes)),
        name=name,
        labels=[f"({', '.join(parts)})" for parts in labels],
        generators=gens,
    )


def _check_group(group: Any) -> None:
    if not isinstance(group, Group):
        raise DtypeError(f"a factor must be a Group; given {type(group).__name__}")


def _factor_name(group: Group) -> str:
    """Return the name as it stands beside others: in parentheses where it is a product itself."""
    name, depth = group.name, 0
    for place, letter in enumerate(name):
        depth += (letter == "(") - (letter == ")")
        if not depth and (letter in " :" or name[place : place + 2] == "wr"):
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
    name = f"{_factor_name(normal)}:{_factor_name(acting)}"
    check_order(normal.order * acting.order, name)
    table = np.asarray(action)
    if table.shape != (acting.order, normal.order):
        raise ShapeError(
            f"the action must have a row for each of the {acting.order} elements of H and a column "
            f"for each of the {normal.order} of N; given shape {table.shape}"
        )
    if not np.issubdtype(table.dtype, np.integer):
        raise DtypeError(f"the action must hold element ids of N; given {table.dtype}")
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
    name = f"{_factor_name(bottom)}wr{_factor_name(top)}"
    places = top.order
    check_order(bottom.order ** min(places, 64) * places if bottom.order > 1 else places, name)
    base = direct_product(*[bottom] * places)
    sizes = (bottom.order,) * places
    entries = np.stack(np.unravel_index(np.arange(base.order), sizes))
    action = np.stack(
        [np.ravel_multi_index(tuple(entries[top.mul[:, b]]), sizes) for b in range(places)]
    )
    return semidirect_product(base, top, action).renamed(name)
