"""Which groups a stack of diagonal layers tracks, and how deep it must be: exact algebra.

A layer of class c (complex, sees the input) takes the subgroup V that is left to [V, V]; one of
class r (real, signed) to the smallest N with V/N of exponent 2; one of class p (non-negative)
nowhere. A time-invariant layer (t) counts positions, which helps only where the length of a word
says something of its value. The stack tracks the group iff nothing is left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.core.results import Verdict
from coset.groups import (
    Group,
    commutator_subgroup,
    generated_subgroup,
    normal_closure,
    verbal_subgroup,
)
from coset.groups.tables import MAX_ORDER
from coset.ssm.alphabet import Alphabet, as_group, resolve_alphabet

__all__ = [
    "LayerPlan",
    "TrackingVerdict",
    "can_track",
    "check_layers",
    "generated_group",
    "length_subgroup",
    "plan_layers",
    "tracking_depth",
    "tracking_series",
    "with_length",
]

CLASSES = "trpc"


@dataclass(frozen=True)
class TrackingVerdict(Verdict):
    """Whether layers of given classes track a group, with the series that decides it.

    Attributes:
        group: the group's name.
        layers: the classes from bottom to top, or "" for complex layers of any number.
        sizes: how many values are left undetermined below each layer and above the last, |V_i|.
        stalled_order: the last of them; 1 if the group is tracked.
    """

    group: str = ""
    layers: str = ""
    sizes: tuple[int, ...] = ()
    stalled_order: int = 1


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What each layer of a stack takes from the group, before any increment is computed.

    Attributes:
        group: the group that is compiled: the generated one, or its pairs (value, length mod M).
        tokens: (X,) element ids of `group`.
        values: (|group|,) the element of the user's group that each one stands for.
        lengths: (|group|,) lengths mod `modulus`, or ``None`` if no layer counts positions.
        modulus: M; 1 if no layer counts positions.
        letters: the classes from bottom to top.
        series: len(letters) + 1 subgroups of `group`: what is left below and above each layer.
    """

    group: Group
    tokens: np.ndarray
    values: np.ndarray
    lengths: np.ndarray | None
    modulus: int
    letters: str
    series: tuple[np.ndarray, ...]

    def __repr__(self) -> str:
        steps = " → ".join(map(str, self.sizes))
        return f"LayerPlan({self.group.name}, {self.letters!r}, {steps} values left)"

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each subgroup of the series leaves open."""
        if self.lengths is None:  # values are distinct
            return tuple(len(v) for v in self.series)
        return tuple(len(np.unique(self.values[v])) for v in self.series)


def check_layers(layers: str) -> str:
    """Return the classes of layers if they are letters of "trpc".

    Args:
        layers: bottom to top: t time-invariant, r real signed, p non-negative, c complex.

    Returns:
        The same.

    Raises:
        DomainError: if another letter occurs.
        DtypeError: if it is no string.
    """
    if not isinstance(layers, str):
        raise DtypeError(f"layers must be a string of letters; given {type(layers).__name__}")
    for place, letter in enumerate(layers):
        if letter not in CLASSES:
            raise DomainError(
                f"layers must be letters of {CLASSES!r}, one a layer from bottom to top; "
                f"given {letter!r} at place {place} of {layers!r}"
            )
    return layers


def tracking_series(group: Group | str, layers: str) -> tuple[np.ndarray, ...]:
    """Return the subgroup that is left to track below and above each layer of a stack.

    V₀ = G; V_{i+1} = [V_i, V_i] for c, the verbal subgroup V(V_i; 2) for r, V_i for p and t.

    Args:
        group: the group or its name.
        layers: classes from bottom to top.

    Returns:
        len(layers) + 1 sorted arrays of element ids.

    Raises:
        DomainError: if a letter is unknown.

    Claims: ssm.C2, ssm.C5.

    Example:
        >>> [len(v) for v in tracking_series("S4", "rcr")]
        [24, 12, 4, 1]
    """
    group = as_group(group)
    series = [np.arange(group.order)]
    for letter in check_layers(layers):
        series.append(_next_subgroup(group, series[-1], letter))
    return tuple(series)


def _next_subgroup(group: Group, subgroup: np.ndarray, letter: str) -> np.ndarray:
    if letter == "c":
        return commutator_subgroup(group, subgroup, subgroup)
    if letter == "r":
        return verbal_subgroup(group, subgroup, 2)
    return subgroup


def tracking_depth(group: Group | str, layers: str = "c") -> int | float:
    """Return how many layers of one class the group needs, or ∞.

    For complex layers it is the derived length; for real signed ones the length of the 2-verbal
    series, finite iff the group is a 2-group.

    Args:
        group: the group or its name.
        layers: "c" or "r".

    Returns:
        An integer, or ``math.inf``.

    Raises:
        DomainError: if `layers` is another word.

    Claims: ssm.C3, ssm.C5.

    Example:
        >>> tracking_depth("GL(2,3)"), tracking_depth("A5"), tracking_depth("Z8", "r")
        (4, inf, 3)
    """
    group = as_group(group)
    if layers == "c":
        return group.derived_length
    if layers != "r":
        raise DomainError(f"layers must be 'c' or 'r', one class for all; given {layers!r}")
    series = group.verbal_series(2)
    return len(series) - 1 if len(series[-1]) == 1 else math.inf


def generated_group(group: Group, tokens: np.ndarray) -> tuple[Group, np.ndarray, np.ndarray]:
    """Return the group that the tokens generate, as a group of its own.

    Args:
        group: the group.
        tokens: (X,) element ids.

    Returns:
        The generated group H, its elements' ids in `group` (|H|,), and the tokens' ids in H (X,).
    """
    if len(np.unique(tokens)) == group.order:
        return group, np.arange(group.order), tokens
    elements = generated_subgroup(group, tokens)
    if len(elements) == group.order:
        return group, np.arange(group.order), tokens
    inner, embedding = group.subgroup_group(elements)
    place = np.full(group.order, -1, dtype=np.int64)
    place[embedding] = np.arange(inner.order)
    return inner, np.asarray(embedding), place[tokens]


def length_subgroup(group: Group, tokens: np.ndarray) -> np.ndarray:
    """Return the values that differences of equally long words take: all of G, or less.

    L is the normal closure of {x y⁻¹} over tokens x, y; G/L is cyclic, and the length of a word
    says in which coset of L its value lies.

    Args:
        group: a group that the tokens generate.
        tokens: (X,) element ids.

    Returns:
        Sorted element ids of L.

    Claims: ssm.C5.

    Example:
        >>> from coset.groups import cyclic
        >>> length_subgroup(cyclic(6), np.array([1, 3])).tolist()
        [0, 2, 4]
    """
    first = group.inverse[tokens[0]]
    return normal_closure(group, np.unique(group.mul[tokens, first]))


def with_length(
    group: Group, tokens: np.ndarray, modulus: int
) -> tuple[Group, np.ndarray, np.ndarray, np.ndarray]:
    """Return the group of pairs (value, length mod M) of words: what a stack with a clock tracks.

    Args:
        group: a group that the tokens generate.
        tokens: (X,) element ids.
        modulus: M ≥ 1.

    Returns:
        The group P ≤ G × Z_M, the values (|P|,) and lengths (|P|,) of its elements, and the
        tokens' ids in P (X,).

    Raises:
        DomainError: if M is out of range.
        UnsupportedError: if P has more elements than a table of products may have.

    Claims: ssm.C5.
    """
    if not 1 <= modulus <= MAX_ORDER:
        raise DomainError(f"modulus must lie in 1 … {MAX_ORDER}; given {modulus}")
    seen = np.zeros(group.order * modulus, dtype=bool)
    frontier = np.array([group.identity * modulus])
    seen[frontier] = True
    while frontier.size:
        value, length = np.divmod(frontier, modulus)
        after = group.mul[value[:, None], tokens[None]] * modulus + (length[:, None] + 1) % modulus
        frontier = np.unique(after)
        frontier = frontier[~seen[frontier]]
        seen[frontier] = True
    pairs = np.flatnonzero(seen)
    if len(pairs) > MAX_ORDER:
        raise UnsupportedError(
            f"a table of products may have {MAX_ORDER} pairs (value, length mod {modulus}); "
            f"{group.name} over these tokens has {len(pairs)}; use a smaller group, or layers "
            f"without t"
        )
    place = (np.cumsum(seen) - 1).astype(np.int32)
    values, lengths = np.divmod(pairs, modulus)
    products = group.mul[values[:, None], values[None]] * np.int32(modulus)
    lengths = lengths.astype(np.int32)
    products += (lengths[:, None] + lengths[None]) % np.int32(modulus)
    name = f"{group.name} with length mod {modulus}"
    found = Group.from_table(place[products], name=name)
    inside = place[tokens * modulus + 1 % modulus].astype(np.int64)
    return found, values, lengths.astype(np.int64), inside


def plan_layers(group: Group, tokens: np.ndarray, layers: str | None) -> LayerPlan:
    """Lay the series of a stack: derived for ``None``, else that of its classes.

    Where a layer counts positions and the length of a word says something of its value, the series
    is that of the pairs (value, length mod M), whose subgroup of length 0 such a layer leaves;
    M = |G/L| · 2^(number of r below the first t), or the least order of a token if that is less
    (all that a longer clock would rule out are powers x^M, and these are e already).

    Args:
        group: the user's group.
        tokens: (X,) element ids.
        layers: classes from bottom to top, or ``None`` for as many complex layers as are needed.

    Returns:
        The plan; the stack tracks the group iff its last subgroup leaves one value.

    Raises:
        DomainError: if a letter is unknown.

    Claims: ssm.C2, ssm.C5.
    """
    inner, embedding, inside = generated_group(group, tokens)
    if layers is None:
        series = tuple(np.asarray(v) for v in inner.derived_series())
        letters = "c" * (len(series) - 1)
        return LayerPlan(inner, inside, embedding, None, 1, letters, series)
    letters = check_layers(layers)
    clock = letters.find("t")
    quotient = inner.order // len(length_subgroup(inner, inside)) if clock >= 0 else 1
    if quotient == 1:
        series = tracking_series(inner, letters)
        return LayerPlan(inner, inside, embedding, None, 1, letters, series)
    # At most 2^13 elements: beyond that the power of 2 is never the lesser one.
    signs = min(letters[:clock].count("r"), 13)
    modulus = min(quotient * 2**signs, int(inner.element_orders[inside].min()))
    pairs, values, lengths, inside = with_length(inner, inside, modulus)
    chain = [np.arange(pairs.order)]
    for letter in letters:
        left = _next_subgroup(pairs, chain[-1], letter)
        chain.append(left[lengths[left] == 0] if letter == "t" else left)
    return LayerPlan(pairs, inside, embedding[values], lengths, modulus, letters, tuple(chain))


def can_track(
    group: Group | str, layers: str | None = None, alphabet: Alphabet = None
) -> TrackingVerdict:
    """Tell whether a stack of diagonal layers of given classes tracks a group, at any length.

    Tokens stand for elements; after each one the stack must know the product so far. Classes from
    bottom to top: c input-dependent complex, r input-dependent real signed, p input-dependent
    non-negative, t time-invariant. Exact arithmetic on finitely many states is assumed.

    Args:
        group: the group or its name.
        layers: for instance "rc"; ``None`` asks for complex layers of any number.
        alphabet: elements of the tokens, "generators", or ``None`` for all; if they generate a
            subgroup only, the question is asked of that.

    Returns:
        The verdict, true where the group is tracked.

    Raises:
        DomainError: if a letter or a name is unknown.

    Claims: ssm.C2, ssm.C3, ssm.C4, ssm.C5, ssm.C5b.

    Example:
        >>> bool(can_track("S3", "rc")), bool(can_track("S3", "cr"))
        (True, False)
        >>> print(can_track("A5").reason)
        no stack of diagonal layers tracks A5: 60 values stay undetermined at any depth
    """
    group = as_group(group)
    plan = plan_layers(group, resolve_alphabet(group, alphabet), layers)
    sizes = plan.sizes
    name = group.name if sizes[0] == group.order else f"the {sizes[0]} elements of {group.name}"
    holds = sizes[-1] == 1
    if holds:
        steps = " → ".join(map(str, sizes))
        reason = f"layers {plan.letters!r} track {name}: {steps} values left"
    elif layers is None:
        reason = (
            f"no stack of diagonal layers tracks {name}: {sizes[-1]} values stay undetermined "
            f"at any depth"
        )
    else:
        reason = f"layers {layers!r} do not track {name}: {sizes[-1]} values stay undetermined"
    return TrackingVerdict(
        holds=holds,
        reason=reason,
        evidence={"clock": plan.modulus, "alphabet": len(plan.tokens)},
        group=group.name,
        layers=plan.letters,
        sizes=sizes,
        stalled_order=sizes[-1],
    )
