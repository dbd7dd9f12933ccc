"""The experiments of learning: rows, certificates on disk, impossible settings, pictures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from coset.core.errors import ConfigError
from coset.core.files import read_json
from coset.core.results import Certificate
from coset.lab.context import RunContext
from coset.lab.experiments import Preset, points
from coset.lab.figure_style import save_svg
from coset.lab.runner import run_preset
from coset.lab.store import RunStore
from coset.ssm.experiments.joint_training import JointTrainingConfig, joint_training
from coset.ssm.experiments.learned_trackers import LearnedTrackersConfig, learned_trackers
from coset.ssm.figures.gap_map import gap_map
from coset.ssm.figures.gap_map import learned_trackers as draw_learned

TINY = LearnedTrackersConfig(restarts=16, num_tries=1, num_long_words=2, long_length=500)


def row_of(config, folder):
    (row,) = learned_trackers(config, RunContext("ssm.learned-trackers", config, folder))
    return row


@pytest.mark.experiment
def test_a_solvable_group_gives_a_certified_row(tmp_path):
    row = row_of(TINY, tmp_path)
    assert row["is_certified"] is True
    assert (row["order"], row["derived_length"], row["num_layers"]) == (6, 2, 2)
    assert (row["layers"], row["num_pairs"], row["stalled_stage"]) == ("[2][3]", 36, 0)
    assert row["long_accuracy"] == 1.0
    assert row["total_tries"] == 2
    assert 1 <= row["first_useful"] <= row["first_restarts"] == 16
    assert row["residual"] < 0.5
    assert Certificate.from_json(read_json(tmp_path / "certificate.json")).verify()
    assert read_json(tmp_path / "seconds.json")[0]["seconds"] > 0
    assert row_of(TINY, tmp_path / "again") == row


@pytest.mark.experiment
def test_a_group_that_is_not_solvable_gives_an_honest_row(tmp_path):
    row = row_of(replace(TINY, group="A5", num_iterations=150), tmp_path)
    assert row["is_certified"] is False
    assert row["derived_length"] is None
    assert (row["layers"], row["stalled_stage"]) == ("", 1)
    assert row["best_gain"] < 0.1
    assert row["long_accuracy"] < 0.1


def test_impossible_settings(tmp_path):
    with pytest.raises(ConfigError, match="long_length"):
        row_of(replace(TINY, long_length=0), tmp_path)
    config = JointTrainingConfig(penalty=-1.0)
    with pytest.raises(ConfigError, match="penalty"):
        list(joint_training(config, RunContext("ssm.joint-training", config, tmp_path)))


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    """Return rows of a small sweep over the recipes."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    small = ["restarts=4", "num_iterations=40"]
    records = run_preset("ssm.joint-training", "smoke", small, store=store)
    assert [record.error for record in records] == [None] * 3
    return [dict(row) for record in records for row in record.rows]


@pytest.mark.experiment
def test_each_recipe_gives_a_sound_row(joint):
    assert [row["recipe"] for row in joint] == ["joint-raw", "joint-quantized", "greedy"]
    for row in joint[:2]:
        assert 0 <= row["num_exact"] <= row["num_restarts"] == 4
        assert row["is_certified"] == (row["num_exact"] > 0)
        assert 0 < row["accuracy_24"] < 1
    assert joint[2]["num_exact"] is None


def texts(figure):
    (axes,) = figure.axes
    labels = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]
    return [text.get_text() for text in labels]


def test_the_gap_map_shows_every_recipe_beside_what_was_published(joint, tmp_path):
    figure = gap_map(joint, [])
    assert isinstance(figure, Figure)
    shown = texts(figure)
    assert "S3" in shown
    assert "< 100" in shown  # the published AUSSM on S3
    greedy = joint[2]["is_certified"]
    assert ("1/1" in shown) == (greedy or any(row["is_certified"] for row in joint[:2]))
    assert any("one after the other" in text for text in shown)
    save_svg(figure, tmp_path / "gap.svg")


def test_a_group_without_a_recipe_is_said_to_be_not_run(joint):
    other = {**joint[2], "group": "Q8", "order": 8}
    shown = texts(gap_map([*joint, other], []))
    assert shown.count("not run") == 2
    assert "not found" in shown


def test_learned_trackers_are_drawn_with_their_seconds(tmp_path):
    store = RunStore(tmp_path)
    small = ["restarts=16", "num_long_words=2", "long_length=100", "num_iterations=150"]
    records = run_preset("ssm.learned-trackers", "smoke", small, store=store, seeds=(0,))
    rows = [dict(row) for record in records for row in record.rows]
    shown = texts(draw_learned(rows, [record.folder for record in records]))
    assert any(text.startswith("0/1   best gain") and text.endswith(" s") for text in shown)
    assert {"S3", "A5"} <= set(shown)


def test_the_presets_name_groups_that_exist():
    from coset.groups import parse_group
    from coset.lab.experiments import find_experiment

    item = find_experiment("ssm.learned-trackers")
    assert all(isinstance(p, Preset) for p in item.presets.values())
    for name in item.presets:
        configs = points(item, name)
        assert all(parse_group(group).order > 1 for group in {c.group for c in configs})
    assert len(points(item, "cpu")) == 160
