from __future__ import annotations

import json

import pytest

from coset.bench import BenchReport, load_report, load_reports, save_report
from coset.bench.results import Measurement, Point, Spread, results_folder
from coset.core.errors import FileFormatError, UnknownNameError


def make_report(id="toy.sum", complete=True, slug="cpu-one"):
    """Return a report with round numbers: ours 4 ms, peer 2 ms, part 1 ms, copy 0.5 ms."""
    ours = Measurement("sum", "ours", (0.004, 0.003, 0.005), (0.002, 0.003, 0.005), 2)
    peer = Measurement("loop", "peer", (0.002, 0.001, 0.0025), (0.002,) * 3, environment={"A": "b"})
    part = Measurement("half", "peer", (0.001,) * 3, (0.001,) * 3, partial="every other number")
    details = {"statement": "read once", "method": "m", "needed": 8, "rate": 2e9, "unit": "B/s"}
    copy = Measurement(
        "copy", "limit", (0.0005,) * 3, (0.0,) * 3, 9, "", "preallocated", limit=details
    )
    point = Point(1000, "centered", "ab", 7, (ours, peer, part, copy), (0.5,), (0.6,))
    versions = {"versions": {"python": "3.11", "torch": "2.13"}}
    machine = {
        "cpu": "CPU One",
        "cpu_family": "1",
        "cpu_model": "2",
        "num_usable_cpus": 2,
        "slug": slug,
    }
    return BenchReport(
        id=id,
        title="sum of a vector",
        when="2026-01-02T03:04:05+00:00",
        complete=complete,
        settings={"num_threads": 1, "load_at_start": [0.25, 0.5, 0.5]},
        gate={},
        machine=machine,
        source={"commit": "0123456789abcdef", "changed": []},
        processes={"": versions},
        points=(point,),
    )


def test_spread_is_the_five_numbers():
    assert Spread.of((5.0, 1.0, 4.0, 2.0, 3.0)) == Spread(1.0, 2.0, 3.0, 4.0, 5.0)
    assert Spread.of((7.0,)) == Spread(7.0, 7.0, 7.0, 7.0, 7.0)


def test_ratios_divide_medians_and_spread_over_paired_rounds():
    ratio = make_report().points[0].ratio("sum", "loop")
    assert ratio.value == 2.0
    assert (ratio.low, ratio.high) == (2.0, 2.5)


def test_the_share_of_the_processor_is_over_all_turns():
    assert make_report().cpu_share == pytest.approx((10 + 6 + 3) / (12 + 5.5 + 3 + 1.5))


def test_stored_json_shows_spread_and_ratios_but_trusts_only_the_times(tmp_path):
    report = make_report()
    path = save_report(report, tmp_path)
    assert path.name == "toy.sum-cpu-one.json"
    stored = json.loads(path.read_text())
    assert stored["points"][0]["ratios"][0]["value"] == 2.0
    assert stored["points"][0]["measurements"][0]["spread"]["median"] == 0.004
    assert load_report(path) == report
    stored["points"][0]["ratios"] = []
    path.write_text(json.dumps(stored))
    assert load_reports(tmp_path) == [report]


def test_a_partial_report_never_replaces_a_whole_one(tmp_path, monkeypatch):
    monkeypatch.setattr("coset.bench.results.checkout_folder", lambda: tmp_path)
    assert save_report(make_report()).parent == tmp_path / "benchmarks" / "results"
    assert save_report(make_report(complete=False)).parent == tmp_path / "out" / "bench"
    monkeypatch.setattr("coset.bench.results.checkout_folder", lambda: None)
    assert results_folder() == tmp_path / "out" / "bench"


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: value.pop("points"),
        lambda value: value.update(format=99),
        lambda value: value.update(surprise=1),
        lambda value: value["points"][0].pop("size"),
        lambda value: value["points"][0]["measurements"][0].update(seconds="soon"),
    ],
)
def test_a_damaged_report_names_the_file(tmp_path, damage):
    path = save_report(make_report(), tmp_path)
    value = json.loads(path.read_text())
    damage(value)
    path.write_text(json.dumps(value))
    with pytest.raises(FileFormatError, match=path.name):
        load_report(path)
    path.write_text("[1]")
    with pytest.raises(FileFormatError, match=path.name):
        load_report(path)


def test_an_unknown_measurement_is_named():
    with pytest.raises(UnknownNameError, match="loop"):
        make_report().points[0].find("lop")
