"""Learning from words alone: exact and certified, refused honestly, and never more than proved."""

from __future__ import annotations

import dataclasses
import math

import numba
import numpy as np
import pytest
import torch

from coset.core.errors import (
    DomainError,
    DtypeError,
    NotConvergedError,
    RangeError,
    ShapeError,
    UnavailableError,
    UnsupportedError,
)
from coset.core.results import Certificate, Record, Status
from coset.groups import parse_group
from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.learning import (
    GroupWords,
    MachineWords,
    Recipe,
    StoredWords,
    certify,
    learn_tracker,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def learned():
    """Return a tracker of S3, learned."""
    return learn_tracker("S3", generator=seeded())


def test_s3_is_learned_exactly_in_two_layers(learned):
    assert learned.report.status is Status.SOLVED
    assert learned.report.throw() is learned.report
    assert learned.moduli == ((2,), (3,))
    certificate = learned.certificate("S3")
    assert certificate.holds
    assert certificate.verify()
    assert certificate.num_pairs == 36
    assert "36 pairs" in certificate.explain()
    first, second = learned.report.stages
    assert first.entropy == pytest.approx(math.log(6), abs=0.01)
    assert first.gain == pytest.approx(math.log(2), abs=0.01)
    assert second.gain == pytest.approx(math.log(3), abs=0.01)
    assert max(first.residual, second.residual) < 0.25


def test_long_words_have_no_error(learned):
    tokens, labels = GroupWords("S3").sample(4, 20_000, seeded(1), fresh=True)
    assert torch.equal(learned.track(tokens), labels)
    assert learned.track(tokens[:, :0]).shape == (4, 0)
    with pytest.raises(RangeError):
        learned.track(torch.tensor([6]))


@pytest.mark.parametrize(
    ("name", "moduli"), [("A4", ((3,), (2, 2))), ("D4", ((2, 2), (2,))), ("Q8", ((2, 2), (2,)))]
)
def test_other_groups_in_as_few_layers_as_possible(name, moduli):
    learned = learn_tracker(name, generator=seeded())
    assert learned.certificate(name).verify()
    assert learned.moduli == moduli


def test_generators_are_enough():
    source = GroupWords("S3", "generators")
    learned = learn_tracker(source, generator=seeded())
    certificate = learned.certificate("S3", "generators")
    assert certificate.verify()
    assert certificate.num_pairs == 12


def test_a_single_coordinate_a_layer_gives_a_composition_series():
    learned = learn_tracker("D4", num_coordinates=1, restarts=16, generator=seeded())
    assert learned.certificate("D4").verify()
    assert learned.moduli == ((2,), (2,), (2,))


def test_moduli_need_not_be_known():
    learned = learn_tracker("S3", moduli=None, generator=seeded())
    assert learned.certificate("S3").verify()
    assert learned.moduli == ((2,), (3,))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["S4", "SL(2,3)", "GL(2,3)", "Heis(3)"])
def test_larger_groups(name):
    learned = learn_tracker(name, generator=seeded())
    assert learned.certificate(name).verify()
    assert len(learned.moduli) == parse_group(name).derived_length


def test_a5_is_given_up_honestly():
    learned = learn_tracker("A5", recipe=Recipe(num_tries=1), restarts=16, generator=seeded())
    assert learned.report.status is Status.STALLED
    assert "no progress in layer 1" in learned.report.advice
    assert learned.report.stages[0].gain < 0.1
    assert learned.moduli == ()
    certificate = learned.certificate("A5")
    assert not certificate.holds
    assert not certificate.verify()
    assert len(certificate.counterexample) == 1
    with pytest.raises(NotConvergedError, match="no progress"):
        learned.report.throw()


def test_a_missing_modulus_stops_with_the_layers_so_far():
    learned = learn_tracker("S3", moduli=(2,), recipe=Recipe(num_tries=1), generator=seeded())
    assert learned.report.status is Status.STALLED
    assert learned.moduli == ((2,),)
    certificate = learned.certificate("S3")
    assert not certificate.holds
    wrong = torch.tensor(certificate.counterexample)
    assert learned.track(wrong)[-1] != GroupWords("S3").label(wrong[None])[0, -1]


