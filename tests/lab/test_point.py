from __future__ import annotations

import json
import os
import random
import resource
import time

import numpy
import pytest
import torch

from coset.core.errors import ConfigError, RunLockedError, StorageError
from coset.lab.experiments import find_experiment
from coset.lab.locks import is_locked, run_lock
from coset.lab.metrics import read_metrics
from coset.lab.point import run_point
from coset.lab.records import RunFailedError, rows_of
from coset.lab.store import RunStore
from lab.crash import in_fork, killed_at
from lab.toys import DrawConfig, FaultConfig, FitConfig, WaitConfig, WalkConfig


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def _walk_files(record):
    folder = record.folder
    left = sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return left, (folder / "metrics.jsonl").read_bytes(), (folder / "rows.jsonl").read_bytes()


def test_a_run_leaves_a_complete_folder(store):
    record = run_point("toy.walk", WalkConfig(), store, preset="smoke", module="lab.toys")
    assert record.state == "finished"
    assert record.rows[0]["num_steps"] == 4
    assert record.rows[0].keys() == {"num_steps", "keeps_metrics", "num_rows", "total", "row"}
    assert record.command == "coset run toy.walk --preset smoke"
    assert record.folder.parent == store.root / "toy.walk"
    assert len(record.folder.name) == 12
    files = {p.name for p in record.folder.iterdir()}
    assert files == {
        ".lock", "checkpoints", "config.json", "env.json", "metrics.jsonl", "rows.jsonl",
        "status.json",
    }  # fmt: skip
    status = json.loads((record.folder / "status.json").read_text())
    assert status["state"] == "finished"
    assert status["attempts"] == 1
    assert status["duration_s"] >= 0
    assert status["ended"] >= status["started"]
    assert len(read_metrics(record.folder / "metrics.jsonl")) == 8
    assert not any("time" in c or "duration" in c for c in record.rows[0])


def test_the_environment_names_versions_but_no_user_and_no_host(store):
    import platform

    record = run_point("toy.walk", WalkConfig(), store, module="lab.toys")
    text = (record.folder / "env.json").read_text()
    environment = record.environment
    assert environment["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert {"python", "coset", "cpu", "num_threads", "platform", "commit"} <= environment.keys()
    assert environment["num_threads"] == 1
    for name in (platform.node(), os.environ.get("USER"), os.path.expanduser("~")):
        assert not name or len(name) < 5 or name not in text
    assert record.is_current()


def test_a_finished_run_is_read_not_run(store):
    first = run_point("toy.walk", WalkConfig(), store, module="lab.toys")
    again = run_point("toy.walk", WalkConfig(), store, module="lab.toys")
    assert not first.was_stored
    assert again.was_stored
    assert again.rows == first.rows
    fresh = run_point("toy.walk", WalkConfig(), store, module="lab.toys", fresh=True)
    assert not fresh.was_stored
    assert fresh.status["attempts"] == 1
    assert fresh.rows == first.rows


def test_the_global_random_states_are_the_runs_own(store, tmp_path):
    rows = []
    for number in range(2):
        torch.manual_seed(number)
        random.seed(number)
        numpy.random.seed(number)  # noqa: NPY002
        before = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].copy()  # noqa: NPY002
        record = run_point("toy.draw", DrawConfig(), RunStore(tmp_path / str(number)))
        rows.append(record.rows)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert random.getstate() == before[1]
        assert (numpy.random.get_state()[1] == before[2]).all()  # noqa: NPY002
    assert rows[0] == rows[1]
    other = run_point("toy.draw", DrawConfig(seed=1), store)
    assert other.rows[0]["value"] != rows[0][0]["value"]


def test_the_number_of_threads_is_the_runs_own(store):
    torch.set_num_threads(2)
    try:
        run_point("toy.draw", DrawConfig(), store, num_threads=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("raises", "ValueError: a toy fault"),
        ("exits", "SystemExit: 3"),
        ("nan", "row 0, column 'value' must be finite; given nan; use None"),
        ("none", "at least one row"),
        ("clash", "'mode' must equal the configuration's field, 'clash'; given 'other'"),
        ("list", "must be a number, a text, true, false or None; given list"),
    ],
)
def test_a_failure_is_recorded_and_tried_again(store, tmp_path, mode, message):
    config = FaultConfig(mode)
    record = run_point("toy.fault", config, store, module="lab.toys")
    assert record.state == "failed"
    assert message in (record.error or "")
    assert "Traceback" in (record.folder / "traceback.txt").read_text()
    assert record.status["error"]["traceback"] == "traceback.txt"
    assert not (record.folder / "rows.jsonl").exists()
    assert not is_locked(record.folder)
    with pytest.raises(RunFailedError, match="--set mode="):
        rows_of([record])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "healed").touch()
    healed = run_point("toy.fault", config, store, module="lab.toys")
    assert healed.state == "finished"
    assert healed.status["attempts"] == 2
    assert healed.error is None
    assert not (healed.folder / "traceback.txt").exists()


def test_an_interrupt_is_recorded_and_the_run_resumes(store, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_point("toy.fault", FaultConfig("interrupts"), store, module="lab.toys")
    (record,) = store.runs("toy.fault")
    assert record.state == "interrupted"
    assert json.loads((record.folder / "status.json").read_text())["state"] == "interrupted"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "healed").touch()
    again = run_point("toy.fault", FaultConfig("interrupts"), store, module="lab.toys")
    assert again.state == "finished"


def test_a_wrong_configuration_touches_nothing(store):
    with pytest.raises(ConfigError):
        run_point("toy.walk", DrawConfig(), store, module="lab.toys")
    with pytest.raises(ConfigError, match="num_steps must be int"):
        run_point("toy.walk", WalkConfig(num_steps="3"), store, module="lab.toys")  # type: ignore[arg-type]
    assert not store.root.exists()


