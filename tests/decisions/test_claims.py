"""Each claim of the subject is as expected at smoke size, and its near misses are caught."""

from __future__ import annotations

import pytest

from claim_checks import check, check_rows

pytestmark = pytest.mark.claim


def test_C1_bisection_recovers_any_linear_utility():
    check("decisions.C1")


def test_C1b_a_utility_or_a_dutch_book_and_never_both():
    check("decisions.C1b")


def test_C2_lexicographic_utility_up_to_triangular_maps():
    check("decisions.C2")


def test_C2b_infinitely_many_outcomes_may_need_infinitely_many_levels():
    check("decisions.C2b")


def test_C2c_a_lexicographic_utility_is_elicited_exactly():
    check("decisions.C2c")


def test_C3_finite_data_cannot_refute_continuity():
    check("decisions.C3")


def test_C4_the_threshold_of_an_unsafe_outcome_never_flips():
    check("decisions.C4")


def test_C4b_safety_first_then_the_rest():
    check("decisions.C4b")


def test_C4c_an_unsafe_outcome_is_one_more_level():
    check("decisions.C4c")


def test_C5_memoryless_means_reward_plus_multiplier():
    check("decisions.C5")


def test_C5b_multipliers_are_known_up_to_a_gauge():
    check("decisions.C5b")


def test_C6_indifference_over_time_means_one_discount():
    check("decisions.C6")


def test_C6b_discounts_of_transitions():
    check("decisions.C6b")


def test_C6c_additivity_means_multiplier_one():
    check("decisions.C6c")


def test_C6d_path_independence_means_a_potential():
    check("decisions.C6d")


def test_C7_safety_first_in_sequence():
    check("decisions.C7")


def test_C8_greedy_policies_are_uniformly_optimal():
    check("decisions.C8")


def test_C8b_without_transience_no_policy_need_be_optimal():
    check("decisions.C8b")


def test_C8c_the_safety_level_is_the_greatest_fixed_point():
    check("decisions.C8c")


def test_C9_constraints_violate_independence():
    check("decisions.C9")


def test_C9b_constraints_depend_on_the_start():
    check("decisions.C9b")


def test_C10_one_weight_for_one_process():
    check("decisions.C10")


def test_C10b_no_penalty_for_all_mazes():
    check_rows("decisions.C10b")


def test_C11_negative_multipliers_need_one_bit_of_memory():
    check("decisions.C11")


def test_C12_exponential_utility_is_an_affine_reward():
    check("decisions.C12")


def test_C13_lexicographic_q_learning():
    check_rows("decisions.C13")


def test_C14_intervals_of_noisy_answers_cover():
    check("decisions.C14")


@pytest.mark.slow
def test_C15_deep_lexicographic_learning():
    check_rows("decisions.C15")


def test_C16_frozen_lake_and_cliff_to_the_digit():
    check_rows("decisions.C16")


def test_C16b_a_penalty_of_10_makes_the_agent_jump():
    check_rows("decisions.C16b")


def test_C17_a_weighted_norm_contracts():
    check("decisions.C17")
