"""Attention multiplies confidences, drops what it does not see, and refuses to deny certainty."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.attention import Attention, attend
from coset.beliefs.pdg.graph import PDG
from coset.core.errors import DomainError, DtypeError, UnknownNameError

HALF = torch.tensor([0.5, 0.5], dtype=torch.float64)


def graph() -> PDG:
    pdg = PDG({"A": 2, "B": 2, "C": 2})
    pdg.add("a", "A", cpd=HALF, alpha=2.0, beta=3.0)
    pdg.add("b", "B", cpd=HALF, beta=math.inf)
    return pdg


def test_factors_multiply_both_confidences():
    arc = Attention({"a": 0.5}, {"a": -1.0}).weigh(graph().arcs["a"])
    assert (arc.alpha, arc.beta) == (-2.0, 1.5)


def test_without_attention_everything_stays():
    seen = attend(graph(), None)
    assert list(seen.variables) == ["A", "B", "C"]
    assert [(a.alpha, a.beta) for a in seen.arcs.values()] == [(2.0, 3.0), (1.0, math.inf)]


def test_what_is_not_attended_is_dropped_with_its_variables():
    seen = attend(graph(), Attention.only(["b"]))
    assert list(seen.variables) == ["B"]
    assert seen.arcs["b"].is_hard
    assert seen.arcs["b"].alpha == 1.0


def test_structure_can_be_left_out():
    seen = attend(graph(), Attention.only(["a"], structure=False))
    assert (seen.arcs["a"].alpha, seen.arcs["a"].beta) == (0.0, 3.0)


def test_certainty_cannot_be_disbelieved():
    with pytest.raises(DomainError, match="cannot be disbelieved"):
        attend(graph(), Attention({"b": -1.0}))


def test_unknown_arcs_and_infinite_factors_are_refused():
    with pytest.raises(UnknownNameError, match="no arc named 'z'"):
        attend(graph(), Attention({"z": 1.0}))
    for factor in (math.inf, math.nan):
        with pytest.raises(DomainError, match="finite"):
            Attention({"a": factor})


def test_one_name_is_no_list_of_letters():
    assert Attention.only("radio").beta == {"radio": 1.0}


@pytest.mark.parametrize("given", [0.5, ["a"], {"a": "x"}, {"a": None}])
def test_factors_are_numbers_by_name(given):
    with pytest.raises(DtypeError, match="factors"):
        Attention(given)
