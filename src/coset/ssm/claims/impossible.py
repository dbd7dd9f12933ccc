"""What diagonal layers cannot track: words that fool one layer, and stacks that are too low."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from coset.core.claims import ClaimResult, claim
from coset.groups import Group, named_groups, parse_group
from coset.ssm.cascade import Cascade
from coset.ssm.witness.commutators import commutator_pair
from coset.ssm.witness.exact import refute_layer
from coset.ssm.witness.one_layer import closest_pair
from coset.ssm.witness.random_models import LayerKind, random_cascade, random_layer
from coset.ssm.witness.tables import LayerTables
from coset.ssm.witness.task import TrackingTask
from coset.ssm.witness.words import Word

RESOLUTION, RADIUS, MAX_LENGTH = 1e-3, 1e3, 10**6

# By preset: the largest order of the non-Abelian groups, and random layers of each kind.
ORDERS = {"smoke": 8, "cpu": 24, "paper": 24}
LAYERS = {"smoke": 3, "cpu": 8, "paper": 100}

# No more groups are looked at after so many layers that are not fooled.
ENOUGH_MISSES = 5

Pair = tuple[Word, Word] | None


def _task(group: Group, letters: np.ndarray, resolution: float = RESOLUTION) -> TrackingTask:
    return TrackingTask(group, letters, resolution, RADIUS, MAX_LENGTH)


def fooling_words(tables: LayerTables, group: Group, letters: Tensor) -> Pair:
    """Return two words that one layer cannot tell apart, or a beginning and a word that grows.

    Args:
        tables: the layer.
        group: a group.
        letters: (X,) int64, the element of each token.

    Returns:
        The words, or ``None``.

    Claims: ssm.C1b.
    """
    found = refute_layer(tables, _task(group, letters.numpy())).witness
    return None if found is None else found.words


def _short_ending(tables: LayerTables, group: Group, letters: Tensor) -> Pair:
    found = refute_layer(tables, _task(group, letters.numpy(), resolution=1e2)).witness
    return None if found is None else found.words


def _growth_ignored(tables: LayerTables, group: Group, letters: Tensor) -> Pair:
    found = closest_pair(
        tables,
        group.mul,
        letters.numpy(),
        group.identity,
        resolution=RESOLUTION,
        max_length=MAX_LENGTH,
    )
    return None if found is None else found[:2]


def _first_two_tokens(tables: LayerTables, group: Group, letters: Tensor) -> Pair:
    found = fooling_words(tables, group, letters)
    if found is None or max(word.length for word in found) > 100:
        return found  # a state that grows
    end = Word.of(found[0].tokens().tolist()[2:])
    return Word.of([1, 0]) + end, Word.of([0, 1]) + end


def _literal_state(tables: LayerTables, word: Word) -> np.ndarray:
    """Read the word token by token; nothing of the power form is used."""
    state = tables.start.copy()
    for token in word.tokens().tolist():
        state = tables.a[token] * state + tables.b[token]
    return state


def _literal_value(group: Group, letters: Tensor, word: Word) -> int:
    value = int(group.identity)
    for token in word.tokens().tolist():
        value = int(group.mul[value, int(letters[token])])
    return value


def _fools(tables: LayerTables, group: Group, letters: Tensor, words: Pair) -> bool:
    if words is None:
        return False
    ends = [_literal_state(tables, word) for word in words]
    if np.abs(ends[1]).max() > RADIUS:
        return True
    values = [_literal_value(group, letters, word) for word in words]
    apart = float(np.abs(ends[0] - ends[1]).max())
    return values[0] != values[1] and apart <= RESOLUTION


def _rotation_of_s3() -> list[tuple[LayerTables, Group, Tensor]]:
    """Return the faithful character of S3/A3 and its generators: nothing fades, nothing grows."""
    group = parse_group("S3")
    letters = torch.tensor(group.generators)
    tables = LayerTables(np.array([[-1.0], [1.0]]), np.zeros((2, 1)), np.ones(1))
    return [(tables, group, letters)]


@claim(
    "ssm.C1b",
    title="no single diagonal layer tracks a non-Abelian group",
    statement="""For every layer h ← a(x) ∘ h + b(x), every non-Abelian group and every ε, R > 0
        there are two words of different value after which the states are at most ε apart, or a
        word after which the state is larger than R.""",
    hypotheses="""ε = 0.001, R = 1000; random layers: contracting, unitary with and without b, and
        mixed; each pair of words is read again token by token in float64""",
    source="[paper] Theorem 1, only if; the words are [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "the common ending is one round long": _short_ending,
        "states that grow are not looked for": _growth_ignored,
        "the first two tokens, whether or not they commute": _first_two_tokens,
    },
    near_misses=_rotation_of_s3,
)
def C1b(
    words_of: Callable[[LayerTables, Group, Tensor], Pair] = fooling_words,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge ssm.C1b: for each group and random layer, words that fool it when read literally."""
    missing, first, cases = 0, None, 0
    for group in named_groups(ORDERS[preset]):
        if group.is_abelian:
            continue
        letters = torch.arange(group.order)
        for kind in get_args(LayerKind):
            for number in range(LAYERS[preset]):
                width = 1 + number % 4
                tables = random_layer(group.order, width, kind, generator=generator)
                cases += 1
                words = words_of(tables, group, letters)
                if not _fools(tables, group, letters, words):
                    missing += 1
                    first = first or {"group": group.name, "kind": kind, "number": number}
        if missing >= ENOUGH_MISSES:
            break
    return ClaimResult(
        holds=missing == 0,
        measured=float(missing),
        bound=0.0,
        detail=f"{missing} of {cases} layers are not fooled",
        sample_size=cases,
        counterexample=first,
    )


