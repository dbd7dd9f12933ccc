"""Series, depths and verdicts: the verified values, literal series as oracle, clocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from coset.core.errors import CosetError, DomainError, DtypeError, RangeError, ShapeError
from coset.groups import direct_product, parse_group, quotient
from coset.ssm.alphabet import as_group, resolve_alphabet
from coset.ssm.reference import derived_series_reference, tracking_depth_reference
from coset.ssm.tracking import (
    can_track,
    generated_group,
    length_subgroup,
    plan_layers,
    tracking_depth,
    tracking_series,
    with_length,
)

DEPTHS = {
    **{"Z1": 0, "Z2": 1, "Z60": 1, "Z2xZ4": 1, "S3": 2, "D4": 2, "D30": 2, "Q8": 2, "A4": 2},
    **{"Heis(3)": 2, "S4": 3, "SL(2,3)": 3, "GL(2,3)": 4, "A5": math.inf, "S5": math.inf},
    "SL(2,5)": math.inf,
}
REAL_DEPTHS = {
    **{"Z2": 1, "Z4": 2, "Z8": 3, "Z2xZ4": 2, "D4": 2, "Q8": 2, "D8": 3},
    **{"Z3": math.inf, "S3": math.inf, "Z60": math.inf},
}
# (group, layers, tracked): verified before anything was written.
VERDICTS = [
    *[("S3", "rc", True), ("S3", "cr", False), ("A4", "cr", True), ("A4", "rc", False)],
    *[("S4", "rcr", True), ("S4", "rcc", True), ("S4", "ccc", True), ("S4", "crr", False)],
    *[("GL(2,3)", "rcrr", True), ("SL(2,3)", "crr", True), ("D30", "rc", True)],
    *[("D30", "cr", False), ("Z60", "r", False), ("Z2", "r", True), ("Z4", "r", False)],
    *[("Z4", "rr", True), ("Z2xZ4", "r", False), ("Z2xZ4", "rr", True), ("D4", "rr", True)],
    *[("D8", "rr", False), ("D8", "rrr", True), ("Q8", "rr", True), ("A5", "ccccc", False)],
    *[("Z2", "p", False), ("Z2", "t", False), ("Z2", "tptp", False), ("Z2", "tprp", True)],
    *[("Z1", "", True), ("Z2", "", False)],
]


@pytest.mark.parametrize(("name", "depth"), DEPTHS.items())
def test_depth_with_complex_layers(name, depth):
    assert tracking_depth(name) == depth
    assert can_track(name).holds == (depth < math.inf)


@pytest.mark.parametrize(("name", "depth"), REAL_DEPTHS.items())
def test_depth_with_real_layers(name, depth):
    assert tracking_depth(name, "r") == depth
    if depth < math.inf:
        assert can_track(name, "r" * int(depth))
        assert not can_track(name, "r" * (int(depth) - 1))


@pytest.mark.parametrize(("name", "layers", "tracked"), VERDICTS)
def test_verdicts_of_typed_stacks(name, layers, tracked):
    verdict = can_track(name, layers)
    assert bool(verdict) == verdict.holds == tracked
    assert len(verdict.sizes) == len(layers) + 1
    assert verdict.stalled_order == verdict.sizes[-1]
    assert (verdict.stalled_order == 1) == tracked
    assert verdict.group == name
    assert verdict.layers == layers
    assert ("do not track" in verdict.reason) != tracked


@pytest.mark.parametrize("name", ["Z1", "Z6", "S3", "Q8", "A4", "S4", "SL(2,3)", "A5"])
def test_the_series_is_that_of_all_commutators(name):
    group = parse_group(name)
    literal = derived_series_reference(group.mul.tolist())
    found = tracking_series(group, "c" * len(literal))
    assert [set(v.tolist()) for v in found[: len(literal)]] == literal
    assert tracking_depth_reference(group.mul.tolist()) == tracking_depth(group)


@pytest.mark.parametrize("name", ["S4", "GL(2,3)", "Heis(3)", "A5"])
def test_relabeling_changes_nothing(name):
    group = parse_group(name)
    other = group.relabel(np.random.default_rng(3).permutation(group.order))
    assert tracking_depth(other) == tracking_depth(group)
    for layers in ("rcrc", "crcr"):
        assert can_track(other, layers).sizes == can_track(group, layers).sizes


@pytest.mark.parametrize(("one", "other"), [("S3", "Z4"), ("S4", "Q8"), ("A4", "A5")])
def test_a_product_is_as_deep_as_its_deepest_factor(one, other):
    product = direct_product(parse_group(one), parse_group(other))
    assert tracking_depth(product) == max(tracking_depth(one), tracking_depth(other))


def test_subgroups_and_quotients_are_no_deeper():
    group = parse_group("GL(2,3)")
    series = group.derived_series()
    for subgroup in series:
        inner, _ = group.subgroup_group(subgroup)
        assert tracking_depth(inner) <= tracking_depth(group)
        factor, _ = quotient(group, subgroup)
        assert tracking_depth(factor) <= tracking_depth(group)


def test_a_position_counts_where_lengths_say_something():
    assert can_track("Z4", "t", [1])
    assert not can_track("Z4", "t", [0, 1])
    assert not can_track("Z4", "t")
    # The length of a word over two transpositions is its parity.
    transpositions = [y for y in range(6) if parse_group("S3").element_orders[y] == 2]
    assert can_track("S3", "tc", transpositions[:2])
    assert not can_track("S3", "tc", [*transpositions[:2], 0])
    assert not can_track("S3", "ct", transpositions[:2])


def test_a_clock_above_a_real_layer_counts_twice_as_far():
    # y = T + 2·(number of 3s) mod 4: a real layer holds the parity of that number.
    assert can_track("Z4", "rt", [1, 3])
    assert can_track("Z4", "tr", [1, 3])
    assert not can_track("Z4", "rp", [1, 3])
    assert not can_track("Z4", "t", [1, 3])
    assert can_track("Z4", "rt", [1, 3]).evidence["clock"] == 4


@pytest.mark.parametrize(
    ("name", "alphabet", "layers"),
    [
        *[("Z4", [1, 3], "rt"), ("Z4", [1, 3], "tr"), ("Z8", [1, 5], "rt"), ("Z8", [1, 3], "rrt")],
        *[("Z12", [1, 7], "rt"), ("S3", [1, 2], "rt"), ("Z2xZ4", [1, 3], "rt")],
        *[("D4", "generators", "rrt"), ("Q8", "generators", "rtr"), ("Z6", [1, 4], "rtc")],
    ],
)
def test_a_longer_clock_would_help_no_further(name, alphabet, layers):
    # M = |G/L|·2^j is enough: with twice as long a clock as many values stay open.
    group = parse_group(name)
    plan = plan_layers(group, resolve_alphabet(group, alphabet), layers)
    inner, _, inside = generated_group(group, resolve_alphabet(group, alphabet))
    pairs, values, lengths, _ = with_length(inner, inside, 2 * plan.modulus)
    left = np.arange(pairs.order)
    for place, letter in enumerate(layers):
        following = tracking_series(pairs, letter)[1] if place == 0 else None
        if letter == "t":
            left = left[lengths[left] == 0]
        elif following is not None:
            left = following
        else:
            sub, embedding = pairs.subgroup_group(left)
            left = np.sort(embedding[tracking_series(sub, letter)[1]])
    assert len(np.unique(values[left])) == plan.sizes[-1]


def test_the_group_of_lengths():
    group = parse_group("S3")
    odd = [y for y in range(6) if group.element_orders[y] == 2]
    assert len(length_subgroup(group, np.array(odd))) == 3
    assert len(length_subgroup(group, np.arange(6))) == 6
    pairs, values, lengths, tokens = with_length(group, np.array(odd), 4)
    assert pairs.order == 12
    assert set(lengths.tolist()) == {0, 1, 2, 3}
    assert values[tokens].tolist() == odd
    assert lengths[tokens].tolist() == [1, 1, 1]
    even = group.element_orders[values] != 2
    assert np.array_equal(even, lengths % 2 == 0)


def test_an_alphabet_that_generates_less_asks_for_less():
    group = parse_group("S5")
    inside = [0, int(np.flatnonzero(group.element_orders == 2)[0])]
    assert not can_track(group)
    assert can_track(group, "r", inside)
    assert can_track(group, "r", inside).sizes == (2, 1)
    assert "2 elements" in can_track(group, "r", inside).reason


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: can_track("S3", "rx"), DomainError, "'x' at place 1"),
        (lambda: can_track("S3", 3), DtypeError, "int"),
        (lambda: tracking_depth("S3", "t"), DomainError, "'c' or 'r'"),
        (lambda: tracking_depth("Nonsense"), CosetError, "Nonsense"),
        (lambda: as_group(6), DtypeError, "int"),
        (lambda: can_track("S3", alphabet=[]), DomainError, "at least one"),
        (lambda: can_track("S3", alphabet="some"), DomainError, "some"),
        (lambda: can_track("S3", alphabet=[0, 6]), RangeError, "given 6 for token 1"),
        (lambda: can_track("S3", alphabet=[0, -1]), RangeError, "given -1"),
        (lambda: can_track("S3", alphabet=[0.5]), DtypeError, "float64"),
        (lambda: can_track("S3", alphabet=[[0, 1]]), ShapeError, r"\(1, 2\)"),
    ],
)
def test_bad_questions_are_refused(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_verdict_is_a_record():
    from coset.core.results import Verdict

    verdict = can_track("S4", "rcr")
    assert Verdict.from_json(verdict.to_json()) == verdict
