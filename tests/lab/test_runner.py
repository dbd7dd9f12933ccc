from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coset.core.errors import ConfigError, RunLockedError, StorageError, UnknownNameError
from coset.lab.experiments import find_experiment, points
from coset.lab.locks import run_lock
from coset.lab.point import Outcome, execute
from coset.lab.runner import rows_of, run_preset
from coset.lab.store import RunStore
from coset.lab.sweeps import LocalEngine

TESTS = Path(__file__).parents[1]


def _sweep(root, engine=None, name="toy.draw", **keywords):
    return run_preset(
        name, "smoke", engine=engine, store=RunStore(root), module="lab.toys", **keywords
    )


@pytest.fixture
def pool_path(monkeypatch):
    monkeypatch.syspath_prepend(str(TESTS))


@pytest.mark.parametrize("num_workers", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_rows_and_their_order_do_not_depend_on_the_workers(tmp_path, pool_path, num_workers):
    one = _sweep(tmp_path / "one")
    many = _sweep(tmp_path / "many", LocalEngine(num_workers))
    assert rows_of(many) == rows_of(one)
    assert [r.command for r in many] == [r.command for r in one]
    assert [r.environment["num_threads"] for r in many] == [1] * 6
    configs = points(find_experiment("toy.draw"), "smoke")
    assert [(r.config["method"], r.config["seed"]) for r in many] == [
        (c.method, c.seed) for c in configs
    ]


def test_failures_and_dead_workers_are_recorded_and_the_sweep_goes_on(
    tmp_path, pool_path, monkeypatch
):
    records = _sweep(tmp_path / "runs", LocalEngine(1, isolate=True), "toy.fault")
    states = {r.config["mode"]: r.state for r in records}
    assert states == {"fine": "finished", "raises": "failed", "dies": "failed", "nan": "failed"}
    errors = {r.config["mode"]: r.error for r in records}
    assert errors["dies"] == "WorkerDied: worker died, exit code -9 (SIGKILL)"
    assert errors["raises"] == "ValueError: a toy fault"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "healed").touch()
    again = _sweep(tmp_path / "runs", name="toy.fault")
    assert [r.state for r in again] == ["finished"] * 4
    assert [r.was_stored for r in again] == [True, False, False, False]
    assert again[2].status["attempts"] == 2


def test_progress_counts_runs(tmp_path):
    seen = []
    _sweep(tmp_path, name="toy.walk", progress=lambda *values: seen.append(values))
    assert seen[0] == (0, 1, "")
    assert seen[-1] == (1, 1, "")
    assert any(0 < done < 1 for done, _, _ in seen)
    again = []
    _sweep(tmp_path, name="toy.walk", progress=lambda *values: again.append(values))
    assert again == [(1, 1, "")]


def test_a_locked_point_is_left_to_its_process_and_said_at_the_end(tmp_path):
    store = RunStore(tmp_path)
    item = find_experiment("toy.draw", "lab.toys")
    config = points(item, "smoke")[2]
    with run_lock(store.folder(item, config)), pytest.raises(RunLockedError, match="1 of 6 runs"):
        _sweep(tmp_path)
    assert len(store.rows("toy.draw")) == 5
    assert len(rows_of(_sweep(tmp_path))) == 6


class FakeEngine:
    """Does nothing, or what it is told, for the tasks it is given."""

    def __init__(self, kind=None):
        self.kind = kind
        self.tasks = []

    def run(self, tasks, report=None):
        self.tasks = list(tasks)
        for task in reversed(self.tasks):
            if self.kind:
                yield Outcome(task.index, self.kind, message="told so")
            else:
                yield execute(task)


def test_any_engine_gives_the_order_of_the_grid(tmp_path):
    engine = FakeEngine()
    assert rows_of(_sweep(tmp_path / "a", engine)) == rows_of(_sweep(tmp_path / "b"))
    assert len(engine.tasks) == 6
    _sweep(tmp_path / "a", engine)
    assert engine.tasks == []
    _sweep(tmp_path / "a", engine, fresh=True)
    assert len(engine.tasks) == 6


def test_a_storage_error_stops_the_sweep(tmp_path):
    with pytest.raises(StorageError, match="told so"):
        _sweep(tmp_path, FakeEngine("storage"))
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="COSET_OUT"):
        _sweep(tmp_path / "file")


def test_a_death_before_the_first_file_is_recorded(tmp_path):
    records = _sweep(tmp_path, FakeEngine("died"))
    assert {r.error for r in records} == {"WorkerDied: told so"}
    assert {r.state for r in RunStore(tmp_path).runs()} == {"failed"}
    assert len(rows_of(_sweep(tmp_path))) == 6


def test_wrong_requests_run_nothing(tmp_path):
    with pytest.raises(UnknownNameError):
        run_preset("toy.nothing", "smoke", store=RunStore(tmp_path / "x"))
    with pytest.raises(ConfigError):
        _sweep(tmp_path / "x", overrides=["seed=x"])
    with pytest.raises(ConfigError, match="at least 1"):
        LocalEngine(0)
    assert not (tmp_path / "x").exists()


@contextlib.contextmanager
def _script(name, num_workers):
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.sweep_script", name, str(num_workers)],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _await(condition):
    give_up = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_stopped_sweep_resumes(tmp_path, num_workers, number, pool_path):
    root = tmp_path / "out" / "runs"
    store = RunStore(root)
    with _script("toy.wait", num_workers) as process:
        _await(lambda: len(list(root.glob("*/*/begun"))) == num_workers)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=60)
        if number == signal.SIGINT:
            assert "KeyboardInterrupt" in errors
            written = [r.status["state"] for r in store.runs()]
            assert written == ["interrupted"] * num_workers
    _await(lambda: [r.state for r in store.runs()] == ["interrupted"] * num_workers)
    (tmp_path / "out" / "go").touch()
    records = _sweep(root, name="toy.wait")
    assert [r.rows[0]["name"] for r in records] == ["a", "b", "c"]
    assert [r.status["attempts"] for r in records] == [2] * num_workers + [1] * (3 - num_workers)


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told_so(tmp_path):
    script = tmp_path / "careless.py"
    script.write_text(
        "from coset.lab.runner import run_preset\n"
        "from coset.lab.sweeps import LocalEngine\n"
        "run_preset('toy.draw', 'smoke', engine=LocalEngine(2), module='lab.toys')\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert '__name__ == "__main__"' in done.stderr.splitlines()[-1]
