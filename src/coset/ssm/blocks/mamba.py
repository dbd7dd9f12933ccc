"""The Mamba block (Gu, Dao 2023), and its form with eigenvalues down to −1 (Grazzi et al. 2025)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coset.ssm.blocks.block import CausalConvolution, RecurrentBlock, initial_steps
from coset.ssm.layers import check_size, widen

__all__ = ["MambaBlock", "NegativeMambaBlock"]


class MambaBlock(RecurrentBlock):
    """Mamba: h_t = exp(Δ_t A) ∘ h_{t−1} + Δ_t B_t x_t, y_t = C_t·h_t + D x_t, gated by SiLU(z_t).

    x and z are linear in the input, x after a causal convolution of width 4 and SiLU; B_t, C_t are
    linear in x_t, Δ_t = softplus of a linear map of rank ⌈d_model/16⌉; A = −(1 … N) at first, real
    and negative, so that all multipliers lie in (0, 1): class p, no parity at finite precision
    [parity]. Form and initial values are those of the authors' code [code].

    Args:
        d_model: features.
        d_state: N, numbers a channel.
        expand: channels of the recurrence a feature.
        conv_width: width of the convolution.
        step_rank: rank of the map to Δ; by default ⌈d_model/16⌉.

    Raises:
        ConfigError: if a size is below 1.

    Claims: ssm.C6.

    Example:
        >>> MambaBlock(8)(torch.zeros(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    letter = "p"

    def __init__(
        self,
        d_model: int,
        *,
        d_state: int = 16,
        expand: int = 2,
        conv_width: int = 4,
        step_rank: int | None = None,
    ) -> None:
        channels = check_size("expand", expand) * check_size("d_model", d_model)
        super().__init__(d_model, channels, d_state, CausalConvolution(channels, conv_width))
        rank = math.ceil(d_model / 16) if step_rank is None else check_size("step_rank", step_rank)
        self.step_rank = rank
        self.into = nn.Linear(d_model, 2 * channels, bias=False)
        self.select = nn.Linear(channels, rank + 2 * d_state, bias=False)
        self.to_step = nn.Linear(rank, channels)
        with torch.no_grad():
            self.to_step.weight.uniform_(-(rank**-0.5), rank**-0.5)
            # The inverse of softplus: Δ begins log-uniform in [0.001, 0.1].
            self.to_step.bias.copy_(initial_steps(channels).expm1().log())
        decay = torch.arange(1, d_state + 1).float().repeat(channels, 1)
        self.log_decay = nn.Parameter(decay.log())
        self.skip = nn.Parameter(torch.ones(channels))
        self.out = nn.Linear(channels, d_model, bias=False)

    def enter(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return x before the convolution, and z."""
        u, gate = self.into(inputs).chunk(2, -1)
        return u, gate

    def transition(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return a = exp(ΔA) and b = Δ B x."""
        x = nn.functional.silu(inputs)
        step, write, _ = self._select(x)
        decay = torch.exp(-torch.exp(widen(self.log_decay)) * widen(step)[..., None])
        return self.range_of(decay), (step * x)[..., None] * write[..., None, :]

    def range_of(self, decay: Tensor) -> Tensor:
        """Return the multipliers that decays exp(ΔA) in (0, 1) stand for: here themselves."""
        return decay

    def leave(self, inputs: Tensor, gate: Tensor | None, states: Tensor) -> Tensor:
        """Return out((C·h + D x) ∘ SiLU(z))."""
        x = nn.functional.silu(inputs)
        _, _, read = self._select(x)
        y = (states * read[..., None, :]).sum(-1).to(x.dtype) + self.skip * x
        assert gate is not None
        out: Tensor = self.out(y * nn.functional.silu(gate))
        return out

    def _select(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Δ (…, channels), B and C (…, d_state)."""
        d_state = self.state_size[1]
        step, write, read = self.select(x).split([self.step_rank, d_state, d_state], -1)
        return nn.functional.softplus(self.to_step(step)), write, read


class NegativeMambaBlock(MambaBlock):
    """Mamba with multipliers a = 2·exp(Δ_t A) − 1 in (−1, 1], and all else unchanged: class r.

    The change of range is that of Grazzi et al. (ICLR 2025) [paper]. −1 itself is reached only
    where exp underflows, so that at finite Δ a parity state decays by |a| < 1 a step [derived].

    Claims: ssm.C5, ssm.C6.

    Example:
        >>> _, a = NegativeMambaBlock(8).forward_with_multipliers(torch.zeros(1, 2, 8))
        >>> bool(((a > -1) & (a <= 1)).all())
        True
    """

    letter = "r"

    def range_of(self, decay: Tensor) -> Tensor:
        """Return 2·decay − 1."""
        return 2 * decay - 1
