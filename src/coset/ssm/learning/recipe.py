"""The settings of greedy learning, fixed before the seeds that are counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

from coset.core.errors import DomainError

__all__ = ["LANES", "Recipe"]

# Restarts train sixteen a block, one a lane of a vector register.
LANES = 16


@dataclass(frozen=True)
class Recipe:
    """How one stage is trained and chosen; the defaults are those of every counted run.

    Attributes:
        num_iterations: gradient steps of one try.
        first_length: T of the first batches; ``None`` takes the least T ≥ 2 for which there are
            twice as many words as labels, X^T ≥ 2K.
        last_length: T of the last batches.
        growth_begin: share of the steps at which T begins to grow, geometrically.
        growth_end: share of the steps at which T has arrived at `last_length`.
        tokens_per_batch: a batch has this many tokens, in max(8, tokens_per_batch ÷ T) words.
        learning_rate: of Adam; constant, and in the last fifth of the steps linear to a 50th.
        clip_norm: largest norm of one restart's gradient.
        readout_scale: standard deviation of the readout's random start.
        num_tries: how often a stage without progress starts again, at most.
        num_stages: how many stages there can be, at most.
        least_gain: nats of H(y | state) that a coordinate must explain to be kept.
        slack: nats by which a smaller coordinate may be worse than the best.
        exact: nats of H(y | state) below which nothing is left to learn.
        score_length: words for choosing have this length; their second half counts.
        score_tokens: at least so many counted positions.
    """

    num_iterations: int = 400
    first_length: int | None = None
    last_length: int = 24
    growth_begin: float = 0.15
    growth_end: float = 0.75
    tokens_per_batch: int = 1152
    learning_rate: float = 0.03
    clip_norm: float = 1.0
    readout_scale: float = 0.3
    num_tries: int = 5
    num_stages: int = 12
    least_gain: float = 0.5
    slack: float = 0.05
    exact: float = 0.02
    score_length: int = 96
    score_tokens: int = 12_288

    def __post_init__(self) -> None:
        names = ("num_iterations", "last_length", "tokens_per_batch", "num_tries", "num_stages")
        counts = (*names, "score_length", "score_tokens")
        for name in counts if self.first_length is None else (*counts, "first_length"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise DomainError(f"{name} must be an integer ≥ 1; given {value!r}")
        for name in ("learning_rate", "clip_norm", "least_gain", "exact", "readout_scale"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise DomainError(f"{name} must be a finite number > 0; given {value!r}")
        if not 0 <= self.slack < math.inf:
            raise DomainError(f"slack must be a finite number ≥ 0; given {self.slack}")
        if not 0 <= self.growth_begin < self.growth_end <= 1:
            raise DomainError(
                f"0 ≤ growth_begin < growth_end ≤ 1 must hold; given {self.growth_begin} and "
                f"{self.growth_end}"
            )
        if self.first_length is not None and self.first_length > self.last_length:
            raise DomainError(
                f"first_length must lie in 1 … last_length = {self.last_length}; given "
                f"{self.first_length}"
            )

    def start_length(self, num_tokens: int, num_labels: int) -> int:
        """Return T of the first batches.

        Args:
            num_tokens: X.
            num_labels: K.

        Returns:
            `first_length`, or the least T ≥ 2 with X^T ≥ 2K, at most `last_length`.

        Example:
            >>> Recipe().start_length(24, 24), Recipe().start_length(2, 24)
            (2, 6)
        """
        if self.first_length is not None:
            return self.first_length
        length = 2
        while length < self.last_length and num_tokens**length < 2 * num_labels:
            length += 1
        return min(length, self.last_length)

    def lengths(self, first: int, longest: int | None = None) -> list[int]:
        """Return T of every step.

        Args:
            first: T of the first step.
            longest: the longest words that there are, or ``None``.

        Returns:
            `num_iterations` lengths that do not decrease.
        """
        last = self.last_length if longest is None else min(self.last_length, longest)
        first, steps = min(first, last), self.num_iterations
        grown = []
        for step in range(steps):
            u = (step / steps - self.growth_begin) / (self.growth_end - self.growth_begin)
            grown.append(round(first * (last / first) ** min(max(u, 0.0), 1.0)))
        return grown

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, from 0 on."""
        left = (self.num_iterations - step) / (0.2 * self.num_iterations)
        return self.learning_rate * min(1.0, max(left, 0.02))
