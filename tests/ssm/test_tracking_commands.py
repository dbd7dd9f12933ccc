"""What the commands of ``coset ssm`` print, write, refuse and return."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from coset.core.errors import (
    ConfigError,
    CosetError,
    DomainError,
    FileFormatError,
    RangeError,
    UnsupportedError,
)
from coset.core.model_files import load_model, save_model
from coset.core.registry import MODEL_CLASSES
from coset.ssm.automata import Automaton
from coset.ssm.commands.compile import compile
from coset.ssm.commands.depth import depth
from coset.ssm.commands.dfa import dfa
from coset.ssm.commands.harden import harden
from coset.ssm.commands.witness import witness
from coset.ssm.stack import SSMStack

AUTOMATA = Path(__file__).resolve().parents[2] / "examples" / "automata"


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    for name in ("modules:IntTracker", "phasor_modules:ComplexTracker"):
        monkeypatch.setitem(MODEL_CLASSES, f"ssm.{name.split(':')[1]}", f"coset.ssm.{name}")
    monkeypatch.setitem(
        MODEL_CLASSES, "ssm.AutomatonTracker", "coset.ssm.automata.module:AutomatonTracker"
    )


def told(capsys):
    return json.loads(capsys.readouterr().out)


def test_compile_shows_layers_and_proof(capsys):
    assert compile("S4") == 0
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0].startswith("S4 (order 24) tokens: ")
    assert "1 c: 24 → 12 Z2 1 × 24 × 1" in lines
    assert "3 c: 4 → 1 Z2×Z2 6 × 24 × 2" in lines
    assert "576 pairs of state and token checked" in " ".join(lines)
    assert max(map(len, out.splitlines())) <= 80


def test_compile_with_generators_as_json(capsys):
    assert compile("GL(2,3)", alphabet="generators", json=True) == 0
    report = told(capsys)
    assert report["certified"] is True
    assert report["moduli"] == [[2], [3], [2, 2], [2]]
    assert report["num_pairs"] == 48 * report["num_tokens"]
    assert len(report["alphabet"]) == report["num_tokens"] < 5


def test_compile_refuses_what_cannot_be_and_says_why(capsys):
    assert compile("A5") == 1
    assert "perfect group of order 60" in " ".join(capsys.readouterr().out.split())
    assert compile("S3", layers="cr", json=True) == 1
    assert told(capsys)["left"] == 3
    assert compile("S3", layers="rc", json=True) == 0
    assert told(capsys)["letters"] == "rc"


@pytest.mark.parametrize("mode", ["int", "complex"])
def test_compile_writes_a_model_file(tmp_path, capsys, mode):
    path = tmp_path / "s3.safetensors"
    assert compile("S3", out=path, mode=mode) == 0
    assert f"({mode})" in capsys.readouterr().out
    from coset.groups import parse_group

    module = load_model(path)
    words = torch.randint(6, (2, 50))
    assert module.track(words).equal(parse_group("S3").prefix_products(words))


@pytest.mark.parametrize("name", ["", "X7", "S4x", "Z-1", "SL(2,4)"])
def test_names_of_no_group(name):
    with pytest.raises(CosetError):
        compile(name)
    with pytest.raises(CosetError):
        depth(name)


def test_depth_tells_both_depths_and_the_cheapest_stack(capsys):
    assert depth("SL(2,3)", json=True) == 0
    report = told(capsys)
    assert (report["depth_complex"], report["depth_real"]) == (3, None)
    assert report["derived_series"] == [24, 8, 2, 1]
    assert report["cheapest"] == ["crr"]
    assert depth("Z8") == 0
    out = capsys.readouterr().out
    assert "8 → 4 → 2 → 1" in out
    assert max(map(len, out.splitlines())) <= 80


def test_depth_returns_1_where_no_stack_does(capsys):
    assert depth("A5") == 1
    assert "none suffice" in capsys.readouterr().out
    assert depth("Z1") == 0


def test_depth_judges_given_stacks(capsys):
    assert depth("S3", layers=("rc", "cc")) == 0
    capsys.readouterr()
    assert depth("S3", layers=("rc", "cr"), json=True) == 1
    assert [stack["tracks"] for stack in told(capsys)["stacks"]] == [True, False]
    with pytest.raises(DomainError, match="'x' at place 1"):
        depth("S3", layers=("rx",))


@pytest.mark.parametrize("path", sorted(AUTOMATA.glob("*.json")), ids=lambda p: p.stem)
def test_dfa_prints_every_example_within_80_columns(path, capsys):
    code = dfa(path)
    out = capsys.readouterr().out
    assert code == (1 if path.stem == "five_cards" else 0)
    assert ("✗ no" if code else "right at every length") in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


def test_dfa_follows_a_word(capsys):
    word = ("put left", "swap left middle", "swap middle right")
    assert dfa(AUTOMATA / "shell_game.json", word=word, json=True) == 0
    report = told(capsys)
    assert report["word"] == list(word)
    assert report["states"] == ["left", "middle", "right"]
    assert report["groups"][0]["derived_orders"] == [6, 3, 1]
    assert report["depth_at_least"] == 2
    assert [layer["class"] for layer in report["layers"]] == ["r", "c"]
    assert dfa(AUTOMATA / "five_cards.json", word=("swap 1", "swap 2"), json=True) == 1
    report = told(capsys)
    assert (report["states"], report["layers"], report["trackable"]) == (["2", "3"], None, False)
    with pytest.raises(RangeError, match="given 'swap'"):
        dfa(AUTOMATA / "five_cards.json", word=("swap",))


def test_dfa_minimizes_if_told_to(tmp_path, capsys):
    path = tmp_path / "mod6.json"
    counter = [[(q + 1) % 6, q] for q in range(6)]
    Automaton.from_dfa(counter, accepting=[0, 3], name="mod 6").to_json_file(path)
    assert dfa(path) == 0
    assert "3 states are enough to accept alike: --minimize" in capsys.readouterr().out
    assert dfa(path, minimize=True, json=True) == 0
    assert told(capsys)["layers"][0]["moduli"] == [3]


def test_dfa_writes_a_model_file(tmp_path, capsys):
    path = tmp_path / "utf8.safetensors"
    assert dfa(AUTOMATA / "utf8.json", out=path) == 0
    assert "written: " in capsys.readouterr().out
    module = load_model(path)
    assert module.certificate().verify()
    assert module.automaton().name == "UTF-8"


def test_dfa_tells_the_verdict_where_the_layers_would_be_too_large(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("coset.ssm.automata.holonomy.MAX_ENTRIES", 10)
    file, out = AUTOMATA / "brackets.json", tmp_path / "brackets.safetensors"
    assert dfa(file, word=("(", ")"), out=out, json=True) == 1
    report = told(capsys)
    assert (report["trackable"], report["layers"], report["states"]) == (True, None, ["1", "0"])
    assert "may have 10 entries" in report["not_compiled"]
    assert dfa(file) == 1
    shown = capsys.readouterr().out
    assert "✓ yes" in shown
    assert "not compiled: the table of a layer may have 10 entries" in " ".join(shown.split())
    assert not out.exists()


def test_dfa_refuses_a_file_that_is_none(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        dfa(tmp_path / "absent.json")


def test_names_in_a_file_cannot_steer_the_terminal(tmp_path, capsys):
    path = tmp_path / "evil.json"
    Automaton.from_dfa(
        [[1], [0]], state_labels=["\x1b[2J", "[red]b"], name="[bold]x\x1b[2J"
    ).to_json_file(path)
    assert dfa(path, word=("0", "0")) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[bold]x" in out
    assert "states: [red]b, \\x1b[2J" in out


@pytest.mark.parametrize("like", ["coset.ssm:SSMStack", "os:getcwd", "os:sep", "no.such:thing"])
def test_a_factory_that_gives_no_model_is_refused(tmp_path, like):
    compile("S3", out=tmp_path / "s3.safetensors")
    with pytest.raises(ConfigError, match="--like must name"):
        witness(tmp_path / "s3.safetensors", group="S3", like=like)


@pytest.mark.parametrize("command", [witness, harden])
def test_a_file_of_another_group_is_said_to_track_it(tmp_path, command):
    path = tmp_path / "s4.safetensors"
    compile("S4", mode="complex", out=path)
    with pytest.raises(DomainError, match=r"tracks S4: --group S4") as caught:
        command(path, group="A5")
    assert "alphabet=" not in str(caught.value)
    with pytest.raises(DomainError, match="this one reads 24"):
        command(path, group="S4", alphabet="generators")


@pytest.mark.parametrize("command", [witness, harden])
def test_a_model_that_reads_no_tokens_is_refused(tmp_path, monkeypatch, command):
    path = tmp_path / "linear.safetensors"
    monkeypatch.setitem(MODEL_CLASSES, "ssm.Linear", "torch.nn:Linear")
    sizes = {"in_features": 3, "out_features": 3}
    save_model(torch.nn.Linear(**sizes), path, name="ssm.Linear", arguments=sizes)
    with pytest.raises(UnsupportedError, match="holds a Linear, which does not"):
        command(path, group="S3")


@pytest.mark.parametrize("layers", [0, -1])
def test_witness_refuses_no_layers(tmp_path, layers):
    path = tmp_path / "s3.safetensors"
    compile("S3", out=path)
    with pytest.raises(DomainError, match="num_layers"):
        witness(path, group="S3", layers=layers)


def test_harden_takes_the_real_form(tmp_path, capsys):
    path = tmp_path / "s4r.safetensors"
    compile("S4", mode="real", out=path)
    capsys.readouterr()
    assert harden(path, group="S4", json=True) == 0
    assert told(capsys)["certified"]


def test_witness_and_harden_say_that_a_model_is_nan(tmp_path, capsys):
    model = SSMStack(6, 6, "cc", d_state=4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    path = tmp_path / "nan.safetensors"
    arguments = {"num_tokens": 6, "num_labels": 6, "kinds": "cc", "d_state": 4}
    save_model(model, path, name="ssm.SSMStack", arguments=arguments)
    assert witness(path, group="S3") == 1
    shown = capsys.readouterr().out
    assert "the state after w is NaN" in shown
    assert "layer 1 is NaN from the first token on" in shown
    assert "inf large" not in shown
    assert witness(path, group="S3", json=True) == 1
    assert told(capsys)["witness"]["growth"] is None
    assert harden(path, group="S3", json=True) == 1
    assert "a multiplier is NaN" in told(capsys)["dropped"][0]


def test_dfa_writes_the_order_of_a_huge_group(tmp_path, capsys):
    n, path = 1600, tmp_path / "large.json"
    rows = [[(q + 1) % n, (1, 0)[q] if q < 2 else q] for q in range(n)]
    Automaton.from_dfa(rows).to_json_file(path)
    assert dfa(path, json=True) == 1
    assert told(capsys)["groups"][0]["order"].startswith("about 10^44")
    assert dfa(path) == 1
