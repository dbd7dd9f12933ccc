"""Automata as cascades: certified, shallow where they can be, refused where they must be."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from coset.core.errors import UnsupportedError
from coset.ssm.automata import Automaton, TransitionMonoid
from coset.ssm.automata.holonomy import decompose
from coset.ssm.automata.images import Images
from coset.ssm.automata.permutations import derived_orders
from coset.ssm.automata.regroup import regroup
from coset.ssm.automata.slots import LevelLayout
from coset.ssm.cascade import Cascade
from coset.ssm.claims.automata import EXAMPLES
from coset.ssm.errors import NotSolvableError
from coset.ssm.phase_layer import PhaseLayer
from ssm.automata_cases import automata


def table(name):
    return np.array(EXAMPLES[name][0]).T


def saturating(n):
    q = np.arange(n)
    return np.stack([np.minimum(q + 1, n - 1), np.maximum(q - 1, 0)], 1)


def walk(cascade, states, delta, start):
    """Follow codes and states together, by a loop over every layer's own definition."""
    seen, waiting = {(0,) * len(cascade.moduli): start}, [(0,) * len(cascade.moduli)]
    while waiting:
        phases = waiting.pop()
        code = int(cascade.encode(np.array(phases, dtype=np.int64)))
        assert states[code] == seen[phases]
        for x in range(cascade.num_tokens):
            after, cell, first = [], 0, 0
            for layer in cascade.layers:
                mine = phases[first : first + layer.num_phases]
                for j, m in enumerate(layer.moduli):
                    reset = -1 if layer.resets is None else int(layer.resets[cell, x, j])
                    turned = (mine[j] + int(layer.increments[cell, x, j])) % m
                    after.append(reset if reset >= 0 else turned)
                for j, m in enumerate(layer.moduli):
                    cell = cell * m + mine[j]
                first += layer.num_phases
            state = int(delta[seen[phases], x])
            if tuple(after) in seen:
                assert seen[tuple(after)] == state
            else:
                seen[tuple(after)] = state
                waiting.append(tuple(after))
    return len(seen)


@pytest.mark.parametrize(
    ("name", "moduli"),
    [
        ("parity", [(2,)]),
        ("flip-flop", [(2,)]),
        ("mod 3 with reset", [(3,)]),
        ("S3 with reset", [(2,), (3,)]),
        ("full T3", [(2,), (3,), (2,)]),
        ("full T4", [(2,), (3,), (2, 2), (2,), (3,), (2,)]),
    ],
)
def test_layers_of_the_known_examples(name, moduli):
    delta = table(name)
    cascade, states = decompose(delta)
    assert [layer.moduli for layer in cascade.layers] == moduli
    assert walk(cascade, states, delta, 0) == (states >= 0).sum()


@pytest.mark.property
@given(automata())
@settings(deadline=None, max_examples=60)
def test_every_automaton_is_tracked_or_has_a_group_that_is_not_solvable(automaton):
    verdict = automaton.verdict()
    if not verdict:
        with pytest.raises(NotSolvableError):
            automaton.compile()
        return
    compiled = automaton.compile()
    assert verdict.depth_at_least <= compiled.depth <= verdict.depth_at_most
    walk(compiled.cascade, compiled.states, automaton.delta, automaton.start)


@pytest.mark.parametrize("seed", range(8))
def test_larger_automata_with_many_groups(seed):
    random = np.random.default_rng(seed)
    n = 6
    delta = random.integers(0, n, (n, 2))
    delta[:, 0] = [1, 0, 3, 4, 5, 2] if seed % 2 else np.roll(np.arange(n), 1)
    automaton = Automaton.from_dfa(delta).trim()
    verdict = automaton.verdict()
    if verdict:
        cascade, states = decompose(automaton.delta)
        assert walk(cascade, states, automaton.delta, 0) == (states >= 0).sum()
    else:
        monoid = automaton.transition_monoid(10**6)
        orders = [derived_orders(len(g.points), g.permutations) for g in monoid.maximal_subgroups()]
        assert any(order[-1] > 1 for order in orders)


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(40))
def test_groups_of_images_are_the_maximal_groups_of_the_listed_monoid(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 6))
    delta = random.integers(0, n, (n, int(random.integers(1, 4))))
    delta[:, 0] = random.permutation(n) if seed % 2 else delta[:, 0]
    automaton = Automaton.from_dfa(delta)
    monoid = automaton.transition_monoid()
    listed = [derived_orders(len(g.points), g.permutations) for g in monoid.maximal_subgroups()]
    assert sorted(g.orders for g in automaton.syntactic_groups()) == sorted(listed)


