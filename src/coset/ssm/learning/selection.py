"""Snap trained angles to roots of unity, and choose the coordinates that explain the most."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from coset.ssm.learning.recipe import Recipe
from coset.ssm.learning.sources import WordSource, draw_words
from coset.ssm.learning.stage import Foundation

__all__ = [
    "LARGEST_MODULUS",
    "Choice",
    "ScoringWords",
    "align",
    "candidate_moduli",
    "choose",
    "conditional_entropy",
    "snap",
]

# Unknown moduli are sought among these.
SEARCHED = (2, 3, 4, 5, 6, 7, 8)
LARGEST_MODULUS = 1024


def candidate_moduli(moduli: Sequence[int] | None) -> tuple[int, ...]:
    """Return the moduli to which angles are snapped: all divisors above 1 of those given.

    A coordinate of Z₄ of which only the parity matters is thereby seen as one of Z₂.

    Args:
        moduli: those given, each ≥ 2, or ``None``: 2 … 8.

    Returns:
        Them and their divisors, ascending.

    Example:
        >>> candidate_moduli((3, 4))
        (2, 3, 4)
    """
    given = SEARCHED if moduli is None else tuple(moduli)
    return tuple(sorted({d for m in given for d in range(2, int(m) + 1) if m % d == 0}))


def conditional_entropy(counts: np.ndarray) -> float:
    """Return the plug-in estimate of H(y | state) in nats.

    Args:
        counts: (…, K) how often each label comes with each state.

    Returns:
        Σ_state p(state) · H(y | state); 0 for no counts at all.

    Example:
        >>> round(conditional_entropy(np.array([[5, 5], [10, 0]])), 6) == round(math.log(2) / 2, 6)
        True
    """
    counts = counts.reshape(-1, counts.shape[-1]).astype(np.float64)
    total = counts.sum()
    if total == 0:
        return 0.0
    states = counts.sum(1)
    joint = counts[counts > 0]
    found = (states[states > 0] * np.log(states[states > 0])).sum() - (joint * np.log(joint)).sum()
    return max(0.0, float(found / total))


@dataclass(frozen=True, eq=False)
class ScoringWords:
    """Words drawn apart from those of training; their second half is counted.

    Attributes:
        tokens: (B, T) int64.
        labels: (B, T) int64.
        begin: the first position that counts.
        num_labels: K.
    """

    tokens: np.ndarray
    labels: np.ndarray
    begin: int
    num_labels: int

    @classmethod
    def draw(
        cls,
        source: WordSource,
        recipe: Recipe,
        num_states: int,
        generator: torch.Generator | None,
    ) -> ScoringWords:
        """Draw enough words to count labels in `num_states` states: 16 positions for each pair.

        The plug-in entropy is biased by about (states · labels) ÷ (2 · positions).
        """
        longest = source.max_length or recipe.score_length
        length = min(recipe.score_length, longest)
        needed = max(recipe.score_tokens, 16 * num_states * source.num_labels)
        num_words = -(-needed // (length - length // 2))
        tokens, labels = draw_words(source, num_words, length, generator, fresh=True)
        return cls(tokens, labels, length // 2, source.num_labels)

    @property
    def num_positions(self) -> int:
        """How many positions count."""
        return int(self.labels[:, self.begin :].size)

    def can_tell(self, num_states: int) -> bool:
        """Tell whether labels can be counted in so many states: 8 positions for each pair."""
        return self.num_positions >= 8 * num_states * self.num_labels

    def counts(
        self, foundation: Foundation, moduli: tuple[int, ...] = (), tables: np.ndarray | None = None
    ) -> np.ndarray:
        """Count labels by state of the finished layers and of further phases.

        Args:
            foundation: the finished layers.
            moduli: (J,) of the further phases.
            tables: (J, C, X) int64 increments.

        Returns:
            (C, Π moduli, K) int64.
        """
        from coset.ssm.learning.kernels import count_labels  # loads numba

        cells, num_tokens = foundation.after.shape
        if tables is None:
            tables = np.zeros((0, cells, num_tokens), dtype=np.int64)
        counts = np.zeros((cells, math.prod(moduli), self.num_labels), dtype=np.int64)
        top = np.array(moduli, dtype=np.int64)
        count_labels(self.tokens, self.labels, foundation.after, tables, top, self.begin, counts)
        return counts


@dataclass(frozen=True, eq=False)
class Choice:
    """A snapped coordinate set of one restart.

    Attributes:
        gain: nats of H(y | state) that it explains on fresh words.
        moduli: (J,) of its phases.
        tables: (J, C, X) int64 increments.
        residual: largest distance of an angle from its root of unity, in units of 1/m turn
            (at most 1/2).
    """

    gain: float
    moduli: tuple[int, ...]
    tables: np.ndarray
    residual: float

    @property
    def num_states(self) -> int:
        """By how much the layer multiplies the number of states, at most."""
        return math.prod(self.moduli)


def align(turns: np.ndarray, modulus: int, after: np.ndarray) -> np.ndarray:
    """Turn the circle of each cell so that exact angles become multiples of 1/m.

    The readout of each cell can absorb a rotation α_q of its states, so that training determines
    θ[q, x] only up to α_{q′} − α_q, q′ = after[q, x]. For exact angles the Hermitian matrix
    H[q, q′] = Σ_x exp(2πi·m·θ[q, x]) + its adjoint is D* A D with A ≥ 0, and the phases of its
    first eigenvector are −m·α (angular synchronization).

    Args:
        turns: (…, C, X) angles in turns.
        modulus: m.
        after: (C, X) int64.

    Returns:
        (…, C, X) equivalent angles in turns.
    """
    cells, num_tokens = after.shape
    if cells == 1:
        return turns
    matrix = np.zeros((*turns.shape[:-2], cells, cells), dtype=np.complex128)
    steps = np.exp(2j * np.pi * modulus * turns)
    for q in range(cells):
        for x in range(num_tokens):
            matrix[..., q, after[q, x]] += steps[..., q, x]
    matrix = matrix + matrix.conj().swapaxes(-1, -2)
    first = np.linalg.eigh(matrix)[1][..., -1]
    offsets = np.angle(first) / (2 * np.pi * modulus)
    aligned: np.ndarray = turns - offsets[..., :, None] + offsets[..., after]
    return aligned


def snap(turns: np.ndarray, modulus: int) -> tuple[np.ndarray, np.ndarray]:
    """Round angles to roots of unity.

    Args:
        turns: (d, C, X) angles in turns.
        modulus: m.

    Returns:
        (d, C, X) int64 in 0 … m − 1, and (d,) the largest distance to them in units of 1/m turn.
    """
    steps = turns * modulus
    nearest = np.round(steps)
    return nearest.astype(np.int64) % modulus, np.abs(steps - nearest).max((1, 2))


def _options(
    angles: np.ndarray,
    foundation: Foundation,
    words: ScoringWords,
    moduli: tuple[int, ...],
    recipe: Recipe,
    before: float,
) -> tuple[float, list[Choice]]:
    """Return the best gain of one coordinate of a restart, and all useful sets of coordinates.

    Each coordinate of an exact layer is useful alone: given the layers below it is a homomorphism
    on each fiber, and explains log m. So only useful ones are combined.
    """

    def choice(chosen: list[int], assigned: tuple[int, ...]) -> Choice:
        kept = [(snapped[m][0][j], snapped[m][1][j]) for j, m in zip(chosen, assigned, strict=True)]
        tables, residual = np.stack([table for table, _ in kept]), max(r for _, r in kept)
        gain = before - conditional_entropy(words.counts(foundation, assigned, tables))
        return Choice(gain, assigned, tables, float(residual))

    snapped = {m: snap(align(angles, m, foundation.after), m) for m in moduli}
    cells = len(foundation.codes)
    best, useful = 0.0, []
    for j in range(len(angles)):
        alone = [choice([j], (m,)) for m in moduli if words.can_tell(cells * m)]
        best = max([best, *(c.gain for c in alone)])
        useful.append([(j, c.moduli[0]) for c in alone if c.gain > recipe.least_gain])
    found = []
    for picked in itertools.product(*([None, *options] for options in useful)):
        kept = [pair for pair in picked if pair is not None]
        if kept and words.can_tell(cells * math.prod(m for _, m in kept)):
            found.append(choice([j for j, _ in kept], tuple(m for _, m in kept)))
    return best, found


def choose(
    turns: np.ndarray,
    foundation: Foundation,
    words: ScoringWords,
    moduli: tuple[int, ...],
    recipe: Recipe,
) -> tuple[Choice | None, float, int]:
    """Choose the restart, coordinates and moduli that explain the most of the labels.

    Among those within `recipe.slack` of the best gain the fewest states win, then the gain, then
    the angles nearest to roots of unity: exact tables of one quotient count the same words into
    the same classes, so that their gains are equal.

    Args:
        turns: (R, d, C, X) trained angles in turns.
        foundation: the finished layers.
        words: fresh words.
        moduli: candidates of each coordinate's modulus.
        recipe: the settings.

    Returns:
        The choice, or ``None`` if no gain exceeds `recipe.least_gain`; the best gain of all; and
        the number of useful restarts, those with a gain above `least_gain`.
    """
    before = conditional_entropy(words.counts(foundation))
    found: list[Choice] = []
    best, num_useful = 0.0, 0
    for angles in turns:
        gain, useful = _options(angles, foundation, words, moduli, recipe, before)
        best = max([best, gain, *(choice.gain for choice in useful)])
        num_useful += bool(useful)
        found += useful
    if not found:
        return None, best, num_useful
    near = [choice for choice in found if choice.gain >= best - recipe.slack]
    near.sort(key=lambda c: (c.num_states, -round(c.gain, 6), c.residual))
    return near[0], best, num_useful
