from __future__ import annotations

import pytest

from coset.report.compact import EXCERPT_ROWS, MAX_ROWS, compact_table, compared_columns
from coset.report.runs import view_experiments
from report.synthetic import experiment, number, run


def _table(runs, preferred=()):
    return compact_table(view_experiments([experiment()], runs)[0].groups[0], preferred)


def _grid():
    return [
        run([{"same": 1, **{f"r{i}": seed + i for i in range(7)}, "named": 0.123456}], config)
        for seed in (0, 1)
        for config in [{"seed": seed, "rate": 3.0}]
    ]


def test_settings_that_vary_then_named_results_then_the_first_that_vary():
    table = _table(_grid(), ["absent", "named"])
    assert table.settings == ("seed",)
    assert table.results == ("named", "r0", "r1", "r2", "r3")
    assert table.columns == table.settings + table.results
    assert [cells for _, cells in table.rows] == [
        ("0", "0.1235", "0", "1", "2", "3"),
        ("1", "0.1235", "1", "2", "3", "4"),
    ]


def test_a_result_that_never_varies_is_left_to_the_full_table():
    assert "same" not in _table(_grid()).results
    assert "named" not in _table(_grid()).results


def test_a_single_run_has_no_setting_that_varies():
    table = _table([run([{"a": 1}, {"a": 2}])])
    assert (table.settings, table.results, len(table.rows)) == ((), ("a",), 2)


def test_unfinished_runs_have_no_rows_and_long_tables_are_cut():
    runs = [run([{"a": i} for i in range(MAX_ROWS + 2)]), run([], {"seed": 1}, status="failed")]
    table = _table(runs)
    assert (len(table.rows), table.num_left_out) == (EXCERPT_ROWS, MAX_ROWS + 2 - EXCERPT_ROWS)
    assert {anchor for anchor, _ in table.rows} == {runs[0].anchor}


def test_an_excerpt_shows_rows_of_each_run():
    runs = [run([{"a": i} for i in range(MAX_ROWS)], {"seed": seed}) for seed in range(3)]
    anchors = [anchor for anchor, _ in _table(runs).rows]
    assert [anchors.count(r.anchor) for r in runs] == [EXCERPT_ROWS // 3] * 3
    many = [run([{"a": seed}], {"seed": seed}) for seed in range(MAX_ROWS + 5)]
    assert (len(_table(many).rows), _table(many).num_left_out) == (MAX_ROWS, 5)


@pytest.mark.parametrize("entry", ["text", {}, {"ours": None}, {"ours": {"column": 5}}])
def test_named_columns_are_those_of_the_experiment(entry):
    other = number(ours={"experiment": "sharing.other", "column": "loss"})
    published = [{"numbers": [entry, number("a"), number("b"), other]}, {}]
    assert compared_columns("sharing.torus-digits", published) == ["test_accuracy"]
