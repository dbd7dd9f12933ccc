"""The command line: help, exit codes, JSON, errors without a traceback, and no name collisions."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import torch

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
        (["sweep", "sharing.torus-digits", "--grid", "seed"], "field=a,b,c"),
        (["data", "get", "mnst"], "did you mean mnist"),
        (["bench", "sharing.prx"], "did you mean sharing.prox"),
        (["inspect", "/nonexistent"], "cannot be read"),
        (["ssm"], "not built yet"),
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


def test_help_fits_80_columns():
    done = subprocess.run(
        [sys.executable, "-m", "coset", "--help"],
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
