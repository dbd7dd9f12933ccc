"""``coset decisions check``: what it prints, writes as JSON, refuses and returns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coset.core.errors import ConfigError, FileFormatError
from coset.decisions.commands.check import check

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "preferences"


def told(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_a_contradiction_is_shown_with_lines_and_money(capsys):
    assert check(EXAMPLES / "allais.csv") == 1
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    text = " ".join(out.split())
    assert "2 of the 2 preferences contradict each other: independence violation" in text
    assert "line 3, weight 1/2: 1M ≻ 89/100 1M + 1/10 5M + 1/100 nothing" in text
    assert "1/2 1M + 1/20 5M + 9/20 nothing" in text
    assert "pay 1/100 (line 4)" in text
    assert "have paid 1/100 on average" in text


def test_a_contradiction_as_json(capsys):
    assert check(EXAMPLES / "circle.csv", json=True, fee="1") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == "refuted"
    found = report["contradiction"]
    assert found["named"] == "transitivity cycle"
    assert found["verified"] is True
    assert found["compound_preferred"] == found["compound_other"]
    assert [row["weight"] for row in found["preferences"]] == ["1/3"] * 3
    assert [row["line"] for row in found["preferences"]] == [3, 4, 5]
    assert found["money_pump"]["expected_loss"] == "2/3"
    assert report["num_compared"] == report["num_possible"] == 3


def test_a_utility_is_listed(capsys):
    assert check(EXAMPLES / "travel.csv") == 0
    text = told(capsys)
    assert "a utility explains them all, with margin 3/10" in text
    assert "flight 1 train 7/10" in text
    assert "extreme" not in text
    assert check(EXAMPLES / "travel.csv", json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["margin"]["exact"] == "3/10"
    assert report["utility"][0] == {"outcome": "flight", "exact": "1", "value": 1.0}
    assert report["contradiction"] is None


def test_an_extreme_scale_is_told(capsys):
    assert check(EXAMPLES / "never_break_the_robot.csv") == 0
    text = told(capsys)
    assert "span at least 2000000" in text
    assert "A lexicographic utility does" in text


def test_a_tiny_difference_stays_visible(capsys, tmp_path):
    path = tmp_path / "tiny.csv"
    zeros = "0" * 29
    path.write_text(
        f"relation,preferred,other\n>,good,mild\n>,mild,0.{'9' * 30} good + 0.{zeros}1 dead\n"
    )
    assert check(path) == 0
    text = told(capsys)
    assert "good 1 mild 1 - 1e-30 dead -1" in text
    assert "with margin 1e-30" in text


def test_noisy_choices_are_fitted(capsys):
    assert check(EXAMPLES / "wines.csv") == 1
    assert "--noisy" in told(capsys)
    assert check(EXAMPLES / "wines.csv", noisy=True) == 0
    text = told(capsys)
    assert "80 noisy answers to 4 questions" in text
    assert "a utility fits" in text
    assert "red +1.294 ± 0.300" in text
    assert check(EXAMPLES / "wines.csv", noisy=True, json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fits"] is True
    assert report["degrees_of_freedom"] == 2


def test_noisy_choices_that_no_utility_makes(capsys, tmp_path):
    path = tmp_path / "allais.csv"
    path.write_text(
        "relation,preferred,other,count\n"
        ">,1M,0.01 nothing + 0.89 1M + 0.1 5M,82\n>,0.01 nothing + 0.89 1M + 0.1 5M,1M,18\n"
        ">,0.9 nothing + 0.1 5M,0.89 nothing + 0.11 1M,83\n"
        ">,0.89 nothing + 0.11 1M,0.9 nothing + 0.1 5M,17\n"
    )
    assert check(path, noisy=True) == 1
    assert "no utility fits" in told(capsys)


def test_noisy_choices_without_any_error(capsys, tmp_path):
    path = tmp_path / "sure.csv"
    path.write_text("relation,preferred,other\n>,a,b\n>,b,c\n")
    assert check(path, noisy=True) == 0
    assert "infinite" in told(capsys)
    assert check(path, noisy=True, json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["converged"] is False
    assert report["utility"][0]["standard_error"] is None


def test_foreign_text_cannot_steer_the_terminal(capsys, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("relation,preferred,other\n>,[red]a\x1b[2J,b\n>,b,[red]a\x1b[2J\n")
    assert check(path) == 1
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "[red]a\\x1b[2J" in out


def test_a_large_file_shows_how_far_it_is(capsys, tmp_path):
    path = tmp_path / "many.csv"
    lines = [f">,1/3 a{i % 7} + 2/3 b,b,{'x' * 400}" for i in range(2700)]
    path.write_text("\n".join(["relation,preferred,other,note", *lines]))
    assert check(path, json=True) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["num_preferences"] == 2700
    assert "check many.csv: 2701/2701 lines" in captured.err


def test_an_empty_file_of_preferences(capsys, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("relation,preferred,other\n")
    assert check(path) == 0
    assert "0 preferences" in told(capsys)
    assert check(path, json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["margin"] is None
    assert report["utility"] == []


@pytest.mark.parametrize("fee", ["0", "-1", "x", "1/0", "1e999999", "nan", ""])
def test_a_fee_is_a_number(fee):
    with pytest.raises(ConfigError, match="--fee"):
        check(EXAMPLES / "allais.csv", fee=fee)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        check(tmp_path / "none.csv")


def test_noisy_choices_that_were_never_made(capsys, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("relation,preferred,other\n")
    assert check(path, noisy=True) == 0
    assert "nothing was tested" in told(capsys)


def test_a_lopsided_count_is_not_called_unanimous(capsys, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("relation,preferred,other,count\n>,a,b,999999999\n>,b,a,1\n")
    assert check(path, noisy=True, false_alarm=0.5) == 0
    text = told(capsys)
    assert "p = 1 " in text
    assert "all alike, or nearly" in text
