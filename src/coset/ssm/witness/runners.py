"""Run words through any model: exact cascades, tables, fading stacks, and torch modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from coset.core.errors import CosetError, DtypeError, RangeError
from coset.ssm.cascade import Cascade
from coset.ssm.witness.fading import FadingStack
from coset.ssm.witness.finite import final_code
from coset.ssm.witness.tables import LayerTables
from coset.ssm.witness.words import Word

__all__ = [
    "Ending",
    "ModuleRunner",
    "Runner",
    "are_integers",
    "flat_state",
    "layer_tables",
    "map_tensors",
    "runner_of",
]


# Longer words are read token by token, in constant memory.
_MAX_PARALLEL = 2**13


@dataclass(frozen=True, eq=False)
class Ending:
    """Where a word ends: an exact part of the state, a numeric part, and the model's answer.

    Attributes:
        code: exact part; 0 where there is none.
        state: (D,) complex128 numeric part; ``None`` if the model does not show its state.
        answer: the label that the model gives, or ``None``.
    """

    code: int
    state: np.ndarray | None
    answer: int | None

    def distance(self, other: Ending) -> float:
        """Return the ∞-distance of two states; infinite if exact parts differ or are not shown."""
        if self.code != other.code or self.state is None or other.state is None:
            return float("inf")
        return float(np.abs(self.state - other.state).max(initial=0.0))

    @property
    def size(self) -> float:
        """The ∞-norm of the state; NaN counts as infinite."""
        if self.state is None:
            return 0.0
        size = float(np.abs(self.state).max(initial=0.0))
        return float("inf") if self.is_nan else size

    @property
    def is_nan(self) -> bool:
        """Whether the state holds NaN."""
        return self.state is not None and bool(np.isnan(self.state).any())


class Runner(Protocol):
    """A model that words can be run through."""

    num_tokens: int

    def ends(self, words: Sequence[Word]) -> list[Ending]:
        """Return where each word ends."""


class CascadeRunner:
    """An exact cascade.

    Args:
        cascade: the model.
    """

    def __init__(self, cascade: Cascade) -> None:
        self.cascade = cascade
        self.num_tokens = cascade.num_tokens

    def ends(self, words: Sequence[Word]) -> list[Ending]:
        """Return the code after each word."""
        for word in words:
            word.check(self.num_tokens)
        return [Ending(final_code(self.cascade, word), np.zeros(0), None) for word in words]


class TablesRunner:
    """A layer given as tables.

    Args:
        tables: the model.
    """

    def __init__(self, tables: LayerTables) -> None:
        self.tables = tables
        self.num_tokens = tables.num_tokens

    def ends(self, words: Sequence[Word]) -> list[Ending]:
        """Return the state after each word."""
        return [Ending(0, self.tables.state(word), None) for word in words]


class FadingRunner:
    """A fading stack.

    Args:
        stack: the model.
    """

    def __init__(self, stack: FadingStack) -> None:
        self.stack = stack
        self.num_tokens = stack.num_tokens

    def ends(self, words: Sequence[Word]) -> list[Ending]:
        """Return code and fading coordinates after each word."""
        return [Ending(*self.stack.state(word), None) for word in words]


def map_tensors(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Apply a function to every tensor of a nested state.

    Args:
        function: from tensor to tensor.
        state: tensors in tuples, lists and dictionaries; other values are kept.

    Returns:
        The same structure.
    """
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, dict):
        return {key: map_tensors(function, value) for key, value in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*(map_tensors(function, value) for value in state))
    if isinstance(state, tuple | list):
        return type(state)(map_tensors(function, value) for value in state)
    return state


def flat_state(state: Any) -> np.ndarray:
    """Return a nested state of a batch as one matrix.

    Args:
        state: tensors of shape (B, …).

    Returns:
        (B, D) complex128.
    """
    found: list[np.ndarray] = []

    def gather(tensor: Tensor) -> Tensor:
        array = tensor.detach().cpu().resolve_conj().to(torch.complex128).numpy()
        found.append(array.reshape(array.shape[0], -1))
        return tensor

    map_tensors(gather, state)
    return np.concatenate(found, axis=1) if found else np.zeros((1, 0), complex)


