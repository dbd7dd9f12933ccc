"""The packaged digits and the complete MNIST, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
import zipfile

import pytest
import torch

from coset.core.errors import (
    ChecksumError,
    DtypeError,
    FileFormatError,
    RangeError,
    ShapeError,
    UnavailableError,
    UnknownNameError,
)
from coset.data import ImageSet, load_digits, load_mnist

from .idx_files import idx_bytes, mnist_contents, mutated, outcome, write_folder

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def _hashes(images):
    return [hashlib.sha256(image.numpy().tobytes()).digest() for image in images]


def test_counts_types_and_balance():
    for split, each in (("train", 400), ("test", 100)):
        digits = load_digits(split)
        assert len(digits) == 10 * each
        assert digits.images.shape == (10 * each, 28, 28)
        assert (digits.images.dtype, digits.labels.dtype) == (torch.uint8, torch.int64)
        assert digits.labels.bincount().tolist() == [each] * 10
        assert torch.equal(digits.labels, torch.arange(10 * each) % 10)


def test_all_images_are_distinct_also_across_the_split():
    train, test = _hashes(load_digits("train").images), _hashes(load_digits("test").images)
    assert len(set(train)) == 4000
    assert len(set(test)) == 1000
    assert not set(train) & set(test)


def test_they_are_digits():
    """Class means of the training split classify the test split far above chance."""
    train, test = load_digits("train"), load_digits("test")
    means = torch.stack([train.images[train.labels == c].double().mean(0) for c in range(10)])
    distances = torch.cdist(test.images.double().flatten(1), means.flatten(1))
    assert (distances.argmin(1) == test.labels).double().mean() > 0.7
    border = test.images[:, [0, -1], :].double().mean() + test.images[:, :, [0, -1]].double().mean()
    assert border < 1
    assert int(test.images.max()) == 255


def test_a_change_in_place_does_not_reach_the_next_caller():
    load_digits("test").images.zero_()
    assert load_digits("test").images.any()


def test_the_extract_is_small_and_documented():
    folder = importlib.resources.files("coset.data") / "digits"
    sizes = {item.name: len(item.read_bytes()) for item in folder.iterdir()}
    assert sum(sizes.values()) <= 1_500_000
    assert "CC BY-SA 3.0" in (folder / "LICENSE.txt").read_text()
    readme = (folder / "README.md").read_text()
    for name in sizes:
        if name.endswith(".gz"):
            stored = (folder / name).read_bytes()
            assert hashlib.sha256(stored).hexdigest() in readme
            assert hashlib.sha256(gzip.decompress(stored)).hexdigest() in readme


def _packaged_elsewhere(monkeypatch, folder):
    monkeypatch.setattr(importlib.resources, "files", lambda package: folder)


def test_the_package_may_lie_in_a_zip_file(tmp_path, monkeypatch):
    folder = importlib.resources.files("coset.data") / "digits"
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for item in folder.iterdir():
            archive.writestr(f"digits/{item.name}", item.read_bytes())
    expected = load_digits("test")
    _packaged_elsewhere(monkeypatch, zipfile.Path(tmp_path / "package.zip"))
    found = load_digits("test")
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.labels, expected.labels)


def test_a_damaged_installation(tmp_path, monkeypatch):
    folder = importlib.resources.files("coset.data") / "digits"
    contents = {item.name: item.read_bytes() for item in folder.iterdir()}
    changed = contents["test-images-idx3-ubyte.gz"]
    contents["test-images-idx3-ubyte.gz"] = changed[:-100] + bytes(100)
    del contents["train-labels-idx1-ubyte.gz"]
    write_folder(tmp_path / "digits", contents)
    _packaged_elsewhere(monkeypatch, tmp_path)
    with pytest.raises(ChecksumError, match="install coset again"):
        load_digits("test")
    with pytest.raises(UnavailableError, match="install coset again"):
        load_digits("train")


@pytest.mark.parametrize("load", [load_digits, load_mnist])
def test_wrong_splits(load):
    with pytest.raises(UnknownNameError, match="did you mean train"):
        load("training")
    with pytest.raises(DtypeError, match="must be a string"):
        load(0)


# --- complete MNIST ------------------------------------------------------------------------------


def test_mnist_from_the_cache(tmp_path, small_catalog):
    with pytest.raises(UnavailableError, match="coset data get mnist"):
        load_mnist("train")
    folder = write_folder(tmp_path / "cache" / "mnist", mnist_contents())
    assert len(load_mnist("train")) == 20
    assert load_mnist("test").labels.tolist() == list(range(10))
    content = bytearray((folder / IMAGES).read_bytes())
    content[500] ^= 1
    (folder / IMAGES).write_bytes(content)
    with pytest.raises(ChecksumError, match="coset data get mnist"):
        load_mnist("train")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_mnist_from_a_folder(tmp_path, packed, dotted):
    contents = {
        name.replace("-idx", ".idx" if dotted else "-idx") + (".gz" if packed else ""): (
            gzip.compress(content) if packed else content
        )
        for name, content in mnist_contents().items()
    }
    found = load_mnist("train", folder=write_folder(tmp_path / "mine", contents))
    assert found.images.flatten().tolist() == list(mnist_contents()[IMAGES][16:])
    assert found.labels.tolist() == [*range(10), *range(10)]
    assert len(load_mnist("test", str(tmp_path / "mine"))) == 10


def test_a_folder_without_the_files(tmp_path):
    with pytest.raises(UnavailableError, match="has none of them"):
        load_mnist("train", tmp_path)
    with pytest.raises(UnavailableError, match="is not a folder"):
        load_mnist("train", tmp_path / "absent")
    with pytest.raises(DtypeError, match="must be a path"):
        load_mnist("train", 3)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (IMAGES, b"", "the file is empty"),
        (IMAGES, idx_bytes((20, 28, 27)), "byte 12: images must be 28×28"),
        (IMAGES, idx_bytes((20, 14, 28)), "byte 8: images must be 28×28"),
        (IMAGES, idx_bytes((20, 784)), "byte 3: the number of dimensions must be 3"),
        (
            IMAGES,
            idx_bytes((20,)),
            "byte 3: the number of dimensions must be 3 for images; found 1",
        ),
        (IMAGES, idx_bytes((20, 28, 28), None, 0x0C, 4), "byte 2: images must be unsigned"),
        (IMAGES, idx_bytes((19, 28, 28)), "19 images"),
        (IMAGES, idx_bytes((2**20, 28, 28), b""), "at most"),
        (LABELS, idx_bytes((20, 1)), "byte 3: the number of dimensions must be 1"),
        (LABELS, idx_bytes((20,), None, 0x09), "byte 2: labels must be unsigned"),
        (LABELS, idx_bytes((21,)), "21 labels"),
        (LABELS, idx_bytes((20,), bytes(19) + b"\x0a"), "byte 27: labels must be 0 to 9; label 19"),
    ],
)
def test_wrong_files_in_a_folder(tmp_path, name, content, words):
    write_folder(tmp_path, mnist_contents() | {name: content})
    with pytest.raises(FileFormatError) as caught:
        load_mnist("train", tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert len(load_mnist("test", tmp_path)) == 10


def test_no_images_at_all(tmp_path):
    write_folder(tmp_path, {IMAGES: idx_bytes((0, 28, 28)), LABELS: idx_bytes((0,))})
    with pytest.raises(FileFormatError, match="at least one image"):
        load_mnist("train", tmp_path)


@pytest.mark.property
def test_a_damaged_folder_never_surprises(tmp_path):
    contents = mnist_contents()
    for seed in range(200):
        name = (IMAGES, LABELS)[seed % 2]
        write_folder(tmp_path, contents | {name: mutated(contents[name], seed)})
        found, refusal = outcome(load_mnist, "train", tmp_path)
        assert len(found) == 20 if found else str(tmp_path) in refusal


# --- ImageSet ------------------------------------------------------------------------------------


def _tiny(count=5):
    images = torch.arange(count, dtype=torch.uint8)[:, None, None].expand(-1, 28, 28).clone()
    return ImageSet(images, torch.arange(count))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, 2), [0, 2, 4]),
        (slice(9, 12), []),
        ([4, 0, 0, -1], [4, 0, 0, 4]),
        ((3,), [3]),
        (range(2), [0, 1]),
        ([], []),
        ([True, False, False, False, True], [0, 4]),
        (torch.tensor([2, -5]), [2, 0]),
        (torch.tensor([2], dtype=torch.uint8), [2]),
        (torch.tensor([False] * 5), []),
    ],
)
def test_subset(index, expected):
    part = _tiny().subset(index)
    assert part.labels.tolist() == expected
    assert part.images[:, 3, 7].tolist() == expected
    assert part.images.shape == (len(part), 28, 28)


@pytest.mark.parametrize(
    ("index", "error", "words"),
    [
        ([5], RangeError, "-5..4; got 5"),
        (torch.tensor([-6]), RangeError, "got -6"),
        (slice(None, None, -1), RangeError, "positive"),
        (slice(None, None, 0), RangeError, "positive"),
        (3, DtypeError, "integers or a mask"),
        (["a"], DtypeError, "integers or a mask"),
        ([0.5], DtypeError, "integers"),
        (torch.tensor([[0]]), ShapeError, "one-dimensional"),
        (torch.tensor(0), ShapeError, "one-dimensional"),
        ([True, False], ShapeError, "length 5"),
    ],
)
def test_wrong_subsets(index, error, words):
    with pytest.raises(error) as caught:
        _tiny().subset(index)
    assert words in str(caught.value)


def test_an_image_set_is_checked_and_frozen():
    good = _tiny()
    assert len(_tiny(0)) == 0
    assert "5 images" in repr(good)
    with pytest.raises(AttributeError):
        good.images = good.images
    for images, labels, error in (
        (good.images.float(), good.labels, DtypeError),
        (good.images.numpy(), good.labels, DtypeError),
        (good.images, good.labels.int(), DtypeError),
        (good.images, [0, 1, 2, 3, 4], DtypeError),
        (good.images[:4], good.labels, ShapeError),
        (good.images[:, :27], good.labels, ShapeError),
        (good.images[0], good.labels, ShapeError),
        (good.images, good.labels[0], ShapeError),
        (good.images, good.labels[:, None], ShapeError),
    ):
        with pytest.raises(error):
            ImageSet(images, labels)
