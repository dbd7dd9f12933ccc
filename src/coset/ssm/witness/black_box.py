"""Witnesses against a torch module of which only answers, or answers and a state, are seen.

Level A on states rounded to a grid, level C with the group's exponent as modulus, and level D:
random words, half of them rearrangements of the other half. What is found is run before it counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import ShapeError
from coset.ssm.witness.commutators import commutator_pair
from coset.ssm.witness.exact import with_common_end
from coset.ssm.witness.result import LengthProbe, TrackingWitness
from coset.ssm.witness.runners import ModuleRunner, are_integers, flat_state, map_tensors
from coset.ssm.witness.task import TrackingTask
from coset.ssm.witness.words import Word

__all__ = [
    "GridSearch",
    "compare",
    "forget",
    "modulus_candidates",
    "nested_pairs",
    "probe_lengths",
]

Reached = tuple[tuple[int, ...], int]  # a word, and its value

MAX_GRID_STATES = 4096
_BATCH = 4096
_MAX_ENDING = 2**12
# A published block also keeps its last few tokens: they must be the same, too.
COMMON_END = Word.of([0] * 4)


def compare(
    runner: ModuleRunner, task: TrackingTask, words: tuple[Word, Word], level: str, reason: str
) -> TrackingWitness | None:
    """Run two words; return a witness if the states are too close or too large.

    Args:
        runner: the model.
        task: what it should track.
        words: two words of different value.
        level: for the record.
        reason: for the record.

    Returns:
        The witness; ``None`` if the model passes, or if the words are too long.
    """
    if level != "D":
        words = words[0] + COMMON_END, words[1] + COMMON_END
    if max(word.length for word in words) > task.max_length:
        return None
    ends = runner.ends(words)
    distance = ends[0].distance(ends[1])
    if distance <= task.resolution:
        kind: Any = "same state" if distance == 0.0 else "too close"
        return task.witness(kind, words, level, reason, distance=distance)
    large = max(ends, key=lambda end: end.size)
    if large.size > task.radius:
        grown = words[ends.index(large)]
        if large.is_nan:
            reason, growth = runner.first_nan(grown), math.nan
            return task.witness("unbounded", (words[0], grown), level, reason, growth=growth)
        return task.witness(
            "unbounded", (words[0], grown), level, "its state grows", growth=large.size
        )
    if ends[0].answer is not None and ends[0].answer == ends[1].answer:
        shown = distance if math.isfinite(distance) else None
        return task.witness("same answer", words, level, reason, distance=shown)
    return None


class GridSearch:
    """Search states rounded to a grid of ε, breadth first, for words that meet in one cell.

    Iterating gives pairs of words of different value, one for each edge that meets a cell of
    another value.

    Args:
        runner: a model that shows its state.
        task: what it should track.

    Attributes:
        num_states: cells seen so far.
        closed: whether the search came to an end: every token leads from every cell to a known one.
        exact: whether each cell is one state: they are integers, and the grid is finer.
        right: whether all answers on the way were the values.
    """

    def __init__(self, runner: ModuleRunner, task: TrackingTask) -> None:
        self.model: Any = runner.model
        self.task = task
        self.closed, self.exact, self.right = False, False, True
        self._runner = runner
        self._labels: dict[bytes, int] = {}
        self._words: dict[bytes, tuple[int, ...]] = {}

    @property
    def num_states(self) -> int:
        """How many cells were seen."""
        return len(self._labels)

    @torch.no_grad()
    def __iter__(self) -> Iterator[tuple[Word, Word]]:
        task, num_tokens = self.task, self.task.num_tokens
        frontier: list[Reached] = [((), int(task.group.identity))]
        state = self.model.start_state(1)
        self.exact = are_integers(state) and task.resolution < 1
        self._remember(_cells(state, task), frontier)
        tokens = torch.arange(num_tokens, device=self._runner.device)
        while frontier and self.num_states < MAX_GRID_STATES:
            taken = frontier[: max(1, _BATCH // num_tokens)]
            rows = torch.arange(len(taken)).repeat_interleave(num_tokens)
            logits, after = self.model.step(tokens.repeat(len(taken)), _rows(state, rows))
            reached = [
                ((*path, x), int(task.label_table[value, x]))
                for path, value in taken
                for x in range(num_tokens)
            ]
            answers = logits.argmax(-1).tolist()
            self.right &= answers == [value for _, value in reached]
            cells = _cells(after, task)
            for cell, (path, value) in zip(cells, reached, strict=True):
                if self._labels.get(cell, value) != value:
                    yield Word.of(path), Word.of(self._words[cell])
            fresh = torch.tensor(self._remember(cells, reached), dtype=torch.int64)
            rest = torch.arange(len(taken), len(frontier))
            frontier = frontier[len(taken) :] + [reached[i] for i in fresh.tolist()]
            state = _joined(_rows(state, rest), _rows(after, fresh))
        self.closed = not frontier

    def _remember(self, cells: list[bytes], reached: list[Reached]) -> list[int]:
        """Note cells that are new; return their places."""
        fresh: list[int] = []
        for at, (cell, (path, value)) in enumerate(zip(cells, reached, strict=True)):
            if cell not in self._labels:
                self._labels[cell], self._words[cell] = value, path
                fresh.append(at)
        return fresh


def _cells(state: Any, task: TrackingTask) -> list[bytes]:
    flat = flat_state(state)
    scaled = np.stack((flat.real, flat.imag), -1) / task.resolution
    cells = np.clip(np.nan_to_num(np.round(scaled)), -(2.0**62), 2.0**62).astype(np.int64)
    return [row.tobytes() for row in cells]


def _rows(state: Any, places: Tensor) -> Any:
    """Return some rows of a nested state's batch."""
    return map_tensors(lambda t: t[places], state)