def are_integers(state: Any) -> bool:
    """Return whether a nested state holds nothing but integers.

    Args:
        state: tensors in tuples, lists and dictionaries.

    Returns:
        False also if there is no tensor at all.
    """
    found: list[bool] = []

    def look(tensor: Tensor) -> Tensor:
        found.append(not (tensor.is_floating_point() or tensor.is_complex()))
        return tensor

    map_tensors(look, state)
    return bool(found) and all(found)


class ModuleRunner:
    """A torch module with ``forward(tokens)``, and ``start_state``/``step`` if it shows a state.

    Args:
        model: the module; it is run as it stands, without gradients.
        num_tokens: X, if the module does not say.
    """

    def __init__(self, model: nn.Module, num_tokens: int | None = None) -> None:
        found = num_tokens if num_tokens is not None else getattr(model, "num_tokens", None)
        if found is None:
            raise DtypeError(
                f"a model must have num_tokens, or an alphabet must be given; "
                f"{type(model).__name__} has none"
            )
        self.model = model
        self.num_tokens = int(found)
        weights = (*model.parameters(), *model.buffers())
        self.device = weights[0].device if weights else torch.device("cpu")
        self.has_state = hasattr(model, "step") and hasattr(model, "start_state")

    @torch.no_grad()
    def answers(self, tokens: Tensor) -> Tensor:
        """Return the logits after each token.

        Args:
            tokens: (B, T) int64, T ≥ 1.

        Returns:
            (B, T, n) float64.

        Raises:
            DtypeError: if the module does not read tokens or gives no logits.
        """
        try:
            logits: Tensor = self.model(tokens.to(self.device))
        except CosetError:
            raise
        except Exception as error:  # any module may be given
            raise self._no_tracker(f"failed: {type(error).__name__}: {error}") from error
        if not isinstance(logits, Tensor):
            raise self._no_tracker(f"returned a {type(logits).__name__}")
        if logits.shape[:-1] != tokens.shape:
            raise self._no_tracker(f"returned shape {tuple(logits.shape)}")
        return logits.detach().cpu().to(torch.float64)

    def _no_tracker(self, what: str) -> DtypeError:
        return DtypeError(
            f"a model must map tokens (B, T) int64 to logits (B, T, labels); "
            f"{type(self.model).__name__} {what}; wrap it in a module whose forward does"
        )

    @torch.no_grad()
    def ends(self, words: Sequence[Word]) -> list[Ending]:
        """Return state and answer after each word; words of equal length run together."""
        for word in words:
            word.check(self.num_tokens)
        if len({word.length for word in words}) == 1 and len(words) > 1:
            return self._read(words)
        return [self._read([word])[0] for word in words]

    def _read(self, words: Sequence[Word]) -> list[Ending]:
        if not self.has_state:
            tokens = torch.stack([word.tokens() for word in words])
            if tokens.shape[1] == 0:
                return [Ending(0, None, None) for _ in words]
            best = self.answers(tokens)[:, -1].argmax(-1).tolist()
            return [Ending(0, None, int(label)) for label in best]
        state, logits = self._before_last(words), None
        rest = words if state is None else [_last(word) for word in words]
        state = self.model.start_state(len(words)) if state is None else state  # type: ignore
        for column in _columns(rest):
            column = column.to(self.device)
            logits, state = self.model.step(column, state)  # type: ignore[operator]
        flat = flat_state(state)
        best = [None] * len(words) if logits is None else logits.argmax(-1).tolist()
        return [Ending(0, flat[i], best[i]) for i in range(len(words))]

    @torch.no_grad()
    def first_nan(self, word: Word) -> str:
        """Say where a state that ends as NaN became NaN.

        Args:
            word: after which it is NaN.

        Returns:
            The layer, if the state is one tensor a layer, and the token.
        """
        model: Any = self.model
        state = model.start_state(1)
        if np.isnan(flat_state(state)).any():
            return f"{_nan_part(state)} is NaN before the first token"
        for place, column in enumerate(_columns([word])):
            state = model.step(column.to(self.device), state)[1]
            if np.isnan(flat_state(state)).any():
                where = f"token {place + 1:,} of the word" if place else "the first token"
                return f"{_nan_part(state)} is NaN from {where} on, token {int(column)}"
        return "its state is NaN"

    def _before_last(self, words: Sequence[Word]) -> Any:
        """Return the states before the last tokens by one parallel pass, if the model has one."""
        length = words[0].length - 1
        if not hasattr(self.model, "states") or not 1 <= length <= _MAX_PARALLEL:
            return None
        model: Any = self.model
        tokens = torch.stack([word.tokens()[:-1] for word in words])
        states = model.states(tokens.to(self.device))
        start = model.start_state(len(words))
        if not isinstance(states, list | tuple) or len(states) != len(start):
            return None
        last = tuple(s[:, -1] if isinstance(s, Tensor) else None for s in states)
        fits = all(
            isinstance(a, Tensor) and a.shape == b.shape and a.dtype == b.dtype
            for a, b in zip(last, start, strict=True)
        )
        return last if fits else None


