"""What the published blocks have in common: convolution, diagonal recurrence, read-out, in time.

A block computes, from inputs x_t,

    u, z = enter(x)        projections, z the gate
    u = convolve(u)        a short causal convolution, in some blocks
    h_t = a(u_t) ∘ h_{t−1} + b(u_t),   h_0 = 0
    y_t = leave(u_t, z_t, h_t)

`forward` runs it over a sequence and `step` over one input, from the same four functions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from coset.core.errors import DtypeError, ShapeError
from coset.ssm.layers import check_size, widen

__all__ = ["BlockState", "CausalConvolution", "RecurrentBlock", "initial_steps"]

BlockState = tuple[Tensor, ...]


class CausalConvolution(nn.Module):
    """A depthwise causal convolution: y_t = bias + Σ_k weight[k] ∘ x_{t−K+1+k}, x = 0 before t = 1.

    Attributes:
        weight: (channels, width).
        bias: (channels,).

    Args:
        channels: features, each convolved on its own.
        width: K, how many inputs an output sees.
    """

    def __init__(self, channels: int, width: int = 4) -> None:
        super().__init__()
        self.channels, self.width = check_size("channels", channels), check_size("width", width)
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(channels, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve sequences.

        Args:
            inputs: (…, T, channels); T may be 0.

        Returns:
            (…, T, channels).
        """
        if inputs.shape[-2] == 0:
            return inputs
        flat = inputs.reshape(-1, *inputs.shape[-2:]).transpose(-1, -2)
        padded = nn.functional.pad(flat, (self.width - 1, 0))
        out = nn.functional.conv1d(padded, self.weight[:, None], self.bias, groups=self.channels)
        return out.transpose(-1, -2).reshape(inputs.shape)

    def start_state(self, *batch: int) -> Tensor:
        """Return the inputs before the first: zeros.

        Args:
            *batch: sizes of the batch dimensions.

        Returns:
            (*batch, width − 1, channels).
        """
        return self.weight.new_zeros(*batch, self.width - 1, self.channels)

    def step(self, inputs: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve one more input.

        Args:
            inputs: (…, channels).
            window: (…, width − 1, channels) the inputs before it.

        Returns:
            (…, channels), and the window after it.
        """
        seen = torch.cat([window, inputs[..., None, :]], -2)
        return (seen * self.weight.T).sum(-2) + self.bias, seen[..., 1:, :]


class RecurrentBlock(nn.Module):
    """A block with one diagonal recurrence; subclasses say what enters, moves and leaves it.

    Attributes:
        d_model: features of inputs and outputs.
        state_size: sizes of the recurrent state, (channels, numbers a channel).
        is_complex: whether the state is complex.
        letter: class of the layer, one of "tprc".
        convolution: the causal convolution, or ``None``.
    """

    letter: str
    is_complex = False

    def __init__(
        self, d_model: int, channels: int, d_state: int, convolution: CausalConvolution | None
    ) -> None:
        super().__init__()
        self.d_model = check_size("d_model", d_model)
        self.state_size = (check_size("channels", channels), check_size("d_state", d_state))
        self.convolution = convolution

    def enter(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the recurrence reads, and the gate.

        Args:
            inputs: (…, d_model).

        Returns:
            (…, channels), and (…, channels) or ``None``.
        """
        raise NotImplementedError

    def transition(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the multiplier a and the addition b of the recurrence.

        Args:
            inputs: (…, channels) after the convolution.

        Returns:
            Both (…, channels, d_state).
        """
        raise NotImplementedError

    def leave(self, inputs: Tensor, gate: Tensor | None, states: Tensor) -> Tensor:
        """Return the output.

        Args:
            inputs: (…, channels) after the convolution.
            gate: (…, channels) or ``None``.
            states: (…, channels, d_state).

        Returns:
            (…, d_model).
        """
        raise NotImplementedError

    def _check(self, inputs: Tensor, least: int) -> None:
        if inputs.ndim < least or inputs.shape[-1] != self.d_model:
            shape = "(…, T, {})" if least == 2 else "(…, {})"
            raise ShapeError(
                f"inputs must have shape {shape.format(self.d_model)}; given {tuple(inputs.shape)}"
            )
        if not inputs.is_floating_point():
            raise DtypeError(
                f"inputs must be real floating-point features; given {inputs.dtype}; embed tokens "
                f"first, or use BlockStack"
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Run the block over sequences.

        Args:
            inputs: (…, T, d_model) float; T may be 0.

        Returns:
            (…, T, d_model).

        Raises:
            ShapeError: if the inputs have another number of features, or no time.
        """
        return self.forward_with_multipliers(inputs)[0]

    def forward_with_multipliers(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Run the block over sequences and also return what multiplied its state.

        Args:
            inputs: (…, T, d_model) float.

        Returns:
            (…, T, d_model), and the a_t, (…, T, channels · d_state).
        """
        from coset.scan import scan

        self._check(inputs, 2)
        u, gate = self.enter(inputs)
        if self.convolution is not None:
            u = self.convolution(u)
        a, b = (widen(part).flatten(-2) for part in self.transition(u))
        states = scan(a, b, dim=-2)
        return self.leave(u, gate, states.reshape(*states.shape[:-1], *self.state_size)), a

    def start_state(self, *batch: int) -> BlockState:
        """Return the state before the first input.

        Args:
            *batch: sizes of the batch dimensions.

        Returns:
            The state of the recurrence (*batch, channels, d_state), zero; and the window of the
            convolution, if there is one.
        """
        parameter = next(self.parameters())
        dtype = torch.promote_types(parameter.dtype, torch.float32)
        if self.is_complex:
            dtype = torch.promote_types(dtype, torch.complex64)
        zeros = torch.zeros(*batch, *self.state_size, dtype=dtype, device=parameter.device)
        if self.convolution is None:
            return (zeros,)
        return zeros, self.convolution.start_state(*batch)

    def step(self, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """Read one more input.

        Args:
            inputs: (…, d_model).
            state: as `start_state` or `step` returned it.

        Returns:
            (…, d_model), and the state after it.
        """
        self._check(inputs, 1)
        u, gate = self.enter(inputs)
        window: BlockState = ()
        if self.convolution is not None:
            u, after = self.convolution.step(u, state[1])
            window = (after,)
        a, b = map(widen, self.transition(u))
        states = a * state[0] + b
        return self.leave(u, gate, states), (states, *window)


def initial_steps(channels: int, shortest: float = 1e-3, longest: float = 0.1) -> Tensor:
    """Draw step sizes Δ, log-uniform.

    Args:
        channels: how many.
        shortest: the least.
        longest: the largest.

    Returns:
        (channels,) positive.
    """
    low, high = torch.tensor([shortest, longest]).log()
    return torch.exp(low + (high - low) * torch.rand(channels))
