from __future__ import annotations

import json

import pytest
import torch

from coset.bench import BenchmarkRefusedError, BenchReport, WorkerError, run_benchmark
from coset.bench.gate import check_tests
from coset.core.errors import ConfigError, UnknownNameError, UnsupportedError
from coset.core.files import dump_json


def run(name, **options):
    return run_benchmark(name, **{"sizes": [200], "repeats": 3, **options})


def test_a_run_measures_everybody_at_every_point_and_records_where(toys):
    lines = []
    report = run("toy.sum", sizes=None, told=lines.append)
    assert report.complete
    assert [(p.variant, p.size) for p in report.points] == [
        ("centered", 200),
        ("centered", 500),
        ("shifted", 200),
        ("shifted", 500),
    ]
    first, last = report.points[0], report.points[-1]
    assert [m.name for m in first.measurements] == ["sum", "loop", "half", "sum elsewhere", "copy"]
    assert [m.role for m in last.measurements] == ["ours", *["peer"] * 4, "limit"]
    assert all(len(m.seconds) == 3 for p in report.points for m in p.measurements)
    assert last.find("sign").allocation == "preallocated"
    assert last.find("sum elsewhere").environment == toys.ELSEWHERE
    assert set(report.processes) == {"", "TOY_PLACE=elsewhere"}
    assert report.gate["comparisons"] == {"centered": 12, "shifted": 15}
    assert report.gate["tests"] == "the case names no tests"
    for facts in report.processes.values():
        assert facts["threads"]["torch"] == 1
        assert set(facts["versions"]) == {"python", "torch", "numpy", "numba", "scipy", "coset"}
        assert facts["numpy_simd"]["baseline"]
    assert any("round 3 of 3" in line for line in lines)


def test_a_report_survives_json(toys):
    report = run("toy.local", variants=["shifted"])
    assert not report.complete
    assert BenchReport.from_json(json.loads(dump_json(report.to_json()))) == report


@pytest.mark.parametrize("name", ["toy.wrong", "toy.wrong-when-large", "toy.wrong-elsewhere"])
def test_the_gate_refuses_a_wrong_contestant_before_anything_is_timed(toys, name, monkeypatch):
    def forbidden(*_):
        raise AssertionError("timed")

    monkeypatch.setattr("coset.bench.runner.measure", forbidden)
    with pytest.raises(BenchmarkRefusedError, match="right answer before anything is timed"):
        run(name)


def test_processes_that_see_other_inputs_are_refused(toys):
    with pytest.raises(BenchmarkRefusedError, match="same inputs"):
        run("toy.other-inputs")


def test_a_worker_that_dies_stops_the_run(toys):
    with pytest.raises(WorkerError, match="SIGKILL"):
        run("toy.dies")


def test_threads_are_restored(toys):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(BenchmarkRefusedError):
            run("toy.wrong")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"sizes": []}, ConfigError),
        ({"sizes": [0]}, ConfigError),
        ({"repeats": 0}, ConfigError),
        ({"num_threads": 0}, ConfigError),
        ({"device": "cuda"}, UnsupportedError),
        ({"variants": ["shifted", "centred"]}, UnknownNameError),
    ],
)
def test_wrong_arguments_are_named(toys, options, error):
    with pytest.raises(error, match=r"got|centered"):
        run("toy.sum", **options)


def test_red_tests_refuse_and_green_ones_are_recorded(tmp_path):
    (tmp_path / "test_green.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "test_red.py").write_text("def test_it():\n    assert False\n")
    assert check_tests(["test_green.py"], tmp_path) == "passed: test_green.py"
    for target in ("test_red.py", "test_absent.py"):
        with pytest.raises(BenchmarkRefusedError, match=target):
            check_tests([target], tmp_path)
    assert check_tests(["test_red.py"], None).startswith("not run")
