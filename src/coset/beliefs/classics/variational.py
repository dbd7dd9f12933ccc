"""The evidence lower bound of a discrete latent-variable model, literally."""

from __future__ import annotations

import math

from torch import Tensor

__all__ = ["negative_elbo"]


def negative_elbo(
    prior: Tensor, decoder: Tensor, encoder: Tensor, value: int, weight: float = 1.0
) -> float:
    """Return weight · KL(e(Z|x) ‖ p(Z)) − E_{z ~ e(·|x)} log d(x | z) in nats.

    Args:
        prior: p(z), (Z,).
        decoder: d(x | z), (Z, X).
        encoder: e(z | x), (X, Z).
        value: the x that was seen.
        weight: β of a β-VAE.

    Returns:
        The negative evidence lower bound, +∞ where e(z|x) > 0 = p(z) d(x|z).

    Example:
        >>> import torch
        >>> half = torch.tensor([0.5, 0.5])
        >>> round(negative_elbo(half, half.expand(2, 2), half.expand(2, 2), 0), 4)
        0.6931

    Claims: beliefs.C15b.
    """
    total = 0.0
    for z, share in enumerate(encoder[value].tolist()):
        if share > 0:
            p, d = float(prior[z]), float(decoder[z, value])
            if (p == 0 and weight > 0) or d == 0:
                return math.inf
            total += share * (weight * math.log(share / p) - math.log(d))
    return total
