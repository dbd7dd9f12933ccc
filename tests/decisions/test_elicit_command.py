"""``coset decisions elicit``: in the terminal, resumed, scripted, simulated; what it refuses."""

from __future__ import annotations

import io
import json
from fractions import Fraction

import pytest

from coset.core.errors import ConfigError, DomainError, FileFormatError
from coset.core.results import Record
from coset.decisions.commands.elicit import elicit
from coset.decisions.elicit.session import Session
from coset.decisions.elicit.wording import chance_text, lottery_text
from coset.decisions.preferences.lottery import EventSequence, Lottery
from coset.decisions.preferences.models import AffineModel, LinearUtility

PERSON = {
    "reward": {"step": -1, "coin": 3, "home": 10},
    "multiplier": {"step": "9/10", "coin": 1, "home": 0},
}
MODEL = AffineModel(PERSON["reward"], PERSON["multiplier"])
NAMES = ("step", "coin", "home")


@pytest.fixture
def person(tmp_path):
    path = tmp_path / "person.json"
    path.write_text(json.dumps(PERSON))
    return path


def typed(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def words(capsys):
    return " ".join(capsys.readouterr().out.split())


def test_a_dry_run_finds_the_model_again(person, capsys):
    assert elicit(simulate=person, reference="coin", max_denominator=50) == 0
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "step -1/3 exact 9/10 exact -1/3 9/10" in lines
    assert "home 10/3 exact 0 exact 10/3 0" in lines
    assert "unit u(coin) − u(ε)" in lines
    assert "affine: the multipliers differ between events" in lines
    assert max(map(len, out.splitlines())) <= 80
    assert elicit(simulate=person, reference="coin") == 0
    assert "[0.88235, 0.91045]" in capsys.readouterr().out  # not folded at 80 columns


def test_json_is_a_record_that_comes_back(person, tmp_path, capsys):
    out = tmp_path / "found.json"
    assert elicit(simulate=person, reference="coin", tol=0.01, out=out, json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("kind") == "affine"
    assert told == json.loads(out.read_text())
    found = Record.from_json(told)
    low, high = found.multiplier_interval["step"]
    assert low <= Fraction(9, 10) <= high
    assert high - low <= 0.01


def test_questions_are_asked_in_words_and_the_interview_goes_on(monkeypatch, tmp_path, capsys):
    path = tmp_path / "answers.jsonl"
    said = tmp_path / "words.json"
    said.write_text(json.dumps({"coin": "you find a coin", "rain": "it rains"}))
    typed(monkeypatch, "1\nwhat?\n=\nq\n")
    assert elicit(words=said, session=path) == 1
    out = words(capsys)
    assert "Question 1: which do you prefer? 1 you find a coin, for sure 2 nothing happens" in out
    assert "please answer: 1 the first" in out
    assert "stopped after 2 answers; the same command goes on" in out
    assert len(path.read_text().splitlines()) == 3
    # "=": nothing counts after the coin. The next question is another one.
    typed(monkeypatch, "")
    assert elicit(words=said, session=path) == 1
    out = words(capsys)
    assert "2 known already" in out
    assert "Question 3: which do you prefer? 1 it rains, for sure 2 nothing happens" in out
    typed(monkeypatch, "2\n=\n=\n")
    assert elicit(words=said, session=path, json=True) == 0
    captured = capsys.readouterr()
    found = Record.from_json(json.loads(captured.out))
    assert "Question 4" in captured.err
    assert found.terminal_events == ("coin", "rain")
    assert found.reward == {"coin": 1, "rain": -1}


def test_answers_are_kept_in_the_output_folder_by_default(monkeypatch, tmp_path):
    typed(monkeypatch, "1\nq\n")
    assert elicit(("a", "b")) == 1
    files = list((tmp_path / "out" / "elicit").glob("affine-*.jsonl"))
    assert len(files) == 1
    header, answer = files[0].read_text().splitlines()
    assert json.loads(header)["format"] == "coset elicitation"
    assert json.loads(answer) == {
        "first": [[["a"], "1"]],
        "second": [[[], "1"]],
        "answer": 1,
    }


def test_a_session_asks_only_what_is_new(tmp_path):
    path = tmp_path / "notes.jsonl"
    from coset.decisions.elicit import affine

    first = Session(MODEL, path)
    rough = affine(first, NAMES, "coin", tol=0.1)
    assert first.num_asked == rough.num_queries

    again = Session(MODEL, path)
    assert again.num_known == rough.num_queries
    assert affine(again, NAMES, "coin", tol=0.1).reward == rough.reward
    assert again.num_asked == 0
    fine = affine(again, NAMES, "coin", tol=0.001)
    assert again.num_asked == fine.num_queries - rough.num_queries

    swapped = Session(lambda p, q: 0, path)
    win, nothing = (Lottery.sure(EventSequence(e)) for e in (("coin",), ()))
    assert (swapped(win, nothing), swapped(nothing, win)) == (1, -1)


def test_scripted_answers_are_enough_or_the_next_question_is_shown(tmp_path, capsys):
    script = tmp_path / "script.txt"
    script.write_text("# tea, water\n1\n\n2   # coffee, tea: no\n1\n")
    assert elicit(("tea", "water", "coffee"), kind="utility", answers=script) == 1
    out = words(capsys)
    assert "which do you prefer?" in out
    assert "ends here after 3 answers" in out
    script.write_text("1  # water is better than tea\n")
    assert elicit(("tea", "water"), kind="utility", answers=script) == 0
    out = words(capsys)
    assert "water 1 exact" in out
    assert "not needed" not in out
    script.write_text("1\n2\n2\n")
    assert elicit(("tea", "water"), kind="utility", answers=script) == 0
    assert "the last 2 of the answers were not needed" in words(capsys)


def test_safety_utility_and_priorities(tmp_path, capsys):
    path = tmp_path / "model.json"
    path.write_text(
        json.dumps(
            {
                "reward": {"step": -1, "goal": -1},
                "multiplier": {"step": "99/100"},
                "unsafe": ["cliff"],
                "terminal": ["goal"],
            }
        )
    )
    assert elicit(simulate=path, kind="safety", max_denominator=1000) == 0
    out = words(capsys)
    assert "step -1 exact 99/100 exact" in out
    assert "refused down to 2^−20" in out
    assert "safety first: cliff" in out
    path.write_text(json.dumps({"utility": {"dead": [-1, 0], "ok": [0, "1/3"], "rich": [0, 1]}}))
    assert elicit(simulate=path, kind="lexicographic") == 0
    assert "2 levels: no scalar utility fits" in words(capsys)
    path.write_text(json.dumps({"utility": {"tea": "1/3", "coffee": 1, "water": 0}}))
    assert elicit(simulate=path, kind="utility", max_denominator=9, json=True) == 0
    assert Record.from_json(
        {k: v for k, v in json.loads(capsys.readouterr().out).items() if k != "kind"}
    ).utility == {"tea": Fraction(1, 3), "coffee": 1, "water": 0}
    assert elicit(simulate=path, kind="lexicographic") == 0
    assert "one level: a scalar utility is enough" in words(capsys)


def test_a_check_that_finds_a_change_of_mind_is_printed(monkeypatch, tmp_path, capsys):
    path = tmp_path / "model.json"
    # m < 0: the event reverses what one wants, and that contradicts memorylessness.
    path.write_text(json.dumps({"reward": {"a": 1, "b": 2}, "multiplier": {"a": -1, "b": 1}}))
    assert elicit(simulate=path, check="b", max_denominator=9) == 0
    out = words(capsys)
    assert "not memoryless" in out
    assert "after a the first is worse than the second" in out
    path.write_text(json.dumps({"reward": {"a": 1, "b": 2}, "multiplier": {"a": 1, "b": 1}}))
    assert elicit(simulate=path, check="b", max_denominator=9) == 0
    assert "against b: no failure of memorylessness shows" in words(capsys)


def test_wrong_use_is_refused(person, tmp_path):
    with pytest.raises(ConfigError, match="at least one event"):
        elicit()
    for name in ("", "  ", "\udcff"):
        with pytest.raises(ConfigError, match="UTF-8 text and not blank"):
            elicit(("a", name))
    with pytest.raises(ConfigError, match="not both"):
        elicit(NAMES, answers=person, simulate=person)
    with pytest.raises(DomainError, match="is not among"):
        elicit(NAMES, simulate=person, reference="gold")
    with pytest.raises(ConfigError, match="--reference is for events"):
        elicit(NAMES, simulate=person, kind="utility", reference="coin")
    with pytest.raises(ConfigError, match="--check is for"):
        elicit(NAMES, simulate=person, kind="safety", check="coin")
    with pytest.raises(DomainError, match="tol"):
        elicit(NAMES, simulate=person, tol=0)
    with pytest.raises(ConfigError, match="--resolution is for"):
        elicit(NAMES, simulate=person, resolution=9)
    with pytest.raises(ConfigError, match="give --resolution instead"):
        elicit(NAMES, simulate=person, kind="lexicographic", max_denominator=9)
    with pytest.raises(DomainError, match="resolution must be an integer ≥ 1"):
        elicit(("tea", "water"), kind="lexicographic", resolution=0)
    with pytest.raises(FileFormatError, match='must hold "utility" for --kind utility'):
        elicit(simulate=person, kind="utility")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "line 1"),
        ("[]", "must hold"),
        ('{"reward": 3, "multiplier": {}}', "field 'reward'"),
        ('{"reward": {"a": "x"}, "multiplier": {"a": 1}}', "reward of 'a'"),
        ('{"reward": {"a": 1}, "multiplier": {"b": 1}}', "only one of them"),
        ('{"reward": {"a": 1}, "multiplier": {"a": 1}, "unsafe": "x"}', "field 'unsafe'"),
        ('{"utility": {}}', "at least one outcome"),
    ],
)
def test_bad_models_name_file_and_field(tmp_path, content, what):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=what) as caught:
        elicit(simulate=path)
    assert str(path) in str(caught.value)


