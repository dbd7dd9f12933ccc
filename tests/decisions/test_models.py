"""Models of people: the recursion, its exact values, JSON, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
import torch

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.core.results import Record
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery
from coset.decisions.preferences.models import (
    AffineModel,
    LexicographicModel,
    LexicographicUtility,
    LinearUtility,
    compare_lexicographic,
    safety_model,
)
from coset.decisions.preferences.random_models import all_sequences, random_lexicographic_model


def word(letters):
    return EventSequence(tuple(letters))


SAFETY = safety_model({"a": 2, "b": 1, "s": 3}, {"a": "9/10", "b": 0.5}, ["x"], ["s"])


def test_the_exact_sequences_of_safety_first():
    # T5.
    wanted = {
        "": (0, 0),
        "ab": (0, Fraction(29, 10)),
        "abs": (0, Fraction(17, 4)),
        "abx": (-1, 0),
        "as": (0, Fraction(47, 10)),
        "sx": (0, 3),
        "xs": (-1, 0),
    }
    for letters, value in wanted.items():
        assert SAFETY.utility(word(letters)) == value
    mixed = Lottery([word("abs"), word("abx")], [Fraction(2, 3), Fraction(1, 3)])
    assert SAFETY.utility(mixed) == (Fraction(-1, 3), Fraction(17, 6))


def test_the_safety_model_has_the_multipliers_of_the_theorem():
    assert SAFETY.matrix("a") == ((1, 0), (2, Fraction(9, 10)))
    assert SAFETY.vector("x") == (-1, 0)
    assert set(SAFETY.terminal_events) == {"s", "x"}


def test_the_recursion_is_the_expanded_sum():
    generator = torch.Generator().manual_seed(0)
    for d in (1, 2, 3):
        model = random_lexicographic_model(3, d, num_terminal=1, generator=generator)
        for sequence in all_sequences(model.events, 3):
            total = [Fraction(0)] * d
            for place, event in enumerate(sequence.events):
                term = model.vector(event)
                for earlier in reversed(sequence.events[:place]):
                    rows = model.matrix(earlier)
                    term = tuple(sum(r * t for r, t in zip(row, term, strict=True)) for row in rows)
                total = [x + y for x, y in zip(total, term, strict=True)]
            assert model.utility(sequence) == tuple(total)


def test_an_affine_model_allows_any_multiplier():
    model = AffineModel(
        {"up": "13/10", "flip": "-0.7", "end": 0.25}, {"up": 2, "flip": -1, "end": 0}
    )
    assert model.utility(EventSequence.of("up", "flip", "end")) == (
        Fraction(13, 10) + 2 * (Fraction(-7, 10) - Fraction(1, 4)),
    )
    assert model.events == ("up", "flip", "end")
    assert model.terminal_events == ("end",)
    assert model.num_levels == 1
    assert model.prefer(EventSequence.of("up"), EMPTY) == 1


def test_a_number_stands_for_its_multiple_of_the_identity():
    model = LexicographicModel({"a": (1, 2)}, {"a": "1/2"})
    assert model.matrix("a") == ((Fraction(1, 2), 0), (0, Fraction(1, 2)))


def test_float_weights_are_read_as_the_numbers_that_they_are():
    model = AffineModel({"a": 1}, {"a": 1})
    p = Lottery([EventSequence.of("a"), EMPTY], [0.1, 0.9])
    assert model.utility(p) == (Fraction(0.1),)


def test_a_model_is_an_oracle_and_compares_outcomes_too():
    p, q = Lottery.sure(word("a")), Lottery.sure(word("x"))
    assert (SAFETY(p, q), SAFETY(q, p), SAFETY(p, p)) == (1, -1, 0)
    assert SAFETY.prefer(word("a"), q) == 1


@pytest.mark.parametrize(
    "model",
    [
        SAFETY,
        AffineModel({"a": 0.1, "b": "1/3"}, {"a": 1e-300, "b": 0}),
        LinearUtility({"win": "2/3", 7: 0, ("a", 1): -1}),
        LexicographicUtility({"x": (0, "1/7"), "y": (-1, 0)}),
    ],
    ids=lambda m: type(m).__name__,
)
def test_models_become_json_and_come_back_without_rounding(model):
    text = json.dumps(model.to_json())
    found = Record.from_json(json.loads(text))
    assert found == model
    assert type(found) is type(model)


def test_models_compare_by_what_they_hold():
    one, same = AffineModel({"a": 0.5}, {"a": 1}), AffineModel({"a": "1/2"}, {"a": 1})
    assert one == same
    assert one != AffineModel({"a": 0.5}, {"a": 2})
    assert one != LexicographicModel({"a": (0.5,)}, {"a": 1})
    assert LinearUtility({"a": 1}) != LinearUtility({"a": 2})


def test_sequences_that_were_seen_do_not_fill_the_memory(monkeypatch):
    import coset.decisions.preferences.models as models

    monkeypatch.setattr(models, "_MAX_KEPT", 4)
    model = AffineModel({"a": 1, "b": 2}, {"a": 1, "b": 1})
    for sequence in all_sequences("ab", 3):
        model.utility(sequence)
        assert len(model._kept) <= 4
    assert model.utility(word("bb")) == (4,)


@pytest.mark.parametrize(
    ("reward", "multiplier", "error", "message"),
    [
        ({}, {}, DomainError, "at least one event"),
        ({"a": 1}, {}, DomainError, "only one of them is given for a"),
        ({"a": 1}, {"a": 1, "b": 1}, DomainError, "given for b"),
        ({1: 1}, {1: 1}, DtypeError, "an event is a string"),
        ({"a": float("nan")}, {"a": 1}, DomainError, "the reward of 'a' must be finite"),
        ({"a": 1}, {"a": "x"}, DomainError, "the multiplier of 'a' must be written"),
        ({"a": None}, {"a": 1}, DtypeError, "the reward of 'a' must be a real number"),
    ],
)
def test_affine_models_say_what_is_wrong(reward, multiplier, error, message):
    with pytest.raises(error, match=message):
        AffineModel(reward, multiplier)


@pytest.mark.parametrize(
    ("reward", "multiplier", "error", "message"),
    [
        ({"a": (1, 2), "b": (1,)}, {"a": 1, "b": 1}, ShapeError, "that of 'b' has 1"),
        ({"a": ()}, {"a": 1}, ShapeError, "d ≥ 1"),
        ({"a": 1}, {"a": 1}, ShapeError, "must be a sequence"),
        ({"a": (1, 2)}, {"a": [[1]]}, ShapeError, "must be 2 × 2"),
        ({"a": (1, float("inf"))}, {"a": 1}, DomainError, "entry 1 must be finite"),
    ],
)
def test_lexicographic_models_say_what_is_wrong(reward, multiplier, error, message):
    with pytest.raises(error, match=message):
        LexicographicModel(reward, multiplier)


def test_unknown_events_and_outcomes_are_named():
    with pytest.raises(DomainError, match=r"knows the events a, b, s, x.*given 'q' in a·q"):
        SAFETY.utility(word("aq"))
    with pytest.raises(DtypeError, match="event sequences; given 'a'"):
        SAFETY.utility("a")
    with pytest.raises(DomainError, match=r"are 'a'; given 'b'"):
        LinearUtility({"a": 1}).utility("b")
    with pytest.raises(DomainError, match=r"given \[\]"):
        LinearUtility({"a": 1}).utility([])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"a": 1}, 1, []), "names at least one event"),
        (({"a": 1}, 1, "x"), "names at least one event"),
        (({"a": 1}, 1, ["a"]), "an unsafe event has no reward"),
        (({"a": 1}, 1, ["x"], ["s"]), "a terminal one has a reward"),
        (({"a": 1}, {}, ["x"]), "'a' has none"),
        (({"a": 1}, 0, ["x"]), "a discount must be > 0; that of 'a' is 0"),
        (({"a": 1}, {"a": -1}, ["x"]), "must be > 0"),
        (({"a": float("nan")}, 1, ["x"]), "must be finite"),
    ],
)
def test_safety_models_say_what_is_wrong(arguments, message):
    with pytest.raises(DomainError, match=message):
        safety_model(*arguments)


@pytest.mark.parametrize("given", [{}, [], None, "ab"])
def test_a_utility_without_outcomes_is_refused(given):
    for kind in (LinearUtility, LexicographicUtility):
        with pytest.raises(DomainError, match="at least one outcome"):
            kind(given)


def test_utilities_with_wrong_numbers_of_levels_are_refused():
    with pytest.raises(ShapeError, match=r"given \[1, 2\]"):
        LexicographicUtility({"a": (1, 2), "b": (1,)})
    with pytest.raises(ShapeError, match=r"given \[0\]"):
        LexicographicUtility({"a": ()})
    with pytest.raises(ShapeError, match="one number for each outcome"):
        LinearUtility({"a": (1, 2)})


def test_lexicographic_comparison():
    assert compare_lexicographic((0, 5), (0, 4)) == 1
    assert compare_lexicographic((0, 5), (1, 4)) == -1
    assert compare_lexicographic((), ()) == 0
    with pytest.raises(ShapeError, match="given 1 and 2"):
        compare_lexicographic((1,), (1, 2))


def test_models_print_what_they_hold_in_one_line():
    assert repr(AffineModel({"a": 1}, {"a": "9/10"})) == "AffineModel('a': r = 1, Γ = 9/10)"
    assert "'a': r = (0, 2), Γ = ((1, 0), (2, 9/10))" in repr(SAFETY)
    assert repr(LinearUtility({7: "1/3"})) == "LinearUtility(7: (1/3))"
    many = LexicographicUtility({f"o{i}": (i, 0.1) for i in range(100)})
    assert repr(many).endswith("; … 92 more)")
    assert len(repr(many)) < 600


@pytest.mark.parametrize("given", [5, None, "a", [("a", 1)]])
def test_rewards_and_multipliers_are_mappings(given):
    for reward, multiplier, name in ((given, {"a": 1}, "reward"), ({"a": 1}, given, "multiplier")):
        with pytest.raises(DtypeError, match=f"the {name} must be a mapping event → value"):
            AffineModel(reward, multiplier)


def test_parts_of_the_recursion_are_checked():
    for model in (SAFETY, AffineModel({"a": 1}, {"a": 1})):
        for wrong in (model.vector, model.matrix, lambda e, m=model: m.after(e, m.vector("a"))):
            with pytest.raises(DomainError, match=r"the model knows the events a.*given 'q'"):
                wrong("q")
    with pytest.raises(ShapeError, match="must have 2 levels, as the model; given 1"):
        SAFETY.after("a", (Fraction(1),))


@pytest.mark.parametrize(
    ("reward", "unsafe", "terminal"),
    [([("a", 1)], ["x"], []), ({"a": 1}, 5, []), ({"a": 1}, [["x"]], []), ({"a": 1}, ["x"], None)],
)
def test_safety_models_ask_for_lists_of_names(reward, unsafe, terminal):
    with pytest.raises(DomainError, match="names at least one event, in a list, terminal is a lis"):
        safety_model(reward, 1, unsafe, terminal)


def test_unsafe_events_may_come_in_an_array():
    assert safety_model({"a": 1}, 1, np.array(["x", "y"])) == safety_model({"a": 1}, 1, ["x", "y"])
