"""The command line: help, exit codes, JSON, errors without a traceback, and no name collisions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from coset.cli import main
from coset.cli.dispatch import COMMANDS
from coset.core import claims as registry
from coset.core.claims import Claim, find_claim
from coset.core.model_files import save_model
from coset.core.registry import SUBJECTS, built_subjects, load
from coset.sharing import PositionMLP


def words_of_all_commands() -> list[list[str]]:
    from importlib import import_module

    words = []
    for word, (module, _) in COMMANDS.items():
        command = import_module(f"coset.cli.{module}").COMMAND
        words += [[word, sub] for sub in command] if isinstance(command, dict) else [[word]]
    for subject in built_subjects():
        commands = load(subject.name, "commands")
        words += [[subject.name, sub] for sub in (commands.COMMANDS if commands else {})]
    return words


def example_of(words, capsys) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    match = re.search(r"Example: (coset .*?)(?= positional arguments| options )", text)
    assert match, f"{words}: --help shows no example\n{text}"
    return match[1]


@pytest.mark.parametrize("words", words_of_all_commands(), ids=" ".join)
def test_every_help_shows_an_example_that_names_the_command(words, capsys):
    assert example_of(words, capsys).split()[1 : 1 + len(words)] == words


RUN_HERE = [
    ["claims"],
    ["papers"],
    ["backends"],
    ["data", "list"],
    ["data", "verify"],
    ["sharing", "prox"],
]


@pytest.mark.parametrize("words", RUN_HERE, ids=" ".join)
def test_the_examples_run_verbatim(words, capsys):
    command = example_of(words, capsys).split()
    assert main(command[1:]) == 0
    assert capsys.readouterr().out


def test_no_subject_shadows_a_command():
    assert not set(COMMANDS) & {subject.name for subject in SUBJECTS}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["clams"], "did you mean claims"),
        (["verify", "sharing.C555"], "did you mean sharing.C"),
        (["run", "sharing.torus-digit"], "did you mean sharing.torus-digits"),
        (["run", "sharing.torus-digits", "--preset", "smok"], "did you mean smoke"),
        (["run", "sharing.torus-digits", "--set", "epochs=1"], "epochs"),
        (["run", "sharing.torus-digits", "--set", "num_epochs=x"], "num_epochs"),
        (["run", "sharing.nope"], "no experiment"),
        (["sweep", "sharing.torus-digits", "--grid", "seed"], "field=a,b,c"),
        (["sweep", "sharing.torus-digits", "--seeds", "0"], "seeds must be at least 1; given 0"),
        (["sweep", "sharing.torus-digits", "--seeds", "-1"], "seeds must be at least 1; given -1"),
        (["sweep", "sharing.torus-digits", "--workers", "0"], "num_workers"),
        (["data", "get", "mnst"], "did you mean mnist"),
        (["bench", "sharing.prx"], "did you mean sharing.prox"),
        (["inspect", "/nonexistent"], "cannot be read"),
        (["sphere"], "not built yet"),
        (["verify", "sphere"], "sphere is not built yet; built: sharing, ssm, decisions, beliefs"),
        (
            ["verify", "sharing.C7", "sphere.C1"],
            "sphere is not built yet; built: sharing, ssm, decisions, beliefs",
        ),
        (["claims", "sphere"], "sphere is not built yet; built: sharing, ssm, decisions, beliefs"),
        (["sharing", "prox", "1", "2", "--strength", "-1"], "strength"),
        (["sharing", "prox", "1", "nan", "--strength", "1"], "finite"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_wrong_use_exits_2_with_one_clear_message(words, message, capsys):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    # No progress of something that never began.
    assert re.match(r"coset: .+\n\Z", captured.err, re.DOTALL)
    assert not captured.out


def test_wrong_options_exit_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["verify", "--presett", "smoke"])
    assert stop.value.code == 2


def test_help_and_version(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in COMMANDS)
    assert main(["--version"]) == 0
    assert re.fullmatch(r"coset \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("words", [["data"], *([s.name] for s in built_subjects())], ids=" ".join)
def test_commands_of_a_subject_are_listed_by_their_first_sentence(words, capsys):
    names = [more[1] for more in words_of_all_commands() if more[0] == words[0]]
    assert main(words) == main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert names
    assert all(re.search(rf"^  {name} +\w", text, re.M) for name in names)
    assert main([*words, names[0] + "x"]) == 2
    assert re.search(rf"did you mean {names[0]}\b", capsys.readouterr().err)


@pytest.mark.parametrize("words", [[], ["decisions"]])
def test_help_fits_80_columns(words):
    done = subprocess.run(
        [sys.executable, "-m", "coset", *words, "--help"],
        capture_output=True,
        text=True,
        env={"COLUMNS": "80", "PATH": ""},
        check=True,
    )
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_verify_prints_json_and_stores_the_verdict(capsys, tmp_path):
    assert main(["verify", "sharing.C7", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["claim"], record["seen"], record["as_expected"]) == ("sharing.C7", "holds", True)
    stored = json.loads((tmp_path / "out" / "verify" / "sharing.C7.json").read_text())
    assert stored["result"] == record["result"]
    assert main(["claims", "sharing.C7", "--json"]) == 0
    (described,) = json.loads(capsys.readouterr().out)
    assert described["seen"] == "holds"
    assert any("semigroup" in p or "prox" in p for p in described["realized_in"])


def replace_claim(monkeypatch, **changes):
    item = find_claim("sharing.C7")
    monkeypatch.setitem(registry._CLAIMS, item.id, Claim(**{**vars(item), **changes}))


def test_a_broken_prox_exits_1_and_says_so(capsys, monkeypatch):
    broken = find_claim("sharing.C7").mutants["no left merges"]
    replace_claim(monkeypatch, subject_under_test=broken)
    assert main(["verify", "sharing.C7"]) == 1
    out = capsys.readouterr().out
    assert "0 of 1 claims are as expected" in out
    assert "expected holds, seen refuted" in out


def test_holding_where_refuted_was_expected_exits_1(capsys, monkeypatch):
    replace_claim(monkeypatch, expected="refuted")
    assert main(["verify", "sharing.C7", "--no-mutants"]) == 1
    assert "expected refuted, seen holds" in capsys.readouterr().out


def test_a_mutant_that_survives_exits_1(capsys, monkeypatch):
    item = find_claim("sharing.C7")
    replace_claim(monkeypatch, mutants={"the right code": item.subject_under_test})
    assert main(["verify", "sharing.C7"]) == 1
    assert "not caught" in capsys.readouterr().out


def test_verifying_nothing_is_never_a_success(capsys, monkeypatch):
    monkeypatch.setattr("coset.lab.verify.claims_of", lambda subject: [])
    monkeypatch.setattr("coset.lab.verify.all_claims", list)
    assert main(["verify"]) == 2
    assert main(["verify", "sharing", "--json"]) == 2
    captured = capsys.readouterr()
    assert "at least one claim; sharing has none" in captured.err
    assert not captured.out


BROKEN_VERDICTS = [
    "[]",
    "null",
    "{}",
    '{"seen": 5}',
    '{"result": [1]}',
    "5" * 5000,
    "[" * 100_000,
    '{"x": NaN}',
    '{"claim": "sharing.C8"}',
]


@pytest.fixture
def verdict(capsys, tmp_path):
    """Return the stored verdict of sharing.C7."""
    assert main(["verify", "sharing.C7", "--no-mutants"]) == 0
    capsys.readouterr()
    return tmp_path / "out" / "verify" / "sharing.C7.json"


def listed(capsys) -> str:
    """Return the line of sharing.C7 in the list of all claims, on a wide terminal."""
    assert main(["claims"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(bool(re.match(r" ?sharing\.C\d", line)) for line in lines) > 10
    return next(line for line in lines if "sharing.C7 " in line)


@pytest.mark.parametrize("text", BROKEN_VERDICTS, ids=range(len(BROKEN_VERDICTS)))
def test_an_unreadable_verdict_blocks_no_other(capsys, monkeypatch, verdict, text):
    monkeypatch.setenv("COLUMNS", "200")
    verdict.write_text(text)
    assert "unreadable" in listed(capsys)
    assert main(["claims", "sharing.C7"]) == 0
    assert verdict.name in "".join(capsys.readouterr().out.split())
    assert main(["claims", "sharing.C7", "--json"]) == 0
    (described,) = json.loads(capsys.readouterr().out)
    assert (described["seen"], described["last"]) == ("unreadable", {})


def test_every_wrong_field_and_every_truncation_is_unreadable(capsys, verdict):
    text = verdict.read_text()
    record = json.loads(text)
    wrong = [{**record, name: [1]} for name in ("claim", "seen", "preset", "version", "commit")]
    wrong += [{**record, "result": value} for value in ([1], {}, {"detail": 1})]
    for broken in [json.dumps(w) for w in wrong] + [text[:n] for n in range(0, len(text) - 2, 97)]:
        verdict.write_text(broken)
        assert main(["claims", "sharing.C7", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["seen"] == "unreadable", broken


def test_last_seen_tells_preset_and_older_code(capsys, monkeypatch, verdict):
    monkeypatch.setenv("COLUMNS", "200")
    assert "holds, smoke" in listed(capsys)
    assert "older code" not in listed(capsys)
    record = json.loads(verdict.read_text())
    for change in ({"commit": "0" * 40}, {"version": "0.0.0"}):
        verdict.write_text(json.dumps({**record, **change}))
        assert "holds, smoke, older code" in listed(capsys)


def test_shown_code_opens_from_the_checkout(capsys):
    assert main(["claims", "sharing.C7", "--json"]) == 0
    (described,) = json.loads(capsys.readouterr().out)
    root = Path(__file__).parents[2]
    for place in [described["judge"], *described["realized_in"]]:
        assert (root / place.partition(":")[0]).is_file(), place


def test_inspect_folds_long_names_and_escapes_control_characters(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "60")
    long, hostile = "layer." * 40 + "weight", "a\x1b[2Jb\u202ec[bold]"
    save_file({long: torch.zeros(12, 345), hostile: torch.zeros(7)}, tmp_path / "x")
    assert main(["inspect", str(tmp_path / "x")]) == 0
    out = capsys.readouterr().out
    cells = out.partition(" bytes")[2]
    assert "".join(re.findall(r"^ ([layer.wight]+) ", cells, re.MULTILINE)).endswith(long)
    assert "12×345" in out
    assert "16,560" in out
    assert r"a\x1b[2Jb\u202ec[bold]" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


BROKEN_PIPES = [
    (["claims"], ""),
    (["data", "list", "--json"], "1"),
    (["verify", "--help"], ""),
    (["--help"], "1"),
    (["--version"], ""),
]


@pytest.mark.parametrize(("words", "buffering"), BROKEN_PIPES, ids=str)
def test_a_broken_pipe_exits_141(words, buffering):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "coset", *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": buffering},
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_inspect_shows_a_saved_model(capsys, tmp_path):
    path = tmp_path / "net.safetensors"
    arguments = {"side": 2, "channels": [2], "num_classes": 3}
    torch.manual_seed(0)
    save_model(PositionMLP(**arguments), path, name="sharing.PositionMLP", arguments=arguments)
    assert main(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "sharing.PositionMLP" in out
    assert main(["inspect", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["class"] == "sharing.PositionMLP"
    assert main(["sharing", "clusters", str(path), "--strength", "0.1", "1000", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["num_clusters"][0] >= row["num_clusters"][1] == 1 for row in rows)


def test_ctrl_c_is_clean(monkeypatch, capsys):
    import coset.cli

    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(coset.cli, "run_command", interrupted)
    assert main(["verify"]) == 130
    assert "resumes" in capsys.readouterr().err
