"""Where labeled words come from: a group or machine that labels random words, or stored words."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.groups import Group
from coset.ssm.alphabet import Alphabet, as_group, resolve_alphabet
from coset.ssm.cascade import check_tokens
from coset.ssm.layers import check_size

__all__ = ["GroupWords", "MachineWords", "StoredWords", "WordSource", "as_source", "draw_words"]


@runtime_checkable
class WordSource(Protocol):
    """Labeled words: a label y_t after every token x_t.

    Attributes:
        num_tokens: X.
        num_labels: K.
        max_length: the longest words that it has, or ``None``.
    """

    num_tokens: int
    num_labels: int
    max_length: int | None

    def sample(
        self, num_words: int, length: int, generator: torch.Generator | None, *, fresh: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return random words and their labels.

        Args:
            num_words: B ≥ 1.
            length: T ≥ 1, at most `max_length`.
            generator: of random numbers.
            fresh: whether the words are for choosing and judging: a source of stored words then
                gives some that training never gets, and fewer if it has not so many.

        Returns:
            tokens and labels, (B, T) int64 each, in 0 … X − 1 and 0 … K − 1.
        """
        ...


class MachineWords:
    """Words drawn uniformly, labeled by a deterministic machine: its table is never shown.

    Args:
        table: (S, X) integers: the state after each state and token.
        labels: (S,) integers in 0 … S − 1, seen in each state; by default the state itself.
        start: the state before the first token.

    Raises:
        ShapeError: if the table is empty or not two-dimensional.
        DtypeError: if it does not hold integers.
        RangeError: if a state, a label or the start is out of range.

    Example:
        >>> parity = MachineWords(np.array([[0, 1], [1, 0]]))
        >>> tokens, labels = parity.sample(2, 5, torch.Generator().manual_seed(0))
        >>> bool((tokens.cumsum(-1) % 2 == labels).all())
        True
    """

    max_length: int | None = None

    def __init__(self, table: np.ndarray, labels: np.ndarray | None = None, start: int = 0) -> None:
        table = _array(table, "table")
        labels = np.arange(len(table)) if labels is None else _array(labels, "labels")
        if table.dtype.kind not in "iu" or labels.dtype.kind not in "iu":
            raise DtypeError(
                f"table and labels must be integers; given {table.dtype} and {labels.dtype}"
            )
        if table.ndim != 2 or table.size == 0 or labels.shape != table.shape[:1]:
            raise ShapeError(
                f"the table must have shape (states, tokens), neither 0, and the labels (states,); "
                f"given {table.shape} and {labels.shape}"
            )
        if isinstance(start, bool) or not isinstance(start, int | np.integer):
            raise DtypeError(f"start must be an integer; given {start!r}")
        for name, values in (("states", table), ("labels", labels), ("start", np.array([start]))):
            wrong = values[(values < 0) | (values >= len(table))]
            if wrong.size:
                raise RangeError(
                    f"{name} must lie in 0 … {len(table) - 1} for {len(table)} states; given "
                    f"{int(wrong[0])}; number them without gaps"
                )
        self.table = np.ascontiguousarray(table, dtype=np.int64)
        self.labels = np.ascontiguousarray(labels, dtype=np.int64)
        self.start = int(start)
        self.num_tokens = table.shape[1]
        self.num_labels = int(labels.max()) + 1

    def label(self, tokens: Tensor) -> Tensor:
        """Return the labels of words.

        Args:
            tokens: (…, T) int64 in 0 … X − 1.

        Returns:
            (…, T) int64, on the CPU.

        Raises:
            RangeError: if a token is out of range.
            ShapeError: if they have no time.
        """
        from coset.ssm.learning.kernels import run_table  # loads numba

        tokens = check_tokens(tokens, self.num_tokens).cpu()
        if tokens.ndim < 1:
            raise ShapeError("tokens must have shape (…, T); given a single number")
        words = tokens.reshape(-1, max(1, tokens.shape[-1])).contiguous().numpy()
        states = np.empty_like(words)
        run_table(self.table, words, self.start, states)
        return torch.from_numpy(self.labels[states]).reshape(tokens.shape)

    def sample(
        self, num_words: int, length: int, generator: torch.Generator | None, *, fresh: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return uniformly random words and their labels, as `WordSource.sample`."""
        size = check_size("num_words", num_words, 0), check_size("length", length, 0)
        tokens = torch.randint(self.num_tokens, size, generator=generator)
        return tokens, self.label(tokens)


class GroupWords(MachineWords):
    """Words over an alphabet of group elements, labeled by their running products x₁·x₂·…·x_t.

    The group makes the labels; a learner sees token numbers and label numbers only.

    Args:
        group: a group or its name.
        alphabet: "all" elements, "generators" (a small generating set), or element ids; as in
            `coset.ssm.alphabet.resolve_alphabet`.

    Attributes:
        group: the group.
        alphabet: (X,) int64, the element of each token.
    """

    def __init__(self, group: Group | str, alphabet: Alphabet = "all") -> None:
        self.group = as_group(group)
        self.alphabet = resolve_alphabet(self.group, alphabet)
        super().__init__(self.group.mul[:, self.alphabet], start=int(self.group.identity))


class StoredWords:
    """Labeled words of one length that were collected before; a part is kept for choosing.

    Args:
        tokens: (N, L) integers ≥ 0.
        labels: (N, L) integers ≥ 0, the label after each token.
        num_held_out: how many of the words, from the end, no gradient sees; by default a fifth.

    Raises:
        ShapeError: if the shapes differ, or there are fewer than two words.
        DtypeError: if they are not integers.
        RangeError: if a token or label is negative, or so large that there must be gaps.
        DomainError: if nothing is left on one side.
    """

    def __init__(self, tokens: Tensor, labels: Tensor, num_held_out: int | None = None) -> None:
        if tokens.shape != labels.shape or tokens.ndim != 2 or min(tokens.shape) < 1:
            raise ShapeError(
                f"tokens and labels must both have shape (words, length), neither 0; given "
                f"{tuple(tokens.shape)} and {tuple(labels.shape)}"
            )
        self.tokens = _numbers(tokens, "tokens")
        self.labels = _numbers(labels, "labels")
        kept = max(1, len(tokens) // 5) if num_held_out is None else num_held_out
        if not 1 <= kept < len(tokens):
            raise DomainError(
                f"between 1 and {len(tokens) - 1} of {len(tokens)} words can be held out; "
                f"given {kept}"
            )
        self.num_held_out = kept
        self.num_tokens = int(tokens.max()) + 1
        self.num_labels = int(labels.max()) + 1
        self.max_length: int | None = tokens.shape[1]

    def sample(
        self, num_words: int, length: int, generator: torch.Generator | None, *, fresh: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return beginnings of stored words, drawn with replacement, as `WordSource.sample`.

        Fresh words are all those held out, each once, at most `num_words`.

        Raises:
            DomainError: if they are to be longer than the stored words.
        """
        check_size("num_words", num_words, 0)
        if check_size("length", length, 0) > self.tokens.shape[1]:
            raise DomainError(
                f"words may have at most the {self.tokens.shape[1]} tokens of the stored ones; "
                f"given {length}"
            )
        split = len(self.tokens) - self.num_held_out
        if fresh:
            chosen = torch.arange(split, len(self.tokens))[:num_words]
        else:
            chosen = torch.randint(split, (num_words,), generator=generator)
        return self.tokens[chosen, :length], self.labels[chosen, :length]


def _numbers(values: Tensor, name: str) -> Tensor:
    """Return integers that may number tokens or labels: fewer kinds than there are of them."""
    if values.numel() and not values.is_floating_point() and int(values.max()) >= values.numel():
        raise RangeError(
            f"{name} must be numbered from 0 on without gaps; of {values.numel()} {name} the "
            f"largest is {int(values.max())}; renumber them"
        )
    return check_tokens(values, max(1, values.numel())).contiguous()


def _array(values: Any, name: str) -> np.ndarray:
    try:
        return np.atleast_1d(np.asarray(values))
    except ValueError as error:
        raise ShapeError(f"{name} must have rows of one length; {error}") from error


def draw_words(
    source: WordSource,
    num_words: int,
    length: int,
    generator: torch.Generator | None,
    *,
    fresh: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return words of any source, checked: compiled code indexes tables with them unchecked.

    Args:
        source: the source.
        num_words: B.
        length: T.
        generator: of random numbers.
        fresh: as in `WordSource.sample`.

    Returns:
        tokens and labels, (B, T) int64 each and contiguous; with `fresh` there may be fewer words.

    Raises:
        ShapeError: if the source returns other shapes.
        DtypeError: if it returns no integer tensors.
        RangeError: if a token or a label is out of range.
    """
    words = source.sample(num_words, length, generator, fresh=fresh)
    checked = []
    for name, values, most in zip(
        ("tokens", "labels"), words, (source.num_tokens, source.num_labels), strict=True
    ):
        try:
            values = check_tokens(values, most)
        except (DtypeError, RangeError) as error:
            raise type(error)(f"the source's {name}: {error}") from error
        checked.append(np.ascontiguousarray(values.cpu().numpy()))
    tokens, labels = checked
    allowed = range(1, num_words + 1) if fresh else (num_words,)
    if tokens.shape != labels.shape or tokens.shape[1:] != (length,) or len(tokens) not in allowed:
        raise ShapeError(
            f"a source must return tokens and labels of shape ({num_words}, {length}); it returned "
            f"{tokens.shape} and {labels.shape}"
        )
    return tokens, labels


def as_source(words: Any) -> WordSource:
    """Return a source of words for what a user may give.

    Args:
        words: a `WordSource`; or (tokens, labels), two (N, L) integer tensors; or a group or its
            name: all its elements are the tokens.

    Returns:
        The source.

    Raises:
        DtypeError: if it is none of these.
    """
    if isinstance(words, WordSource):
        return words
    if isinstance(words, Group | str):
        return GroupWords(words)
    if isinstance(words, tuple) and len(words) == 2 and all(isinstance(w, Tensor) for w in words):
        return StoredWords(*words)
    raise DtypeError(
        "words must be a WordSource, a tuple of two integer tensors (tokens, labels), or a group; "
        f"given {type(words).__name__}; turn arrays into tensors with torch.as_tensor"
    )
