from __future__ import annotations

import pytest

from coset.report.records import read_records
from coset.report.verdicts import claim_rows, gray_words, headline, is_stale
from report.synthetic import claim, record, store_records


def _rows(folder, claims, records, damaged=None):
    found, _ = read_records(store_records(folder, *records))
    return claim_rows(claims, found, damaged or {})


def _one(folder, claim_changes=None, **changes):
    return _rows(folder, [claim(**(claim_changes or {}))], [record(**changes)])[0]


def test_unexpected_claims_come_first_then_not_run_then_open(tmp_path):
    claims = [claim(f"sharing.C{i}") for i in (1, 2, 3)] + [claim("sharing.C4", expected="open")]
    records = [record("sharing.C1"), record("sharing.C3", seen="refuted")]
    records.append(record("sharing.C4", seen="open", expected="open"))
    rows = _rows(tmp_path, claims, records)
    assert [row.claim.id[-1] for row in rows] == ["3", "2", "4", "1"]
    assert [row.state for row in rows] == ["bad", "missing", "gray", "good"]


def test_open_is_gray_even_when_it_is_expected(tmp_path):
    assert _one(tmp_path, {"expected": "open"}, seen="open", expected="open").state == "gray"


def test_open_is_red_when_it_is_not_expected(tmp_path):
    assert _one(tmp_path, seen="open").state == "bad"


def test_unavailable_is_never_green(tmp_path):
    row = _one(tmp_path, {"expected": "unavailable"}, seen="unavailable", expected="unavailable")
    assert row.state == "gray"


def test_refuted_as_expected_is_as_expected(tmp_path):
    row = _one(tmp_path, {"expected": "refuted"}, seen="refuted", expected="refuted")
    assert (row.state, row.words) == ("good", "as expected")
    assert "[1, 2]" in row.counterexample


def test_a_changed_expectation_makes_an_old_verdict_red(tmp_path):
    row = _one(tmp_path, {"expected": "refuted"})
    assert row.state == "bad"
    assert "holds" in row.words


def test_an_escaped_mutant_is_red_and_named(tmp_path):
    mutants = record()["mutants"]
    mutants[0]["near_miss"] = False
    row = _one(tmp_path, mutants=mutants)
    assert (row.state, row.words, row.mutants) == ("bad", "mutant not caught", "1/2")


def test_untried_mutants_are_told(tmp_path):
    row = _one(tmp_path, mutants=[])
    assert row.mutants_untried
    assert row.mutants == "0/2 tried"


def test_a_damaged_verdict_says_why_it_is_missing(tmp_path):
    row = _rows(tmp_path, [claim()], [], {"sharing.C1": "its stored verdict cannot be used"})[0]
    assert (row.state, row.seen) == ("missing", "not run")
    assert "cannot be used" in row.why_missing


def test_figures_of_the_judge_are_shown_with_their_interval(tmp_path):
    row = _one(tmp_path, {"expected": "open"}, seen="open", expected="open")
    assert (row.measured, row.interval) == ("0.43", "[0.4, 0.46]")
    assert row.evidence.facts == (("largest d", "1,000"),)


@pytest.mark.parametrize(
    ("detail", "interval", "words"),
    [
        (
            "gap +0.003 (5 standard errors: ± 0.0123); refuted",
            [-0.0092, 0.0153],
            "5 standard errors",
        ),
        ("gap 1 (95 % ± 2)", [-1, 3], "95 %"),
        ("gap +0.003 (5 standard errors: ± 0.079)", [0.1, 0.2], ""),
        ("a (other: ± 0.5), b (5 standard errors: ± 0.05)", [0.1, 0.2], "5 standard errors"),
        ("gap 1 (95 % ± 2)", ["-inf", 3], ""),
        ("gap 1 (95 % ± 2)", None, ""),
        ("", [0, 1], ""),
    ],
)
def test_the_interval_has_the_words_of_the_detail(tmp_path, detail, interval, words):
    result = {**record()["result"], "detail": detail, "interval": interval}
    assert _one(tmp_path, result=result).interval_words == words


def test_only_states_that_occur_are_counted(tmp_path):
    claims = [claim(f"sharing.C{i}", expected="open") for i in (1, 2)]
    claims.append(claim("sharing.C3", expected="unavailable"))
    records = [record(c.id, seen=c.expected, expected=c.expected) for c in claims]
    assert gray_words(_rows(tmp_path, claims, records)) == "2 open, 1 unavailable"
    rows = _rows(tmp_path, claims[:2], records[:2])
    assert headline(rows).tallies == (("gray", "2 open, as expected"),)


@pytest.mark.parametrize(
    ("states", "num_faults", "state", "text"),
    [
        ("gg", 0, "good", "All 2 claims are as expected"),
        ("go", 0, "good", "All 2 claims are as expected, 1 of them open"),
        ("gm", 0, "missing", "No claim is unexpected, but 1 of 2 claims were not run"),
        ("gg", 1, "missing", "No claim is unexpected, but 1 part could not be read"),
        ("gb", 1, "bad", "1 claim is not as expected"),
        ("bbm", 0, "bad", "2 claims are not as expected"),
        ("mm", 0, "missing", "Nothing was checked: no verdict is stored"),
        ("", 0, "missing", "Nothing was checked: no verdict is stored"),
    ],
)
def test_the_headline(tmp_path, states, num_faults, state, text):
    claims, records = [], []
    for position, letter in enumerate(states):
        id = f"sharing.C{position}"
        expected = "open" if letter == "o" else "holds"
        claims.append(claim(id, expected=expected))
        seen = {"g": "holds", "o": "open", "b": "refuted"}.get(letter)
        if seen:
            records.append(record(id, seen=seen, expected=expected))
    found = headline(_rows(tmp_path, claims, records), num_faults)
    assert (found.state, found.text) == (state, text)


def test_a_verdict_of_another_commit_is_stale(tmp_path):
    row = _one(tmp_path)
    assert is_stale(row, "ffff")
    assert not is_stale(row, "0123456789abcdef")
    assert not is_stale(row, None)
