from __future__ import annotations

from coset.report.runs import data_used, view_experiments
from report.synthetic import experiment, run


def _view(*runs, **changes):
    return view_experiments([experiment(**changes)], runs)[0]


def _grid(*seeds):
    return [
        run([{"test_accuracy": 0.5 + seed}], {"seed": seed, "model.width": 64}) for seed in seeds
    ]


def test_columns_that_agree_are_told_once():
    (group,) = _view(*_grid(0, 1)).groups
    assert group.constants == {"model.width": "64"}
    assert group.config_columns == ["seed"]
    assert group.row_columns == ["test_accuracy"]
    assert group.cells(group.runs[1], group.runs[1].rows[0]) == [
        ("seed", "1"),
        ("test_accuracy", "1.5"),
    ]


def test_a_single_run_shows_its_whole_configuration():
    (group,) = _view(*_grid(0)).groups
    assert group.constants == {}
    assert group.config_columns == ["seed", "model.width"]


def test_a_row_that_contradicts_its_configuration_shows_both():
    odd = run([{"seed": 5}], {"seed": 0})
    (group,) = _view(odd, *_grid(1)).groups
    assert "seed" in group.row_columns


def test_presets_are_in_order_and_runs_of_no_preset_are_last():
    runs = [
        run([{}], {"seed": i}, preset=p) for i, p in enumerate(["", "paper", "own", "smoke", "cpu"])
    ]
    view = _view(*runs)
    assert [group.preset for group in view.groups] == ["smoke", "cpu", "paper", "", "own"]
    assert view.groups[3].label == "settings of no preset"
    assert view.missing_presets == []


def test_a_preset_whose_runs_all_failed_is_missing():
    view = _view(run([], status="failed"))
    assert view.missing_presets == ["smoke", "cpu", "paper"]
    assert len(view.groups[0].unfinished) == 1


def test_runs_of_an_unknown_experiment_are_kept():
    views = view_experiments([experiment()], [run([{}], experiment="gone.forever")])
    assert [view.id for view in views] == ["sharing.torus-digits", "gone.forever"]
    assert not views[1].is_registered
    assert len(views[1].runs) == 1


def test_the_data_come_from_rows_then_configuration_then_experiment():
    assert data_used(run([{"data": "mnist"}], {"data": "digits"}), ("x",)) == "mnist"
    assert data_used(run([{"a": 1}], {"dataset": "digits"}), ("x",)) == "digits"
    assert data_used(run([{"a": 1}]), ("x", "y")) == "x, y"
    assert data_used(run([{"a": 1}]), ()) == "generated (no data set)"


def test_data_that_can_be_used_and_data_used_so_far_differ():
    both = ("digits", "mnist")
    view = _view(run([{"a": 1}], {"dataset": "digits"}), run([{"dataset": "own"}]), data=both)
    assert (view.data_can, view.data_so_far) == ("digits, mnist", "digits, own")
    assert _view(run([{"a": 1}]), data=both).data_so_far == "digits, mnist"
    failed = run([], {"dataset": "mnist"}, status="failed")
    assert _view(failed, data=both).data_so_far == "none: no row is stored"
    assert _view(data=()).data_can == "generated (no data set)"


def test_the_same_run_in_two_presets_has_two_anchors():
    one, two = run([{}], preset="smoke"), run([{}], preset="cpu")
    assert one.anchor != two.anchor
