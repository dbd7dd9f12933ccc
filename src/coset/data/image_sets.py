"""Labeled images of digits: the extract in the package and the complete MNIST."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from coset.core.errors import (
    ChecksumError,
    DtypeError,
    FileFormatError,
    RangeError,
    ShapeError,
    UnavailableError,
    UnknownNameError,
)
from coset.data.catalog import DataFile, find_dataset
from coset.data.idx import IdxContent, decode_idx, file_digest

__all__ = ["ImageSet", "load_digits", "load_mnist", "locate"]

_SIDE = 28
_NUM_CLASSES = 10
_UINT8 = 0x08
# Complete MNIST has 47 MB of training images; ten times that is more than any variant of it.
_MAX_BYTES = 2**29


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of handwritten digits and their labels, in a fixed order.

    Attributes:
        images: (N, 28, 28) uint8, 0 is background and 255 full ink.
        labels: (N,) int64, 0 to 9.

    Raises:
        DtypeError: if a field is not a tensor of its dtype.
        ShapeError: if a field has another shape, or the two lengths differ.
    """

    images: UInt8[Tensor, "num 28 28"]
    labels: Int64[Tensor, " num"]

    def __post_init__(self) -> None:
        for name, dtype in (("images", torch.uint8), ("labels", torch.int64)):
            value = getattr(self, name)
            if not isinstance(value, Tensor) or value.dtype != dtype:
                given = value.dtype if isinstance(value, Tensor) else type(value).__name__
                raise DtypeError(f"{name} must be a {dtype} tensor; got {given}; convert it first")
        shapes = tuple(self.images.shape), tuple(self.labels.shape)
        if shapes != ((*shapes[1][:1], _SIDE, _SIDE), shapes[1][:1]) or not shapes[1]:
            raise ShapeError(
                "images must have shape (N, 28, 28) and labels (N,); got "
                f"{shapes[0]} and {shapes[1]}; pair them one to one"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"ImageSet({len(self)} images of {_SIDE}×{_SIDE})"

    def subset(self, index: slice | Sequence[int] | Tensor) -> ImageSet:
        """Return some of the images, in the order of `index`.

        Args:
            index: a slice with positive step (the result shares memory with this set), or integers
                in −N..N−1, or an (N,) bool mask (the result is a copy).

        Returns:
            The subset; it may be empty.

        Raises:
            RangeError: if an integer is outside −N..N−1, or the step of a slice is not positive.
            ShapeError: if `index` is not one-dimensional, or a mask has another length than N.
            DtypeError: if `index` is neither slice nor integers nor mask.

        Example:
            >>> load_digits("train").subset(slice(0, 4)).labels
            tensor([0, 1, 2, 3])
        """
        if isinstance(index, slice):
            if index.step is not None and index.step < 1:
                raise RangeError(
                    f"the step of a slice must be positive; got {index}; give integers instead"
                )
            return ImageSet(self.images[index], self.labels[index])
        picked = _checked_index(index, len(self)).to(self.labels.device)
        return ImageSet(self.images[picked], self.labels[picked])


def _checked_index(index: Sequence[int] | Tensor, count: int) -> Tensor:
    try:
        picked = index if isinstance(index, Tensor) else torch.tensor(list(index))
    except (TypeError, ValueError, RuntimeError) as error:
        raise DtypeError(
            f"index must be a slice, integers or a mask; got {type(index).__name__}: {error}"
        ) from error
    is_mask = picked.dtype == torch.bool
    if picked.ndim != 1 or (is_mask and len(picked) != count):
        raise ShapeError(
            f"index must be one-dimensional, a mask of length {count}; got shape "
            f"{tuple(picked.shape)}, {picked.dtype}; flatten it"
        )
    if is_mask:
        return picked
    # An empty list has no dtype of its own: torch calls it float32.
    if picked.numel() and (picked.is_floating_point() or picked.is_complex()):
        raise DtypeError(f"index must hold integers; got {picked.dtype}; convert it first")
    picked = picked.long()
    outside = picked[(picked < -count) | (picked >= count)]
    if len(outside):
        raise RangeError(
            f"index must lie in {-count}..{count - 1}; got {int(outside[0])}; "
            f"the set has {count} images"
        )
    return picked


def load_digits(split: str) -> ImageSet:
    """Load the extract of real MNIST digits that lies in the package; nothing is fetched.

    Every run of ten images that starts at a multiple of ten holds each digit once, so a prefix
    is balanced. All images of both splits are distinct; all are from MNIST's training set.

    Args:
        split: "train" (4,000 images, 400 of each digit) or "test" (1,000, 100 of each digit).

    Returns:
        The images, fresh in memory at each call.

    Raises:
        UnknownNameError: if `split` is neither "train" nor "test".
        DtypeError: if `split` is not a string.
        UnavailableError: if a file of the installed package is missing.
        ChecksumError: if a file of the installed package was changed.

    Example:
        >>> digits = load_digits("test")
        >>> len(digits), tuple(digits.images.shape), digits.labels[:4].tolist()
        (1000, (1000, 28, 28), [0, 1, 2, 3])
    """
    return _load_known("digits", split, "install coset again")


def load_mnist(split: str, folder: str | os.PathLike[str] | None = None) -> ImageSet:
    """Load the complete MNIST, from the cache or from a folder of idx files.

    Args:
        split: "train" (60,000 images) or "test" (10,000).
        folder: a folder of idx files, gzip-compressed or not, named ``train-images-idx3-ubyte``
            and so on (also with ``.gz``, also ``train-images.idx3-ubyte``). Any well-formed 28×28
            images with labels 0 to 9 will do, Fashion-MNIST for example: checksums are not asked
            for. ``None`` reads the cache that ``coset data get mnist`` fills, with checksums.

    Returns:
        The images, fresh in memory at each call.

    Raises:
        UnknownNameError: if `split` is neither "train" nor "test".
        DtypeError: if `split` is not a string or `folder` not a path.
        UnavailableError: if the files are not there.
        ChecksumError: if a file in the cache was changed.
        FileFormatError: if a file in `folder` is truncated, damaged or foreign, does not hold
            28×28 images or labels 0 to 9, or if the two files differ in length.
        StorageError: if a file cannot be read.
    """
    if folder is None:
        advice = "run `coset data get mnist`, or give a folder of idx files"
        return _load_known("mnist", split, advice)
    if not isinstance(folder, str | os.PathLike):
        raise DtypeError(f"folder must be a path; got {type(folder).__name__}; give its name")
    images, labels = (locate(Path(folder), file.name) for file in _files_of("mnist", split))
    return _load_pair(images, labels)


def locate(folder: Path, name: str) -> Path:
    """Find an idx file in a user's folder under one of its usual names.

    Args:
        folder: where to look.
        name: the original name, such as ``train-images-idx3-ubyte``.

    Returns:
        The first that exists of: `name`, the same with a dot before ``idx``, both with ``.gz``.

    Raises:
        UnavailableError: if none of them is there.
    """
    dotted = name.replace("-idx", ".idx")
    candidates = (name, dotted, f"{name}.gz", f"{dotted}.gz")
    for candidate in candidates:
        if (folder / candidate).exists():
            return folder / candidate
    state = "has none of them" if folder.is_dir() else "is not a folder"
    raise UnavailableError(
        f"one of {', '.join(candidates)} must be in {folder}; it {state}; give the folder that "
        "holds the four idx files"
    )


def _files_of(name: str, split: str) -> tuple[DataFile, DataFile]:
    if not isinstance(split, str):
        raise DtypeError(f"split must be a string; got {type(split).__name__}; give 'train'")
    dataset = find_dataset(name)
    splits = {file.split for file in dataset.files}
    if split not in splits:
        raise UnknownNameError.of("split", split, splits)
    images, labels = (file for file in dataset.files if file.split == split)
    return images, labels


def _load_known(name: str, split: str, advice: str) -> ImageSet:
    files = _files_of(name, split)
    folder = find_dataset(name).folder()
    sources = [folder.joinpath(file.name) for file in files]
    for source, file in zip(sources, files, strict=True):
        if not source.is_file():
            raise UnavailableError(
                f"the file {source} of {name} must be there; it is not; {advice}"
            )
        found = file_digest(source)
        if found != file.sha256:
            raise ChecksumError(
                f"{source} must have the SHA-256 digest {file.sha256}; found {found}; "
                f"the file was changed: {advice}"
            )
    return _load_pair(*sources)


def _load_pair(images: Traversable, labels: Traversable) -> ImageSet:
    pixels = decode_idx(images, max_bytes=_MAX_BYTES)
    digits = decode_idx(labels, max_bytes=_MAX_BYTES)
    _check_layout(pixels, str(images), 3, "images")
    _check_layout(digits, str(labels), 1, "labels")
    for place, size in zip((8, 12), pixels.header.shape[1:], strict=True):
        if size != _SIDE:
            raise FileFormatError(
                f"{images}, byte {place}: images must be {_SIDE}×{_SIDE} pixels; the header "
                f"declares {size}; resize them first"
            )
    num_images, num_labels = pixels.header.shape[0], digits.header.shape[0]
    if num_images != num_labels or not num_images:
        raise FileFormatError(
            f"there must be one label for each image and at least one image; {images}, byte 4, "
            f"declares {num_images} images and {labels}, byte 4, {num_labels} labels; "
            "pair the files of one split"
        )
    values = digits.tensor()
    wrong = (values >= _NUM_CLASSES).nonzero()
    if len(wrong):
        place = int(wrong[0])
        raise FileFormatError(
            f"{labels}, byte {digits.header.offset + place}: labels must be 0 to 9; label {place} "
            f"is {int(values[place])}; give a set of ten classes"
        )
    return ImageSet(pixels.tensor(), values.long())


def _check_layout(content: IdxContent, name: str, num_dimensions: int, what: str) -> None:
    header = content.header
    if header.type_code != _UINT8:
        raise FileFormatError(
            f"{name}, byte 2: {what} must be unsigned bytes (0x08); found "
            f"0x{header.type_code:02x}; this is another idx file"
        )
    if len(header.shape) != num_dimensions:
        raise FileFormatError(
            f"{name}, byte 3: the number of dimensions must be {num_dimensions} for {what}; found "
            f"{len(header.shape)}; images and labels may be exchanged"
        )
