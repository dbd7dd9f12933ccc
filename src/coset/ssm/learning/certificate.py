"""Prove or refute that a learned cascade is right at every length: search all reachable pairs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from coset.core.errors import CosetError, DomainError, ShapeError, UnsupportedError
from coset.core.results import Certificate
from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.learning.sources import MachineWords

__all__ = ["LearnedCertificate", "certify"]


@dataclass(frozen=True)
class LearnedCertificate(Certificate):
    """All reachable pairs (code of the cascade, state of the machine), with every token after them.

    If the decoder names the machine's label after each of them, it does so after every word.

    Attributes:
        holds: whether it does.
        num_pairs: pairs times tokens that were checked.
        counterexample: a shortest word after which the decoder is wrong, if it is.
        moduli: of each layer.
        increments: (C, X, r) int64 of each layer.
        decoder: (num_codes,) int64, −1 where nothing is decoded.
        table: (S, X) int64: the machine's state after each state and token.
        labels: (S,) int64.
        start: the machine's first state.
    """

    holds: bool
    num_pairs: int
    counterexample: tuple[int, ...] | None
    moduli: tuple[tuple[int, ...], ...]
    increments: tuple[Tensor, ...] = field(repr=False)
    decoder: Tensor = field(repr=False)
    table: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    start: int

    def verify(self) -> bool:
        """Search again, from the stored tables only.

        Returns:
            Whether the decoder is right after every word; not if a table is damaged.
        """
        try:
            machine = MachineWords(self.table.numpy(), self.labels.numpy(), self.start)
            layers = tuple(
                PhaseLayer(m, added.numpy())
                for m, added in zip(self.moduli, self.increments, strict=True)
            )
            cascade = Cascade(layers, machine.num_tokens)
            decoder = _check_decoder(self.decoder.numpy(), cascade)
        except (CosetError, ValueError):
            return False
        return _search(cascade, decoder, machine)[1] is None

    def explain(self) -> str:
        """Say what was checked.

        Returns:
            One sentence.
        """
        if self.holds:
            return (
                f"right after every word of every length: {self.num_pairs} pairs of "
                f"(state and value, token) are all that can be reached, and each is right"
            )
        return f"wrong after the word {self.counterexample}"


def certify(
    cascade: Cascade, decoder: np.ndarray, table: np.ndarray, labels: np.ndarray, start: int
) -> LearnedCertificate:
    """Check a cascade and its decoder against a machine, for words of every length.

    Args:
        cascade: without resets.
        decoder: (num_codes,) int64: the label of each code, −1 where there is none.
        table: (S, X) int64: the machine.
        labels: (S,) int64.
        start: its first state.

    Returns:
        The certificate; look at `holds`.

    Raises:
        DomainError: if the alphabets differ.
        UnsupportedError: if a layer has resets, which the certificate does not store.
        ShapeError: if a table or the decoder has another shape.
        DtypeError: if one does not hold integers.
        RangeError: if a state or a label of the machine is out of range.

    Complexity:
        O(reachable pairs · X · phases).
    """
    machine = MachineWords(table, labels, start)
    if machine.num_tokens != cascade.num_tokens:
        raise DomainError(
            f"the certificate needs the alphabet of the words that were learned from, "
            f"{cascade.num_tokens} tokens; given {machine.num_tokens}"
        )
    if any(layer.resets is not None for layer in cascade.layers):
        raise UnsupportedError(
            "the certificate is for layers that only add; a layer of this cascade resets; give a "
            "cascade that was learned"
        )
    decoder = _check_decoder(decoder, cascade)
    num_pairs, word = _search(cascade, decoder, machine)
    return LearnedCertificate(
        holds=word is None,
        num_pairs=num_pairs,
        counterexample=word,
        moduli=tuple(layer.moduli for layer in cascade.layers),
        increments=tuple(torch.from_numpy(layer.increments.copy()) for layer in cascade.layers),
        decoder=torch.from_numpy(decoder.copy()),
        table=torch.from_numpy(machine.table.copy()),
        labels=torch.from_numpy(machine.labels.copy()),
        start=machine.start,
    )


def _check_decoder(decoder: np.ndarray, cascade: Cascade) -> np.ndarray:
    decoder = np.asarray(decoder)
    if decoder.shape != (cascade.num_codes,) or decoder.dtype.kind not in "iu":
        raise ShapeError(
            f"the decoder must hold one integer label for each of {cascade.num_codes} codes; given "
            f"{decoder.dtype} of shape {decoder.shape}"
        )
    return decoder.astype(np.int64)


def _search(
    cascade: Cascade, decoder: np.ndarray, machine: MachineWords
) -> tuple[int, tuple[int, ...] | None]:
    """Return how many (pair, token) were looked at, and a shortest wrong word or ``None``."""
    table, labels, start = machine.table, machine.labels, machine.start
    num_states, num_tokens = table.shape
    tokens = np.arange(num_tokens)
    frontier = np.array([start], dtype=np.int64)  # pair = code · S + state; code 0 begins
    origin: dict[int, tuple[int, int]] = {}  # of each pair seen, the pair before and the token
    seen, checked = {int(start)}, 0
    while frontier.size:
        codes, states = np.divmod(frontier, num_states)
        after = cascade.step(codes[:, None], tokens[None])
        arrived = table[states]
        checked += after.size
        wrong = np.argwhere(decoder[after] != labels[arrived])
        if wrong.size:
            row, token = (int(i) for i in wrong[0])
            return checked, (*_word(origin, int(frontier[row])), token)
        pairs, first = np.unique(after * num_states + arrived, return_index=True)
        fresh = []
        for pair, place in zip(pairs.tolist(), first.tolist(), strict=True):
            if pair not in seen:
                seen.add(pair)
                origin[pair] = (int(frontier[place // num_tokens]), place % num_tokens)
                fresh.append(pair)
        frontier = np.array(fresh, dtype=np.int64)
    return checked, None


def _word(origin: dict[int, tuple[int, int]], pair: int) -> tuple[int, ...]:
    word: list[int] = []
    while pair in origin:
        pair, token = origin[pair]
        word.append(token)
    return tuple(reversed(word))
