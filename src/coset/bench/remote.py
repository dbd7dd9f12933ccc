"""A session in another process, started with the environment that its contestants need."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from coset.bench.case import BenchmarkRefusedError, WorkerError
from coset.bench.messages import encode, read_message
from coset.bench.registry import Benchmark

__all__ = ["RemoteSession"]

_PATIENCE_S = 900.0


class RemoteSession:
    """Has the methods of ``Session``; the clock runs in the worker, not around the pipe.

    Args:
        benchmark: the benchmark; the worker imports its module by name.
        environment: variables added to those of this process.
        num_threads: threads of torch and numba in the worker.
        patience_s: seconds to wait for one answer.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        environment: Mapping[str, str],
        num_threads: int = 1,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._label = " ".join(f"{key}={value!r}" for key, value in environment.items())
        self._patience_s = patience_s
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        # A session of its own: Ctrl-C reaches this process only, which then closes the pipe.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "coset.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={
                **os.environ,
                **environment,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            start_new_session=True,
        )
        try:
            opening = {"open": benchmark.id, "module": benchmark.module, "num_threads": num_threads}
            self.pid = int(self._exchange(opening, "start"))
        except BaseException:
            self.close()
            raise

    def check_small(self, variant: str, names: list[str]) -> int:
        """Compare with the reference, as ``Session.check_small``."""
        return int(self._call("check_small", variant, names))

    def prepare(self, size: int, variant: str) -> str:
        """Make the inputs of one point, as ``Session.prepare``."""
        return str(self._call("prepare", size, variant))

    def check_full(self, names: list[str]) -> list[str]:
        """Compare contestants with each other, as ``Session.check_full``."""
        return list(self._call("check_full", names))

    def time(self, name: str, num_calls: int) -> tuple[float, float]:
        """Time a contestant in the worker, as ``Session.time``."""
        wall, cpu = self._call("time", name, num_calls)
        return float(wall), float(cpu)

    def facts(self) -> dict[str, Any]:
        """Return the facts of the worker's process."""
        return dict(self._call("facts"))

    def close(self) -> None:
        """End the worker: close its input, wait a moment, then kill it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _call(self, call: str, *arguments: Any) -> Any:
        return self._exchange({"call": call, "arguments": list(arguments)}, call)

    def _exchange(self, message: dict[str, Any], what: str) -> Any:
        deadline = time.monotonic() + self._patience_s
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(encode(message))
            self._process.stdin.flush()
            reply = read_message(lambda count: self._read_exactly(count, deadline, what))
        except (EOFError, OSError) as error:
            raise WorkerError(self._obituary(what)) from error
        if "refused" in reply:
            raise BenchmarkRefusedError(f"{reply['refused']} [in the worker with {self._label}]")
        if "failed" in reply:
            raise WorkerError(
                f"the worker with {self._label} must answer {what!r}; it failed: {reply['failed']}"
            )
        return reply["value"]

    def _read_exactly(self, count: int, deadline: float, what: str) -> bytes:
        assert self._process.stdout is not None
        descriptor, data = self._process.stdout.fileno(), b""
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                self._process.kill()
                raise WorkerError(
                    f"the worker with {self._label} must answer {what!r} within "
                    f"{self._patience_s:g} s; it was killed; measure smaller sizes"
                )
            part = os.read(descriptor, count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def _obituary(self, what: str) -> str:
        """Say how the worker ended and what it wrote last."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        how = f"exit code {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = f"signal {signal.Signals(-code).name}"
        advice = "; is memory short?" if code == -signal.SIGKILL else ""
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
        said = f"; its last words: {last[0]}" if last else ""
        return (
            f"the worker with {self._label} must live until the run ends; it died during {what!r} "
            f"({how}){advice}{said}; nothing was stored, run the benchmark again"
        )
