"""Hardening: noisy trackers become exact, junk is left out, and failure is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from coset.core.errors import DomainError, DtypeError, NotConvergedError, UnsupportedError
from coset.groups import parse_group
from coset.ssm.compile import compile_group
from coset.ssm.harden import harden
from coset.ssm.snapping import conditional_entropy, snap_phases
from coset.ssm.stack import SSMStack


def noisy(name, sigma, alphabet="all", seed=0):
    model = compile_group(name, alphabet).to_module("mlp")
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(sigma * torch.randn(parameter.shape, generator=source))
    return model


@pytest.mark.parametrize("alphabet", ["all", "generators"])
@pytest.mark.parametrize("name", ["S3", "Q8", "A4", "S4"])
def test_noisy_trackers_become_exact(name, alphabet):
    group = parse_group(name)
    model = noisy(name, 0.1, alphabet)
    hard = harden(model, name, alphabet=alphabet)
    exact = compile_group(name, alphabet)
    assert hard.certified
    assert hard.certificate().verify()
    assert 0.001 < hard.residual < 0.3
    assert sorted(hard.cascade.moduli) == sorted(exact.cascade.moduli)
    words = torch.randint(len(hard.alphabet), (4, 3000))
    truth = group.prefix_products(words, alphabet=hard.alphabet)
    assert torch.equal(hard.track(words), truth)
    assert not torch.equal(model.track(words), truth)  # the noise had ruined it
    assert torch.equal(hard.to_module("complex").track(words[:, :500]), truth[:, :500])
    assert "exact" in hard.explain()
    for layer in hard.layers:
        turned = torch.angle(layer.after / layer.before).abs().amax((0, 1))
        steps = turned * torch.tensor(layer.moduli) / (2 * np.pi)
        assert float(steps.max()) == pytest.approx(layer.residual, abs=1e-6)


def test_too_much_noise_is_said():
    hard = harden(noisy("Z60", 0.2), "Z60")
    assert not hard.certified
    assert hard.tracker is None
    assert hard.conflict.replay(hard.cascade, parse_group("Z60"))
    assert "open" in hard.explain()
    for use in (hard.certificate, hard.to_module, lambda: hard.track(torch.zeros(1, 1).long())):
        with pytest.raises(NotConvergedError, match="exact on all pairs"):
            use()


def test_an_untrained_stack_is_not_exact():
    hard = harden(SSMStack(6, 6, "cc", d_state=4), "S3")
    assert not hard.certified
    assert hard.conflict is not None
    assert hard.conflict.values[0] != hard.conflict.values[1]
    assert hard.conflict.words[0].last == hard.conflict.words[1].last
    assert len(repr(hard)) < 2000


def test_the_trivial_group_needs_no_layer():
    hard = harden(compile_group("Z1").to_module("mlp"), "Z1")
    assert hard.certified
    assert (hard.entropy, hard.layers) == (0.0, ())


class Junk(nn.Module):
    """S3 by hand, about shifted centers, among coordinates that turn by no root of unity or fade.

    Tokens are the transposition (0 1) and the 3-cycle (0 1 2).
    """

    num_tokens, letters = 2, "cc"

    def layer_transition(self, index, lower, tokens):
        swap, cycle = tokens == 0, tokens == 1
        if index == 0:
            turn = torch.where(swap, -1.0, 1.0)
            junk = torch.exp(1j * torch.where(swap, 1.0, 2.3))
            fade = torch.full_like(turn, 0.1)
            a = torch.stack((junk, turn, fade), -1)
            b = torch.stack((0 * junk, 0.5 * (1 - turn), fade), -1)  # turns about 0.5
            return a, b
        sign = (lower[0][..., 1] - 0.5).real.sign()
        angle = torch.where(cycle, 2 * np.pi / 3 * sign, 0.0)
        a = torch.exp(1j * angle + 0.02j)[..., None]
        return a, 0 * a

    def start_state(self, *batch):
        first = torch.tensor([1.0, 1.5, 0.0], dtype=torch.complex64)
        return first.expand(*batch, 3), torch.ones(*batch, 1, dtype=torch.complex64)


def test_coordinates_that_turn_by_no_root_of_unity_are_left_out():
    group = parse_group("S3")
    letters = [group.labels.index("(0 1)"), group.labels.index("(0 1 2)")]
    hard = harden(Junk(), group, alphabet=letters)
    assert hard.certified
    assert [layer.coordinates for layer in hard.layers] == [(1,), (0,)]
    assert [layer.moduli for layer in hard.layers] == [(2,), (3,)]
    assert hard.layers[1].residual == pytest.approx(0.02 * 3 / (2 * np.pi), abs=1e-6)
    # The first layer alone cannot be enough, whatever moduli are given.
    assert not harden(Junk(), group, alphabet=letters, moduli=(2,)).certified


def test_the_least_order_that_tells_most_is_kept():
    # One generator of Z60: its small turn is nearly none for small orders.
    model = compile_group("Z60", "generators").to_module("complex")
    hard = harden(model, "Z60", alphabet="generators")
    assert [layer.moduli for layer in hard.layers] == [(60,)]
    assert hard.certified


def test_what_is_refused():
    model = compile_group("S3").to_module("complex")
    with pytest.raises(UnsupportedError, match="layer_transition"):
        harden(compile_group("S3").to_module("int"), "S3")
    with pytest.raises(DomainError, match="max_residual"):
        harden(model, "S3", max_residual=0.5)
    for moduli in ((), (1, 2), (2.7, 3)):
        with pytest.raises(DomainError, match="moduli"):
            harden(model, "S3", moduli=moduli)
    with pytest.raises(DomainError, match="6 tokens"):
        harden(model, "S3", alphabet=[0, 1])


def test_snapping_and_entropy():
    a = np.array([[[0.1, 1.0, -1.0]]])
    assert [(p.coordinate, p.order) for p in snap_phases(a, (2, 3), 0.4)] == [(2, 2)]
    assert snap_phases(np.exp(2j * np.pi * np.full((1, 1, 1), 0.25)), (2,), 0.4) == ()
    assert conditional_entropy(np.array([0, 1]), np.array([0, 1])) == 0
    assert conditional_entropy(np.array([3, 3]), np.array([0, 1])) == pytest.approx(np.log(2))


def test_a_hardened_model_can_be_saved(tmp_path):
    from coset.core.model_files import load_model

    hard = harden(noisy("S3", 0.05), "S3")
    hard.save(tmp_path / "exact.safetensors")
    loaded = load_model(tmp_path / "exact.safetensors")
    words = torch.randint(6, (3, 200))
    assert torch.equal(loaded.track(words), hard.track(words))


def test_the_real_form_of_a_tracker_is_exact_too():
    for dtype in (torch.float32, torch.float64):
        hard = harden(compile_group("S4").to_module("real", dtype), "S4")
        assert hard.certified
        assert hard.residual < 1e-5


def test_a_state_of_other_coordinates_than_the_multipliers_is_refused():
    class Packed(Junk):
        def start_state(self, *batch):
            return tuple(torch.view_as_real(s).flatten(-2) for s in super().start_state(*batch))

    with pytest.raises(UnsupportedError, match="layer 1 of Packed has 3 multipliers"):
        harden(Packed(), "S3", alphabet=[1, 2])


def test_failures_say_what_was_dropped_and_what_merges_the_words():
    model = SSMStack(6, 6, "cc", d_state=4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    text = harden(model, "S3").explain()
    assert "kept nothing" in text
    assert "layer 2, coordinates 0, 1, 2, 3: a multiplier is NaN" in text
    assert "the hardened cascade (not the model) is in the same state" in text
    hard = harden(Junk(), "S3", alphabet=[1, 2], moduli=(2,), max_residual=0.2)
    assert any("coordinate 2: it forgets" in reason for reason in hard.dropped)
    assert any("more than 0.2 of a step off" in reason for reason in hard.dropped)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"moduli": 2}, DomainError),
        ({"max_residual": "x"}, DomainError),
        ({"max_residual": None}, DomainError),
        ({"generator": 3}, DtypeError),
    ],
)
def test_wrong_arguments_are_named(wrong, kind):
    with pytest.raises(kind, match=next(iter(wrong))):
        harden(compile_group("S3").to_module("complex"), "S3", **wrong)
