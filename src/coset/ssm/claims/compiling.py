"""Claims about compiling groups: Abelian ones, solvable ones, how deep, strictly deeper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.core.errors import CosetError
from coset.groups import Group, abelian, commutator_subgroup, parse_group
from coset.ssm.cascade import Cascade
from coset.ssm.certificate import first_failure
from coset.ssm.claims.flawed_compile import Compiled, Flaw, compiled_tables, flawed_tables
from coset.ssm.claims.series_search import search_series, small_groups
from coset.ssm.phase_layer import PhaseLayer
from coset.ssm.tracking import can_track, tracking_depth

__all__ = ["C1", "C2", "C3", "C4", "C2c", "depth_of", "ladder", "tracked_by"]

Compiler = Callable[[Tensor, Tensor], Compiled | None]

_SOLVABLE = (
    *("Z2", "Z60", "Z2xZ4", "S3", "D4", "Q8", "A4", "S4", "SL(2,3)", "GL(2,3)", "D30", "Heis(3)"),
    *("S3xA4", "S4xZ2"),
)
_UNSOLVABLE = ("A5", "S5", "SL(2,5)")
_ABELIAN_ORDER = {"smoke": 24, "cpu": 64, "paper": 64}
_GROUP_ORDER = {"smoke": 12, "cpu": 48, "paper": 63}
_SEARCH_ORDER = {"smoke": 12, "cpu": 24, "paper": 32}


def _table(group: Group) -> Tensor:
    return torch.from_numpy(group.mul.astype(np.int64))


def _near_misses() -> list[tuple[Tensor, Tensor]]:
    """Return groups on which one of the flaws does not show: all tokens of Z2, Z5, Z6, S3."""
    groups = [parse_group(name) for name in ("Z2", "Z5", "Z6", "S3")]
    return [(_table(group), torch.arange(group.order)) for group in groups]


def _alphabets(group: Group) -> Iterator[Tensor]:
    yield torch.arange(group.order)
    yield torch.tensor(list(group.generators) or [int(group.identity)])


def _tracks(group: Group, alphabet: Tensor, compiled: Compiled | None) -> bool:
    """Check all (state, token) pairs of compiled tables, and that every element has a code."""
    if compiled is None:
        return False
    moduli, increments, elements = compiled
    try:
        layers = [PhaseLayer(tuple(m), i.numpy()) for m, i in zip(moduli, increments, strict=True)]
        cascade = Cascade(tuple(layers), len(alphabet))
    except CosetError:
        return False
    products = group.mul[:, alphabet.numpy()]
    failure = first_failure(cascade, elements.numpy(), products, int(group.identity))
    return failure is None and len(np.unique(elements.numpy())) == group.order


def _count(failures: list[str], cases: int, pairs: int, what: str) -> ClaimResult:
    return ClaimResult(
        holds=not failures,
        measured=float(len(failures)),
        bound=0.0,
        detail=f"{len(failures)} of {cases} {what}; {pairs:,} (state, token) pairs checked",
        sample_size=cases,
        counterexample={"case": failures[0]} if failures else None,
    )


def _invariant_factors(order: int, largest: int) -> Iterator[tuple[int, ...]]:
    """Yield (m_1, …, m_r) with product `order`, each dividing the one before, m_1 | largest."""
    if order == 1:
        yield ()
    for m in range(order, 1, -1):
        if order % m == 0 and largest % m == 0:
            for rest in _invariant_factors(order // m, m):
                yield (m, *rest)


def _abelian_groups(limit: int) -> Iterator[tuple[Group, int]]:
    """Yield every Abelian group up to an order once, with its rank."""
    for order in range(1, limit + 1):
        for factors in _invariant_factors(order, order):
            yield abelian(*factors) if factors else parse_group("Z1"), len(factors)


@claim(
    "ssm.C1",
    title="one layer tracks every Abelian group",
    statement="""A one-layer diagonal SSM with input-dependent complex eigenvalues tracks every
        finite Abelian group at every length, with as many phases as the group has invariant
        factors: a_j(x) = exp(2πi·x_j/m_j), b = 0, h_0 = 1. (That no other group is tracked is the
        other half of the theorem: see the witnesses.)""",
    hypotheses="finite group; exact phases",
    source="[paper] Theorem 1",
    kind="exhaustive",
    expected="holds",
    mutants={
        "the largest cyclic factor alone": flawed_tables(Flaw(one_phase=True)),
        "cyclic factors as elements come": flawed_tables(Flaw(first_come=True)),
        "phases that turn backwards": flawed_tables(Flaw(negated=True)),
    },
    near_misses=_near_misses,
)
def C1(
    compiler: Compiler = compiled_tables, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge ssm.C1: every Abelian group up to an order, all pairs, one layer of least width."""
    failures, cases, pairs = [], 0, 0
    for group, rank in _abelian_groups(_ABELIAN_ORDER[preset]):
        shuffle = torch.randperm(group.order, generator=generator).tolist()
        for member in (group, group.relabel(shuffle)):
            for alphabet in _alphabets(member):
                compiled = compiler(_table(member), alphabet)
                cases += 1
                pairs += group.order * len(alphabet)
                widths = [len(m) for m in compiled[0]] if compiled else None
                right = widths == ([rank] if rank else [])
                if not right or not _tracks(member, alphabet, compiled):
                    failures.append(f"{group.name}, {len(alphabet)} tokens, widths {widths}")
    return _count(failures, cases, pairs, "Abelian groups are not tracked by one layer")


