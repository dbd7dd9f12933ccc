"""Compiled loops over large levels agree with tensor operations, and with sums by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from coset.decisions.processes.level import ScalarLevel
from coset.decisions.processes.mdp import MDP
from coset.decisions.solvers import row_sums, ties
from coset.decisions.solvers.row_sums import contraction_factors, spread, uses_loops
from coset.decisions.solvers.solving import solve

SIZE = row_sums.SMALL + 1


def _level(dtype=torch.float32, size=SIZE, num_terminal=7) -> ScalarLevel:
    generator = torch.Generator().manual_seed(3)
    shape = (size, 3, 4)
    weight = torch.rand(shape, generator=generator, dtype=dtype) / 5
    weight[:, :, 3] = 0
    allowed = torch.rand(shape[:2], generator=generator) < 0.7
    allowed[:, 0] = True
    allowed[-num_terminal:] = False
    return ScalarLevel(
        torch.randint(0, size, shape, generator=generator, dtype=torch.int32),
        weight,
        torch.randn(shape[:2], generator=generator, dtype=torch.float64),
        allowed,
        0.9,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("uniform", [True, False])
def test_action_values_and_radii_agree(dtype, uniform):
    level = _level(dtype)
    generator = torch.Generator().manual_seed(4)
    value = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    error = 1e-3 if uniform else torch.rand(SIZE, generator=generator, dtype=torch.float64)
    off = torch.rand(level.allowed.shape, generator=generator, dtype=torch.float64)
    assert uses_loops(level)
    for rows in (slice(0, SIZE), slice(17, 40)):
        q, radius = ties.action_values(level, rows, value, error, off)
        plain, around = ties._eager_values(level, rows, value, error)
        assert torch.allclose(q, plain, rtol=0, atol=1e-13)
        assert torch.allclose(radius, around + off[rows], rtol=1e-12, atol=0)
    exact = level.action_values(value)
    q, radius = ties.action_values(level, slice(0, SIZE), value, error, off)
    assert bool(((q - exact).abs() <= radius)[level.allowed].all())


def test_a_reward_with_gaps_between_its_numbers_is_read_right():
    level = _level()
    apart = torch.stack((level.reward, torch.zeros_like(level.reward)), -1)[..., 0]
    value = torch.ones(SIZE, dtype=torch.float64)
    strided = ScalarLevel(level.successor, level.weight, apart, level.allowed, level.scale)
    assert not apart.is_contiguous()
    for one, other in zip(
        ties.action_values(level, slice(5, 9), value, 0.5, 0.0),
        ties.action_values(strided, slice(5, 9), value, 0.5, 0.0),
        strict=True,
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("plain", [True, False])
def test_factors_agree_and_enclose_every_ratio(monkeypatch, dtype, plain):
    level = _level(dtype)
    weights = torch.ones((), dtype=torch.float64).expand(SIZE)
    if not plain:
        weights = 1 + torch.rand(SIZE, dtype=torch.float64)
    low, high = contraction_factors(level, weights)
    live = torch.where(level.active, weights, 0.0)
    ratio = (spread(level, live) / live[:, None])[level.allowed]
    assert low <= float(ratio.min()) <= low * (1 + 1e-13)
    assert high * (1 - 1e-13) <= float(ratio.max()) <= high
    monkeypatch.setattr(row_sums, "SMALL", SIZE)
    assert not uses_loops(level)
    assert contraction_factors(level, weights) == pytest.approx((low, high), rel=1e-13)


def test_small_levels_load_no_loops():
    assert not uses_loops(_level(size=20))


def test_a_large_process_and_its_certificate():
    level = _level()
    chance = level.weight.double() / level.weight.double().sum(-1, keepdim=True)
    terminal = ~level.active
    reward = torch.stack((level.reward.round(), level.reward), -1)[:, :, None]
    mdp = MDP(level.successor, chance, reward, 0.9, mask=level.allowed, terminal=terminal)
    found = solve(mdp)
    assert found.certificate.verify()
    best = level.allowed.sum(1) > 0
    for k in range(2):
        q = mdp.level(k, found.value[:, :k], found.lost_at >= k).action_values(found.value[:, k])
        assert torch.allclose(q.amax(1)[best], found.value[best, k], atol=1e-7)
    worse = found.lost_at.clone()
    state = int((found.tie_set.sum(1) < level.allowed.sum(1)).nonzero()[0])
    worse[state][level.allowed[state]] = 2
    assert not replace(found.certificate, lost_at=worse).verify()
