"""Each claim of the subject is as expected at smoke size, and its near misses are caught."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

import coset.sharing.claims.duality  # noqa: F401
from coset.core.claims import find_claim
from coset.core.judging import judge
from coset.lab.verify import verify
from coset.sharing.claims.cases import EXACT, near_misses, plow, random_cases, tied_case
from coset.sharing.claims.mutants import Change, mutant
from coset.sharing.prox import prox_sharing

pytestmark = pytest.mark.claim


def check(id: str) -> None:
    judged = judge(find_claim(id))
    assert judged.seen == judged.expected, (judged.problem, judged.result)
    for outcome in judged.mutants:
        assert outcome.passed, outcome
    assert judged.as_expected


def test_C1_the_prox_keeps_the_order():
    check("sharing.C1")


def test_C2_the_prox_is_an_isotonic_regression():
    check("sharing.C2")


def test_C3_the_prox_is_a_convex_hull():
    check("sharing.C3")


def test_C4_sticky_particles_end_at_the_prox():
    check("sharing.C4")


def test_C5_the_merge_rule():
    check("sharing.C5")


def test_C6_conservation_and_symmetry():
    check("sharing.C6")


def test_C7_strengths_add_up():
    check("sharing.C7")


def test_C8_when_everything_merges():
    check("sharing.C8")


def test_C9_the_prox_is_what_a_projection_leaves():
    check("sharing.C9")


def test_C10_which_clusters_a_step_tears():
    check("sharing.C10")


def test_C11_share_first_then_threshold():
    check("sharing.C11")


def test_C12_the_jacobian_averages_over_blocks():
    check("sharing.C12")


def test_C16_the_law_of_distinct_values():
    check("sharing.C16")


def test_C17_a_macroscopic_cluster_above_the_critical_strength():
    check("sharing.C17")


@pytest.mark.slow
def test_C19_what_training_was_seen_to_do():
    (judged,) = verify([find_claim("sharing.C19")])
    assert judged.as_expected, judged


@pytest.mark.parametrize("id", ["sharing.C9", "sharing.C10"])
def test_a_dual_that_is_not_a_number_is_refuted(id):
    item = find_claim(id)

    def wrong(*arguments):
        found = item.subject_under_test(*arguments)
        return found * math.nan if isinstance(found, torch.Tensor) else [math.nan] * len(found)

    assert judge(replace(item, subject_under_test=wrong), mutants=False).seen == "refuted"


def test_tied_cases_are_tied_and_far_apart():
    generator = torch.Generator().manual_seed(1)
    for number in range(20):
        w, delta, masses = tied_case(number, generator)
        assert w.unique(return_counts=True)[1].tolist() == masses
        assert (w + delta - w).equal(delta)
        gaps = w.unique().diff()
        assert not len(gaps) or float(gaps.min()) > 16 * float(delta.max() - delta.min())


@pytest.mark.parametrize("id", ["sharing.C16", "sharing.C17"])
def test_a_law_that_is_not_a_number_is_refuted(id):
    item = replace(find_claim(id), subject_under_test=lambda *a, **k: float("nan"))
    assert judge(item, mutants=False).seen == "refuted"


def test_symmetry_errors_that_are_not_numbers_are_refuted():
    def wrong(w, strength):
        out = prox_sharing(w, strength)
        return out * float("nan") if bool(w[0] < 0) else out

    item = replace(find_claim("sharing.C6"), subject_under_test=wrong)
    assert judge(item, mutants=False).seen == "refuted"


def test_the_unchanged_literal_algorithm_is_right():
    """If the pass from which the near misses are built were wrong, they would prove nothing."""
    right = mutant(Change())
    for values, strength, expected in EXACT:
        w = torch.tensor(values, dtype=torch.float64)
        torch.testing.assert_close(
            right(w, strength), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-14
        )


@pytest.mark.parametrize("field", ["left_merges", "weighted", "sticky", "full_mass"])
def test_a_near_miss_differs_somewhere_and_agrees_somewhere(field):
    wrong = mutant(Change(**{field: False}))
    assert any(torch.allclose(wrong(w, g), prox_sharing(w, g)) for w, g in near_misses())
    generator = torch.Generator().manual_seed(0)
    cases = random_cases("smoke", generator)
    assert any(not torch.allclose(wrong(w, g), prox_sharing(w, g)) for w, g in cases)


def test_the_plow_is_sorted_and_half_tied():
    w = plow(10, 1.0)
    assert w.numel() == 10
    assert int((w == 0).sum()) == 5
    assert bool((w.diff() >= 0).all())
