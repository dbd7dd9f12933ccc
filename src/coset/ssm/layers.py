"""One diagonal layer, h_t = a(u_t) ∘ h_{t−1} + b(u_t), in five kinds that differ in where a lies.

| kind | class | a(u) |
|---|---|---|
| "lti" | t | a constant of the open unit disc, the same for every input |
| "nonneg" | p | in (0, 1) |
| "signed" | r | in (−1, 1) |
| "unitary" | c | on the unit circle |
| "complex" | c | in the open unit disc |
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError, DtypeError, ShapeError

__all__ = ["DiagonalSSM", "Kind", "Start", "check_size", "real_features", "widen"]

Kind = Literal["lti", "nonneg", "signed", "unitary", "complex"]
Start = Literal["zeros", "ones", "learned"]

LETTERS: dict[str, str] = {
    "lti": "t",
    "nonneg": "p",
    "signed": "r",
    "unitary": "c",
    "complex": "c",
}
_COMPLEX_KINDS = {"lti", "unitary", "complex"}


def check_size(name: str, value: object, least: int = 1) -> int:
    """Return a size, or say that it must be an integer that is large enough.

    Args:
        name: what it is, for the message.
        value: what was given.
        least: the smallest size allowed.

    Returns:
        The size.

    Raises:
        ConfigError: if it is no integer or too small.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ConfigError(f"{name} must be an integer ≥ {least}; given {value!r}")
    return int(value)


def real_features(state: Tensor) -> Tensor:
    """Return what a network of real numbers sees of a state: real parts, then imaginary parts.

    Args:
        state: (…, d) real or complex.

    Returns:
        (…, d) or (…, 2d) real.

    Example:
        >>> real_features(torch.tensor([1 + 2j, 3 + 4j])).tolist()
        [1.0, 3.0, 2.0, 4.0]
    """
    return torch.cat([state.real, state.imag], -1) if state.is_complex() else state


def widen(tensor: Tensor) -> Tensor:
    """Return half-precision numbers as float32, and others as they are: 8 bits keep no state.

    Args:
        tensor: (…) real or complex.

    Returns:
        (…) of at least float32.
    """
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


