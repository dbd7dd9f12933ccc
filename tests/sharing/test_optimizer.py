"""ProxSharing: strengths, groups, modes, buffers, state, and what it refuses."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from coset.core.errors import ConfigError, DtypeError, ShapeError, UnsupportedError
from coset.core.numerics import tolerance
from coset.sharing import ProxSharing, prox_sharing

TOLERANCE = tolerance("float64", 100, "mean")


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def sgd(*params: nn.Parameter, lr: float = 0.5, **options) -> torch.optim.SGD:
    return torch.optim.SGD(list(params), lr=lr, **options)


def train(w, optimizer, target, num_steps, after=lambda: None):
    for _ in range(num_steps):
        optimizer.zero_grad()
        (w - target).square().sum().backward()
        optimizer.step()
        after()


def test_strength_is_the_current_learning_rate_times_lambda():
    w = parameter(3.0, 1.0, 2.0)
    optimizer = sgd(w, lr=0.5)
    ProxSharing(optimizer, [dict(params=w, strength=0.5)]).step()
    assert w.tolist() == [2.75, 1.25, 2.0]
    optimizer.param_groups[0]["lr"] = 0.25
    ProxSharing(optimizer, [dict(params=w, strength=1.0)]).step()
    assert w.tolist() == [2.5, 1.5, 2.0]


def test_the_learning_rate_is_that_of_the_group_that_holds_the_parameter():
    a, b = parameter(0.0, 0.0, 3.0), parameter(0.0, 0.0, 3.0)
    optimizer = torch.optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b], "lr": 0.0}])
    ProxSharing(optimizer, [dict(params=[a, b], strength=1.0)]).step()
    assert a.tolist() == [0.5, 0.5, 2.0]
    assert b.tolist() == [0.0, 0.0, 3.0]


def test_a_scheduler_changes_the_strength():
    w = parameter(3.0, 1.0, 2.0)
    optimizer = sgd(w, lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.25)
    sharing = ProxSharing(optimizer, [dict(params=w, strength=1.0)])
    w.grad = torch.zeros_like(w)
    optimizer.step()
    scheduler.step()
    sharing.step()
    assert w.tolist() == [2.75, 1.25, 2.0]


def test_the_learning_rate_is_found_after_the_optimizer_loads_a_state():
    w = parameter(3.0, 1.0, 2.0)
    optimizer = sgd(w, lr=7.0)
    sharing = ProxSharing(optimizer, [dict(params=w, strength=1.0)])
    optimizer.load_state_dict(sgd(parameter(0.0, 0.0, 0.0), lr=0.25).state_dict())
    sharing.step()
    assert w.tolist() == [2.75, 1.25, 2.0]


def test_a_tensor_as_learning_rate():
    w = parameter(3.0, 1.0, 2.0)
    optimizer = torch.optim.Adam([w], lr=torch.tensor(0.25))
    ProxSharing(optimizer, [dict(params=w, strength=1.0)]).step()
    assert w.tolist() == [2.75, 1.25, 2.0]


def test_every_applies_the_summed_strength():
    w = parameter(3.0, 1.0, 2.0)
    optimizer = sgd(w, lr=0.125)
    sharing = ProxSharing(optimizer, [dict(params=w, strength=1.0)], every=2)
    sharing.step()
    assert w.tolist() == [3.0, 1.0, 2.0]
    sharing.step()
    assert w.tolist() == [2.75, 1.25, 2.0]
    sharing.step()
    assert w.tolist() == [2.75, 1.25, 2.0]


def test_l1_is_multiplied_by_the_learning_rate_unless_absolute():
    start = (0.0, 1.0, 10.0, 11.0)
    w, v = parameter(*start), parameter(*start)
    ProxSharing(sgd(w, lr=0.5), [dict(params=w, strength=1.5, l1=2.0)]).step()
    assert w.tolist() == [0.0, 0.25, 8.75, 9.25]
    ProxSharing(sgd(v, lr=0.5), [dict(params=v, strength=1.5, l1=1.0, l1_absolute=True)]).step()
    assert v.tolist() == w.tolist()


def test_l1_alone_is_a_soft_threshold():
    w = parameter(-3.0, 0.25, 2.0)
    ProxSharing(sgd(w, lr=0.5), [dict(params=w, strength=0.0, l1=1.0)]).step()
    assert w.tolist() == [-2.5, 0.0, 1.5]


def test_rewind_ties_without_shrinking():
    w = parameter(0.0, 0.0, 3.0)
    ProxSharing(sgd(w, lr=1.0), [dict(params=w, strength=1.0, rewind=0.5)]).step()
    assert w.tolist() == [0.25, 0.25, 2.5]


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 2)])
def test_rows_are_shared_by_themselves(shape, generator):
    w = nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
    expected = [prox_sharing(row, 0.4) for row in w.detach()]
    ProxSharing(sgd(w, lr=0.5), [dict(params=w, strength=0.8, group="row")]).step()
    assert w.detach().equal(torch.stack(expected))


def test_all_shares_across_tensors(generator):
    a = nn.Parameter(torch.randn(2, 3, generator=generator, dtype=torch.float64))
    b = nn.Parameter(torch.randn(4, generator=generator, dtype=torch.float64))
    together = prox_sharing(torch.cat([a.detach().reshape(-1), b.detach()]), 0.5)
    ProxSharing(sgd(a, b), [dict(params=[a, b], strength=1.0, group="all")]).step()
    assert torch.cat([a.detach().reshape(-1), b.detach()]).equal(together)


def test_all_refuses_two_learning_rates():
    a, b = parameter(1.0, 2.0), parameter(3.0)
    optimizer = torch.optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b], "lr": 0.5}])
    sharing = ProxSharing(optimizer, [dict(params=[a, b], group="all")])
    with pytest.raises(ConfigError, match="one learning rate"):
        sharing.step()


def test_attach_runs_after_each_step_and_the_handle_detaches():
    w = parameter(3.0, 1.0, 2.0)
    optimizer = sgd(w, lr=0.25)
    sharing = ProxSharing(optimizer, [dict(params=w, strength=1.0)])
    handle = sharing.attach()
    with pytest.raises(ConfigError, match="attached already"):
        sharing.attach()
    w.grad = torch.zeros_like(w)
    optimizer.step()
    assert w.tolist() == [2.75, 1.25, 2.0]
    handle.remove()
    optimizer.step()
    assert w.tolist() == [2.75, 1.25, 2.0]
    sharing.attach()
    optimizer.step()
    assert w.tolist() == [2.5, 1.5, 2.0]


def test_zero_strength_keeps_the_bits(generator):
    w = nn.Parameter(torch.randn(50, generator=generator))
    before = w.detach().clone()
    ProxSharing(sgd(w), [dict(params=w, strength=0.0)]).step()
    assert w.detach().equal(before)


def test_training_ties_weights_whose_targets_are_close():
    w = parameter(*(torch.arange(6.0) * 0.3))
    optimizer = sgd(w, lr=0.1)
    target = torch.tensor([1.0, 1.01, 1.02, 3.0, 3.01, 3.02], dtype=torch.float64)
    train(w, optimizer, target, 200, ProxSharing(optimizer, [dict(params=w, strength=0.5)]).step)
    values, counts = w.detach().unique(return_counts=True)
    assert counts.tolist() == [3, 3]
    # Each cluster sits at its mean target plus λ v̄ / 2, v̄ = ±3/5.
    assert (values - torch.tensor([1.16, 2.86], dtype=torch.float64)).abs().max() < 1e-6


def test_dual_averaging_is_the_prox_of_the_optimizers_own_iterate():
    w = parameter(0.0, 1.0, 2.0, 5.0)
    target = torch.tensor([1.0, 1.0, 2.0, 4.0], dtype=torch.float64)
    optimizer = sgd(w, lr=0.1, momentum=0.5)
    sharing = ProxSharing(
        optimizer, [dict(params=w)], mode="dual_averaging", kappa=0.8, ramp_steps=4
    )
    z, shown = w.detach().clone(), w.detach().clone()
    buffer = torch.zeros_like(z)
    for step in range(1, 7):
        train(w, optimizer, target, 1, sharing.step)
        buffer = 0.5 * buffer + 2 * (shown - target)
        z = z - 0.1 * buffer
        strength = 0.8 * min(1.0, step / 4) * float(z.std(correction=0))
        shown = prox_sharing(z, strength)
        assert (w.detach() - shown).abs().max() < TOLERANCE
    assert w.unique().numel() < 4


def test_dual_averaging_by_rows_uses_each_rows_deviation(generator):
    w = nn.Parameter(torch.randn(3, 8, generator=generator, dtype=torch.float64))
    with torch.no_grad():
        w[1] *= 10
    start = w.detach().clone()
    optimizer = sgd(w)
    groups = [dict(params=w, group="row")]
    ProxSharing(optimizer, groups, mode="dual_averaging", kappa=0.5).step()
    expected = [prox_sharing(row, 0.5 * float(row.std(correction=0))) for row in start]
    assert (w.detach() - torch.stack(expected)).abs().max() < 10 * TOLERANCE


@pytest.mark.parametrize("group", ["tensor", "row", "all"])
def test_average_makes_buffers_constant_on_clusters(group):
    w = nn.Parameter(torch.tensor([[0.0, 0.1, 5.0], [0.0, 7.0, 7.1]], dtype=torch.float64))
    optimizer = sgd(w, lr=0.5, momentum=0.9)
    w.grad = torch.tensor([[1.0, 3.0, 5.0], [2.0, 4.0, 8.0]], dtype=torch.float64) / 100
    optimizer.step()
    settings = dict(params=w, strength=0.4, group=group)
    ProxSharing(optimizer, [settings], momentum="average").step()
    buffer = optimizer.state[w]["momentum_buffer"] * 100
    expected = {
        "tensor": [[2.0, 2.0, 5.0], [2.0, 6.0, 6.0]],
        "row": [[2.0, 2.0, 5.0], [2.0, 6.0, 6.0]],
        "all": [[2.0, 2.0, 5.0], [2.0, 6.0, 6.0]],
    }[group]
    assert (buffer - torch.tensor(expected, dtype=torch.float64)).abs().max() < TOLERANCE


def test_rows_with_equal_values_do_not_mix_their_buffers():
    w = nn.Parameter(torch.zeros(2, 3, dtype=torch.float64))
    optimizer = sgd(w, lr=1e-9, momentum=0.9)
    w.grad = torch.tensor([[1.0, 2.0, 3.0], [7.0, 8.0, 9.0]], dtype=torch.float64)
    optimizer.step()
    settings = dict(params=w, strength=1e9, group="row")
    ProxSharing(optimizer, [settings], momentum="average").step()
    rows = optimizer.state[w]["momentum_buffer"]
    assert (rows - torch.tensor([[2.0], [8.0]])).abs().max() < TOLERANCE


def test_keep_leaves_buffers_alone():
    w = parameter(0.0, 0.0, 3.0)
    optimizer = sgd(w, momentum=0.9)
    w.grad = torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)
    optimizer.step()
    ProxSharing(optimizer, [dict(params=w, strength=1e3)]).step()
    assert optimizer.state[w]["momentum_buffer"].tolist() == [1.0, 3.0, 5.0]


def test_adams_moments_are_averaged_too():
    w = parameter(0.0, 0.0)
    optimizer = torch.optim.Adam([w], lr=0.1)
    w.grad = torch.tensor([1.0, 3.0], dtype=torch.float64)
    optimizer.step()
    ProxSharing(optimizer, [dict(params=w, strength=1e3)], momentum="average").step()
    for name in ("exp_avg", "exp_avg_sq"):
        moments = optimizer.state[w][name]
        assert moments[0] == moments[1] > 0
    assert optimizer.state[w]["step"] == 1


MODES = [
    dict(momentum="average", every=2),
    dict(mode="dual_averaging", kappa=0.9, ramp_steps=20),
]


@pytest.mark.parametrize("options", MODES, ids=["prox", "dual averaging"])
def test_state_round_trip_continues_to_the_same_bits(options, generator, tmp_path):
    target = torch.randn(30, generator=generator)
    start = torch.randn(30, generator=generator)

    def fresh():
        w = nn.Parameter(start.clone())
        optimizer = sgd(w, lr=0.1, momentum=0.9)
        return w, optimizer, ProxSharing(optimizer, [dict(params=w)], **options)

    w, optimizer, sharing = fresh()
    train(w, optimizer, target, 7, sharing.step)
    saved = copy.deepcopy(
        {"w": w.detach(), "optimizer": optimizer.state_dict(), "sharing": sharing.state_dict()}
    )
    train(w, optimizer, target, 6, sharing.step)

    torch.save(saved, tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    v, other, again = fresh()
    v.data.copy_(saved["w"])
    other.load_state_dict(saved["optimizer"])
    again.load_state_dict(saved["sharing"])
    train(v, other, target, 6, again.step)
    assert v.detach().equal(w.detach())
    # Without its state the second half differs, so the test above can fail.
    u, third, forgetful = fresh()
    u.data.copy_(saved["w"])
    third.load_state_dict(saved["optimizer"])
    train(u, third, target, 6, forgetful.step)
    assert not u.detach().equal(w.detach())


def test_settings_changed_between_steps_count_and_are_saved():
    w = parameter(3.0, 1.0, 2.0)
    sharing = ProxSharing(sgd(w, lr=0.5), [dict(params=w, strength=9.0)])
    sharing.param_groups[0]["strength"] = 0.5
    other = ProxSharing(sgd(w, lr=0.5), [dict(params=w, strength=9.0)])
    other.load_state_dict(sharing.state_dict())
    other.step()
    assert w.tolist() == [2.75, 1.25, 2.0]


def test_a_foreign_state_is_refused():
    w = parameter(1.0, 2.0)
    sharing = ProxSharing(sgd(w), [dict(params=w)])
    other = ProxSharing(sgd(w), [dict(params=w)], mode="dual_averaging", kappa=1.0)
    with pytest.raises(ConfigError, match="mode"):
        sharing.load_state_dict(other.state_dict())
    with pytest.raises(ConfigError, match="version"):
        sharing.load_state_dict({**sharing.state_dict(), "version": 99})
    long = parameter(1.0, 2.0, 3.0)
    larger = ProxSharing(sgd(long), [dict(params=long)], mode="dual_averaging", kappa=1.0)
    with pytest.raises(ConfigError, match="shape"):
        other.load_state_dict(larger.state_dict())


def refused(groups, error, match, **options):
    w = options.pop("w", parameter(1.0, 2.0))
    filled = [{"params": w, **group} for group in groups]
    with pytest.raises(error, match=match):
        ProxSharing(sgd(w), filled, **options)


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ([], "at least one group"),
        ([{"params": []}], "empty `params`"),
        ([{"lambda": 1.0}], "given lambda"),
        ([{"strength": -1.0}], "strength must be"),
        ([{"strength": float("nan")}], "strength must be"),
        ([{"l1": -1.0}], "l1 must be"),
        ([{"rewind": 1.5}], "rewind must lie"),
        ([{"group": "column"}], "group must be one of"),
        ([{"kappa": 1.0}], "kappa belongs to"),
        ([{}, {}], "in group 0 and in group 1"),
        ([{"params": parameter(1.0)}], "not; pass the parameter itself"),
        ([{"params": ["w"]}], "must hold tensors"),
    ],
)
def test_impossible_groups_are_refused(groups, match):
    refused(groups, ConfigError, match)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"every": 0}, "every must be"),
        ({"mode": "subgradient"}, "mode must be"),
        ({"momentum": "zero"}, "momentum must be"),
        ({"kappa": 1.0}, "belong to mode='dual_averaging'"),
        ({"ramp_steps": -1}, "ramp_steps must be"),
        ({"mode": "dual_averaging"}, "needs kappa"),
    ],
)
def test_impossible_settings_are_refused(options, match):
    refused([{}], ConfigError, match, **options)


def test_what_dual_averaging_would_ignore_is_refused():
    refused([{"l1": 1.0}], UnsupportedError, "remove l1", mode="dual_averaging", kappa=1.0)


def test_rows_of_a_vector_and_complex_weights_are_refused():
    refused([{"group": "row"}], ShapeError, "at least 2 dimensions")
    w = nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    refused([{}], DtypeError, "floating-point", w=w)


def test_a_sharded_parameter_is_refused():
    from torch.distributed.tensor import DTensor

    w = parameter(1.0, 2.0)
    sharded = torch.Tensor._make_subclass(DTensor, w.detach())
    with pytest.raises(UnsupportedError, match="given a DTensor") as caught:
        ProxSharing(sgd(w), [dict(params=sharded)])
    assert isinstance(caught.value, RuntimeError)


def test_the_repr_names_the_settings():
    w = parameter(1.0, 2.0)
    text = repr(ProxSharing(sgd(w), [dict(params=w, strength=0.125)]))
    assert "strength=0.125" in text
    assert "2 weights" in text
