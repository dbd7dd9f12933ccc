"""Exact finite models: one search over their states either labels each one or finds a conflict.

This is level A. It is complete: without a conflict every state has one value, at every length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from coset.core.errors import RangeError, ShapeError, UnsupportedError
from coset.ssm.cascade import Cascade
from coset.ssm.witness.words import Word, power

__all__ = ["MAX_STATES", "LabelTrace", "final_code", "run_word", "single_step", "trace_labels"]

Element = TypeVar("Element")
Step = Callable[[np.ndarray, np.ndarray], np.ndarray]

# A search holds 20 bytes a state that the phases can spell, reachable or not.
MAX_STATES = 2**24
_MAX_EDGES = 2**18  # taken at once
_MAX_TABLE = 2**18  # entries of a table of transitions that is made for a few words


@dataclass(frozen=True, eq=False)
class LabelTrace:
    """What a search over all reachable states of a finite model found.

    Attributes:
        labels: (num_states,) int64, the label of each state; −1 where none was reached.
        conflict: two words that end in one state with different labels, or ``None``.
        conflict_labels: the two labels.
        num_reached: states reached.
        num_edges: (state, token) pairs checked.
    """

    labels: np.ndarray = field(repr=False)
    conflict: tuple[Word, Word] | None
    conflict_labels: tuple[int, int] | None
    num_reached: int
    num_edges: int


@dataclass
class _Search:
    """The state of the search: labels, and how each state was first reached."""

    labels: np.ndarray
    parents: np.ndarray
    letters: np.ndarray
    edges: int = 0

    def word(self, state: int) -> list[int]:
        path: list[int] = []
        while self.parents[state] >= 0:
            path.append(int(self.letters[state]))
            state = int(self.parents[state])
        return path[::-1]


def trace_labels(
    step: Step,
    num_states: int,
    label_table: np.ndarray,
    *,
    start_state: int = 0,
    start_label: int = 0,
) -> LabelTrace:
    """Search all states that words reach, and check that each one has a single label.

    A word w has the state δ(s₀, w) and the label λ(l₀, w); the model can tell the labels apart iff
    no state has two. Breadth first: if there is a conflict, none has two shorter words.

    Args:
        step: (states, tokens) to the states after them, on broadcast int64 arrays.
        num_states: states are 0 … num_states − 1.
        label_table: (num_labels, X) int64, the label after a label and a token; for a group
            ``mul[:, alphabet]``.
        start_state: s₀.
        start_label: l₀.

    Returns:
        Labels, or a conflict.

    Raises:
        ShapeError: if the label table is not a matrix.
        UnsupportedError: if there are more than 2²⁴ states.
        RangeError: if the start is none of the states or labels, or a step leads to none.

    Complexity: O(reached · X) steps, 20 bytes a state.

    Claims: ssm.C2.

    Example:
        >>> parity = np.array([[0, 1], [1, 0]])
        >>> trace = trace_labels(lambda s, x: 0 * (s + x), 1, parity)
        >>> [str(word) for word in trace.conflict], trace.conflict_labels
        (['1', 'the empty word'], (1, 0))
    """
    if label_table.ndim != 2:
        raise ShapeError(f"a label table has shape (labels, tokens); given {label_table.shape}")
    if num_states > MAX_STATES:
        raise UnsupportedError(
            f"a search may hold {MAX_STATES:,} states; this model has {num_states:,}; give the "
            f"number of layers and their moduli instead"
        )
    if not (0 <= start_state < num_states and 0 <= start_label < len(label_table)):
        raise RangeError(
            f"a search must start in one of its {num_states} states and {len(label_table)} labels; "
            f"given {start_state} and {start_label}"
        )
    found = _Search(
        np.full(num_states, -1, np.int64),
        np.full(num_states, -1, np.int64),
        np.full(num_states, -1, np.int32),
    )
    found.labels[start_state] = start_label
    frontier = np.array([start_state], dtype=np.int64)
    rows = max(1, _MAX_EDGES // max(1, label_table.shape[1]))
    while frontier.size:
        reached: list[np.ndarray] = []
        for first in range(0, frontier.size, rows):
            new, conflict = _expand(found, step, label_table, frontier[first : first + rows])
            if conflict is not None:
                return _conflict(found, label_table, *conflict)
            reached.append(new)
        frontier = np.concatenate(reached)
    return LabelTrace(found.labels, None, None, int((found.labels >= 0).sum()), found.edges)


def _expand(
    found: _Search, step: Step, label_table: np.ndarray, frontier: np.ndarray
) -> tuple[np.ndarray, tuple[int, int, int] | None]:
    """Follow all edges of the frontier; return the new states, or (state, token, state after)."""
    num_tokens = label_table.shape[1]
    after = step(frontier[:, None], np.arange(num_tokens)[None]).reshape(-1)
    if after.size and not 0 <= after.min() <= after.max() < len(found.labels):
        raise RangeError(
            f"a step must lead to 0 … {len(found.labels) - 1}; "
            f"it gave {after.min()} … {after.max()}"
        )
    labels = label_table[found.labels[frontier]].reshape(-1)
    found.edges += after.size
    fresh = np.flatnonzero(found.labels[after] < 0)
    new, first = np.unique(after[fresh], return_index=True)
    edge = fresh[first]
    order = np.argsort(edge)
    new, edge = new[order], edge[order]
    found.labels[new] = labels[edge]
    found.parents[new] = frontier[edge // max(1, num_tokens)]
    found.letters[new] = edge % max(1, num_tokens)
    wrong = np.flatnonzero(found.labels[after] != labels)
    if wrong.size:
        at = int(wrong[0])
        return new, (int(frontier[at // num_tokens]), at % num_tokens, int(after[at]))
    return new, None


def _conflict(
    found: _Search, label_table: np.ndarray, state: int, token: int, after: int
) -> LabelTrace:
    words = (Word.of([*found.word(state), token]), Word.of(found.word(after)))
    labels = (int(label_table[found.labels[state], token]), int(found.labels[after]))
    return LabelTrace(found.labels, words, labels, int((found.labels >= 0).sum()), found.edges)


def single_step(cascade: Cascade) -> Callable[[int, int], int]:
    """Return the step of one state and one token: by the table of transitions if it is small.

    Args:
        cascade: any cascade.

    Returns:
        (code, token) to the code after it.
    """
    if cascade.num_codes * cascade.num_tokens <= _MAX_TABLE:
        table = cascade.transition_table()
        return lambda code, token: int(table[code, token])
    return lambda code, token: int(cascade.step(np.array([code]), np.array([token]))[0])


def final_code(cascade: Cascade, word: Word, start: int = 0) -> int:
    """Return the code of a cascade after a word in power form.

    Args:
        cascade: any cascade.
        word: any length.
        start: the code before it.

    Returns:
        The code.

    Complexity: each rule runs once from each state that it meets; powers stop at their cycle.
    """
    step = single_step(cascade)

    def action(code: int, token: int) -> tuple[int, None]:
        return step(code, token), None

    return run_word(action, word, start, lambda first, second: None, None)[0]


def run_word(
    action: Callable[[int, int], tuple[int, Element]],
    word: Word,
    start: int,
    compose: Callable[[Element, Element], Element],
    identity: Element,
) -> tuple[int, Element]:
    """Run a word in power form on a finite state that carries elements of a monoid along.

    Args:
        action: (state, token) to the state after it and the element that this edge contributes.
        word: any length.
        start: the state before it.
        compose: (a, b) to "a, then b"; must be associative.
        identity: its neutral element.

    Returns:
        The state after the word, and the product of the elements on the way.
    """
    known: dict[tuple[int, int], tuple[int, Element]] = {}

    def run(symbol: int, code: int) -> tuple[int, Element]:
        if (symbol, code) not in known:
            if symbol >= 0:
                known[symbol, code] = action(code, symbol)
            else:
                after, product = code, identity
                for inner, count in word.rules[-1 - symbol]:
                    after, more = repeat(inner, count, after)
                    product = compose(product, more)
                known[symbol, code] = after, product
        return known[symbol, code]

    def repeat(symbol: int, count: int, code: int) -> tuple[int, Element]:
        seen: dict[int, int] = {}
        products = [identity]  # products[i] leads to the i-th state of the orbit
        orbit = [code]
        while count and code not in seen:
            seen[code] = len(orbit) - 1
            code, more = run(symbol, code)
            orbit.append(code)
            products.append(compose(products[-1], more))
            count -= 1
        if not count:
            return code, products[-1]
        first = seen[code]
        rounds, rest = divmod(count, len(orbit) - 1 - first)
        around, end = identity, identity
        for at in range(first, len(orbit) - 1):
            around = compose(around, run(symbol, orbit[at])[1])
        for at in range(first, first + rest):
            end = compose(end, run(symbol, orbit[at])[1])
        total = compose(products[-1], power(around, rounds, compose, identity))
        return orbit[first + rest], compose(total, end)

    return run(-len(word.rules), start) if word.rules else (start, identity)
