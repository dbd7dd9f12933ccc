"""The game of generative adversarial networks on a finite space, literally."""

from __future__ import annotations

import math

from torch import Tensor

__all__ = ["best_discriminator", "gan_value", "jensen_shannon"]


def gan_value(data: Tensor, generator: Tensor, discriminator: Tensor) -> float:
    """Return L = E_{x ~ data} log D(x) + E_{x ~ generator} log(1 − D(x)) in nats.

    Args:
        data: (X,), a distribution.
        generator: (X,), a distribution.
        discriminator: (X,), the probability of "real", inside (0, 1).

    Returns:
        L ≤ 0.

    Example:
        >>> import torch
        >>> half = torch.tensor([0.5, 0.5])
        >>> round(gan_value(half, half, half) + 2 * math.log(2), 12)
        0.0

    Claims: beliefs.C18.
    """
    total = 0.0
    for p, g, d in zip(data.tolist(), generator.tolist(), discriminator.tolist(), strict=True):
        total += p * math.log(d) + g * math.log(1 - d)
    return total


def best_discriminator(data: Tensor, generator: Tensor) -> Tensor:
    """Return D*(x) = p(x) / (p(x) + g(x)), which maximizes `gan_value`.

    Args:
        data: (X,), a distribution.
        generator: (X,), a distribution; p + g > 0.

    Returns:
        (X,).
    """
    return data / (data + generator)


def jensen_shannon(first: Tensor, second: Tensor) -> float:
    """Return ½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q) / 2, in nats.

    Args:
        first: p, (X,).
        second: q, (X,).

    Returns:
        A number in [0, log 2].

    Claims: beliefs.C18.
    """
    total = 0.0
    for p, q in zip(first.tolist(), second.tolist(), strict=True):
        for share in (p, q):
            if share > 0:
                total += 0.5 * share * math.log(2 * share / (p + q))
    return total
