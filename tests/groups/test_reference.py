"""The literal versions on cases small enough to see through."""

from __future__ import annotations

import numpy as np

from coset.groups import (
    conjugacy_classes_reference,
    cyclic,
    derived_series_reference,
    dihedral,
    find_fault_reference,
    generated_subgroup_reference,
    orbits_on_pairs_reference,
    prefix_products_reference,
    right_cosets_reference,
    symmetric,
    verbal_subgroup_reference,
)


def test_faults_of_tables():
    assert find_fault_reference(cyclic(4).mul) is None
    assert find_fault_reference(np.array([[1, 0], [1, 0]])) == "no identity"
    assert find_fault_reference(np.array([[0, 1], [1, 1]])) == "1 has no inverse"
    rock_paper = np.array([[0, 1, 2, 3], [1, 1, 2, 1], [2, 2, 2, 3], [3, 1, 3, 3]])
    assert find_fault_reference(rock_paper) == "(1·2)·3 is not 1·(2·3)"


def test_subgroups_of_s3_by_hand():
    s3 = symmetric(3)
    assert generated_subgroup_reference(s3, []) == {0}
    assert generated_subgroup_reference(s3, [3]) == {0, 3, 4}
    assert generated_subgroup_reference(s3, [1, 2]) == {0, 1, 2, 3, 4, 5}
    assert verbal_subgroup_reference(s3, range(6), 2) == {0, 3, 4}
    assert derived_series_reference(s3) == [set(range(6)), {0, 3, 4}, {0}]
    assert conjugacy_classes_reference(s3) == {
        frozenset({0}),
        frozenset({1, 2, 5}),
        frozenset({3, 4}),
    }
    assert right_cosets_reference(s3, {0, 1}) == {
        frozenset({0, 1}),
        frozenset({2, 3}),
        frozenset({4, 5}),
    }


def test_words_and_pairs_by_hand():
    assert prefix_products_reference(dihedral(3), [2, 1, 2]) == [2, 3, 1]
    assert orbits_on_pairs_reference(np.array([[0, 1], [1, 0]])) == {
        frozenset({(0, 0), (1, 1)}),
        frozenset({(0, 1), (1, 0)}),
    }
