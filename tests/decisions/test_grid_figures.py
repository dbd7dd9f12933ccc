"""The pictures of grids, penalties and constraints show what the rows say."""

from __future__ import annotations

import pytest

from coset.core.errors import ConfigError
from coset.decisions.experiments.cliff import CliffConfig, cliff
from coset.decisions.experiments.constraint import ConstraintConfig, constraint
from coset.decisions.experiments.frozen_lake import FrozenLakeConfig, frozen_lake
from coset.decisions.figures.maps import cliff_maps, lake_maps, lake_maps_large, lake_outcomes
from coset.decisions.figures.penalties import independence_reversal, penalty_phases
from coset.lab.context import RunContext
from coset.lab.figure_style import save_svg


def rows_of(function, config, folder):
    return list(function(config, RunContext("decisions.test", config, folder)))


@pytest.fixture(scope="module")
def lake_rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    return [
        row
        for name in ("4x4", "8x8")
        for row in rows_of(frozen_lake, FrozenLakeConfig(map=name), folder)
    ]


@pytest.fixture(scope="module")
def cliff_rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cliff")
    config = {"penalties": (10.0, 30.0, 100.0)}
    return [r for n in (3, 10, 50) for r in rows_of(cliff, CliffConfig(length=n, **config), folder)]


def words(axes):
    return [text.get_text() for text in axes.texts]


def test_a_map_has_the_arrows_of_the_rows(lake_rows):
    figure = lake_maps(lake_rows, [])
    first, second = figure.axes[:2]
    assert len(figure.axes) == 6
    assert first.get_title().startswith("goal first")
    assert words(first)[:4] == ["any", "↑", "↑", "↑"]  # all four are as sure
    assert words(second)[:4] == ["←", "↑", "↑", "↑"]  # one of them is quickest
    assert words(first).count("hole") == 4
    assert words(second)[6] == "←→"
    depths = [patch.get_facecolor()[3] for patch in second.patches]
    assert depths[14] == max(depths[i] for i in (0, 1, 2, 3, 4, 6, 8, 9, 10, 13, 14))


def test_the_large_lake_has_its_own_maps(lake_rows):
    figure = lake_maps_large(lake_rows, [])
    assert [len(axes.texts) for axes in figure.axes] == [64, 64, 64]
    tall = [row for row in lake_rows if row["map"] == "4x4"]
    assert len(lake_maps_large(tall, []).axes[0].texts) == 0  # nothing to show


def test_outcomes_stand_at_their_steps_and_chances(lake_rows):
    small, large = lake_outcomes(lake_rows, []).axes
    points = {line.get_label(): line.get_xydata()[0].tolist() for line in small.lines}
    assert points["goal > steps"] == pytest.approx([48.705882, 14 / 17], abs=1e-6)
    assert points["goal, γ = 0.9"] == pytest.approx([43.463415, 0.780488], abs=1e-6)
    assert words(small) == ["may wait for ever"]
    # The words stand left of their mark, inside the panel.
    note = small.texts[0].get_window_extent()
    assert note.x0 > small.get_window_extent().x0
    assert note.x1 < small.transData.transform(points["safety > goal, γ = 0.99"])[0]
    assert points["safety > goal, γ = 0.99"][0] > 48.8
    assert words(large) == []


def test_cliff_maps_show_each_way_to_act_once(cliff_rows):
    figure = cliff_maps(cliff_rows, [])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "goal > steps: arrives 100%, 64.7 steps"
    assert titles[1] == "penalty 10: arrives 0%, 3.0 steps"
    assert not any("penalty 100" in title for title in titles)  # as goal first
    assert words(figure.axes[0])[36] == "←"
    assert words(figure.axes[1])[36] == "↓"


def test_phases_have_a_mark_a_run_and_the_threshold(cliff_rows):
    (axes,) = penalty_phases(cliff_rows, []).axes
    marks = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert marks["walks as goal-first does"] == [[3, 100], [10, 100]]
    assert marks["risks a fall"] == [[3, 30]]
    assert marks["jumps off"] == [[3, 10], [10, 10], [10, 30], [50, 10], [50, 30], [50, 100]]
    assert [length for length, _ in marks["least penalty that works"]] == [3, 10, 50]
    assert marks["least penalty that works"][1][1] == pytest.approx(64.7092, abs=1e-4)


def test_the_reversal_is_drawn_where_it_happens(tmp_path):
    rows = rows_of(constraint, ConstraintConfig(num_shares=12), tmp_path)
    mixtures = [row for row in rows if row["kind"] == "mixture"]
    # o1 breaks the constraint until a third of o3 is mixed in: then A = (8/3, 0).
    assert [row["constrained"] for row in mixtures] == [-1] * 4 + [1] * 8
    assert mixtures[4]["a_1"] == pytest.approx(8 / 3)
    assert (mixtures[4]["a_2"], mixtures[4]["a_feasible"]) == (0.0, True)
    assert all(row["lexicographic"] == -1 for row in mixtures)
    half = mixtures[6]
    assert [half[c] for c in ("a_1", "a_2", "b_1", "b_2")] == [2, 1, 1, 3]
    plane, signs = independence_reversal(rows, []).axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in signs.lines}
    steps = [y for name, y in drawn.items() if name.startswith("_")]
    assert [-1] * 4 + [1] * 8 in steps
    assert "A" in words(plane)
    stars = [ln.get_xydata()[0].tolist() for ln in plane.lines if ln.get_marker() == "*"]
    assert stars == [[2, 2], [2, 1]]  # B = o2 alone, A by halves


@pytest.mark.parametrize("shares", [1, 100_001])
def test_impossible_numbers_of_shares_are_refused(shares, tmp_path):
    with pytest.raises(ConfigError, match="num_shares"):
        rows_of(constraint, ConstraintConfig(num_shares=shares), tmp_path)


def test_every_picture_is_written_equal_twice(lake_rows, cliff_rows, tmp_path):
    reversal = rows_of(constraint, ConstraintConfig(), tmp_path)
    for draw, rows in (
        (lake_maps, lake_rows),
        (lake_outcomes, lake_rows),
        (cliff_maps, cliff_rows),
        (penalty_phases, cliff_rows),
        (independence_reversal, reversal),
    ):
        first, second = (
            save_svg(draw(rows, []), tmp_path / f"{draw.__name__}{i}.svg").read_bytes()
            for i in range(2)
        )
        assert first == second
        assert len(first) > 1000
