"""Sequential axioms: exact decisions against searches, witnesses that replay, bad input."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import torch
from tests.decisions.elicit_cases import through_json

from coset.core.errors import DomainError, DtypeError, UnsupportedError
from coset.decisions.axioms import sequential_graph, sequential_paths
from coset.decisions.axioms.sequential import (
    AxiomVerdict,
    AxiomWitness,
)
from coset.decisions.axioms.sequential import test_additive as check_additive
from coset.decisions.axioms.sequential import test_gamma_indifference as check_gamma
from coset.decisions.axioms.sequential import test_memoryless as check_memoryless
from coset.decisions.axioms.sequential import test_path_independent as check_paths
from coset.decisions.axioms.sequential_exact import order_violation, trade_off_share
from coset.decisions.axioms.sequential_forms import delayed_swap
from coset.decisions.axioms.sequential_graph import Futures, mdp_events
from coset.decisions.preferences.exact_numbers import apply, exact_matrix
from coset.decisions.preferences.lottery import EMPTY, EventSequence, Lottery, mix
from coset.decisions.preferences.models import (
    AffineModel,
    CountingOracle,
    LargestDifference,
    LexicographicModel,
    compare_lexicographic,
    safety_model,
)
from coset.decisions.preferences.random_models import (
    all_sequences,
    random_fraction,
    random_lexicographic_model,
)
from coset.decisions.processes.mdp import MDP

SAFETY = safety_model({"a": 2, "b": 1, "s": 3}, {"a": "9/10", "b": "1/2"}, ["x"], ["s"])
HALF = Fraction(1, 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def any_model(d, change, generator):
    """Return a random model; with a change, one entry of Γ(a) that may break memorylessness."""
    model = random_lexicographic_model(2, d, num_terminal=change % 2, generator=generator)
    rows = [list(row) for row in model.matrix("a")]
    i, j = (int(x) for x in torch.randint(d, (2,), generator=generator))
    if change:
        rows[i][j] = random_fraction(-1, 1, generator=generator)
    return LexicographicModel(model.reward, {**model.multiplier, "a": rows})


def test_the_tests_are_not_collected():
    for function in (check_additive, check_gamma, check_memoryless, check_paths):
        assert function.__test__ is False


def test_exact_decisions_agree_with_searches():
    generator = seeded()
    seen = set()
    for at in range(60):
        model = any_model(1 + at % 3, at % 4, generator)
        for check, number in ((check_memoryless, 300), (check_additive, 60), (check_gamma, 80)):
            exact = check(model)
            assert exact.is_proved
            assert (exact.witness is None) == exact.holds
            asked = check(
                model.prefer, events=model.events, num_queries=number, generator=generator
            )
            seen.add((check.__name__, exact.holds, asked.holds))
            for verdict in (exact, asked):
                if not verdict.holds:
                    assert verdict.witness.replay(model.prefer)
                    assert verdict.is_proved
            # A violation that was found is one.
            assert asked.holds or not exact.holds
            assert asked.evidence["num_queries"] <= number
    for name in ("test_memoryless", "test_additive", "test_gamma_indifference"):
        assert (name, False, False) in seen
    assert ("test_memoryless", True, True) in seen


def test_memorylessness_is_decided_by_all_short_comparisons():
    generator = seeded(1)
    for at in range(60):
        model = any_model(1 + at % 2, 1 + at % 3, generator)
        words = all_sequences(model.events, 3)
        broken = False
        for event in model.events:
            before, after = [], []
            for p, q in itertools.combinations(words, 2):
                before.append(model.prefer(p, q))
                after.append(model.prefer(p.prepend(event), q.prepend(event)))
            broken |= before != after and any(after)
        # Sequences alone may miss what only a mixture shows, never the other way around.
        assert not (broken and check_memoryless(model).holds)


@pytest.mark.parametrize("m", [0, "1/2", 1, 2, 100])
def test_memorylessness_does_not_bound_the_multiplier(m):
    assert check_memoryless(AffineModel({"a": 1}, {"a": m})).holds


def test_an_event_that_reverses_preferences():
    verdict = check_memoryless(AffineModel({"a": 1, "b": 1}, {"a": 1, "b": "-1/2"}))
    assert not verdict
    assert verdict.reason == "the event b reverses the order of what can follow it"
    assert verdict.witness.event == "b"
    assert verdict.witness.answers[0] == -verdict.witness.answers[1] != 0


def test_an_event_that_collapses_a_level_needs_two_pairs():
    model = LexicographicModel({"a": (1, 0), "b": (0, 1)}, {"a": [[1, 0], [0, 0]], "b": 1})
    verdict = check_memoryless(model)
    assert not verdict
    assert "makes indifferent some, not all, of" in verdict.reason
    assert len(verdict.witness.comparisons) == 4
    assert verdict.witness.answers[1] == 0 != verdict.witness.answers[3]
    assert verdict.witness.replay(model)
    searched = check_memoryless(model.prefer, events=["a", "b"], generator=seeded())
    assert not searched
    assert searched.witness.replay(model)


def test_levels_that_futures_never_use_do_not_matter():
    # The upper entry acts on a level at which all futures are equal.
    model = LexicographicModel({"a": (1, 0), "b": (2, 0)}, {"a": [[1, 7], [0, -1]], "b": 1})
    assert check_memoryless(model).holds
    assert check_additive(model).holds
    nothing = AffineModel({"a": 0}, {"a": -1})
    for check in (check_memoryless, check_additive, check_gamma):
        assert check(nothing).holds


def test_order_violations_are_violations():
    generator = seeded(2)
    found = 0
    for at in range(300):
        d = 1 + at % 3
        rows = [[random_fraction(-1, 1, generator=generator) for _ in range(d)] for _ in range(d)]
        columns = list(zip(*rows, strict=True))
        violation = order_violation(columns)
        if violation is None:
            for _ in range(20):
                y = [random_fraction(-2, 2, generator=generator) for _ in range(d)]
                zero = (0,) * d
                assert compare_lexicographic(y, zero) == compare_lexicographic(apply(rows, y), zero)
            continue
        found += 1
        y, strict = violation
        zero = (0,) * d
        assert compare_lexicographic(y, zero) == 1
        assert compare_lexicographic(apply(rows, y), zero) == -int(strict)
    assert found > 200


def test_safety_first_is_memoryless_and_neither_additive_nor_discounted():
    assert check_memoryless(SAFETY).holds
    additive, gamma = check_additive(SAFETY), check_gamma(SAFETY)
    assert not additive
    assert not gamma
    assert additive.witness.replay(SAFETY.prefer)
    assert gamma.witness.replay(SAFETY.prefer)


def test_additivity_leaves_out_terminal_events():
    model = AffineModel({"a": 1, "b": -2, "end": 5}, {"a": 1, "b": 1, "end": 0})
    verdict = check_additive(model)
    assert verdict.holds
    assert verdict.evidence == {"terminal": ["end"]}
    asked = check_additive(model.prefer, events=model.events, generator=seeded())
    assert asked.holds
    assert not asked.is_proved
    assert "no proof" in asked.reason
    assert asked.evidence["num_queries"] == 2000


def test_the_trade_off_of_the_example():
    # m = 0.9 against the empty past at p = 0.52: 0.04 and −0.012.
    model = AffineModel({"x": 1, "h": 0}, {"x": 0, "h": "9/10"})
    share, x, none = Fraction(52, 100), Lottery.sure(EventSequence.of("x")), Lottery.sure(EMPTY)
    later, after = x.prepend("h"), none.prepend("h")
    first = model.utility(mix(share, x, none))[0] - model.utility(mix(share, none, x))[0]
    second = model.utility(mix(share, later, none))[0] - model.utility(mix(share, after, x))[0]
    assert (first, second) == (Fraction(4, 100), Fraction(-12, 1000))
    assert 1 < share / (1 - share) < Fraction(10, 9)


def test_trade_off_shares_lie_between_the_reciprocals():
    generator = seeded(3)
    for _ in range(100):
        a, b = (random_fraction(0, 3, generator=generator) for _ in range(2))
        if a == b:
            continue
        share = trade_off_share(a, b)
        signs = [share * m - (1 - share) for m in (a, b)]
        assert signs[0] * signs[1] < 0
    for wrong in ((HALF, HALF), (Fraction(-1), HALF)):
        with pytest.raises(DomainError, match="must be ≥ 0 and differ"):
            trade_off_share(*wrong)


def test_a_constant_discount_is_found():
    model = LexicographicModel({"a": (1, 2), "b": (0, 1)}, {"a": "9/10", "b": "9/10"})
    verdict = check_gamma(model)
    assert verdict.holds
    assert verdict.evidence["gamma"] == {"a": "9/10", "b": "9/10"}
    assert check_gamma(model, "9/10").holds
    other = check_gamma(model, 0.5)
    assert other.reason == "the event a needs γ = 9/10, not 1/2"
    assert other.witness.replay(model)


def test_each_event_may_have_its_own_discount():
    model = AffineModel({"a": 1, "b": 2, "end": 3}, {"a": 1, "b": "1/2", "end": 0})
    assert check_gamma(model, per_event=True).evidence["gamma"] == {
        "a": "1",
        "b": "1/2",
        "end": "0",
    }
    assert check_gamma(model, {"a": 1, "b": "1/2", "end": 0}).holds
    refuted = check_gamma(model)
    assert refuted.reason == "the event b needs γ = 1/2, a needs γ = 1"
    assert refuted.axiom == "gamma-indifference"
    assert refuted.witness.axiom == "one gamma"


@pytest.mark.parametrize("m", [2, -1])
def test_discounts_outside_the_unit_interval_are_none(m):
    model = AffineModel({"a": 1}, {"a": m})
    for verdict in (
        check_gamma(model),
        check_gamma(model, per_event=True),
        check_gamma(model.prefer, events=["a"], generator=seeded()),
    ):
        assert not verdict.holds
        assert verdict.witness.replay(model)
    assert check_gamma(model).reason.endswith("which is not in [0, 1]")


def test_a_discount_below_a_reward_for_safety_is_none():
    model = LexicographicModel({"a": (1, 0), "b": (0, 1)}, {"a": [[HALF, 0], [1, HALF]], "b": HALF})
    verdict = check_gamma(model)
    assert "no γ makes the future" in verdict.reason
    assert verdict.witness.replay(model)


@pytest.mark.parametrize("gamma", [0, Fraction(1, 3), "9/10", 1])
def test_an_oracle_with_one_discount_is_not_accused(gamma):
    model = AffineModel({"a": 1, "b": -2}, {"a": gamma, "b": gamma})
    verdict = check_gamma(model.prefer, events=["a", "b"], generator=seeded())
    assert verdict.holds
    given = check_gamma(model.prefer, gamma, events=["a", "b"], generator=seeded())
    assert given.holds


def test_two_discounts_that_are_close_are_told_apart():
    model = AffineModel({"a": 1, "b": -2}, {"a": "9/10", "b": "90001/100000"})
    verdict = check_gamma(model.prefer, events=["a", "b"], generator=seeded())
    assert not verdict
    assert verdict.witness.replay(model)
    assert not check_gamma(model.prefer, "9/10", events=["a", "b"], generator=seeded())


def test_delayed_swaps():
    a, b = EventSequence.of("a"), EventSequence.of("b")
    left, right = delayed_swap("e", a, b, Fraction(1, 3))
    assert left == Lottery([a.prepend("e"), b], [Fraction(3, 4), Fraction(1, 4)])
    assert right == Lottery([b.prepend("e"), a], [Fraction(3, 4), Fraction(1, 4)])


def test_the_relation_without_finite_dimension_is_memoryless():
    verdict = check_memoryless(LargestDifference(), events=["e"], max_length=6, generator=seeded())
    assert verdict.holds
    assert not verdict.is_proved


def test_a_history_that_matters_is_found():
    class Saturating:
        """A person who cares for no more than two good things."""

        def __call__(self, p, q):
            values = [x.expect(lambda o: Fraction(min(2, o.events.count("a")))) for x in (p, q)]
            return (values[0] > values[1]) - (values[0] < values[1])

    verdict = check_memoryless(Saturating(), events=["a", "b"], generator=seeded())
    assert not verdict
    assert verdict.witness.event == "a"
    assert verdict.witness.replay(Saturating())
    assert not check_additive(Saturating(), events=["a", "b"], generator=seeded()).holds


def test_questions_are_bounded_and_counted():
    oracle = CountingOracle(AffineModel({"a": 1}, {"a": 1}))
    verdict = check_memoryless(oracle, events=["a"], num_queries=57, generator=seeded())
    assert oracle.num_queries == 57 == verdict.evidence["num_queries"]


def test_witnesses_become_json_and_explain_themselves():
    model = AffineModel({"a": 1}, {"a": -1})
    verdict = check_memoryless(model)
    found = through_json(verdict)
    assert isinstance(found, AxiomVerdict)
    assert isinstance(found.witness, AxiomWitness)
    assert found.witness.comparisons == verdict.witness.comparisons
    assert found.witness.replay(model)
    assert not found.witness.replay(AffineModel({"a": 1}, {"a": 1}))
    assert "It fails at the event a" in found.witness.explain()
    assert "a·a  ≺  a" in found.witness.explain()


def test_two_futures_of_one_event_that_need_different_discounts():
    model = LexicographicModel({"a": (1, 0), "b": (0, 1)}, {"a": [[1, 0], [0, HALF]], "b": HALF})
    verdict = check_gamma(model, per_event=True)
    assert verdict.reason == "after the event a the future b needs γ = 1/2, a needs γ = 1"
    assert verdict.witness.replay(model)


def test_wrong_sources_and_answers_are_named():
    with pytest.raises(DtypeError, match="an EventModel, an MDP or an oracle"):
        check_memoryless(5, events=["a"])
    for events in (None, "ab", 5):
        with pytest.raises(DomainError, match="name them"):
            check_additive(SAFETY.prefer, events=events)
    with pytest.raises(DomainError, match="it answered 2"):
        check_memoryless(lambda p, q: 2, events=["a"])
    with pytest.raises(DomainError, match="at least one event, in at least one question"):
        check_memoryless(SAFETY.prefer, events=[])
    with pytest.raises(DtypeError, match="num_queries and max_length must be integers; given '5'"):
        check_memoryless(SAFETY.prefer, events=["a"], num_queries="5")
    with pytest.raises(DomainError, match="num_queries 0"):
        check_memoryless(SAFETY.prefer, events=["a"], num_queries=0)
    with pytest.raises(DomainError, match=r"γ lies in \[0, 1\]; given 2"):
        check_gamma(SAFETY, 2)
    with pytest.raises(DomainError, match="'b' has none"):
        check_gamma(AffineModel({"a": 1, "b": 1}, {"a": 1, "b": 1}), {"a": 1})
    with pytest.raises(DomainError, match="pass gamma="):
        check_gamma(SAFETY.prefer, per_event=True, events=["a"])


def diamond(last):
    """Return a process in which 0 → 1 → 3 and 0 → 2 → 3 earn 3 and 2 + last."""
    return MDP(
        [[[1], [2]], [[3], [3]], [[3], [3]], [[3], [3]]],
        [[[1.0], [1.0]]] * 3 + [[[0.0], [0.0]]],
        [[1.0, 2.0], [2.0, 2.0], [last, last], [0.0, 0.0]],
        1.0,
        terminal=[False, False, False, True],
    )


def test_paths_of_a_process():
    assert check_paths(diamond(1.0)).holds
    verdict = check_paths(diamond(0.5))
    assert not verdict
    assert verdict.witness.replay(mdp_events(diamond(0.5))[0])
    assert "have the same first and last state" in verdict.reason
    assert check_paths(diamond(1.0 + 1e-12)).holds
    assert not check_paths(diamond(1.0 + 1e-12), tolerance=0).holds


def test_paths_of_a_model_with_states():
    states = {"up": (0, 1), "down": (1, 0), "stay": (0, 0)}
    reward = {"up": 2, "down": -2, "stay": 0}
    even = AffineModel(reward, dict.fromkeys(reward, 1))
    assert check_paths(even, transitions=states).holds
    # With a discount, going around once and twice differ unless going around is worth nothing.
    discounted = AffineModel(reward, dict.fromkeys(reward, HALF))
    assert not check_paths(discounted, transitions=states).holds
    level = AffineModel({**reward, "down": -4}, dict.fromkeys(reward, HALF))
    assert check_paths(level, transitions={"up": (0, 1), "down": (1, 0), "stay": (0, 0)}).holds is (
        level.utility(EventSequence.of("up", "down")) == (0,)
        and level.utility(EventSequence.of("down", "up")) == (0,)
    )
    # One state: all trajectories have the same ends.
    assert not check_paths(even).holds
    assert check_paths(AffineModel({"a": 0}, {"a": 2})).holds


def test_paths_of_an_oracle():
    states = {"up": (0, 1), "down": (1, 0)}
    for down, holds in ((-1, True), (-2, False)):
        model = AffineModel({"up": 1, "down": down}, {"up": 1, "down": 1})
        asked = check_paths(model.prefer, transitions=states, generator=seeded())
        assert asked.holds is holds is check_paths(model, transitions=states).holds
        assert not holds or asked.evidence["num_queries"] == 6
    with pytest.raises(DomainError, match="an oracle knows no states"):
        check_paths(model.prefer)
    with pytest.raises(DomainError, match="'down' has none"):
        check_paths(model, transitions={"up": (0, 1)})
    for wrong in (5, (0,), (0, 1, 2), "01", ([0], [1])):
        for source in (model, model.prefer):
            with pytest.raises(DomainError, match="from one hashable state to another"):
                check_paths(source, transitions={"up": wrong, "down": (1, 0)})
    with pytest.raises(DomainError, match="transitions must map"):
        check_paths(model, transitions=[(0, 1)])
    with pytest.raises(DomainError, match="has its own transitions"):
        check_paths(diamond(1.0), transitions=states)
    with pytest.raises(DomainError, match="an oracle tells no utilities"):
        check_paths(model.prefer, transitions=states, tolerance=1)
    with pytest.raises(DomainError, match="the tolerance must be ≥ 0"):
        check_paths(model, transitions=states, tolerance=-1)


def test_path_independence_is_weaker_than_a_potential():
    # Four one-step trajectories with different ends each: no two can conflict, yet no potential
    # has these differences: around the four states they sum to 1.
    edges = {"ac": ("a", "c"), "ad": ("a", "d"), "bc": ("b", "c"), "bd": ("b", "d")}
    model = AffineModel({"ac": 1, "ad": 0, "bc": 0, "bd": 0}, dict.fromkeys(edges, 1))
    assert check_paths(model, transitions=edges).holds


def test_transitions_of_a_process_are_events():
    mdp = MDP(
        [[[0, 1]], [[1, 1]]],
        [[[0.5, 0.5]], [[0.0, 0.0]]],
        [[[[1.0, 2.0], [3.0, 4.0]]], [[[0.0, 0.0], [0.0, 0.0]]]],
        torch.tensor([[1.0, 0.0], [2.0, 0.5]]),
        terminal=[False, True],
    )
    model, states = mdp_events(mdp)
    assert states == {"0:0>0": (0, 0), "0:0>1": (0, 1)}
    assert model.vector("0:0>1") == (3, 4)
    assert model.matrix("0:0>0") == ((1, 0), (2, HALF))
    assert check_memoryless(mdp).holds
    assert not check_additive(mdp).holds


def test_axioms_of_processes():
    def loop(multiplier):
        return MDP([[[0]]], [[[1.0]]], [[1.0]], multiplier)

    assert check_memoryless(loop(2.0)).holds
    assert not check_memoryless(loop(-0.5)).holds
    assert check_additive(loop(1.0)).holds
    assert not check_additive(loop(0.9)).holds
    assert check_gamma(loop(0.5)).evidence["gamma"] == {"0:0>0": "1/2"}
    # What ends the process is not delayed: the discount of the others is the process's.
    assert check_gamma(diamond(1.0)).holds
    diagonal = MDP([[[0]]], [[[1.0]]], [[[[1.0, 1.0]]]], torch.tensor([1.0, 0.5]))
    assert check_memoryless(diagonal).holds
    assert not check_gamma(diagonal).holds


def test_two_transitions_to_one_state_are_two_events():
    mdp = MDP([[[0, 0]]], [[[0.5, 0.5]]], [[[1.0, 2.0]]], 1.0)
    model, _ = mdp_events(mdp)
    assert model.events == ("0:0>0", "0:0>0#2")


def test_processes_that_are_too_large_or_empty(monkeypatch):
    with pytest.raises(DomainError, match="at least one transition"):
        check_memoryless(MDP([[[0]]], [[[0.0]]], [[0.0]], 1.0, terminal=[True]))
    monkeypatch.setattr(sequential_graph, "_MAX_TRANSITIONS", 1)
    with pytest.raises(UnsupportedError, match="at most 1 transitions"):
        check_memoryless(diamond(1.0))
    monkeypatch.undo()
    monkeypatch.setattr(sequential_paths, "_MAX_WORK", 1)
    with pytest.raises(UnsupportedError, match="potential"):
        check_paths(diamond(1.0))


def test_futures_realize_every_direction():
    generator = seeded(4)
    model = random_lexicographic_model(2, 3, generator=generator)
    futures = Futures()
    for word in all_sequences(model.events, 3)[1:]:
        futures.add(word, model.utility(word))
    k = len(futures.basis)
    for _ in range(30):
        y = [random_fraction(-2, 2, generator=generator) for _ in range(k)]
        if not any(y):
            continue
        p, q = futures.lotteries(y)
        difference = [a - b for a, b in zip(model.utility(p), model.utility(q), strict=True)]
        direction = [sum(c * b[i] for c, b in zip(y, futures.basis, strict=True)) for i in range(3)]
        scale = next(a / b for a, b in zip(difference, direction, strict=True) if b)
        assert scale > 0
        assert difference == [scale * b for b in direction]
    assert exact_matrix(1, 1) == ((1,),)