# Group and number of layers, below its derived length; A5, S5 and SL(2,5) have none.
DEEP = {
    "smoke": (("S4", 1), ("S4", 2), ("GL(2,3)", 2), ("A5", 2), ("S5", 1), ("SL(2,5)", 2)),
    "cpu": (
        *(("S3", 1), ("A4", 1), ("S4", 1), ("S4", 2)),
        *(("GL(2,3)", k) for k in (1, 2, 3)),
        *(("A5", k) for k in (1, 2, 3)),
        *(("S5", 1), ("S5", 2), ("SL(2,5)", 1), ("SL(2,5)", 2)),
    ),
}
ENOUGH = (("S3", 2), ("A4", 2), ("S4", 3), ("GL(2,3)", 4), ("Z60", 1))


def meeting_words(group: Group, letters: Tensor, moduli: list[int]) -> Pair:
    """Return two words of different value after which all layers are in the same state.

    Args:
        group: a group.
        letters: (X,) int64, the element of each token.
        moduli: of the phases of each layer, bottom to top.

    Returns:
        The words, or ``None`` if commutators do not reach so deep.

    Claims: ssm.C2b.
    """
    return commutator_pair(group.mul, letters.numpy(), moduli)


def _orders_only(group: Group, letters: Tensor, moduli: list[int]) -> Pair:
    return commutator_pair(group.mul, letters.numpy(), [1] * len(moduli))


def _first_layer_only(group: Group, letters: Tensor, moduli: list[int]) -> Pair:
    return commutator_pair(group.mul, letters.numpy(), moduli[:1])


def _one_power_less(group: Group, letters: Tensor, moduli: list[int]) -> Pair:
    found = commutator_pair(group.mul, letters.numpy(), moduli)
    if found is None:
        return None
    first, second = (
        Word(tuple(tuple((s, c - (c > 8)) for s, c in rule) for rule in word.rules))
        for word in found
    )
    return first, second


def _meets(cascade: Cascade, group: Group, letters: Tensor, words: Pair) -> bool:
    if words is None:
        return False
    ends = [int(cascade.run(word.tokens()[None])[0, -1]) for word in words]
    values = [_literal_value(group, letters, word) for word in words]
    return ends[0] == ends[1] and values[0] != values[1]


def _one_layer_words() -> list[tuple[Group, Tensor, list[int]]]:
    group = parse_group("S4")
    return [(group, torch.tensor(group.generators), [12])]


@claim(
    "ssm.C2b",
    title="k layers do not track a group of larger derived length",
    statement="""For every stack of k layers of phases in Z_M, gated by the layers below in any way,
        and every group of derived length > k there are two words of different value after which
        every layer is in the same state: p q and q p for nested commutators p, q of k − 1 levels,
        p q p^(m−1) q^(m'−1). If the derived length is ≤ k, no such commutators are left.""",
    hypotheses="M = 12; random gates; words over generators, read again token by token in integers",
    source="[paper] Theorem 2, only if; the words are [derived]",
    kind="proved",
    expected="holds",
    mutants={
        "exponents from the values' orders alone": _orders_only,
        "only the first layer is brought back": _first_layer_only,
        "one power less": _one_power_less,
    },
    near_misses=_one_layer_words,
)
def C2b(
    words_of: Callable[[Group, Tensor, list[int]], Pair] = meeting_words,
    *,
    preset: str,
    generator: torch.Generator,
) -> ClaimResult:
    """Judge ssm.C2b: the words meet in random cascades, and there are none where k is enough."""
    repeats = 1 if preset == "smoke" else 5
    wrong, first, cases = 0, None, 0
    lengths: dict[str, int] = {}
    for name, depth in DEEP["smoke" if preset == "smoke" else "cpu"]:
        group = parse_group(name)
        letters = torch.tensor(group.generators)
        words = words_of(group, letters, [12] * depth)
        lengths[f"{name}, {depth}"] = 0 if words is None else words[0].length
        for number in range(repeats):
            cascade = random_cascade(depth, len(letters), generator=generator)
            cases += 1
            if not _meets(cascade, group, letters, words):
                wrong += 1
                first = first or {"group": name, "num_layers": depth, "number": number}
    for name, depth in ENOUGH:
        group = parse_group(name)
        cases += 1
        if words_of(group, torch.tensor(group.generators), [12] * depth) is not None:
            wrong += 1
            first = first or {"group": name, "num_layers": depth, "words": "should not exist"}
    return ClaimResult(
        holds=wrong == 0,
        measured=float(wrong),
        bound=0.0,
        detail=f"{wrong} of {cases} cases are wrong",
        sample_size=cases,
        counterexample=first,
        evidence={"lengths": lengths},
    )
