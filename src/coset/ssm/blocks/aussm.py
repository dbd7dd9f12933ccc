"""The adaptive unitary block AUSSM (Karuvally et al., NeurIPS 2025), and a reduced one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from coset.ssm.blocks.block import CausalConvolution, RecurrentBlock, initial_steps
from coset.ssm.layers import check_size, widen

__all__ = ["AUSSMBlock", "SimpleAUSSMBlock"]


def _polar(parameter: Tensor) -> Tensor:
    """Read the pair (p, φ) as the complex number softplus(p)·exp(iφ)."""
    magnitude, angle = widen(parameter).unbind(-1)
    return torch.polar(nn.functional.softplus(magnitude), angle)


class AUSSMBlock(RecurrentBlock):
    """AUSSM: h_t = exp(iθ_t) ∘ h_{t−1} + Δ_t B x_t, y_t = Re(C·h_t) + D x_t, gated by SiLU(z_t).

    θ_t = W u_t/√d_model + bias, one angle a state number, where u_t is the input after projection
    and a causal convolution of width 4; x_t = SiLU(u_t); bias uniform in (−π, π); B and C complex
    vectors that do not depend on the input, stored as softplus magnitude and angle;
    Δ_t = softplus of a linear map of rank d_state. All this is the authors' code [code], whose
    kernel lets Δ scale what is added and not the angle; the paper's text has exp(iΔθ) [paper],
    which `scale_angle` gives. Ours: Δ's bias is added once (the code adds it twice, an equivalent
    parameter) and begins log-uniform in [0.001, 0.1] as in Mamba.

    All multipliers have modulus 1: class c. One layer can track Abelian groups only
    [diagonal-ssm].

    Args:
        d_model: features; the recurrence has as many channels.
        d_state: complex numbers a channel.
        conv_width: width of the convolution.
        step_rank: rank of the map to Δ; by default d_state.
        scale_angle: whether Δ multiplies the angle.

    Raises:
        ConfigError: if a size is below 1.

    Claims: ssm.C1, ssm.C2, ssm.C7.

    Example:
        >>> y, a = AUSSMBlock(8).forward_with_multipliers(torch.zeros(2, 5, 8))
        >>> y.shape, bool(torch.allclose(a.abs(), torch.ones(())))
        (torch.Size([2, 5, 8]), True)
    """

    letter = "c"
    is_complex = True

    def __init__(
        self,
        d_model: int,
        *,
        d_state: int = 16,
        conv_width: int = 4,
        step_rank: int | None = None,
        scale_angle: bool = False,
    ) -> None:
        check_size("d_model", d_model)
        super().__init__(d_model, d_model, d_state, CausalConvolution(d_model, conv_width))
        rank = d_state if step_rank is None else check_size("step_rank", step_rank)
        self.scale_angle = bool(scale_angle)
        self.into = nn.Linear(d_model, 2 * d_model, bias=False)
        self.angle = _angle_map(d_model, d_state)
        self.to_step = nn.Sequential(nn.Linear(d_model, rank, bias=False), nn.Linear(rank, d_model))
        last = self.to_step[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias.copy_(initial_steps(d_model).expm1().log())
        self.write = nn.Parameter(torch.randn(d_state, 2) * 0.5**0.5)
        self.read = nn.Parameter(torch.randn(d_state, 2) * 0.5**0.5)
        self.skip = nn.Parameter(torch.ones(d_model))
        self.out = nn.Linear(d_model, d_model, bias=False)

    def enter(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return u before the convolution, and z."""
        u, gate = self.into(inputs).chunk(2, -1)
        return u, gate

    def transition(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return a = exp(iθ), or exp(iΔθ), and b = Δ B x."""
        step = nn.functional.softplus(self.to_step(inputs))
        angle = _angles(self.angle, inputs, self.state_size)
        if self.scale_angle:
            angle = angle * widen(step)[..., None]
        x = step * nn.functional.silu(inputs)
        return torch.complex(angle.cos(), angle.sin()), x[..., None] * _polar(self.write)

    def leave(self, inputs: Tensor, gate: Tensor | None, states: Tensor) -> Tensor:
        """Return out((Re(C·h) + D x) ∘ SiLU(z))."""
        y = (states * _polar(self.read)).sum(-1).real.to(inputs.dtype)
        y = y + self.skip * nn.functional.silu(inputs)
        assert gate is not None
        out: Tensor = self.out(y * nn.functional.silu(gate))
        return out


class SimpleAUSSMBlock(RecurrentBlock):
    """The recurrence of AUSSM alone: h_t = exp(iθ_t) ∘ h_{t−1} + B x_t, y_t = out(Re(C·h_t)).

    θ_t = W x_t/√d_model + bias; no Δ, no convolution, no gate, no skip. The "Simple AUSSM" of the
    paper's tables is not defined in what we could read (not found); this definition is ours.

    Args:
        d_model: features; the recurrence has as many channels.
        d_state: complex numbers a channel.

    Raises:
        ConfigError: if a size is below 1.

    Claims: ssm.C1, ssm.C2.

    Example:
        >>> SimpleAUSSMBlock(8)(torch.zeros(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    letter = "c"
    is_complex = True

    def __init__(self, d_model: int, *, d_state: int = 16) -> None:
        check_size("d_model", d_model)
        super().__init__(d_model, d_model, d_state, None)
        self.angle = _angle_map(d_model, d_state)
        self.write = nn.Parameter(torch.randn(d_state, 2) * 0.5**0.5)
        self.read = nn.Parameter(torch.randn(d_state, 2) * 0.5**0.5)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def enter(self, inputs: Tensor) -> tuple[Tensor, None]:
        """Return the inputs themselves."""
        return inputs, None

    def transition(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return a = exp(iθ) and b = B x."""
        angle = _angles(self.angle, inputs, self.state_size)
        return torch.complex(angle.cos(), angle.sin()), inputs[..., None] * _polar(self.write)

    def leave(self, inputs: Tensor, gate: Tensor | None, states: Tensor) -> Tensor:
        """Return out(Re(C·h))."""
        out: Tensor = self.out((states * _polar(self.read)).sum(-1).real.to(inputs.dtype))
        return out


def _angle_map(d_model: int, d_state: int) -> nn.Linear:
    linear = nn.Linear(d_model, d_model * d_state)
    with torch.no_grad():
        linear.bias.uniform_(-math.pi, math.pi)
    return linear


def _angles(linear: nn.Linear, inputs: Tensor, sizes: tuple[int, int]) -> Tensor:
    """Return (…, channels, d_state): W x/√d_model + bias."""
    flat = nn.functional.linear(inputs / math.sqrt(linear.in_features), linear.weight, linear.bias)
    return widen(flat).reshape(*inputs.shape[:-1], *sizes)
