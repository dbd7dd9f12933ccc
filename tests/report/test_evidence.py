from __future__ import annotations

import pytest

from coset.report.evidence import MAX_ROWS, EvidenceTable, view_evidence


def test_single_figures_are_facts_with_four_digits():
    found = view_evidence({"gap": 0.12774657, "d": 1000, "word": "x", "path": [0.123456, [2]]})
    assert found.facts == (
        ("gap", "0.1277"),
        ("d", "1,000"),
        ("word", "x"),
        ("path", "[0.1235, [2]]"),
    )
    assert found.tables == ()


def test_entries_with_the_same_figures_share_a_table():
    found = view_evidence(
        {
            "g = 1": {"law": 0.55, "error": 0.00039948404},
            "alone": True,
            "g = 2": {"law": 0.7179052082, "error": None},
        }
    )
    rows = (("g = 1", ("0.55", "0.0003995")), ("g = 2", ("0.7179", "–")))
    assert found.facts == (("alone", "true"),)
    assert found.tables == (EvidenceTable("", ("law", "error"), rows, 0),)


@pytest.mark.parametrize("value", [{"1": {"a": 1}, "2": {"b": 2}}, [{"a": 1}, {"b": 2}]])
def test_objects_in_an_object_or_a_list_are_a_table_of_that_name(value):
    (table,) = view_evidence({"by size": value}).tables
    expected = EvidenceTable("by size", ("a", "b"), (("1", ("1", "–")), ("2", ("–", "2"))), 0)
    assert table == expected


def test_a_long_table_is_cut_and_says_so():
    (table,) = view_evidence({f"n{i}": {"a": i} for i in range(MAX_ROWS + 3)}).tables
    assert (len(table.rows), table.num_left_out) == (MAX_ROWS, 3)


@pytest.mark.parametrize("value", [{}, [], None, [1, {"a": 2}], {"a": {}}, {"a": {"b": {"c": 1}}}])
def test_any_json_is_shown_once(value):
    found = view_evidence({"name": value})
    assert len(found.facts) + sum(len(table.rows) for table in found.tables) == 1
    assert not view_evidence({})
