"""The parity layer, and its claim with the other corners of the table as mutants."""

from __future__ import annotations

import itertools

import pytest
import torch

from coset.core.claims import find_claim
from coset.core.judging import judge
from coset.ssm.claims import gates
from coset.ssm.parity import parity_layer


def test_the_layer_is_parity_in_every_float():
    words = torch.tensor(list(itertools.product((0.0, 1.0), repeat=8)))
    expected = 1 - 2 * (words.cumsum(1) % 2)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        layer = parity_layer().to(dtype)
        assert layer(words[..., None].to(dtype))[..., 0].double().equal(expected.double())


def test_the_layer_streams():
    layer, h = parity_layer(), torch.ones(1)
    for bit, expected in zip((1, 0, 1, 1), (-1, -1, 1, -1), strict=True):
        h = layer.step(torch.tensor([float(bit)]), h)
        assert h.tolist() == [expected]


def test_the_claim_holds_and_the_other_corners_are_caught():
    claim = find_claim("ssm.C6c")
    seen = judge(claim)
    assert seen.as_expected, [(m.name, m.detail) for m in seen.mutants] + [seen.problem]
    assert len(seen.mutants) == 3
    assert seen.result.sample_size > 20_000


def test_a_counterexample_replays():
    for name, broken in find_claim("ssm.C6c").mutants.items():
        result = gates.C6c(broken, preset="smoke", generator=torch.Generator().manual_seed(0))
        assert result.holds is False, name
        bits = result.counterexample["bits"]
        assert len(bits) == result.counterexample["position"], name
        assert int(broken(torch.tensor([bits]))[0, -1]) != sum(bits) % 2, name


@pytest.mark.parametrize("weight", [0.0, -5.0, -39.0])
def test_a_layer_that_is_not_exact_is_found(monkeypatch, weight):
    layer = parity_layer()
    with torch.no_grad():
        layer.gate.weight.fill_(weight)
    assert gates._is_exact()
    monkeypatch.setattr(gates, "parity_layer", lambda: layer)
    exact = layer(torch.tensor([[1.0]])).tolist() == [[-1.0]]
    assert gates._is_exact() == exact


def test_other_corners_are_judged(monkeypatch):
    words = gates._all_words(6)
    assert gates._others_fail(words)
    monkeypatch.setattr(gates, "_read", lambda *_: lambda bits: bits.long().cumsum(-1) % 2)
    assert not gates._others_fail(words)
