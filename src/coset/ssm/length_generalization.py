"""Accuracy against length: how far a model tracks a group beyond the words it was trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError, DtypeError, ShapeError
from coset.core.results import Record
from coset.groups import Group
from coset.ssm.alphabet import Alphabet
from coset.ssm.layers import check_size
from coset.ssm.word_problem import WordProblem

__all__ = ["LengthTable", "length_generalization"]

Metric = Literal["all", "last"]


@dataclass(frozen=True)
class LengthTable(Record):
    """Accuracy of a model on random words, by length.

    Attributes:
        lengths: the lengths, ascending.
        accuracies: the accuracy at each.
        standard_errors: of each accuracy, over words (positions of one word are not independent).
        metric: "all": mean over the positions 1 … T of words of length T; "last": position T.
        num_words: how many words.
    """

    lengths: tuple[int, ...]
    accuracies: tuple[float, ...]
    standard_errors: tuple[float, ...]
    metric: str
    num_words: int

    def longest(self, threshold: float = 0.9, *, unbroken: bool = True) -> int:
        """Return the longest length at which the accuracy exceeds a threshold.

        Args:
            threshold: in [0, 1); the papers' tables use 0.9.
            unbroken: whether it must exceed it at all shorter lengths of the table, too.

        Returns:
            The length, 0 if there is none.

        Raises:
            ConfigError: if the threshold is not in [0, 1).
        """
        if not 0.0 <= threshold < 1.0:
            raise ConfigError(f"threshold must lie in [0, 1); given {threshold}")
        found = 0
        for length, accuracy in zip(self.lengths, self.accuracies, strict=True):
            if accuracy > threshold:
                found = length
            elif unbroken:
                break
        return found

    def rows(self) -> list[dict[str, Any]]:
        """Return one dictionary a length, for tables and experiments."""
        columns = zip(self.lengths, self.accuracies, self.standard_errors, strict=True)
        return [
            {"length": length, "accuracy": accuracy, "standard_error": error}
            for length, accuracy, error in columns
        ]

    def __str__(self) -> str:
        lines = [f"accuracy ({self.metric} positions, {self.num_words} words)"]
        lines += [
            f"{r['length']:>8}  {r['accuracy']:.4f} ± {r['standard_error']:.4f}"
            for r in self.rows()
        ]
        return "\n".join(lines)


def length_generalization(
    model: nn.Module | Callable[[Tensor], Tensor],
    group: Group | str,
    lengths: Sequence[int],
    *,
    num_words: int = 256,
    metric: Metric = "all",
    alphabet: Alphabet = "all",
    batch_size: int = 64,
    generator: torch.Generator | None = None,
) -> LengthTable:
    """Measure the accuracy of a causal model on random words, by length.

    The words of all lengths are prefixes of the same `num_words` words, drawn uniformly; a prefix
    of a uniform word is uniform, and a causal model reads all of them in one pass.

    Args:
        model: tokens (N, T) → logits (N, T, n); or a module with ``track(tokens)`` → elements
            (N, T). It must be causal: what it says of position t may depend on tokens 1 … t only.
        group: the group or its name.
        lengths: lengths ≥ 1, in any order; repeated ones count once.
        num_words: how many words.
        metric: "all": mean over all positions up to the length; "last": that position only.
        alphabet: what tokens stand for, as in `WordProblem`.
        batch_size: words that the model reads at a time; changes no number.
        generator: source of randomness; torch's own if ``None``.

    Returns:
        The table. A position counts as wrong where a logit is NaN or +∞; −∞ is a probability of 0.

    Raises:
        ConfigError: if there is no length, or one is no integer ≥ 1, or the metric is unknown.
        DtypeError: if the model can neither be called nor track.
        ShapeError: if the model returns another shape.

    Complexity: one forward pass of `num_words` words of the largest length.

    Example:
        >>> parity = lambda tokens: torch.nn.functional.one_hot(tokens.cumsum(-1) % 2, 2).float()
        >>> length_generalization(parity, "Z2", [8, 64], num_words=4).longest()
        64
    """
    if metric not in get_args(Metric):
        raise ConfigError(f"metric must be one of {get_args(Metric)}; given {metric!r}")
    wanted = _wanted(lengths)
    num_words = check_size("num_words", num_words)
    batch_size = check_size("batch_size", batch_size)
    if not (callable(model) or hasattr(model, "track")):
        raise DtypeError(f"model must be a module or function; given {type(model).__name__}")
    problem = WordProblem(group, wanted[-1], alphabet=alphabet, split="all")
    device = _device_of(model)
    # All words are drawn at once, so that the batch size does not move the generator.
    words, labels = problem.sample(num_words, generator=generator)
    batches = zip(torch.split(words, batch_size), torch.split(labels, batch_size), strict=True)
    score = torch.cat(
        [
            _scores(_right(model, x.to(device), y.to(device), problem.num_labels), wanted, metric)
            for x, y in batches
        ]
    )
    means = score.mean(0)
    spread = score.std(0) if num_words > 1 else torch.full_like(means, math.nan)
    return LengthTable(
        lengths=tuple(wanted),
        accuracies=tuple(means.tolist()),
        standard_errors=tuple((spread / math.sqrt(num_words)).tolist()),
        metric=metric,
        num_words=num_words,
    )


def _wanted(lengths: Any) -> list[int]:
    """Return the lengths, ascending, each once."""
    given = lengths.tolist() if isinstance(lengths, Tensor | np.ndarray) else lengths
    if not isinstance(given, Iterable) or not (given := list(given)):
        raise ConfigError(f"lengths must be one or more integers ≥ 1; given {lengths!r}")
    return sorted({check_size("length", length) for length in given})


def _scores(right: Tensor, lengths: Sequence[int], metric: str) -> Tensor:
    """Return (N, number of lengths) float64: each word's score at each length, on the CPU."""
    right = right.cpu()
    ends = torch.tensor(lengths) - 1
    if metric == "last":
        return right[:, ends].double()
    return right.double().cumsum(1)[:, ends] / (ends + 1)


def _device_of(model: Any) -> torch.device:
    if isinstance(model, nn.Module):
        for tensor in [*model.parameters(), *model.buffers()]:
            return tensor.device
    return torch.device("cpu")


@torch.no_grad()
def _right(model: Any, tokens: Tensor, labels: Tensor, num_labels: int) -> Tensor:
    track = getattr(model, "track", None)
    if track is not None:
        found = track(tokens)
        if found.shape != labels.shape:
            raise ShapeError(
                f"track must return elements of shape {tuple(labels.shape)}; it returned "
                f"{tuple(found.shape)}"
            )
        return torch.eq(found, labels)
    was_training = isinstance(model, nn.Module) and model.training
    if was_training:
        model.eval()
    try:
        logits = model(tokens)
    finally:
        if was_training:
            model.train()
    if logits.shape != (*labels.shape, num_labels):
        raise ShapeError(
            f"the model must return logits of shape {(*labels.shape, num_labels)}; it returned "
            f"{tuple(logits.shape)}"
        )
    right: Tensor = (logits.argmax(-1) == labels) & (logits < math.inf).all(-1)
    return right
