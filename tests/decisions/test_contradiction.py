"""The famous contradictions as rows, and their picture."""

from __future__ import annotations

import pytest

from coset.core.errors import ConfigError, UnavailableError
from coset.decisions.experiments.contradiction import ContradictionConfig, contradiction
from coset.decisions.figures.contradiction import contradiction_triangle
from coset.lab.figure_style import save_svg


def made(example):
    return list(contradiction(ContradictionConfig(example), None))


@pytest.mark.parametrize(
    ("example", "weights", "compound"),
    [("Allais", [0.5, 0.5], (0.45, 0.5, 0.05)), ("common ratio", [0.2, 0.8], (0.64, 0.2, 0.16))],
)
def test_usual_answers_are_refuted_and_the_others_are_not(example, weights, compound):
    rows = made(example)
    verdicts = {row["answers"]: row["name"] for row in rows if row["kind"] == "verdict"}
    assert verdicts == {"usual": "independence violation", "consistent": "representable"}
    used = [row["weight"] for row in rows if row["kind"] == "preference"]
    assert used == [*weights, 0.0, 0.0]
    (point,) = (row for row in rows if row["kind"] == "compound")
    assert (point["worst"], point["middle"], point["best"]) == compound
    (utility,) = (row for row in rows if row["kind"] == "utility")
    assert utility["weight"] > 0
    assert len({frozenset(row) for row in rows}) == 1


def test_an_unknown_example_is_named():
    with pytest.raises(ConfigError, match="common ratio"):
        made("Ellsberg")


def test_the_picture_shows_the_arrows_and_the_point(tmp_path):
    rows = made("common ratio")
    figure = contradiction_triangle(rows, [])
    above, below = figure.axes
    assert "independence violation" in above.get_title()
    assert "representable" in below.get_title()
    labels = above.get_legend_handles_labels()[1]
    assert "P = Q: preferred to itself" in labels
    assert "A ≻ B, weight 0.2" in labels
    star = next(line for line in above.lines if line.get_marker() == "*")
    assert star.get_xydata().tolist() == [[0.64, 0.16]]
    assert "indifference" in below.get_legend_handles_labels()[1]
    first = save_svg(figure, tmp_path / "a.svg").read_bytes()
    again = save_svg(contradiction_triangle(rows, []), tmp_path / "b.svg").read_bytes()
    assert first == again
    with pytest.raises(UnavailableError, match="given none"):
        contradiction_triangle([], [])
