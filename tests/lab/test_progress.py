from __future__ import annotations

import io

import pytest

from coset.lab.progress import Progress, format_duration


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_plain_lines_come_seldom_and_say_rate_and_time_left(clock):
    stream = io.StringIO()
    with Progress("sweep", 10, unit="runs", stream=stream, clock=clock) as progress:
        progress.update(0)
        for done in range(1, 7):
            clock.now += 1
            progress.update(done, note=f"point {done}")
    assert stream.getvalue().splitlines() == [
        "sweep: 2/10 runs, 1 runs/s, 8.0 s left, point 2",
        "sweep: 4/10 runs, 1 runs/s, 6.0 s left, point 4",
        "sweep: 6/10 runs, 1 runs/s, 4.0 s left, point 6",
        "sweep: 6/10 runs, in 6.0 s",
    ]


def test_what_was_stored_says_nothing_about_the_speed(clock):
    with Progress("sweep", 100, stream=io.StringIO(), clock=clock) as progress:
        progress.update(90)
        assert progress.time_left() is None
        clock.now += 10
        progress.update(95)
        assert progress.rate() == pytest.approx(0.5)
        assert progress.time_left() == pytest.approx(10)


def test_progress_goes_to_standard_error(clock, capsys):
    with Progress("count", 2, clock=clock) as progress:
        progress.advance(2)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "count: 2/2, in 0.0 s\n"


def test_a_terminal_gets_a_live_bar():
    stream = io.StringIO()
    with Progress("live [x]", 4, stream=stream, is_live=True) as progress:
        progress.update(1, 8, "note [y]")
        progress.advance(7)
    assert "100 %" in stream.getvalue()
    assert "live" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min")],
)
def test_durations_read_well(seconds, text):
    assert format_duration(seconds) == text
