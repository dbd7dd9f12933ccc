"""S4D: a time-invariant diagonal state-space block (Gu, Gupta, Goel, Ré, NeurIPS 2022)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coset.ssm.blocks.block import RecurrentBlock, initial_steps
from coset.ssm.layers import widen

__all__ = ["S4DBlock"]


class S4DBlock(RecurrentBlock):
    """S4D-Lin: h_t = exp(ΔA) h_{t−1} + (exp(ΔA) − 1)/A · x_t, y = 2 Re(C h) + D x, GELU, GLU.

    One system a channel, A_n = −½ + iπn, Δ log-uniform in [0.001, 0.1], zero-order hold; each
    complex number stands for a conjugate pair, whence the 2. Initial values and the closing linear
    gated unit are those of the authors' stand-alone code [code]. Nothing depends on the input, so
    that the layer is of class t: no parity at finite precision [parity].

    Args:
        d_model: features.
        d_state: complex numbers a channel (half of the paper's N).

    Raises:
        ConfigError: if a size is below 1.

    Claims: ssm.C6.

    Example:
        >>> S4DBlock(8)(torch.zeros(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    letter = "t"
    is_complex = True

    def __init__(self, d_model: int, *, d_state: int = 32) -> None:
        super().__init__(d_model, d_model, d_state, None)
        self.log_step = nn.Parameter(initial_steps(d_model).log())
        self.log_decay = nn.Parameter(torch.full((d_model, d_state), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(d_state).float().repeat(d_model, 1))
        # Real and imaginary parts, of variance 1/2 each.
        self.read = nn.Parameter(torch.randn(d_model, d_state, 2) * 0.5**0.5)
        self.skip = nn.Parameter(torch.randn(d_model))
        self.out = nn.Linear(d_model, 2 * d_model)

    def enter(self, inputs: Tensor) -> tuple[Tensor, None]:
        """Return the inputs themselves: there is no projection and no gate."""
        return inputs, None

    def transition(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the constant a = exp(ΔA), and b = (a − 1)/A · x."""
        rate = torch.complex(-torch.exp(widen(self.log_decay)), widen(self.frequency))
        a = torch.exp(rate * torch.exp(widen(self.log_step))[:, None])
        b = (a - 1) / rate * widen(inputs)[..., None]
        return a.expand(b.shape), b

    def leave(self, inputs: Tensor, gate: Tensor | None, states: Tensor) -> Tensor:
        """Return GLU(linear(GELU(2 Re(C h) + D x)))."""
        y = 2 * (states * torch.view_as_complex(widen(self.read))).sum(-1).real
        y = y.to(inputs.dtype) + self.skip * inputs
        out: Tensor = nn.functional.glu(self.out(nn.functional.gelu(y)), -1)
        return out
