"""Elicitation of utilities, rewards, multipliers, safety and priorities from simulated people."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest
import torch

from coset.core.errors import DomainError, DtypeError, ShapeError
from coset.core.results import Record, Status
from coset.decisions import elicit
from coset.decisions.errors import PreferenceContradictionError, ResolutionError
from coset.decisions.preferences.hausner import canonical, relate, same_order
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery
from coset.decisions.preferences.models import (
    AffineModel,
    CountingOracle,
    LexicographicModel,
    LexicographicUtility,
    LinearUtility,
    noisy_oracle,
    safety_model,
)
from coset.decisions.preferences.random_models import random_affine_model, random_utility
from coset.decisions.processes.mdp import MDP

# Three events whose numbers the specification gives, with the answers it expects.
REWARD = {"a": "1.3", "b": "-0.7", "c": "0.2"}
MULTIPLIER = {"a": "0.9", "b": "1.5", "c": "0.25"}
PERSON = AffineModel(REWARD, MULTIPLIER)
ABC = ["a", "b", "c"]


def fraction_of(text):
    return Fraction(text)


def through_json(record):
    return Record.from_json(json.loads(json.dumps(record.to_json())))


def test_rewards_and_multipliers_to_nine_digits():
    oracle = CountingOracle(PERSON)
    found = elicit.affine(oracle, ABC, "a", tol=1e-9)
    for event in ABC:
        assert abs(found.multiplier[event] - Fraction(MULTIPLIER[event])) <= 1e-9
        unit = Fraction(REWARD[event]) / Fraction(REWARD["a"])
        assert abs(found.reward[event] - unit) <= 1e-9
        for interval, truth in (
            (found.multiplier_interval[event], Fraction(MULTIPLIER[event])),
            (found.reward_interval[event], unit),
        ):
            assert interval[0] <= truth <= interval[1]
            assert interval[1] - interval[0] <= 1e-9 * max(1, truth)
    assert found.num_queries == oracle.num_queries <= 3 * 2 * 34
    assert round(float(found.reward["b"]), 7) == -0.5384615
    assert round(float(found.reward["c"]), 7) == 0.1538462
    assert (found.exact, found.status, found.unit) == (False, Status.SOLVED, "u(a) − u(ε)")


def test_fractions_are_found_exactly_in_few_questions():
    found = elicit.affine(PERSON, ABC, "a", max_denominator=100)
    assert found.exact
    assert found.multiplier == {e: Fraction(m) for e, m in MULTIPLIER.items()}
    assert found.reward == {"a": 1, "b": Fraction(-7, 13), "c": Fraction(2, 13)}
    assert found.num_queries < 60


def test_random_people_are_recovered_exactly(generator):
    for number in range(25):
        person = random_affine_model(3, num_terminal=number % 3, generator=generator)
        weighty = next((e for e in person.events if person.reward[e]), None)
        if weighty is None:
            continue
        found = elicit.affine(person, person.events, weighty, max_denominator=10**4)
        assert found.exact
        assert found.multiplier == person.multiplier
        assert set(found.terminal_events) == set(person.terminal_events)
        unit = abs(person.reward[weighty])
        assert found.reward == {e: r / unit for e, r in person.reward.items()}
        # What was found prefers as the person does.
        again = found.model()
        long, short = EventSequence.of("a", "b", "c"), EventSequence.of("c", "a")
        assert again.prefer(long, short) == person.prefer(long, short)


def test_the_unit_is_the_reference_pair():
    pair = (EventSequence.of("a", "b"), Lottery.of({EMPTY: 1}))  # u = 1.3 − 0.63 = 0.67
    found = elicit.affine(PERSON, ABC, pair, max_denominator=1000)
    assert found.reward["a"] == Fraction(130, 67)
    assert found.unit == "u(a·b) − u(ε)"
    worse = elicit.affine(PERSON, ABC, "b", max_denominator=1000)
    assert worse.reward["b"] == -1
    assert worse.unit == "u(ε) − u(b)"


def test_terminal_reversing_and_growing_multipliers():
    person = AffineModel(
        {"go": 1, "end": 5, "spoil": 0, "grow": 1}, dict(go=1, end=0, spoil=-2, grow=40)
    )
    found = elicit.affine(person, person.events, "go", max_denominator=50)
    assert found.multiplier == {"go": 1, "end": 0, "spoil": -2, "grow": 40}
    assert found.terminal_events == ("end",)
    assert found.reversing_events == ("spoil",)
    assert "spoil reverses" in found.structure()


@pytest.mark.parametrize(
    ("multiplier", "words"),
    [
        ({"a": 1, "b": 1, "c": 0}, "additive"),
        ({"a": "0.9", "b": "0.9", "c": 0}, "discounted by 9/10"),
        ({"a": "0.9", "b": "1.5", "c": 0}, "affine: the multipliers differ"),
    ],
)
def test_the_structure_is_named(multiplier, words):
    found = elicit.affine(AffineModel(REWARD, multiplier), ABC, "a", max_denominator=20)
    assert found.structure().startswith(words)
    rough = elicit.affine(AffineModel(REWARD, multiplier), ABC, "a", tol=1e-3)
    assert rough.structure().startswith(words.split(":")[0].split(" ")[0])
    shared = rough.common_multiplier()
    assert (shared is None) == words.startswith("affine")


def test_a_known_end_is_not_asked_about():
    person = AffineModel({"a": 1, "b": -2}, {"a": "1/3", "b": 0})
    asked = elicit.affine(person, ["a", "b"], "a", max_denominator=9)
    told = elicit.affine(person, ["a", "b"], "a", max_denominator=9, terminal=["b"])
    assert told.multiplier == asked.multiplier
    assert told.num_queries == asked.num_queries - 1
    with pytest.raises(DomainError, match="one of the events"):
        elicit.affine(person, ["a", "b"], "a", terminal=["z"])


def forgetful(p, q):
    """Additive, but what follows "b" counts by its length instead."""

    def value(sequence):
        total = Fraction(0)
        for place, event in enumerate(sequence.events):
            if event == "b":
                return total + 3 * (len(sequence) - place)
            total += {"a": Fraction(1), "c": Fraction(5, 2)}[event]
        return total

    left, right = p.expect(value), q.expect(value)
    return (left > right) - (left < right)


def test_a_second_pair_reveals_a_failure_of_memorylessness():
    found = elicit.affine(forgetful, ABC, (("a",), ()), max_denominator=50, check=(("c",), ()))
    witness = found.witness
    assert witness is not None
    assert witness.event == "b"
    assert witness.replay(forgetful)
    assert not witness.replay(PERSON)
    p, q = witness.lotteries
    assert forgetful(p, q) == witness.plain != witness.after
    assert forgetful(p.prepend("b"), q.prepend("b")) == witness.after
    assert "after b" in witness.explain()
    assert through_json(found).witness.replay(forgetful)


def test_memoryless_people_are_not_accused(generator):
    for _ in range(8):
        person = random_affine_model(3, num_terminal=1, generator=generator)
        pairs = [e for e in person.events if person.reward[e] > 0]
        if len(pairs) < 2:
            continue
        found = elicit.affine(
            person, person.events, pairs[0], max_denominator=50, check=((pairs[1],), ())
        )
        assert found.witness is None


def test_noisy_answers_give_intervals_that_hold(generator):
    person = AffineModel({"a": 1, "b": "-0.6"}, {"a": "0.9", "b": 0})
    oracle = noisy_oracle(person, 0.05, generator)
    found = elicit.affine(oracle, ["a", "b"], "a", 0.2, 0.05, terminal=["b"], generator=generator)
    assert found.delta == 0.05
    assert found.status is Status.SOLVED
    assert found.multiplier_interval["a"][0] <= 0.9 <= found.multiplier_interval["a"][1]
    assert found.reward_interval["b"][0] <= -0.6 <= found.reward_interval["b"][1]
    assert found.num_queries > 100
    quick = elicit.affine(
        oracle, ["a", "b"], "a", 0.2, 0.05, terminal=["b"], link="logistic", generator=generator
    )
    assert abs(quick.multiplier["a"] - 0.9) < 0.3
    assert quick.num_queries < found.num_queries / 4


def test_noisy_answers_may_run_out():
    oracle = noisy_oracle(PERSON, 2.0, torch.Generator().manual_seed(3))
    found = elicit.affine(oracle, ["a"], (("a", "a"), ("b", "b")), 1e-3, 0.05, max_queries=400)
    assert found.status is Status.MAX_ITERATIONS
    low, high = found.multiplier_interval["a"]
    assert low <= 0.9 <= high


def test_wrong_use_is_refused_with_words():
    with pytest.raises(DomainError, match="at least one event"):
        elicit.affine(PERSON, [], "a")
    with pytest.raises(DtypeError, match="list of names"):
        elicit.affine(PERSON, "abc", "a")
    with pytest.raises(DomainError, match="given twice"):
        elicit.affine(PERSON, ["a", "a"], "a")
    with pytest.raises(DtypeError, match="an event is a string"):
        elicit.affine(PERSON, [1], "a")
    with pytest.raises(DomainError, match="strictly ordered"):
        elicit.affine(PERSON, ABC, ((), ("a",)))
    with pytest.raises(DomainError, match="strictly ordered"):
        elicit.affine(PERSON, ABC, (("a",), ("a",)))
    with pytest.raises(DtypeError, match="pair of futures"):
        elicit.affine(PERSON, ABC, 3)
    with pytest.raises(DtypeError, match="event sequences"):
        elicit.affine(PERSON, ABC, (Lottery.sure("a"), ()))
    with pytest.raises(DomainError, match="not both"):
        elicit.affine(PERSON, ABC, "a", delta=0.1, max_denominator=10)
    with pytest.raises(DomainError, match="for noisy answers"):
        elicit.affine(PERSON, ABC, "a", link="logistic")
    with pytest.raises(DomainError, match="link must be"):
        elicit.affine(PERSON, ABC, "a", delta=0.1, link="probit")
    with pytest.raises(DomainError, match="check needs exact"):
        elicit.affine(PERSON, ABC, "a", delta=0.1, check=(("a",), ()))
    with pytest.raises(DomainError, match="pair to check with"):
        elicit.affine(PERSON, ABC, "a", check=((), ("a",)))


def test_results_come_back_from_json_without_rounding():
    found = elicit.affine(PERSON, ABC, "a", max_denominator=100)
    again = through_json(found)
    assert again.reward == found.reward
    assert all(isinstance(x, Fraction) for x in again.reward.values())
    assert again.multiplier_interval == found.multiplier_interval
    assert again.trace == found.trace
    taste = elicit.utility(
        LinearUtility({"1/3": "1/7", "x": 1, "y": 0}), ["1/3", "x", "y"], max_denominator=9
    )
    back = through_json(taste)
    assert back.utility == {
        "1/3": Fraction(1, 7),
        "x": 1,
        "y": 0,
    }  # an outcome may look like a number
    assert (back.best, back.worst) == ("x", "y")


def test_a_utility_is_recovered_on_its_scale(generator):
    for n in (1, 2, 3, 6):
        values = {
            o: Fraction(int(x), 7)
            for o, x in enumerate(torch.randint(-20, 20, (n,), generator=generator))
        }
        low, high = min(values.values()), max(values.values())
        wanted = {o: (x - low) / (high - low) if high > low else 0 for o, x in values.items()}
        exact = elicit.utility(LinearUtility(values), list(values), max_denominator=40 * 7)
        assert exact.exact
        assert exact.utility == wanted
        rough = elicit.utility(LinearUtility(values), list(values), tol=1e-4)
        for o, x in wanted.items():
            assert rough.interval[o][0] <= x <= rough.interval[o][1]
            assert abs(rough.utility[o] - x) <= 1e-4
        assert same_order(exact.model(), LinearUtility(values)) or n == 1


def test_equally_good_outcomes_have_utility_zero():
    found = elicit.utility(lambda p, q: 0, ["x", "y", "z"])
    assert set(found.utility.values()) == {0}
    assert found.exact


def test_a_reference_may_lie_inside(generator):
    taste = {"top": 5, "x": 1, "y": 0, "low": -3}
    found = elicit.utility(
        LinearUtility(taste), list(taste), max_denominator=9, reference=("x", "y")
    )
    assert found.utility == taste
    noisy = noisy_oracle(taste, 0.1, generator)
    rough = elicit.utility(noisy, list(taste), 0.3, 0.05, reference=("x", "y"))
    for o, x in taste.items():
        assert rough.interval[o][0] <= x <= rough.interval[o][1]


def test_wrong_outcomes_are_refused():
    taste = LinearUtility({"x": 1, "y": 0})
    for outcomes, words in (([], "at least one"), (["x", "x"], "given twice")):
        with pytest.raises(DomainError, match=words):
            elicit.utility(taste, outcomes)
    with pytest.raises(DtypeError, match="must be a list"):
        elicit.utility(taste, "xy")
    with pytest.raises(DtypeError, match="hashable"):
        elicit.utility(taste, [["x"], ["y"]])
    with pytest.raises(DomainError, match="reference"):
        elicit.utility(taste, ["x", "y"], delta=0.1)
    with pytest.raises(DomainError, match="names two of"):
        elicit.utility(taste, ["x", "y"], reference=("x", "z"))
    with pytest.raises(DomainError, match="better than the second"):
        elicit.utility(taste, ["x", "y"], reference=("y", "x"))


def test_a_threshold_that_flips_is_measured_and_one_that_never_does_is_reported():
    taste = {"rich": 2, "fine": 1, "hurt": -998}
    found = elicit.safety_threshold(LinearUtility(taste), "rich", "fine", "hurt", tol=1e-6)
    assert found.flips
    assert found.ratio[0] <= 999 <= found.ratio[1]
    assert found.probability[0] <= Fraction(1, 1000) <= found.probability[1]
    strict = LexicographicUtility({"rich": (0, 1), "fine": (0, 0), "dead": (-1, 0)})
    for K in (0, 1, 60, 400):
        never = elicit.safety_threshold(strict, "rich", "fine", "dead", K)
        assert not never.flips
        assert never.ratio == (2**K - 1, math.inf)
        assert never.num_queries == K + 2
    assert "infinitely bad at resolution 2^−400" in never.explain()
    assert through_json(never).ratio[0] == 2**400 - 1


def test_a_good_outcome_is_no_threat():
    taste = LinearUtility({"rich": 2, "fine": 1, "great": 9})
    found = elicit.safety_threshold(taste, "rich", "fine", "great")
    assert found.ratio == (-math.inf, 0)
    assert "not bad" in found.explain()


def test_thresholds_refuse_floats_and_wrong_pairs():
    taste = LinearUtility({"rich": 2, "fine": 1, "hurt": -998})
    half = Lottery.of({"rich": 0.5, "fine": 0.5})
    with pytest.raises(ResolutionError, match="fractions"):
        elicit.safety_threshold(taste, half, "fine", "hurt")
    with pytest.raises(DomainError, match="better than the second"):
        elicit.safety_threshold(taste, "fine", "rich", "hurt")
    for K in (-1, 1001, 2.0, True):
        with pytest.raises(DomainError, match="K must be"):
            elicit.safety_threshold(taste, "rich", "fine", "hurt", K)


def test_safety_first_is_recovered_as_the_same_model():
    person = safety_model(
        {"step": -1, "coin": "5/2", "goal": 10},
        {"step": "99/100", "coin": 1},
        ["cliff", "bear"],
        ["goal"],
    )
    events = ["step", "coin", "goal", "cliff", "bear"]
    found = elicit.safety_first(person, events, ((), "step"), max_denominator=1000)
    assert found.unsafe == ("cliff", "bear")
    assert found.model() == person
    assert found.threshold["goal"].flips
    assert through_json(found).model() == person


def test_people_without_fears_and_people_with_only_fears():
    scalar = elicit.safety_first(PERSON, ABC, (("a",), ()), max_denominator=100)
    assert scalar.unsafe == ()
    with pytest.raises(DomainError, match="scalar"):
        scalar.model()
    timid = LexicographicModel({"a": (0, 1), "b": (-1, 0)}, {"a": 1, "b": 0})
    with pytest.raises(DomainError, match="at least one event must be safe"):
        elicit.safety_first(timid, ["b"], (("a",), ()))


def test_lexicographic_utilities_are_recovered_up_to_what_the_order_fixes(generator):
    levels = set()
    for _ in range(40):
        n, d = (int(torch.randint(1, top, (), generator=generator)) for top in (7, 4))
        person = random_utility(n, d, generator=generator)
        found = elicit.lexicographic(person, person.outcomes, 10**9)
        levels.add(found.level)
        least = canonical(person)
        assert same_order(person, found.model())
        if found.level:
            assert found.level == least.num_levels
            assert relate(least, found.model()) is not None
            assert all(0 <= u[0] <= 1 for u in found.utility.values())
        assert found.num_queries <= (found.level + 1) * n * (4 * 30 + 8)
    assert levels == {0, 1, 2, 3}


def test_a_coarse_resolution_is_refused_not_guessed():
    person = LexicographicUtility({"w": (0, 0), "x": ("355/1130", 1), "y": ("1/2", 2), "b": (1, 0)})
    with pytest.raises(ResolutionError, match="resolution=D"):
        elicit.lexicographic(person, person.outcomes)
    with pytest.raises(ResolutionError, match="strictly between"):
        elicit.lexicographic(person, person.outcomes, 100)
    found = elicit.lexicographic(person, person.outcomes, 10_000)
    assert same_order(person, found.model())
    assert found.level == 2


def test_questions_may_be_limited():
    person = LexicographicUtility({"w": (0, 0), "x": ("1/3", 1), "b": (1, 0)})
    with pytest.raises(ResolutionError, match="used up"):
        elicit.lexicographic(person, person.outcomes, 10**6, max_queries=5)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(DomainError, match="resolution"):
            elicit.lexicographic(person, person.outcomes, wrong)


def test_contradictory_answers_do_not_pass_for_priorities():
    # b ≻ x ≻ w, and yet whatever holds x is preferred to whatever is mixed otherwise.
    def moody(p, q):
        if len(p.outcomes) == len(q.outcomes) == 1:
            value = {"w": 0, "x": 1, "b": 2}
            return (p.expect(value) > q.expect(value)) - (p.expect(value) < q.expect(value))
        return 1 if "x" in p.support else -1

    with pytest.raises(PreferenceContradictionError, match="inside and outside"):
        elicit.lexicographic(moody, ["w", "x", "b"], 1000)


def two_doors(reward, multiplier):
    """One state; a leads to an end worth r(a), b to one worth r(b)."""
    return MDP(
        torch.tensor([[[1], [1]], [[1], [1]]], dtype=torch.int32),
        torch.ones(2, 2, 1, dtype=torch.float64),
        torch.tensor([[reward["a"], reward["b"]], [0.0, 0.0]], dtype=torch.float64),
        terminal=torch.tensor([False, True]),
    )


class Answer:
    def __init__(self, tie_set):
        self.tie_set = tie_set


def best_door(process):
    reward = process.expected_reward(0)
    ties = reward == reward.max(1, keepdim=True).values
    ties[1] = False
    return Answer(ties)


def test_chances_of_actions_follow_the_overlap_of_intervals(generator):
    found = elicit.AffineReward(
        reward={"a": 0.5, "b": 0.5},
        multiplier={"a": 0, "b": 0},
        reward_interval={"a": (0.0, 1.0), "b": (0.5, 0.5)},
        multiplier_interval={"a": (0, 0), "b": (0, 0)},
        num_queries=0,
        exact=False,
        unit="",
    )
    chances = elicit.action_chances(found, two_doors, 400, solver=best_door, generator=generator)
    assert abs(float(chances.chance[0, 0]) - 0.5) < 0.13  # 5 standard errors
    assert float(chances.chance[0].sum()) == 1
    assert chances.policy[1] == -1
    assert chances.undecided.tolist() == [0]
    assert torch.equal(chances.chance, chances.alone)


def test_certain_numbers_make_certain_actions(generator):
    person = AffineModel({"a": 2, "b": 1}, {"a": 0, "b": 0})
    found = elicit.affine(person, ["a", "b"], "b", max_denominator=9)
    chances = elicit.action_chances(found, two_doors, 5, generator=generator)
    assert chances.chance[0].tolist() == [1, 0]
    assert chances.undecided.tolist() == []
    assert chances.num_failed == 0


def test_chances_refuse_wrong_use():
    person = AffineModel({"a": 2, "b": 1}, {"a": 0, "b": 0})
    found = elicit.affine(person, ["a", "b"], "b", max_denominator=9)
    with pytest.raises(DomainError, match="num_samples"):
        elicit.action_chances(found, two_doors, 0)
    with pytest.raises(DtypeError, match="function to an MDP"):
        elicit.action_chances(found, None, 3)
    sizes = iter([1, 2])

    def odd(process):
        return Answer(torch.ones(next(sizes), 2, dtype=torch.bool))

    with pytest.raises(ShapeError, match="one size"):
        elicit.action_chances(found, two_doors, 2, solver=odd)
