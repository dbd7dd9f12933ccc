"""C10: its judge on rows made by hand, where the verdict is known."""

from __future__ import annotations

import pytest

import coset.ssm.claims.learning  # noqa: F401
from coset.core.claims import find_claim
from coset.core.judging import judge
from coset.ssm.claims.learning import wilson


def row(group="S3", seed=0, **values):
    solvable = group != "A5"
    return {
        "group": group,
        "seed": seed,
        "derived_length": 2 if solvable else None,
        "num_layers": 2 if solvable else 0,
        "is_certified": solvable,
        "long_accuracy": 1.0 if solvable else 0.02,
        "stalled_stage": 0 if solvable else 1,
        "best_gain": 1.1 if solvable else 0.01,
        **values,
    }


def seen(rows, mutants=False):
    return judge(find_claim("ssm.C10"), rows=rows, mutants=mutants)


def good():
    return [row(g, s) for g in ("S3", "A4") for s in range(10)] + [row("A5", s) for s in (0, 1)]


def test_it_holds_and_every_mutant_is_caught():
    judged = seen(good(), mutants=True)
    assert judged.seen == "holds"
    assert judged.as_expected
    assert "A4 10/10, S3 10/10; 20 of 20 with as few layers" in judged.result.detail
    assert judged.result.interval[0] == pytest.approx(wilson(20, 20)[0])


def test_one_failure_in_ten_is_allowed_and_two_are_not():
    rows = good()
    rows[0]["is_certified"] = False
    assert seen(rows).seen == "holds"
    rows[1]["is_certified"] = False
    judged = seen(rows)
    assert judged.seen == "refuted"
    assert judged.result.counterexample["group"] == "S3"


@pytest.mark.parametrize(
    "change",
    [{"is_certified": True}, {"best_gain": 0.2}, {"stalled_stage": 2}],
)
def test_the_control_must_fail_in_its_first_layer(change):
    assert seen([*good(), row("A5", 2, **change)]).seen == "refuted"


def test_a_certified_tracker_must_be_right_on_long_words():
    assert seen([*good(), row("A4", 11, long_accuracy=0.9999)]).seen == "refuted"
    assert seen([*good(), row("A4", 11, is_certified=False, long_accuracy=0.3)]).seen == "holds"


def test_without_a_solvable_group_nothing_is_decided():
    assert seen([row("A5")]).seen == "open"


def test_wilson():
    low, high = wilson(0, 10)
    assert low == 0
    assert high == pytest.approx(0.2775, abs=1e-3)


def test_the_counterexample_is_a_seed_that_failed():
    rows = good()
    rows[3]["is_certified"] = rows[4]["is_certified"] = False
    assert seen(rows).result.counterexample["seed"] == 3
