"""The claims of the studies on rows made by hand, where the verdict is known."""

from __future__ import annotations

import pytest

from coset.core.claims import find_claim
from coset.core.judging import judge
from coset.ssm.claims import studies  # registers the claims


def study_rows(models, *, length=256, stage="trained", **columns):
    """Return an accuracy at two lengths and an outcome a model: {name: (accuracy, certified)}."""
    rows = []
    for name, (trackable, accuracy, certified) in models.items():
        own = {"model": name, "is_trackable": trackable, "stage": stage, **columns}
        for t, a in ((16, 1.0), (length, accuracy)):
            rows.append({"kind": "accuracy", **own, "length": t, "accuracy": a})
        exact = 1.0 if certified else None
        rows.append(
            {"kind": "outcome", **own, "is_certified": certified, "hardened_accuracy": exact}
        )
    return rows


PARITY = {"t": (False, 0.55, False), "p": (False, 0.5, False), "r": (True, 0.7, True)}


def verdict(id, rows):
    return judge(find_claim(id), rows=rows, mutants=False).seen


def test_parity_needs_certified_stacks_where_theory_allows_them_only():
    assert verdict("ssm.C6d", study_rows(PARITY)) == "holds"
    for change in (
        {"t": (False, 0.55, True)},
        {"t": (False, 0.66, False)},
        {"r": (True, 0.7, False)},
    ):
        assert verdict("ssm.C6d", study_rows({**PARITY, **change})) == "refuted"
    # Without any excluded or any allowed stack nothing is shown.
    for kept in ({"t": PARITY["t"]}, {"r": PARITY["r"]}):
        assert verdict("ssm.C6d", study_rows(kept)) == "refuted"


def test_half_of_the_seeds_are_not_enough_for_parity():
    rows = study_rows(PARITY) + study_rows({"r": (True, 0.7, False)})
    assert verdict("ssm.C6d", rows) == "refuted"
    assert verdict("ssm.C6d", rows + study_rows({"r": (True, 0.7, True)})) == "holds"


def typed_rows(compiled=(1.0, None), accuracy=0.3, certified=False):
    rows = study_rows({"rc": (True, 0.4, False), "cr": (False, accuracy, certified)})
    for (name, trackable), value in zip((("rc", True), ("cr", False)), compiled, strict=True):
        for length in (16, 256):
            rows.append(
                {
                    "kind": "accuracy",
                    "model": name,
                    "is_trackable": trackable,
                    "stage": "compiled",
                    "length": length,
                    "accuracy": value,
                }
            )
    return rows


def test_order_decides_compiled_and_trained():
    assert verdict("ssm.C5c", typed_rows()) == "holds"
    assert verdict("ssm.C5c", typed_rows(compiled=(0.999, None))) == "refuted"
    assert verdict("ssm.C5c", typed_rows(compiled=(1.0, 1.0))) == "refuted"
    assert verdict("ssm.C5c", typed_rows(compiled=(None, None))) == "refuted"
    assert verdict("ssm.C5c", typed_rows(accuracy=0.95)) == "refuted"
    assert verdict("ssm.C5c", typed_rows(certified=True)) == "refuted"


def near_rows(
    scratch=0.4, exact=0.3, near=(0.95, 0.97, 0.2), certified=(True, True, True), start=1.0
):
    rows = []
    for noise, accuracies in ((None, (scratch,)), (0.0, (exact,)), (0.05, near)):
        for seed, accuracy in enumerate(accuracies):
            own = {"noise": noise, "seed": seed, "trained_length": 16, "is_trackable": True}
            for length, stage, value in (
                (64, "start", start),
                (256, "start", start),
                (64, "trained", accuracy),
                (256, "trained", accuracy),
            ):
                if noise is None and stage == "start":
                    continue
                rows.append(
                    {
                        "kind": "accuracy",
                        **own,
                        "stage": stage,
                        "length": length,
                        "accuracy": value,
                    }
                )
            done = certified[seed] and noise is not None
            rows.append(
                {
                    "kind": "outcome",
                    **own,
                    "stage": "trained",
                    "is_certified": done,
                    "hardened_accuracy": 1.0 if done else None,
                }
            )
    return rows


def test_expressive_is_not_learnable_by_the_median_of_the_best_noise():
    assert verdict("ssm.C7", near_rows()) == "holds"
    assert verdict("ssm.C7", near_rows(scratch=0.9)) == "refuted"
    assert verdict("ssm.C7", near_rows(near=(0.95, 0.2, 0.2))) == "refuted"
    # The exact start is not "near": σ = 0 alone shows nothing.
    only_exact = [row for row in near_rows(exact=1.0) if row["noise"] != 0.05]
    assert verdict("ssm.C7", only_exact) == "refuted"


def test_training_must_destroy_the_exact_start_and_hardening_restore_it():
    assert verdict("ssm.C7b", near_rows()) == "holds"
    assert verdict("ssm.C7b", near_rows(exact=0.95)) == "refuted"
    assert verdict("ssm.C7b", near_rows(start=0.999)) == "refuted"
    # Three of four certified are fewer than 4 of 5.
    assert verdict("ssm.C7b", near_rows(certified=(True, True, False))) == "refuted"


@pytest.mark.parametrize(
    ("id", "rows"),
    [
        ("ssm.C6d", study_rows(PARITY)),
        ("ssm.C5c", typed_rows()),
        ("ssm.C7", near_rows()),
        ("ssm.C7b", near_rows()),
    ],
)
def test_every_mutant_is_a_near_miss_and_is_caught(id, rows):
    assert getattr(studies, id.partition(".")[2]).__name__ in id
    judged = judge(find_claim(id), rows=rows)
    assert judged.as_expected, judged
    assert len(judged.mutants) >= 2
    for outcome in judged.mutants:
        assert outcome.passed, outcome