def _nan_part(state: Any) -> str:
    """Return the first layer that holds NaN, if the state is one tensor a layer."""
    if isinstance(state, list | tuple) and all(isinstance(part, Tensor) for part in state):
        layer = next(i for i, part in enumerate(state) if part.isnan().any())
        return f"layer {layer + 1}"
    return "its state"


def _last(word: Word) -> Word:
    return Word.of([] if word.last is None else [word.last])


def _columns(words: Sequence[Word]) -> Any:
    """Give the tokens of words of equal length, position by position, as (B,) tensors."""
    size = 4096
    rows = [_aligned(word, size) for word in words]
    for blocks in zip(*rows, strict=True):
        yield from torch.from_numpy(np.stack(blocks)).unbind(1)


def _aligned(word: Word, size: int) -> Any:
    """Give the tokens in blocks of one size (the last may be shorter)."""
    kept = np.zeros(0, np.int64)
    for piece in word.chunks(size):
        kept = np.concatenate((kept, piece))
        while kept.size >= size:
            yield kept[:size]
            kept = kept[size:]
    if kept.size:
        yield kept


@torch.no_grad()
def layer_tables(runner: ModuleRunner) -> LayerTables | None:
    """Return the exact transitions of a one-layer module, if it shows them.

    Args:
        runner: of a module with ``letters``, ``layer_transition`` and ``start_state``.

    Returns:
        Its tables, or ``None`` if it has another number of layers or shows none.
    """
    model = runner.model
    if len(getattr(model, "letters", "")) != 1 or not hasattr(model, "layer_transition"):
        return None
    tokens = torch.arange(runner.num_tokens, device=runner.device)
    a, b = model.layer_transition(0, [], tokens)  # type: ignore[operator]
    start = flat_state(model.start_state(1))[0]  # type: ignore[operator]
    if a.shape != b.shape or start.shape != a.shape[1:]:
        return None
    if not (a.isfinite().all() and b.isfinite().all() and np.isfinite(start).all()):
        return None  # the model is run instead, which shows where it fails
    return LayerTables(a, b, start)


def runner_of(model: Any, num_tokens: int | None = None) -> Runner:
    """Return the runner that fits a model.

    Args:
        model: a `Cascade`, something exact that has one as ``.cascade``, `LayerTables`, a
            `FadingStack`, or a torch module.
        num_tokens: X, where the model does not say; otherwise it must agree.

    Returns:
        The runner.

    Raises:
        DtypeError: if it is none of these.
        RangeError: if the numbers of tokens disagree.
    """
    runner: Runner
    if isinstance(model, nn.Module):
        runner = ModuleRunner(model, getattr(model, "num_tokens", num_tokens))
    elif isinstance(model, FadingStack):
        runner = FadingRunner(model)
    elif isinstance(model, Cascade) or isinstance(getattr(model, "cascade", None), Cascade):
        runner = CascadeRunner(model if isinstance(model, Cascade) else model.cascade)
    elif isinstance(model, LayerTables):
        runner = TablesRunner(model)
    else:
        raise DtypeError(
            f"a model must be a torch module, a Cascade (or hold one), LayerTables or a "
            f"FadingStack; given {type(model).__name__}"
        )
    if num_tokens is not None and runner.num_tokens != num_tokens:
        raise RangeError(
            f"the alphabet must have one element for each of the model's {runner.num_tokens} "
            f"tokens; given {num_tokens}"
        )
    return runner
