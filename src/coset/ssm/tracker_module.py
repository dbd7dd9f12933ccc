"""What all modules of a compiled tracker share: integer tables, their proof, and model files."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError, DomainError, UnsupportedError
from coset.core.model_files import save_model
from coset.groups import Group
from coset.ssm.alphabet import as_group
from coset.ssm.cascade import Cascade
from coset.ssm.certificate import TrackerCertificate
from coset.ssm.phase_layer import PhaseLayer
from coset.ssm.tracking import check_layers

if TYPE_CHECKING:
    from coset.ssm.tracker import CompiledTracker

__all__ = ["Tracker", "check_size"]

# Entries of one table of a module, 8 bytes each: a file may ask for no more than it could need.
MAX_ENTRIES = 2**25


class Tracker(nn.Module):
    """What the modules of a compiled tracker share: its integer tables and their proof.

    A module is built from JSON arguments and its tensors, so a model file holds it whole: the
    group's name, the alphabet, and all that the certificate needs.

    Attributes:
        num_tokens: X.
        num_labels: n, the order of the group.
        moduli: the moduli of each layer.
        letters: the class of each layer, from bottom to top.
        group: the group's name.
        alphabet: the element of each token.

    Args:
        num_tokens: X ≥ 1.
        num_labels: n ≥ 1.
        moduli: the moduli of each layer.
        letters: one class a layer.
        group: the group's name.
        alphabet: X element ids.
        identity: the element of the empty word.
        resets: which layers have resets; none if ``None``.

    Raises:
        ConfigError: if the arguments contradict each other.
        UnsupportedError: if the tables would be too large.
    """

    file_class: ClassVar[str]
    elements: Tensor
    products: Tensor

    def __init__(
        self,
        *,
        num_tokens: int,
        num_labels: int,
        moduli: Sequence[Sequence[int]],
        letters: str,
        group: str,
        alphabet: Sequence[int],
        identity: int = 0,
        resets: Sequence[bool] | None = None,
    ) -> None:
        super().__init__()
        self.num_tokens, self.num_labels = int(num_tokens), int(num_labels)
        self.moduli = tuple(tuple(operator.index(m) for m in layer) for layer in moduli)
        self.letters, self.group = check_layers(letters), str(group)
        self.alphabet, self.identity = tuple(int(x) for x in alphabet), int(identity)
        self.has_resets = tuple(bool(r) for r in resets or [False] * len(self.moduli))
        self._check_arguments()
        cells = 1
        for place, layer in enumerate(self.moduli):
            shape = (cells, self.num_tokens, len(layer))
            check_size(math.prod(shape), f"layer {place}")
            self.register_buffer(f"increments_{place}", torch.zeros(shape, dtype=torch.int64))
            if self.has_resets[place]:
                fixed = torch.full(shape, -1, dtype=torch.int64)
                self.register_buffer(f"resets_{place}", fixed)
            cells *= math.prod(layer)
        check_size(max(cells, self.num_labels * self.num_tokens), "the tables of codes")
        self.register_buffer("elements", torch.full((cells,), -1, dtype=torch.int64))
        products = torch.zeros(self.num_labels, self.num_tokens, dtype=torch.int32)
        self.register_buffer("products", products)
        self._built: Cascade | None = None
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def _check_arguments(self) -> None:
        depth = len(self.moduli)
        lengths = len(self.letters), len(self.has_resets)
        if lengths != (depth, depth) or len(self.alphabet) != self.num_tokens:
            raise ConfigError(
                f"letters and resets must name each of the {depth} layers and the alphabet each of "
                f"the {self.num_tokens} tokens; given {lengths[0]}, {lengths[1]} and "
                f"{len(self.alphabet)}"
            )
        if min(self.num_tokens, self.num_labels) < 1 or any(m < 1 for s in self.moduli for m in s):
            raise ConfigError(
                f"num_tokens, num_labels and moduli must be at least 1; given {self.num_tokens}, "
                f"{self.num_labels}, {self.moduli}"
            )
        if not 0 <= self.identity < self.num_labels or not all(
            0 <= x < self.num_labels for x in self.alphabet
        ):
            raise ConfigError(f"identity and alphabet must lie in 0 … {self.num_labels - 1}")

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that build the module again, as JSON values."""
        return {
            "num_tokens": self.num_tokens,
            "num_labels": self.num_labels,
            "moduli": [list(m) for m in self.moduli],
            "letters": self.letters,
            "group": self.group,
            "alphabet": list(self.alphabet),
            "identity": self.identity,
            "resets": list(self.has_resets),
        }

    def fill(self, tracker: CompiledTracker) -> None:
        """Take over the tables of a tracker with the same arguments.

        Args:
            tracker: what `build_module` was given.
        """
        for place, layer in enumerate(tracker.layers):
            self._table("increments", place).copy_(torch.from_numpy(layer.increments.copy()))
            if layer.resets is not None:
                self._table("resets", place).copy_(torch.from_numpy(layer.resets.copy()))
        self.elements.copy_(torch.from_numpy(tracker.elements.copy()))
        products = tracker.group.mul[:, tracker.alphabet].astype(np.int32)
        self.products.copy_(torch.from_numpy(products))
        self._built = None

    def _table(self, name: str, place: int) -> Tensor:
        found = getattr(self, f"{name}_{place}")
        assert isinstance(found, Tensor)
        return found

    @property
    def cascade(self) -> Cascade:
        """The integer cascade, from the module's own tables."""
        if self._built is None:
            layers = []
            for place, moduli in enumerate(self.moduli):
                added = self._table("increments", place).cpu().numpy()
                fixed = (
                    self._table("resets", place).cpu().numpy() if self.has_resets[place] else None
                )
                layers.append(PhaseLayer(moduli, added, fixed))
            self._built = Cascade(tuple(layers), self.num_tokens)
        return self._built

    def certificate(self) -> TrackerCertificate:
        """Return the proof of the integer tables, from the module's own tensors.

        Returns:
            A certificate; ``verify()`` checks all (state, token) pairs.

        Raises:
            DomainError: if the products of the identity are not the alphabet.

        Claims: ssm.C2.
        """
        if self.products[self.identity].tolist() != list(self.alphabet):
            raise DomainError(
                f"the stored products of the identity must be the alphabet {list(self.alphabet)}; "
                f"given {self.products[self.identity].tolist()}: compile the group again"
            )
        self._built = None  # the tables as they are now
        cascade = self.cascade
        fixed = [layer.resets for layer in cascade.layers]
        return TrackerCertificate(
            group=self.group,
            products=self.products.cpu().clone(),
            identity=self.identity,
            moduli=self.moduli,
            increments=tuple(torch.from_numpy(v.increments.copy()) for v in cascade.layers),
            resets=tuple(None if f is None else torch.from_numpy(f.copy()) for f in fixed),
            elements=self.elements.cpu().clone(),
        )

    def compiled(self, group: Group | str | None = None) -> CompiledTracker:
        """Return the tracker that the module was made from.

        Args:
            group: the group, if its name alone does not say which it is.

        Returns:
            The tracker.

        Raises:
            DomainError: if the group is not the stored one, or its name cannot be parsed.
        """
        from coset.ssm.tracker import CompiledTracker

        found = as_group(self.group if group is None else group)
        alphabet = np.array(self.alphabet, dtype=np.int64)
        products = self.products.cpu().numpy()
        if found.order != self.num_labels or not np.array_equal(found.mul[:, alphabet], products):
            raise DomainError(
                f"the group must have the stored products of elements and tokens; "
                f"{found.name} has others; give the group that was compiled"
            )
        return CompiledTracker.from_cascade(found, alphabet, self.cascade, self.letters)

    def save(self, path: Path | str) -> None:
        """Write the module as a model file.

        Args:
            path: the file.
        """
        save_model(self, path, name=self.file_class, arguments=self.arguments)

    def track(self, tokens: Tensor) -> Tensor:
        """Return the product so far after each token.

        Args:
            tokens: (…, T) integers in 0 … X − 1.

        Returns:
            (…, T) int64 element ids.
        """
        return self.forward(tokens).argmax(-1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one logit for each element after each token.

        Args:
            tokens: (…, T) integers in 0 … X − 1.

        Returns:
            (…, T, n).
        """
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return what the module tracks."""
        moduli = "".join(str(list(m)) for m in self.moduli)
        return f"group={self.group!r}, num_tokens={self.num_tokens}, moduli={moduli}"


def _forget(module: nn.Module, _keys: Any) -> None:
    module._built = None  # type: ignore[assignment]


def check_size(count: int, what: str) -> None:
    """Refuse a table that would be too large, before it is allocated.

    Args:
        count: its entries.
        what: its name in the message.

    Raises:
        UnsupportedError: if it is larger than 2²⁵.
    """
    if count > MAX_ENTRIES:
        raise UnsupportedError(
            f"a module's table may have {MAX_ENTRIES} entries; {what} would need {count}; use a "
            f"smaller alphabet such as 'generators', or CompiledTracker itself"
        )
