"""Snapping and choosing: gauges undone, gains counted, junk coordinates dropped."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError
from coset.ssm.cascade import Cascade
from coset.ssm.learning import GroupWords, Recipe
from coset.ssm.learning.selection import (
    ScoringWords,
    align,
    candidate_moduli,
    choose,
    conditional_entropy,
    snap,
)
from coset.ssm.learning.stage import Foundation


def test_moduli_come_with_their_divisors():
    assert candidate_moduli((2, 3)) == (2, 3)
    assert candidate_moduli((12,)) == (2, 3, 4, 6, 12)
    assert candidate_moduli(None) == (2, 3, 4, 5, 6, 7, 8)


def test_entropy_of_counts_made_by_hand():
    assert conditional_entropy(np.zeros((3, 4))) == 0
    assert conditional_entropy(np.eye(5, dtype=int)) == 0
    assert conditional_entropy(np.ones((7, 6))) == pytest.approx(math.log(6))
    mixed = np.array([[3, 1], [0, 4]])
    expected = 0.5 * -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert conditional_entropy(mixed) == pytest.approx(expected)


@pytest.mark.property
@pytest.mark.parametrize("modulus", [2, 3, 5])
def test_aligning_undoes_a_rotation_of_each_cell(modulus):
    r = np.random.default_rng(modulus)
    after = np.stack([r.permutation(6) for _ in range(8)], 1)
    exact = r.integers(0, modulus, (6, 8)) / modulus
    turned = r.random(6)
    # A coboundary of the lattice may remain: loops through the cells are what counts.
    noisy = exact + turned[after] - turned[:, None] + 0.02 * r.standard_normal((6, 8)) / modulus
    steps = modulus * align(noisy, modulus, after)
    assert np.abs(steps - np.round(steps)).max() < 0.2
    table = snap(align(noisy, modulus, after)[None], modulus)[0][0]
    difference = (table - np.round(exact * modulus).astype(int)) % modulus
    lift = np.full(6, -1)
    lift[0] = 0
    for _ in range(6):  # difference = lift[after] − lift
        for q, x in np.argwhere(np.ones((6, 8))):
            if lift[q] >= 0:
                lift[after[q, x]] = (lift[q] + difference[q, x]) % modulus
    assert (difference == (lift[after] - lift[:, None]) % modulus).all()


def test_without_alignment_rounding_would_be_wrong():
    r = np.random.default_rng(0)
    after = np.stack([r.permutation(6) for _ in range(8)], 1)
    turned = r.random(6)
    turns = turned[after] - turned[:, None]
    assert np.abs(2 * turns - np.round(2 * turns)).max() > 0.3
    aligned = 2 * align(turns, 2, after)
    np.testing.assert_allclose(aligned, np.round(aligned), atol=1e-9)


def sign_stage(turns, moduli=(2, 3)):
    """Choose among first layers of S3 given in turns, (R, d, 1, 6)."""
    source = GroupWords("S3")
    foundation = Foundation.of(Cascade((), 6))
    words = ScoringWords.draw(source, Recipe(), 6, torch.Generator().manual_seed(0))
    return choose(np.array(turns, dtype=float), foundation, words, moduli, Recipe())


def signs():
    group = GroupWords("S3").group
    return (np.array(group.element_orders) == 2) / 2  # in turns: transpositions turn by half


def test_the_sign_is_chosen_and_junk_beside_it_is_not():
    junk = np.linspace(0, 1, 6)
    choice, best, useful = sign_stage([[[junk], [junk]], [[signs() + 0.04], [junk]]])
    assert useful == 1
    assert best == pytest.approx(math.log(2), abs=0.02)
    assert choice.moduli == (2,)
    assert (choice.tables[0, 0] == 2 * signs()).all()
    assert choice.residual == pytest.approx(0.08)


def test_a_copy_of_a_coordinate_is_dropped():
    choice, _, _ = sign_stage([[[signs()], [signs()]]])
    assert choice.moduli == (2,)


def test_a_coordinate_of_too_large_a_modulus_is_reduced():
    choice, _, _ = sign_stage([[[signs()], [signs()]]], candidate_moduli((4,)))
    assert choice.moduli == (2,)


def test_nothing_is_chosen_where_nothing_is_explained():
    choice, best, useful = sign_stage([[[np.linspace(0, 0.9, 6)]]])
    assert choice is None
    assert useful == 0
    assert best < 0.1


def test_settings_out_of_range_are_refused():
    for wrong in (
        {"num_iterations": 0},
        {"learning_rate": math.nan},
        {"clip_norm": 0.0},
        {"growth_begin": 0.9},
        {"first_length": 25},
        {"num_tries": 0},
    ):
        with pytest.raises(DomainError):
            Recipe(**wrong)


def test_lengths_grow_from_the_first_to_the_last():
    lengths = Recipe().lengths(2)
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1], len(lengths)) == (2, 24, 400)
    assert Recipe().lengths(6, longest=4)[0] == 4
    assert Recipe().start_length(1, 6) == 24  # one token: no length has enough words
    assert Recipe().rate(0) == Recipe().rate(319) == 0.03
    assert Recipe().rate(399) == pytest.approx(0.03 * 0.02)
