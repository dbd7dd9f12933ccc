"""The catalog: what is known, and that its numbers are those of the files."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from coset.core.errors import DtypeError, UnknownNameError
from coset.data import datasets, find_dataset

from .idx_files import mnist_contents, write_folder


def test_the_known_data_sets():
    assert [(d.name, d.packaged) for d in datasets()] == [("digits", True), ("mnist", False)]
    for dataset in datasets():
        assert dataset.license
        assert "Gradient-based learning" in dataset.citation
        assert dataset.num_bytes == sum(f.num_bytes for f in dataset.files)
        assert [f.split for f in dataset.files] == ["train", "train", "test", "test"]
        for images, labels in (dataset.files[:2], dataset.files[2:]):
            assert images.shape == (*labels.shape, 28, 28)
        for file in dataset.files:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    with pytest.raises(dataclasses.FrozenInstanceError):
        datasets()[0].name = "other"


def test_complete_mnist_has_its_published_lengths_and_digests():
    files = {f.name: f for f in find_dataset("mnist").files}
    assert {name: (f.num_bytes, f.sha256[:16]) for name, f in files.items()} == {
        "train-images-idx3-ubyte": (16 + 60000 * 784, "ba891046e6505d7a"),
        "train-labels-idx1-ubyte": (8 + 60000, "65a50cbbf4e906d7"),
        "t10k-images-idx3-ubyte": (16 + 10000 * 784, "0fa7898d509279e4"),
        "t10k-labels-idx1-ubyte": (8 + 10000, "ff7bcfd416de3373"),
    }


def test_where_they_lie(tmp_path, small_catalog):
    assert find_dataset("digits").is_here()
    assert not small_catalog.is_here()
    assert Path(str(small_catalog.folder())) == tmp_path / "cache" / "mnist"
    write_folder(tmp_path / "cache" / "mnist", mnist_contents())
    assert small_catalog.is_here()


def test_the_packaged_files_have_their_lengths():
    digits = find_dataset("digits")
    for file in digits.files:
        assert len((digits.folder() / file.name).read_bytes()) == file.num_bytes


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="did you mean mnist"):
        find_dataset("minst")
    with pytest.raises(DtypeError, match="must be a string"):
        find_dataset(None)
