"""Compiled trackers: words, streams, certificates that can be stored, cascades from elsewhere."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, RangeError, ShapeError
from coset.core.results import Certificate
from coset.groups import parse_group
from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.certificate import TrackerCertificate, first_failure, merged_values
from coset.ssm.compile import compile_group
from coset.ssm.tracker import CompiledTracker


@pytest.fixture(scope="module")
def s4():
    return compile_group("S4")


def test_words_of_any_shape(s4):
    words = torch.randint(0, 24, (2, 3, 40))
    expected = s4.group.prefix_products(words)
    assert torch.equal(s4.track(words), expected)
    assert torch.equal(s4.track(words[:, :, :0]), words[:, :, :0])
    assert torch.equal(s4.track(words[0, 0, :1]), words[0, 0, :1])
    assert s4.track(words.int()).dtype == torch.int64
    assert torch.equal(s4.decode(s4.states(words)), expected)


def test_steps_are_the_word(s4):
    words = torch.randint(0, 24, (5, 30))
    state = torch.full((5,), s4.start)
    for t in range(30):
        state = s4.step(state, words[:, t])
        assert torch.equal(s4.decode(state), s4.track(words)[:, t])


def test_a_batch_of_words_is_its_words_in_any_order(s4):
    words, order = torch.randint(0, 24, (6, 50)), torch.randperm(6)
    assert torch.equal(s4.track(words)[order], s4.track(words[order]))


def test_all_letters_and_generators_give_the_same_elements():
    group = parse_group("GL(2,3)")
    few, all_letters = compile_group(group, "generators"), compile_group(group)
    words = torch.randint(0, few.num_tokens, (3, 100))
    elements = torch.from_numpy(few.alphabet.copy())[words]
    assert torch.equal(few.track(words), all_letters.track(elements))


def test_a_million_tokens_stream_in_constant_memory():
    tracker = compile_group("S4xZ2", "generators")
    generator = torch.Generator().manual_seed(4)
    mul, alphabet = tracker.group.mul.tolist(), tracker.alphabet.tolist()
    state, product, seen = torch.tensor(tracker.start), tracker.group.identity, 0
    tracker.track(torch.zeros(10, dtype=torch.int64))  # compile the loop first
    tracemalloc.start()
    for _ in range(100):
        chunk = torch.randint(0, tracker.num_tokens, (10_000,), generator=generator)
        codes = tracker.states(chunk, state)
        state = codes[-1]
        for x in chunk.tolist():
            product = mul[product][alphabet[x]]
        assert int(tracker.decode(state)) == product
        seen += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == 1_000_000
    assert peak < 3 * 2**20


def test_certificates_are_stored_and_checked_again(s4):
    certificate = s4.certificate()
    assert certificate.verify()
    assert certificate.num_pairs == 576
    assert "576" in certificate.explain()
    assert "any length" in certificate.explain()
    again = Certificate.from_json(certificate.to_json())
    assert isinstance(again, TrackerCertificate)
    assert again.verify()
    wrong = again.elements.clone()
    wrong[[3, 4]] = wrong[[4, 3]]
    broken = TrackerCertificate(**{**vars(again), "elements": wrong})
    assert not broken.verify()
    assert "fails" in broken.explain()
    failure = broken.failure()
    assert failure is not None
    assert failure["expected"] != failure["found"]
    moved = TrackerCertificate(**{**vars(again), "identity": 5})
    assert moved.failure() == {"code": 0, "token": -1, "expected": 5, "found": 0}


def test_a_code_that_names_no_element_is_a_failure(s4):
    elements = s4.elements.copy()
    elements[7] = -1
    failure = first_failure(s4.cascade, elements, s4.group.mul, 0)
    assert failure is not None
    assert failure["found"] == -1


def test_cascades_from_elsewhere_are_named_or_refused(s4):
    same = CompiledTracker.from_cascade(s4.group, s4.alphabet, s4.cascade)
    assert np.array_equal(same.elements, s4.elements)
    assert np.array_equal(same.codes, s4.codes)
    assert [v.tolist() for v in same.series] == [v.tolist() for v in s4.series]
    assert same.letters == "ccc"
    assert same.certificate().verify()
    with pytest.raises(DomainError, match="value"):
        CompiledTracker.from_cascade(s4.group, s4.alphabet, s4.cascade.below(2))
    with pytest.raises(ShapeError, match="24"):
        CompiledTracker.from_cascade(s4.group, s4.alphabet[:3], s4.cascade)


def test_a_wider_cascade_has_several_codes_for_an_element():
    # Z2 by a counter modulo 4: every element has two codes, the smaller one is its name.
    cascade = Cascade((PhaseLayer((4,), np.array([[[0], [1]]])),), 2)
    tracker = CompiledTracker.from_cascade(parse_group("Z2"), np.array([0, 1]), cascade)
    assert tracker.elements.tolist() == [0, 1, 0, 1]
    assert tracker.codes.tolist() == [0, 1]
    assert tracker.certificate().verify()
    values, conflict = merged_values(cascade, parse_group("Z3").mul[:, :2], 0)
    assert conflict is not None
    assert values[0] == 0


def test_figures_of_a_tracker(s4):
    described = s4.describe()
    assert described["moduli"] == [[2], [3], [2, 2]]
    assert described["depth"] == 3
    assert described["series"] == [24, 12, 4, 1]
    assert described["num_elements"] == 24
    assert repr(s4) == "CompiledTracker(S4, 24 tokens, [2][3][2, 2])"
    assert s4.num_phases == 4


def test_bad_tokens_are_refused(s4):
    with pytest.raises(RangeError, match="0 … 23"):
        s4.track(torch.tensor([24]))
    with pytest.raises(DtypeError):
        s4.track(torch.tensor([1.0]))
    with pytest.raises(RangeError):
        s4.track(torch.tensor([1]), start=24)


@pytest.mark.parametrize("label", [-5, 24, 99])
def test_a_certificate_fails_on_elements_that_are_none(s4, label):
    certificate = s4.certificate()
    elements = certificate.elements.clone()
    elements[3] = label
    tampered = dataclasses.replace(certificate, elements=elements)
    assert not tampered.verify()
    assert tampered.failure() == {"code": 3, "token": -1, "expected": -1, "found": label}
    with pytest.raises(ShapeError, match="each of 24 codes"):
        dataclasses.replace(certificate, elements=elements[:5]).verify()
    assert repr(certificate) == "TrackerCertificate(S4, [2][3][2, 2], 576 pairs)"


def test_a_certificate_checks_the_table_that_is_read(s4):
    table = torch.from_numpy(s4.cascade.transition_table().copy())
    certificate = dataclasses.replace(s4.certificate(), table=table)
    assert certificate.verify()
    assert Certificate.from_json(certificate.to_json()).verify()
    for wrong in (int(table[5, 7] + 1) % 24, -1, 24, 10**6):
        other = table.clone()
        other[5, 7] = wrong
        failure = dataclasses.replace(certificate, table=other).failure()
        assert failure is not None
        assert (failure["code"], failure["token"]) == (5, 7)


def test_cascades_of_other_alphabets_are_refused(s4):
    for alphabet, error in [([99] * 24, RangeError), ([-1] * 24, RangeError), ([0.5], DtypeError)]:
        with pytest.raises(error):
            CompiledTracker.from_cascade(s4.group, alphabet, s4.cascade)
    with pytest.raises(ShapeError, match="each of 3 layers"):
        CompiledTracker.from_cascade(s4.group, s4.alphabet, s4.cascade, "c")
    with pytest.raises(DtypeError, match="tokens must be"):
        s4.step(torch.tensor(0), [1])
