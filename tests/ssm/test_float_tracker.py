"""Trackers in floats: their numbers are those compiled, in every precision, or have no proof."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from coset.core.errors import ConfigError, DomainError, UnsupportedError
from coset.core.model_files import load_model
from coset.core.results import Certificate
from coset.ssm.automata import Automaton
from coset.ssm.circle import drift_horizon
from coset.ssm.commands.compile import compile
from coset.ssm.compile import compile_group
from coset.ssm.harden import harden
from coset.ssm.witness import search_witness

MODES = ("complex", "real", "mlp")
CASTS = {
    "double": lambda module: module.double(),
    "to float64": lambda module: module.to(torch.float64),
    "to float32": lambda module: module.to(torch.float32),
    "to complex128": lambda module: module.to(torch.complex128),
    "float": lambda module: module.float(),
    "there and back": lambda module: module.double().float(),
    "as part of another": lambda module: nn.Sequential(module).double()[0],
    "type": lambda module: module.type(torch.float64),
}


def test_zeroed_weights_have_no_certificate():
    module = compile_group("S3").to_module("mlp")
    assert module.certificate().verify()
    with torch.no_grad():
        for weights in module.parameters():
            weights.zero_()
    with pytest.raises(DomainError, match=r"coset\.ssm\.harden"):
        module.certificate()


@pytest.mark.parametrize(
    "name", [*(f"gates.{i}.{w}" for i in (0, 1) for w in ("token", "bias", "phase")), "decoder"]
)
def test_one_weight_that_is_off_takes_the_certificate(name):
    module = compile_group("S3").to_module("mlp")
    with torch.no_grad():
        module.get_parameter(name).view(-1)[0] += 1e-6
    with pytest.raises(DomainError, match=name):
        module.certificate()


def test_tables_changed_in_place_do_not_pass():
    module = compile_group("S3").to_module("int")
    assert module.certificate().verify()
    module.increments_1[0, 0, 0] = 1
    assert not module.certificate().verify()


def test_trained_weights_are_saved_and_hardened(tmp_path):
    module = compile_group("S3").to_module("mlp")
    with torch.no_grad():
        for weights in module.parameters():
            weights += 1e-3 * torch.randn_like(weights)
    module.save(tmp_path / "trained.safetensors")
    again = load_model(tmp_path / "trained.safetensors")
    with pytest.raises(DomainError, match="harden"):
        again.certificate()
    assert harden(again, "S3").certificate().verify()
    before = again.decoder.detach().clone()
    # What was trained is kept, not compiled again.
    assert torch.equal(again.double().decoder, before.double())


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature")
@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("mode", MODES)
def test_every_precision_is_right_and_proved(mode, cast):
    tracker = compile_group("S4", "generators")
    module = CASTS[cast](tracker.to_module(mode))
    words = torch.randint(0, tracker.num_tokens, (2, 300))
    assert torch.equal(module.track(words), tracker.track(words))
    state = module.start_state(2)
    logits, _ = module.step(words[:, 0], state)
    wide = cast in ("double", "to float64", "to complex128", "as part of another", "type")
    assert logits.dtype == (torch.float64 if wide else torch.float32)
    assert module.certificate().verify()
    fresh = type(module)(**module.arguments)
    fresh.load_state_dict(module.state_dict())
    assert fresh.certificate().verify()
    expected = tracker.to_module(mode, getattr(torch, module.dtype_name)).state_dict()
    for name, numbers in module.state_dict().items():
        assert numbers.dtype == expected[name].dtype, name
        assert torch.equal(numbers, expected[name]), name


@pytest.mark.parametrize("mode", MODES)
def test_coarse_precisions_are_refused_and_change_nothing(mode):
    module = compile_group("S3").to_module(mode)
    for cast in (module.half, module.bfloat16, lambda: module.to(torch.bfloat16)):
        with pytest.raises(UnsupportedError, match="half precision mistakes"):
            cast()
    with pytest.raises(UnsupportedError, match="int64"):
        module.type(torch.int64)
    assert module.certificate().verify()


def test_exact_forms_claim_every_length_and_floats_do_not():
    tracker = compile_group("Z8000", [2999])
    for exact in (tracker, tracker.to_module("int"), tracker.to_module("table")):
        assert "names the product: right on every word, of any length" in (
            exact.certificate().explain()
        )
    proof = tracker.to_module("complex").certificate()
    text = proof.explain()
    assert "the integer layers are right on every word" in text
    assert "complex64 numbers drift by rounding" in text
    assert "estimate" in text
    assert Certificate.from_json(proof.to_json()).explain() == text
    finer = tracker.to_module("complex").double().certificate()
    assert finer.numbers == "complex128"
    assert finer.horizon > 10**8 * proof.horizon


def test_the_estimate_is_from_below():
    tracker = compile_group("Z8000", [2999])
    module = tracker.to_module("complex")
    words = torch.zeros(100_000, dtype=torch.int64)
    wrong = (module.track(words) != tracker.track(words)).nonzero()
    assert wrong.numel()  # it does drift
    assert 1000 < module.horizon() < int(wrong[0])
    assert drift_horizon(1.0, 1.0, torch.float32) == 2**23


def test_signs_and_quarter_turns_do_not_drift():
    for name in ("Z1", "Z2", "Q8"):
        for mode in ("complex", "real"):
            module = compile_group(name).to_module(mode)
            assert module.horizon() is None
            assert "right on every word, of any length" in module.certificate().explain()
    assert compile_group("Z2").to_module("mlp").horizon() > 10**6
    assert compile_group("Z1").to_module("mlp").certificate().verify()


@pytest.mark.parametrize("mode", MODES)
def test_the_command_says_how_far_floats_are_right(mode, tmp_path, capsys):
    path = tmp_path / "s3.safetensors"
    assert compile("S3", out=path, mode=mode) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "the integer layers are right at every length; " in " ".join(out.split())
    assert "numbers drift by rounding" in " ".join(out.split())
    assert compile("S3", out=path, mode=mode, json=True) == 0
    assert json.loads(capsys.readouterr().out)["horizon"] == load_model(path).horizon()
    assert compile("S3", out=path, mode="table") == 0
    assert "drift" not in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["table", *MODES])
def test_a_form_without_a_file_is_an_error(mode):
    with pytest.raises(ConfigError, match="no --out"):
        compile("S4", mode=mode)


@pytest.mark.parametrize("mode", ["int", "complex"])
def test_witnesses_are_sought_in_compiled_automata(mode):
    module = Automaton.from_dfa([[0, 1], [1, 0]], name="parity").compile().to_module(mode)
    assert [s.tolist() for s in module.start_state()] == [[module.start_state(2)[0][0].item()]]
    assert module.start_state(2, 3)[0].shape == (2, 3, 1)
    assert search_witness(module, "Z2").witness is None
    other = Automaton.from_dfa([[0, 1], [1, 1]]).compile().to_module(mode)
    assert search_witness(other, "Z2").witness is not None
    shown = f"AutomatonTracker(parity: 2 states, 2 tokens, [2], mode={mode!r})"
    assert repr(module) == shown
