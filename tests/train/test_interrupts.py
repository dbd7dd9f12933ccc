"""Ctrl-C becomes a request, and no request is lost."""

from __future__ import annotations

import signal
import threading

import pytest

from coset.train.interrupts import deferred_interrupt


def test_first_interrupt_waits_for_the_end_of_the_body():
    ended = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupt() as stop:  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        ended.append(stop.requested)
    assert ended == [True]


def test_second_interrupt_does_not_wait():
    ended = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupt():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        ended.append(True)
    assert ended == []


def test_handler_is_given_back_also_after_an_error():
    former = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="mine"), deferred_interrupt():
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is former


def test_ignored_signal_stays_ignored():
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupt() as stop:
            signal.raise_signal(signal.SIGINT)
        assert not stop.requested
    finally:
        signal.signal(signal.SIGINT, former)


def test_other_threads_leave_signals_alone():
    seen = []

    def body():
        with deferred_interrupt() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [False]
