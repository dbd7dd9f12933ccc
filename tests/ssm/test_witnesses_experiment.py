"""The experiment ssm.witnesses, its pictures, and the commands witness and harden."""

from __future__ import annotations

import json

import pytest
import torch
from matplotlib.figure import Figure
from safetensors.torch import save_file

from coset.core.errors import ConfigError, FileFormatError
from coset.core.model_files import load_model, save_model
from coset.lab.figure_style import save_svg
from coset.lab.runner import run_preset
from coset.lab.store import RunStore
from coset.ssm.commands.harden import harden
from coset.ssm.commands.witness import witness
from coset.ssm.compile import compile_group
from coset.ssm.experiments.witnesses import reading_rows
from coset.ssm.figures.witness import witness_lengths, witness_reading
from coset.ssm.stack import SSMStack
from coset.ssm.witness import random_fading_stack, search_witness


def build_stack():
    return SSMStack(2, 2, "p", d_state=2)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    store = RunStore(tmp_path_factory.mktemp("runs"))
    small = ["num_models=1", "depths=1,2"]
    records = run_preset("ssm.witnesses", "smoke", small, store=store)
    assert [record.error for record in records] == [None] * len(records)
    return [dict(row) for record in records for row in record.rows]


def test_every_model_is_fooled_at_every_depth(rows):
    found = [row for row in rows if row["kind"] == "witness"]
    assert {(row["group"], row["num_layers"], row["level"]) for row in found} == {
        (group, depth, level) for group in ("S4", "A5") for depth in (1, 2) for level in "AC"
    }
    assert all(row["replayed"] and row["length"] for row in found)
    lengths = {
        (row["group"], row["num_layers"]): row["length"]
        for row in found
        if row["level"] == "C" and row["model"] == "unitary"
    }
    assert lengths["S4", 1] == 3
    assert lengths["S4", 2] > 48
    shortest = [row["length"] for row in found if row["level"] == "A"]
    assert max(shortest) < 200


def test_the_states_meet_at_the_end_of_the_words(rows):
    curves = [row for row in rows if row["kind"] == "reading"]
    assert curves
    for group in ("S4", "A5"):
        mine = [row for row in curves if row["group"] == group and row["num_layers"] == 2]
        last = min(mine, key=lambda row: row["tokens_left"])
        assert last["tokens_left"] == 0
        assert last["distance"] <= 1e-3
        assert max(row["distance"] for row in mine) > 0.1


def test_the_reading_ends_where_the_witness_says():
    stack = random_fading_stack(1, 6, generator=torch.Generator().manual_seed(0))
    found = search_witness(stack, "S3").witness
    assert reading_rows(stack, found.words)[-1]["distance"] == pytest.approx(found.distance)


@pytest.mark.parametrize("draw", [witness_lengths, witness_reading])
def test_pictures(rows, draw, tmp_path):
    figure = draw(rows, [])
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() == 5.0
    (axes,) = figure.axes
    assert axes.get_title()
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert any("S4" in label for label in labels)
    assert any("A5" in label for label in labels)
    first = save_svg(figure, tmp_path / "a.svg").read_bytes()
    assert save_svg(draw(rows, []), tmp_path / "b.svg").read_bytes() == first


@pytest.mark.parametrize("setting", ["depths=0", "depths=x", "num_models=0", "modulus=1"])
def test_impossible_settings(setting, tmp_path):
    records = run_preset("ssm.witnesses", "smoke", [setting], store=RunStore(tmp_path))
    assert records
    for record in records:
        assert "ConfigError" in str(record.error)
        assert setting.split("=")[0] in str(record.error)


def test_the_command_witness_finds_two_words(tmp_path, capsys):
    model = SSMStack(2, 24, "cc", d_state=4)
    path = tmp_path / "model.safetensors"
    save_model(model, path, name="ssm.SSMStack", arguments=model.arguments)
    assert witness(path, group="S4", max_length=1000, json=True) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["witness"]["lengths"]
    assert report["tried"]
    assert report["first_failing_length"] >= 1
    assert witness(path, group="S4", max_length=1000) == 1
    text = capsys.readouterr().out
    assert "does not track S4" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_command_witness_finds_none_against_a_tracker(tmp_path, capsys):
    path = tmp_path / "s3.safetensors"
    compile_group("S3").save(path)
    assert witness(path, group="S3") == 0
    assert "tracks S3 at every length" in capsys.readouterr().out
    compile_group("S3").save(path, "complex")
    assert witness(path, group="S3", json=True) == 0
    assert not json.loads(capsys.readouterr().out)["proved"]


def test_foreign_files_need_a_factory(tmp_path, capsys):
    path = tmp_path / "foreign.safetensors"
    save_file(build_stack().state_dict(), path)
    with pytest.raises(FileFormatError, match="--like"):
        witness(path, group="Z2")
    assert witness(path, group="Z2", like=f"{__name__}:build_stack", max_length=5000) == 1
    for wrong in ("nowhere:f", f"{__name__}:nothing", ":", ".x:f", f"{__name__}:json"):
        with pytest.raises(ConfigError, match="--like"):
            witness(path, group="Z2", like=wrong)


def test_the_command_harden(tmp_path, capsys):
    model = compile_group("S3").to_module("mlp")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    path, out = tmp_path / "noisy.safetensors", tmp_path / "exact.safetensors"
    model.save(path)
    assert harden(path, group="S3", out=out) == 0
    text = capsys.readouterr().out
    assert "36 pairs" in text
    assert "written" in text
    words = torch.randint(6, (2, 5000))
    truth = compile_group("S3").track(words)
    assert torch.equal(load_model(out).track(words), truth)
    assert harden(path, group="S3", json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["certified"]
    assert [layer["moduli"] for layer in report["layers"]] == [[2], [3]]


def test_the_command_harden_says_so_when_it_fails(tmp_path, capsys):
    model = SSMStack(6, 6, "cc", d_state=4)
    path, out = tmp_path / "model.safetensors", tmp_path / "exact.safetensors"
    save_model(model, path, name="ssm.SSMStack", arguments=model.arguments)
    assert harden(path, group="S3", out=out) == 1
    assert not out.exists()
    assert "not exact" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="another file"):
        harden(path, group="S3", out=path)
