"""A compiled tracker: a cascade of phases whose state names the product so far, with its proof."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import ShapeError
from coset.groups import Group
from coset.ssm.alphabet import as_group, element_ids
from coset.ssm.cascade import Cascade
from coset.ssm.certificate import TrackerCertificate, label_codes
from coset.ssm.phase_layer import PhaseLayer, check_tokens
from coset.ssm.tracking import check_layers

if TYPE_CHECKING:
    from coset.ssm.tracker_module import Tracker

__all__ = ["CompiledTracker"]


@dataclass(frozen=True, eq=False)
class CompiledTracker:
    """A group compiled into phase layers, exact at every length.

    Attributes:
        group: the group.
        alphabet: (X,) int64: the element that each token stands for.
        cascade: the layers.
        codes: (n,) int64: a code that names each element, −1 outside the generated subgroup.
        elements: (num_codes,) int64: the element that each code names, −1 for none.
        series: the subgroups of values left open below and above each layer, as element ids.
        letters: the class of each layer, from bottom to top.

    Example:
        >>> from coset.ssm.compile import compile_group
        >>> tracker = compile_group("S4")
        >>> [layer.moduli for layer in tracker.layers], tracker.certificate().verify()
        ([(2,), (3,), (2, 2)], True)
    """

    group: Group
    alphabet: np.ndarray
    cascade: Cascade
    codes: np.ndarray
    elements: np.ndarray
    series: tuple[np.ndarray, ...]
    letters: str

    start = 0

    def __repr__(self) -> str:
        moduli = "".join(str(list(layer.moduli)) for layer in self.layers) or "no layer"
        return f"CompiledTracker({self.group.name}, {self.num_tokens} tokens, {moduli})"

    @classmethod
    def from_cascade(
        cls, group: Group, alphabet: np.ndarray, cascade: Cascade, letters: str | None = None
    ) -> CompiledTracker:
        """Name the codes of a cascade that was found in another way (learned, hardened).

        Args:
            group: the group.
            alphabet: (X,) element ids.
            cascade: a cascade over the same tokens.
            letters: the class of each layer; "c" for all if ``None``.

        Returns:
            The tracker; its series is that of the values that the first layers leave open.

        Raises:
            DomainError: if some code is reached by words of different value.
            ShapeError: if the cascade has another number of tokens or of letters.
            RangeError: if the alphabet names an element that is none.
        """
        group = as_group(group)
        alphabet = element_ids(group, alphabet, "an alphabet")
        if alphabet.shape != (cascade.num_tokens,):
            raise ShapeError(
                f"the alphabet must name one element for each of the cascade's "
                f"{cascade.num_tokens} tokens; given shape {alphabet.shape}"
            )
        elements = label_codes(cascade, group.mul[:, alphabet], group.identity)
        codes = np.full(group.order, -1, dtype=np.int64)
        named = np.flatnonzero(elements >= 0)[::-1]
        codes[elements[named]] = named
        letters = "c" * len(cascade.layers) if letters is None else check_layers(letters)
        if len(letters) != len(cascade.layers):
            raise ShapeError(
                f"letters must name the class of each of {len(cascade.layers)} layers; "
                f"given {letters!r}"
            )
        series = _open_values(cascade, elements, group)
        return cls(group, alphabet, cascade, codes, elements, series, letters)

    @property
    def layers(self) -> tuple[PhaseLayer, ...]:
        """The phase layers, bottom to top."""
        return self.cascade.layers

    @property
    def num_tokens(self) -> int:
        """X."""
        return self.cascade.num_tokens

    @property
    def num_phases(self) -> int:
        """How many complex numbers the state has."""
        return len(self.cascade.moduli)

    @property
    def num_elements(self) -> int:
        """How many elements the tokens generate."""
        return int((self.codes >= 0).sum())

    def certificate(self) -> TrackerCertificate:
        """Return the proof, with all tables that it needs.

        Returns:
            A certificate; ``verify()`` checks all (state, token) pairs.

        Claims: ssm.C1, ssm.C2.
        """
        tables = [torch.from_numpy(layer.increments.copy()) for layer in self.layers]
        fixed = [layer.resets for layer in self.layers]
        return TrackerCertificate(
            group=self.group.name,
            products=torch.from_numpy(self.group.mul[:, self.alphabet].astype(np.int32)),
            identity=int(self.group.identity),
            moduli=tuple(layer.moduli for layer in self.layers),
            increments=tuple(tables),
            resets=tuple(None if f is None else torch.from_numpy(f.copy()) for f in fixed),
            elements=torch.from_numpy(self.elements.copy()),
        )

    def states(self, tokens: Tensor, start: Tensor | int = 0) -> Tensor:
        """Return the code after each token; the last one continues a stream.

        Args:
            tokens: (…, T) int64.
            start: code before the first token, a number or (…).

        Returns:
            (…, T) int64.
        """
        return self.cascade.run(tokens, start)

    def track(self, tokens: Tensor, start: Tensor | int = 0) -> Tensor:
        """Return the product so far after each token.

        Args:
            tokens: (…, T) integers in 0 … X − 1.
            start: code before the first token, a number or (…).

        Returns:
            (…, T) int64 element ids.

        Raises:
            RangeError: if a token is out of range.
            DtypeError: if the tokens are not integers.

        Example:
            >>> from coset.ssm.compile import compile_group
            >>> compile_group("Z6", [1, 2]).track(torch.tensor([0, 1, 1, 1])).tolist()
            [1, 3, 5, 1]
        """
        return self.decode(self.cascade.run(tokens, start))

    def decode(self, codes: Tensor) -> Tensor:
        """Return the elements that codes name.

        Args:
            codes: (…) int64.

        Returns:
            (…) int64 element ids, −1 for codes that no word reaches.
        """
        return torch.as_tensor(self.elements.copy(), device=codes.device)[codes]

    def step(self, state: Tensor, tokens: Tensor) -> Tensor:
        """Return the codes after one token each: streaming, in constant memory.

        Args:
            state: (…) int64 codes, `start` in the beginning.
            tokens: (…) int64.

        Returns:
            (…) int64 codes; `decode` names their elements.
        """
        words = check_tokens(tokens, self.num_tokens)[..., None]
        return self.cascade.run(words, state)[..., 0]

    def to_module(self, mode: str = "int", dtype: torch.dtype | None = None) -> Tracker:
        """Return the tracker as a module.

        Args:
            mode: "int" (phases as integers, exact), "table" (one table of transitions, exact),
                "complex" (h ← a∘h on the unit circle), "real" (±1 and plane rotations), or "mlp"
                (complex, its gates computed by ReLU layers with trainable weights).
                The last three drift by rounding: ``certificate().explain()`` estimates how far
                they are right.
            dtype: of the states and weights in the last three; complex64 or float32 by default.

        Returns:
            The module; ``track(tokens)`` gives element ids, ``forward(tokens)`` logits.

        Raises:
            DomainError: if the mode is unknown.
            UnsupportedError: if the mode cannot hold the cascade (resets, sizes, dtypes).
        """
        from coset.ssm.modules import build_module

        return build_module(self, mode, dtype)

    def save(self, path: Path | str, mode: str = "int", dtype: torch.dtype | None = None) -> None:
        """Write the tracker as a model file, with its group's name, alphabet and proof.

        Args:
            path: the file.
            mode: as in `to_module`.
            dtype: as in `to_module`.
        """
        self.to_module(mode, dtype).save(path)

    def describe(self) -> dict[str, Any]:
        """Return the tracker's figures as JSON values.

        Returns:
            Group, tokens, layers with moduli, classes and table shapes, sizes of the series.
        """
        return {
            "group": self.group.name,
            "order": self.group.order,
            "num_tokens": self.num_tokens,
            "num_elements": self.num_elements,
            "depth": len(self.layers),
            "letters": self.letters,
            "moduli": [list(layer.moduli) for layer in self.layers],
            "table_shapes": [list(layer.increments.shape) for layer in self.layers],
            "series": [len(v) for v in self.series],
        }


def _open_values(cascade: Cascade, elements: np.ndarray, group: Group) -> tuple[np.ndarray, ...]:
    """Return the values that share all lower phases with the identity, below each layer."""
    codes = np.flatnonzero(elements >= 0)
    phases, series, first = cascade.decode(codes), [], 0
    for width in [*(layer.num_phases for layer in cascade.layers), 0]:
        agree = (phases[:, :first] == 0).all(1)
        series.append(np.unique(elements[codes[agree]]))
        first += width
    return tuple(series)