def test_bad_answers_and_words_name_the_line(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text("1\n2\nmaybe\n")
    with pytest.raises(FileFormatError, match="line 3, must be 1, 2 or ="):
        elicit(("a", "b"), answers=path)
    with pytest.raises(FileFormatError, match="there is none"):
        elicit(("a", "b"), answers=tmp_path / "absent.txt")
    path.write_bytes(b"\xff\n")
    with pytest.raises(FileFormatError, match="UTF-8"):
        elicit(("a", "b"), answers=path)
    path.write_text('{"a": 3}')
    with pytest.raises(FileFormatError, match="field 'a'"):
        elicit(words=path)
    path.write_text(" " * 1_000_001)
    with pytest.raises(FileFormatError, match="at most 1,000,000 bytes"):
        elicit(words=path)


HEADER = '{"format": "coset elicitation", "version": 1}\n'
ANSWER = '{"first": [["%s", "1"]], "second": [["%s", "1"]], "answer": 1}\n'


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "line 1"),
        ("{}\n", "line 1, must be"),
        (HEADER + "nonsense\n", "line 2, must be a JSON object"),
        (HEADER + "{}\n", "line 2, must have the fields"),
        (HEADER + '{"first": [["x", "1"]], "second": [["y", "1"]], "answer": 2}\n', "answer"),
        (HEADER + '{"first": 1, "second": [["y", "1"]], "answer": 1}\n', "first"),
        (HEADER + '{"first": [[1, "1"]], "second": [["y", "1"]], "answer": 1}\n', "line 2, first"),
        (HEADER + '{"first": [["x", "1"]], "second": [["y", "1"]], "answer": true}\n', "answer"),
        (HEADER + "[" * 100_000 + "\n", "line 2, must be a JSON object"),
        (HEADER + ANSWER % ("x", "y") + ANSWER % ("y", "x"), "line 3, must not contradict"),
    ],
)
def test_a_damaged_session_is_refused(tmp_path, content, what):
    path = tmp_path / "session.jsonl"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=what):
        Session(LinearUtility({"x": 1}), path)
    assert path.read_text() == content


