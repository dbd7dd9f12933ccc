"""Preferences in CSV files: what is read, and what is refused with line and field."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coset.core.errors import DomainError, FileFormatError
from coset.decisions.axioms import preference_file
from coset.decisions.axioms.checking import check
from coset.decisions.axioms.preference_file import (
    parse_lottery,
    read_preferences,
    write_preferences,
)
from coset.decisions.axioms.preferences import Preferences
from coset.decisions.preferences.lottery import Lottery

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "preferences"
F = Fraction


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "preferences.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_preferences(path)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("allais", "refuted"),
        ("circle", "refuted"),
        ("never_break_the_robot", "representable"),
        ("travel", "representable"),
        ("wines", "refuted"),
    ],
)
def test_the_examples_are_what_they_say(name, status):
    found = read_preferences(EXAMPLES / f"{name}.csv")
    assert check(found.preferences).status == status
    assert len(found.lines) == found.preferences.num_pairs


def test_decimals_fractions_and_percentages_are_exact(tmp_path):
    data = read(
        tmp_path,
        'relation,preferred,other\n>,0.1 a + 0.9 b,1/10 b + 90% c\n=,1e-3 a + .999 b,"1 x, y"\n',
    ).preferences
    assert data.is_exact
    assert data.pair(0)[:2] == (
        Lottery.of({"a": F(1, 10), "b": F(9, 10)}),
        Lottery.of({"b": F(1, 10), "c": F(9, 10)}),
    )
    assert data.pair(1)[0].probability("a") == F(1, 1000)
    assert data.pair(1)[1] == Lottery.sure("x, y")


def test_the_order_of_the_file_is_kept(tmp_path):
    found = read(
        tmp_path,
        "\ufeff# a comment\n\nRelation, preferred ,other,note,count\n=,a,b,,\n>,b,c,why,3\n"
        "# another\n≿,c,d,,2\nstrict,d,e,,\n",
    )
    relations = [found.preferences.pair(i)[2] for i in range(4)]
    assert relations == ["indifferent", "strict", "weak", "strict"]
    assert found.preferences.pair(3)[0] == Lottery.sure("d")
    assert found.lines == (4, 5, 7, 8)
    assert found.counts.tolist() == [1, 3, 2, 1]
    assert found.notes == ("", "why", "", "")


def test_a_header_alone_is_no_preference(tmp_path):
    assert read(tmp_path, "relation,preferred,other\n").preferences.num_pairs == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "header"),
        ("a,b,c\n", "line 1: the header"),
        ("relation,preferred\n", "line 1: the header"),
        ("relation;preferred;other\n", "commas"),
        ("relation,preferred,other,other\n", "each once"),
        ("relation,preferred,other,weight\n", "line 1: the header"),
        ("relation,preferred,other\n>,a\n", "line 2: a line has 3 fields"),
        ("relation,preferred,other\n\n<,a,b\n", "line 3, field relation"),
        ("relation,preferred,other\n>,,b\n", "line 2, field preferred: .*name"),
        ("relation,preferred,other\n>,a,0.5 b\n", "line 2, field other: .*sum to 0.5"),
        ("relation,preferred,other\n>,a,0.5 b + 0.6 c\n", "sum to 1.1"),
        ("relation,preferred,other\n>,a,0.5 b + c\n", 'must be "weight name"'),
        ("relation,preferred,other\n>,a,0.5 b + 0.5\n", "needs an outcome"),
        ("relation,preferred,other\n>,a,1/0 b\n", "must be a number"),
        ("relation,preferred,other\n>,a,-0.5 b + 1.5 c\n", 'must be "weight name"'),
        ("relation,preferred,other\n>,a,nan b + 1 c\n", 'must be "weight name"'),
        ("relation,preferred,other\n>,a,1e-99999 b + 1 c\n", 'must be "weight name"'),
        ("relation,preferred,other\n>,a," + "x" * 201 + "\n", "200 characters"),
        ("relation,preferred,other,count\n>,a,b,0\n", "line 2, field count"),
        ("relation,preferred,other,count\n>,a,b,1.5\n", "line 2, field count"),
        ('relation,preferred,other\n>,"a,b\n', "line 2"),
        (b"relation,preferred,other\n>,a,\xff\n", "UTF-8"),
    ],
)
def test_bad_files_are_refused_with_line_and_field(tmp_path, text, problem):
    with pytest.raises(FileFormatError, match=problem) as caught:
        read(tmp_path, text)
    assert "preferences.csv" in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(
            st.text(alphabet=st.sampled_from('ab019.%/+e->=#," \t\r\n\u0000é'), max_size=12),
            min_size=1,
            max_size=4,
        ),
        max_size=5,
    )
)
def test_any_text_is_read_or_refused_by_name(rows):
    text = "\n".join(["relation,preferred,other", *(",".join(row) for row in rows)])
    try:
        found = preference_file._Reader("text").read(text)
    except FileFormatError:
        return
    assert check(found.preferences).status in ("representable", "refuted")


def test_absurd_sizes_are_refused(tmp_path, monkeypatch):
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_preferences(tmp_path / "none.csv")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_preferences(tmp_path)
    text = "relation,preferred,other\n>,a,b\n>,c,d\n"
    monkeypatch.setattr(preference_file, "_MAX_ROWS", 1)
    with pytest.raises(FileFormatError, match="1 preferences"):
        read(tmp_path, text)
    monkeypatch.setattr(preference_file, "_MAX_ROWS", 10)
    monkeypatch.setattr(preference_file, "_MAX_OUTCOMES", 3)
    with pytest.raises(FileFormatError, match="names 4"):
        read(tmp_path, text)
    monkeypatch.setattr(preference_file, "MAX_FILE_BYTES", 10)
    with pytest.raises(FileFormatError, match="10 bytes"):
        read(tmp_path, text)
    monkeypatch.setattr(preference_file, "_MAX_TERMS", 2)
    with pytest.raises(DomainError, match="2 terms"):
        parse_lottery("1/3 a + 1/3 b + 1/3 c")


def test_names_with_numbers_and_signs():
    assert parse_lottery("1 2 eggs") == Lottery.sure("2 eggs")
    assert parse_lottery("C++") == Lottery.sure("C++")
    assert parse_lottery("0.5 a+b + 0.5 c") == Lottery.of({"a+b": F(1, 2), "c": F(1, 2)})
    assert parse_lottery("0.5 a + 0.5 a") == Lottery.sure("a")
    with pytest.raises(DomainError, match="such as 1 2"):
        parse_lottery("2 eggs")
    with pytest.raises(DomainError, match="at most 1"):
        parse_lottery("1e999 a")
    with pytest.raises(DomainError, match="sum to 0"):
        parse_lottery("1e-999 a")


def test_what_is_written_is_read_again(tmp_path):
    third = F(1, 3)
    data = Preferences.from_pairs(
        strict=[("2 eggs, fried", {"a": third, "b": 1 - third})],
        weak=[("a", "b")],
        indifferent=[("b", {"a": F(1, 7), "2 eggs, fried": F(6, 7)})],
    )
    path = tmp_path / "out" / "p.csv"
    write_preferences(path, data)
    again = read_preferences(path).preferences
    assert [again.pair(i) for i in range(3)] == [data.pair(i) for i in range(3)]


@pytest.mark.parametrize(
    "pairs", [[(1, 2)], [("a ", "b")], [({"a + 0.5 b": 0.5, "c": 0.5}, "c")], [("", "b")]]
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, pairs):
    with pytest.raises(DomainError, match=r"rename it|exact weights"):
        write_preferences(tmp_path / "p.csv", Preferences.from_pairs(pairs))
    assert not (tmp_path / "p.csv").exists()


def test_a_sum_that_only_prints_as_one_says_how_far_off_it_is():
    with pytest.raises(DomainError, match=r"sum to 1 \+ 1e-30;"):
        parse_lottery("1e-30 a + 1 b")
    with pytest.raises(DomainError, match=r"sum to 1 \+ about 10\^-999;"):
        parse_lottery("0.5 a + 0.5 b + 1e-999 c")


def test_a_file_has_a_short_repr():
    found = read_preferences(EXAMPLES / "circle.csv")
    assert repr(found) == (
        "PreferenceFile(Preferences(3 exact ones between 3 lotteries over 3 outcomes))"
    )