def _joined(first: Any, second: Any) -> Any:
    """Concatenate two nested states along the batch."""
    others: list[Tensor] = []
    map_tensors(lambda t: others.append(t) or t, second)  # type: ignore[func-returns-value]
    left = iter(others)
    return map_tensors(lambda t: torch.cat((t, next(left))), first)


def forget(runner: ModuleRunner, task: TrackingTask, tried: list[str]) -> TrackingWitness | None:
    """Read two tokens of different value and longer and longer common endings.

    Args:
        runner: a model that shows its state.
        task: what it should track.
        tried: receives how long the endings became.

    Returns:
        A witness once the states are too close or too large; ``None`` if four times as long an
        ending brought them no closer, or at 2¹² tokens.
    """
    values = task.letters
    other = np.flatnonzero(values != values[0])
    if not other.size:
        return None
    every, rounds, closest, length = Word.of(range(task.num_tokens)), 1, math.inf, 0
    most = min(task.max_length - COMMON_END.length, _MAX_ENDING)
    while 1 + rounds * every.length <= most:
        end = every**rounds
        words = (Word.of([int(other[0])]) + end, Word.of([0]) + end)
        ends = runner.ends(words)
        distance = ends[0].distance(ends[1])
        if distance <= task.resolution or max(e.size for e in ends) > task.radius:
            return compare(runner, task, words, "B", "a common ending makes the states alike")
        if distance > 0.99 * closest:
            break
        closest, rounds, length = distance, 4 * rounds, end.length
    tried.append(f"B: common endings of {length:,} tokens bring no two states together")
    return None


def modulus_candidates(task: TrackingTask) -> tuple[int, ...]:
    """Return common moduli of phases that are worth a try: the group's exponent, and 12 with it.

    Args:
        task: what the model should track.

    Returns:
        One or two numbers.
    """
    exponent = int(task.group.exponent)
    return tuple(dict.fromkeys((exponent, math.lcm(exponent, 12))))


