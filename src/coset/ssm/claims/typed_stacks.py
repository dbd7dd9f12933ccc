"""Claims about stacks whose layers are of different classes: the order of layers matters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.groups import Group, parse_group
from coset.ssm.claims.series_search import clocked_values, search_series, small_groups
from coset.ssm.compile import compile_group
from coset.ssm.tracking import can_track, generated_group, length_subgroup, plan_layers, with_length

__all__ = ["C5", "VERDICTS", "C5b", "tracked_by_classes", "tracked_over_alphabet"]

# Verified before the library was written: (group, layers from bottom to top, tracked).
VERDICTS = (
    *(("S3", "rc", True), ("S3", "cr", False), ("A4", "cr", True), ("A4", "rc", False)),
    *(("S4", "rcr", True), ("S4", "rcc", True), ("S4", "ccc", True), ("S4", "crr", False)),
    *(("GL(2,3)", "rcrr", True), ("SL(2,3)", "crr", True), ("D30", "rc", True)),
    *(("D30", "cr", False), ("Z60", "r", False), ("Z2", "r", True), ("Z4", "rr", True)),
    *(("Z8", "rrr", True), ("Z2xZ4", "rr", True), ("D4", "rr", True), ("Q8", "rr", True)),
    ("D8", "rrr", True),
)
_SEARCH_ORDER = {"smoke": 8, "cpu": 16, "paper": 24}
_NUM_ALPHABETS = {"smoke": 60, "cpu": 1000, "paper": 5000}


def _table(group: Group) -> Tensor:
    return torch.from_numpy(group.mul.astype(np.int64))


def tracked_by_classes(mul: Tensor, layers: str) -> bool:
    """Tell whether layers of these classes track a group over all its elements.

    Args:
        mul: (n, n) int64 products.
        layers: classes from bottom to top.

    Returns:
        Whether they do.

    Claims: ssm.C5.
    """
    return can_track(Group.from_table(mul.numpy()), layers).holds


def _certified(group: Group, layers: str, alphabet: list[int] | None = None) -> bool:
    """Tell whether the stack compiles, passes all pairs, and has layers of the classes it says."""
    tracker = compile_group(group, alphabet, layers=layers)
    right = tracker.certificate().verify()
    for layer, letter in zip(tracker.layers, tracker.letters, strict=True):
        if letter == "r":
            right = right and set(layer.moduli) == {2}
        if letter == "t":
            right = right and bool((layer.increments == layer.increments[0, 0]).all())
    return right and "p" not in tracker.letters


def _words(letters: str, longest: int) -> Iterator[str]:
    for length in range(longest + 1):
        yield from map("".join, itertools.product(letters, repeat=length))


@claim(
    "ssm.C5",
    title="typed stacks: which classes, in which order",
    statement="""Over an alphabet with a token of value e, layers of classes τ_1 … τ_k from bottom
        to top track G iff V_k = {e}, where V_0 = G and V_i = [V_{i−1}, V_{i−1}] for c (complex),
        the verbal subgroup V(V_{i−1}; 2) for r (real signed), V_{i−1} for p (non-negative) and t
        (time-invariant). So S3 needs r below c, and A4 c below r.""",
    hypotheses="finite group, exact arithmetic on finitely many states; up to 4 layers",
    source="[derived]",
    kind="exhaustive",
    expected="holds",
    mutants={
        "layers in any order": lambda mul, layers: tracked_by_classes(
            mul, "".join(sorted(layers, reverse=True))
        ),
        "a real layer takes any Abelian factor": lambda mul, layers: tracked_by_classes(
            mul, layers.replace("r", "c")
        ),
        "a non-negative layer takes signs": lambda mul, layers: tracked_by_classes(
            mul, layers.replace("p", "r")
        ),
        "a clock takes a cyclic factor": lambda mul, layers: tracked_by_classes(
            mul, layers.replace("t", "c")
        ),
    },
    near_misses=lambda: [(_table(parse_group(n)), w) for n, w in (("Z2", "r"), ("S3", "rc"))],
)
def C5(
    tracked: Callable[[Tensor, str], bool] = tracked_by_classes,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge ssm.C5: verified verdicts, compiled stacks, and all typed series of small groups."""
    failures: list[dict[str, object]] = []
    cases = 0
    for name, layers, right in VERDICTS:
        group, cases = parse_group(name), cases + 1
        if tracked(_table(group), layers) != right or (right and not _certified(group, layers)):
            failures.append({"group": name, "layers": layers})
    for group in small_groups(_SEARCH_ORDER[preset]):
        search = search_series(group)
        for layers in _words("crpt", 2 if preset == "smoke" else 3):
            cases += 1
            found = tracked(_table(group), layers)
            if found != search.tracked(layers) or (found and not _certified(group, layers)):
                failures.append({"group": group.name, "layers": layers})
    return _result(failures, cases, "stacks have another verdict")


def _result(failures: list[dict[str, object]], cases: int, what: str) -> ClaimResult:
    return ClaimResult(
        holds=not failures,
        measured=float(len(failures)),
        bound=0.0,
        detail=f"{len(failures)} of {cases} {what}",
        sample_size=cases,
        counterexample=failures[0] if failures else None,
    )


