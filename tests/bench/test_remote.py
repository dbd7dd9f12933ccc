from __future__ import annotations

import os
import signal

import pytest

from coset.bench import BenchmarkRefusedError, WorkerError, find_benchmark
from coset.bench.remote import RemoteSession
from coset.bench.session import Session


@pytest.fixture
def start(toys):
    """Return a function that starts workers; all are ended with the test."""
    started = []

    def run(name, **options):
        remote = RemoteSession(find_benchmark(name), toys.ELSEWHERE, **options)
        started.append(remote)
        return remote

    yield run
    for remote in started:
        remote.close()


def test_a_worker_does_what_a_session_does_in_its_own_environment(start):
    remote, local = start("toy.sum"), Session(find_benchmark("toy.sum"))
    assert remote.pid != os.getpid()
    assert remote.prepare(200, "centered") == local.prepare(200, "centered")
    assert remote.check_small("centered", ["sum elsewhere"]) == 3
    assert remote.check_full(["sum elsewhere"]) == ["sum", "sum elsewhere", "loop"]
    wall, cpu = remote.time("sum elsewhere", 2)
    assert 0 < wall < 10
    assert 0 <= cpu < 10
    assert remote.facts()["threads"]["torch"] == 1


def test_the_environment_reaches_only_the_worker(start):
    remote, local = start("toy.wrong-elsewhere"), Session(find_benchmark("toy.wrong-elsewhere"))
    assert local.check_small("centered", ["sum elsewhere"]) == 3
    with pytest.raises(BenchmarkRefusedError, match=r"off by 1.*TOY_PLACE='elsewhere'"):
        remote.check_small("centered", ["sum elsewhere"])


def test_what_contestants_print_does_not_disturb_the_replies(start):
    remote = start("toy.prints")
    assert remote.check_small("centered", ["sum elsewhere"]) == 3


def test_a_worker_that_dies_is_reported_with_signal_and_last_words(start):
    remote = start("toy.dies")
    remote.prepare(200, "centered")
    with pytest.raises(WorkerError, match=r"'time' \(signal SIGKILL\).*the toy dies now"):
        remote.time("sum elsewhere", 1)
    with pytest.raises(WorkerError, match="died"):
        remote.time("sum elsewhere", 1)


def test_a_worker_killed_from_outside_is_reported(start):
    remote = start("toy.sum")
    os.kill(remote.pid, signal.SIGTERM)
    with pytest.raises(WorkerError, match="SIGTERM"):
        remote.prepare(200, "centered")


def test_a_module_that_cannot_be_imported_ends_with_its_error(toys, tmp_path):
    import dataclasses

    lost = dataclasses.replace(find_benchmark("toy.sum"), module="no_such_module")
    with pytest.raises(WorkerError, match=r"exit code 1.*no_such_module"):
        RemoteSession(lost, {})


def test_a_silent_worker_is_killed_when_patience_ends(start):
    remote = start("toy.sum")
    os.kill(remote.pid, signal.SIGSTOP)
    remote._patience_s = 0.2
    with pytest.raises(WorkerError, match=r"within 0\.2 s; it was killed"):
        remote.prepare(200, "centered")


def test_closing_ends_the_process(start):
    remote = start("toy.sum")
    remote.close()
    assert remote._process.poll() == 0
