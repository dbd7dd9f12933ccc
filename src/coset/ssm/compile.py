"""Compile a group into a stack of diagonal layers that tracks it at every length (A1).

Let N_0 = G ⊵ N_1 ⊵ … ⊵ N_k = {e} have Abelian factors and let r(q) stand for the coset N_i·r(q).
Write y = n·r(q). Then y·x = n·(r(q)·x·r(q')⁻¹)·r(q'), so n is multiplied by an element of N_i that
depends on the coset and the token only: modulo N_{i+1}, in coordinates, that is an addition.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.groups import Group, abelian_basis, commutator_subgroup, is_normal, is_subgroup
from coset.ssm.alphabet import Alphabet, as_group, element_ids, resolve_alphabet
from coset.ssm.cascade import Cascade
from coset.ssm.errors import NotSolvableError, NotTrackableError
from coset.ssm.phase_layer import PhaseLayer
from coset.ssm.tracker import CompiledTracker
from coset.ssm.tracking import LayerPlan, generated_group, plan_layers

__all__ = ["SubgroupWarning", "compile_group"]

# Increments of one layer take 8 bytes each.
MAX_INCREMENTS = 2**27


class SubgroupWarning(UserWarning):
    """The alphabet generates a proper subgroup, and only that is tracked."""


def compile_group(
    group: Group | str,
    alphabet: Alphabet = None,
    *,
    layers: str | None = None,
    series: Sequence[Sequence[int] | np.ndarray] | None = None,
) -> CompiledTracker:
    """Build the diagonal layers that track a group: right on every word, of any length.

    Θ_i[q, x] = coordinates of r(q)·x·r(q')⁻¹ in N_i/N_{i+1}, with q' the coset of r(q)·x. The
    layers are as few as possible: one for each step of the derived series.

    Args:
        group: the group or its name ("S4", "SL(2,3)").
        alphabet: (X,) the element of each token; "generators" for a small generating set; ``None``
            for all elements. If it generates a proper subgroup, that is tracked, with a warning.
        layers: classes of the layers from bottom to top, letters of "trpc"; layers with nothing
            to do are left out.
        series: another subnormal series with Abelian factors, from all (generated) elements to
            the identity alone, as element ids.

    Returns:
        The tracker; ``certificate().verify()`` proves it right.

    Raises:
        NotSolvableError: if the group is not solvable: no stack of any depth tracks it.
        NotTrackableError: if layers of these classes, in this order, do not track it.
        DomainError: if the series is none, both `layers` and `series` are given, or a name or
            letter is unknown.
        UnsupportedError: if the tables would be too large.

    Complexity: Σ_i |G/N_i|·X·r_i table entries, and as many group products.

    Claims: ssm.C1, ssm.C2, ssm.C3, ssm.C5.

    Example:
        >>> compile_group("S3", "generators")
        CompiledTracker(S3, 2 tokens, [2][3])
        >>> compile_group("A5")
        Traceback (most recent call last):
        coset.ssm.errors.NotSolvableError: a tracked group must be solvable; the derived series of
        A5 is 60 and stays at a perfect group of order 60, which no stack of diagonal layers tracks,
        at any depth: use a recurrence that is not diagonal, or a solvable group
    """
    group = as_group(group)
    tokens = resolve_alphabet(group, alphabet)
    if layers is not None and series is not None:
        raise DomainError("give layers or a series, not both: the classes fix the series")
    plan = plan_layers(group, tokens, layers) if series is None else _given(group, tokens, series)
    num_values = plan.sizes[0]
    if num_values < group.order:
        warnings.warn(
            f"the alphabet generates {num_values} of the {group.order} elements of {group.name}; "
            f"only these are tracked",
            SubgroupWarning,
            stacklevel=2,
        )
    if plan.sizes[-1] > 1:
        _refuse(group, plan, layers)
    return _assemble(group, tokens, plan)


def _refuse(group: Group, plan: LayerPlan, layers: str | None) -> None:
    sizes = " → ".join(map(str, plan.sizes))
    rest = plan.sizes[-1]
    if layers is None:
        raise NotSolvableError(
            f"a tracked group must be solvable; the derived series of {group.name} is {sizes} and "
            f"stays at a perfect group of order {rest}, which no stack of diagonal layers tracks, "
            f"at any depth: use a recurrence that is not diagonal, or a solvable group",
            tuple(int(y) for y in np.unique(plan.values[plan.series[-1]])),
        )
    raise NotTrackableError(
        f"layers {layers!r} must leave one value of {group.name}; what is left below and above "
        f"them is {sizes}: choose other classes or another order (coset.ssm.can_track tells), or "
        f"leave layers out",
        layers,
        rest,
    )


def _given(
    group: Group, tokens: np.ndarray, series: Sequence[Sequence[int] | np.ndarray]
) -> LayerPlan:
    """Return the plan of a user's series, checked step by step."""
    inner, embedding, inside = generated_group(group, tokens)
    place = np.full(group.order, -1, dtype=np.int64)
    place[embedding] = np.arange(inner.order)
    chain = []
    if isinstance(series, str) or not isinstance(series, Iterable):
        raise DtypeError(
            f"a series must be a sequence of subgroups, each as element ids; "
            f"given {type(series).__name__}"
        )
    for step, subgroup in enumerate(series):
        ids = element_ids(group, subgroup, f"subgroup {step} of a series")
        if (place[ids] < 0).any():
            raise DomainError(
                f"subgroup {step} of the series must lie in the {inner.order} elements that the "
                f"tokens generate; element {int(ids[place[ids] < 0][0])} does not"
            )
        chain.append(np.unique(place[ids]))
    if not chain or len(chain[0]) != inner.order or len(chain[-1]) != 1:
        sizes = [len(v) for v in chain]
        raise DomainError(
            f"a series must go from all {inner.order} generated elements to the identity alone; "
            f"given sizes {sizes}"
        )
    for step in range(len(chain) - 1):
        _check_step(inner, chain[step], chain[step + 1], step)
    letters = "c" * (len(chain) - 1)
    return LayerPlan(inner, inside, embedding, None, 1, letters, tuple(chain))


def _check_step(group: Group, upper: np.ndarray, lower: np.ndarray, step: int) -> None:
    where = f"in step {step} of the series, from {len(upper)} to {len(lower)} elements,"
    if not is_subgroup(group, lower) or not np.isin(lower, upper).all():
        raise DomainError(f"{where} the second must be a subgroup of the first; it is not")
    if not is_normal(group, lower, within=upper):
        raise DomainError(f"{where} the second must be normal in the first; it is not")
    if not np.isin(commutator_subgroup(group, upper, upper), lower).all():
        raise DomainError(f"{where} the factor must be Abelian; it is not: refine the series")


def _assemble(group: Group, tokens: np.ndarray, plan: LayerPlan) -> CompiledTracker:
    order = plan.group.order
    cells, num_cells = np.zeros(order, dtype=np.int64), 1
    built, letters, left = [], "", [plan.series[0]]
    for letter, upper, lower in zip(plan.letters, plan.series[:-1], plan.series[1:], strict=True):
        if len(upper) == len(lower):
            continue  # nothing to do for this layer
        if letter == "t":
            layer, phases = _clock(plan, num_cells)
        else:
            layer, phases = _phase_layer(plan.group, plan.tokens, (upper, lower), cells, num_cells)
        for j, m in enumerate(layer.moduli):
            cells = cells * m + phases[:, j]
            num_cells *= m
        built.append(layer)
        letters += letter
        left.append(lower)
    cascade = Cascade(tuple(built), len(tokens))
    elements = np.full(cascade.num_codes, -1, dtype=np.int64)
    elements[cells] = plan.values
    codes = np.full(group.order, -1, dtype=np.int64)
    codes[plan.values[::-1]] = cells[::-1]
    open_values = tuple(np.unique(plan.values[v]) for v in left)
    return CompiledTracker(group, tokens, cascade, codes, elements, open_values, letters)


def _clock(plan: LayerPlan, num_cells: int) -> tuple[PhaseLayer, np.ndarray]:
    """Return the time-invariant layer: every token adds 1 modulo M."""
    assert plan.lengths is not None
    ones = np.ones((num_cells, len(plan.tokens), 1), dtype=np.int64)
    return PhaseLayer((plan.modulus,), ones % plan.modulus), plan.lengths[:, None]


def _phase_layer(
    group: Group,
    tokens: np.ndarray,
    factor: tuple[np.ndarray, np.ndarray],
    cells: np.ndarray,
    num_cells: int,
) -> tuple[PhaseLayer, np.ndarray]:
    """Return the layer of the factor N/M, and the coordinates of every element in it.

    Args:
        group: the group.
        tokens: (X,) element ids.
        factor: N and M, sorted element ids.
        cells: (n,) the code of the lower layers at each element: equal iff in one coset N·y.
        num_cells: how many codes the lower layers have.

    Returns:
        The layer, and (n, r) coordinates.
    """
    basis = abelian_basis(group, *factor)
    rank = len(basis.moduli)
    if num_cells * len(tokens) * rank > MAX_INCREMENTS:
        raise UnsupportedError(
            f"a layer may have {MAX_INCREMENTS} increments; this one needs {num_cells} cells × "
            f"{len(tokens)} tokens × {rank} phases; use a smaller alphabet such as 'generators'"
        )
    order, identity = group.order, group.identity
    first = np.full(num_cells, identity, dtype=np.int64)
    first[cells[::-1]] = np.arange(order)[::-1]  # the smallest element of each coset
    first[cells[identity]] = identity
    moved = group.mul[first[:, None], tokens[None]]
    after = cells[moved]
    back = group.inverse[first]
    increments = basis.coordinates[group.mul[moved, back[after]]]
    if order // len(factor[0]) < num_cells:
        increments[np.setdiff1d(np.arange(num_cells), cells)] = 0  # codes that no word reaches
    phases = basis.coordinates[group.mul[np.arange(order), back[cells]]]
    return PhaseLayer(basis.moduli, increments), phases
