"""Witnesses against exact models: they replay, token by token, and trackers have none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from coset.core.errors import (
    ConfigError,
    DomainError,
    DtypeError,
    RangeError,
    ShapeError,
    UnsupportedError,
)
from coset.core.results import Record
from coset.groups import parse_group
from coset.ssm.cascade import Cascade, PhaseLayer
from coset.ssm.compile import compile_group
from coset.ssm.witness import (
    FadingLayer,
    FadingStack,
    LayerTables,
    Word,
    commutator_pair,
    finite,
    random_cascade,
    random_fading_stack,
    random_layer,
    search_witness,
    trace_labels,
    witness,
)
from coset.ssm.witness.finite import final_code

# Group and depth below its derived length: A5 and S5 have none.
DEEP = [
    *(("S3", 1), ("A4", 1), ("S4", 1), ("S4", 2)),
    *(("GL(2,3)", k) for k in (1, 2, 3)),
    *(("A5", k) for k in (1, 2, 3)),
    *(("S5", k) for k in (1, 2)),
]
TRACKED = ["Z2", "Z60", "Z2xZ4", "S3", "D4", "Q8", "A4", "S4", "SL(2,3)", "GL(2,3)"]


def literal_values(group, found):
    values = []
    for word in found.words:
        value = group.identity
        for token in word.tokens().tolist():
            value = int(group.mul[value, found.alphabet[token]])
        values.append(value)
    return values


def without_last(word):
    *rules, top = word.rules
    (symbol, count), rest = top[-1], top[:-1]
    assert symbol >= 0
    return Word((*rules, (*rest, *[(symbol, count - 1)] * (count > 1))))


def literal_code(cascade, word):
    return int(cascade.run(word.tokens())[-1])


@pytest.mark.parametrize("level", ["A", "C"])
@pytest.mark.parametrize(("name", "depth"), DEEP)
def test_unitary_stacks_that_are_too_low_are_fooled(name, depth, level):
    group = parse_group(name)
    for seed in range(5):
        source = torch.Generator().manual_seed(seed)
        cascade = random_cascade(depth, len(group.generators), generator=source)
        found = witness_of(cascade, group, level)
        assert found.kind == "same state"
        assert found.level == level
        assert found.replay(cascade, group)
        first, second = literal_values(group, found)
        assert (first, second) == found.values
        assert first != second
        codes = [literal_code(cascade, word) for word in found.words]
        assert codes[0] == codes[1]
        assert found.words[0].last == found.words[1].last


def witness_of(model, group, level):
    return search_witness(model, group, alphabet="generators", levels=level).witness


@pytest.mark.parametrize(("name", "depth"), DEEP)
def test_contracting_stacks_that_are_too_low_are_fooled(name, depth):
    group = parse_group(name)
    for seed in range(5 if depth < 3 else 2):
        source = torch.Generator().manual_seed(seed)
        stack = random_fading_stack(depth, len(group.generators), generator=source)
        found = witness_of(stack, group, "C")
        assert found.kind == "too close"
        assert 0 < found.distance <= 1e-3
        assert found.replay(stack, group)
        assert len(set(literal_values(group, found))) == 2
        # One token less, and the states are still apart: the ending is no longer than it must be.
        shorter = [without_last(word) for word in found.words]
        ends = [stack.state(word) for word in shorter]
        assert ends[0][0] == ends[1][0]
        assert np.abs(ends[0][1] - ends[1][1]).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "depth", "alphabet", "length"),
    [
        ("S4", 1, "all", 2),
        ("S4", 2, "all", 48),
        ("A5", 1, "generators", 2),
        ("A5", 2, "generators", 96),
        ("A5", 3, "generators", 2592),
    ],
)
def test_verified_lengths_of_commutator_words(name, depth, alphabet, length):
    group = parse_group(name)
    letters = range(group.order)
    if alphabet == "generators":  # a 3-cycle and a 5-cycle
        cycles = ["(0 1 2)", "(0 1 2 3 4)"]
        letters = [group.labels.index(label) for label in cycles]
    words = commutator_pair(group.mul, letters, [12] * depth)
    assert [word.length for word in words] == [length, length]


@pytest.mark.parametrize(("name", "depth"), [("S3", 2), ("A4", 2), ("S4", 3), ("Z60", 1)])
def test_no_commutator_words_where_the_depth_is_enough(name, depth):
    group = parse_group(name)
    assert commutator_pair(group.mul, range(group.order), [12] * depth) is None


def test_words_for_many_layers_are_longer_than_an_integer_holds():
    group = parse_group("A5")
    words = commutator_pair(group.mul, group.generators, [12] * 16)
    assert min(word.length for word in words) > 2**64
    values = {word.value(group.mul, group.generators, group.identity) for word in words}
    assert len(values) == 2


@pytest.mark.parametrize("level", ["A", "C"])
def test_words_are_no_longer_than_allowed(level):
    cascade = random_cascade(2, 2, generator=torch.Generator().manual_seed(0))
    found = witness_of(cascade, parse_group("S4"), level)
    limits = {"alphabet": "generators", "levels": level}
    again = search_witness(cascade, "S4", max_length=found.length, **limits)
    assert again.witness == found
    short = search_witness(cascade, "S4", max_length=found.length - 1, **limits)
    assert (short.witness, short.proved) == (None, False)
    assert f"{found.length:,} tokens" in short.tried[-1]


def test_fading_states_that_may_leave_the_radius_are_not_proved_bounded():
    cascade = compile_group("Z2").cascade
    for size, proved in ((400.0, True), (600.0, False)):
        fading = FadingLayer(np.full((1, 2, 1), 0.5), np.full((1, 2, 1), size), np.zeros((1, 0)))
        stack = FadingStack(cascade, (fading,))
        assert stack.largest_state() == 2 * size
        assert stack.state(Word.of([1]) ** 60)[1].real == pytest.approx(2 * size)
        search = search_witness(stack, "Z2")
        assert (search.witness, search.proved) == (None, proved)
    stack = random_fading_stack(3, 2, modulus=3, generator=torch.Generator().manual_seed(0))
    ends = [stack.state(Word.of([x]) ** 50)[1] for x in range(2)]
    assert 1 < np.abs(ends).max() <= stack.largest_state()


def test_large_objects_are_shown_short():
    stack = random_fading_stack(2, 6)
    words = commutator_pair(parse_group("A5").mul, range(60), [12] * 3)
    for shown in (stack.fading[1], *words, random_layer(60, 9, "mixed")):
        assert len(repr(shown)) < 300


def test_commutator_words_of_no_layer_and_of_wrong_moduli():
    group = parse_group("Z2")
    first, second = commutator_pair(group.mul, range(2), [])
    assert {first.length, second.length} == {0, 1}
    assert commutator_pair(np.zeros((1, 1), int), [0], []) is None
    with pytest.raises(DomainError, match="≥ 1"):
        commutator_pair(group.mul, range(2), [0])
    with pytest.raises(RangeError, match="given 2"):
        commutator_pair(group.mul, range(3), [12])
    for monoid in (np.zeros((2, 2), int), np.array([[0, 1], [1, 1]])):
        with pytest.raises(DomainError, match="a group"):
            commutator_pair(monoid, [1], [12])


def test_a_power_longer_than_its_cycle():
    # Three tokens turn a phase of Z5; the word turns it a billion times.
    cascade = Cascade((PhaseLayer((5,), np.array([[[1], [2], [3]]])),), 3)
    word = (Word.of([0, 1, 2]) ** 1_000_000_007) + Word.of([1])
    assert final_code(cascade, word) == (6 * 1_000_000_007 + 2) % 5


def test_powers_in_fading_stacks_are_those_of_the_literal_loop():
    stack = random_fading_stack(2, 3, modulus=4, generator=torch.Generator().manual_seed(1))
    word = (Word.of([0, 1, 1]) + Word.of([2, 0]) ** 7) ** 40
    code, fading = 0, np.zeros(stack.width, complex)
    for token in word.tokens().tolist():
        slope, shift = stack.transition(code, token)
        fading = slope @ fading + shift
        code = int(stack.cascade.step(np.array([code]), np.array([token]))[0])
    found = stack.state(word)
    assert found[0] == code
    np.testing.assert_allclose(found[1], fading, rtol=0, atol=1e-12)


@pytest.mark.parametrize("alphabet", ["all", "generators"])
@pytest.mark.parametrize("name", TRACKED)
def test_compiled_trackers_have_no_witness(name, alphabet):
    tracker = compile_group(name, alphabet)
    search = search_witness(tracker, name)
    assert search.witness is None
    assert search.proved
    assert search_witness(tracker, name, levels="C").witness is None
    # The same phases do not track them if two tokens are exchanged.
    if tracker.num_tokens > 1 and tracker.alphabet[0] != tracker.alphabet[-1]:
        wrong = [*tracker.alphabet[1:], tracker.alphabet[0]]
        found = witness(tracker, name, alphabet=wrong)
        assert found is None or found.replay(tracker, parse_group(name))


def test_the_search_is_shortest():
    # Against every pair of words by brute force.
    group = parse_group("S3")
    cascade = random_cascade(1, 2, modulus=3, generator=torch.Generator().manual_seed(5))
    found = search_witness(cascade, group, alphabet="generators", levels="A").witness
    trace = trace_labels(cascade.step, cascade.num_codes, group.mul[:, list(group.generators)])
    best = max(word.length for word in trace.conflict)
    for length in range(best):
        met = {}
        for n in range(length + 1):
            for tokens in itertools.product(range(2), repeat=n):
                word = Word.of(tokens)
                value = word.value(group.mul, group.generators, group.identity)
                assert met.setdefault(final_code(cascade, word), value) == value
    assert found.length <= best + 1


def test_results_become_json_and_come_back():
    cascade = random_cascade(1, 6, generator=torch.Generator().manual_seed(0))
    search = search_witness(cascade, "S3")
    assert Record.from_json(search.to_json()) == search
    text = search.witness.explain()
    assert "the model is in the same state" in text
    assert "S3" in text


def test_a_witness_of_one_model_is_none_of_another():
    tracker = compile_group("S3")
    cascade = random_cascade(1, 6, generator=torch.Generator().manual_seed(0))
    found = witness(cascade, "S3")
    assert found.replay(cascade)
    assert not found.replay(tracker)
    assert not found.replay(
        cascade,
        compile_group("S3", [0, 5, 4, 3, 2, 1])
        .group.relabel([0, 2, 1, 3, 4, 5])
        .relabel([0, 1, 2, 4, 5, 3]),
    )


class TestWhatIsRefused:
    def test_models_of_other_kinds(self):
        with pytest.raises(DtypeError, match="model must be"):
            witness(object(), "S3", alphabet=[0, 1])

    def test_tokens_and_alphabet_disagree(self):
        cascade = random_cascade(1, 6)
        with pytest.raises(RangeError, match="6 tokens"):
            witness(cascade, "S3", alphabet=[0, 1])
        with pytest.raises(DomainError, match="give alphabet"):
            witness(cascade, "S4")

    @pytest.mark.parametrize(
        "limits",
        [{"resolution": 0.0}, {"resolution": float("nan")}, {"radius": float("inf")}],
    )
    def test_limits(self, limits):
        with pytest.raises(DomainError, match="positive"):
            witness(random_cascade(1, 6), "S3", **limits)
        with pytest.raises(DomainError, match="max_length"):
            witness(random_cascade(1, 6), "S3", max_length=0)
        for length in (50.5, float("nan"), True):
            with pytest.raises(DomainError, match="max_length"):
                witness(random_cascade(1, 6), "S3", max_length=length)

    def test_levels(self):
        with pytest.raises(ConfigError, match="ABCD"):
            search_witness(random_cascade(1, 6), "S3", levels="E")

    def test_too_many_states(self):
        with pytest.raises(UnsupportedError, match="states"):
            trace_labels(lambda s, x: s, 2**25, np.zeros((1, 1), int))
        with pytest.raises(ShapeError, match="label table"):
            trace_labels(lambda s, x: s, 1, np.zeros(3, int))
        for states, start in ((0, 0), (2, -1), (2, 2)):
            with pytest.raises(RangeError, match="must start"):
                trace_labels(lambda s, x: s, states, np.zeros((1, 1), int), start_state=start)
        with pytest.raises(RangeError, match="step must lead"):
            trace_labels(lambda s, x: s - 1, 2, np.zeros((1, 1), int))

    def test_large_cascades_fall_back_to_commutators(self, monkeypatch):
        monkeypatch.setattr(finite, "MAX_STATES", 143)
        source = torch.Generator().manual_seed(0)
        cascade = random_cascade(2, 2, generator=source)
        search = search_witness(cascade, "S4", alphabet="generators")
        assert search.tried[0].startswith("A: more than")
        assert search.witness.level == "C"
        assert search.witness.replay(cascade, parse_group("S4"))
        short = search_witness(cascade, "S4", alphabet="generators", max_length=50)
        assert short.witness is None
        assert not short.proved

    def test_fading_layers(self):
        one = np.ones((1, 2, 1))
        with pytest.raises(DomainError, match=r"\|a\|"):
            FadingLayer(one, one, np.zeros((1, 0)))
        with pytest.raises(ShapeError, match="mix"):
            FadingLayer(0.5 * one, one, np.zeros((2, 0)))
        with pytest.raises(ShapeError, match="each of the 1 layers"):
            FadingStack(random_cascade(1, 2), ())

    def test_random_models(self):
        with pytest.raises(ConfigError, match="num_layers"):
            random_cascade(0, 2)
        with pytest.raises(UnsupportedError, match="increments a layer"):
            random_cascade(12, 2)
        with pytest.raises(ConfigError, match="kind"):
            random_layer(2, 1, "other")

    def test_tables(self):
        with pytest.raises(ShapeError, match="start"):
            LayerTables(np.ones((2, 1)), np.ones((2, 1)), np.ones(2))
        with pytest.raises(DomainError, match="finite"):
            LayerTables(np.full((2, 1), np.nan), np.ones((2, 1)), np.ones(1))
        with pytest.raises(DtypeError, match="numbers"):
            LayerTables(np.array([["x"]]), np.ones((1, 1)), np.ones(1))


def test_the_trivial_group_and_no_layers():
    search = search_witness(Cascade((), 1), "Z1", alphabet=[0])
    assert search.proved
    found = witness(Cascade((), 2), "Z2")
    assert found.values[0] != found.values[1]
    assert found.replay(Cascade((), 2), parse_group("Z2"))


def test_resetting_cascades_are_searched():
    # A flip-flop forgets: S3 is not tracked, and level C does not apply.
    layer = PhaseLayer((2,), np.zeros((1, 2, 1), int), np.array([[[0], [1]]]))
    cascade = Cascade((layer,), 2)
    search = search_witness(cascade, "S3", alphabet="generators")
    assert search.witness.replay(cascade, parse_group("S3"))
    alone = search_witness(cascade, "S3", alphabet="generators", levels="C")
    assert alone.witness is None
    assert "reset" in alone.tried[0]
