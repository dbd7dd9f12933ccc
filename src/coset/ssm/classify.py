"""Read off which class of layer a model's layers are: constant, non-negative, real, complex."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from coset.core.errors import DomainError, UnsupportedError
from coset.core.numerics import tolerance
from coset.core.results import Record
from coset.ssm.layers import check_size, widen

__all__ = ["LayerReport", "classify", "seen_letters"]


@dataclass(frozen=True)
class LayerReport(Record):
    """The multipliers a_t of one layer, as they were seen.

    Attributes:
        index: which layer, 0 the lowest.
        letter: the class of the layer: the highest in the order t < p < r < c of its coordinates'.
        declared: the class that the model states, or "".
        coordinates: the class of each number of the state, letters of "tprc".
        least_radius: least |a|.
        largest_radius: largest |a|; above 1 the state can grow without bound.
        least_real: least Re a.
        largest_angle: largest |arg a| in radians, 0 … π, over a ≠ 0.
        num_multipliers: how many a_t were seen.
        exhaustive: whether what was seen is all there is: the lowest layer of a network whose gates
            see the token alone.
    """

    index: int
    letter: str
    declared: str
    coordinates: str
    least_radius: float
    largest_radius: float
    least_real: float
    largest_angle: float
    num_multipliers: int
    exhaustive: bool

    @property
    def input_dependent(self) -> bool:
        """Whether some a_t differs from the others of its coordinate."""
        return self.letter != "t"

    def __str__(self) -> str:
        counts = [f"{self.coordinates.count(k)} {k}" for k in "tprc" if k in self.coordinates]
        return (
            f"layer {self.index}: class {self.letter} ({', '.join(counts)}), |a| in "
            f"[{self.least_radius:.4g}, {self.largest_radius:.4g}], Re a ≥ {self.least_real:.4g}, "
            f"|arg a| ≤ {self.largest_angle:.4g}"
        )


def seen_letters(reports: Sequence[LayerReport]) -> str:
    """Return the classes that were seen, bottom to top: what `can_track` takes.

    Args:
        reports: as `classify` returned them.

    Returns:
        Letters of "tprc".
    """
    return "".join(report.letter for report in reports)


@torch.no_grad()
def classify(
    model: torch.nn.Module,
    *,
    num_words: int = 32,
    length: int = 32,
    generator: torch.Generator | None = None,
) -> tuple[LayerReport, ...]:
    """Find the class of each layer from the multipliers that it uses on random words.

    A coordinate is of class t if its a_t is the same at all times, p if all are real and ≥ 0, r if
    all are real, c otherwise, up to the rounding of its dtype. Every token is among those read. An
    input-dependent layer may look simpler than it could be: what is reported was seen, and only
    `exhaustive` reports are proofs.

    Args:
        model: an `SSMStack`, a `BlockStack`, a compiled tracker's complex or mlp module; anything
            with `num_tokens` and either ``multipliers(tokens)`` → one (…, T, d) a layer, or
            ``layer_transition(index, lower, tokens)`` → (a, b) with ``start_state(batch)``.
        num_words: words read.
        length: their length.
        generator: source of randomness; torch's own if ``None``.

    Returns:
        One report a layer, bottom to top.

    Raises:
        UnsupportedError: if the model has neither method.
        DomainError: if a multiplier is not finite.
        ConfigError: if a count is below 1.

    Claims: ssm.C5, ssm.C6.

    Example:
        >>> from coset.ssm.stack import SSMStack
        >>> seen_letters(classify(SSMStack(2, 2, "tprc")))
        'tprc'
    """
    num_words, length = check_size("num_words", num_words), check_size("length", length)
    num_tokens = getattr(model, "num_tokens", None)
    if not isinstance(num_tokens, int) or not (
        hasattr(model, "multipliers") or hasattr(model, "layer_transition")
    ):
        raise UnsupportedError(
            f"classify needs a model with num_tokens and multipliers(tokens) or "
            f"layer_transition(index, lower, tokens); {type(model).__name__} lacks them; convert a "
            f"compiled tracker with to_module('complex')"
        )
    size = (max(num_words, -(-num_tokens // length)), length)
    tokens = torch.randint(num_tokens, size, generator=generator)
    tokens.view(-1)[:num_tokens] = torch.arange(num_tokens)
    device = next((p.device for p in [*model.parameters(), *model.buffers()]), None)
    tokens = tokens.to(device) if device is not None else tokens
    # Above the first layer, and where a convolution looks back, the gate reads more than the token.
    alone = not hasattr(model, "multipliers")
    declared = str(getattr(model, "letters", ""))
    return tuple(
        _report(index, a, declared[index : index + 1], alone and index == 0)
        for index, a in enumerate(_multipliers(model, tokens))
    )


def _multipliers(model: Any, tokens: Tensor) -> list[Tensor]:
    from coset.scan import scan

    if hasattr(model, "multipliers"):
        found: list[Tensor] = model.multipliers(tokens)
        return found
    lower: list[Tensor] = []
    multipliers: list[Tensor] = []
    for index, start in enumerate(model.start_state(len(tokens))):
        a, b = model.layer_transition(index, lower, tokens)
        if a.shape[-1] != start.shape[-1]:
            raise UnsupportedError(
                f"classify needs diagonal layers, one multiplier a number of state; layer {index} "
                f"has {a.shape[-1]} and {start.shape[-1]}; convert a compiled tracker with "
                f"to_module('complex')"
            )
        lower.append(scan(a, b, start.to(a.dtype), dim=-2))
        multipliers.append(a)
    return multipliers


def _report(index: int, a: Tensor, declared: str, exhaustive: bool) -> LayerReport:
    a = widen(a).cpu().flatten(0, -2)
    if not bool(a.isfinite().all()):
        raise DomainError(
            f"multipliers must be finite; layer {index} has {int((~a.isfinite()).sum())} of "
            f"{a.numel()} that are not; look for NaN in the weights"
        )
    real = a.real if a.is_complex() else a
    imaginary = a.imag if a.is_complex() else torch.zeros_like(a)
    slack = tolerance(real.dtype, scale=max(1.0, float(a.abs().max())))
    letters = _letters(real, imaginary, slack)
    radius = a.abs()
    angle = torch.atan2(imaginary, real).abs()[radius > slack]
    return LayerReport(
        index=index,
        letter=max(letters, key="tprc".index),
        declared=declared,
        coordinates=letters,
        least_radius=float(radius.min()),
        largest_radius=float(radius.max()),
        least_real=float(real.min()),
        largest_angle=min(float(angle.max()), math.pi) if angle.numel() else 0.0,
        num_multipliers=a.numel(),
        exhaustive=exhaustive,
    )


def _letters(real: Tensor, imaginary: Tensor, slack: float) -> str:
    """Return the class of each column."""
    spread = torch.maximum(real.amax(0) - real.amin(0), imaginary.amax(0) - imaginary.amin(0))
    is_real = imaginary.abs().amax(0) <= slack
    letters = []
    for moves, flat, least in zip(
        (spread > slack).tolist(), is_real.tolist(), real.amin(0).tolist(), strict=True
    ):
        letters.append("t" if not moves else "c" if not flat else "r" if least < -slack else "p")
    return "".join(letters)
