"""Files that others wrote: whatever is wrong with one is said with its name."""

from __future__ import annotations

import os
import threading

import pytest

from coset.core.errors import FileFormatError
from coset.core.foreign_files import parse_json, read_strict_json, read_text, show


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"a": 1, "a": 2}', "must be JSON: an object names 'a' twice"),
        (b'{"a": {"b": 1, "b": 1}}', "names 'b' twice"),
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"[1e999]", "1e999 is too large"),
        (b"[1,\n 2", "line 2, column 3"),
        (b"", "line 1, column 1"),
        (b'["\xff"]', "must be UTF-8 text; byte 2 is not"),
        (b"[" * 100_000, "must be JSON"),
        (b"[1234567890123456789012]", "is larger than that"),
    ],
)
def test_what_is_no_strict_json_is_refused_by_name(content, told, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    limit = 20 if b"12345678901" in content else 1_000_000
    with pytest.raises(FileFormatError, match=told) as caught:
        read_strict_json(path, limit, "is larger than that")
    assert str(caught.value).startswith(str(path))


def test_a_long_key_is_shown_in_part(tmp_path):
    path = tmp_path / "x.json"
    key = "k" * 1000
    path.write_text(f'{{"{key}": 1, "{key}": 2}}')
    with pytest.raises(FileFormatError) as caught:
        read_strict_json(path, 10_000, "is too large")
    assert len(str(caught.value)) < 300 + len(str(path))


def test_values_come_as_asked_for(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": [1, 2.50, 1e3], "b": null}')
    assert read_strict_json(path, 100, "") == {"a": [1, 2.5, 1000.0], "b": None}
    assert read_strict_json(path, 100, "", parse_float=str)["a"] == [1, "2.50", "1e3"]
    assert read_strict_json(path, len(path.read_bytes()), "")["b"] is None
    assert parse_json("2") == 2


def test_values_are_shown_in_part():
    assert show("a") == "'a'"
    assert show("x" * 58) == repr("x" * 58)
    assert show("x" * 59) == repr("x" * 59)[:57] + "…"


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileFormatError, match="cannot be read"):
            read_text(path, 10, "")


def test_a_mark_at_the_beginning_is_passed_over_if_asked(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xef\xbb\xbfa")
    assert read_text(path, 10, "", "utf-8-sig") == "a"
    assert read_text(path, 10, "") == "\ufeffa"


def test_a_pipe_is_read_up_to_the_limit(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def feed():
        with path.open("wb") as pipe:
            pipe.write(b"x" * 11)

    writer = threading.Thread(target=feed)
    writer.start()
    with pytest.raises(FileFormatError, match="has more"):
        read_text(path, 10, "has more")
    writer.join()
