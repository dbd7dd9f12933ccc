from __future__ import annotations

import pytest

from coset.report.comparison import compare_numbers
from coset.report.runs import view_experiments
from report.synthetic import experiment, number, run


def _compare(numbers, runs, experiments=None):
    views = view_experiments(experiments or [experiment()], runs)
    return compare_numbers({"sharing": {"paper": "a paper", "numbers": numbers}}, views)


def _runs(accuracies, preset="smoke", **changes):
    return [
        run([{"test_accuracy": value}], {"method": "fc", "seed": seed}, preset=preset, **changes)
        for seed, value in enumerate(accuracies)
    ]


def test_the_farthest_number_comes_first_and_unknown_ones_last():
    numbers = [number("a", 80.0), number("b", None), number("c", 40.0), number("d", 5.0, ours=None)]
    rows, notices = _compare(numbers, _runs([0.75]))
    assert [row.id for row in rows] == ["c", "a", "d", "b"]
    assert notices == []


def test_the_interval_is_the_t_interval_over_seeds():
    (row,), _ = _compare([number()], _runs([0.7, 0.8]))
    assert row.ours.value == pytest.approx(75.0)
    # Two values one apart by 10: standard error 5, quantile 12.7062.
    assert row.ours.interval == pytest.approx((75 - 63.531, 75 + 63.531), abs=1e-3)
    assert row.ours.seeds == ("0", "1")


def test_one_seed_has_no_interval():
    (row,), _ = _compare([number()], _runs([0.75]))
    assert row.ours.interval is None
    assert row.ours_text == "75 %"
    assert row.difference == pytest.approx(-10.19)
    assert row.difference_text == "−10.2 points (12 % of it)"


def test_the_selection_is_kept_to():
    runs = [*_runs([0.75]), run([{"test_accuracy": 0.1}], {"method": "cnn", "seed": 0})]
    (row,), _ = _compare([number()], runs)
    assert row.ours.values == (75.0,)


def test_our_budget_comes_from_the_configuration():
    config = {"method": "fc", "dataset": "digits", "model.side": 7, "num_train": 1000, "rate": 3.0}
    runs = [
        run([{"test_accuracy": 0.7}], {**config, "seed": seed, "num_epochs": 15 + seed})
        for seed in (0, 1)
    ]
    (row,), _ = _compare([number()], runs)
    expected = "dataset digits, model.side 7, num_train 1,000, num_epochs 15 or 16, 2 seeds"
    assert row.ours.budget == expected


def test_a_budget_without_fields_is_the_number_of_seeds():
    (row,), _ = _compare([number()], _runs([0.7]))
    assert row.ours.budget == "1 seed"


def test_the_largest_preset_that_has_rows_is_used():
    runs = [*_runs([0.1]), *_runs([0.9], preset="paper"), *_runs([0.5], preset="cpu")]
    (row,), _ = _compare([number()], runs)
    assert (row.ours.preset, row.ours.value) == ("paper", pytest.approx(90.0))


def test_runs_of_no_preset_are_not_compared_silently_with_presets():
    (row,), _ = _compare([number()], [*_runs([0.1], preset=""), *_runs([0.9])])
    assert row.ours.preset == "smoke"


def test_several_rows_a_seed_are_told():
    runs = [run([{"test_accuracy": 0.7}, {"test_accuracy": 0.8}], {"method": "fc", "seed": 0})]
    (row,), _ = _compare([number()], runs)
    assert row.ours.value == pytest.approx(75.0)
    assert "2 rows" in row.ours.remark


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        ([], "no finished run"),
        (_runs([0.5], status="failed"), "no finished run"),
        ([run([{"test_accuracy": "high"}], {"method": "fc"})], "no finished run"),
        ([run([{"test_accuracy": True}], {"method": "fc"})], "no finished run"),
    ],
)
def test_without_rows_there_is_a_reason(runs, why):
    (row,), _ = _compare([number()], runs)
    assert row.ours is None
    assert why in row.why_not


def test_a_number_that_was_not_found_is_kept_beside_ours():
    (row,), _ = _compare([number(value=None)], _runs([0.75]))
    assert row.published_text == "not found"
    assert row.ours.value == pytest.approx(75.0)
    assert row.difference_text == "–"


def test_a_published_zero_does_not_divide():
    (row,), _ = _compare([number(value=0)], _runs([0.75]))
    assert row.distance == pytest.approx(75.0)


@pytest.mark.parametrize(
    "entry",
    [
        "text",
        {"what": "no id"},
        number(value="85"),
        number(value=float("nan")),
        number(value=True),
        number(ours={"experiment": "sharing.nothing", "column": "x"}),
        number(ours={"experiment": "sharing.torus-digits"}),
        number(ours="text"),
    ],
)
def test_a_malformed_entry_becomes_a_notice(entry):
    rows, notices = _compare([entry, number("good")], _runs([0.75]))
    assert len(notices) == 1
    assert rows[0].id == "good"


@pytest.mark.parametrize(
    "changes", [{"scale": "many"}, {"scale": None}, {"scale": [1]}, {"select": "text"}]
)
def test_a_malformed_query_becomes_a_notice(changes):
    rows, notices = _compare([number(ours={**number()["ours"], **changes})], _runs([0.75]))
    assert len(notices) == 1
    assert rows[0].ours is None


def test_true_is_not_one():
    query = {**number()["ours"], "select": {"seed": True}}
    (row,), _ = _compare([number(ours=query)], _runs([0.7, 0.8]))
    assert row.ours is None
