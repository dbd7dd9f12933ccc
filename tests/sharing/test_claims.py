"""Each claim of the subject is as expected at smoke size, and its near misses are caught."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

import coset.sharing.claims.duality
import coset.sharing.claims.rounds  # noqa: F401
from claim_checks import check
from coset.core.claims import find_claim
from coset.core.judging import judge
from coset.lab.verify import verify
from coset.sharing.claims.blocks import block_starts
from coset.sharing.claims.cases import (
    EXACT,
    near_misses,
    plow,
    random_cases,
    sized_cases,
    tied_case,
    touching_cases,
)
from coset.sharing.claims.counted import (
    BridgeFlaw,
    ImminentFlaw,
    SearchFlaw,
    counted_bridge,
    counted_imminent,
    counted_search,
)
from coset.sharing.claims.mutants import Change, mutant
from coset.sharing.claims.rounds import (
    PROBES_PER_WEIGHT,
    allowed_failures,
    bridge_run,
    imminent_run,
    search_run,
)
from coset.sharing.prox import prox_sharing

pytestmark = pytest.mark.claim


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


def test_C13_imminent_collisions_need_linearly_many_rounds():
    check("sharing.C13")


def test_C14_search_collisions_are_a_short_chain():
    check("sharing.C14")


def test_C15_bridge_merges_need_linear_work():
    check("sharing.C15")


def test_C16_the_law_of_distinct_values():
    check("sharing.C16")


def test_C17_a_macroscopic_cluster_above_the_critical_strength():
    check("sharing.C17")


def test_C18_rounds_grow_linearly_above_the_critical_strength():
    check("sharing.C18")


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


def some_cases():
    """Return small, touching and larger inputs."""
    generator = torch.Generator().manual_seed(2)
    cases = [*random_cases("smoke", generator), *touching_cases("smoke", generator)]
    cases += [(w, g) for _, w, g in sized_cases(500, generator)]
    return [(w, g) for w, g in cases if w.numel() > 1]


def test_the_unchanged_counted_algorithms_are_right_and_count_as_the_fast_ones():
    """If the literal versions were wrong, their near misses would prove nothing."""
    for w, g in some_cases():
        right = block_starts(w, g)
        # Beyond twice the range everything merges, and the fast ones count as at that strength.
        g = min(g, 2 * float(w.max() - w.min()) or 1.0)
        assert counted_imminent(w, g, ImminentFlaw()) == imminent_run(w, g)
        assert counted_search(w, g, SearchFlaw()) == search_run(w, g)
        assert counted_bridge(w, g, BridgeFlaw()) == bridge_run(w, g)
        assert imminent_run(w, g)[1] == search_run(w, g)[0] == bridge_run(w, g)[0] == right


def test_touching_cases_touch():
    generator = torch.Generator().manual_seed(3)
    cases = list(touching_cases("smoke", generator))
    for w, g in cases:
        assert (2 * g / (w.numel() - 1) * 2).is_integer()
    # At a strength smaller by a hair there are more blocks in most of them.
    fewer = [len(block_starts(w, g)) < len(block_starts(w, g * (1 - 1e-9))) for w, g in cases]
    assert sum(fewer) > len(cases) / 2


def test_sized_cases_have_their_size_and_kind():
    generator = torch.Generator().manual_seed(4)
    for what, w, g in sized_cases(200, generator):
        assert (w.numel(), what["strength"]) == (200, g)
        assert (int((w == 0).sum()) > 60) == (what["input"] in ("half zero", "plow"))


@pytest.mark.parametrize("tests", [1, 4, 6, 100])
def test_allowed_failures_are_as_rare_as_stated(tests):
    """An independent sum over the binomial distribution."""
    allowed, rate = allowed_failures(tests)

    def tail(k):
        return sum(math.comb(20, i) * 0.1**i * 0.9 ** (20 - i) for i in range(k + 1, 21))

    assert rate == pytest.approx(tests * tail(allowed), rel=1e-9)
    assert rate <= 1e-6 < tests * tail(allowed - 1)
    assert allowed < 20


def test_the_bound_on_probes_is_the_sum_of_the_bounds_of_merges():
    terms = [(level + 1) * (level + 2) / 2 ** (level + 1) for level in range(200)]
    assert sum(terms) == pytest.approx(PROBES_PER_WEIGHT)
    for levels in range(1, 20):
        chain = sum((level + 1) * (level + 2) for level in range(levels))
        assert chain == levels * (levels + 1) * (levels + 2) / 3


@pytest.mark.parametrize("id", ["sharing.C13", "sharing.C14", "sharing.C15"])
def test_right_counts_with_wrong_blocks_are_refuted(id):
    item = find_claim(id)

    def wrong(w, strength):
        parts = list(item.subject_under_test(w, strength))
        place = 1 if id == "sharing.C13" else 0
        parts[place] = list(range(len(parts[place]) + 1))
        return tuple(parts)

    assert judge(replace(item, subject_under_test=wrong), mutants=False).seen == "refuted"
