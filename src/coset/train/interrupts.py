"""Ctrl-C that lets the current step end, so that a good checkpoint can be written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

__all__ = ["StopRequest", "deferred_interrupt"]


@dataclass
class StopRequest:
    """Whether somebody asked the run to stop.

    Attributes:
        requested: set by the first Ctrl-C.
    """

    requested: bool = False


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C in the body into a request and raise it when the body has ended.

    A second Ctrl-C interrupts at once. Outside the main thread, and where SIGINT is ignored
    (``nohup``), signals stay as they are.

    Yields:
        The request, to be looked at wherever the body can stop.

    Raises:
        KeyboardInterrupt: at the end of the body if a stop was requested, by Ctrl-C or by
            somebody who set the flag; or in the middle of it at the second Ctrl-C.
    """
    request = StopRequest()
    with _handler(request):
        yield request
    if request.requested:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _handler(request: StopRequest) -> Iterator[None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if request.requested:
            raise KeyboardInterrupt
        request.requested = True

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):
        yield
        return
    former = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
