"""How convolution-like the filters of a dense layer are: locality and circulance."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from coset.core.errors import ShapeError

__all__ = ["align_filters", "circulance", "locality"]

_NUM_ROUNDS = 5


def _check(filters: Tensor) -> Tensor:
    n = filters.shape[-1] * filters.shape[-2] if filters.ndim == 4 else 0
    if filters.ndim != 4 or filters.shape[1] != n or filters.shape[-1] != filters.shape[-2]:
        raise ShapeError(
            f"filters must have shape (channels, side², side, side); given {tuple(filters.shape)}"
        )
    return filters.detach().to("cpu", torch.float64)


def locality(filters: Tensor) -> float:
    """Return the mean share of a filter's squared weight in its best 3×3 window on the torus.

    Args:
        filters: (channels, side², side, side): one image a unit, side ≥ 3.

    Returns:
        A number in [0, 1]; filters that are zero everywhere are left out (0 if all are). Random
        filters are not at 9/side²: the best of side² windows is taken (0.36 for 7×7 normal ones).

    Raises:
        ShapeError: if the shape is another.
    """
    energy = _check(filters).flatten(0, 1).square()
    window = torch.zeros_like(energy)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            window += energy.roll((i, j), (-2, -1))
    totals = energy.sum((-2, -1))
    used = totals > 0
    if not bool(used.any()):
        return 0.0
    return float((window.amax((-2, -1))[used] / totals[used]).mean())


def align_filters(filters: Tensor) -> tuple[Tensor, Tensor]:
    """Shift the filters of a channel cyclically, each by its own amount, so that they agree.

    The units of a channel may stand in any order: each is matched to one shift of a template by a
    linear assignment (each shift is used once); the template is the mean of the aligned filters.
    Five rounds from the filter of largest norm: a local search, so agreement is a lower bound.

    Args:
        filters: (channels, side², side, side).

    Returns:
        The aligned filters, of the same shape in float64, and (channels, side²) int64: the position
        that each unit was matched to.

    Raises:
        ShapeError: if the shape is another.
    """
    wide = _check(filters)
    aligned, matched = torch.empty_like(wide), torch.empty(wide.shape[:2], dtype=torch.int64)
    for channel, bank in enumerate(wide):
        aligned[channel], matched[channel] = _align_bank(bank)
    return aligned, matched


def _align_bank(bank: Tensor) -> tuple[Tensor, Tensor]:
    n, side = bank.shape[0], bank.shape[-1]
    template = bank[bank.square().sum((-2, -1)).argmax()]
    spectrum = torch.fft.fft2(bank)
    aligned, columns = bank, torch.arange(n)
    for _ in range(_NUM_ROUNDS):
        # score[u, s] = ⟨bank[u], template shifted by s⟩, all shifts at once.
        score = torch.fft.ifft2(spectrum * torch.fft.fft2(template).conj()).real.reshape(n, n)
        columns = torch.from_numpy(linear_sum_assignment(score.numpy(), maximize=True)[1])
        aligned = torch.stack(
            [
                image.roll((-(int(s) // side), -(int(s) % side)), (0, 1))
                for image, s in zip(bank, columns, strict=True)
            ]
        )
        template = aligned.mean(0)
    return aligned, columns


def circulance(filters: Tensor) -> float:
    """Return 1 − ‖W − C‖ / ‖W‖, C the nearest block-circulant matrix found, W centered by channel.

    1 for a convolution whatever the order of its units. Centering keeps equal weights everywhere,
    which are a convolution of no interest, from counting.

    Args:
        filters: (channels, side², side, side).

    Returns:
        A number in [0, 1], a lower bound (see `align_filters`); 0 if each channel is constant.

    Raises:
        ShapeError: if the shape is another.
    """
    wide = _check(filters)
    centered = wide - wide.mean((1, 2, 3), keepdim=True)
    norm = float(centered.norm())
    # Rounding leaves a residue of constant channels; it has no shape.
    if norm <= 1e-12 * float(wide.norm()) or norm == 0:
        return 0.0
    aligned, _ = align_filters(centered)
    distance = float((aligned - aligned.mean(1, keepdim=True)).norm())
    return max(0.0, 1.0 - distance / norm)
