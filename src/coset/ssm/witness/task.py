"""The task that a model is examined on: a group, its alphabet, and the limits of the search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from coset.core.errors import DomainError, DtypeError
from coset.groups import Group
from coset.ssm.alphabet import Alphabet, as_group, resolve_alphabet
from coset.ssm.witness.result import TrackingWitness, WitnessKind
from coset.ssm.witness.words import Word

__all__ = ["TrackingTask", "default_alphabet", "own_alphabet", "random_source", "task_of"]


@dataclass(frozen=True, eq=False)
class TrackingTask:
    """A word problem and what counts as failing it.

    Attributes:
        group: the group.
        letters: (X,) int64, the element of each token.
        resolution: ε > 0, the distance of states that a decoder needs.
        radius: R > 0, the largest state that counts as bounded.
        max_length: words are no longer, ≥ 1.
    """

    group: Group
    letters: np.ndarray
    resolution: float
    radius: float
    max_length: int

    def __post_init__(self) -> None:
        for name in ("resolution", "radius"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 < float(value) < math.inf:
                raise DomainError(f"{name} must be a positive number; given {value!r:.100}")
        length = self.max_length
        if isinstance(length, bool) or not isinstance(length, Integral) or length < 1:
            raise DomainError(f"max_length must be an integer ≥ 1; given {self.max_length!r:.100}")

    @property
    def num_tokens(self) -> int:
        """X."""
        return len(self.letters)

    @cached_property
    def label_table(self) -> np.ndarray:
        """(n, X) int64: the value after a value and a token."""
        table: np.ndarray = np.asarray(self.group.mul, dtype=np.int64)[:, self.letters]
        return table

    def value(self, word: Word) -> int:
        """Return the group element that a word spells.

        Args:
            word: any length.

        Returns:
            The element.
        """
        return word.value(self.group.mul, self.letters, self.group.identity)

    def witness(
        self,
        kind: WitnessKind,
        words: tuple[Word, Word],
        level: str,
        reason: str,
        *,
        distance: float | None = None,
        growth: float | None = None,
    ) -> TrackingWitness:
        """Return a witness of these words.

        Args:
            kind: the kind of failure.
            words: the words.
            level: the method.
            reason: the cause.
            distance: of the states, if compared.
            growth: of the state, if unbounded.

        Returns:
            The witness.
        """
        first, second = words
        return TrackingWitness(
            kind=kind,
            words=words,
            values=(self.value(first), self.value(second)),
            group=str(self.group.name or "the group"),
            alphabet=tuple(self.letters.tolist()),
            level=level,
            reason=reason,
            resolution=self.resolution,
            radius=self.radius,
            distance=distance,
            growth=growth,
        )


def default_alphabet(group: Group, num_tokens: int) -> np.ndarray:
    """Return the alphabet that a model with so many tokens must mean.

    Args:
        group: the group.
        num_tokens: X.

    Returns:
        All elements if X = |G|; a small generating set if it has X elements.

    Raises:
        DomainError: if X is neither.
    """
    for name in ("all", "generators"):
        letters = resolve_alphabet(group, name)
        if len(letters) == num_tokens:
            return letters
    raise DomainError(
        f"the model reads {num_tokens} tokens; {group.name} has {group.order} elements and "
        f"{len(group.generators)} generators; give alphabet=, the element of each token"
    )


def own_alphabet(model: Any, group: Group) -> Alphabet:
    """Return the alphabet that a model was made for, if it was made for this group.

    Args:
        model: may have ``alphabet`` and ``group`` (a group or its name).
        group: the group in question.

    Returns:
        The model's alphabet, or ``None``.
    """
    made_for = getattr(model, "group", None)
    name = made_for if isinstance(made_for, str) else getattr(made_for, "name", None)
    if name is not None and name != group.name:
        return None
    found: Alphabet = getattr(model, "alphabet", None)
    return found


def random_source(generator: torch.Generator | None) -> torch.Generator:
    """Return the generator that a caller gave, or a new one.

    Args:
        generator: a generator, or ``None`` for seed 0.

    Returns:
        The generator.

    Raises:
        DtypeError: if it is something else.
    """
    if generator is None:
        return torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise DtypeError(
            f"generator must be a torch.Generator or None; given {generator!r:.100}; make one by "
            f"torch.Generator().manual_seed(seed)"
        )
    return generator


def task_of(
    group: Group | str,
    alphabet: Alphabet,
    num_tokens: int | None,
    resolution: float,
    radius: float,
    max_length: int,
) -> TrackingTask:
    """Return the task that a caller means.

    Args:
        group: the group or its name.
        alphabet: of the tokens, or ``None``: all elements, or the generators, as the model reads.
        num_tokens: X of the model, or ``None`` if it does not say.
        resolution: ε.
        radius: R.
        max_length: of words.

    Returns:
        The task.

    Raises:
        DomainError: if a limit or the alphabet is impossible.
    """
    group = as_group(group)
    if alphabet is None and num_tokens is not None:
        letters = default_alphabet(group, num_tokens)
    else:
        letters = resolve_alphabet(group, alphabet)
    return TrackingTask(group, letters, resolution, radius, max_length)
