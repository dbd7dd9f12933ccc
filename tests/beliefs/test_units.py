"""Tests of coset.beliefs.units."""

from __future__ import annotations

import math

import pytest
import torch

from coset.beliefs.units import in_units
from coset.core.errors import DomainError


def test_a_bit_is_log_two_nats():
    assert in_units(math.log(2), "bits") == 1.0
    assert in_units(0.3, "nats") == 0.3
    found = in_units(torch.tensor([math.log(8), math.inf], dtype=torch.float64), "bits")
    assert torch.allclose(found, torch.tensor([3.0, math.inf], dtype=torch.float64))


@pytest.mark.parametrize("units", ["Bits", "", None])
def test_other_units_are_refused(units):
    with pytest.raises(DomainError, match="nats"):
        in_units(1.0, units)
