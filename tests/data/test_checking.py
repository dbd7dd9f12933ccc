"""`verify` says for each file whether it is right, absent, changed or something else."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from coset.core.errors import UnknownNameError
from coset.data import find_dataset, verify

from .idx_files import idx_bytes, mnist_contents, write_folder


def test_the_packaged_files_have_their_checksums():
    checks = verify("digits")
    assert [c.status for c in checks] == ["ok"] * 4
    assert [c.found for c in checks] == [f.sha256 for f in find_dataset("digits").files]
    assert all(c.path.is_file() for c in checks)


def test_every_status(tmp_path, small_catalog):
    assert {(c.status, c.found) for c in verify("mnist")} == {("missing", None)}
    contents = mnist_contents()
    names = list(contents)
    contents[names[1]] = contents[names[1]][:-1] + b"\x07"
    contents[names[2]] = b"something else"
    del contents[names[3]]
    folder = write_folder(tmp_path / "cache" / "mnist", contents)
    checks = verify("mnist")
    assert [c.status for c in checks] == ["ok", "changed", "foreign", "missing"]
    assert [c.path for c in checks] == [folder / name for name in names]
    assert [c.expected for c in checks] == [f.sha256 for f in small_catalog.files]
    assert checks[1].found == hashlib.sha256(contents[names[1]]).hexdigest()
    assert checks[3].found is None


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", "foreign"),
        (mnist_contents()["train-images-idx3-ubyte"][:-1], "changed"),
        (mnist_contents()["train-images-idx3-ubyte"][:10], "foreign"),
        (gzip.compress(mnist_contents()["train-images-idx3-ubyte"], mtime=0), "changed"),
        (gzip.compress(b"x" * 100, mtime=0)[:12], "foreign"),
        (idx_bytes((19, 28, 28)), "foreign"),
    ],
)
def test_changed_or_foreign(tmp_path, small_catalog, content, status):
    write_folder(
        tmp_path / "cache" / "mnist", mnist_contents() | {"train-images-idx3-ubyte": content}
    )
    assert verify("mnist")[0].status == status


def test_a_folder_in_the_place_of_a_file(tmp_path, small_catalog):
    (tmp_path / "cache" / "mnist" / "train-images-idx3-ubyte").mkdir(parents=True)
    assert verify("mnist")[0].status == "foreign"


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="digits, mnist"):
        verify("zzz")
