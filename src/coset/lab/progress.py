"""Progress on standard error: a live bar in a terminal, plain lines elsewhere.

Nothing here loads torch.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

__all__ = ["Progress", "format_duration"]


class Progress:
    """Show how far a task is, its rate and the time that is left.

    Args:
        title: what is being done.
        total: how much there is; `update` may change it.
        unit: what is counted, in the plural, for the rate ("runs", "bytes").
        stream: where to write; standard error if ``None``.
        is_live: force a live bar (True) or plain lines (False); by default as the stream is.
        pause_s: at least so many seconds between two plain lines.
        clock: seconds, for tests.

    Example:
        >>> import io
        >>> with Progress("count", 2, unit="runs", stream=io.StringIO()) as progress:
        ...     progress.update(1, note="first")
    """

    def __init__(
        self,
        title: str,
        total: float,
        *,
        unit: str = "",
        stream: TextIO | None = None,
        is_live: bool | None = None,
        pause_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title = title
        self.total = total
        self.unit = unit
        self._stream = stream if stream is not None else sys.stderr
        self._is_live = self._stream.isatty() if is_live is None else is_live
        self._pause_s = pause_s
        self._clock = clock
        self._start = clock()
        self._shown = self._start
        self._done = 0.0
        self._initial: float | None = None
        self._note = ""
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        self._start = self._shown = self._clock()
        if self._is_live:
            self._bar = _live_bar(self._stream)
            self._task = self._bar.add_task(self.title, total=self.total, note="", speed="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        else:
            self._print_line(is_last=True)

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        """Show a new state.

        Args:
            done: how much is done.
            total: how much there is, if that changed.
            note: a few words on what is being done now.
        """
        self._done, self._note = done, note
        self.total = self.total if total is None else total
        if self._initial is None:
            # What was done before the first report (stored runs) says nothing about the speed.
            self._initial = done
        if self._bar is not None:
            self._bar.update(
                self._task, completed=done, total=self.total, note=note, speed=self._speed()
            )
        elif self._clock() - self._shown >= self._pause_s:
            self._print_line()

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Add to what is done.

        Args:
            amount: how much.
            note: as in `update`.
        """
        self.update(self._done + amount, note=note)

    def rate(self) -> float:
        """Return how much is done a second, not counting what was done at the first report."""
        spent = self._clock() - self._start
        fresh = self._done - (self._initial or 0.0)
        return fresh / spent if spent > 0 and fresh > 0 else 0.0

    def time_left(self) -> float | None:
        """Return the seconds that are left at this rate, or ``None`` if it is not known yet."""
        rate = self.rate()
        return max(0.0, self.total - self._done) / rate if rate else None

    def _speed(self) -> str:
        left = self.time_left()
        if left is None:
            return ""
        return f"{self.rate():.3g} {self.unit}/s, {format_duration(left)} left".replace(" /s", "/s")

    def _print_line(self, is_last: bool = False) -> None:
        self._shown = self._clock()
        spent = format_duration(self._shown - self._start)
        parts = [f"{_count(self._done)}/{_count(self.total)} {self.unit}".strip()]
        parts += [f"in {spent}"] if is_last else [p for p in (self._speed(), self._note) if p]
        print(f"{self.title}: {', '.join(parts)}", file=self._stream, flush=True)


def format_duration(seconds: float) -> str:
    """Return a duration as a reader says it.

    Args:
        seconds: at least 0.

    Returns:
        For instance "0.4 s", "12 s", "3 min 05 s", "2 h 10 min".

    Example:
        >>> format_duration(185)
        '3 min 05 s'
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _count(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _live_bar(stream: TextIO) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as LiveProgress

    return LiveProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=Console(file=stream),
        refresh_per_second=8,
    )
