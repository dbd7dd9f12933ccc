"""C19: its judge on rows made by hand, where the verdict is known."""

from __future__ import annotations

import pytest

from coset.core.claims import find_claim
from coset.core.judging import judge
from coset.sharing.claims.networks import CIRCULANT, CNN_FALL, SHARED


def rows(circulance=0.2, gain=0.01, fall=0.5, sides=(7, 14), methods=SHARED):
    found = []
    for side in sides:
        for shuffled in (False, True):
            common = {"side": side, "shuffled": shuffled, "num_test": 1000, "circulance": 0.14}
            found.append({**common, "method": "fc", "test_accuracy": 0.7})
            accuracy = 0.9 - fall * shuffled
            found.append({**common, "method": "cnn", "test_accuracy": accuracy})
            for method in methods:
                tied = {"method": method, "test_accuracy": 0.7 + gain, "circulance": circulance}
                found.append({**common, **tied})
    return found


def seen(given):
    return judge(find_claim("sharing.C19"), rows=given, mutants=False)


def test_the_three_verdicts():
    assert seen(rows()).seen == "open"
    assert seen(rows(circulance=CIRCULANT)).seen == "holds"
    assert seen(rows(fall=CNN_FALL / 2)).seen == "refuted"
    assert seen(rows(gain=-0.3)).seen == "refuted"
    assert seen(rows(circulance=1.0, gain=-0.3)).seen == "refuted"


def test_one_size_and_one_way_of_training_is_enough():
    given = rows()
    for row in given:
        if (row["side"], row["method"]) == (14, "fc+dual-averaging"):
            row["circulance"] = 0.95
    judged = seen(given)
    assert judged.seen == "holds"
    assert "fc+dual-averaging, side 14" in judged.result.detail


def test_filters_must_be_circulant_on_shuffled_pixels_too():
    given = [
        {**row, "circulance": 0.95 if not row["shuffled"] else row["circulance"]} for row in rows()
    ]
    judged = seen(given)
    assert judged.seen == "open"
    assert judged.result.measured == pytest.approx(0.2)


def test_a_loss_within_the_error_of_the_test_images_refutes_nothing():
    # Five standard errors of a difference of two accuracies on 1000 images are 0.112.
    assert seen(rows(gain=-0.111)).seen == "open"
    assert seen(rows(gain=-0.113)).seen == "refuted"


@pytest.mark.parametrize("methods", [SHARED, SHARED[:1]])
@pytest.mark.parametrize("sides", [(7,), (7, 14)])
def test_every_mutant_is_a_near_miss_and_is_caught(sides, methods):
    judged = judge(find_claim("sharing.C19"), rows=rows(sides=sides, methods=methods))
    assert len(judged.mutants) == 3
    for outcome in judged.mutants:
        assert outcome.passed, outcome