def test_an_image_that_no_idempotent_has_is_not_listed():
    # Token 0 swaps the image {1, 2} of token 1, but every idempotent has rank 1 or 3.
    delta = np.array([(0, 2, 1), (1, 2, 2)]).T
    images = Images.from_delta(delta)
    which = images.index[np.array([1, 2]).tobytes()]
    assert not images.is_regular(which)
    assert [g.states for g in Automaton.from_dfa(delta).syntactic_groups()] == [("0", "1", "2")]
    ranks = TransitionMonoid.from_delta(delta)
    assert set(ranks.ranks[ranks.idempotents].tolist()) == {1, 3}


def test_heights_and_tiles_of_a_saturating_counter():
    images = Images.from_delta(saturating(4))
    assert images.heights[0] == 3
    tiles = [images.sets[t].tolist() for t in images.tiles(0)]
    assert sorted(tiles) == [[0, 1, 2], [1, 2, 3]]
    single = images.index[np.array([2]).tobytes()]
    assert images.heights[single] == 0


def test_the_start_is_code_0_wherever_it_lies():
    for start in range(5):
        cascade, states = decompose(saturating(5), start)
        assert states[0] == start
        walk(cascade, states, saturating(5), start)


def test_phases_that_need_nothing_of_each_other_share_a_layer():
    # A counter mod 3 and a counter mod 2 that a fault stops for good, and the fault itself.
    light = Automaton.from_dfa(
        [[1, 0, 3, 0], [2, 2, 3, 0], [0, 2, 3, 0], [3, 3, 3, 0]], token_labels=list("cbfr")
    )
    compiled = light.compile()
    assert [layer.moduli for layer in compiled.cascade.layers] == [(3, 2), (2,)]
    assert compiled.depth < light.verdict().depth_at_most


@pytest.mark.parametrize("seed", range(10))
def test_regrouping_keeps_what_every_word_does(seed):
    random = np.random.default_rng(seed)
    free = seed % 3  # this layer looks at nothing below it
    layers, cells = [], 1
    for place, m in enumerate([2, 3, 2]):
        added = random.integers(m, size=(cells, 2, 1))
        resets = np.where(
            random.random(added.shape) < 0.3, random.integers(m, size=added.shape), -1
        )
        if place == free:
            added, resets = (np.broadcast_to(t[:1], t.shape) for t in (added, resets))
        layers.append(PhaseLayer((m,), added, resets))
        cells *= m
    cascade = Cascade(tuple(layers), 2)
    codes = cascade.reachable()
    states = np.full(12, -1)
    states[codes] = np.arange(codes.size)
    found, moved = regroup(cascade, states)
    assert len(found.layers) <= (2 if free else 3)
    words = torch.randint(2, (30, 40), generator=torch.Generator().manual_seed(seed))
    before = states[cascade.run(words).numpy()]
    assert np.array_equal(moved[found.run(words).numpy()], before)


def test_classes_of_one_height_share_slots():
    def turning(*moduli):
        return Cascade((PhaseLayer(moduli, np.ones((1, 1, len(moduli)), int)),), 1)

    hold = Cascade((), 1)
    layout = LevelLayout.share([(turning(6), 1), (turning(2, 3), 2), (hold, 4)])
    assert layout.moduli == ((6, 3, 2),)
    six, both, orbit = layout.placements
    assert six.slots == ((0,),)
    assert both.values(np.array(1), both.cascade.encode(np.array([1, 2]))).tolist() == [3, 2, 1]
    assert orbit.values(np.array(3), np.array(0)).tolist() == [3, 0, 0]
    spelled = both.local_codes(1)
    assert spelled.shape == (2, 6)
    assert np.unique(spelled).size == 12


def test_a_group_that_is_not_solvable_is_refused_with_its_residual():
    with pytest.raises(NotSolvableError, match=r"order 120 .* order 60") as caught:
        Automaton.from_dfa(table("S5")).compile()
    assert caught.value.residual_order == 60
    assert "not solvable" in str(pickle.loads(pickle.dumps(caught.value)))
    verdict = Automaton.from_dfa(table("S5")).verdict()
    assert (verdict.depth_at_least, verdict.depth_at_most) == (math.inf, math.inf)


