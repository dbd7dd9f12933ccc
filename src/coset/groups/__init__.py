"""Finite groups, exact: tables, permutations, matrices, subgroup series, cosets, actions.

A product is read from left to right: ``group.mul[a, b]`` is "a, then b". Elements are the integers
0 … n − 1; every set of elements is a sorted NumPy array.
"""

from __future__ import annotations

from coset.groups.abelian import AbelianBasis, abelian_basis, abelian_invariants
from coset.groups.cosets import Cosets, quotient, right_cosets
from coset.groups.errors import GroupNameError, NotAGroupError
from coset.groups.group import Group
from coset.groups.linear import general_linear, heisenberg, special_linear
from coset.groups.parse import parse_group
from coset.groups.products import direct_product, semidirect_product, wreath_product
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
    "cyclic",
    "dicyclic",
    "dihedral",
    "direct_product",
    "elementary_abelian",
    "general_linear",
    "generated_subgroup",
    "heisenberg",
    "is_normal",
    "is_subgroup",
    "metacyclic",
    "normal_closure",
    "parse_group",
    "quaternion",
    "quotient",
    "right_cosets",
    "semidirect_product",
    "special_linear",
    "symmetric",
    "verbal_subgroup",
    "wreath_product",
]