def test_a_limit_of_layers_is_said():
    learned = learn_tracker("S3", recipe=Recipe(num_stages=1), generator=seeded())
    assert learned.report.status is Status.STALLED
    assert "all 1 layers" in learned.report.advice


def test_stored_words_are_enough():
    tokens, labels = GroupWords("S3").sample(4000, 48, seeded(3))
    learned = learn_tracker((tokens, labels), generator=seeded())
    assert learned.certificate("S3").verify()
    random = torch.randint(6, labels.shape, generator=seeded(4))
    noise = learn_tracker(
        StoredWords(tokens, random), recipe=Recipe(num_tries=1), generator=seeded()
    )
    assert noise.moduli == ()
    assert noise.report.status is Status.STALLED


def test_too_few_stored_words_are_said_to_be_too_few():
    tokens, labels = GroupWords("S3").sample(12, 8, seeded(3))
    learned = learn_tracker((tokens, labels), recipe=Recipe(num_tries=1), generator=seeded())
    assert learned.report.status is Status.STALLED
    assert "8 held-out positions are too few" in learned.report.advice
    same = torch.zeros((2, 1), dtype=torch.int64)
    assert learn_tracker((same, same), generator=seeded()).report.status is Status.STALLED


def test_tokens_with_huge_numbers_are_refused():
    tokens = torch.full((4, 6), 2**31 - 1)
    with pytest.raises(RangeError, match="without gaps"):
        learn_tracker((tokens, tokens % 2), generator=seeded())
    with pytest.raises(UnsupportedError, match=r"2\^28"):
        learn_tracker("Z2", restarts=2**28, generator=seeded())


def test_a_machine_that_hides_its_state_is_learned():
    parity_of_z6 = MachineWords((np.arange(6)[:, None] + np.array([1, 2, 3])) % 6, np.arange(6) % 2)
    learned = learn_tracker(parity_of_z6, generator=seeded())
    assert learned.moduli == ((2,),)
    assert learned.certificate(parity_of_z6).verify()


def test_nothing_to_learn_needs_no_layer():
    learned = learn_tracker("Z1", generator=seeded())
    assert learned.moduli == ()
    assert learned.report.status is Status.SOLVED
    assert learned.certificate("Z1").verify()


def test_the_same_generator_gives_the_same_tracker(learned):
    again = learn_tracker("S3", generator=seeded())
    assert again.report == learned.report
    for one, other in zip(again.cascade.layers, learned.cascade.layers, strict=True):
        np.testing.assert_array_equal(one.increments, other.increments)


def test_every_changed_entry_is_rejected(learned):
    source, layers = GroupWords("S3"), learned.cascade.layers
    num_changed = 0
    for place, layer in enumerate(layers):
        for entry in np.ndindex(layer.increments.shape):
            table = layer.increments.copy()
            table[entry] = (table[entry] + 1) % layer.moduli[entry[2]]
            changed = (*layers[:place], PhaseLayer(layer.moduli, table), *layers[place + 1 :])
            cascade = Cascade(changed, 6)
            certificate = certify(
                cascade, learned.decoder, source.table, source.labels, source.start
            )
            assert not certificate.holds
            word = torch.tensor(certificate.counterexample)
            found = torch.from_numpy(learned.decoder)[cascade.run(word)][-1]
            assert found != source.label(word[None])[0, -1]
            num_changed += 1
    assert num_changed == 18


def test_a_changed_decoder_is_rejected(learned):
    source, decoder = GroupWords("S3"), learned.decoder.copy()
    code = int(learned.cascade.reachable()[3])
    decoder[code] = (decoder[code] + 1) % 6
    assert not certify(learned.cascade, decoder, source.table, source.labels, source.start).holds


def test_certificates_and_reports_become_json_and_come_back(learned):
    certificate = learned.certificate("S3")
    again = Certificate.from_json(certificate.to_json())
    assert again.verify()
    assert again.num_pairs == 36
    assert Record.from_json(learned.report.to_json()) == learned.report


