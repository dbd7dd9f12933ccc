"""Digits on a torus: pooled images, one cyclic shift each, optionally shuffled pixels.

The shift makes the task symmetric under translations of the torus; the permutation hides that
symmetry from every network that relies on neighborhoods. All randomness comes from generators.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from coset.core.errors import ConfigError, DtypeError, ShapeError

__all__ = ["MNIST_MEAN", "MNIST_STD", "TorusData", "pool_images", "prepare_torus", "shift_images"]

# Mean and standard deviation of the full-size training pixels of MNIST, as the authors use them.
MNIST_MEAN, MNIST_STD = 0.1307, 0.3081


@dataclass(frozen=True)
class TorusData:
    """Images and labels of the torus task.

    Attributes:
        train_images: (num_train, side, side) float32.
        train_labels: (num_train,) int64.
        validation_images: (num_validation, side, side) float32; disjoint from the training images.
        validation_labels: (num_validation,) int64.
        test_images: (num_test, side, side) float32.
        test_labels: (num_test,) int64.
        permutation: (side²,) int64: shown pixel i is original pixel permutation[i]; the identity
            when the pixels are not shuffled.
    """

    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    permutation: Tensor

    @property
    def side(self) -> int:
        """Length of the torus in pixels."""
        return self.test_images.shape[-1]

    def unshuffle(self, filters: Tensor) -> Tensor:
        """Put the pixels of filters back where they were before the permutation.

        Args:
            filters: (…, side, side): weights on the shown pixels.

        Returns:
            A tensor of the same shape: the same weights on the original pixels.
        """
        flat = filters.flatten(-2)
        return flat[..., self.permutation.argsort()].reshape(filters.shape)


def pool_images(images: Tensor, side: int) -> Tensor:
    """Average square patches and normalize with MNIST's mean and standard deviation.

    Args:
        images: (N, height, height) uint8 in 0 … 255; `side` divides height.
        side: the new height and width.

    Returns:
        (N, side, side) float32.

    Raises:
        DtypeError: if the images are not uint8.
        ShapeError: if they are not square, or `side` does not divide their height.
    """
    if images.dtype != torch.uint8:
        raise DtypeError(f"images must be uint8, 0 to 255; given {images.dtype}")
    if images.ndim != 3 or images.shape[1] != images.shape[2]:
        raise ShapeError(f"images must have shape (N, height, height); given {tuple(images.shape)}")
    if side < 1 or images.shape[1] % side:
        raise ShapeError(
            f"side must divide the images' height {images.shape[1]}; given {side}; use 7 or 14"
        )
    patch = images.shape[1] // side
    pooled = torch.nn.functional.avg_pool2d(images[:, None].to(torch.float32), patch)[:, 0]
    return (pooled / 255.0 - MNIST_MEAN) / MNIST_STD


def shift_images(images: Tensor, generator: torch.Generator, *, inclusive: bool = False) -> Tensor:
    """Shift each image cyclically by its own random amount in both directions.

    Args:
        images: (N, side, side).
        generator: source of the shifts.
        inclusive: draw from 0 … side, both included, as the authors' code does: the shift 0, which
            is the shift `side`, then has double weight. The default draws 0 … side − 1.

    Returns:
        (N, side, side): out[i, r, c] = images[i, r − s_i, c − t_i] on the torus.
    """
    count, side = images.shape[0], images.shape[-1]
    bound = side + 1 if inclusive else side
    shifts = torch.randint(0, bound, (2, count, 1), generator=generator)
    index = (torch.arange(side) - shifts) % side
    rows, columns = index[0][:, :, None], index[1][:, None, :]
    return images[torch.arange(count)[:, None, None], rows, columns]


def _split(labels: Tensor, sizes: tuple[int, int], generator: torch.Generator) -> list[Tensor]:
    """Return disjoint index sets of the given sizes with the classes in proportion."""
    order = torch.randperm(labels.numel(), generator=generator)
    # Rank within the class, scaled by the class size, orders all images so that every prefix of the
    # result holds the classes in proportion.
    position = torch.empty(labels.numel(), dtype=torch.float64)
    for label in sorted(set(labels.tolist())):
        members = order[labels[order] == label]
        ranks = torch.arange(members.numel(), dtype=torch.float64)
        position[members] = (ranks + 0.5) / members.numel()
    mixed = position.argsort(stable=True)
    return [mixed[: sizes[0]], mixed[sizes[0] : sizes[0] + sizes[1]]]


def prepare_torus(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    side: int = 7,
    shuffled: bool = False,
    num_train: int,
    num_validation: int,
    generator: torch.Generator,
    inclusive_shifts: bool = False,
) -> TorusData:
    """Pool, normalize, split, shift once, and optionally shuffle the pixels.

    The draws happen in one order (split, shifts, permutation) whatever `shuffled` is, so that the
    shuffled task is the un-shuffled one with its pixels permuted.

    Args:
        train: (N, height, height) uint8 images and (N,) labels, split into training and validation
            with the classes in proportion.
        test: images and labels that are only tested on; all of them are used.
        side: pixels a side after pooling.
        shuffled: apply one fixed random permutation of all pixels to every image.
        num_train: training images.
        num_validation: validation images.
        generator: source of all randomness.
        inclusive_shifts: as `inclusive` in `shift_images`.

    Returns:
        The task.

    Raises:
        ConfigError: if num_train + num_validation images are not there, or num_train < 1.
        DtypeError: if images are not uint8.
        ShapeError: if images are not square or `side` does not divide their height.
    """
    (images, labels), (test_images, test_labels) = train, test
    if num_train < 1 or num_validation < 0 or num_train + num_validation > labels.numel():
        raise ConfigError(
            f"num_train ≥ 1 and num_validation ≥ 0 must sum to at most {labels.numel()} images; "
            f"given {num_train} and {num_validation}"
        )
    labels, test_labels = labels.to(torch.int64), test_labels.to(torch.int64)
    first, second = _split(labels, (num_train, num_validation), generator)
    parts = []
    for part in (images[first], images[second], test_images):
        pooled = pool_images(part, side)
        parts.append(shift_images(pooled, generator, inclusive=inclusive_shifts))
    drawn = torch.randperm(side * side, generator=generator)
    permutation = drawn if shuffled else torch.arange(side * side)
    shown = [part.flatten(1)[:, permutation].reshape(part.shape).contiguous() for part in parts]
    return TorusData(
        shown[0], labels[first], shown[1], labels[second], shown[2], test_labels, permutation
    )
