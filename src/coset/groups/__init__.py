"""Finite groups, exact: tables, permutations, matrices, subgroup series, cosets, actions.

A product is read from left to right: ``group.mul[a, b]`` is "a, then b". Elements are the integers
0 … n − 1; every set of elements is a sorted NumPy array.
"""

from __future__ import annotations

from coset.groups.abelian import AbelianBasis, abelian_basis, abelian_invariants
from coset.groups.actions import (
    Action,
    conjugation_action,
    coset_action,
    is_transitive,
    natural_action,
    orbits,
    orbits_on_pairs,
    regular_action,
    stabilizer,
)
from coset.groups.cosets import Cosets, quotient, right_cosets
from coset.groups.errors import GroupNameError, NotAGroupError
from coset.groups.group import Group
from coset.groups.isomorphism import find_isomorphism, is_isomorphic
from coset.groups.linear import general_linear, heisenberg, special_linear
from coset.groups.named import named_groups
from coset.groups.parse import parse_group
from coset.groups.products import direct_product, semidirect_product, wreath_product
from coset.groups.reference import (
    conjugacy_classes_reference,
    derived_series_reference,
    find_fault_reference,
    generated_subgroup_reference,
    orbits_on_pairs_reference,
    prefix_products_reference,
    right_cosets_reference,
    verbal_subgroup_reference,
)
from coset.groups.subgroups import (
    center,
    centralizer,
    commutator_subgroup,
    conjugacy_classes,
    generated_subgroup,
    is_normal,
    is_subgroup,
    normal_closure,
    verbal_subgroup,
)
from coset.groups.zoo import (
    abelian,
    alternating,
    cyclic,
    dicyclic,
    dihedral,
    elementary_abelian,
    metacyclic,
    quaternion,
    symmetric,
)

__all__ = [
    "AbelianBasis",
    "Action",
    "Cosets",
    "Group",
    "GroupNameError",
    "NotAGroupError",
    "abelian",
    "abelian_basis",
    "abelian_invariants",
    "alternating",
    "center",
    "centralizer",
    "commutator_subgroup",
    "conjugacy_classes",
    "conjugacy_classes_reference",
    "conjugation_action",
    "coset_action",
    "cyclic",
    "derived_series_reference",
    "dicyclic",
    "dihedral",
    "direct_product",
    "elementary_abelian",
    "find_fault_reference",
    "find_isomorphism",
    "general_linear",
    "generated_subgroup",
    "generated_subgroup_reference",
    "heisenberg",
    "is_isomorphic",
    "is_normal",
    "is_subgroup",
    "is_transitive",
    "metacyclic",
    "named_groups",
    "natural_action",
    "normal_closure",
    "orbits",
    "orbits_on_pairs",
    "orbits_on_pairs_reference",
    "parse_group",
    "prefix_products_reference",
    "quaternion",
    "quotient",
    "regular_action",
    "right_cosets",
    "right_cosets_reference",
    "semidirect_product",
    "special_linear",
    "stabilizer",
    "symmetric",
    "verbal_subgroup",
    "verbal_subgroup_reference",
    "wreath_product",
]
