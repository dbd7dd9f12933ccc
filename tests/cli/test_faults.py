"""What `coset run` does when it is killed, when the disk is full, and when it is run twice."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Small, but with training, several epochs and a checkpoint after each of them.
SETTINGS = ["method=fc+sharing", "num_epochs=12", "num_train=400", "shuffled=false"]
RUN = [
    *(sys.executable, "-m", "coset", "run", "sharing.torus-digits", "--preset", "smoke"),
    *(word for text in SETTINGS for word in ("--set", text)),
]


def environment(out: Path) -> dict[str, str]:
    return {**os.environ, "COSET_OUT": str(out), "OMP_NUM_THREADS": "1"}


def start(out: Path, **options) -> subprocess.Popen:
    return subprocess.Popen(
        RUN,
        env=environment(out),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def rows(out: Path) -> list[dict]:
    (path,) = (out / "runs").rglob("rows.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def finish(out: Path) -> list[dict]:
    process = start(out)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return rows(out)


def kill_after(process: subprocess.Popen, seconds: float) -> bool:
    """Kill the process group after some time; tell whether it was still running."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=seconds)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive


def kill_inside_checkpoint_write(process: subprocess.Popen, out: Path, number: int) -> bool:
    """Kill when the temporary file of checkpoint write `number` (from 1) is seen."""
    seen: set[str] = set()
    while process.poll() is None:
        for path in (out / "runs").glob("*/*/checkpoints/.*.tmp"):
            seen.add(path.name)
        if len(seen) >= number:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True
        time.sleep(0.0002)
    process.communicate()
    return False


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_kills_half_of_them_inside_a_checkpoint_write(tmp_path):
    undisturbed = tmp_path / "undisturbed"
    begin = time.monotonic()
    expected = finish(undisturbed)
    usual = time.monotonic() - begin
    chance = random.Random(20240311)
    disturbed = tmp_path / "disturbed"
    kills = {"anywhere": 0, "inside a write": 0}
    for number in range(10):
        process = start(disturbed)
        if number % 2:
            write = chance.randint(1, 2)
            kills["inside a write"] += kill_inside_checkpoint_write(process, disturbed, write)
        else:
            kills["anywhere"] += kill_after(process, chance.uniform(0.1, 1.0) * usual * 0.8)
        if list((disturbed / "runs").rglob("rows.jsonl")):
            # It finished before the kill: start over, so that all ten kills mean something.
            assert rows(disturbed) == expected
            disturbed = tmp_path / f"disturbed{number}"
    assert kills["inside a write"] >= 3, kills
    assert kills["anywhere"] >= 3, kills
    assert finish(disturbed) == expected


def limited(num_bytes: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


@pytest.mark.slow
@pytest.mark.parametrize("num_bytes", [10, 300, 20_000])
def test_a_full_disk_is_a_clear_error_and_the_store_stays_sound(tmp_path, num_bytes):
    out = tmp_path / "out"
    process = start(out, preexec_fn=lambda: limited(num_bytes))
    _, errors = process.communicate(timeout=120)
    assert process.returncode in (1, 2)
    assert "Traceback" not in errors
    assert "File too large" in errors
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    assert finish(out)


@pytest.mark.parametrize("command", [RUN, [*RUN[:3], "verify", "sharing.C7", "--no-mutants"]])
def test_an_unwritable_folder_is_a_clear_error(tmp_path, command):
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = subprocess.run(
        command,
        env=environment(blocked / "out"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "COSET_OUT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_second_process_on_one_run_folder_is_refused(tmp_path):
    long_run = [word.replace("num_epochs=12", "num_epochs=2000") for word in RUN]
    first = subprocess.Popen(
        long_run,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.rglob("metrics.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.01)
        second = subprocess.run(
            long_run,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert first.poll() is None, "the first run ended too early for this test"
        assert second.returncode == 2
        assert str(first.pid) in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()


def test_locks_of_this_system_work(tmp_path):
    """The tests above rest on `flock`; say so if this file system has none."""
    path = tmp_path / "lock"
    with path.open("w") as one, path.open("w") as two:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BlockingIOError):
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
