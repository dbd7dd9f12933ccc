"""ProxSharing.step is all or nothing, and says which weight is wrong."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from coset.core.errors import ConfigError, DomainError, DtypeError, UnsupportedError
from coset.sharing import ProxSharing, prox_sharing
from coset.sharing.optimizer.groups import check_finite, deviation

MODES = [
    dict(momentum="average"),
    dict(momentum="average", every=2),
    dict(mode="dual_averaging", kappa=0.9, ramp_steps=3),
]


def trained(**options):
    """Return two parameters with momentum buffers, their optimizer, and a sharing of two groups."""
    generator = torch.Generator().manual_seed(3)
    a = nn.Parameter(torch.randn(6, generator=generator))
    b = nn.Parameter(torch.randn(2, 3, generator=generator))
    optimizer = torch.optim.SGD([a, b], lr=0.1, momentum=0.9)
    for p in (a, b):
        p.grad = torch.randn(p.shape, generator=generator)
    groups = [dict(params=[a]), dict(params=[b], group="row")]
    if "mode" not in options:
        groups = [{**group, "strength": 3.0} for group in groups]
    sharing = ProxSharing(optimizer, groups, **options)
    optimizer.step()
    sharing.step()
    optimizer.step()
    return a, b, optimizer, sharing


def snapshot(a, optimizer, sharing):
    state = sharing.state_dict()
    flat = [state["num_steps"], state["summed_lr"]]
    tensors = [a.detach(), *(s["momentum_buffer"] for s in optimizer.state.values())]
    tensors += [t for pairs in state["iterates"] for pair in pairs for t in pair.values()]
    return copy.deepcopy((flat, [t.tolist() for t in tensors]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("options", MODES, ids=["prox", "every 2", "dual averaging"])
def test_a_refused_step_changes_nothing_and_can_be_repeated(options, bad):
    a, b, optimizer, sharing = trained(**options)
    good = b.detach().clone()
    with torch.no_grad():
        b[1, 2] = bad
    before = snapshot(a, optimizer, sharing)
    match = rf"params\[0\] of sharing group 1 of shape \(2, 3\) holds {bad} at index \(1, 2\)"
    for _ in range(2):
        with pytest.raises(DomainError, match=match):
            sharing.step()
    assert snapshot(a, optimizer, sharing) == before
    with torch.no_grad():
        b.copy_(good)
    sharing.step()
    c, d, _, right = trained(**options)
    right.step()
    assert a.equal(c)
    assert b.equal(d)
    assert sharing.state_dict()["num_steps"] == right.state_dict()["num_steps"] == 2
    assert a.detach().tolist() != before[1][0]


def test_a_setting_made_impossible_changes_nothing():
    for change, match in (
        ({"strength": -1.0}, "strength must be"),
        ({"rewind": 2.0}, "rewind must lie"),
        ({"l1": "1"}, "l1 must be"),
        ({"group": "column"}, "group must be one of"),
    ):
        a, _, optimizer, sharing = trained()
        before = snapshot(a, optimizer, sharing)
        sharing.param_groups[1].update(change)
        with pytest.raises(ConfigError, match=match):
            sharing.step()
        assert snapshot(a, optimizer, sharing) == before


def test_a_negative_learning_rate_of_the_second_group_changes_nothing():
    a, b = nn.Parameter(torch.tensor([0.0, 0.0, 3.0])), nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = torch.optim.SGD([{"params": [a]}, {"params": [b]}], lr=1.0)
    sharing = ProxSharing(optimizer, [dict(params=a, strength=1.0), dict(params=b, strength=1.0)])
    optimizer.param_groups[1]["lr"] = -1.0
    with pytest.raises(DomainError, match="strength must be a number ≥ 0"):
        sharing.step()
    assert a.tolist() == [0.0, 0.0, 3.0]
    assert sharing.state_dict()["num_steps"] == 0


@pytest.mark.parametrize("group", ["tensor", "all"])
def test_zero_strength_refuses_nan_too(group):
    w = nn.Parameter(torch.tensor([1.0, math.nan]))
    groups = [dict(params=[w], strength=0.0, group=group)]
    sharing = ProxSharing(torch.optim.SGD([w], lr=0.1), groups)
    with pytest.raises(DomainError, match=r"params\[0\] of sharing group 0"):
        sharing.step()


def test_the_iterate_of_dual_averaging_is_checked_before_it_moves():
    w = nn.Parameter(torch.tensor([3e38, -3e38]))
    sharing = ProxSharing(
        torch.optim.SGD([w], lr=0.1), [dict(params=w)], mode="dual_averaging", kappa=0.1
    )
    sharing.step()
    before = sharing.state_dict()["iterates"][0][0]["z"].clone()
    with torch.no_grad():
        w.copy_(torch.tensor([-3e38, 3e38]))
    with pytest.raises(DomainError, match="optimizer's iterate"):
        sharing.step()
    assert sharing.state_dict()["iterates"][0][0]["z"].equal(before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_check_finite(dtype):
    w = torch.full((2, 2), torch.finfo(dtype).max, dtype=dtype)
    check_finite(w, "w")
    check_finite(w[:0], "w")
    w[1, 0] = -math.inf
    with pytest.raises(DomainError, match=r"w of shape \(2, 2\) holds -inf at index \(1, 0\)"):
        check_finite(w, "w")


@pytest.mark.parametrize("scale", [2.0**1023, 2.0**-1000])
def test_the_deviation_keeps_its_digits_at_every_scale(scale, generator):
    w = torch.rand(3, 8, generator=generator, dtype=torch.float64) - 0.5
    for correction in (0, 1):
        assert deviation(w, correction=correction) == w.std(correction=correction)
        assert deviation(w * scale) / scale == pytest.approx(float(w.std(correction=0)), rel=1e-12)
        assert torch.equal(deviation(w, 1), w.std(dim=1, correction=0))
    assert deviation(w[:, :0], 1).tolist() == [0.0] * 3
    assert deviation(w[0, :1], correction=1) == 0


W = nn.Parameter(torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize(
    ("groups", "error", "match"),
    [
        (dict(params=W), ConfigError, "groups must be a sequence of dictionaries; given dict"),
        (None, ConfigError, "groups must be a sequence of dictionaries; given NoneType"),
        (W, ConfigError, "groups must be a sequence of dictionaries; given Parameter"),
        ([W], ConfigError, "each of groups must be a dictionary; given Parameter"),
        ([{"params": 3}], ConfigError, "params must be a tensor or a sequence.*given 3"),
        ([{"params": None}], ConfigError, "params must be a tensor or a sequence.*given None"),
        ([{"params": W, 5: 1.0}], ConfigError, "given 5"),
        ([{"params": W, "strength": "1"}], ConfigError, "strength must be a real number"),
        ([{"params": W, "strength": None}], ConfigError, "strength must be a real number"),
        ([{"params": W, "strength": 10**400}], ConfigError, "strength must fit a float64"),
        ([{"params": W, "l1": [1.0]}], ConfigError, "l1 must be a real number"),
        ([{"params": W, "rewind": "a"}], ConfigError, "rewind must be a real number"),
        ([{"params": W.detach().to(torch.float8_e5m2)}], DtypeError, "w.float"),
        ([{"params": torch.eye(2).to_sparse()}], UnsupportedError, "w.to_dense"),
    ],
)
def test_groups_of_a_wrong_type_are_refused(groups, error, match):
    with pytest.raises(error, match=match):
        ProxSharing(torch.optim.SGD([W], lr=0.1), groups)


@pytest.mark.parametrize("optimizer", [None, "SGD", [W], torch.optim.SGD])
def test_what_is_no_optimizer_is_refused(optimizer):
    with pytest.raises(ConfigError, match=r"optimizer must be a torch\.optim\.Optimizer"):
        ProxSharing(optimizer, [dict(params=W)])


def test_numbers_of_other_libraries_are_kept_as_floats():
    w = nn.Parameter(torch.tensor([0.0, 0.0, 3.0]))
    group = dict(params=w, strength=np.float32(1), l1=np.array(0.5), rewind=torch.tensor(0.5))
    sharing = ProxSharing(torch.optim.SGD([w], lr=1.0), [group])
    saved = sharing.state_dict()["param_groups"][0]
    assert {type(saved[name]) for name in ("strength", "l1", "rewind")} == {float}
    right = prox_sharing(w.detach(), 1.0, l1=0.5, rewind=0.5)
    sharing.step()
    assert w.detach().equal(right)