@pytest.mark.parametrize("keeps_metrics", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_changes_nothing(tmp_path, keeps_metrics):
    config = WalkConfig(num_steps=2, keeps_metrics=keeps_metrics)
    right = run_point("toy.walk", config, RunStore(tmp_path / "right"), module="lab.toys")
    number = 0
    was_killed = True
    while was_killed:
        number += 1
        store = RunStore(tmp_path / f"killed-{number}")
        was_killed = killed_at(number, store.root, lambda s=store: run_point("toy.walk", config, s))
        for record in store.runs():
            assert record.state == "interrupted" or record.rows == right.rows
        again = run_point("toy.walk", config, store)
        assert again.rows == right.rows
        assert _walk_files(again) == _walk_files(right)
    assert number > 40


def test_a_kill_while_a_fresh_run_empties_the_folder(tmp_path):
    config = WalkConfig(num_steps=1)
    right = run_point("toy.walk", config, RunStore(tmp_path / "right"), module="lab.toys")
    number, was_killed = 0, True
    while was_killed:
        number += 2
        store = RunStore(tmp_path / f"killed-{number}")
        first = run_point("toy.walk", config, store)
        (first.folder / "figures").mkdir()
        (first.folder / "figures" / "old.svg").touch()
        was_killed = killed_at(
            number, store.root, lambda s=store: run_point("toy.walk", config, s, fresh=True)
        )
        again = run_point("toy.walk", config, store)
        assert again.rows == right.rows
        assert (again.folder / "figures").exists() == again.was_stored or number > 2


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_a_training_killed_at_any_moment_gives_the_same_bits(tmp_path, step):
    right = run_point("toy.fit", FitConfig(), RunStore(tmp_path / "right"), module="lab.toys")
    number, was_killed = 0, True
    while was_killed:
        number += step
        store = RunStore(tmp_path / f"killed-{number}")
        was_killed = killed_at(
            number, store.root, lambda s=store: run_point("toy.fit", FitConfig(), s)
        )
        again = run_point("toy.fit", FitConfig(), store)
        assert again.rows == right.rows
        for name in ("metrics.jsonl", "rows.jsonl"):
            assert (again.folder / name).read_bytes() == (right.folder / name).read_bytes()
        assert not list(again.folder.rglob("*.tmp"))
    assert number > 60


def test_two_kills_in_a_row(tmp_path):
    config = WalkConfig(num_steps=2)
    right = run_point("toy.walk", config, RunStore(tmp_path / "right"), module="lab.toys")
    for first, second in [(20, 5), (33, 33), (45, 12), (50, 30), (60, 8)]:
        store = RunStore(tmp_path / f"killed-{first}-{second}")
        for number in (first, second):
            killed_at(number, store.root, lambda s=store: run_point("toy.walk", config, s))
        assert _walk_files(run_point("toy.walk", config, store)) == _walk_files(right)


@pytest.mark.parametrize("limit", [0, 3, 100, 400, 700, 1000, 3000, 20_000, 40_000])
def test_a_full_disk_is_a_storage_error_and_the_run_resumes(tmp_path, limit):
    config = WalkConfig(num_steps=30, num_rows=500)
    right = run_point("toy.walk", config, RunStore(tmp_path / "right"), module="lab.toys")
    assert (right.folder / "rows.jsonl").stat().st_size > 40_000
    store = RunStore(tmp_path / "full")

    def body():
        with pytest.raises(StorageError, match="free some space"):
            run_point("toy.walk", config, store)

    assert in_fork(body, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) == 0
    for record in store.runs():
        assert record.state in ("failed", "interrupted")
        assert record.rows == ()
    assert _walk_files(run_point("toy.walk", config, store)) == _walk_files(right)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError, match="COSET_OUT"):
        run_point("toy.walk", WalkConfig(), RunStore(tmp_path / "runs"), module="lab.toys")
    assert RunStore(tmp_path / "runs").runs() == []


def test_an_experiments_own_storage_error_is_raised(store):
    with pytest.raises(StorageError, match="no space"):
        run_point("toy.fault", FaultConfig("full"), store, module="lab.toys")
    assert store.runs()[0].state == "failed"


def test_the_second_process_is_told_who_runs(store, tmp_path):
    item = find_experiment("toy.wait", "lab.toys")
    (tmp_path / "out").mkdir()
    folder = store.folder(item, WaitConfig())
    pid = os.fork()
    if pid == 0:
        run_point("toy.wait", WaitConfig(), store)
        os._exit(0)
    give_up = time.monotonic() + 60
    while not (folder / "begun").exists():
        assert time.monotonic() < give_up
        time.sleep(0.01)
    try:
        assert store.runs()[0].state == "running"
        with pytest.raises(RunLockedError, match=f"process {pid} does"):
            run_point("toy.wait", WaitConfig(), store)
    finally:
        (tmp_path / "out" / "go").touch()
        os.waitpid(pid, 0)
    assert run_point("toy.wait", WaitConfig(), store).was_stored


def test_a_lock_is_not_inherited_by_forked_children(tmp_path):
    readable, writable = os.pipe()
    with run_lock(tmp_path):
        assert is_locked(tmp_path)
        pid = os.fork()
        if pid == 0:
            os.close(writable)
            os.read(readable, 1)
            os._exit(0)
    try:
        with run_lock(tmp_path):
            pass
        assert not is_locked(tmp_path)
    finally:
        os.close(writable)
        os.close(readable)
        os.waitpid(pid, 0)


def test_a_lock_holds_within_one_process_too(tmp_path):
    with run_lock(tmp_path), pytest.raises(RunLockedError), run_lock(tmp_path):
        pass
    with run_lock(tmp_path):
        pass
