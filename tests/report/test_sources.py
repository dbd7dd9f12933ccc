from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from coset.core.files import output_folder
from coset.lab import experiments
from coset.lab.experiments import Preset
from coset.lab.point import run_point
from coset.lab.store import RunStore
from coset.report import sources
from coset.report.links import checkout_folder
from coset.report.sources import benchmark_folders, read_sources
from report.synthetic import benchmark, record, store_records


def _read(folder, **changes):
    values = {
        "store": RunStore(folder / "runs"),
        "verifications": folder / "verify",
        "benchmarks": [folder / "results"],
    }
    return read_sources(**{**values, **changes})


def test_every_subject_is_listed_built_or_not(tmp_path):
    found = _read(tmp_path)
    assert len(found.subjects) == 7
    assert "sharing" in {s.subject.name for s in found.subjects if s.is_built}
    assert found.claims
    assert found.notices == ()


def test_a_verdict_of_an_unknown_claim_is_told(tmp_path):
    store_records(tmp_path / "verify", record("sharing.C999"))
    (notice,) = _read(tmp_path).notices
    assert "sharing.C999" in notice.problem


def test_a_subject_that_cannot_be_loaded_is_told(tmp_path, monkeypatch):
    def fail(name):
        raise ImportError("no such <module>")

    monkeypatch.setattr(sources, "claims_of", fail)
    notices = _read(tmp_path).notices
    assert any("claims of sharing" in n.where and "<module>" in n.problem for n in notices)


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b"\xff", b'{"points": 1}'])
def test_a_damaged_benchmark_is_told(tmp_path, content):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_bytes(content)
    (tmp_path / "results" / "b.json").write_text(json.dumps(benchmark()))
    found = _read(tmp_path)
    assert len(found.benchmarks) == 1
    assert len(found.notices) == 1


def test_foreign_files_in_the_run_store_are_told(tmp_path):
    folder = tmp_path / "runs" / "sharing.torus-digits" / "0123456789ab"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{torn")
    (tmp_path / "runs" / "notes.txt").write_text("hello")
    notices = _read(tmp_path).notices
    assert {"0123456789ab" in n.where for n in notices} == {True, False}
    assert len(notices) == 2


@pytest.mark.parametrize(
    "config",
    [
        {"experiment": 5, "version": 1, "digest": "d", "config": {}},
        {"experiment": "x.y", "version": "one", "digest": ["d"], "config": [1]},
        {"experiment": "x.y", "version": 1, "digest": "d", "config": {}, "command": {"a": 1}},
    ],
)
def test_a_hostile_run_folder_never_raises(tmp_path, config):
    folder = tmp_path / "runs" / "x.y" / "0123456789ab"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "status.json").write_text(json.dumps({"state": "failed", "error": "text"}))
    found = _read(tmp_path)
    assert found.runs or found.notices


def test_benchmarks_come_from_the_checkout_and_the_output_folder():
    folders = benchmark_folders()
    assert folders[-1] == output_folder() / "bench"
    if (root := checkout_folder()) is not None:
        assert folders[0] == root / "benchmarks" / "results"


@dataclass(frozen=True)
class SumConfig:
    num_terms: int = 2
    seed: int = 0


@pytest.fixture
def sums(monkeypatch):
    """Register an experiment of sharing for one test only."""
    monkeypatch.setattr(experiments, "_EXPERIMENTS", {})
    presets = {"smoke": Preset(SumConfig(), {"seed": (0, 1)}), "cpu": Preset(SumConfig(9))}

    @experiments.experiment("sharing.sums", title="sums", presets=presets, data=("none",))
    def add_up(config, run):
        yield {"total": config.num_terms + config.seed}

    item = experiments.find_experiment("sharing.sums")
    monkeypatch.setattr(sources, "experiments_of", lambda name: [item] if name == "sharing" else [])
    return item


def _run(item, store, *configs, preset="smoke"):
    for config in configs:
        run_point(item.id, config, store=store, preset=preset)


def test_stored_rows_are_read_with_their_preset_and_command(tmp_path, sums):
    store = RunStore(tmp_path / "runs")
    _run(sums, store, SumConfig(seed=0), SumConfig(seed=1), SumConfig(num_terms=5))
    found = _read(tmp_path)
    assert found.notices == ()
    by_rows = {(run.preset, run.rows[0]["total"]): run for run in found.runs}
    assert set(by_rows) == {("smoke", 2), ("smoke", 3), ("", 5)}
    assert by_rows["smoke", 3].command == "coset run sharing.sums --preset smoke --set seed=1"
    assert "--set num_terms=5" in by_rows["", 5].command
    assert all(run.is_current for run in found.runs)


def test_a_preset_that_has_changed_does_not_keep_its_old_command(tmp_path, sums):
    store = RunStore(tmp_path / "runs")
    _run(sums, store, SumConfig(seed=0))
    changed = {"smoke": Preset(SumConfig(num_terms=7), {"seed": (0, 1)})}
    object.__setattr__(sums, "presets", changed)
    (run,) = _read(tmp_path).runs
    assert run.preset == ""
    assert "--set num_terms=2" in run.command
    assert "num_terms" not in run.stored_command


def test_an_experiment_of_a_new_version_has_no_command_for_old_rows(tmp_path, sums):
    store = RunStore(tmp_path / "runs")
    _run(sums, store, SumConfig(seed=0))
    object.__setattr__(sums, "version", 2)
    (run,) = _read(tmp_path).runs
    assert (run.preset, run.command) == ("", "")
    assert run.stored_command.startswith("coset run sharing.sums")


def test_altered_rows_are_told_and_not_used(tmp_path, sums):
    store = RunStore(tmp_path / "runs")
    _run(sums, store, SumConfig(seed=0))
    (path,) = tmp_path.glob("runs/*/*/rows.jsonl")
    path.write_text('{"total": 1000}\n')
    found = _read(tmp_path)
    assert [run.status for run in found.runs] == ["damaged"]
    assert list(found.runs[0].rows) == []
    assert "not those that were written" in found.notices[0].problem
