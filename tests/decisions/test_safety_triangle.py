"""The experiment and the picture of the triangle."""

from __future__ import annotations

import re

import pytest

from coset.core.errors import ConfigError
from coset.decisions.experiments.safety_triangle import SafetyTriangleConfig, safety_triangle
from coset.decisions.figures.triangle import hausner_triangle
from coset.lab.context import RunContext
from coset.lab.figure_style import save_svg


def rows_of(tmp_path, **settings):
    config = SafetyTriangleConfig(**settings)
    return list(safety_triangle(config, RunContext("decisions.safety-triangle", config, tmp_path)))


def test_rows_lie_in_the_triangle_and_are_ranked(tmp_path):
    rows = rows_of(tmp_path, num_lotteries=40)
    assert [row["name"] for row in rows[:4]] == ["x", "y", "z", "o†"]
    assert {row["kind"] for row in rows[4:]} == {"lottery"}
    example = rows[4]
    assert (example["alpha"], example["safe_value"]) == (pytest.approx(2 / 3), 2.5)
    for row in rows:
        assert -1 <= row["first"] <= 0
        assert -(1 + row["first"]) - 1e-12 <= row["second"] <= 3 * (1 + row["first"]) + 1e-12
    ordered = sorted(rows, key=lambda row: row["rank"])
    values = [(round(row["first"], 12), round(row["second"], 12)) for row in ordered]
    assert values == sorted(values, reverse=True)
    assert ordered[0]["name"] == "x"
    assert ordered[-1]["rank"] == max(row["rank"] for row in rows if row["name"] == "o†")


def test_rows_depend_on_the_seed_only(tmp_path):
    assert rows_of(tmp_path) == rows_of(tmp_path)
    assert rows_of(tmp_path) != rows_of(tmp_path, seed=1)


@pytest.mark.parametrize("wrong", [{"num_lotteries": -1}, {"best": 0}, {"worst": 2}])
def test_wrong_settings_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match="best > middle > worst"):
        rows_of(tmp_path, **wrong)


def test_the_picture_shows_the_rows_with_equal_bytes(tmp_path):
    for rows in (rows_of(tmp_path), rows_of(tmp_path, num_lotteries=0)):
        figure = hausner_triangle(rows, [])
        first = save_svg(figure, tmp_path / "a.svg").read_bytes()
        assert first == save_svg(hausner_triangle(rows, []), tmp_path / "b.svg").read_bytes()
        text = first.decode()
        assert "1/3 o† + 1/2 x + 1/6 y" in text
        for name in ("u₁ = chance of safety − 1", ">x<", ">o†<"):
            assert re.search(re.escape(name), text)
    points = figure.axes[0].collections[0].get_offsets()
    assert len(points) == 1
