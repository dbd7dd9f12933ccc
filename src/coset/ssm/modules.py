"""Compiled trackers as modules: exact ones, in integers, and how each mode is built."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, UnsupportedError
from coset.ssm.cascade import check_start, walk_table
from coset.ssm.certificate import TrackerCertificate
from coset.ssm.phase_layer import check_tokens, check_words
from coset.ssm.tracker_module import Tracker, check_size

if TYPE_CHECKING:
    from coset.ssm.tracker import CompiledTracker

__all__ = ["IntTracker", "TableTracker", "build_module"]


class IntTracker(Tracker):
    """Phases as integers: s ← s + Θ[cell, token] mod m, layer by layer; exact at every length.

    Its state is a tuple of one tensor, the codes. Logits are 1 for the product and 0 elsewhere. It
    runs a compiled loop of its own, which `torch.compile` cannot look into; leave it out of that.

    Claims: ssm.C2.

    Example:
        >>> from coset.ssm.compile import compile_group
        >>> module = compile_group("Z3").to_module("int")
        >>> module.track(torch.tensor([1, 1, 2])).tolist()
        [1, 2, 1]
        >>> logits, state = module.step(torch.tensor([2]), module.start_state(1))
        >>> logits.tolist(), state[0].tolist()
        ([[0.0, 0.0, 1.0]], [2])
    """

    file_class = "ssm.IntTracker"

    def start_state(self, *batch: int) -> tuple[Tensor, ...]:
        """Return the state before the first token.

        Args:
            *batch: sizes of the batch dimensions; none for a single word.

        Returns:
            One (*batch,) int64 of codes.
        """
        return (torch.zeros(batch, dtype=torch.int64, device=self.elements.device),)

    def states(self, tokens: Tensor, start: Tensor | int = 0) -> Tensor:
        """Return the code after each token.

        Args:
            tokens: (…, T) integers.
            start: code before the first token, a number or (…).

        Returns:
            (…, T) int64.
        """
        return self.cascade.run(tokens, start)

    def track(self, tokens: Tensor) -> Tensor:
        """Return the product so far after each token.

        Args:
            tokens: (…, T) integers in 0 … X − 1.

        Returns:
            (…, T) int64 element ids.
        """
        return self.elements[self.states(tokens)]

    def forward(self, tokens: Tensor) -> Tensor:
        """Return 1 for the product so far and 0 for every other element.

        Args:
            tokens: (…, T) integers in 0 … X − 1.

        Returns:
            (…, T, n) float32.
        """
        return self._one_hot(self.track(tokens))

    def step(self, tokens: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read one token a word.

        Args:
            tokens: (…) integers.
            state: what `start_state` or `step` returned.

        Returns:
            (…, n) logits, and the state after the token.
        """
        words = check_tokens(tokens, self.num_tokens)[..., None]
        codes = self.states(words, state[0])[..., 0]
        return self._one_hot(self.elements[codes]), (codes,)

    def _one_hot(self, elements: Tensor) -> Tensor:
        """Return 1 at each element; nothing at −1, where a code names none."""
        labels = torch.arange(self.num_labels, device=elements.device)
        return (elements[..., None] == labels).float()


class TableTracker(IntTracker):
    """One table of transitions: code ← table[code, token]; exact at every length.

    Claims: ssm.C2.
    """

    file_class = "ssm.TableTracker"
    table: Tensor

    def __init__(self, **arguments: Any) -> None:
        num_codes = math.prod(int(m) for layer in arguments["moduli"] for m in layer)
        check_size(num_codes * int(arguments["num_tokens"]), "the table of transitions")
        super().__init__(**arguments)
        shape = (len(self.elements), self.num_tokens)
        self.register_buffer("table", torch.zeros(shape, dtype=torch.int64))

    def fill(self, tracker: CompiledTracker) -> None:
        """Take over the tables of a tracker with the same arguments.

        Args:
            tracker: what `build_module` was given.
        """
        super().fill(tracker)
        self.table.copy_(torch.from_numpy(tracker.cascade.transition_table().copy()))

    def certificate(self) -> TrackerCertificate:
        """Return the proof of the table that the module reads, and of the layers it came from.

        Returns:
            A certificate; ``verify()`` checks all (state, token) pairs of both.

        Claims: ssm.C2.
        """
        return dataclasses.replace(super().certificate(), table=self.table.cpu().clone())

    def states(self, tokens: Tensor, start: Tensor | int = 0) -> Tensor:
        """Return the code after each token, one gather a step.

        Args:
            tokens: (…, T) integers.
            start: code before the first token, a number or (…).

        Returns:
            (…, T) int64.
        """
        tokens = check_words(tokens, self.num_tokens)
        return walk_table(self.table, tokens, check_start(start, tokens, len(self.table)))


def build_module(tracker: CompiledTracker, mode: str, dtype: torch.dtype | None) -> Tracker:
    """Return a compiled tracker as a module; see `CompiledTracker.to_module`.

    Args:
        tracker: the tracker.
        mode: "int", "table", "complex", "real" or "mlp".
        dtype: of states and weights in the last three.

    Returns:
        The module.

    Raises:
        DomainError: if the mode is unknown.
        UnsupportedError: if the mode cannot hold the cascade or the dtype.
    """
    from coset.ssm.mlp_module import MLPTracker
    from coset.ssm.phasor_modules import ComplexTracker, RealTracker

    exact: dict[str, type[Tracker]] = {"int": IntTracker, "table": TableTracker}
    floats = {"complex": ComplexTracker, "real": RealTracker, "mlp": MLPTracker}
    arguments: dict[str, Any] = {
        "num_tokens": tracker.num_tokens,
        "num_labels": tracker.group.order,
        "moduli": [list(layer.moduli) for layer in tracker.layers],
        "letters": tracker.letters,
        "group": tracker.group.name,
        "alphabet": tracker.alphabet.tolist(),
        "identity": int(tracker.group.identity),
        "resets": [layer.resets is not None for layer in tracker.layers],
    }
    module: Tracker
    if mode in exact:
        if dtype is not None:
            raise UnsupportedError(f"mode {mode!r} computes in int64; it takes no dtype {dtype}")
        module = exact[mode](**arguments)
    elif mode in floats:
        chosen = floats[mode].default_dtype if dtype is None else str(dtype).removeprefix("torch.")
        module = floats[mode](dtype=chosen, **arguments)
    else:
        known = ", ".join([*exact, *floats])
        raise DomainError(f"mode must be one of {known}; given {mode!r}")
    module.fill(tracker)
    return module
