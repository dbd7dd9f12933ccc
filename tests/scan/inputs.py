"""Random recurrences for the tests of coset.scan."""

from __future__ import annotations

import torch

SIZES = (0, 1, 2, 63, 64, 65, 1000)
DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


def make(shape, dtype=torch.float64, seed=0):
    """Return factors of modulus below 1, input terms and a start for sequences (…, T, D)."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*size):
        return torch.randn(*size, dtype=dtype, generator=generator)

    a, b, h0 = draw(*shape), draw(*shape), draw(*shape[:-2], shape[-1])
    return a / (0.1 + a.abs()) * torch.rand(shape, generator=generator).to(a.real.dtype), b, h0


def leaves(shape, dtype=torch.float64, seed=0):
    """Return the same as leaves that require gradients."""
    return tuple(x.requires_grad_() for x in make(shape, dtype, seed))
