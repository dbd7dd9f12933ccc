"""The two networks of the torus experiment: dense with no geometry, and circularly convolutional.

They compute the same family of functions with different tying: a `TorusCNN` whose kernel covers the
torus is a `PositionMLP` whose first layer is circulant (`PositionMLP.from_convolution`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from coset.core.errors import ConfigError, ShapeError

__all__ = ["PositionMLP", "TorusCNN", "unroll_kernel"]


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigError(f"{name} must be an integer ≥ 1; given {size!r}")


def _check_channels(channels: Sequence[int]) -> tuple[int, ...]:
    if isinstance(channels, str | int) or not channels:
        raise ConfigError(
            f"channels must be a non-empty sequence, one width a layer; given {channels!r}"
        )
    for width in channels:
        _check_sizes(channels=width)
    return tuple(channels)


def _check_dropout(dropout: float) -> float:
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout must lie in [0, 1); given {dropout}")
    return float(dropout)


def _as_pixels(images: Tensor, side: int) -> Tensor:
    """Return (N, side²) from (N, side, side), (N, 1, side, side) or (N, side²)."""
    shape = tuple(images.shape)
    num_pixels = side * side
    if len(shape) < 2 or shape[1:] not in ((side, side), (1, side, side), (num_pixels,)):
        raise ShapeError(
            f"images must have shape (N, {side}, {side}), (N, 1, {side}, {side}) or "
            f"(N, {num_pixels}); given {shape}; build the model with the side of your images"
        )
    return images.reshape(shape[0], num_pixels)


def unroll_kernel(kernel: Tensor, side: int) -> Tensor:
    """Write a circular convolution as a dense matrix.

    W[c·n + p, q] = Σ kernel[c, δ] over all taps δ with q = p + δ on the torus, n = side².

    Args:
        kernel: (channels, k, k) float, k odd and k ≤ side; its middle tap has δ = 0.
        side: length of the torus.

    Returns:
        (channels · n, n), each (n, n) block circulant in both directions.

    Raises:
        ShapeError: if the kernel is not square, even, or larger than the torus.

    Example:
        >>> unroll_kernel(torch.ones(1, 1, 1), 2).equal(torch.eye(4))
        True
    """
    if kernel.ndim != 3 or kernel.shape[1] != kernel.shape[2]:
        raise ShapeError(f"kernel must have shape (channels, k, k); given {tuple(kernel.shape)}")
    channels, size = kernel.shape[0], kernel.shape[1]
    if size % 2 == 0 or size > side:
        raise ShapeError(f"the kernel's size must be odd and ≤ side = {side}; given {size}")
    dense = kernel.new_zeros(channels, side, side, side, side)
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    half = size // 2
    for i in range(size):
        for j in range(size):
            to_row, to_column = (row + i - half) % side, (column + j - half) % side
            dense[:, row, column, to_row, to_column] += kernel[:, i, j, None, None]
    return dense.reshape(channels * side * side, side * side)


class PositionMLP(nn.Module):
    """Dense network with as many units a channel as pixels, and a mean over those units.

    x (n) → [Linear to n·c₁, BatchNorm, ReLU, Dropout] → … → [Linear to n·c_L, BatchNorm, ReLU,
    Dropout] → mean over the n units of each channel → Linear c_L → classes, with n = side². Nothing
    tells it which pixels are neighbors. With ``side=14, channels=(32, 64), dropout=0.4`` it is the
    authors' Net_2FC, whose second layer has 78,675,968 weights.

    Attributes:
        layers: the dense layers, first to last; row c·n + p is unit p of channel c.
        norms: one BatchNorm1d a layer.
        readout: the last layer.

    Example:
        >>> model = PositionMLP(side=7, channels=(16,))
        >>> model(torch.zeros(2, 7, 7)).shape, model.layers[0].weight.numel()
        (torch.Size([2, 10]), 38416)
    """

    def __init__(
        self,
        *,
        side: int = 7,
        channels: Sequence[int] = (16,),
        num_classes: int = 10,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_sizes(side=side, num_classes=num_classes)
        self.side = side
        self.channels = _check_channels(channels)
        self.num_classes = num_classes
        n = side * side
        widths = [n, *(n * width for width in self.channels)]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.dropout = nn.Dropout(_check_dropout(dropout))
        self.readout = nn.Linear(self.channels[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Classify images.

        Args:
            images: (N, side, side), (N, 1, side, side) or (N, side²) float.

        Returns:
            (N, num_classes) logits.

        Raises:
            ShapeError: if the images have another shape.
        """
        x = _as_pixels(images, self.side)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.dropout(torch.relu(norm(layer(x))))
        pooled = x.reshape(len(x), self.channels[-1], self.side * self.side).mean(-1)
        logits: Tensor = self.readout(pooled)
        return logits

    def filters(self) -> Tensor:
        """Return the first layer's weights as images.

        Returns:
            (channels, n, side, side) detached: what unit p of channel c looks at.
        """
        first = self.layers[0].weight
        assert isinstance(first, Tensor)
        n = self.side * self.side
        return first.detach().reshape(self.channels[0], n, self.side, self.side)

    @classmethod
    def from_convolution(cls, cnn: TorusCNN) -> PositionMLP:
        """Build the dense network that computes what a one-layer `TorusCNN` computes.

        Args:
            cnn: a network with one layer.

        Returns:
            The dense twin, in evaluation mode; its batch statistics are those of `cnn`.

        Raises:
            ShapeError: if `cnn` has more than one layer.
        """
        if len(cnn.channels) != 1:
            raise ShapeError(f"the network must have one layer; given channels {cnn.channels}")
        n = cnn.side * cnn.side
        twin = cls(side=cnn.side, channels=cnn.channels, num_classes=cnn.num_classes)
        conv, norm = cnn.layers[0], cnn.norms[0]
        assert isinstance(conv, nn.Conv2d)
        source, target = norm.state_dict(), twin.norms[0].state_dict()
        state = {k: v.repeat_interleave(n) if v.ndim else v for k, v in source.items()}
        assert state.keys() == target.keys()
        dense = twin.layers[0]
        assert isinstance(dense, nn.Linear)
        assert conv.bias is not None
        with torch.no_grad():
            dense.weight.copy_(unroll_kernel(conv.weight[:, 0], cnn.side))
            dense.bias.copy_(conv.bias.repeat_interleave(n))
        twin.norms[0].load_state_dict(state)
        twin.readout.load_state_dict(cnn.readout.state_dict())
        return twin.eval()

    def extra_repr(self) -> str:
        """Return the arguments that build the module again."""
        return f"side={self.side}, channels={self.channels}, num_classes={self.num_classes}"


