"""Each claim of the subject is as expected at smoke size, and its near misses are caught."""

from __future__ import annotations

import pytest

from claim_checks import check, check_rows

pytestmark = pytest.mark.claim


def test_C1_the_score_is_strictly_convex_so_its_minimizer_is_one():
    check("beliefs.C1")


def test_C2_minimizers_have_one_limit_for_gamma_0():
    check("beliefs.C2")


def test_C3_minimizers_of_the_incompatibility_share_the_conditionals_of():
    check("beliefs.C3")


def test_C4_a_bayesian_network_is_consistent_and_means_its_distribution():
    check("beliefs.C4")


def test_C5_a_factor_graph_s_log_partition_function_is_an_inconsistency():
    check("beliefs.C5")


def test_C6_two_beliefs_are_a_r_nyi_divergence_apart():
    check("beliefs.C6")


def test_C6b_several_beliefs_about_one_variable():
    check("beliefs.C6b")


def test_C7_an_observation_is_as_inconsistent_as_it_is_surprising():
    check("beliefs.C7")


def test_C7b_data_that_are_certain_give_the_cross_entropy():
    check("beliefs.C7b")


def test_C8_the_log_loss_of_a_classifier():
    check("beliefs.C8")


def test_C9_the_evidence_lower_bound():
    check("beliefs.C9")


def test_C9b_more_beliefs_are_never_less_inconsistent():
    check("beliefs.C9b")


def test_C9c_confidences_are_weights():
    check("beliefs.C9c")


def test_C9d_parts_add_up_and_names_do_not_matter():
    check("beliefs.C9d")


def test_C9e_inconsistency_is_zero_exactly_for_consistent_beliefs():
    check("beliefs.C9e")


def test_C10_a_prior_is_a_regularizer_its_confidence_the_strength():
    check("beliefs.C10")


def test_C11_accuracy():
    check("beliefs.C11")


def test_C12_an_expected_cost():
    check("beliefs.C12")


def test_C12b_a_cost_under_a_belief_that_may_give_way():
    check("beliefs.C12b")


def test_C13_two_gaussian_beliefs():
    check("beliefs.C13")


def test_C14_inconsistency_is_convex_in_a_conditional_table():
    check("beliefs.C14")


def test_C14b_inconsistency_is_convex_in_an_unconditional_table():
    check("beliefs.C14b")


def test_C14c_inconsistency_is_quasi_convex_in_a_conditional_table():
    check("beliefs.C14c")


def test_C14d_inconsistency_is_convex_in_log_concave_parameters():
    check("beliefs.C14d")


def test_C15_expectation_maximization_is_resolution_with_two_foci():
    check("beliefs.C15")


def test_C15b_a_step_on_the_evidence_lower_bound_is_a_step_of_resolution():
    check("beliefs.C15b")


def test_C15c_mixtures_of_gaussians_on_iris_by_foci_and_in_closed_form():
    check_rows("beliefs.C15c")


def test_C16_belief_propagation_is_resolution_with_a_focus_a_message():
    check("beliefs.C16")


def test_C17_adversarial_training_is_resolution_with_two_foci():
    check("beliefs.C17")


def test_C17b_resolution_makes_a_classifier_of_digits_robust():
    check_rows("beliefs.C17b")


def test_C18_the_game_of_gans_is_resolution_in_which_foci_disbelieve_each():
    check("beliefs.C18")


def test_C19_an_attention_layer_is_resolution_with():
    check("beliefs.C19")


def test_C20_opposite_attention_to_p_f_and_p_b_cancels_the_sampler():
    check("beliefs.C20")


def test_C20a_control_by_the_imbalance_makes_resolution_trajectory_balance():
    check("beliefs.C20a")


def test_C20b_seven_losses_of_generative_flow_networks_have_one_zero_set():
    check("beliefs.C20b")


def test_C20c_trajectory_balance_divided_by_length_learns_no_worse_and_bea():
    check_rows("beliefs.C20c")


def test_C20d_published_distances_of_437_and_447_are_sampling_noise():
    check("beliefs.C20d")


def test_C21_decisions_by_inconsistency_from_expected_utility_to_the_best():
    check("beliefs.C21")


def test_C22_the_gradient_of_inconsistency_is_that_of_the_score_at_the_mi():
    check("beliefs.C22")


def test_C22b_unit_steps_down_the_envelope_gradient_to_four_digits():
    check("beliefs.C22b")


def test_C22c_under_the_uniform_focus_the_inconsistency_only_falls():
    check("beliefs.C22c")


def test_C22d_unconverged_joints_overstate_inconsistency_and_resolve_what():
    check_rows("beliefs.C22d")


def test_C23_relative_to_negative_entropy_the_score_is_l_smooth_and_gamma():
    check("beliefs.C23")


def test_C23b_with_beta_gammaalpha_one_step_is_exact():
    check("beliefs.C23b")


def test_C24_cost_of_an_solution_by_number_of_variables_and_width():
    check_rows("beliefs.C24")
