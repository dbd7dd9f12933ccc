"""Compiled modules: exact words of 10,000 tokens, steps, gates of ReLUs, model files."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tests.ssm.test_compile import MODULI

from coset.core.errors import (
    ConfigError,
    DomainError,
    DtypeError,
    RangeError,
    ShapeError,
    UnsupportedError,
)
from coset.core.model_files import load_model
from coset.core.registry import MODEL_CLASSES
from coset.groups import parse_group
from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.compile import SubgroupWarning, compile_group
from coset.ssm.modules import IntTracker, TableTracker
from coset.ssm.tracker import CompiledTracker

FILE_CLASSES = {
    "ssm.IntTracker": "coset.ssm.modules:IntTracker",
    "ssm.TableTracker": "coset.ssm.modules:TableTracker",
    "ssm.ComplexTracker": "coset.ssm.phasor_modules:ComplexTracker",
    "ssm.RealTracker": "coset.ssm.phasor_modules:RealTracker",
    "ssm.MLPTracker": "coset.ssm.mlp_module:MLPTracker",
}
MODES = ("int", "table", "complex", "real", "mlp")
# Parameters of the ReLU form, verified before it was written; Z2 and Z60 follow by hand.
PARAMETERS = {
    **{"S3": 192, "D4": 584, "Q8": 584, "A4": 852, "S4": 6624, "SL(2,3)": 12_120},
    **{"GL(2,3)": 90_528, "Z2": 2 * (2 + 1 + 1) + 4, "Z60": 60 * 62 + 120},
}


@pytest.fixture(autouse=True)
def _files(monkeypatch):
    for name, place in FILE_CLASSES.items():
        monkeypatch.setitem(MODEL_CLASSES, name, place)


@pytest.mark.parametrize("name", MODULI)
def test_ten_thousand_tokens_without_an_error(name):
    tracker = compile_group(name)
    words = torch.randint(0, tracker.num_tokens, (1, 10_000))
    expected = tracker.group.prefix_products(words)
    for mode in MODES:
        module = tracker.to_module(mode)
        with torch.no_grad():
            assert torch.equal(module.track(words), expected), mode


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["Z1", "Z6", "S3", "S4"])
def test_steps_logits_and_labels_agree(name, mode):
    tracker = compile_group(name)
    module = tracker.to_module(mode)
    words = torch.randint(0, tracker.num_tokens, (3, 2, 20))
    logits = module(words)
    assert logits.shape == (3, 2, 20, tracker.group.order)
    assert torch.equal(logits.argmax(-1), tracker.track(words))
    assert torch.equal(module.track(words), tracker.track(words))
    state = module.start_state(3, 2)
    for t in range(20):
        one, state = module.step(words[..., t], state)
        torch.testing.assert_close(one, logits[..., t, :], rtol=0, atol=2e-5)
    assert module(words[..., :0]).shape == (3, 2, 0, tracker.group.order)
    assert module.track(words[0, 0, :1]).tolist() == words[0, 0, :1].tolist()
    alone, _ = module.step(words[0, 0, 0], module.start_state())
    assert alone.shape == (tracker.group.order,)


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_numbers_of_parameters(name, count):
    module = compile_group(name).to_module("mlp")
    assert sum(p.numel() for p in module.parameters()) == count


@pytest.mark.parametrize(("name", "margin"), [("S3", 1.5), ("A4", 1.5), ("D4", 2.0), ("Z60", None)])
def test_margins_of_the_linear_decoder(name, margin):
    tracker = compile_group(name)
    module = tracker.to_module("complex", torch.complex128)
    top = module(torch.arange(tracker.group.order)[:, None])[:, 0].topk(2, -1).values
    margin = 1 - np.cos(2 * np.pi / 60) if margin is None else margin
    gap = (top[:, 0] - top[:, 1]).min()
    assert float(gap) == pytest.approx(margin, abs=1e-12)
    assert float(top[:, 0].min()) == pytest.approx(tracker.num_phases)


def test_gates_are_exactly_zero_or_one_off_their_states():
    module = compile_group("S4").to_module("mlp")
    gate = module.gates[2]
    states = [module.points[:, :1], module.points[:, 1:2]]
    for code in range(24):
        features = torch.cat([s[code].flatten() for s in states])
        for x in range(24):
            u = gate.lower @ features + gate.token[:, x] + gate.bias
            steps = torch.relu(u + 0.5) - torch.relu(u - 0.5)
            assert steps.max() == 1
            assert (steps == 0).sum() == len(steps) - 1


def test_gates_bear_errors_below_and_break_beyond():
    module = compile_group("S3").to_module("mlp")
    tokens = torch.arange(6)
    sign = torch.ones(6, 1, dtype=torch.complex64)
    right, _ = module.layer_transition(1, [sign], tokens)
    # δ = 2: a score that is off by less than 0.375 δ changes nothing.
    near, _ = module.layer_transition(1, [sign * 0.3], tokens)
    far, _ = module.layer_transition(1, [sign * 0.1], tokens)
    assert torch.equal(near, right)
    assert not torch.equal(far, right)


@pytest.mark.parametrize("mode", ["complex", "mlp"])
def test_transitions_of_layers(mode):
    tracker = compile_group("A4")
    module = tracker.to_module(mode)
    assert (module.letters, module.num_tokens, module.num_labels) == ("cc", 12, 12)
    words = torch.randint(0, 12, (4, 30))
    states = module.states(words)
    before = [
        torch.cat([one[:, None], s[:, :-1]], 1)
        for one, s in zip(module.start_state(4), states, strict=True)
    ]
    for index, (was, now) in enumerate(zip(before, states, strict=True)):
        a, b = module.layer_transition(index, states[:index], words)
        torch.testing.assert_close(a * was + b, now, rtol=0, atol=1e-5)
        assert torch.allclose(a.abs(), torch.ones(()))
    with pytest.raises(RangeError):
        module.layer_transition(2, states, words)
    with pytest.raises(ShapeError, match="1 layers below"):
        module.layer_transition(1, [], words)


def test_real_states_are_signs_and_turns():
    module = compile_group("S3").to_module("real")
    states = module.states(torch.randint(0, 6, (50,)))
    assert [s.shape[-1] for s in states] == [1, 2]
    assert set(states[0].flatten().tolist()) <= {1.0, -1.0}
    assert not states[1].is_complex()
    torch.testing.assert_close(states[1].norm(dim=-1), torch.ones(50))


def test_weights_of_the_relu_form_can_be_trained():
    module = compile_group("S3").to_module("mlp")
    words = torch.randint(0, 6, (8, 12))
    labels = parse_group("S3").prefix_products(words)
    with torch.no_grad():
        for p in module.parameters():
            p += 0.05 * torch.randn_like(p)
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = torch.nn.functional.cross_entropy(module(words).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    with pytest.raises(DomainError, match="harden"):
        module.certificate()


def test_long_words_without_gradients_are_done_in_parts(monkeypatch):
    from coset.ssm import mlp_module

    module = compile_group("S3").to_module("mlp")
    words = torch.randint(0, 6, (3, 40))
    with torch.no_grad():
        whole = module(words)
        monkeypatch.setattr(mlp_module, "_CHUNK", 100)
        torch.testing.assert_close(module(words), whole, rtol=0, atol=1e-5)


def test_resets_in_integers_and_complex_numbers():
    # Z3 with a token that sets the phase to 0: a = 0 and b = 1 there.
    added = np.array([[[0], [1], [0]]])
    fixed = np.array([[[-1], [-1], [0]]])
    cascade = Cascade((PhaseLayer((3,), added, fixed),), 3)
    words = torch.randint(0, 3, (4, 60))
    codes = cascade.run(words)
    # A reset is no group element; labels by hand: the phases themselves.
    group = parse_group("Z3")
    tracker = CompiledTracker(
        group, np.array([0, 1, 0]), cascade, np.arange(3), np.arange(3), (), "c"
    )
    assert not tracker.certificate().verify()
    for mode in ("int", "table", "complex", "real"):
        assert torch.equal(tracker.to_module(mode).track(words), codes), mode
    with pytest.raises(UnsupportedError, match="resets"):
        tracker.to_module("mlp")


@pytest.mark.parametrize("mode", MODES)
def test_model_files_hold_name_alphabet_and_proof(mode, tmp_path):
    tracker = compile_group("SL(2,3)", "generators")
    module = tracker.to_module(mode)
    path = tmp_path / "tracker.safetensors"
    tracker.save(path, mode)
    again = load_model(path)
    assert type(again) is type(module)
    assert again.group == "SL(2,3)"
    assert again.alphabet == tuple(tracker.alphabet.tolist())
    words = torch.randint(0, tracker.num_tokens, (2, 50))
    assert torch.equal(again(words), module(words))
    assert again.certificate().verify()
    compiled = again.compiled()
    assert np.array_equal(compiled.elements, tracker.elements)
    assert np.array_equal(compiled.codes, tracker.codes)
    assert compiled.letters == tracker.letters
    with pytest.raises(DomainError, match="products"):
        again.compiled("S4")


def test_a_damaged_file_fails_its_certificate_or_is_refused(tmp_path):
    tracker = compile_group("S3")
    module = tracker.to_module("table")
    state = module.state_dict()
    state["increments_1"][0, 0, 0] = 1
    module.load_state_dict(state)
    assert not module.certificate().verify()
    state["increments_1"][0, 0, 0] = 3
    module.load_state_dict(state)
    with pytest.raises(DomainError):
        module.certificate()
    state["table"][0, 0] = 99
    module.load_state_dict(state)
    with pytest.raises(RangeError, match="table"):
        module.track(torch.zeros(3, dtype=torch.int64))


def test_copies_and_state_dicts():
    module = compile_group("A4").to_module("complex")
    words = torch.randint(0, 12, (20,))
    assert torch.equal(copy.deepcopy(module)(words), module(words))
    fresh = type(module)(**module.arguments)
    fresh.load_state_dict(module.state_dict())
    assert torch.equal(fresh(words), module(words))
    assert fresh.certificate().verify()
    assert "A4" in repr(module)


def test_double_precision():
    for mode, dtype in (("complex", torch.complex128), ("real", torch.float64)):
        module = compile_group("S3").to_module(mode, dtype)
        assert module(torch.tensor([1, 2])).dtype == torch.float64
    assert compile_group("S3").to_module("mlp", torch.float64).decoder.dtype == torch.float64


@pytest.mark.parametrize(
    ("mode", "dtype", "error", "match"),
    [
        ("complex", torch.bfloat16, UnsupportedError, "bfloat16"),
        ("real", torch.float16, UnsupportedError, "half precision"),
        ("mlp", torch.bfloat16, UnsupportedError, "bfloat16"),
        ("complex", torch.float32, UnsupportedError, "complex64"),
        ("int", torch.int32, UnsupportedError, "int64"),
        ("dense", None, DomainError, "dense"),
    ],
)
def test_modes_and_dtypes_that_do_not_exist(mode, dtype, error, match):
    with pytest.raises(error, match=match):
        compile_group("S3").to_module(mode, dtype)


def test_the_relu_form_wants_one_code_an_element():
    with pytest.warns(SubgroupWarning):
        part = compile_group("S4", [1])
    with pytest.raises(UnsupportedError, match="exactly one code"):
        part.to_module("mlp")
    words = torch.zeros(7, dtype=torch.int64)
    assert torch.equal(part.to_module("complex").track(words), part.track(words))
    clock = compile_group("Z4", [1, 3], layers="rt")
    words = torch.randint(0, 2, (40,))
    for mode in ("complex", "real", "table", "int"):
        module = clock.to_module(mode)
        assert torch.equal(module.track(words), clock.track(words))
        assert torch.equal(module(words).argmax(-1), clock.track(words))


@pytest.mark.parametrize(
    "change",
    [
        {"letters": "c"},
        {"alphabet": [0, 1]},
        {"num_tokens": 0, "alphabet": []},
        {"moduli": [[2], [0]]},
        {"identity": 6},
        {"alphabet": [0, 1, 2, 3, 4, 9]},
        {"resets": [False]},
    ],
)
def test_contradictory_arguments_are_refused(change):
    arguments = compile_group("S3").to_module().arguments
    with pytest.raises(ConfigError):
        IntTracker(**{**arguments, **change})


def test_tables_of_absurd_size_are_refused_before_they_are_made():
    arguments = compile_group("S3").to_module().arguments
    with pytest.raises(UnsupportedError, match="entries"):
        IntTracker(**{**arguments, "moduli": [[2], [10**9]]})
    with pytest.raises(UnsupportedError, match="entries"):
        TableTracker(**{**arguments, "moduli": [[2], [2**26]]})
    with pytest.raises(RangeError):
        compile_group("S3").to_module("table").track(torch.tensor([6]))


def test_relu_gates_of_absurd_size_are_refused(monkeypatch):
    from coset.ssm import tracker_module

    monkeypatch.setattr(tracker_module, "MAX_ENTRIES", 1650)
    with pytest.raises(UnsupportedError, match="ReLU gate"):
        compile_group("Z40").to_module("mlp")
    assert compile_group("S3").to_module("mlp").certificate().verify()


@pytest.mark.parametrize("wrong", [0, -1, 999])
def test_a_corrupted_table_fails_its_certificate(tmp_path, wrong):
    module = compile_group("S4", "generators").to_module("table")
    assert module.certificate().verify()
    module.table[1, 1] = wrong
    module.save(tmp_path / "table.safetensors")
    loaded = load_model(tmp_path / "table.safetensors")
    assert not loaded.certificate().verify()


@pytest.mark.parametrize("mode", ["complex", "real"])
@pytest.mark.parametrize("name", ["points", "rotations_0", "rotations_1"])
def test_corrupted_float_tables_have_no_certificate(mode, name):
    module = compile_group("S3").to_module(mode)
    assert module.certificate().verify()
    table = module.get_buffer(name)
    table.view(-1)[0] = table.view(-1)[0] + 1e-3
    with pytest.raises(DomainError, match=name):
        module.certificate()
    table.view(-1)[0] = float("nan")
    with pytest.raises(DomainError, match=name):
        module.certificate()


def test_stored_arguments_that_contradict_the_tables():
    arguments = compile_group("S3", "generators").to_module().arguments
    with pytest.raises(DomainError, match="letters of 'trpc'"):
        IntTracker(**{**arguments, "letters": "zz"})
    module = compile_group("S3", "generators").to_module()
    module.alphabet = (0, 1)
    with pytest.raises(DomainError, match="must be the alphabet"):
        module.certificate()


def test_a_code_that_names_nothing_has_no_logit():
    module = compile_group("Z3").to_module()
    module.elements[1] = -1
    assert module(torch.tensor([1, 1])).tolist() == [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize("mode", MODES)
def test_odd_words_and_states_of_every_mode(mode):
    module = compile_group("S3").to_module(mode)
    with pytest.raises(ShapeError, match="time last"):
        module.track(torch.tensor(1))
    for tokens in ([0, 1], None):
        with pytest.raises(DtypeError, match="tokens must be"):
            module.step(tokens, module.start_state(2))
    with pytest.raises((ShapeError, DtypeError)):
        module.step(torch.tensor([1, 2, 3]), module.start_state(2))
    with pytest.raises((ShapeError, DtypeError)):
        module.step(torch.tensor([1, 2]), tuple(s.real.double() / 2 for s in module.start_state(2)))


@pytest.mark.parametrize("start", [0.5, True, torch.tensor([0.5])])
def test_a_table_starts_at_codes_only(start):
    with pytest.raises(DtypeError, match="start must be an integer code"):
        compile_group("Z3").to_module("table").states(torch.tensor([[1], [2]]), start)