def nested_pairs(
    task: TrackingTask, num_layers: int, tried: list[str]
) -> Iterator[tuple[Word, Word]]:
    """Give commutator words for so many layers.

    Args:
        task: what the model should track.
        num_layers: k.
        tried: receives why there are none.

    Yields:
        Pairs of words of different value, of at most max_length tokens.
    """
    for modulus in modulus_candidates(task):
        pair = commutator_pair(task.group.mul, task.letters, [modulus] * num_layers)
        if pair is None:
            tried.append(f"C: the derived length is at most {num_layers}, so there is no such word")
            return
        words = with_common_end(pair)
        longest = max(word.length for word in words) + COMMON_END.length
        if longest > task.max_length:
            tried.append(f"C: words of {longest:,} tokens are too long")
            continue
        yield words
        tried.append(f"C: words of {longest:,} tokens, for phases in Z{modulus}")


@torch.no_grad()
def probe_lengths(
    runner: ModuleRunner,
    task: TrackingTask,
    *,
    length: int,
    num_words: int,
    generator: torch.Generator | None = None,
) -> tuple[LengthProbe, tuple[Word, Word] | None]:
    """Read random words and rearrangements of them; compare all answers with the values.

    Args:
        runner: the model.
        task: what it should track.
        length: of the words, ≥ 1.
        num_words: how many, ≥ 2.
        generator: source of randomness.

    Returns:
        Accuracy by position, and the shortest two words of different value that end with the same
        token and get the same answer, if there are some.

    Raises:
        ShapeError: if the model has fewer labels than the group has elements.
    """
    half = torch.randint(task.num_tokens, (num_words // 2, length), generator=generator)
    shuffled = torch.stack([row[torch.randperm(length, generator=generator)] for row in half])
    tokens = torch.cat((half, shuffled))
    truth = task.group.prefix_products(tokens, alphabet=task.letters)
    logits = runner.answers(tokens)
    if logits.shape[-1] < task.group.order:
        raise ShapeError(
            f"the model must answer with one of the {task.group.order} elements of "
            f"{task.group.name}; it has {logits.shape[-1]} labels; give the group it was trained "
            f"on, or levels without D"
        )
    right = logits.gather(-1, truth[..., None])[..., 0]
    others = logits.scatter(-1, truth[..., None], -math.inf)
    margin = float((right - others.amax(-1)).min()) if logits.shape[-1] > 1 else math.inf
    answers = logits.argmax(-1)
    hits = (answers == truth).double().mean(0)
    marks = sorted({min(length, 2**i) for i in range(length.bit_length() + 1)})
    wrong = (hits < 1).nonzero()
    probe = LengthProbe(
        lengths=tuple(marks),
        accuracies=tuple(float(hits[mark - 1]) for mark in marks),
        margin=margin,
        first_failing_length=int(wrong[0]) + 1 if wrong.numel() else None,
        num_words=len(tokens),
    )
    return probe, _confused(tokens.numpy(), truth.numpy(), answers.numpy())


def _confused(
    tokens: np.ndarray, truth: np.ndarray, answers: np.ndarray
) -> tuple[Word, Word] | None:
    """Return the shortest prefixes with equal answers and last tokens but different values."""
    length = tokens.shape[1]
    when = np.broadcast_to(np.arange(length), tokens.shape)
    order = np.lexsort((when.ravel(), tokens.ravel(), answers.ravel()))
    key = (answers.astype(np.int64) * (tokens.max() + 1) + tokens).ravel()[order]
    value, time = truth.ravel()[order], when.ravel()[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    first = np.repeat(starts, np.diff(np.r_[starts, key.size]))
    differs = np.flatnonzero(value != value[first])
    if not differs.size:
        return None
    at = int(differs[time[differs].argmin()])
    pair = (int(order[at]), int(order[first[at]]))
    first_word, second_word = (
        Word.of(tokens[place // length, : place % length + 1].tolist()) for place in pair
    )
    return first_word, second_word
