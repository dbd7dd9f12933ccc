"""Two diagonal layers trained together from random weights, then snapped: the harder recipe.

Many restarts train side by side on the same words. The first layer turns its phase by a table of
angles. The second is gated by the first one's current state, either by its nearest M-th root of
unity, passed straight through backward ("quantized"), or by a small network that sees the raw
state ("raw").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from coset.core.errors import DomainError
from coset.ssm.cascade import Cascade
from coset.ssm.learning.recipe import Recipe
from coset.ssm.learning.selection import ScoringWords, align, conditional_entropy, snap
from coset.ssm.learning.sources import WordSource, draw_words
from coset.ssm.learning.stage import Foundation, Progress

__all__ = ["Gate", "Hardened", "JointRestarts", "harden_restarts", "train_jointly"]

Gate = Literal["quantized", "raw"]

_SHARPNESS = 5.0  # κ of softmax(κ cos(φ − 2πk/M)), through which gradients pass
_GATE_WIDTH, _DECODER_WIDTH = 32, 64


class JointRestarts(nn.Module):
    """R restarts of a stack of two layers with h_0 = 1, b = 0 and |a| = 1.

    Args:
        num_tokens: X.
        num_labels: K.
        modulus: M, of the quantized gate, of the penalty and of hardening.
        gate: "quantized" or "raw".
        num_restarts: R.
        readout_scale: standard deviation of the readout's start.
        generator: of the random start.

    Raises:
        DomainError: if the gate is unknown, or the modulus or the number of restarts impossible.
    """

    def __init__(
        self,
        num_tokens: int,
        num_labels: int,
        *,
        modulus: int,
        gate: Gate,
        num_restarts: int,
        readout_scale: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if gate not in get_args(Gate):
            raise DomainError(f"gate must be one of {get_args(Gate)}; given {gate!r}")
        if modulus < 2:
            raise DomainError(f"modulus must be at least 2; given {modulus}")
        if num_restarts < 1:
            raise DomainError(f"num_restarts must be at least 1; given {num_restarts}")
        self.modulus, self.gate, self.num_tokens = modulus, gate, num_tokens

        def normal(scale: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(scale * torch.randn(num_restarts, *shape, generator=generator))

        def circle(*shape: int) -> nn.Parameter:
            values = torch.rand(num_restarts, *shape, generator=generator)
            return nn.Parameter(2 * math.pi * values)

        self.first = circle(num_tokens)
        if gate == "quantized":
            self.second = circle(modulus, num_tokens)
            self.readout = normal(readout_scale, 3 * modulus, num_labels)
        else:
            self.gate_tokens = normal(1.0, num_tokens, _GATE_WIDTH)
            self.gate_states = normal(1.0, 2, _GATE_WIDTH)
            self.gate_angles = normal(2 / math.sqrt(_GATE_WIDTH), _GATE_WIDTH)
            self.decoder_states = normal(1.0, 5, _DECODER_WIDTH)
            self.readout = normal(1 / math.sqrt(_DECODER_WIDTH), _DECODER_WIDTH, num_labels)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and the angles of the second layer.

        Args:
            tokens: (B, T) int64.

        Returns:
            (R, B, T, K) logits and (R, B, T) angles in radians.
        """
        phase = self.first[:, tokens].cumsum(-1)
        if self.gate == "quantized":
            cells = self._nearest(phase)
            table = self.second[:, :, tokens]  # (R, M, B, T)
            angles = torch.einsum("rbtm,rmbt->rbt", cells, table)
            turned = _with_one(angles.cumsum(-1))
            features = (cells[..., None] * turned[..., None, :]).flatten(-2)
        else:
            angles = self.raw_angles(_circle(phase), tokens)
            states = torch.cat([_circle(phase), _with_one(angles.cumsum(-1))], -1)
            features = torch.einsum("rbtf,rfh->rbth", states, self.decoder_states).relu()
        return torch.einsum("rbtf,rfk->rbtk", features, self.readout), angles

    def raw_angles(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Return the raw gate's angles at states of the first layer.

        Args:
            states: (R, B, T, 2) cos and sin.
            tokens: (B, T) int64.

        Returns:
            (R, B, T) radians.
        """
        hidden = torch.einsum("rbts,rsh->rbth", states, self.gate_states)
        hidden = (hidden + self.gate_tokens[:, tokens]).relu()
        angles: Tensor = torch.einsum("rbth,rh->rbt", hidden, self.gate_angles)
        return angles

    def _nearest(self, phase: Tensor) -> Tensor:
        """Return the one-hot nearest M-th root, (R, B, T, M), with the gradient of a soft one."""
        roots = 2 * math.pi * torch.arange(self.modulus) / self.modulus
        soft = (_SHARPNESS * (phase[..., None] - roots).cos()).softmax(-1)
        hard = nn.functional.one_hot(soft.argmax(-1), self.modulus).to(soft.dtype)
        return hard + soft - soft.detach()

    @torch.no_grad()
    def accuracies(self, tokens: Tensor, labels: Tensor) -> Tensor:
        """Return the share of right labels of each restart as it is, in floats.

        Args:
            tokens: (B, T) int64.
            labels: (B, T) int64.

        Returns:
            (R,) float64.
        """
        right: Tensor = self(tokens)[0].argmax(-1) == labels
        return right.double().mean((1, 2))

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the angles at clean states, in turns: (R, X), and (R, M, X) by current state."""
        roots = 2 * math.pi * torch.arange(self.modulus) / self.modulus
        if self.gate == "quantized":
            second = self.second.detach()
        else:
            tokens = torch.arange(self.num_tokens).expand(self.modulus, -1)
            states = _circle(roots)[:, None].expand(len(self.first), -1, self.num_tokens, 2)
            second = self.raw_angles(states, tokens).detach()
        turns = 2 * math.pi
        return self.first.detach().double().numpy() / turns, second.double().numpy() / turns


def _circle(phase: Tensor) -> Tensor:
    return torch.stack([phase.cos(), phase.sin()], -1)


def _with_one(phase: Tensor) -> Tensor:
    return torch.stack([torch.ones_like(phase), phase.cos(), phase.sin()], -1)


def train_jointly(
    source: WordSource,
    gate: Gate,
    recipe: Recipe,
    *,
    modulus: int = 6,
    num_restarts: int = 32,
    penalty: float = 1.0,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> tuple[JointRestarts, Tensor]:
    """Train all restarts on the same fresh words of growing length.

    Args:
        source: of the words.
        gate: "quantized" or "raw".
        recipe: lengths, batches, learning rate and clipping.
        modulus: M.
        num_restarts: R.
        penalty: of mean(1 − cos Mθ), growing from 30 % of the steps on.
        generator: of words and starts.
        progress: receives (steps done, all steps, "").

    Returns:
        The restarts, and (R,) their cross-entropies in the last tenth of the steps.
    """
    restarts = JointRestarts(
        source.num_tokens,
        source.num_labels,
        modulus=modulus,
        gate=gate,
        num_restarts=num_restarts,
        readout_scale=recipe.readout_scale,
        generator=generator,
    )
    optimizer = torch.optim.Adam(restarts.parameters(), lr=recipe.learning_rate)
    first = recipe.start_length(source.num_tokens, source.num_labels)
    lengths = recipe.lengths(first, source.max_length)
    losses = []
    for step, length in enumerate(lengths):
        words = max(8, recipe.tokens_per_batch // length)
        tokens, labels = map(torch.from_numpy, draw_words(source, words, length, generator))
        logits, angles = restarts(tokens)
        chosen = logits.log_softmax(-1).gather(-1, labels.expand(num_restarts, -1, -1)[..., None])
        loss = -chosen.mean((1, 2, 3))
        strength = penalty * max(0.0, (step / len(lengths) - 0.3) / 0.7)
        drawn = (1 - (modulus * angles).cos()).mean((1, 2))
        drawn = drawn + (1 - (modulus * restarts.first).cos()).mean(1)
        optimizer.zero_grad()
        (loss + strength * drawn).sum().backward()
        _clip(restarts, recipe.clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        optimizer.step()
        losses.append(loss.detach())
        if progress:
            progress(step + 1, len(lengths), f"words of {length}")
    return restarts, torch.stack(losses[-max(1, len(losses) // 10) :]).mean(0)


def _clip(restarts: JointRestarts, norm: float) -> None:
    """Clip the gradient of each restart by itself."""
    grads = [p.grad for p in restarts.parameters() if p.grad is not None]
    squares = torch.stack([g.flatten(1).square().sum(1) for g in grads]).sum(0)
    scale = (norm / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)
    for g in grads:
        g *= scale.reshape(-1, *[1] * (g.ndim - 1))


@dataclass(frozen=True, eq=False)
class Hardened:
    """A snapped restart.

    Attributes:
        cascade: two layers of modulus M.
        decoder: (num_codes,) int64, the label most often seen with each code, −1 for none.
        entropy: H(y | code) in nats on fresh words.
    """

    cascade: Cascade
    decoder: np.ndarray
    entropy: float


def harden_restarts(
    restarts: JointRestarts,
    source: WordSource,
    recipe: Recipe,
    generator: torch.Generator | None = None,
) -> list[Hardened]:
    """Snap every restart to M-th roots of unity, and count labels on fresh words.

    Args:
        restarts: trained.
        source: of the words.
        recipe: how many words are counted.
        generator: of the words.

    Returns:
        One for each restart, best first.
    """
    modulus = restarts.modulus
    words = ScoringWords.draw(source, recipe, modulus**2, generator)
    empty = Foundation.of(Cascade((), source.num_tokens))
    found = []
    for first, second in zip(*restarts.tables(), strict=True):
        lower = empty.extend((modulus,), snap(first[None, None], modulus)[0])
        # The gate read the state after the token: address it by the one before.
        current = lower.codes[lower.after]
        turns = second[current, np.arange(source.num_tokens)]
        table = snap(align(turns[None], modulus, lower.after), modulus)[0]
        whole = lower.extend((modulus,), table)
        counts = words.counts(whole)[:, 0]
        decoder = np.full(whole.cascade.num_codes, -1, dtype=np.int64)
        seen = counts.sum(1) > 0
        decoder[whole.codes[seen]] = counts[seen].argmax(1)
        found.append(Hardened(whole.cascade, decoder, conditional_entropy(counts)))
    return sorted(found, key=lambda h: h.entropy)