@claim(
    "ssm.C2",
    title="a series with Abelian factors compiles, layer by layer",
    statement="""A k-layer diagonal SSM tracks every finite group with a subnormal series of length
        k with Abelian factors, split or not, at every length; a group without one (A5, S5, SL(2,5))
        is refused at every depth.""",
    hypotheses="finite group; exact phases; all tokens, or tokens that generate it",
    source="[paper] Theorem 2; the compiler is [derived]",
    kind="exhaustive",
    expected="holds",
    mutants={
        "left cosets instead of right": flawed_tables(Flaw(left_cosets=True)),
        "the token multiplied from the left": flawed_tables(Flaw(swapped_product=True)),
        "gates read the cells after the token": flawed_tables(Flaw(current_gate=True)),
        "every extension taken as split": flawed_tables(Flaw(split=True)),
        "subgroups taken as normal": flawed_tables(Flaw(generators_only=True)),
    },
    near_misses=_near_misses,
)
def C2(
    compiler: Compiler = compiled_tables, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge ssm.C2: all pairs of every solvable group, shuffled too; the others are refused."""
    failures, cases, pairs = [], 0, 0
    groups = [parse_group(name) for name in (*_SOLVABLE, *_UNSOLVABLE)]
    for group in (*groups, *small_groups(_GROUP_ORDER[preset])):
        shuffle = torch.randperm(group.order, generator=generator).tolist()
        for member in (group, group.relabel(shuffle)):
            for alphabet in _alphabets(member):
                compiled = compiler(_table(member), alphabet)
                cases += 1
                if not group.is_solvable:
                    wrong = compiled is not None
                else:
                    pairs += group.order * len(alphabet)
                    wrong = not _tracks(member, alphabet, compiled)
                    # Layers that are more than needed would prove less than is claimed.
                    wrong = wrong or len(compiled[0]) > group.derived_length  # type: ignore[index]
                if wrong:
                    failures.append(f"{group.name}, {len(alphabet)} tokens")
    return _count(failures, cases, pairs, "groups are tracked or refused wrongly")


def depth_of(mul: Tensor) -> float:
    """Return how many complex layers a group needs.

    Args:
        mul: (n, n) int64 products.

    Returns:
        The depth, or ∞.

    Claims: ssm.C3.
    """
    return float(tracking_depth(Group.from_table(mul.numpy())))


def _nilpotency_class(mul: Tensor) -> float:
    group = Group.from_table(mul.numpy())
    whole = now = np.arange(group.order)
    for length in range(group.order):
        if len(now) == 1:
            return float(length)
        after = commutator_subgroup(group, now, whole)
        if len(after) == len(now):
            break
        now = after
    return math.inf


def _composition_length(mul: Tensor) -> float:
    group = Group.from_table(mul.numpy())
    if not group.is_solvable:
        return math.inf
    order, length, prime = group.order, 0, 2
    while order > 1:
        if order % prime:
            prime += 1
        else:
            order, length = order // prime, length + 1
    return float(length)


def _two_verbal_length(mul: Tensor) -> float:
    return float(tracking_depth(Group.from_table(mul.numpy()), "r"))


@claim(
    "ssm.C3",
    title="the least depth is the derived length",
    statement="""The shortest subnormal series with Abelian factors has the length of the derived
        series: the least number of complex layers is dl(G), ∞ if G is not solvable.""",
    hypotheses="finite group",
    source="[derived] from standard group theory",
    kind="exhaustive",
    expected="holds",
    mutants={
        "the nilpotency class": _nilpotency_class,
        "the composition length": _composition_length,
        "the length of the 2-verbal series": _two_verbal_length,
    },
    near_misses=lambda: [(_table(parse_group(name)),) for name in ("Z2", "S3", "Q8")],
)
def C3(
    depth: Callable[[Tensor], float] = depth_of, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge ssm.C3: against the shortest of ALL subnormal series with Abelian factors."""
    groups = [
        *small_groups(_SEARCH_ORDER[preset]),
        *map(parse_group, ("D8", "S4", "SL(2,3)", "A5")),
    ]
    failures = []
    for group in groups:
        found, literal = depth(_table(group)), search_series(group).depth()
        if found != literal:
            failures.append(f"{group.name}: {found}, the shortest series has {literal}")
    return ClaimResult(
        holds=not failures,
        measured=float(len(failures)),
        bound=0.0,
        detail=f"{len(failures)} of {len(groups)} groups have another depth",
        sample_size=len(groups),
        counterexample={"case": failures[0]} if failures else None,
    )


def ladder(length: int) -> list[Group]:
    """Return groups that need exactly 1, 2, 3, … complex layers.

    Args:
        length: how many, up to 5: Z2, S3, S4, GL(2,3), and the affine maps of the plane over Z_3.

    Returns:
        The groups.

    Claims: ssm.C4.
    """
    groups = [parse_group(name) for name in ("Z2", "S3", "S4", "GL(2,3)")[:length]]
    if length >= 5:
        linear = ([[1, 1, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [1, 1, 0], [0, 0, 1]])
        others = ([[2, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 1], [0, 1, 0], [0, 0, 1]])
        groups.append(Group.from_matrices([*linear, *others], 3, name="AGL(2,3)"))
    return groups


def tracked_by(mul: Tensor, num_layers: int) -> bool:
    """Tell whether so many complex layers track a group.

    Args:
        mul: (n, n) int64 products.
        num_layers: k.

    Returns:
        Whether they do.

    Claims: ssm.C4.
    """
    return can_track(Group.from_table(mul.numpy()), "c" * num_layers).holds


@claim(
    "ssm.C4",
    title="each further layer tracks more",
    statement="""For k = 1, 2, 3, … there is a group that k complex layers track and k − 1 do not:
        Z2, S3, S4, GL(2,3), AGL(2,3).""",
    hypotheses="finite group; k ≤ 5 is checked",
    source="[paper], the strictness of the hierarchy; the groups are ours",
    kind="exhaustive",
    expected="holds",
    mutants={
        "one layer fewer is enough": lambda mul, k: tracked_by(mul, k + 1),
        "layers of real signs": lambda mul, k: (
            can_track(Group.from_table(mul.numpy()), "r" * k).holds
        ),
        "as many layers as composition factors": lambda mul, k: _composition_length(mul) <= k,
    },
    near_misses=lambda: [(_table(parse_group("Z2")), 1), (_table(parse_group("S3")), 2)],
)
def C4(
    tracked: Callable[[Tensor, int], bool] = tracked_by, *, preset: str, generator: torch.Generator
) -> ClaimResult:
    """Judge ssm.C4: k layers compile and are certified; no series of length k − 1 exists."""
    failures, pairs = [], 0
    groups = ladder(4 if preset == "smoke" else 5)
    for depth, group in enumerate(groups, 1):
        compiled = compiled_tables(_table(group), torch.arange(group.order))
        pairs += group.order**2
        exists = _tracks(group, torch.arange(group.order), compiled)
        exists = exists and compiled is not None and len(compiled[0]) == depth
        least = search_series(group).depth()
        verdicts = tracked(_table(group), depth), tracked(_table(group), depth - 1)
        if not exists or least != depth or verdicts != (True, False):
            failures.append(f"{group.name}: {verdicts} for {depth} and {depth - 1} layers")
    return _count(failures, len(groups), pairs, "depths are not strict")


def _one_slip(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let one mode err once, late in its word."""
    place = next(i for i, row in enumerate(rows) if row["mode"] == "mlp")
    rows[place] = {**rows[place], "accuracy": 0.9999, "first_error": 9998}
    return rows


def _accept_the_residual(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let a group that is not solvable pass as compiled."""
    place = next(i for i, row in enumerate(rows) if row["mode"] == "refused")
    rows[place] = {**rows[place], "mode": "int", "certified": True}
    return rows


@claim(
    "ssm.C2c",
    title="compiled floats make no error in thousands of tokens",
    statement="""Read in integers, by a table, in complex64, in real float32 rotations, and with
        ReLU gates in float32, every compiled group names every running product of random words of
        the stated length (10,000 tokens at presets cpu and paper); the others are refused.""",
    hypotheses="random words; the listed groups",
    source="[derived]",
    kind="empirical",
    expected="holds",
    mutants={"one error near the end": _one_slip, "A5 accepted": _accept_the_residual},
    experiment="ssm.compile",
)
def C2c(rows: Sequence[dict[str, Any]]) -> ClaimResult:
    """Judge ssm.C2c: accuracy 1 in every row, certificates pass, refusals name their residual."""
    bad = []
    for row in rows:
        if row["mode"] == "refused":
            right = row["residual_order"] > 1
        else:
            right = row["certified"] and row["accuracy"] == 1.0 and row["first_error"] == -1
        if not right:
            bad.append({key: row[key] for key in ("group", "mode", "accuracy", "first_error")})
    return ClaimResult(
        holds=not bad,
        measured=float(len(bad)),
        bound=0.0,
        detail=f"{len(bad)} of {len(rows)} (group, mode) runs err",
        sample_size=len(rows),
        counterexample=bad[0] if bad else None,
    )
