"""DiagonalSSM: the range of each kind, the recurrence, streaming, starts, and bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from coset.core.errors import ConfigError, DtypeError, ShapeError
from coset.core.numerics import tolerance
from coset.ssm.layers import DiagonalSSM, real_features, widen

KINDS = ["lti", "nonneg", "signed", "unitary", "complex"]
LOOSE = tolerance("float32", 100, "sum")


def layer_of(kind, **arguments):
    return DiagonalSSM(3, 6, kind=kind, **arguments)


def by_hand(layer, inputs):
    """Run the recurrence one input at a time, from the definition."""
    h, states = layer.start_state(len(inputs)), []
    for t in range(inputs.shape[1]):
        a, b = layer.transition(inputs[:, t])
        h = a * h + b
        states.append(h)
    return torch.stack(states, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gate_width", [0, 8])
def test_forward_is_the_recurrence(kind, gate_width, generator):
    layer = layer_of(kind, gate_width=gate_width, start="learned")
    inputs = torch.randn(2, 40, 3, generator=generator)
    expected = by_hand(layer, inputs)
    assert expected.abs().max() > 0.1
    assert (layer(inputs) - expected).abs().max() < LOOSE


@pytest.mark.parametrize("kind", KINDS)
def test_streaming_continues_where_forward_stopped(kind, generator):
    layer = layer_of(kind)
    inputs = torch.randn(2, 9, 3, generator=generator)
    whole = layer(inputs)
    head = layer(inputs[:, :4])
    assert (layer(inputs[:, 4:], head[:, -1]) - whole[:, 4:]).abs().max() < LOOSE
    assert (layer.step(inputs[:, 4], head[:, -1]) - whole[:, 4]).abs().max() < LOOSE


def test_each_kind_keeps_its_range(generator):
    # Gates far beyond what training gives: the range must hold in rounding, too.
    inputs = 40 * torch.randn(500, 3, generator=generator)
    a = {kind: layer_of(kind, gate_width=8).transition(inputs)[0] for kind in KINDS}
    assert ((a["nonneg"] >= 0) & (a["nonneg"] <= 1)).all()
    assert a["signed"].abs().max() <= 1
    assert a["signed"].min() < -0.99
    assert a["signed"].max() > 0.99
    assert (a["unitary"].abs() - 1).abs().max() < tolerance("float32")
    assert a["complex"].abs().max() <= 1 + tolerance("float32")
    assert a["complex"].real.min() < -0.1
    assert a["lti"].abs().max() < 1
    assert (a["lti"] == a["lti"][0]).all()
    for kind in KINDS[1:]:
        assert (a[kind] != a[kind][0]).any(), kind


def test_the_letters_are_those_of_the_theory():
    assert [layer_of(kind).letter for kind in KINDS] == ["t", "p", "r", "c", "c"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_input_term_nothing_is_added(kind, generator):
    layer = layer_of(kind, input_term=False)
    inputs = torch.randn(2, 3, generator=generator)
    assert layer.transition(inputs)[1].abs().max() == 0
    assert layer.start == "ones"
    assert (layer.initial_state() == 1).all()


def test_starts():
    assert (layer_of("signed").initial_state() == 0).all()
    assert (layer_of("unitary", start="ones").initial_state() == 1).all()
    learned = layer_of("unitary", start="learned")
    learned(torch.zeros(1, 2, 3)).real.sum().backward()
    assert learned._start.grad.abs().max() > 0
    assert "_start" in learned.state_dict()
    assert "_start" not in layer_of("unitary").state_dict()


def test_a_layer_begins_with_memory_on_all_sides():
    torch.manual_seed(1)
    poles = DiagonalSSM(1, 64, kind="lti").transition(torch.zeros(1, 1))[0][0]
    assert poles.abs().min() > 0.6
    assert poles.abs().max() > 0.99
    quadrants = torch.atan2(poles.imag, poles.real).div(math.pi / 2).floor().unique()
    assert len(quadrants) >= 4
    signed = DiagonalSSM(1, 64, kind="signed").transition(torch.zeros(1, 1))[0][0]
    assert signed.min() < -0.5
    assert signed.max() > 0.5
    unitary = DiagonalSSM(1, 64, kind="unitary").transition(torch.zeros(1, 1))[0][0]
    assert unitary.real.min() < -0.9
    assert unitary.real.max() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_no_words_no_time_one_input(kind):
    layer = layer_of(kind)
    assert layer(torch.zeros(2, 0, 3)).shape == (2, 0, 6)
    assert layer(torch.zeros(0, 4, 3)).shape == (0, 4, 6)
    assert layer(torch.zeros(1, 3)).shape == (1, 6)
    assert layer(torch.zeros(2, 5, 4, 3)).shape == (2, 5, 4, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_loop(kind, generator):
    layer = layer_of(kind, gate_width=4, start="learned").double()
    inputs = torch.randn(2, 7, 3, generator=generator, dtype=torch.float64)
    weights = torch.randn(2, 7, 12, generator=generator, dtype=torch.float64)

    def gradients(states):
        seen = real_features(states)
        loss = (seen * weights[..., : seen.shape[-1]]).sum()
        return torch.autograd.grad(loss, list(layer.parameters()))

    pairs = zip(gradients(layer(inputs)), gradients(by_hand(layer, inputs)), strict=True)
    for got, expected in pairs:
        assert (got - expected).abs().max() < tolerance("float64", 1000, "sum")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_networks_have_float32_states(kind, dtype, generator):
    layer = layer_of(kind).to(dtype)
    states = layer(torch.randn(2, 30, 3, generator=generator).to(dtype))
    assert states.dtype == (torch.complex64 if layer.is_complex else torch.float32)
    assert states.isfinite().all()


def test_nan_stays_in_its_word():
    layer = layer_of("signed")
    inputs = torch.zeros(2, 4, 3)
    inputs[0, 2] = math.nan
    states = layer(inputs)
    assert states[0, :2].isfinite().all()
    assert states[0, 2:].isnan().all()
    assert states[1].isfinite().all()


def test_widen_and_features():
    assert widen(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert widen(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
    assert real_features(torch.tensor([1.0])).tolist() == [1.0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"kind": "mamba"}, "kind must be one of"),
        ({"d_in": 0}, "d_in"),
        ({"d_state": 2.0}, "d_state"),
        ({"d_state": True}, "d_state"),
        ({"gate_width": -1}, "gate_width"),
        ({"start": "half"}, "start must be one of"),
        ({"start": "zeros", "input_term": False}, "would stay 0"),
    ],
)
def test_impossible_layers_are_refused(arguments, match):
    with pytest.raises(ConfigError, match=match):
        DiagonalSSM(**{"d_in": 3, "d_state": 2, "kind": "signed", **arguments})


def test_wrong_shapes_are_named():
    layer = layer_of("signed")
    with pytest.raises(ShapeError, match=r"3 features .* given shape \(2, 5, 4\)"):
        layer(torch.zeros(2, 5, 4))
    with pytest.raises(ShapeError, match=r"\(…, T, 3\); given \(3,\)"):
        layer(torch.zeros(3))


def test_inputs_and_states_of_a_wrong_type_are_refused():
    layer = DiagonalSSM(3, 4, kind="signed")
    with pytest.raises(DtypeError, match="embed tokens"):
        layer(torch.zeros((2, 5, 3), dtype=torch.int64))
    with pytest.raises(DtypeError, match="real states"):
        layer(torch.zeros(2, 5, 3), torch.zeros(2, 4, dtype=torch.complex64))


def test_numpy_integers_are_sizes():
    layer = DiagonalSSM(np.int64(3), np.int32(4), kind="lti")
    assert type(layer.d_in) is type(layer.d_state) is int
    assert layer(torch.zeros(2, 5, 3)).shape == (2, 5, 4)
    for wrong in (np.float64(3), np.bool_(True), np.int64(0)):
        with pytest.raises(ConfigError, match="d_in"):
            DiagonalSSM(wrong, 4)
