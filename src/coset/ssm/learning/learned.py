"""A tracker that was learned from labeled words: an integer cascade and its decoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from coset.ssm.cascade import Cascade
from coset.ssm.learning.certificate import LearnedCertificate, certify
from coset.ssm.learning.report import LearningReport
from coset.ssm.learning.sources import GroupWords, MachineWords

if TYPE_CHECKING:
    from coset.ssm.tracker import CompiledTracker

__all__ = ["LearnedTracker"]


@dataclass(frozen=True, eq=False)
class LearnedTracker:
    """A learned cascade; exact if `certificate` says so, otherwise as good as its data.

    Attributes:
        cascade: the layers, in integers.
        decoder: (num_codes,) int64: the label most often seen with each code, −1 if none was.
        report: how learning went.
    """

    cascade: Cascade
    decoder: np.ndarray = field(repr=False)
    report: LearningReport

    @property
    def moduli(self) -> tuple[tuple[int, ...], ...]:
        """The moduli of each layer, bottom to top."""
        return tuple(layer.moduli for layer in self.cascade.layers)

    def track(self, tokens: Tensor) -> Tensor:
        """Return the label after each token.

        Args:
            tokens: (…, T) int64.

        Returns:
            (…, T) int64; −1 where the code was never seen in training.

        Raises:
            RangeError: if a token is out of range.
        """
        return torch.from_numpy(self.decoder)[self.cascade.run(tokens)]

    def certificate(self, group: Any, alphabet: Any = "all") -> LearnedCertificate:
        """Prove or refute that the tracker is right after every word of every length.

        Args:
            group: a group whose running products the labels are, or the `MachineWords` that made
                them.
            alphabet: with a group, "all", "generators" or element ids, as in `GroupWords`.

        Returns:
            The certificate; look at `holds`.

        Raises:
            DomainError: if the number of tokens is not that of the words learned from.
        """
        machine = group if isinstance(group, MachineWords) else GroupWords(group, alphabet)
        return certify(self.cascade, self.decoder, machine.table, machine.labels, machine.start)

    def compiled(self, group: Any, alphabet: Any = "all") -> CompiledTracker:
        """Return the cascade as a tracker of a group, with all that a compiled one can do.

        Args:
            group: a group whose running products the labels are, or the `GroupWords` that made
                them.
            alphabet: as in `certificate`.

        Returns:
            The tracker; codes are named by the group, not by the learned decoder.

        Raises:
            DomainError: if some code is reached by words of different value.
            ShapeError: if the number of tokens is not that of the words learned from.
        """
        from coset.ssm.tracker import CompiledTracker

        words = group if isinstance(group, GroupWords) else GroupWords(group, alphabet)
        return CompiledTracker.from_cascade(words.group, words.alphabet, self.cascade)

    def to_module(
        self,
        group: Any,
        alphabet: Any = "all",
        *,
        mode: str = "int",
        dtype: torch.dtype | None = None,
    ) -> nn.Module:
        """Return the learned layers as a module: `CompiledTracker.to_module` of `compiled`.

        Args:
            group: as in `compiled`.
            alphabet: as in `compiled`.
            mode: "int", "table", "complex", "real" or "mlp".
            dtype: of the states and weights in the last three.

        Returns:
            The module.
        """
        return self.compiled(group, alphabet).to_module(mode, dtype)
