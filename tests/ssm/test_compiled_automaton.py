"""Compiled automata: exact at length, streaming, in modules and files, with proofs that fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError, UnsupportedError
from coset.core.model_files import load_model
from coset.core.registry import MODEL_CLASSES
from coset.ssm.automata import Automaton, AutomatonCertificate
from coset.ssm.claims.automata import EXAMPLES

SOLVABLE = [name for name in EXAMPLES if name != "S5"]


def compiled(name, start=0):
    return Automaton.from_dfa(np.array(EXAMPLES[name][0]).T, start, name=name).compile()


@pytest.mark.parametrize("name", SOLVABLE)
@pytest.mark.parametrize("mode", ["int", "complex"])
def test_a_module_is_right_on_ten_thousand_tokens(name, mode, generator):
    tracker = compiled(name)
    module = tracker.to_module(mode)
    words = torch.randint(tracker.automaton.num_tokens, (3, 10_000), generator=generator)
    right = tracker.automaton.run(words)
    assert tracker.track(words).equal(right)
    assert module.track(words).equal(right)


@pytest.mark.parametrize("mode", ["int", "complex"])
def test_streaming_equals_reading_at_once(mode, generator):
    tracker = compiled("full T4", start=2)
    module = tracker.to_module(mode)
    words = torch.randint(3, (4, 60), generator=generator)
    right = tracker.automaton.run(words)
    logits, state, codes = module(words), module.start_state(4), torch.zeros(4, dtype=torch.long)
    assert logits.shape == (4, 60, 4)
    for t in range(60):
        now, state = module.step(words[:, t], state)
        codes = tracker.step(codes, words[:, t])
        assert now.equal(logits[:, t])
        assert tracker.state_of(codes).equal(right[:, t])
        assert now.argmax(-1).equal(right[:, t])


def test_short_words_and_wrong_ones():
    tracker = compiled("S3 with reset")
    module = tracker.to_module()
    none = torch.zeros(2, 0, dtype=torch.int64)
    assert tracker.track(none).shape == (2, 0)
    assert module(none).shape == (2, 0, 3)
    assert module.track(torch.tensor([1])).tolist() == [1]
    for reader in (tracker.track, module):
        with pytest.raises(RangeError):
            reader(torch.tensor([0, 3]))
        with pytest.raises(DtypeError):
            reader(torch.tensor([0.5]))


def test_codes_and_states_are_checked():
    tracker = compiled("parity")
    assert tracker.state_of(torch.tensor([1, 0])).tolist() == [1, 0]
    for wrong in (-1, 2):
        with pytest.raises(RangeError, match=rf"0 … 1; given {wrong} … {wrong}"):
            tracker.state_of(torch.tensor([wrong]))
        with pytest.raises(RangeError):
            tracker.step(torch.tensor([wrong]), torch.tensor([0]))
    for wrong in ([0], torch.tensor([0.0]), torch.tensor([True])):
        with pytest.raises(DtypeError, match="codes must be an integer tensor"):
            tracker.state_of(wrong)
    with pytest.raises(DtypeError, match="tokens"):
        tracker.step(torch.tensor([0]), [0])
    module = tracker.to_module()
    for wrong in (module.start_state(2), module.start_state(1) * 2, []):
        with pytest.raises(ShapeError, match=r"shapes \[\(1, 1\)\], as start_state\(1,\)"):
            module.step(torch.tensor([1]), wrong)
    with pytest.raises(DtypeError, match="tokens"):
        module.step([1], module.start_state(1))


def test_a_word_has_a_time_dimension():
    tracker = Automaton.from_dfa([[0, 1], [1, 0]], accepting=[1]).compile()
    calls = (tracker.automaton.run, tracker.track, tracker.accepts, tracker.to_module())
    for call in calls:
        with pytest.raises(ShapeError, match="a single number"):
            call(torch.tensor(1))


def test_tables_are_not_printed():
    tracker = compiled("full T4")
    for shown in (tracker, tracker.certificate(), tracker.automaton.transition_monoid()):
        assert "array" not in repr(shown)
        assert "tensor" not in repr(shown)
    assert repr(compiled("mod 3 with reset")) == (
        "CompiledAutomaton(mod 3 with reset: 3 states, 2 tokens, [3])"
    )


def test_an_automaton_of_one_state_has_no_layer():
    tracker = Automaton.from_dfa([[0, 0]]).compile()
    assert (tracker.depth, tracker.certificate().verify()) == (0, True)
    words = torch.tensor([[0, 1, 1]])
    assert tracker.track(words).tolist() == [[0, 0, 0]]
    assert tracker.to_module("complex").track(words).tolist() == [[0, 0, 0]]


def test_states_keep_their_numbers_where_some_are_never_reached():
    automaton = Automaton.from_dfa([[3, 3], [0, 1], [2, 2], [0, 3]], start=3)
    words = torch.randint(2, (5, 50))
    assert automaton.compile().track(words).equal(automaton.run(words))
    assert set(automaton.compile().states.tolist()) <= {-1, 0, 3}


def test_words_are_accepted_as_the_automaton_says():
    even = Automaton.from_dfa([[0, 1], [1, 0]], accepting=[0]).compile()
    assert even.accepts(torch.tensor([[1, 1, 0], [1, 0, 0]])).tolist() == [True, False]
    assert even.accepts(torch.zeros(2, 0, dtype=torch.int64)).tolist() == [True, True]
    with pytest.raises(DomainError, match="accepting"):
        compiled("parity").accepts(torch.tensor([0]))


def test_a_million_tokens_in_chunks(generator):
    tracker = compiled("S3 with reset")
    code, state, delta = torch.tensor(0), tracker.automaton.start, tracker.automaton.delta.tolist()
    for _ in range(10):
        words = torch.randint(2, (100_000,), generator=generator)
        words[torch.rand(words.shape, generator=generator) < 1e-4] = 2  # long runs without a reset
        codes = tracker.cascade.run(words, code)
        code = codes[-1]
        right = []
        for x in words.tolist():
            state = delta[state][x]
            right.append(state)
        assert tracker.state_of(codes).tolist() == right


@pytest.mark.parametrize("name", SOLVABLE)
def test_the_certificate_fails_when_any_entry_that_matters_is_changed(name):
    certificate = compiled(name).certificate()
    assert certificate.verify()
    codes = (certificate.states >= 0).nonzero()[:, 0]
    for layer, (moduli, added) in enumerate(
        zip(certificate.moduli, certificate.increments, strict=True)
    ):
        reset = certificate.resets[layer]
        for place in np.ndindex(*added.shape):
            if moduli[place[2]] == 1 or (reset.numel() and reset[place] >= 0):
                continue
            if not reached(certificate, codes, layer, place[0]):
                continue
            wrong = added.clone()
            wrong[place] = (wrong[place] + 1) % moduli[place[2]]
            changed = [*certificate.increments]
            changed[layer] = wrong
            bad = replace(certificate, increments=tuple(changed))
            # Without a state for what is now reached, or with the wrong one, the proof must fail.
            assert not bad.verify(), (layer, place)


def reached(certificate, codes, layer, cell):
    """Tell whether some code that stands for a state has this cell below a layer."""
    above = np.prod([m for upper in certificate.moduli[layer:] for m in upper], dtype=int)
    return bool((codes // int(above) == cell).any())


def test_malformed_certificates_say_why():
    certificate = compiled("full T3").certificate()
    short = replace(certificate, states=certificate.states[:-1])
    assert "need as many states" in short.failure()
    far = replace(certificate, states=certificate.states + 5)
    assert "must lie in" in far.failure()
    nothing = replace(certificate, start=-1, states=torch.full_like(certificate.states, -1))
    assert "start must lie in 0 … 2; given -1" in nothing.failure()
    for wrong in (-1, 3):  # codes that stand for no state must not pass for it
        out = replace(certificate, delta=certificate.delta.clamp(max=0) + wrong)
        assert f"delta must hold states 0 … 2; given {wrong}" in out.failure()
    assert "given float32" in replace(certificate, delta=certificate.delta.float()).failure()
    assert "given float32" in replace(certificate, states=certificate.states.float()).failure()
    assert "malformed" in replace(certificate, delta=certificate.delta[0]).failure()
    late = replace(certificate, start=1)
    assert "code 0 stands for state 0; the start is 1" in late.failure()
    cut = replace(
        certificate, increments=(*certificate.increments[:-1], torch.zeros(1, 3, 1).long())
    )
    assert "malformed" in cut.failure()
    assert not cut.verify()
    assert cut.explain().startswith("nothing is proved: the tables are malformed")
    swapped = replace(certificate, delta=certificate.delta.flip(1))
    assert "instead of" in swapped.failure()


def test_a_certificate_becomes_json_and_comes_back():
    certificate = compiled("S3 with reset").certificate()
    again = AutomatonCertificate.from_json(certificate.to_json())
    assert again.verify()
    assert "18 pairs" in again.explain()
    assert again.states.equal(certificate.states)


@pytest.mark.parametrize("mode", ["int", "complex"])
def test_a_model_file_holds_automaton_names_and_proof(mode, tmp_path, monkeypatch):
    monkeypatch.setitem(
        MODEL_CLASSES, "ssm.AutomatonTracker", "coset.ssm.automata.module:AutomatonTracker"
    )
    automaton = Automaton.from_dfa(
        [[1, 0], [2, 0], [0, 0]],
        start=1,
        accepting=[2],
        state_labels=["a", "b", "c"],
        token_labels=["+1", "clear"],
        name="mod 3",
    )
    path = tmp_path / "mod3.safetensors"
    automaton.compile().to_module(mode).save(path)
    module = load_model(path)
    words = torch.randint(2, (3, 40))
    assert module.track(words).equal(automaton.run(words))
    assert module.certificate().verify()
    found = module.automaton()
    assert (found.name, found.start, found.accepting) == ("mod 3", 1, (2,))
    assert (found.state_labels, found.token_labels) == (("a", "b", "c"), ("+1", "clear"))
    assert np.array_equal(found.delta, automaton.delta)


def test_a_tampered_module_loses_its_certificate():
    module = compiled("full T3").to_module()
    module.increments_0[0, 0, 0] = 1 - module.increments_0[0, 0, 0]
    assert not module.certificate().verify()


def test_complex_states_are_on_the_unit_circle_and_resets_restore_them():
    module = compiled("mod 3 with reset").to_module("complex")
    words = torch.zeros(1, 5000, dtype=torch.int64)
    words[0, -1] = 1
    state = module._run(words, None)[1][0]
    assert state.equal(torch.ones(1, 1, dtype=torch.complex64))
    turned = module._run(words[:, :-1], None)[1][0]
    assert abs(float(turned.abs()) - 1) < 1e-2


def test_modes_and_dtypes():
    tracker = compiled("parity")
    assert tracker.to_module("complex", torch.float64)(torch.tensor([1])).dtype == torch.float64
    with pytest.raises(DomainError, match="'int' or 'complex'"):
        tracker.to_module("bits")
    with pytest.raises(UnsupportedError, match="bfloat16"):
        tracker.to_module("complex", torch.bfloat16)
