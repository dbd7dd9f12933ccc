"""Each claim of the subject is as expected at smoke size, and its near misses are caught."""

from __future__ import annotations

import pytest

from claim_checks import check, check_rows

pytestmark = pytest.mark.claim


def test_C1_one_layer_tracks_every_abelian_group():
    check("ssm.C1")


def test_C1b_no_single_layer_tracks_another_group():
    check("ssm.C1b")


def test_C2_a_series_with_abelian_factors_is_enough():
    check("ssm.C2")


def test_C2b_fewer_layers_than_the_series_needs_fail():
    check("ssm.C2b")


def test_C2c_compiled_floats_make_no_error():
    check_rows("ssm.C2c")


def test_C3_the_least_depth_is_the_derived_length():
    check("ssm.C3")


def test_C4_each_further_layer_tracks_more():
    check("ssm.C4")


def test_C5_classes_and_their_order_decide():
    check("ssm.C5")


def test_C5b_what_a_clock_adds():
    check("ssm.C5b")


@pytest.mark.slow
def test_C5c_orders_of_layers_in_training():
    check_rows("ssm.C5c")


def test_C6_input_dependence_and_negative_eigenvalues():
    check("ssm.C6")


def test_C6b_words_that_fool_the_other_corners():
    check("ssm.C6b")


def test_C6c_the_corner_that_computes_parity():
    check("ssm.C6c")


@pytest.mark.slow
def test_C6d_parity_as_trained():
    check_rows("ssm.C6d")


@pytest.mark.slow
def test_C7_expressive_is_not_learnable():
    check_rows("ssm.C7")


@pytest.mark.slow
def test_C7b_training_near_the_solution():
    check_rows("ssm.C7b")


def test_C8_affine_returns_correct_no_error():
    check("ssm.C8")


def test_C8b_a_float_rotor_fails_in_finite_time():
    check_rows("ssm.C8b")


def test_C9_automata_with_solvable_groups_compile():
    check("ssm.C9")


def test_C9b_automata_with_another_group_do_not():
    check("ssm.C9b")


def test_C9c_the_groups_of_an_automaton():
    check("ssm.C9c")


@pytest.mark.slow
def test_C10_greedy_layers_become_exact():
    check_rows("ssm.C10")
