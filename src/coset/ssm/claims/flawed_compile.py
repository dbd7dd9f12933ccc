"""The compiler with one wrong term, so that the claims about it can be seen to fail."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import CosetError
from coset.groups import Group, abelian_basis, generated_subgroup
from coset.ssm.compile import compile_group
from coset.ssm.errors import NotSolvableError

__all__ = ["Compiled", "Flaw", "compiled_tables", "flawed_tables"]

# Moduli and increments of each layer, and the element that each code names.
Compiled = tuple[list[list[int]], list[Tensor], Tensor]
Compiler = Callable[[Tensor, Tensor], Compiled | None]


def compiled_tables(mul: Tensor, alphabet: Tensor) -> Compiled | None:
    """Compile a group given by its table, and return all numbers.

    Args:
        mul: (n, n) int64 products.
        alphabet: (X,) int64 element ids that generate the group.

    Returns:
        Moduli and increments of each layer and the element that each code names; ``None`` if the
        group is refused as not solvable.

    Claims: ssm.C1, ssm.C2.
    """
    group = Group.from_table(mul.numpy())
    try:
        tracker = compile_group(group, alphabet)
    except NotSolvableError:
        return None
    increments = [torch.from_numpy(layer.increments.copy()) for layer in tracker.layers]
    moduli = [list(layer.moduli) for layer in tracker.layers]
    return moduli, increments, torch.from_numpy(tracker.elements.copy())


@dataclass(frozen=True)
class Flaw:
    """Which term of the compiler is wrong; the defaults are right.

    Attributes:
        left_cosets: elements are written r·n instead of n·r.
        swapped_product: the token is multiplied from the left.
        current_gate: a layer reads the cells after the token instead of those before it.
        split: representatives are taken to multiply to representatives (a semidirect product).
        generators_only: commutators of generators span the next subgroup, normal or not.
        one_phase: only the largest cyclic factor of a layer is kept.
        negated: tokens turn phases backwards.
        first_come: cyclic factors are taken in the order of elements, not the largest first.
    """

    left_cosets: bool = False
    swapped_product: bool = False
    current_gate: bool = False
    split: bool = False
    generators_only: bool = False
    one_phase: bool = False
    negated: bool = False
    first_come: bool = False


def flawed_tables(flaw: Flaw) -> Compiler:
    """Return the compiler with a flaw.

    Args:
        flaw: what is wrong.

    Returns:
        A function like `compiled_tables`; ``None`` also where the flaw leaves nothing to build on.
    """

    def tables(mul: Tensor, alphabet: Tensor) -> Compiled | None:
        group = Group.from_table(mul.numpy())
        try:
            return _assemble(group, alphabet.numpy(), flaw)
        except CosetError:  # a subgroup that is none, a factor that is not Abelian
            return None

    return tables


def _series(group: Group, flaw: Flaw) -> list[np.ndarray]:
    if not flaw.generators_only:
        return [np.asarray(v) for v in group.derived_series()]
    series = [np.arange(group.order)]
    while True:
        inner, embedding = group.subgroup_group(series[-1])
        found = [inner.commutator(a, b) for a in inner.generators for b in inner.generators]
        after = np.sort(embedding[generated_subgroup(inner, np.array(found or [inner.identity]))])
        if len(after) == len(series[-1]):
            return series
        series.append(after)


def _basis(
    group: Group, upper: np.ndarray, lower: np.ndarray, flaw: Flaw
) -> tuple[list[int], np.ndarray]:
    basis = abelian_basis(group, upper, lower)
    moduli, coordinates = list(basis.moduli), basis.coordinates
    if flaw.one_phase:
        moduli, coordinates = moduli[:1], coordinates[:, :1]
    if flaw.first_come:
        moduli, coordinates = _greedy(group, upper, lower)
    return moduli, coordinates


def _greedy(group: Group, upper: np.ndarray, lower: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Split upper/lower by the first elements that are new; wrong unless their orders fall."""
    moduli: list[int] = []
    spanned = {int(n): () for n in lower}
    places: dict[int, tuple[int, ...]] = dict(spanned)
    for a in upper.tolist():
        if a in places:
            continue
        order, power = 1, a
        while power not in places:
            power, order = int(group.mul[power, a]), order + 1
        turned = [int(group.power(a, j)) for j in range(order)]
        places = {
            int(group.mul[n, p]): (*place, j)
            for n, place in places.items()
            for j, p in enumerate(turned)
        }
        moduli.append(order)
    coordinates = np.full((group.order, len(moduli)), -1, dtype=np.int64)
    for n, place in places.items():
        coordinates[n] = place
    return moduli, coordinates


def _assemble(group: Group, tokens: np.ndarray, flaw: Flaw) -> Compiled | None:
    series = _series(group, flaw)
    if len(series[-1]) > 1:
        return None
    cells, num_cells = np.zeros(group.order, dtype=np.int64), 1
    moduli: list[list[int]] = []
    tables: list[Tensor] = []
    for upper, lower in itertools.pairwise(series):
        top, coordinates = _basis(group, upper, lower, flaw)
        first = np.full(num_cells, group.identity, dtype=np.int64)
        first[cells[::-1]] = np.arange(group.order)[::-1]
        first[cells[group.identity]] = group.identity
        increments = coordinates[_shifts(group, tokens, cells, first, flaw)]
        if (increments < 0).any():
            return None
        if flaw.negated:
            increments = -increments % np.array(top)
        if flaw.current_gate:
            after = cells[group.mul[first[:, None], tokens[None]]]
            read = increments.copy()
            increments[after, np.arange(len(tokens))[None]] = read
        moduli.append(top)
        tables.append(torch.from_numpy(np.ascontiguousarray(increments)))
        back, every = group.inverse[first][cells], np.arange(group.order)
        phases = coordinates[group.mul[back, every] if flaw.left_cosets else group.mul[every, back]]
        for j, m in enumerate(top):
            cells = cells * m + phases[:, j]
            num_cells *= m
    if (cells < 0).any() or (cells >= num_cells).any():
        return None
    elements = np.full(num_cells, -1, dtype=np.int64)
    elements[cells] = np.arange(group.order)
    return moduli, tables, torch.from_numpy(elements)


def _shifts(
    group: Group, tokens: np.ndarray, cells: np.ndarray, first: np.ndarray, flaw: Flaw
) -> np.ndarray:
    """Return r(q)·x·r(q')⁻¹ for every cell and token, or what the flaw makes of it."""
    mul, back = group.mul, group.inverse[first]
    start, x = first[:, None], tokens[None]
    moved = mul[x, start] if flaw.swapped_product else mul[start, x]
    after = back[cells[moved]]
    shifts: np.ndarray = mul[after, moved] if flaw.left_cosets else mul[moved, after]
    if flaw.split:
        inside = mul[tokens, back[cells[tokens]]][None]
        shifts = mul[mul[start, inside], back[:, None]]
    return shifts