def test_chances_are_said_exactly_or_as_about():
    said = {
        (1, 1): "100 %",
        (1, 2): "50 %",
        (1, 8): "12.5 %",
        (2, 3): "2/3 (66.7 %)",
        (1, 2048): "1 in 2,048",
        (2047, 2048): "all but 1 in 2,048",
        (1365, 2048): "about 66.6504 %",
        (2**40 - 3, 2**40): "all but about 1 in 366,503,875,925",
        (5, 8192): "about 1 in 1,638",
    }
    assert {pair: chance_text(Fraction(*pair)) for pair in said} == said


def test_a_lottery_of_three_names_the_rest_last():
    p = Lottery.of({"x": Fraction(1, 2), "y": Fraction(1, 8), "z": Fraction(3, 8)})
    assert lottery_text(p, {"z": "rain"}) == "50 %: x; 37.5 %: rain; otherwise: y"
    # A name that could steer the terminal is shown, not obeyed: that is the command's part.
    assert "\x1b" in lottery_text(Lottery.sure("\x1b[2J"))


def test_names_cannot_steer_the_terminal(monkeypatch, capsys):
    typed(monkeypatch, "q\n")
    assert elicit(("\x1b[2J", "b")) == 1
    assert "\x1b[2J" not in capsys.readouterr().out


def test_only_answers_are_kept_and_names_may_hold_any_end_of_line(tmp_path):
    path = tmp_path / "notes.jsonl"
    x, y = Lottery.sure("a\u2028b\x85c"), Lottery.sure("y")
    for answer in (None, "1", True, 2):
        with pytest.raises(DomainError, match="an oracle must answer"):
            Session(lambda p, q, a=answer: a, path)(x, y)
    assert not path.exists()
    assert Session(lambda p, q: -1, path)(x, y) == -1
    assert Session(lambda p, q: 1, path)(y, x) == 1
    assert Session(lambda p, q: 1, path).num_known == 1
