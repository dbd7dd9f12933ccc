"""C2, C2b, C4b, C4c, C5, C6, C6b, C6c, C7: they hold and their mutants are caught."""

from __future__ import annotations

import pytest
import torch

from coset.core.claims import find_claim, realized_in
from coset.core.judging import judge
from coset.decisions.claims import discounting, lexicographic_utility, safety_first, sequential

pytestmark = pytest.mark.claim

IDS = [
    *("decisions.C2", "decisions.C2b", "decisions.C4b", "decisions.C4c", "decisions.C5"),
    *("decisions.C6", "decisions.C6b", "decisions.C6c", "decisions.C7"),
]


def test_the_modules_hold_these_claims():
    names = set()
    for module in (discounting, lexicographic_utility, safety_first, sequential):
        names |= {name for name in vars(module) if name[0] == "C" and name[1].isdigit()}
    assert names == {id.split(".")[1] for id in IDS}


@pytest.mark.parametrize("id", IDS)
def test_claims_of_models_hold_and_mutants_are_caught(id):
    judged = judge(find_claim(id), preset="smoke", seed=1)
    assert judged.as_expected, judged


@pytest.mark.parametrize("id", IDS)
def test_claims_of_models_are_realized_in_the_library(id):
    assert realized_in(find_claim(id))


def test_the_triangle_is_judged_by_its_formula():
    # Half the risk is linear, orders alike and stays in most triangles: only the formula tells.
    def half_the_risk(lottery, utility):
        first, second = safety_first.image_of(lottery, utility)
        return first / 2, second

    generator = torch.Generator().manual_seed(0)
    result = safety_first.C4c(half_the_risk, preset="smoke", generator=generator)
    assert not result.holds
    assert result.counterexample["case"].startswith("the formula")
