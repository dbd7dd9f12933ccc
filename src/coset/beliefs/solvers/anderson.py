"""Anderson acceleration of many fixed-point iterations at once."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["AndersonWindow"]

# Added to the diagonal of the normal equations, whose rows are scaled to unit length.
RIDGE = 1e-13
# No entry is moved further than this from the image. Minimizers can lie at infinity (log 0), and an
# extrapolation that jumps there leaves gradients that take thousands of steps to come right.
FARTHEST = 10.0


class AndersonWindow:
    """The last differences of images and residuals of x ↦ g(x), for a batch of iterations.

    The extrapolation is g(x) − Σ w_j Δg_j, where w minimizes ‖r − Σ w_j Δr_j‖ in a weighted norm
    and r = g(x) − x: the affine combination of images whose residual would be least if g were
    affine. No entry moves by more than 10.

    Args:
        depth: how many differences are kept, at least 1.

    Claims: beliefs.C1.
    """

    def __init__(self, depth: int = 8) -> None:
        self.depth = depth
        self._used = 0
        self._images: Tensor | None = None
        self._residuals: Tensor | None = None
        self._last: tuple[Tensor, Tensor] | None = None

    def extrapolate(self, image: Tensor, residual: Tensor, weight: Tensor) -> Tensor:
        """Add a pair, and return where the pairs so far point.

        Args:
            image: g(x), (batch, n), finite.
            residual: g(x) − x, (batch, n).
            weight: of the squared entries of residuals, (batch, n), non-negative.

        Returns:
            (batch, n); `image` itself for the first pair and after `clear`.

        Complexity: O(batch · depth · n) for the products, with depth² n of them.
        """
        if self._last is not None:
            self._push(image - self._last[0], residual - self._last[1])
        self._last = (image, residual)
        if self._images is None or self._residuals is None:
            return image
        count = min(self._used, self.depth)
        images, residuals = self._images[:, :count], self._residuals[:, :count]
        scaled = residuals * weight[:, None]
        gram = scaled @ residuals.mT
        size = gram.diagonal(dim1=1, dim2=2).sqrt()
        size = torch.where(size > 0, size, 1.0)
        gram = gram / (size[:, :, None] * size[:, None, :])
        gram.diagonal(dim1=1, dim2=2).add_(RIDGE)
        right = (scaled @ residual[:, :, None]).squeeze(-1) / size
        # Cleared pairs are zero: their rows hold the ridge alone, and their weight is 0
        weights, _ = torch.linalg.solve_ex(gram, right)
        shift = torch.einsum("bm,bmn->bn", weights / size, images)
        reach = shift.abs().amax(1, keepdim=True).clamp(min=FARTHEST)
        return image - shift * (FARTHEST / reach)

    def _push(self, image: Tensor, residual: Tensor) -> None:
        if self._images is None or self._residuals is None:
            shape = (image.shape[0], self.depth, image.shape[1])
            self._images, self._residuals = image.new_zeros(shape), image.new_zeros(shape)
        place = self._used % self.depth
        self._images[:, place], self._residuals[:, place] = image, residual
        self._used += 1

    def clear(self, which: Tensor) -> None:
        """Forget the pairs of some of the batch, but the last.

        Args:
            which: (batch,) booleans.
        """
        if self._images is not None and self._residuals is not None:
            self._images.masked_fill_(which[:, None, None], 0.0)
            self._residuals.masked_fill_(which[:, None, None], 0.0)

    def select(self, index: Tensor) -> None:
        """Keep some of the batch.

        Args:
            index: (kept,) positions.
        """
        if self._last is not None:
            self._last = (self._last[0][index], self._last[1][index])
        if self._images is not None and self._residuals is not None:
            self._images, self._residuals = self._images[index], self._residuals[index]
