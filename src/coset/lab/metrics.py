"""The metrics log: one JSON object a line, appended while a run goes on, cut back when it resumes.

A line is written with one system call and no buffer, so a killed process loses at most the line it
was writing. A resumed run drops what was logged after its checkpoint and logs it again.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from coset.core.errors import ConfigError, FileFormatError
from coset.core.files import storage_errors

__all__ = ["MetricsLog", "json_scalar", "read_metrics"]

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class MetricsLog:
    """Append-only log of numbers by step, with the position as its state.

    Give it to a checkpoint (``extra_state={"metrics": run.metrics}``) and a resumed run continues
    after exactly the lines that the checkpoint saw. Without that, the first `log` of a resumed run
    drops every line from its own step on: right whenever steps never decrease.

    Args:
        path: the file; made at the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._num_lines = 0
        self._is_placed = False

    def log(self, step: int, **values: Any) -> None:
        """Append one line.

        Args:
            step: the step that the values belong to.
            **values: numbers, booleans, short texts or None; 0-dim tensors become numbers, and
                NaN and infinities the texts "nan", "inf", "-inf". No clock: equal runs have equal
                logs.

        Raises:
            ConfigError: if a value is not a scalar.
            StorageError: if the file cannot be written; no partial line is left.
        """
        line = {"step": int(step)}
        for name, value in values.items():
            line[name] = _encode(json_scalar(value, f"metric {name}"))
        data = (json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n").encode()
        if not self._is_placed:
            self._keep(_lines_before(self._whole_lines(), step))
        descriptor = self._open()
        with storage_errors(self.path):
            length = os.lseek(descriptor, 0, os.SEEK_END)
            try:
                _write_all(descriptor, data)
            except OSError:
                os.ftruncate(descriptor, length)
                raise
        self._num_lines += 1

    def state_dict(self) -> dict[str, int]:
        """Return the number of lines, after making sure that they are on the disk.

        Returns:
            ``{"num_lines": n}``.

        Raises:
            StorageError: if the disk refuses.
        """
        if self._descriptor is not None:
            with storage_errors(self.path):
                os.fsync(self._descriptor)
        return {"num_lines": self._num_lines}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Cut the log back to the lines that a checkpoint saw.

        Args:
            state: what `state_dict` returned.

        Raises:
            StorageError: if the file cannot be changed.
        """
        self._keep(self._whole_lines()[: int(state["num_lines"])])

    def close(self) -> None:
        """Close the file; the next `log` opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            with storage_errors(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
                self._descriptor = os.open(self.path, flags, 0o644)
        return self._descriptor

    def _whole_lines(self) -> list[bytes]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        whole, _, _ = content.rpartition(b"\n")
        return [line + b"\n" for line in whole.split(b"\n")] if b"\n" in content else []

    def _keep(self, lines: list[bytes]) -> None:
        descriptor = self._open()
        with storage_errors(self.path):
            os.ftruncate(descriptor, sum(map(len, lines)))
        self._num_lines = len(lines)
        self._is_placed = True


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read a metrics log, without the last line if it is torn.

    Args:
        path: the file; a missing one is an empty log.

    Returns:
        One dictionary a line, with "step" and the values; NaN and infinities are floats again.

    Raises:
        FileFormatError: if a whole line is not a JSON object; names the line.
    """
    found = []
    for number, line in enumerate(MetricsLog(path)._whole_lines(), 1):
        value = _decode_line(line)
        if value is None:
            raise FileFormatError(
                f"{path}, line {number} must be a JSON object; given {line[:80]!r}"
            )
        found.append({name: _decode(v) for name, v in value.items()})
    return found


def json_scalar(value: Any, where: str) -> Any:
    """Return a number, text, boolean or None as plain Python, from a 0-dim tensor or array too.

    Args:
        value: the value.
        where: what it is, for the message.

    Returns:
        The plain value; floats may be NaN or infinite.

    Raises:
        ConfigError: if it is not a scalar.
    """
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value)
    raise ConfigError(
        f"{where} must be a number, a text, true, false or None; given {type(value).__name__}; "
        f"store one column an entry, or write larger things to the run's folder"
    )


def _encode(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _decode(value: Any) -> Any:
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _decode_line(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _lines_before(lines: list[bytes], step: int) -> list[bytes]:
    for position, line in enumerate(lines):
        value = _decode_line(line)
        if value is None or not isinstance(value.get("step"), int) or value["step"] >= step:
            return lines[:position]
    return lines


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
