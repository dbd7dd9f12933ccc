"""``coset sharing path``: what it counts, draws, writes and refuses."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch
from safetensors.torch import save_file

from coset.core.errors import DomainError, FileFormatError, StorageError, UnknownNameError
from coset.sharing.commands.path import path
from coset.sharing.path import sharing_path
from coset.sharing.prox import prox_sharing


@pytest.fixture
def checkpoint(tmp_path):
    def write(**tensors):
        target = tmp_path / "model.safetensors"
        save_file({name: torch.as_tensor(t) for name, t in tensors.items()}, target)
        return target

    return write


def found(capsys, file, **options):
    assert path(file, json=True, **options) == 0
    return json.loads(capsys.readouterr().out)


def test_the_largest_tensor_is_shown_and_its_counts_are_those_of_the_prox(
    capsys, checkpoint, generator
):
    w = torch.randn(40, 50, generator=generator) * 0.02
    seen = found(capsys, checkpoint(small=torch.randn(9), w=w, ids=torch.arange(5000)))
    assert (seen["tensor"], seen["shape"], seen["dtype"]) == ("w", [40, 50], "float32")
    assert seen["num_weights"] == 2000
    assert seen["num_distinct"] == w.unique().numel()
    assert seen["sigma"] == pytest.approx(float(w.double().std()), rel=1e-12)
    whole = sharing_path(w)
    assert seen["all_merge_strength"] == whole.all_merge_strength
    assert seen["critical_strength"] == pytest.approx(1.2533 * 0.02, rel=0.15)
    assert [row["note"] for row in seen["rows"] if row["note"]] == ["g_c", "all equal"]
    strengths = [row["strength"] for row in seen["rows"]]
    assert strengths == sorted(strengths)
    assert seen["rows"][-1]["num_unique"] == 1
    for row in seen["rows"][1:-1]:
        _, info = prox_sharing(w, row["strength"], return_info=True)
        assert row["num_unique"] == info.num_clusters == round(row["fraction"] * 2000)
        assert row["strength_in_sigma"] == pytest.approx(row["strength"] / seen["sigma"])
        if row["strength"] <= seen["critical_strength"]:
            assert row["predicted_fraction"] == pytest.approx(row["fraction"], abs=0.05)
        else:
            assert row["predicted_fraction"] is None


def test_strengths_and_tensor_are_as_asked_for(capsys, checkpoint):
    file = checkpoint(a=[0.0, 0.0, 1.0, 3.0], w=torch.randn(50))
    seen = found(capsys, file, tensor="a", strength=(0.0, 0.5))
    asked = [row for row in seen["rows"] if not row["note"]]
    assert [row["strength_in_sigma"] for row in asked] == [0.0, 0.5]
    # Distinct values are counted at 0, where the prox keeps even equal weights apart.
    assert [row["num_unique"] for row in asked] == [3, 3]
    assert seen["num_distinct"] == 3


def test_table_and_tree_fit_eighty_columns(capsys, checkpoint, generator):
    w = 0.4 * torch.randn(3000, generator=generator) + 3 * torch.randint(2, (3000,))
    assert path(checkpoint(w=w)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert lines[0] == "w: 3000 float32"
    assert lines[1].startswith("3,000 weights, ")
    assert sum("← g_c" in line for line in lines) == 1
    assert sum("← all equal" in line for line in lines) == 1
    tree = lines[next(i for i, line in enumerate(lines) if line.startswith("The last")) + 2 :]
    assert len(tree) == 14
    masses = [int(line.split()[1].replace(",", "")) for line in tree]
    assert sum(masses) == 3000
    assert sorted(masses)[-2] > 1000  # both levels


def test_the_picture_is_written_and_names_its_unit(capsys, checkpoint, tmp_path, generator):
    target = tmp_path / "new" / "tree.svg"
    file = checkpoint(w=torch.randn(400, generator=generator))
    assert path(file, output=target) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"written: {target}"
    text = target.read_text(encoding="utf-8")
    assert "The last 59 merges of 400 weights" in text
    assert "strength g (σ)" in text
    first = target.read_bytes()
    assert path(file, output=target) == 0
    assert target.read_bytes() == first
    with pytest.raises(StorageError):
        path(file, output=file / "below" / "tree.svg")


def test_equal_weights_are_said_to_be_equal(capsys, checkpoint, tmp_path):
    file = checkpoint(w=[2.0, 2.0, 2.0])
    assert path(file) == 0
    assert capsys.readouterr().out.splitlines() == [
        "w: 3 float32",
        "3 weights, 1 distinct, σ = 0",
        "all weights are equal",
    ]
    seen = found(capsys, file)
    assert (seen["sigma"], seen["all_merge_strength"], seen["rows"]) == (0.0, 0.0, [])
    with pytest.raises(DomainError, match="w are all equal"):
        path(file, output=tmp_path / "tree.svg")
    assert not (tmp_path / "tree.svg").exists()


@pytest.mark.parametrize("scale", [1.7e308, 1e-300])
def test_strengths_of_extreme_weights_are_those_of_plain_ones(capsys, checkpoint, scale):
    w = torch.tensor([-1.0, -0.9, 0.9, 1.0], dtype=torch.float64)
    plain = found(capsys, checkpoint(w=w))
    seen = found(capsys, checkpoint(w=w * scale))
    for row, right in zip(seen["rows"], plain["rows"], strict=True):
        assert row["num_unique"] == right["num_unique"]
        assert row["strength_in_sigma"] == pytest.approx(right["strength_in_sigma"], rel=1e-12)
        if row["strength"] is not None:
            assert row["strength"] / scale == pytest.approx(right["strength"], rel=1e-12)
    assert (seen["sigma"] is None) == (scale > 1)
    assert path(checkpoint(w=w * scale)) == 0
    assert ("σ beyond 1.8e308" in capsys.readouterr().out) == (scale > 1)


def test_ties_of_few_digits_do_not_bend_the_law(capsys, checkpoint, generator):
    w = torch.randn(100_000, generator=generator)
    plain, half = found(capsys, checkpoint(w=w)), found(capsys, checkpoint(w=w.half()))
    rows = [{row["strength_in_sigma"]: row for row in seen["rows"]} for seen in (plain, half)]
    laws = [at[0.5]["predicted_fraction"] for at in rows]
    assert laws[0] == pytest.approx(laws[1], abs=0.02)
    assert half["num_distinct"] < 0.5 * plain["num_distinct"]


def test_eight_bits_are_widened(capsys, checkpoint):
    w = torch.tensor([0.0, 0.0, 1.0, 4.0])
    low = found(capsys, checkpoint(w=w.to(torch.float8_e5m2)))
    assert low == found(capsys, checkpoint(w=w))


def test_a_name_from_the_file_does_not_steer_the_terminal(capsys, checkpoint):
    assert path(checkpoint(**{"a\x1b[2J[red]": [0.0, 1.0]})) == 0
    assert capsys.readouterr().out.startswith("a\\x1b[2J[red]: 2 float32")


def test_a_long_path_shows_its_progress(capsys, checkpoint, generator, monkeypatch):
    file = checkpoint(w=torch.randn(3000, generator=generator))
    path(file)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.modules[path.__module__], "_SLOW", 1000)
    path(file)
    assert "path of w: 2999/2999 merges" in capsys.readouterr().err


def test_what_cannot_be_shown_is_refused(checkpoint, tmp_path):
    file = checkpoint(w=torch.zeros(2, 3), ids=torch.arange(9), bad=[[0.0], [math.nan]], one=[1.0])
    with pytest.raises(DomainError, match=r"bad holds nan at index \(1, 0\)"):
        path(file, tensor="bad")
    for name in ("ids", "one"):
        with pytest.raises(DomainError, match=f"{name} in .* holds integers or fewer than two"):
            path(file, tensor=name)
    with pytest.raises(UnknownNameError, match=r"named 'absent'.*bad"):
        path(file, tensor="absent")
    with pytest.raises(FileFormatError, match="no floating-point tensor"):
        path(checkpoint(ids=torch.arange(9), one=[1.0]))
    with pytest.raises(FileFormatError, match="cannot be read"):
        path(tmp_path / "absent.safetensors")
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(DomainError, match=f"each strength .* given {wrong:g}"):
            path(tmp_path / "absent.safetensors", strength=(0.5, wrong))


def test_a_name_in_an_error_cannot_steer_the_terminal(capsys, checkpoint):
    from coset.cli import main

    file = checkpoint(**{"a\x1b[2J": torch.tensor([0.0, math.nan])})
    assert main(["sharing", "path", str(file)]) == 2
    assert main(["sharing", "path", str(file), "--tensor", "b"]) == 2
    errors = capsys.readouterr().err
    assert "\x1b" not in errors
    assert errors.count("a\\x1b[2J") == 2