def test_a_hidden_group_that_is_not_solvable_is_found():
    # Tokens of rank at most 5 on 6 states: S5 acts on an image, not on all states.
    delta = np.array([(1, 2, 3, 4, 0, 0), (1, 0, 2, 3, 4, 0)]).T
    automaton = Automaton.from_dfa(delta, start=5)
    verdict = automaton.verdict()
    assert not verdict
    assert [g.orders for g in verdict.groups] == [(120, 60)]
    assert "{0, 1, 2, 3, 4}" in verdict.reason


def test_too_many_images_are_judged_by_the_tokens_that_permute_or_not_at_all():
    n = 13
    cycle, swap = np.roll(np.arange(n), 1), np.array([1, 0, *range(2, n)])
    merge = np.array([0, 0, *range(2, n)])
    full = Automaton.from_dfa(np.stack([cycle, swap, merge], 1))
    assert not full.verdict()
    assert full.verdict().groups[0].order == math.factorial(n)
    solvable = Automaton.from_dfa(np.stack([cycle, merge], 1))
    with pytest.raises(UnsupportedError, match="4,096 images"):
        solvable.verdict()


def test_tables_that_would_be_too_large_are_refused(monkeypatch):
    monkeypatch.setattr("coset.ssm.automata.holonomy.MAX_ENTRIES", 100)
    with pytest.raises(UnsupportedError, match="may have 100 entries"):
        decompose(saturating(8))


def test_too_many_codes_are_refused_before_any_table_is_built(monkeypatch):
    monkeypatch.setattr("coset.ssm.automata.holonomy._tile_groups", None)
    with pytest.raises(UnsupportedError, match=r"4,194,304 codes; .* at least 5.37e\+08"):
        decompose(saturating(30))
    monkeypatch.undo()
    monkeypatch.setattr("coset.ssm.automata.holonomy.MAX_CODES", 127)
    with pytest.raises(UnsupportedError, match="127 codes"):
        decompose(saturating(8))
    monkeypatch.setattr("coset.ssm.automata.holonomy.MAX_CODES", 128)
    assert decompose(saturating(8))[0].num_codes == 128


def test_a_group_that_is_too_large_to_compile_is_refused_by_its_order(monkeypatch):
    monkeypatch.setattr("coset.ssm.automata.tile_group.MAX_GROUP", 23)
    with pytest.raises(UnsupportedError, match=r"may have order 23 .* 4 sets of states in 24 ways"):
        decompose(table("full T4"))
    assert Automaton.from_dfa(table("full T4")).verdict()


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("parity", "r"),
        ("flip-flop", "p"),
        ("mod 3 with reset", "c"),
        ("S3 with reset", "rc"),
        ("full T3", "rcr"),
    ],
)
def test_the_class_of_each_layer_is_the_weakest_that_does(name, letters):
    assert Automaton.from_dfa(table(name)).compile().letters == letters


@pytest.mark.property
@given(automata())
@settings(deadline=None, max_examples=40)
def test_without_groups_every_layer_only_holds_and_sets(automaton):
    if automaton.verdict().kind == "aperiodic":
        assert set(automaton.compile().letters) <= {"p"}
        assert automaton.transition_monoid().is_aperiodic
    else:
        assert not automaton.transition_monoid().is_aperiodic


@pytest.mark.parametrize(
    ("delta", "kind", "depths"),
    [
        ([[0, 0, 0]], "aperiodic", (0, 0)),
        ([[0, 1], [0, 1]], "aperiodic", (0, 1)),  # the last token alone tells the state
        ([[0, 0], [1, 0]], "aperiodic", (0, 0)),
        ([[0, 0, 1], [1, 0, 1]], "aperiodic", (1, 1)),
        ([[0, 1], [1, 0]], "permutation", (1, 1)),
        ([[1, 0], [2, 0], [0, 0]], "permutation-reset", (1, 1)),
    ],
)
def test_verdicts_of_small_automata(delta, kind, depths):
    verdict = Automaton.from_dfa(delta).verdict()
    assert verdict
    assert verdict.kind == kind
    assert (verdict.depth_at_least, verdict.depth_at_most) == depths
    assert Automaton.from_dfa(delta).compile().certificate().verify()


def test_a_verdict_becomes_json_and_comes_back():
    verdict = Automaton.from_dfa(table("full T3")).verdict()
    assert type(verdict).from_json(verdict.to_json()) == verdict


def test_the_order_of_a_huge_group_is_said_in_a_few_characters():
    n = 1600  # n! has more digits than Python prints
    swap = np.r_[1, 0, np.arange(2, n)]
    verdict = Automaton.from_dfa(np.stack([np.roll(np.arange(n), -1), swap], 1)).verdict()
    assert not verdict
    assert "order about 10^44" in verdict.reason