def tracked_over_alphabet(mul: Tensor, alphabet: Tensor, layers: str) -> bool:
    """Tell whether layers of these classes track the values of words over an alphabet.

    Args:
        mul: (n, n) int64 products.
        alphabet: (X,) int64 element ids.
        layers: classes from bottom to top.

    Returns:
        Whether they do.

    Claims: ssm.C5b.
    """
    return can_track(Group.from_table(mul.numpy()), layers, alphabet).holds


def _clock_without_memory(mul: Tensor, alphabet: Tensor, layers: str) -> bool:
    return tracked_over_alphabet(mul, alphabet, layers.replace("t", "p"))


def _short_clock(mul: Tensor, alphabet: Tensor, layers: str) -> bool:
    """Let the clock count modulo |G/L| only."""
    group, _, tokens = generated_group(Group.from_table(mul.numpy()), alphabet.numpy())
    modulus = group.order // len(length_subgroup(group, tokens))
    pairs, values, lengths, _ = with_length(group, tokens, modulus)
    left = np.arange(pairs.order)
    for letter in layers:
        if letter == "t":
            left = left[lengths[left] == 0]
        else:
            inner, embedding = pairs.subgroup_group(left)
            plan = plan_layers(inner, np.arange(inner.order), letter)
            left = np.sort(embedding[plan.series[-1]])
    return len(np.unique(values[left])) == 1


def _any_clock(mul: Tensor, alphabet: Tensor, layers: str) -> bool:
    """Let a clock take any cyclic factor, whatever the tokens."""
    return tracked_over_alphabet(mul, alphabet, layers.replace("t", "c"))


def _clock_cases(preset: str, generator: torch.Generator) -> Iterator[tuple[Group, list[int], str]]:
    stored = (
        *(("Z4", [1], "t"), ("Z4", [0, 1], "t"), ("Z4", [1, 3], "rt"), ("Z4", [1, 3], "tr")),
        *(("Z4", [1, 3], "t"), ("Z12", [1], "t"), ("Z12", [1, 7], "rt"), ("Z8", [1, 3], "rrt")),
        *(("S3", [3, 4], "tc"), ("S3", [3, 4], "ct"), ("Z6", [1, 4], "tc")),
    )
    for name, alphabet, layers in stored:
        yield parse_group(name), alphabet, layers
    groups = small_groups(_SEARCH_ORDER[preset])
    for _ in range(_NUM_ALPHABETS[preset]):
        group = groups[int(torch.randint(len(groups), (), generator=generator))]
        num_tokens = int(torch.randint(1, 4, (), generator=generator))
        alphabet = torch.randint(group.order, (num_tokens,), generator=generator).tolist()
        length = int(torch.randint(1, 4, (), generator=generator))
        letters = torch.randint(4, (length,), generator=generator).tolist()
        letters[int(torch.randint(length, (), generator=generator))] = 0
        yield group, alphabet, "".join("trcp"[i] for i in letters)


@claim(
    "ssm.C5b",
    title="what a clock adds, over any alphabet",
    statement="""Without a token of value e, a time-invariant layer counts positions, and layers
        τ_1 … τ_k track G iff the series of the pairs P = {(value, length mod M)} of words ends in
        pairs of value e: P_i = [P_{i−1}, P_{i−1}] for c, V(P_{i−1}; 2) for r, P_{i−1} for p, the
        pairs of length 0 for t; M = |G/L|·2^j is long enough, with L the normal closure of
        {x y⁻¹} over tokens x, y, and j real layers below the first clock. If L = G, clocks add
        nothing.""",
    hypotheses="finite group, exact arithmetic on finitely many states",
    source="[derived]",
    kind="exhaustive",
    expected="holds",
    mutants={
        "a position tells nothing": _clock_without_memory,
        "a clock modulo |G/L| alone": _short_clock,
        "a clock takes any cyclic factor": _any_clock,
    },
    near_misses=lambda: [
        (_table(parse_group("Z4")), torch.tensor([1]), "t"),
        (_table(parse_group("Z4")), torch.tensor([0, 1]), "t"),
    ],
)
def C5b(
    tracked: Callable[[Tensor, Tensor, str], bool] = tracked_over_alphabet,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge ssm.C5b: against sets of pairs with a clock four times as long; compiled where true."""
    failures: list[dict[str, object]] = []
    cases = 0
    for group, alphabet, layers in _clock_cases(preset, generator):
        cases += 1
        inner, _, inside = generated_group(group, np.array(alphabet))
        quotient = inner.order // len(length_subgroup(inner, inside))
        modulus = 4 * quotient * 2 ** layers.count("r")
        right = len(clocked_values(inner, inside.tolist(), layers, modulus)) == 1
        wrong = tracked(_table(group), torch.tensor(alphabet), layers) != right
        if wrong or (right and not _certified(inner, layers, inside.tolist())):
            failures.append({"group": group.name, "alphabet": alphabet, "layers": layers})
    return _result(failures, cases, "stacks with clocks have another verdict")
