"""One stage: many random restarts of one diagonal layer on top of the finished ones, by gradient.

The layer is h_t = exp(iθ[q, x_t]) ∘ h_{t−1} with h_0 = 1, where q is the state of the finished
layers before the token. A gate on the state after it is the same thing with renamed rows, since a
token permutes the states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from coset.core.errors import UnavailableError, UnsupportedError
from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.learning.recipe import LANES, Recipe
from coset.ssm.learning.sources import WordSource, draw_words

# Parameters of all restarts take 4 bytes each, in four arrays.
MAX_PARAMETERS = 2**28

__all__ = ["Foundation", "Restarts", "train_stage"]

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, eq=False)
class Foundation:
    """The finished layers as a machine: the reachable states numbered from 0, the start first.

    Attributes:
        cascade: the finished layers.
        codes: (C,) int64: the cascade's code of each state.
        after: (C, X) int64: the state after each state and token.
    """

    cascade: Cascade
    codes: np.ndarray
    after: np.ndarray

    @classmethod
    def of(cls, cascade: Cascade) -> Foundation:
        """Number the reachable states of a cascade."""
        codes = cascade.reachable()
        tokens = np.arange(cascade.num_tokens)
        after = np.searchsorted(codes, cascade.step(codes[:, None], tokens[None]))
        return cls(cascade, codes, np.ascontiguousarray(after, dtype=np.int64))

    def extend(self, moduli: tuple[int, ...], tables: np.ndarray) -> Foundation:
        """Put a layer on top.

        Args:
            moduli: (J,) of its phases.
            tables: (J, C, X) increments at the reachable states; elsewhere they are 0.

        Returns:
            The new machine.
        """
        num_tokens = self.cascade.num_tokens
        increments = np.zeros((self.cascade.num_codes, num_tokens, len(moduli)), dtype=np.int64)
        increments[self.codes] = tables.transpose(1, 2, 0)
        layers = (*self.cascade.layers, PhaseLayer(moduli, increments))
        return Foundation.of(Cascade(layers, num_tokens))


class Restarts:
    """The parameters of all restarts of a stage, sixteen a block.

    Args:
        foundation: the finished layers.
        num_labels: K.
        num_restarts: R; blocks are filled up to a multiple of 16.
        num_coordinates: d.
        readout_scale: standard deviation of the readout's start.
        generator: of the random start: θ uniform on the circle, W normal.

    Raises:
        UnsupportedError: if there would be more than 2^28 parameters.

    Attributes:
        angles: (blocks, C, X, d, 16) float32, θ in radians.
        readout: (blocks, C, K, 1 + 2d, 16) float32.
    """

    def __init__(
        self,
        foundation: Foundation,
        num_labels: int,
        num_restarts: int,
        num_coordinates: int,
        readout_scale: float,
        generator: torch.Generator | None,
    ) -> None:
        (cells, tokens), d = foundation.after.shape, num_coordinates
        blocks = -(-num_restarts // LANES)
        size = blocks * LANES * cells * (tokens * d + num_labels * (1 + 2 * d))
        if size > MAX_PARAMETERS:
            raise UnsupportedError(
                f"a stage may train 2^28 numbers; {num_restarts} restarts with {cells} states, "
                f"{tokens} tokens, {num_labels} labels and {d} phases need {size}; use fewer "
                f"restarts, or tokens and labels without gaps"
            )
        angles = 2 * np.pi * torch.rand((blocks, cells, tokens, d, LANES), generator=generator)
        shape = (blocks, cells, num_labels, 1 + 2 * d, LANES)
        readout = readout_scale * torch.randn(shape, generator=generator)
        split = cells * tokens * d * LANES
        flat = [values.numpy().reshape(blocks, -1) for values in (angles, readout)]
        self.parameters = np.concatenate(flat, axis=1)
        self.gradients = np.zeros_like(self.parameters)
        self.angles = self.parameters[:, :split].reshape(angles.shape)
        self.readout = self.parameters[:, split:].reshape(shape)
        self._split, self._num_coordinates = split, d
        self._first = np.zeros_like(self.parameters)
        self._second = np.zeros_like(self.parameters)

    def add_gradients(self, tokens: np.ndarray, labels: np.ndarray, after: np.ndarray) -> None:
        """Add the gradients of the mean cross-entropy of a batch, times its number of tokens.

        Args:
            tokens: (B, T) int64 in 0 … X − 1; not checked.
            labels: (B, T) int64 in 0 … K − 1; not checked.
            after: (C, X) int64, as in `Foundation`.

        Raises:
            UnavailableError: if numba's compiler is switched off.
        """
        from numba import config

        if config.DISABLE_JIT:  # type: ignore[attr-defined]
            raise UnavailableError(
                "learning needs numba's compiler, since its vectors exist in compiled code only; "
                "NUMBA_DISABLE_JIT is set; unset it before Python starts"
            )
        from coset.ssm.learning.kernels import add_gradients

        split = self._split
        for values, sums in zip(self.parameters, self.gradients, strict=True):
            add_gradients(
                tokens,
                labels,
                after,
                values[:split],
                values[split:],
                sums[:split],
                sums[split:],
                self._num_coordinates,
            )

    def step(self, number: int, rate: float, num_tokens: int, clip_norm: float) -> None:
        """Take a step of Adam with each restart's gradient clipped, and clear the gradients.

        Args:
            number: of the step, from 1 on.
            rate: learning rate.
            num_tokens: how many tokens the gradients are summed over.
            clip_norm: largest norm of a restart's mean gradient.
        """
        from coset.ssm.learning.kernels import adam_step

        for block, sums in enumerate(self.gradients):
            g = sums.reshape(-1, LANES)
            norms = np.sqrt(np.einsum("pr,pr->r", g, g)) / num_tokens
            scale = np.minimum(1.0, clip_norm / np.maximum(norms, 1e-12)) / num_tokens
            adam_step(
                self.parameters[block].reshape(-1, LANES),
                g,
                self._first[block].reshape(-1, LANES),
                self._second[block].reshape(-1, LANES),
                scale.astype(np.float32),
                rate,
                number,
            )

    def turns(self) -> np.ndarray:
        """Return the angles of all restarts, (R′, d, C, X) float64 in turns."""
        moved = self.angles.transpose(0, 4, 3, 1, 2).astype(np.float64) / (2 * np.pi)
        return np.ascontiguousarray(moved.reshape(-1, *moved.shape[2:]))


def train_stage(
    foundation: Foundation,
    source: WordSource,
    recipe: Recipe,
    *,
    num_restarts: int,
    num_coordinates: int,
    generator: torch.Generator | None,
    progress: Progress | None = None,
) -> Restarts:
    """Train random restarts of one more layer, all on the same fresh words.

    Args:
        foundation: the finished layers.
        source: of the words.
        recipe: the settings.
        num_restarts: R ≥ 1.
        num_coordinates: d ≥ 1, how many phases the layer has.
        generator: of words and starts.
        progress: receives (steps done, all steps, "").

    Returns:
        The trained restarts.

    Complexity:
        O(steps · tokens a batch · R · K · d).
    """
    restarts = Restarts(
        foundation,
        source.num_labels,
        num_restarts,
        num_coordinates,
        recipe.readout_scale,
        generator,
    )
    first = recipe.start_length(source.num_tokens, source.num_labels)
    lengths = recipe.lengths(first, source.max_length)
    step = 0
    while step < len(lengths):
        length, same = lengths[step], lengths.count(lengths[step])
        # Words of all steps of a length are drawn at once, which is quicker.
        num_words = max(8, recipe.tokens_per_batch // length)
        words = draw_words(source, num_words * same, length, generator)
        for place in range(0, num_words * same, num_words):
            tokens, labels = (w[place : place + num_words] for w in words)
            restarts.add_gradients(tokens, labels, foundation.after)
            restarts.step(step + 1, recipe.rate(step), tokens.size, recipe.clip_norm)
            step += 1
        if progress:
            progress(step, len(lengths), f"words of {length}")
    return restarts
