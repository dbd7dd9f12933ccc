"""Series, depths and verdicts: the verified values, literal series as oracle, clocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from coset.core.errors import (
    CosetError,
    DomainError,
    DtypeError,
    RangeError,
    ShapeError,
    UnsupportedError,
)
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
        (lambda: can_track("S3", alphabet=[0, 6]), RangeError, "given 6 at place 1"),
        (lambda: can_track("S3", alphabet=[0, -1]), RangeError, "given -1"),
        (lambda: can_track("S3", alphabet=[0.5]), DtypeError, "float64"),
        (lambda: can_track("S3", alphabet=[[1], [1, 2]]), ShapeError, "a flat sequence"),
        (lambda: can_track("S3", alphabet=3), ShapeError, "given int"),
        (lambda: can_track("S3", alphabet=torch.ones(2).bfloat16()), DtypeError, "integer"),
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


@pytest.mark.parametrize(
    ("name", "layers", "alphabet", "expected"),
    [
        ("Z500", "rrrrrrt", [1], (500, 250, 125, 125, 125, 125, 125, 1)),
        ("Z4", "r" * 60 + "t", [1], (4, 2, *[1] * 60)),
        ("Z128", "r" * 3 + "t", [1, 3], (128, 64, 32, 16, 8)),
    ],
)
def test_a_clock_needs_no_more_than_the_order_of_a_token(name, layers, alphabet, expected):
    # |G/L|·2^j would ask for tables of 32,000² pairs, and of 2^60.
    verdict = can_track(name, layers, alphabet)
    assert verdict.sizes == expected
    assert verdict.evidence["clock"] <= parse_group(name).order


def test_too_many_pairs_are_refused_before_their_table():
    with pytest.raises(UnsupportedError, match="has 16384"):
        can_track("Z4096", "rrt", [1, 3])
    with pytest.raises(DomainError, match="modulus must lie in 1 … 8192; given 0"):
        with_length(parse_group("Z2"), np.array([1]), 0)
    with pytest.raises(DomainError, match="given 1000000000000"):
        with_length(parse_group("Z2"), np.array([1]), 10**12)


def _subgroups_between(close, least, upper):
    found, waiting = {least}, [least]
    while waiting:
        now = waiting.pop()
        for pair in upper - now:
            more = close(now | {pair})
            if more not in found:
                found.add(more)
                waiting.append(more)
    return found


def _some_series(group, alphabet, layers, modulus):
    """Try every subgroup that each layer may leave, and every clock; sets of pairs only."""
    mul, inverse = group.mul.tolist(), group.inverse.tolist()
    one = (int(group.identity), 0)

    def times(a, b):
        return mul[a[0]][b[0]], (a[1] + b[1]) % modulus

    def close(pairs):
        found = {one}
        while (more := found | {times(a, b) for a in found for b in pairs}) != found:
            found = more
        return frozenset(found)

    def tracked(left, rest):
        if all(value == one[0] for value, _ in left):
            return True
        if not rest:
            return False
        if rest[0] == "p":
            return tracked(left, rest[1:])
        if rest[0] == "t":
            clocks = [d for d in range(1, modulus + 1) if modulus % d == 0]
            kept = {frozenset(a for a in left if a[1] % d == 0) for d in clocks}
            return any(tracked(more, rest[1:]) for more in kept)
        back = {a: (inverse[a[0]], -a[1] % modulus) for a in left}
        least = {times(times(back[a], back[b]), times(a, b)) for a in left for b in left}
        if rest[0] == "r":
            least |= {times(a, a) for a in left}
        between = _subgroups_between(close, close(least), left)
        return any(tracked(more, rest[1:]) for more in between)

    return tracked(close({(x, 1 % modulus) for x in alphabet}), layers)


@pytest.mark.parametrize("name", ["Z2", "Z3", "Z4", "Z2xZ2", "S3"])
def test_clocks_against_every_series_of_pairs(name):
    group = parse_group(name)
    rng = np.random.default_rng(group.order)
    group = group.relabel(rng.permutation(group.order).tolist())
    answers = []
    for place, layers in enumerate(("t", "r", "t", "rt", "tr", "ct", "tc", "pt", "tt", "r", "trt")):
        alphabet = rng.choice(group.order, size=1 + place % 2, replace=False).tolist()
        expected = _some_series(group, alphabet, layers, 2 * group.order)
        assert can_track(group, layers, alphabet).holds == expected, (layers, alphabet)
        answers.append(expected)
    assert {True, False} == set(answers)


def test_a_plan_prints_in_one_line():
    plan = plan_layers(parse_group("S4"), np.arange(24), "rcr")
    assert repr(plan) == "LayerPlan(S4, 'rcr', 24 → 12 → 4 → 1 values left)"
