from __future__ import annotations

import json
import math

import numpy
import pytest
import torch

from coset.core.errors import ConfigError, FileFormatError
from coset.lab.context import RunContext
from coset.lab.metrics import MetricsLog, read_metrics
from lab.toys import DrawConfig


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def _log(path, *steps):
    log = MetricsLog(path)
    for step in steps:
        log.log(step, loss=step / 2)
    return log


def _steps(path):
    return [line["step"] for line in read_metrics(path)]


def test_values_come_back_exactly(path):
    log = MetricsLog(path)
    log.log(1, a=0.1, b=True, c=None, d="text", e=torch.tensor(2.5), f=numpy.float32(0.5))
    log.log(2, a=math.nan, b=math.inf, c=-math.inf, d=torch.tensor(3))
    first, second = read_metrics(path)
    assert first == {"step": 1, "a": 0.1, "b": True, "c": None, "d": "text", "e": 2.5, "f": 0.5}
    assert math.isnan(second["a"])
    assert (second["b"], second["c"], second["d"]) == (math.inf, -math.inf, 3)
    assert json.loads(path.read_text().splitlines()[1])["a"] == "nan"


def test_a_value_that_is_no_scalar_is_refused(path):
    with pytest.raises(ConfigError, match="metric loss must be a number"):
        MetricsLog(path).log(1, loss=[1, 2])
    with pytest.raises(ConfigError, match="metric loss"):
        MetricsLog(path).log(1, loss=torch.zeros(2))


def test_the_first_line_of_a_resumed_run_drops_what_followed_its_checkpoint(path):
    _log(path, 1, 2, 3, 4).close()
    _log(path, 3, 4, 5)
    assert _steps(path) == [1, 2, 3, 4, 5]


def test_a_run_that_starts_anew_starts_a_new_log(path):
    _log(path, 5, 3, 9).close()
    _log(path, 5, 3)
    assert _steps(path) == [5, 3]


def test_a_checkpoint_knows_its_place_exactly(path):
    log = _log(path, 1, 1, 2)
    state = log.state_dict()
    log.log(2, late=1)
    log.log(3, late=1)
    log.close()
    resumed = MetricsLog(path)
    resumed.load_state_dict(state)
    resumed.log(2, late=2)
    assert _steps(path) == [1, 1, 2, 2]
    assert resumed.state_dict() == {"num_lines": 4}


@pytest.mark.parametrize(
    "tail", [b"{", b'{"step": 3, "loss": 1.', b'{"step": 3, "loss": 1.5}', b"\xff"]
)
def test_a_torn_last_line_is_dropped(path, tail):
    _log(path, 1, 2).close()
    with path.open("ab") as stream:
        stream.write(tail)
    assert _steps(path) == [1, 2]
    _log(path, 3)
    assert _steps(path) == [1, 2, 3]


def test_a_damaged_line_in_the_middle_is_named(path):
    path.write_bytes(b'{"step": 1}\nrubbish\n{"step": 3}\n')
    with pytest.raises(FileFormatError, match="line 2"):
        read_metrics(path)
    _log(path, 3)
    assert _steps(path) == [1, 3]


def test_a_missing_log_is_empty(path):
    assert read_metrics(path) == []


def test_streams_depend_on_names_and_configuration_only(tmp_path):
    def number(config, *names, **keywords):
        run = RunContext("toy.draw", config, tmp_path)
        return torch.rand((), generator=run.generator(*names, **keywords)).item()

    config = DrawConfig()
    assert number(config, "a") == number(DrawConfig(clip=None), "a")
    assert number(config, "a") != number(config, "b")
    assert number(config, "a") != number(DrawConfig(seed=1), "a")
    paired = {"without": ("method", "shuffled")}
    assert number(config, "a", **paired) == number(DrawConfig(method="own"), "a", **paired)
    assert number(config, "a", **paired) != number(DrawConfig(seed=1), "a", **paired)
    with pytest.raises(ConfigError, match="without must name fields"):
        number(config, "a", without=("methods",))


def test_progress_is_passed_on_seldom_but_always_at_the_end(tmp_path):
    seen = []
    run = RunContext("toy.draw", DrawConfig(), tmp_path, lambda *values: seen.append(values))
    for step in range(1, 1001):
        run.progress(step, 1000, "x")
    assert seen[0] == (1, 1000, "x")
    assert seen[-1] == (1000, 1000, "x")
    assert len(seen) < 900
