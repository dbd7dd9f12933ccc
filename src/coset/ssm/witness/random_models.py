"""Random diagonal models to refute: phases, unitary and contracting layers, with gates of any kind.

A gate of a theorem is an arbitrary function of the token and the states below; here it is a random
table, so nothing is lost to the smoothness of a network.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch

from coset.core.errors import ConfigError, UnsupportedError
from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.witness.fading import FadingLayer, FadingStack
from coset.ssm.witness.tables import LayerTables

__all__ = ["LayerKind", "random_cascade", "random_fading_stack", "random_layer"]

MAX_INCREMENTS = 2**24

LayerKind = Literal["contracting", "unitary", "rotation", "mixed"]


def _check(**sizes: int) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigError(f"{name} must be an integer ≥ 1; given {size!r}")


def _uniform(generator: torch.Generator | None, *shape: int) -> np.ndarray:
    drawn: np.ndarray = torch.rand(shape, generator=generator, dtype=torch.float64).numpy()
    return drawn


def _normal(generator: torch.Generator | None, *shape: int) -> np.ndarray:
    parts = torch.randn((*shape, 2), generator=generator, dtype=torch.float64)
    drawn: np.ndarray = torch.view_as_complex(parts).numpy()
    return drawn


def random_layer(
    num_tokens: int,
    width: int,
    kind: LayerKind,
    *,
    generator: torch.Generator | None = None,
) -> LayerTables:
    """Return one diagonal layer with random a and b.

    Args:
        num_tokens: X ≥ 1.
        width: d ≥ 1.
        kind: "contracting": 0.3 ≤ |a| < 0.95, random phase and b; "unitary": |a| = 1 and random b;
            "rotation": |a| = 1, b = 0, h₀ = 1; "mixed": a rotation in even, contracting in odd
            coordinates.
        generator: source of randomness.

    Returns:
        The tables.

    Raises:
        ConfigError: if a size or the kind is impossible.

    Example:
        >>> layer = random_layer(6, 4, "rotation")
        >>> bool(np.allclose(abs(layer.a), 1)), layer.b.any()
        (True, np.False_)
    """
    _check(num_tokens=num_tokens, width=width)
    if kind not in get_args(LayerKind):
        raise ConfigError(f"kind must be one of {get_args(LayerKind)}; given {kind!r}")
    turns = np.exp(2j * np.pi * _uniform(generator, num_tokens, width))
    sizes = 0.3 + 0.65 * _uniform(generator, num_tokens, width)
    b = _normal(generator, num_tokens, width)
    if kind == "contracting":
        return LayerTables(turns * sizes, b, np.zeros(width))
    if kind == "unitary":
        return LayerTables(turns, b, np.ones(width))
    if kind == "rotation":
        return LayerTables(turns, 0 * b, np.ones(width))
    even = np.arange(width) % 2 == 0
    return LayerTables(turns * np.where(even, 1.0, sizes), np.where(even, 0.0, b), np.ones(width))


def random_cascade(
    num_layers: int,
    num_tokens: int,
    *,
    modulus: int = 12,
    width: int = 1,
    generator: torch.Generator | None = None,
) -> Cascade:
    """Return a unitary stack: phases in Z_m, with uniformly random increments in every cell.

    Args:
        num_layers: k ≥ 1.
        num_tokens: X ≥ 1.
        modulus: m ≥ 1 of every phase.
        width: phases of each layer.
        generator: source of randomness.

    Returns:
        The cascade; layer ℓ has m^(ℓ·width) cells.

    Raises:
        ConfigError: if a size is impossible.
        UnsupportedError: if the highest layer has more than 2²⁴ increments.
    """
    _check(num_layers=num_layers, num_tokens=num_tokens, modulus=modulus, width=width)
    size = modulus ** ((num_layers - 1) * width) * num_tokens * width
    if size > MAX_INCREMENTS:
        raise UnsupportedError(
            f"a random cascade may have {MAX_INCREMENTS:,} increments a layer; these sizes give "
            f"{size:,}; take fewer layers or a smaller modulus or width"
        )
    layers: list[PhaseLayer] = []
    for level in range(num_layers):
        shape = (modulus ** (level * width), num_tokens, width)
        drawn = torch.randint(modulus, shape, generator=generator)
        layers.append(PhaseLayer((modulus,) * width, drawn.numpy()))
    return Cascade(tuple(layers), num_tokens)


def random_fading_stack(
    num_layers: int,
    num_tokens: int,
    *,
    modulus: int = 12,
    width: int = 2,
    generator: torch.Generator | None = None,
) -> FadingStack:
    """Return a contracting stack: each layer has one phase and fading coordinates.

    Args:
        num_layers: k ≥ 1.
        num_tokens: X ≥ 1.
        modulus: m ≥ 1 of every phase.
        width: fading coordinates of each layer, 0.3 ≤ |a| < 0.95.
        generator: source of randomness.

    Returns:
        The stack.

    Raises:
        ConfigError: if a size is impossible.
    """
    _check(width=width)
    cascade = random_cascade(num_layers, num_tokens, modulus=modulus, generator=generator)
    fading: list[FadingLayer] = []
    for level, layer in enumerate(cascade.layers):
        shape = (*layer.increments.shape[:2], width)
        a = (0.3 + 0.65 * _uniform(generator, *shape)) * np.exp(
            2j * np.pi * _uniform(generator, *shape)
        )
        mix = 0.2 * _normal(generator, width, level * width)
        fading.append(FadingLayer(a, _normal(generator, *shape), mix))
    return FadingStack(cascade, tuple(fading))
