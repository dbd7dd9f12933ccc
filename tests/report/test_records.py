from __future__ import annotations

import json

import pytest

from coset.report.records import read_records
from report.synthetic import record, store_records


def _read(folder, **changes):
    """Store one verdict with changed fields and read it back."""
    values = record(**{k: v for k, v in changes.items() if k in ("seen", "expected")})
    for name, value in changes.items():
        if name.startswith("result_"):
            values["result"][name.removeprefix("result_")] = value
        else:
            values[name] = value
    (folder / "sharing.C1.json").write_text(json.dumps(values))
    return read_records(folder)


def test_a_good_record_is_read(tmp_path):
    records, notices = read_records(store_records(tmp_path, record()))
    assert notices == []
    assert records["sharing.C1"].as_expected
    assert records["sharing.C1"].mutants_caught == 2


def test_a_missing_folder_is_an_empty_one(tmp_path):
    assert read_records(tmp_path / "nowhere") == ({}, [])


@pytest.mark.parametrize(
    "content",
    [b"", b"{torn", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"claim": "sharing.C1"}'],
)
def test_a_damaged_file_becomes_a_notice(tmp_path, content):
    (tmp_path / "sharing.C1.json").write_bytes(content)
    records, notices = read_records(tmp_path)
    assert records == {}
    assert len(notices) == 1
    assert "sharing.C1.json" in notices[0].where


@pytest.mark.parametrize(
    "changes",
    [
        {"seen": "maybe"},
        {"as_expected": "yes"},
        {"expected": ["holds"]},
        {"result_measured": {"a": 1}},
        {"result_interval": [1]},
        {"result_sample_size": 1.5},
        {"result_evidence": "text"},
        {"mutants": [{"name": "x", "caught": 1, "near_miss": True}]},
        {"mutants": "all"},
        {"duration_s": "long"},
        {"result": None},
        {"claim": "sharing.C2"},
        {"claim": ""},
        {"result_holds": False},
    ],
)
def test_a_record_of_the_wrong_form_becomes_a_notice(tmp_path, changes):
    records, notices = _read(tmp_path, **changes)
    assert records == {}
    assert len(notices) == 1


def test_a_foreign_file_becomes_a_notice_and_a_hidden_one_does_not(tmp_path):
    store_records(tmp_path, record())
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "sharing.C3.json").mkdir()
    (tmp_path / ".sharing.C1.json.x.tmp").write_text("{")
    records, notices = read_records(tmp_path)
    assert list(records) == ["sharing.C1"]
    assert len(notices) == 2


def test_a_record_that_praises_itself_is_not_believed(tmp_path):
    records, notices = _read(tmp_path, seen="refuted", as_expected=True)
    assert not records["sharing.C1"].as_expected
    assert len(notices) == 1


@pytest.mark.parametrize(
    "changes",
    [{"problem": "Traceback"}, {"mutants": [{**record()["mutants"][0], "caught": False}]}],
)
def test_a_problem_or_a_mutant_that_escaped_is_not_as_expected(tmp_path, changes):
    records, _ = _read(tmp_path, **changes)
    assert not records["sharing.C1"].as_expected


def test_numbers_that_are_not_finite_are_kept(tmp_path):
    records, notices = _read(tmp_path, result_measured="nan")
    assert notices == []
    assert records["sharing.C1"].result["measured"] == "nan"
