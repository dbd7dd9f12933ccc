from __future__ import annotations

import json

import pytest

from coset.core.files import output_folder
from coset.lab.store import RunStore
from coset.report import sources
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
    assert folders[0].parts[-2:] == ("benchmarks", "results")
