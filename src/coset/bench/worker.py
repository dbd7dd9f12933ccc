"""The child process that serves one `Session`: ``python -m coset.bench.worker``.

It reads requests on standard input and ends when that closes. What libraries print goes to standard
error, so that nothing but replies travels on standard output.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, BinaryIO

from coset.bench.case import BenchmarkRefusedError
from coset.bench.messages import encode, read_message

__all__ = ["CALLS", "main", "serve"]

CALLS = frozenset({"check_small", "prepare", "check_full", "time", "facts"})


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until the stream ends; the first one names benchmark and threads.

    Args:
        requests: messages ``{"open": id, "module": …, "num_threads": …}``, then
            ``{"call": …, "arguments": […]}`` with a call of `CALLS`.
        replies: one message a request: ``{"value": …}``, ``{"refused": text}`` or
            ``{"failed": text}``.
    """

    def read_exactly(count: int) -> bytes:
        data = requests.read(count)
        if len(data) < count:
            raise EOFError
        return data

    opened = read_message(read_exactly)
    from coset.bench.registry import find_benchmark
    from coset.bench.session import Session, limited_threads

    importlib.import_module(opened["module"])
    session = Session(find_benchmark(opened["open"]))
    with limited_threads(int(opened["num_threads"])):
        _send(replies, {"value": os.getpid()})
        while True:
            try:
                request = read_message(read_exactly)
            except EOFError:
                return
            _send(replies, _answer(session, request))


def _answer(session: Any, request: dict[str, Any]) -> dict[str, Any]:
    call = request.get("call")
    if call not in CALLS:
        return {"failed": f"unknown call {call!r}"}
    try:
        return {"value": getattr(session, call)(*request.get("arguments", []))}
    except BenchmarkRefusedError as error:
        return {"refused": str(error)}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def _send(replies: BinaryIO, message: dict[str, Any]) -> None:
    replies.write(encode(message))
    replies.flush()


def main() -> None:
    """Serve on the standard streams."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
