from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from coset.core.errors import FileFormatError, StorageError
from coset.core.files import cache_folder, output_folder, read_json, write_atomic, write_json


def test_write_and_read(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_json(path, {"b": [1, 2.5, None], "ä": "ö"})
    assert read_json(path) == {"b": [1, 2.5, None], "ä": "ö"}
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]


def test_nan_is_refused_and_the_old_content_stays(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))
    assert read_json(path) == 1


def test_a_failed_write_keeps_the_old_content_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_atomic(path, "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match=r"No space left.*intact.*free some space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_full_disk_is_a_storage_error(tmp_path):
    path = tmp_path / "x"
    write_atomic(path, "old")
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from coset.core.errors import StorageError\n"
        "from coset.core.files import write_atomic\n"
        "try:\n    write_atomic(Path(sys.argv[1]), b'x' * 5000)\n"
        "except StorageError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    assert "free some space" in done.stdout
    assert path.read_text() == "old"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_a_file_where_a_folder_must_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"Not a directory|File exists"):
        write_atomic(tmp_path / "file" / "x", "")


@pytest.mark.parametrize(
    ("content", "place"), [(b"{", "line 1"), (b"[1,\n}", "line 2"), (b"\xff", "byte 0")]
)
def test_foreign_json_names_the_place(tmp_path, content, place):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=place):
        read_json(path)


def test_folders_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("COSET_OUT", str(tmp_path / "o"))
    monkeypatch.delenv("COSET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert output_folder() == tmp_path / "o"
    assert cache_folder() == tmp_path / "c" / "coset"
    monkeypatch.delenv("COSET_OUT")
    assert output_folder() == Path("out")
