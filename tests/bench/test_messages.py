from __future__ import annotations

import io

import pytest

from coset.bench.messages import encode, read_message
from coset.bench.worker import serve
from coset.core.errors import FileFormatError


def reader(data):
    stream = io.BytesIO(data)

    def read_exactly(count):
        part = stream.read(count)
        if len(part) < count:
            raise EOFError
        return part

    return read_exactly


def test_messages_survive_the_pipe():
    read = reader(encode({"value": [1, 2.5, "µ"]}) + encode({}))
    assert read_message(read) == {"value": [1, 2.5, "µ"]}
    assert read_message(read) == {}
    with pytest.raises(EOFError):
        read_message(read)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xff\xff\xff", "at most"),
        (b"\x00\x00\x00\x03abc", "JSON"),
        (b"\x00\x00\x00\x02\xff\xfe", "JSON"),
        (b"\x00\x00\x00\x03[1]", "object"),
    ],
)
def test_foreign_bytes_are_refused(data, words):
    with pytest.raises(FileFormatError, match=words):
        read_message(reader(data))


def test_the_worker_answers_only_the_calls_it_knows(toys):
    requests = [
        {"open": "toy.sum", "module": "toy_cases", "num_threads": 1},
        {"call": "prepare", "arguments": [200, "centered"]},
        {"call": "__class__"},
        {"call": "prepare", "arguments": [200, "no such variant"]},
    ]
    replies = io.BytesIO()
    serve(io.BytesIO(b"".join(map(encode, requests))), replies)
    read = reader(replies.getvalue())
    assert read_message(read)["value"] > 0
    assert len(read_message(read)["value"]) == 16
    assert "unknown call" in read_message(read)["failed"]
    assert "KeyError" in read_message(read)["failed"]
