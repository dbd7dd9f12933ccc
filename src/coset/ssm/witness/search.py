"""The witness of any model: which methods fit it, in which order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch

from coset.core.errors import ConfigError, DomainError
from coset.ssm.alphabet import Alphabet, as_group
from coset.ssm.cascade import Cascade
from coset.ssm.witness.black_box import GridSearch, compare, forget, nested_pairs, probe_lengths
from coset.ssm.witness.exact import refute_cascade, refute_fading, refute_layer
from coset.ssm.witness.fading import FadingStack
from coset.ssm.witness.result import LengthProbe, TrackingWitness, WitnessSearch
from coset.ssm.witness.runners import ModuleRunner, layer_tables, runner_of
from coset.ssm.witness.tables import LayerTables
from coset.ssm.witness.task import TrackingTask, own_alphabet, random_source, task_of
from coset.ssm.witness.words import Word

if TYPE_CHECKING:
    from coset.groups import Group

__all__ = ["search_witness", "witness"]

_PROBE_LENGTH, _PROBE_WORDS = 1024, 64
_MAX_TRIALS = 16


def search_witness(
    model: Any,
    group: Group | str,
    *,
    num_layers: int | None = None,
    resolution: float = 1e-3,
    radius: float = 1e3,
    max_length: int = 10**6,
    alphabet: Alphabet = None,
    levels: str = "ABCD",
    generator: torch.Generator | None = None,
) -> WitnessSearch:
    """Look for two words that show that a model does not track a group, and say what was tried.

    Exact models (a `Cascade` or what holds one) are decided by a search of all states. Fading
    stacks, one layer given as `LayerTables`, and modules are tried with words that the proofs of
    ssm.C1 and ssm.C2 make: all that is found has been run and fails.

    Args:
        model: a `Cascade`, something with ``.cascade``, `LayerTables`, `FadingStack`, or a torch
            module with ``forward(tokens)`` and, for more, ``step`` and ``start_state``.
        group: the group or its name.
        num_layers: k ≥ 1 of a module, if not as many as it has ``letters``.
        resolution: ε > 0: states at most so far apart count as one.
        radius: R > 0: a state larger than that counts as lost.
        max_length: words are no longer, ≥ 1.
        alphabet: the element of each token; by default that of the model, or all elements, or the
            generators, whichever has as many as the model has tokens.
        levels: which methods to use, letters of "ABCD".
        generator: source of randomness of level D; seed 0 if ``None``.

    Returns:
        The witness, or ``None`` with what was tried.

    Raises:
        DtypeError: if the model is none of these, reads no tokens, or the generator is none.
        DomainError: if a limit or the alphabet is impossible.
        RangeError: if alphabet and model disagree on the number of tokens.
        ShapeError: if a module has fewer labels than the group has elements.
        ConfigError: if a level is unknown.

    Claims: ssm.C1, ssm.C2.

    Example:
        >>> from coset.ssm.witness.random_models import random_cascade
        >>> found = search_witness(random_cascade(2, 24), "S4", levels="C").witness
        >>> [word.length for word in found.words], found.kind
        ([49, 49], 'same state')
    """
    if not isinstance(levels, str) or not levels or set(levels) - set("ABCD"):
        raise ConfigError(f"levels must be letters of 'ABCD'; given {levels!r}")
    _check_num_layers(num_layers)
    source = random_source(generator)
    known = getattr(
        model, "num_tokens", getattr(getattr(model, "cascade", None), "num_tokens", None)
    )
    group = as_group(group)
    if alphabet is None:
        alphabet = own_alphabet(model, group)
    task = task_of(group, alphabet, known, resolution, radius, max_length)
    runner = runner_of(model, task.num_tokens)
    if isinstance(runner, ModuleRunner):
        return _search_module(runner, task, num_layers, levels, source)
    if isinstance(model, LayerTables):
        return refute_layer(model, task)
    if isinstance(model, FadingStack):
        return refute_fading(model, task, levels)
    return refute_cascade(model if isinstance(model, Cascade) else model.cascade, task, levels)


def witness(
    model: Any,
    group: Group | str,
    *,
    num_layers: int | None = None,
    resolution: float = 1e-3,
    radius: float = 1e3,
    max_length: int = 10**6,
    alphabet: Alphabet = None,
    generator: torch.Generator | None = None,
) -> TrackingWitness | None:
    """Return two words that show that a model does not track a group, or ``None``.

    Args:
        model: as in `search_witness`, which also says what was tried.
        group: the group or its name.
        num_layers: k, for a module that does not say.
        resolution: ε > 0: states at most so far apart count as one.
        radius: R > 0: a state larger than that counts as lost.
        max_length: words are no longer, ≥ 1.
        alphabet: the element of each token.
        generator: source of randomness.

    Returns:
        The witness, which `TrackingWitness.replay` runs again.

    Raises:
        DtypeError: if the model is of no known kind.
        DomainError: if a limit or the alphabet is impossible.
        RangeError: if alphabet and model disagree on the number of tokens.

    Claims: ssm.C1, ssm.C2.

    Example:
        >>> from coset.ssm.witness.tables import LayerTables
        >>> fading = LayerTables([[0.5], [0.5]], [[0.0], [1.0]], [0.0])
        >>> found = witness(fading, "Z2", alphabet=[0, 1])
        >>> [str(word) for word in found.words], found.kind
        (['1 0^10', '0^11'], 'too close')
    """
    return search_witness(
        model,
        group,
        num_layers=num_layers,
        resolution=resolution,
        radius=radius,
        max_length=max_length,
        alphabet=alphabet,
        generator=generator,
    ).witness


def _check_num_layers(num_layers: int | None) -> None:
    if num_layers is None:
        return
    if isinstance(num_layers, bool) or not isinstance(num_layers, Integral) or num_layers < 1:
        raise DomainError(f"num_layers must be an integer ≥ 1; given {num_layers!r:.100}")


def _search_module(
    runner: ModuleRunner,
    task: TrackingTask,
    num_layers: int | None,
    levels: str,
    source: torch.Generator,
) -> WitnessSearch:
    tried: list[str] = []
    probe: LengthProbe | None = None
    found: TrackingWitness | None = None
    if "B" in levels:
        found = _layer_witness(runner, task, tried)
    closed = proved = False
    if found is None and "A" in levels and runner.has_state:
        grid = GridSearch(runner, task)
        pairs = itertools.islice(grid, _MAX_TRIALS)
        found = _first(runner, task, pairs, "A", "two words meet in one cell of the grid")
        closed = grid.closed and found is None
        size = f"all {grid.num_states:,}" if closed else f"{grid.num_states:,}"
        wrong = "" if grid.right else ", with wrong answers"
        tried.append(f"A: {size} states on a grid of {task.resolution:g}{wrong}")
        proved = closed and grid.exact and grid.right
    if found is None and not closed and "B" in levels and runner.has_state:
        found = forget(runner, task, tried)
    if found is None and not closed and "C" in levels:
        found = _nested_witness(runner, task, num_layers, tried)
    if "D" in levels:
        length = min(_PROBE_LENGTH, task.max_length)
        probe, words = probe_lengths(
            runner, task, length=length, num_words=_PROBE_WORDS, generator=source
        )
        tried.append(f"D: {probe.num_words} random words of {length} tokens")
        if found is None and words is not None:
            found = compare(runner, task, words, "D", "two random words")
    return WitnessSearch(found, tuple(tried), proved=proved and found is None, probe=probe)


def _first(
    runner: ModuleRunner,
    task: TrackingTask,
    pairs: Iterable[tuple[Word, Word]],
    level: str,
    reason: str,
) -> TrackingWitness | None:
    """Return the first pair that refutes any decoder; wrong answers alone are left to level D."""
    for words in pairs:
        found = compare(runner, task, words, level, reason)
        if found is not None and found.kind != "same answer":
            return found
    return None


def _layer_witness(
    runner: ModuleRunner, task: TrackingTask, tried: list[str]
) -> TrackingWitness | None:
    """Use the exact tables of a one-layer module, and run what they give through the module."""
    tables = layer_tables(runner)
    if tables is None:
        return None
    search = refute_layer(tables, task)
    tried.extend(search.tried)
    if search.witness is None:
        return None
    if search.witness.replay(runner.model):
        return search.witness
    tried.append("B: what the tables gave did not hold in the model's own arithmetic")
    return None


def _nested_witness(
    runner: ModuleRunner, task: TrackingTask, num_layers: int | None, tried: list[str]
) -> TrackingWitness | None:
    layers = num_layers if num_layers is not None else len(getattr(runner.model, "letters", ""))
    if layers < 1:
        tried.append("C: the model does not say how many layers it has; give num_layers")
        return None
    pairs = nested_pairs(task, layers, tried)
    return _first(runner, task, pairs, "C", "commutator words return every layer")