class DiagonalSSM(nn.Module):
    """A diagonal state-space layer: h_t = a(u_t) ∘ h_{t−1} + b(u_t), h_0 the start.

    a comes from a gate network g: "nonneg" exp(−softplus g), "signed" tanh g, "unitary" exp(i g),
    "complex" exp(−softplus g + i g'), and "lti" exp(−exp ρ + i ω) from parameters ρ and ω, whatever
    the input. b is a network too, or 0. In the theory a and b are arbitrary functions of the input
    [diagonal-ssm]; here g and b are linear, or have one hidden layer of ReLU. States are float32
    at least, whatever the precision of the networks.

    Attributes:
        kind: where a lies.
        letter: the class of the kind, one of "tprc".
        is_complex: whether the state is complex.
        gate: the network g; ``None`` for "lti".
        drive: the network b; ``None`` without input term.

    Args:
        d_in: features of an input.
        d_state: numbers of a state, d.
        kind: one of "lti", "nonneg", "signed", "unitary", "complex".
        input_term: whether there is a b.
        start: h_0 all "zeros", all "ones", or "learned" (begins at ones); by default zeros with an
            input term and ones without, because h would stay 0.
        gate_width: hidden units of the gate and of b; 0 makes them linear.

    Raises:
        ConfigError: if a size or name is impossible, or the state could only be 0.

    Claims: ssm.C1, ssm.C5, ssm.C6.

    Example:
        >>> layer = DiagonalSSM(3, 8, kind="unitary")
        >>> layer(torch.zeros(2, 5, 3)).shape, layer.letter
        (torch.Size([2, 5, 8]), 'c')
    """

    _start: Tensor

    def __init__(
        self,
        d_in: int,
        d_state: int,
        *,
        kind: Kind = "lti",
        input_term: bool = True,
        start: Start | None = None,
        gate_width: int = 0,
    ) -> None:
        super().__init__()
        if kind not in get_args(Kind):
            raise ConfigError(f"kind must be one of {get_args(Kind)}; given {kind!r}")
        self.d_in, self.d_state = check_size("d_in", d_in), check_size("d_state", d_state)
        self.gate_width = check_size("gate_width", gate_width, 0)
        self.kind, self.letter = kind, LETTERS[kind]
        self.is_complex = kind in _COMPLEX_KINDS
        self.input_term = bool(input_term)
        self.start: Start = _check_start(start, self.input_term)
        self.gate: nn.Module | None = None
        if kind == "lti":
            self.log_decay, self.frequency = _spread_poles(self.d_state)
        else:
            self.gate = self._network(d_state * (2 if kind == "complex" else 1))
            self._spread_gate(self.gate)
        self.drive = (
            self._network(d_state * (2 if self.is_complex else 1)) if self.input_term else None
        )
        self._make_start()

    def _network(self, d_out: int) -> nn.Module:
        if self.gate_width == 0:
            return nn.Linear(self.d_in, d_out)
        return nn.Sequential(
            nn.Linear(self.d_in, self.gate_width), nn.ReLU(), nn.Linear(self.gate_width, d_out)
        )

    def _spread_gate(self, gate: nn.Module) -> None:
        """Let a layer begin with slow decay, with both signs, with angles all around the circle."""
        last = gate if isinstance(gate, nn.Linear) else gate[-1]  # type: ignore[index]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            if self.kind in ("nonneg", "complex"):
                last.bias[: self.d_state].fill_(-2.0)  # |a| = exp(−softplus(−2)) ≈ 0.88
            if self.kind == "signed":
                last.bias.normal_(0.0, 1.5)  # half of |tanh g| above 0.77: some memory of each sign
            if self.kind in ("unitary", "complex"):
                last.bias[-self.d_state :].uniform_(-math.pi, math.pi)

    def _make_start(self) -> None:
        sizes = (self.d_state, 2) if self.is_complex else (self.d_state,)
        value = torch.zeros(sizes)
        if self.start != "zeros":
            (value[:, 0] if self.is_complex else value).fill_(1.0)
        if self.start == "learned":
            self._start = nn.Parameter(value)
        else:
            self.register_buffer("_start", value, persistent=False)

    def initial_state(self) -> Tensor:
        """Return h_0.

        Returns:
            (d_state,) real or complex, on the module's device; differentiable if it is learned.
        """
        start = widen(self._start)
        return torch.view_as_complex(start) if self.is_complex else start

    def start_state(self, *batch: int) -> Tensor:
        """Return h_0 for each word of a batch.

        Args:
            *batch: sizes of the batch dimensions; none for a single word.

        Returns:
            (*batch, d_state).
        """
        return self.initial_state().expand(*batch, self.d_state)

    def transition(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return a(u) and b(u).

        Args:
            inputs: (…, d_in) float.

        Returns:
            a and b, both (…, d_state), complex where `is_complex`; b is 0 without input term.

        Raises:
            ShapeError: if the inputs do not have d_in features.
            DtypeError: if they are not floating-point numbers.
        """
        if inputs.ndim < 1 or inputs.shape[-1] != self.d_in:
            raise ShapeError(
                f"inputs must have {self.d_in} features in the last dimension; given shape "
                f"{tuple(inputs.shape)}"
            )
        if not inputs.is_floating_point():
            raise DtypeError(
                f"inputs must be real floating-point features; given {inputs.dtype}; embed tokens "
                f"first, or use SSMStack"
            )
        a = self._multiplier(inputs)
        if self.drive is None:
            return a, torch.zeros_like(a)
        b = widen(self.drive(inputs))
        if self.is_complex:
            b = torch.complex(b[..., : self.d_state], b[..., self.d_state :])
        return a, b

    def _multiplier(self, inputs: Tensor) -> Tensor:
        if self.gate is None:
            radius = torch.exp(-torch.exp(widen(self.log_decay)))
            a = torch.polar(radius, widen(self.frequency))
            return a.expand(*inputs.shape[:-1], self.d_state)
        g = widen(self.gate(inputs))
        if self.kind == "nonneg":
            return torch.exp(-nn.functional.softplus(g))
        if self.kind == "signed":
            return torch.tanh(g)
        if self.kind == "unitary":
            return torch.complex(torch.cos(g), torch.sin(g))
        radius = torch.exp(-nn.functional.softplus(g[..., : self.d_state]))
        angle = g[..., self.d_state :]
        return torch.complex(radius * torch.cos(angle), radius * torch.sin(angle))

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> Tensor:
        """Return the state after each input.

        Args:
            inputs: (…, T, d_in) float; T may be 0.
            state: (…, d_state) the state before the first input; by default the start.

        Returns:
            (…, T, d_state) h_1, …, h_T.

        Raises:
            ShapeError: if the inputs do not have a time and d_in features.
        """
        if inputs.ndim < 2:
            raise ShapeError(
                f"inputs must have shape (…, T, {self.d_in}); given {tuple(inputs.shape)}"
            )
        a, b = self.transition(inputs)
        return self.run(a, b, state)

    def run(self, a: Tensor, b: Tensor, state: Tensor | None = None) -> Tensor:
        """Return the states that multipliers and additions give, from `state` or the start.

        Args:
            a: (…, T, d_state) multipliers.
            b: (…, T, d_state) additions.
            state: (…, d_state), or ``None`` for the start.

        Returns:
            (…, T, d_state).

        Raises:
            DtypeError: if the state is complex and the layer is not.
        """
        from coset.scan import scan

        if state is None:
            state = self.start_state(*a.shape[:-2])
        if state.is_complex() and not a.is_complex():
            raise DtypeError(
                f"a layer of kind {self.kind!r} has real states; given {state.dtype}; give the "
                f"state of this layer"
            )
        states: Tensor = scan(a, b, state.to(a.dtype), dim=-2)
        return states

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Return the state after one more input.

        Args:
            inputs: (…, d_in) float.
            state: (…, d_state) the state before it.

        Returns:
            (…, d_state).
        """
        a, b = self.transition(inputs)
        return a * state + b

    def extra_repr(self) -> str:
        """Return the arguments that build the module again."""
        return (
            f"{self.d_in}, {self.d_state}, kind={self.kind!r}, input_term={self.input_term}, "
            f"start={self.start!r}, gate_width={self.gate_width}"
        )


def _check_start(start: Start | None, input_term: bool) -> Start:
    if start is None:
        return "zeros" if input_term else "ones"
    if start not in get_args(Start):
        raise ConfigError(f"start must be one of {get_args(Start)} or None; given {start!r}")
    if start == "zeros" and not input_term:
        raise ConfigError(
            "start must not be 'zeros' without an input term: the state would stay 0; use 'ones' "
            "or 'learned', or set input_term=True"
        )
    return start


def _spread_poles(d_state: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Return log decays and frequencies: horizons of 2 to 200 steps, angles all around."""
    decay = torch.logspace(math.log10(0.005), math.log10(0.5), d_state)
    order = torch.randperm(d_state)
    frequency = torch.linspace(-math.pi, math.pi, d_state + 1)[1:][order]
    return nn.Parameter(decay.log()), nn.Parameter(frequency)
