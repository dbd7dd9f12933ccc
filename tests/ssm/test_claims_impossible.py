"""C6, C6b, C8: the parts of their judges do what they say; test_claims.py judges them."""

from __future__ import annotations

import pytest
import torch

from coset.ssm.claims.parity import _tracks_parity as tracks_parity
from coset.ssm.claims.parity import finite_layers, parity_words
from coset.ssm.claims.return_maps import fixing_maps

pytestmark = pytest.mark.claim


def test_the_list_of_finite_layers_is_whole():
    assert len(finite_layers("p", 1)) == 9
    assert len(finite_layers("p", 2)) == 81
    assert len(finite_layers("t", 1)) == 6
    assert len(finite_layers("t", 2)) == 18
    for letter in "tp":
        layers = finite_layers(letter, 2)
        assert len(layers.flatten(1).unique(dim=0)) == len(layers)
    clock = finite_layers("t", 2)[-1]
    assert torch.equal(clock, torch.tensor([[[1, -1]] * 2] * 2))


def test_the_layer_that_computes_parity_is_seen_to():
    turning = torch.tensor([[[0, -1], [1, -1]]])
    assert tracks_parity((turning,))
    assert tracks_parity((finite_layers("p", 1)[0], turning.expand(2, 2, 2).contiguous()))
    assert not tracks_parity((finite_layers("t", 1)[-1],))


def test_maps_that_fix_points():
    assert fixing_maps(torch.tensor([[0, 0], [1, 0], [0, 1]])).shape == (0, 3)
    assert fixing_maps(torch.tensor([[2, 4]])).shape == (2, 3)
    rows = fixing_maps(torch.tensor([[1, 2, 3], [3, 5, 7]]))
    points = torch.tensor([[1, 2, 3, 1], [3, 5, 7, 1]])
    assert not (points @ rows.T).any()
    assert len(rows) == 2


def test_parity_words_of_the_verified_layers():
    one = torch.full((2, 1), 0.999, dtype=torch.float64)
    b = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    assert parity_words(one, b, torch.zeros(1)) == [[1, 1, 0, 6905], [0, 6906]]