def test_the_certificate_needs_the_alphabet_that_was_learned(learned):
    with pytest.raises(DomainError, match="6 tokens; given 2"):
        learned.certificate("S3", "generators")


def test_a_learned_tracker_is_a_module(learned):
    module = learned.to_module("S3")
    tokens, labels = GroupWords("S3").sample(2, 50, seeded(5))
    assert torch.equal(module.track(tokens), labels)
    assert torch.equal(learned.to_module("S3", mode="complex").track(tokens), labels)
    assert learned.compiled("S3").certificate().verify()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"restarts": 0}, DomainError),
        ({"restarts": 2.0}, DtypeError),
        ({"num_coordinates": 0}, DomainError),
        ({"num_coordinates": True}, DtypeError),
        ({"moduli": ()}, DomainError),
        ({"moduli": (1, 2)}, DomainError),
        ({"moduli": (2.5,)}, DomainError),
        ({"moduli": "abc"}, DomainError),
        ({"moduli": 3}, DomainError),
        ({"moduli": (None,)}, DomainError),
        ({"moduli": (2, 10**9)}, DomainError),
        ({"num_coordinates": 7}, DomainError),
        ({"recipe": "fast"}, DtypeError),
    ],
)
def test_impossible_settings_are_refused(wrong, error):
    with pytest.raises(error):
        learn_tracker("S3", **wrong)


def test_progress_is_told_and_can_stop_learning():
    told = []

    def watch(done, total, note):
        told.append((done, total, note))
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn_tracker("S3", generator=seeded(), progress=watch)
    assert told[0][2].startswith("layer 1, try 1")
    assert 0 < told[0][0] < told[2][0] <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_iterations": 2.5},
        {"num_tries": True},
        {"first_length": 2.5},
        {"first_length": 25},
        {"slack": math.nan},
        {"slack": -1.0},
        {"learning_rate": "fast"},
        {"clip_norm": math.inf},
    ],
)
def test_impossible_recipes_are_refused(wrong):
    with pytest.raises(DomainError, match=next(iter(wrong))):
        Recipe(**wrong)


def test_what_cannot_be_certified_is_said():
    parity = MachineWords([[0, 1], [1, 0]])
    layer = PhaseLayer((2,), np.array([[[0], [1]]]))
    cascade, machine = Cascade((layer,), 2), (parity.table, parity.labels)
    assert certify(cascade, [0, 1], *machine, 0).verify()
    for decoder in ([0], [0, 1, 1], [0.0, 1.0]):
        with pytest.raises(ShapeError, match="each of 2 codes"):
            certify(cascade, decoder, *machine, 0)
    with pytest.raises(RangeError, match="start"):
        certify(cascade, [0, 1], *machine, 7)
    resets = PhaseLayer((2,), layer.increments, np.array([[[-1], [0]]]))
    with pytest.raises(UnsupportedError, match="resets"):
        certify(Cascade((resets,), 2), [0, 1], *machine, 0)


@pytest.mark.parametrize(
    "damage",
    [
        {"decoder": torch.zeros(1, dtype=torch.int64)},
        {"labels": torch.zeros(2, dtype=torch.int64)},
        {"table": torch.full((6, 6), 9)},
        {"start": 6},
        {"increments": ()},
    ],
)
def test_a_damaged_certificate_does_not_verify(learned, damage):
    certificate = learned.certificate("S3")
    assert not dataclasses.replace(certificate, **damage).verify()


def test_long_tables_are_not_printed(learned):
    assert "array" not in repr(learned)
    assert "tensor" not in repr(learned.certificate("S3"))


def test_the_words_learned_from_name_the_group(learned):
    words = GroupWords("S3")
    tokens, labels = words.sample(2, 30, seeded(6))
    assert torch.equal(learned.to_module(words).track(tokens), labels)


def test_a_compiler_switched_off_is_said(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    with pytest.raises(UnavailableError, match="NUMBA_DISABLE_JIT"):
        learn_tracker(MachineWords([[0, 1], [1, 0]]), generator=seeded())
