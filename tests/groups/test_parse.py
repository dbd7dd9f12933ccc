"""Names of groups: the grammar, and errors that point at the place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.core.errors import DtypeError
from coset.groups import GroupNameError, is_isomorphic, parse_group
from coset.groups.products import factor_name


@pytest.mark.parametrize(
    ("text", "order", "name"),
    [
        ("S4", 24, "S4"),
        ("A5", 60, "A5"),
        ("Z60", 60, "Z60"),
        ("C6", 6, "Z6"),
        ("D30", 60, "D30"),
        ("Q8", 8, "Q8"),
        ("Dic3", 12, "Dic3"),
        ("SL(2,3)", 24, "SL(2,3)"),
        ("GL(2,3)", 48, "GL(2,3)"),
        ("Heis(3)", 27, "Heis(3)"),
        ("M(7,3,2)", 21, "M(7,3,2)"),
        ("S4xZ2", 48, "S4xZ2"),
        ("Z2xZ4xS3", 48, "Z2xZ4xS3"),
        ("Z2×Z4", 8, "Z2xZ4"),
        (" S 4 x Z 2 ", 48, "S4xZ2"),
        ("GL( 2 , 3 )", 48, "GL(2,3)"),
        ("Z2^3", 8, "Z2^3"),
        ("Z2^1", 2, "Z2"),
        ("S3^2xZ2", 72, "S3^2xZ2"),
        ("Z2wrZ2", 8, "Z2wrZ2"),
        ("Z2wrZ2xZ3", 24, "Z2wrZ2xZ3"),
        ("Z2wr(Z2xZ2)", 64, "Z2wr(Z2xZ2)"),
        ("Z2wrZ2wrZ2", 128, "(Z2wrZ2)wrZ2"),
        ("(Z2xZ3)^2", 36, "(Z2xZ3)^2"),
        ("((S3))", 6, "S3"),
        ("Z007", 7, "Z7"),
    ],
)
def test_names_and_the_groups_they_build(text, order, name):
    group = parse_group(text)
    assert (group.order, group.name, group.identity) == (order, name, 0)
    again = parse_group(group.name)
    assert (again.mul == group.mul).all()


def test_precedence():
    assert is_isomorphic(parse_group("Z2wrZ2xZ3"), parse_group("(Z2wrZ2)xZ3"))
    assert is_isomorphic(parse_group("Z3^2wrZ2"), parse_group("(Z3xZ3)wrZ2"))
    assert factor_name("Z2:Z3", "x") == "(Z2:Z3)"
    assert factor_name("M(3,2,2)", "^") == "M(3,2,2)"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", 0, "a group must stand here"),
        ("   ", 0, "a group must stand here"),
        ("S", 1, "a number"),
        ("S4x", 3, "a group must stand here"),
        ("S4xY2", 3, "a group must stand here"),
        ("s4", 0, "did you mean S4?"),
        ("sl(2,3)", 0, "did you mean SL(2,3)?"),
        ("heis(3)", 0, "did you mean Heis(3)?"),
        ("SL(2", 4, "','"),
        ("SL(2,3", 6, "')'"),
        ("SL2", 2, "'('"),
        ("S4;", 2, "';' cannot stand here"),
        ("Z2 ∘ Z3", 3, "'∘' cannot stand here"),
        ("S4 Z2", 3, "must end here"),
        ("(S4", 3, "')'"),
        ("S4)", 2, "must end here"),
        ("Z2^", 3, "a number"),
        ("Z2^0", 3, "exponent"),
        ("Z2^65", 3, "exponent"),
        ("Z0", 0, "at least 1"),
        ("Z2xZ0", 3, "at least 1"),
        ("Q12", 0, "8, 16, 32"),
        ("S3xSL(2,4)", 3, "prime"),
        ("M(7,3,3)", 0, "mod 7"),
        ("Z12345678901", 1, "too large"),
        ("Z8193", 0, "8192"),
        ("S8", 0, "40320"),
        ("S999999999", 0, "10^15"),
        ("GL(99999,7)", 0, "10^15"),
        ("Z8000xZ8000", 0, "64000000"),
        ("Z8000^64", 0, "10^15"),
        ("Z2wrS4wrS4", 0, "402653184"),
        ("Z-3", 1, "'-' cannot stand here"),
        ("Z2.5", 2, "'.' cannot stand here"),
    ],
)
def test_errors_quote_the_name_and_point_at_the_place(text, place, message):
    with pytest.raises(GroupNameError) as caught:
        parse_group(text)
    first, quoted, pointer = str(caught.value).rsplit("\n", 2)
    assert message in first
    assert quoted == f"    {text}"
    assert pointer.index("^") - 4 == min(place, len(text.rstrip()))


def test_absurd_sizes_are_refused_before_building(monkeypatch):
    import coset.groups.parse as module

    def refuse(*_):
        raise AssertionError("a factor was built")

    for family, (count, order, _) in list(module._FAMILIES.items()):
        monkeypatch.setitem(module._FAMILIES, family, (count, order, refuse))
    for text in ("Z8000xZ8000", "Z8000^2", "Z2wrS4", "S7xS7", "(Z100xZ10)^3"):
        with pytest.raises(GroupNameError, match="at most 8192"):
            parse_group(text)


def test_long_and_deep_names():
    with pytest.raises(GroupNameError, match="200 letters; given 1000000"):
        parse_group("S" * 10**6)
    assert parse_group("(" * 98 + "Z2" + ")" * 98).order == 2
    assert parse_group("x".join(["Z1"] * 60) + "xZ2").order == 2


@pytest.mark.parametrize("wrong", [None, 4, b"S4", ["S4"]])
def test_other_types_are_refused(wrong):
    with pytest.raises(DtypeError, match="text"):
        parse_group(wrong)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="SAZDQxwr^(),0123 HeisGLM×", max_size=12))
@pytest.mark.property
def test_any_text_is_a_small_group_or_a_named_error(text):
    try:
        group = parse_group(text)
    except GroupNameError:
        return
    assert 1 <= group.order <= 8192
