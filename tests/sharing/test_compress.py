"""The commands compress and expand: what they tie, keep, write, refuse, and show."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from coset.core.errors import (
    ChecksumError,
    ConfigError,
    DomainError,
    FileFormatError,
    StorageError,
)
from coset.core.model_files import load_model, save_model
from coset.sharing.commands.compress import _same as same
from coset.sharing.commands.compress import compress
from coset.sharing.commands.expand import expand
from coset.sharing.index_codes import stored_bits
from coset.sharing.models import PositionMLP
from coset.sharing.quantize import quantize_together, quantize_weights, relative_error
from coset.sharing.tied import TiedTensor
from coset.sharing.tied_files import load_tied


@pytest.fixture
def net(tmp_path, generator):
    """Return a checkpoint of matrices, vectors, counts, and its tensors."""
    tensors = {
        "first.weight": torch.randn(40, 30, generator=generator),
        "first.bias": torch.randn(300, generator=generator),
        "second.weight": 0.1 * torch.randn(20, 40, generator=generator).half(),
        "counts": torch.arange(12).reshape(3, 4),
        "low": torch.ones(8, 8).to(torch.float8_e5m2),
        "tiny": torch.randn(2, 2, generator=generator),
    }
    path = tmp_path / "net.safetensors"
    save_file(tensors, path, metadata={"note": "as it was"})
    return path, tensors


def report_of(capsys, *args, **kwargs):
    code = compress(*args, json=True, **kwargs)
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    return code, report, {row["tensor"]: row for row in report["tensors"]}, captured.err


def bits_of(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8)


@pytest.mark.parametrize("method", ["kmeans", "path"])
def test_matrices_are_tied_and_all_else_is_kept(capsys, net, method):
    path, tensors = net
    code, report, rows, err = report_of(capsys, path, unique=16, method=method)
    assert (code, err) == (0, "")
    assert report["output"] == str(path.with_name("net.tied.safetensors"))
    assert {name: row["kept"] for name, row in rows.items()} == {
        "first.weight": None,
        "second.weight": None,
        "first.bias": "fewer than 2 dimensions",
        "counts": "no floating-point numbers",
        "low": "8 bits a weight already",
        "tiny": "its tied form would not be smaller",
    }
    found = load_tied(path.with_name("net.tied.safetensors"))
    assert found.metadata == {"note": "as it was"}
    for name, tensor in tensors.items():
        stored, row = found.tensors[name], rows[name]
        if row["kept"]:
            assert bits_of(stored).equal(bits_of(tensor))
            continue
        wanted = quantize_weights(tensor, 16, method=method)
        assert stored.dense().equal(wanted.dense())
        assert row["num_distinct_before"] == tensor.unique().numel()
        assert row["num_distinct_after"] == wanted.num_unique <= 16
        assert row[f"error_{method}"] == relative_error(tensor, wanted)
        assert row["error_kmeans"] < row["error_path"]
        assert row["bits_per_weight"] == stored_bits(wanted) / tensor.numel()
        assert 0 <= row["entropy"] <= 4
    sizes = (report["num_bytes_before"], report["num_bytes_after"])
    assert sizes == tuple(
        (path.parent / name).stat().st_size for name in ("net.safetensors", "net.tied.safetensors")
    )
    assert sizes[1] < sizes[0]


def test_vectors_are_tied_if_asked_for(capsys, net):
    rows = report_of(capsys, net[0], unique=4, all=True)[2]
    assert rows["first.bias"]["kept"] is None
    assert rows["first.bias"]["num_distinct_after"] == 4


def test_one_set_of_values_for_all(capsys, net):
    path, tensors = net
    report_of(capsys, path, unique=16, together=True)
    found = load_tied(path.with_name("net.tied.safetensors")).tensors
    names = ("first.weight", "second.weight")
    wanted = quantize_together([tensors[n] for n in names] + [tensors["tiny"]], 16)
    for name, tied in zip(names, wanted, strict=False):
        assert found[name].dense().equal(tied.dense())
    values = {float(v) for v in found["first.weight"].values}
    assert len(values) <= 16


def test_tied_weights_stay_exactly_as_they_are(capsys, tmp_path, generator):
    w = torch.randint(0, 9, (50, 20), generator=generator) / 8 - 0.5
    save_file({"w": w}, tmp_path / "a.safetensors")
    _, _, rows, _ = report_of(capsys, tmp_path / "a.safetensors", unique=9)
    assert (rows["w"]["error_kmeans"], rows["w"]["error_path"]) == (0, 0)
    assert load_tied(tmp_path / "a.tied.safetensors").state_dict()["w"].equal(w)


def test_uneven_tensors_take_less_than_their_packed_bits(capsys, tmp_path, generator):
    w = torch.randint(0, 16, (100, 50), generator=generator) / 8 - 1
    w[torch.rand(w.shape, generator=generator) < 0.97] = 0.0
    path = tmp_path / "net.safetensors"
    save_file({"w": w}, path)
    row = report_of(capsys, path, unique=16)[2]["w"]
    tied = load_tied(tmp_path / "net.tied.safetensors").tensors["w"]
    assert row["bits_per_weight"] == stored_bits(tied) / 5000
    assert row["bits_per_weight"] < 0.2 * tied.num_bits() / 5000
    assert compress(path, unique=16) == 0
    cells = next(line.split() for line in capsys.readouterr().out.splitlines() if "5,000" in line)
    assert cells[6] == f"{row['bits_per_weight']:.2f}"


def test_a_tensor_that_only_compressing_makes_smaller_is_tied(capsys, tmp_path):
    # 2,000 values of 16 bits and 4,000 packed indices of 11 are more than 4,000 weights of 16.
    w = torch.arange(2000).half().repeat_interleave(2).reshape(100, 40)
    save_file({"w": w}, tmp_path / "net.safetensors")
    row = report_of(capsys, tmp_path / "net.safetensors", unique=2000)[2]["w"]
    tied = load_tied(tmp_path / "net.tied.safetensors").tensors["w"]
    assert tied.num_bits() > 16 * 4000
    assert row["bits_per_weight"] == stored_bits(tied) / 4000 < 16


def test_a_tensor_with_nan_is_named_and_kept(capsys, tmp_path):
    bad = torch.zeros(20, 20)
    bad[3, 4], bad[5, 6] = math.nan, -0.0
    worse = torch.full((9, 9), math.inf)
    path = tmp_path / "net.safetensors"
    save_file({"bad": bad, "good": torch.randn(30, 30), "worse": worse}, path)
    code, _, rows, err = report_of(capsys, path, unique=4)
    assert code == 1
    message = "bad holds nan at index (3, 4); worse holds inf at index (0, 0)"
    assert f"2 of 3 not tied: {message}" in err
    assert rows["good"]["kept"] is None
    found = load_tied(path.with_name("net.tied.safetensors")).tensors
    assert bits_of(found["bad"]).equal(bits_of(bad))
    assert bits_of(found["worse"]).equal(bits_of(worse))


def test_the_names_of_parts_that_are_taken_keep_a_tensor_dense(capsys, tmp_path):
    path = tmp_path / "net.safetensors"
    tensors = {n: torch.randn(30, 30) for n in ("w", "w.index", "v")}
    save_file(tensors, path)
    _, _, rows, _ = report_of(capsys, path, unique=4)
    assert rows["w"]["kept"] == "the name of its values or its index is taken"
    assert rows["v"]["kept"] is rows["w.index"]["kept"] is None
    found = load_tied(path.with_name("net.tied.safetensors")).tensors
    assert found["w"].equal(tensors["w"])


def test_expand_gives_the_dense_checkpoint(capsys, net):
    path, tensors = net
    compress(path, unique=16)
    tied, dense = path.with_name("net.tied.safetensors"), path.with_name("dense.safetensors")
    capsys.readouterr()
    assert expand(tied, output=dense, json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["num_tensors"], report["num_tied"]) == (6, 2)
    assert report["num_bytes_after"] == dense.stat().st_size
    found = load_file(dense)
    assert found.keys() == tensors.keys()
    for name, tensor in load_tied(tied).state_dict().items():
        assert bits_of(found[name]).equal(bits_of(tensor))
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensors[name].shape)
    with safe_open(str(dense), "pt") as stored:
        assert stored.metadata() == {"note": "as it was"}
    first = dense.read_bytes()
    assert expand(tied, output=dense) == 0
    assert dense.read_bytes() == first
    assert "2 tied tensors and 4 others" in capsys.readouterr().out


def test_a_model_file_goes_round_as_a_model(tmp_path, capsys):
    sizes = {"side": 4, "channels": [3]}
    model = PositionMLP(side=4, channels=(3,)).eval()
    path, dense = tmp_path / "m.safetensors", tmp_path / "dense.safetensors"
    save_model(model, path, name="sharing.PositionMLP", arguments=sizes)
    assert compress(path, unique=8) == 0
    assert expand(tmp_path / "m.tied.safetensors", output=dense) == 0
    again = load_model(dense)
    assert isinstance(again, PositionMLP)
    assert again.layers[0].weight.unique().numel() == 8


def test_what_is_printed_fits_80_columns(capsys, net, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(net[0].parent)
    path = net[0].relative_to(net[0].parent)
    assert compress(path, unique=16) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    shown = " ".join(lines)
    assert "kept, fewer than 2 dimensions (--all ties them): first.bias" in shown
    assert "written: k-means" in shown
    assert "read back: equal bit by bit" in shown
    assert lines[0].split() == [
        "tensor",
        "weights",
        "distinct",
        "becomes",
        "k-means",
        "path",
        "bits",
        "entropy",
    ]
    cells = next(line.split() for line in lines if "first.weight" in line)
    assert cells[:4] == ["first.weight", "1,200", "1,200", "16"]


def test_many_kept_tensors_and_names_that_steer_a_terminal(capsys, tmp_path):
    path = tmp_path / "net.safetensors"
    tensors = {f"b{i}": torch.ones(3) for i in range(30)}
    save_file({**tensors, "w\x1b[2J[red]": torch.randn(30, 30)}, path)
    assert compress(path, unique=4) == 0
    out = capsys.readouterr().out
    assert "and 22 more" in out
    assert "\x1b" not in out
    assert "w\\x1b[2J[red]" in out.replace("\n", "").replace(" ", "")


def test_long_work_shows_progress(capsys, net, monkeypatch):
    compress(net[0], unique=4)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("coset.sharing.commands.tying._SLOW", 100)
    compress(net[0], unique=4)
    shown = capsys.readouterr().err
    assert "tie weights: 2004/2004 weights" in shown
    assert "write weights: 2000/2000 weights" in shown


def test_wrong_use_is_refused_before_anything_is_written(net, tmp_path):
    path, _ = net
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(DomainError, match="≥ 1; given 0"):
        compress(path, unique=0)
    for output in (path, path.parent / "." / path.name):
        with pytest.raises(ConfigError, match="another file"):
            compress(path, output=output)
    with pytest.raises(ConfigError, match="folder"):
        compress(path, output=tmp_path)
    with pytest.raises(FileFormatError, match="absent"):
        compress(tmp_path / "absent")
    with pytest.raises(FileFormatError, match="holds no tied tensors"):
        expand(path, output=tmp_path / "x")
    with pytest.raises(ConfigError, match="another file"):
        expand(path, output=path)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_files_with_nothing_to_tie(tmp_path):
    path = tmp_path / "net.safetensors"
    for tensors, message in (
        ({}, "given no tensors at all"),
        ({"b": torch.ones(9)}, "given b: fewer than 2 dimensions"),
        ({"w": torch.randn(3, 3)}, "given w: its tied form would not be smaller"),
        ({"w": torch.ones(1, 1)}, "given w: fewer than 2 weights"),
        ({"w": torch.zeros(0, 4)}, "given w: fewer than 2 weights"),
    ):
        save_file(tensors, path)
        with pytest.raises(FileFormatError, match=message):
            compress(path, unique=300)
    assert list(tmp_path.iterdir()) == [path]


def test_a_tied_file_is_not_tied_again_and_a_damaged_one_not_expanded(net, tmp_path):
    path, _ = net
    compress(path, unique=4)
    tied = path.with_name("net.tied.safetensors")
    with pytest.raises(FileFormatError, match="coset sharing expand"):
        compress(tied)
    tied.write_bytes(tied.read_bytes()[:-1] + b"\xff")
    with pytest.raises(ChecksumError, match=r"net\.tied"):
        expand(tied, output=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_file_that_differs_from_what_was_written_is_reported(net, monkeypatch):
    def forget(path, contents, metadata, **display):
        changed = {**contents, "first.bias": contents["first.bias"] + 1}
        save_real(path, changed, metadata, **display)

    from coset.sharing import tied_files

    save_real = tied_files.save_tied
    monkeypatch.setattr(tied_files, "save_tied", forget)
    with pytest.raises(StorageError, match=r"first\.bias differs"):
        compress(net[0], unique=4)


def test_equal_tensors_differ_in_nothing():
    tied = TiedTensor.from_dense(torch.tensor([1.0, 2.0, 1.0]))
    assert same(tied, TiedTensor.from_dense(tied.dense()))
    assert not same(tied, tied.dense())
    assert not same(tied, TiedTensor.from_dense(torch.tensor([1.0, 2.0, 2.0])))
    assert not same(torch.zeros(2), torch.zeros(2).int())
    assert not same(torch.zeros(2), torch.tensor([0.0, -0.0]))
    assert same(torch.tensor(math.nan), torch.tensor(math.nan))


@pytest.mark.experiment
def test_a_compressed_network_keeps_the_accuracy_of_the_tied_one(tmp_path, capsys):
    """Train on digits, compress, load into a fresh model: the same answers as the tied network."""
    from coset.data import load_digits
    from coset.train import TrainConfig, fit

    train, test = load_digits("train"), load_digits("test")
    images, labels = (torch.as_tensor(x)[:1500] for x in (train.images, train.labels))
    wanted, truth = torch.as_tensor(test.images).float(), torch.as_tensor(test.labels).long()

    def build():
        return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 24), nn.ReLU(), nn.Linear(24, 10))

    torch.manual_seed(0)
    model = build()
    scale = float(images.max())
    fit(
        model,
        torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9),
        lambda net, batch: nn.functional.cross_entropy(net(batch[0]), batch[1]),
        (images.float() / scale, labels.long()),
        TrainConfig(4, 50),
    )

    def accuracy(net):
        with torch.no_grad():
            return float((net(wanted / scale).argmax(1) == truth).float().mean())

    save_file(model.state_dict(), tmp_path / "net.safetensors")
    assert compress(tmp_path / "net.safetensors", unique=16) == 0
    tied = {
        name: quantize_weights(w, 16).dense() if w.dim() > 1 else w
        for name, w in model.state_dict().items()
    }
    reference, loaded = build(), build()
    reference.load_state_dict(tied)
    loaded.load_state_dict(load_tied(tmp_path / "net.tied.safetensors").state_dict())
    assert accuracy(loaded) == accuracy(reference)
    assert accuracy(model) > 0.8
    assert abs(accuracy(loaded) - accuracy(model)) < 0.02
    assert all(loaded[i].weight.unique().numel() == 16 for i in (1, 3))
    sizes = [(tmp_path / f"net{part}.safetensors").stat().st_size for part in ("", ".tied")]
    assert sizes[0] > 7 * sizes[1]
