"""Benchmarks of compiling a group and of running what was compiled."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.bench import Case, Contestant, Limit, benchmark
from coset.groups import Group, cyclic, parse_group
from coset.ssm.certificate import first_failure
from coset.ssm.compile import compile_group
from coset.ssm.reference import compile_reference
from coset.ssm.tracker import CompiledTracker

__all__ = ["GROUPS", "GroupInputs", "TrackInputs", "compile_case", "track_case"]

# The group of each size; other sizes are cyclic.
GROUPS = {
    **{6: "S3", 8: "Q8", 12: "A4", 24: "S4", 48: "GL(2,3)", 60: "Z60", 343: "Heis(7)"},
    1152: "S4xGL(2,3)",
}


@dataclass(frozen=True)
class GroupInputs:
    """A group by its table of products alone: nothing about it is known in advance.

    Attributes:
        mul: (n, n) int64.
        order: n.
    """

    mul: np.ndarray
    order: int


def _group(order: int) -> Group:
    return parse_group(GROUPS[order]) if order in GROUPS else cyclic(order)


def _prepare_group(size: int, variant: str, generator: torch.Generator) -> GroupInputs:
    group = _group(size)
    if variant == "shuffled":
        group = group.relabel(torch.randperm(size, generator=generator).tolist())
    return GroupInputs(np.array(group.mul, dtype=np.int64), size)


def _compile(inputs: GroupInputs) -> CompiledTracker:
    return compile_group(Group.from_table(inputs.mul))


def _certified(inputs: GroupInputs) -> CompiledTracker:
    tracker = _compile(inputs)
    assert tracker.certificate().verify()
    return tracker


def _compare_trackers(inputs: GroupInputs, output: Any, expected: Any) -> str | None:
    """Check all (state, token) pairs against the table, and the moduli against the literal ones."""
    if output.num_elements != inputs.order:
        return f"{output.num_elements} of {inputs.order} elements have a code"
    identity = int(np.flatnonzero((inputs.mul == np.arange(inputs.order)).all(1))[0])
    failure = first_failure(output.cascade, output.elements, inputs.mul, identity)
    if failure is not None:
        return f"a pair fails: {failure}"
    found = [layer.moduli for layer in output.layers]
    literal = [layer.moduli for layer in expected.layers]
    return None if found == literal else f"moduli {found} instead of {literal}"


def _permutations(inputs: GroupInputs) -> Any:
    """Write the group's generators as permutations of its elements, for sympy."""
    from sympy.combinatorics import Permutation, PermutationGroup

    group = Group.from_table(inputs.mul)
    chosen = list(group.generators) or [group.identity]
    columns = [Permutation(inputs.mul[:, g].tolist()) for g in chosen]
    return lambda: PermutationGroup(columns).derived_series()


def _verify_series(inputs: GroupInputs, output: Any) -> str | None:
    orders = [int(part.order()) for part in output]
    wanted = [len(v) for v in Group.from_table(inputs.mul).derived_series()]
    return None if orders == wanted else f"orders {orders} instead of {wanted}"


@benchmark(
    "ssm.compile",
    title="compiling a group of n elements, given by its table, over all its elements",
    sizes=(24, 48, 60, 343, 1152),
    small_sizes=(1, 2, 6, 8, 12, 24),
    variants={"named": "named", "shuffled": "shuffled"},
)
def compile_case() -> Case:
    """Build the case: `compile_group` against sympy's derived series, a part of the work.

    Returns:
        The case.
    """
    peers = {}
    if importlib.util.find_spec("sympy") is not None:
        peers["sympy derived_series"] = Contestant(
            lambda series: series(),
            setup=_permutations,
            partial="derived series only, of the regular permutations",
            verify=_verify_series,
        )
    return Case(
        prepare=_prepare_group,
        reference=lambda inputs: compile_reference(inputs.mul.tolist()),
        compare=_compare_trackers,
        ours={
            "compile_group": Contestant(_compile),
            "compile_group + certificate": Contestant(_certified),
        },
        peers=peers,
        limits={
            "copy": Limit(
                "copy",
                lambda inputs: 8 * inputs.order**2,
                "the table read once, 8 n² bytes ÷ copy bandwidth; leaves out all algebra, which "
                "for groups of fewer than a few hundred elements is nearly all of the time",
            )
        },
        tests=("tests/ssm/test_compile.py",),
    )


@dataclass(frozen=True)
class TrackInputs:
    """Words over the elements of S4.

    Attributes:
        tracker: S4, compiled over all its elements.
        words: (B, T) int64.
        table: (24, 24) int64: the code after each code and token, for the peer.
    """

    tracker: CompiledTracker
    words: Tensor
    table: Tensor


def _prepare_words(size: int, variant: int, generator: torch.Generator) -> TrackInputs:
    tracker = compile_group("S4")
    length = max(1, size // variant) if size else 0
    words = torch.randint(24, (min(variant, max(1, size)), length), generator=generator)
    table = torch.from_numpy(tracker.cascade.transition_table().copy())
    return TrackInputs(tracker, words, table)


def _literal_products(inputs: TrackInputs) -> Tensor:
    mul = inputs.tracker.group.mul.tolist()
    rows = [list(itertools.accumulate(w, lambda y, x: mul[y][x])) for w in inputs.words.tolist()]
    return torch.tensor(rows, dtype=torch.int64).reshape(inputs.words.shape)


def _gathers(inputs: TrackInputs) -> Tensor:
    """Gather from a table token by token: what one writes with torch."""
    now, codes = torch.zeros(len(inputs.words), dtype=torch.int64), []
    for x in inputs.words.unbind(-1):
        now = inputs.table[now, x]
        codes.append(now)
    found = torch.stack(codes, -1) if codes else inputs.words
    return torch.from_numpy(inputs.tracker.elements.copy())[found]


def _compare_words(inputs: TrackInputs, output: Any, expected: Any) -> str | None:
    if output.shape != expected.shape:
        return f"shape {tuple(output.shape)} instead of {tuple(expected.shape)}"
    wrong = int((output != expected).sum())
    return f"{wrong} of {expected.numel()} products are wrong" if wrong else None


def _module(mode: str) -> Contestant:
    def setup(inputs: TrackInputs) -> tuple[Any, Tensor]:
        return inputs.tracker.to_module(mode), inputs.words

    def run(state: tuple[Any, Tensor]) -> Tensor:
        module, words = state
        with torch.no_grad():
            found: Tensor = module.track(words)
        return found

    return Contestant(run, setup=setup)


@benchmark(
    "ssm.track",
    title="running products of S4 over d tokens",
    sizes=(10**4, 10**6),
    variants={"one word": 1, "64 words": 64},
)
def track_case() -> Case:
    """Build the case: the integer, complex and ReLU forms against a loop of gathers in torch.

    Returns:
        The case.
    """
    return Case(
        prepare=_prepare_words,
        reference=_literal_products,
        compare=_compare_words,
        ours={
            "int": _module("int"),
            "complex": _module("complex"),
            "real": _module("real"),
            "mlp": _module("mlp"),
        },
        peers={"torch gathers, token by token": Contestant(_gathers)},
        limits={
            "copy": Limit(
                "copy",
                lambda inputs: 16 * inputs.words.numel(),
                "tokens read once and elements written once, 16 bytes a token ÷ copy bandwidth; "
                "leaves out that each gather waits for the one before it",
            )
        },
        tests=("tests/ssm/test_modules.py",),
    )
