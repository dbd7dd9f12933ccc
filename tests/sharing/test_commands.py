"""The commands of the subject: what they count, what they refuse, what they skip."""

from __future__ import annotations

import json
import math
import struct

import pytest
import torch
from safetensors.torch import save_file

from coset.cli import main
from coset.core.errors import DomainError, FileFormatError
from coset.sharing.commands import COMMANDS

prox, clusters = COMMANDS["prox"], COMMANDS["clusters"]


def test_prox_counts_values_and_clusters_by_themselves(capsys):
    assert main(["sharing", "prox", "0", "1", "10", "11", "--strength", "0", "--l1", "20"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "4 values, 1 distinct in 4 clusters"
    assert main(["sharing", "prox", "0", "1", "10", "11", "--strength", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "4 values, 2 distinct"
    prox((0.0, 1.0, 10.0, 11.0), strength=0.0, l1=20.0, json=True)
    found = json.loads(capsys.readouterr().out)
    assert found == {"values": [0.0] * 4, "num_distinct": 1, "num_clusters": 4}


def test_prox_asks_for_a_value(capsys):
    assert main(["sharing", "prox", "--strength", "1"]) == 2
    assert "at least one value" in capsys.readouterr().err


@pytest.fixture
def checkpoint(tmp_path):
    def write(**tensors):
        path = tmp_path / "model.safetensors"
        save_file({name: torch.as_tensor(t) for name, t in tensors.items()}, path)
        return path

    return write


def rows_of(capsys, path, *strengths):
    code = clusters(path, strength=strengths, json=True)
    captured = capsys.readouterr()
    return code, {row["tensor"]: row for row in json.loads(captured.out)}, captured.err


def test_a_tensor_with_nan_is_named_and_the_others_are_counted(capsys, checkpoint):
    path = checkpoint(
        a=[0.0, 1.0, 2.0], bad=[[0.0, 1.0], [math.nan, 1.0]], worse=[1.0, -math.inf], z=[1.0, 5.0]
    )
    code, rows, err = rows_of(capsys, path, 0.0, 100.0)
    assert code == 1
    assert "2 of 4 skipped: bad holds nan at index (1, 0); worse holds -inf at index (1,)" in err
    assert "strength" not in err
    assert rows["bad"]["distinct_after"] is None
    assert (rows["a"]["distinct_after"], rows["z"]["distinct_after"]) == ([3, 1], [2, 1])
    assert clusters(path, strength=(1.0,)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert ["bad", "4", "skipped", "–"] in [line.split() for line in lines]


def test_distinct_values_not_blocks_are_counted(capsys, checkpoint):
    path = checkpoint(w=[0.0, 0.0, 0.0, 4.0], same=[2.0, 2.0])
    code, rows, _ = rows_of(capsys, path, 0.0)
    assert code == 0
    assert (rows["w"]["num_distinct"], rows["w"]["distinct_after"]) == (2, [2])
    assert rows["w"]["num_clusters"] == [4]
    assert (rows["same"]["distinct_after"], rows["same"]["num_clusters"]) == ([1], [1])
    assert clusters(path, strength=(0.0,)) == 0
    assert ["w", "4", "2", "2"] in [line.split() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("scale", [1e308, 1e-300])
def test_the_deviation_of_extreme_values_neither_overflows_nor_vanishes(capsys, checkpoint, scale):
    w = torch.tensor([-1.0, -0.9, 0.9, 1.0], dtype=torch.float64)
    path = checkpoint(extreme=w * scale, plain=w)
    _, rows, _ = rows_of(capsys, path, 0.01, 0.2, 2.0, 1e3)
    assert rows["plain"]["distinct_after"] == [4, 2, 1, 1]
    assert rows["extreme"]["distinct_after"] == [4, 2, 1, 1]
    right = 0.2 * float(w.std()) * scale
    assert rows["extreme"]["strengths"][1] == pytest.approx(right, rel=1e-12, abs=0)
    assert (rows["extreme"]["strengths"][3] is None) == (scale == 1e308)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_eight_bits_are_widened(capsys, checkpoint, dtype):
    w = torch.tensor([0.0, 0.0, 1.0, 4.0])
    code, rows, _ = rows_of(capsys, checkpoint(low=w.to(dtype), wide=w), 0.01, 100.0)
    assert code == 0
    assert {**rows["low"], "tensor": "wide"} == rows["wide"]
    code, rows, _ = rows_of(capsys, checkpoint(w=torch.tensor([1, math.nan]).to(dtype)), 1.0)
    assert (code, rows["w"]["skipped"]) == (1, "holds nan at index (1,)")


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_impossible_strengths_are_refused_before_the_file_is_read(tmp_path, bad):
    with pytest.raises(DomainError, match=f"each strength .* given {bad:g}"):
        clusters(tmp_path / "absent", strength=(0.5, bad))
    with pytest.raises(DomainError, match="given none"):
        clusters(tmp_path / "absent", strength=())


def test_files_that_safetensors_refuses(tmp_path):
    path = tmp_path / "odd.safetensors"
    header = json.dumps({"w": {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(FileFormatError, match="odd"):
        clusters(path)


def test_what_safetensors_says_while_reading_is_a_format_error(checkpoint, monkeypatch):
    import safetensors

    def refused(*_, **__):
        raise safetensors.SafetensorError("InvalidOffset(w)")

    monkeypatch.setattr(safetensors, "safe_open", refused)
    with pytest.raises(FileFormatError, match="InvalidOffset"):
        clusters(checkpoint(w=[0.0, 1.0]))
