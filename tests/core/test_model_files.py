from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from coset.core import model_files
from coset.core.errors import ConfigError, FileFormatError, UnknownNameError
from coset.core.model_files import inspect_file, load_model, save_model


class Net(nn.Module):
    def __init__(self, *, width: int = 3) -> None:
        super().__init__()
        if width < 1:
            raise ValueError("width must be at least 1")
        self.linear = nn.Linear(2, width)


@pytest.fixture(autouse=True)
def _classes(monkeypatch):
    monkeypatch.setitem(model_files.MODEL_CLASSES, "test.Net", f"{__name__}:Net")


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.safetensors"
    net = Net(width=4)
    save_model(net, path, name="test.Net", arguments={"width": 4})
    return path, net


def test_a_model_comes_back(saved):
    path, net = saved
    again = load_model(path)
    assert isinstance(again, Net)
    assert not again.training
    for a, b in zip(again.state_dict().values(), net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_inspect_tells_without_loading(saved):
    summary = inspect_file(saved[0])
    assert (summary.model_class, summary.arguments) == ("test.Net", {"width": 4})
    assert [(t.name, t.shape, t.num_bytes) for t in summary.tensors] == [
        ("linear.bias", (4,), 16),
        ("linear.weight", (4, 2), 32),
    ]
    assert summary.num_bytes == 48


def test_every_truncation_is_a_named_error(saved, tmp_path):
    content = saved[0].read_bytes()
    for length in range(len(content)):
        path = tmp_path / "cut"
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match="cut"):
            load_model(path)


def test_flipped_bits_never_raise_anything_else(saved, tmp_path):
    content = bytearray(saved[0].read_bytes())
    generator = torch.Generator().manual_seed(1)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        at = int(torch.randint(0, len(content) - 48, (), generator=generator))
        damaged[at] ^= 1 << int(torch.randint(0, 8, (), generator=generator))
        path = tmp_path / "flipped"
        path.write_bytes(damaged)
        try:
            load_model(path)
        except FileFormatError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{", "not JSON"),
        ("[]", "must hold"),
        ('{"class": "test.Net", "arguments": {}, "format_version": 2}', "version"),
        ('{"class": "os.system", "arguments": {}, "format_version": 1}', "only these are built"),
        ('{"class": "test.Net", "arguments": {"width": 0}, "format_version": 1}', "refuses"),
        ('{"class": "test.Net", "arguments": {"depth": 1}, "format_version": 1}', "refuses"),
        ('{"class": "test.Net", "arguments": {"width": 9}, "format_version": 1}', "do not fit"),
    ],
)
def test_foreign_headers(tmp_path, header, message):
    path = tmp_path / "x.safetensors"
    save_file(Net().state_dict(), path, metadata={"coset": header})
    with pytest.raises(FileFormatError, match=message):
        load_model(path)


def test_a_plain_file_needs_a_factory(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file(Net().state_dict(), path)
    assert inspect_file(path).model_class is None
    with pytest.raises(FileFormatError, match="--like"):
        load_model(path)
    assert isinstance(load_model(path, like=Net), Net)


def test_a_huge_header_is_refused_unread(tmp_path):
    path = tmp_path / "x"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(FileFormatError, match="header length"):
        inspect_file(path)
    with pytest.raises(FileFormatError, match="cannot be read"):
        inspect_file(tmp_path / "missing")


def test_saving_refuses_unknown_classes_and_odd_arguments(tmp_path):
    with pytest.raises(UnknownNameError):
        save_model(Net(), tmp_path / "x", name="test.Other", arguments={})
    with pytest.raises(ConfigError):
        save_model(Net(), tmp_path / "x", name="test.Net", arguments={"f": print})
    assert json.dumps(list(tmp_path.glob("x"))) == "[]"
