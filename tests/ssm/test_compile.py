"""Compiling groups: the verified layers, certificates, alphabets, series, refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from tests.ssm.test_tracking import VERDICTS

from coset.core.errors import (
    CosetError,
    DomainError,
    DtypeError,
    RangeError,
    ShapeError,
    UnsupportedError,
)
from coset.groups import Group, cyclic, direct_product, heisenberg, parse_group
from coset.ssm import compile as compile_module
from coset.ssm.certificate import label_codes
from coset.ssm.compile import SubgroupWarning, compile_group
from coset.ssm.errors import NotSolvableError, NotTrackableError
from coset.ssm.tracking import can_track

MODULI = {
    **{"Z2": [(2,)], "Z60": [(60,)], "Z2xZ4": [(4, 2)], "S3": [(2,), (3,)]},
    **{"D4": [(2, 2), (2,)], "Q8": [(2, 2), (2,)], "A4": [(3,), (2, 2)]},
    **{"S4": [(2,), (3,), (2, 2)], "SL(2,3)": [(3,), (2, 2), (2,)]},
    **{"GL(2,3)": [(2,), (3,), (2, 2), (2,)], "D30": [(2, 2), (15,)], "Heis(3)": [(3, 3), (3,)]},
}


@pytest.mark.parametrize(("name", "moduli"), MODULI.items())
def test_layers_of_the_derived_series(name, moduli):
    tracker = compile_group(name)
    assert [layer.moduli for layer in tracker.layers] == moduli
    assert tracker.certificate().verify()
    order = tracker.group.order
    assert tracker.certificate().num_pairs == order * order
    assert sorted(tracker.elements.tolist()) == list(range(order))
    assert np.array_equal(tracker.elements[tracker.codes], np.arange(order))
    small = compile_group(name, "generators")
    assert [layer.moduli for layer in small.layers] == moduli
    assert small.certificate().verify()


def test_table_shapes():
    shapes = [layer.increments.shape for layer in compile_group("S4").layers]
    assert shapes == [(1, 24, 1), (2, 24, 1), (6, 24, 2)]
    shapes = [layer.increments.shape for layer in compile_group("GL(2,3)").layers]
    assert shapes == [(1, 48, 1), (2, 48, 1), (6, 48, 2), (24, 48, 1)]


def test_s3_by_hand():
    # Elements (α, β) = r^β s^α in the order (0,0) (0,1) (0,2) (1,0) (1,1) (1,2); s r = r⁻¹ s.
    letters = [(a, b) for a in range(2) for b in range(3)]
    mul = [
        [letters.index(((a + c) % 2, (b + (-1) ** a * d) % 3)) for c, d in letters]
        for a, b in letters
    ]
    tracker = compile_group(Group.from_table(mul))
    parity, turn = tracker.layers
    assert parity.increments[0, :, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert turn.increments[0, :, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert turn.increments[1, :, 0].tolist() == [0, 2, 1, 0, 2, 1]
    word = torch.tensor([letters.index(x) for x in [(1, 1), (0, 2), (1, 0), (1, 2), (0, 1)]])
    prefixes = [letters[y] for y in tracker.track(word).tolist()]
    assert prefixes == [(1, 1), (1, 2), (0, 2), (1, 1), (1, 0)]
    phases = tracker.cascade.decode(tracker.states(word).numpy())
    assert phases[:, 0].tolist() == [1, 1, 0, 1, 1]
    assert phases[:, 1].tolist() == [1, 2, 2, 1, 0]


def test_s3_in_the_other_notation_sees_the_current_sign():
    # With (α, β) = s^α r^β the turn of a token has the sign of the CURRENT first layer.
    letters = [(a, b) for a in range(2) for b in range(3)]
    mul = [
        [letters.index(((a + c) % 2, ((-1) ** c * b + d) % 3)) for c, d in letters]
        for a, b in letters
    ]
    tracker = compile_group(Group.from_table(mul))
    assert tracker.certificate().verify()
    current = tracker.cascade.current_increments(1)[:, :, 0]
    assert current[0].tolist() == [0, 1, 2, 0, 1, 2]
    assert current[1].tolist() == [0, 2, 1, 0, 2, 1]
    assert tracker.layers[1].increments[1, 3:, 0].tolist() != current[1, 3:].tolist()


def test_s4_word_by_hand():
    group = Group.from_permutations([(1, 0, 2, 3), (1, 2, 3, 0)])
    generators = [(1, 0, 2, 3), (1, 2, 3, 0)]
    identity = (0, 1, 2, 3)
    ids = {identity: group.identity}
    # Name every permutation by multiplying generators along with the group.
    frontier = [identity]
    alphabet = _generator_ids(group)
    while frontier:
        p = frontier.pop()
        for x, g in zip(alphabet, generators, strict=True):
            product = tuple(g[p[i]] for i in range(4))
            if product not in ids:
                ids[product] = int(group.mul[ids[p], x])
                frontier.append(product)
    tracker = compile_group(group, alphabet)
    word = torch.tensor([int(x) for x in "0110100110010110"])
    found = tracker.track(word).tolist()
    expected = [(1, 0, 2, 3), (2, 1, 3, 0), (3, 2, 0, 1), (3, 2, 1, 0)]
    assert found[:4] == [ids[p] for p in expected]
    assert found[-1] == group.identity


def _generator_ids(group):
    """Return ids of a transposition and a 4-cycle whose product has order 3, as in the word."""
    orders = group.element_orders
    for a in np.flatnonzero(orders == 2):
        for b in np.flatnonzero(orders == 4):
            # (0 1) is odd: it lies outside of the alternating group, as no double transposition.
            if a not in group.derived_series()[1] and orders[group.mul[a, b]] == 3:
                return [int(a), int(b)]
    raise AssertionError


@pytest.mark.parametrize(("name", "layers", "tracked"), VERDICTS)
def test_compiled_classes_are_those_that_track(name, layers, tracked):
    if tracked:
        tracker = compile_group(name, layers=layers)
        assert tracker.certificate().verify()
        real = [
            set(layer.moduli)
            for layer, letter in zip(tracker.layers, tracker.letters, strict=True)
            if letter == "r"
        ]
        assert all(moduli == {2} for moduli in real)
        return
    with pytest.raises(NotTrackableError) as refused:
        compile_group(name, layers=layers)
    assert refused.value.layers == layers
    assert refused.value.stalled_order == can_track(name, layers).stalled_order > 1


@pytest.mark.parametrize(
    ("name", "alphabet", "layers", "moduli"),
    [
        ("Z4", [1], "t", [(4,)]),
        ("Z4", [1, 3], "tr", [(2,), (2,)]),
        ("Z4", [1, 3], "rt", None),
        ("Z12", [1, 7], "rt", None),
        ("Z8", [1, 3], "rrt", None),
    ],
)
def test_clock_layers_add_the_same_for_every_token(name, alphabet, layers, moduli):
    tracker = compile_group(name, alphabet, layers=layers)
    assert tracker.certificate().verify()
    assert set(tracker.elements.tolist()) >= set(range(tracker.group.order))
    for layer, letter in zip(tracker.layers, tracker.letters, strict=True):
        if letter == "t":
            assert (layer.increments == layer.increments[0, 0]).all()
    if moduli is not None:
        assert [layer.moduli for layer in tracker.layers] == moduli
    words = torch.randint(0, len(alphabet), (3, 200))
    expected = tracker.group.prefix_products(words, torch.tensor(alphabet))
    assert torch.equal(tracker.track(words), expected)


@pytest.mark.parametrize("name", ["A4", "S4", "GL(2,3)", "Q8", "D30"])
def test_prefix_products_over_generators(name):
    tracker = compile_group(name, "generators")
    words = torch.randint(0, tracker.num_tokens, (5, 300))
    mul, x = tracker.group.mul, tracker.alphabet
    for word, found in zip(words.tolist(), tracker.track(words).tolist(), strict=True):
        product = tracker.group.identity
        for token, value in zip(word, found, strict=True):
            product = int(mul[product, x[token]])
            assert value == product


@pytest.mark.parametrize("name", ["A4", "S4", "Q8"])
def test_relabeled_groups_have_the_same_layers(name):
    group = parse_group(name)
    other = group.relabel(np.random.default_rng(5).permutation(group.order))
    tracker = compile_group(other)
    assert tracker.certificate().verify()
    assert [v.moduli for v in tracker.layers] == [v.moduli for v in compile_group(group).layers]


def test_an_identity_that_is_not_zero():
    group = parse_group("S4").relabel(np.roll(np.arange(24), 5))
    assert group.identity != 0
    tracker = compile_group(group)
    assert tracker.elements[0] == group.identity
    assert tracker.certificate().verify()


def test_products_have_the_moduli_of_their_factors():
    product = compile_group(direct_product(parse_group("S3"), parse_group("A4")))
    assert [sorted(layer.moduli) for layer in product.layers] == [[6], [2, 6]]
    assert product.certificate().verify()


def test_every_single_change_breaks_the_certificate():
    tracker = compile_group("A4", "generators")
    certificate = tracker.certificate()
    count = 0
    for place, table in enumerate(certificate.increments):
        for entry in np.ndindex(*table.shape):
            changed = table.clone()
            changed[entry] = (changed[entry] + 1) % certificate.moduli[place][entry[-1]]
            tables = list(certificate.increments)
            tables[place] = changed
            broken = type(certificate)(**{**vars(certificate), "increments": tuple(tables)})
            assert not broken.verify()
            assert broken.failure() is not None
            count += 1
    assert count == sum(t.numel() for t in certificate.increments) == 2 * 1 + 2 * 3 * 2


def test_one_element_and_one_token():
    trivial = compile_group("Z1")
    assert trivial.layers == ()
    assert trivial.certificate().verify()
    assert trivial.track(torch.zeros(2, 5, dtype=torch.int64)).tolist() == [[0] * 5] * 2
    assert compile_group("Z1", "generators").num_tokens == 1
    same = compile_group("S3", [3, 3, 1, 0, 3])  # repetitions, and the identity as a token
    assert same.certificate().verify()
    assert same.num_tokens == 5


def test_an_alphabet_that_generates_less_warns_and_tracks_that():
    group = parse_group("S4")
    inside = [int(np.flatnonzero(group.element_orders == 4)[0])]
    with pytest.warns(SubgroupWarning, match="generates 4 of the 24"):
        tracker = compile_group(group, inside)
    assert tracker.certificate().verify()
    assert tracker.num_elements == 4
    assert (tracker.codes >= 0).sum() == 4
    assert tracker.codes[group.identity] == 0
    words = torch.zeros(9, dtype=torch.int64)
    assert torch.equal(tracker.track(words), group.prefix_products(words, torch.tensor(inside)))
    with pytest.warns(SubgroupWarning):
        assert compile_group("A5", [0]).layers == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_group(group, "generators")


@pytest.mark.parametrize(("name", "residual"), [("A5", 60), ("S5", 60), ("SL(2,5)", 120)])
def test_unsolvable_groups_are_refused_with_their_residual(name, residual):
    with pytest.raises(NotSolvableError, match=f"perfect group of order {residual}") as refused:
        compile_group(name)
    assert refused.value.residual_order == residual
    group = parse_group(name)
    assert set(refused.value.residual) == set(group.derived_series()[-1].tolist())


def test_other_series():
    group = parse_group("D4")
    whole, center = np.arange(8), group.derived_series()[1]
    cyclic_four = np.flatnonzero(np.isin(np.arange(8), _powers(group, 4)))
    tracker = compile_group(group, series=[whole, cyclic_four, [group.identity]])
    assert [layer.moduli for layer in tracker.layers] == [(2,), (4,)]
    assert tracker.certificate().verify()
    longer = compile_group(group, series=[whole, cyclic_four, center, [group.identity]])
    assert [layer.moduli for layer in longer.layers] == [(2,), (2,), (2,)]
    assert longer.certificate().verify()


def test_a_subgroup_that_is_normal_in_the_one_before_but_not_in_the_group():
    group = parse_group("S4")
    four = group.derived_series()[2]
    two = np.array(sorted([group.identity, *[int(y) for y in four if y != group.identity][:1]]))
    series = [*group.derived_series()[:3], two, [group.identity]]
    tracker = compile_group(group, "generators", series=series)
    assert [layer.moduli for layer in tracker.layers] == [(2,), (3,), (2,), (2,)]
    assert tracker.certificate().verify()


def _powers(group, order):
    a = int(np.flatnonzero(group.element_orders == order)[0])
    return [group.power(a, k) for k in range(order)]


def _of_order(group, order):
    return int(np.flatnonzero(group.element_orders == order)[0])


@pytest.mark.parametrize(
    ("series", "match"),
    [
        (lambda g: [np.arange(24)], "to the identity alone"),
        (lambda g: [], "to the identity alone"),
        (lambda g: [g.derived_series()[1], [0]], "to the identity alone"),
        (lambda g: [np.arange(24), [0, 1, 2], [0]], "must be a subgroup"),
        (lambda g: [np.arange(24), [0, _of_order(g, 2)], [0]], "must be normal"),
        (lambda g: [np.arange(24), g.derived_series()[2], [0]], "must be Abelian"),
        (lambda g: [np.arange(24), g.derived_series()[1], np.arange(24), [0]], "subgroup of the"),
    ],
)
def test_series_that_are_none_are_refused(series, match):
    group = parse_group("S4")
    with pytest.raises(DomainError, match=match):
        compile_group(group, series=series(group))


def test_contradictions_are_refused():
    with pytest.raises(DomainError, match="not both"):
        compile_group("S3", layers="rc", series=[range(6), [0]])
    with pytest.raises(RangeError):
        compile_group("S3", series=[range(7), [0]])
    with pytest.raises(CosetError, match="S_3"):
        compile_group("S_3")
    with pytest.raises(DomainError, match="'none'"):
        compile_group("S3", "none")


def test_tables_that_are_too_large_are_refused_before_they_are_made(monkeypatch):
    monkeypatch.setattr(compile_module, "MAX_INCREMENTS", 100)
    with pytest.raises(UnsupportedError, match="generators"):
        compile_group("S4")
    assert compile_group("S4", "generators").certificate().verify()


def test_groups_of_order_beyond_a_thousand():
    tracker = compile_group(heisenberg(11), "generators")
    assert [layer.moduli for layer in tracker.layers] == [(11, 11), (11,)]
    assert tracker.certificate().verify()
    assert tracker.certificate().num_pairs == 1331 * 2
    large = compile_group(cyclic(2000))
    words = torch.randint(0, 2000, (1, 5000))
    assert torch.equal(large.track(words), words.cumsum(-1) % 2000)


def test_labels_are_refused_where_a_state_has_two_values():
    tracker = compile_group("S3")
    short = type(tracker.cascade)(tracker.layers[:1], 6)
    with pytest.raises(DomainError, match="value"):
        label_codes(short, tracker.group.mul, tracker.group.identity)


def test_the_errors_survive_pickling():
    import pickle

    for error in (NotSolvableError("no", (1, 2)), NotTrackableError("no", "cr", 3)):
        copy = pickle.loads(pickle.dumps(error))
        assert vars(copy) == vars(error)
        assert str(copy) == "no"


@pytest.mark.parametrize("series", ["abc", 5])
def test_a_series_must_be_one(series):
    with pytest.raises(DtypeError, match="a series must be a sequence of subgroups"):
        compile_group("S3", series=series)
    with pytest.raises(ShapeError, match="subgroup 0 of a series"):
        compile_group("S3", series=[1, 2])