class TorusCNN(nn.Module):
    """Convolutional network on the torus: circular padding, then a mean over all positions.

    x (1, side, side) → [Conv k×k circular, BatchNorm, ReLU, Dropout] → … → mean over positions →
    Linear → classes. Its output does not change when the image is shifted cyclically.

    Attributes:
        layers: the convolutions, first to last.
        norms: one BatchNorm2d a layer.
        readout: the last layer.

    Example:
        >>> model = TorusCNN(side=7, channels=(16,), kernel_size=7).eval()
        >>> x = torch.rand(2, 7, 7)
        >>> bool((model(x) - model(x.roll((1, 2), (1, 2)))).abs().max() < 1e-5)
        True
    """

    def __init__(
        self,
        *,
        side: int = 7,
        channels: Sequence[int] = (16,),
        kernel_size: int = 3,
        num_classes: int = 10,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_sizes(side=side, kernel_size=kernel_size, num_classes=num_classes)
        if kernel_size % 2 == 0 or kernel_size > side:
            raise ConfigError(f"kernel_size must be odd and ≤ side = {side}; given {kernel_size}")
        self.side = side
        self.channels = _check_channels(channels)
        self.kernel_size = kernel_size
        self.num_classes = num_classes
        widths = [1, *self.channels]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, kernel_size, padding=kernel_size // 2, padding_mode="circular")
            for a, b in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in self.channels)
        self.dropout = nn.Dropout(_check_dropout(dropout))
        self.readout = nn.Linear(self.channels[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Classify images.

        Args:
            images: (N, side, side), (N, 1, side, side) or (N, side²) float.

        Returns:
            (N, num_classes) logits.

        Raises:
            ShapeError: if the images have another shape.
        """
        x = _as_pixels(images, self.side).reshape(-1, 1, self.side, self.side)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.dropout(torch.relu(norm(layer(x))))
        logits: Tensor = self.readout(x.mean((-2, -1)))
        return logits

    def filters(self) -> Tensor:
        """Return the first layer's kernels, each unrolled at every position of the torus.

        Returns:
            (channels, n, side, side) detached, as `PositionMLP.filters`.
        """
        kernel = self.layers[0].weight
        assert isinstance(kernel, Tensor)
        dense = unroll_kernel(kernel.detach()[:, 0], self.side)
        return dense.reshape(self.channels[0], -1, self.side, self.side)

    def extra_repr(self) -> str:
        """Return the arguments that build the module again."""
        return (
            f"side={self.side}, channels={self.channels}, kernel_size={self.kernel_size}, "
            f"num_classes={self.num_classes}"
        )
